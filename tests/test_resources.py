# SPDX-License-Identifier: Apache-2.0
"""Processors and memory, read from made-up control files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bids_msvol.resources import (
    available_cpus,
    available_memory_gb,
    default_threads,
    participant_memory_gb,
    participants_at_once,
)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Make a machine of 8 processors and 32 GB; the parent of its control group allows 2.5 processors and 6 GB."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    proc, cgroup = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "self" / "cgroup").write_text("0::/job/step\n")
    (proc / "meminfo").write_text("MemTotal:  64000000 kB\nMemAvailable:   31250000 kB\n")
    (cgroup / "job" / "step").mkdir(parents=True)
    (cgroup / "job" / "cpu.max").write_text("250000 100000\n")
    (cgroup / "job" / "step" / "cpu.max").write_text("max 100000\n")
    (cgroup / "job" / "memory.max").write_text("6000000000\n")
    (cgroup / "job" / "step" / "memory.max").write_text("max\n")
    return proc, cgroup


def test_control_group_limits(machine: tuple[Path, Path]) -> None:
    """The quota of a parent group counts, and part of a processor is not rounded up."""
    proc, cgroup = machine
    assert available_cpus(proc=proc, cgroup=cgroup, environment={}) == 2
    assert available_memory_gb(proc=proc, cgroup=cgroup, environment={}) == pytest.approx(6.0)


def test_without_control_group(machine: tuple[Path, Path], tmp_path: Path) -> None:
    """Without limits, affinity and free memory (not the total) decide."""
    proc, _ = machine
    assert available_cpus(proc=proc, cgroup=tmp_path / "none", environment={}) == 8
    assert available_memory_gb(proc=proc, cgroup=tmp_path / "none", environment={}) == pytest.approx(32.0)


def test_slurm_allocation(machine: tuple[Path, Path], tmp_path: Path) -> None:
    """What SLURM grants limits further; memory per processor is multiplied, and in MiB."""
    proc, _ = machine
    variables = {"SLURM_CPUS_PER_TASK": "4", "SLURM_MEM_PER_CPU": "1000"}
    assert available_cpus(proc=proc, cgroup=tmp_path / "none", environment=variables) == 4
    memory = available_memory_gb(proc=proc, cgroup=tmp_path / "none", environment=variables)
    assert memory == pytest.approx(4 * 1000 * 1024**2 / 1e9)
    variables = {"SLURM_MEM_PER_NODE": "2000", "SLURM_CPUS_PER_TASK": "odd"}
    assert available_memory_gb(proc=proc, cgroup=tmp_path / "none", environment=variables) == pytest.approx(2.097152)


@pytest.mark.parametrize(
    ("nprocs", "threads", "mem_gb", "at_once"),
    [(8, 2, 100.0, 4), (8, 2, 9.0, 2), (8, 2, 1.0, 1), (1, 4, 100.0, 1)],
)
def test_participants_at_once(nprocs: int, threads: int, mem_gb: float, at_once: int) -> None:
    """Processors divided by threads, unless memory allows fewer; never none."""
    assert participants_at_once(nprocs, threads, mem_gb, resolution_mm=1.0) == at_once


def test_memory_shrinks_with_coarser_voxels() -> None:
    """The need at 1 mm is the stated one, and less at 2 mm."""
    assert participant_memory_gb(1.0) == 4.0
    assert 1.0 < participant_memory_gb(2.0) < 2.0


def test_default_threads() -> None:
    """At most 4, never more than the processors."""
    assert [default_threads(n) for n in (1, 3, 64)] == [1, 3, 4]
