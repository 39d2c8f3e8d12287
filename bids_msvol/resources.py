# SPDX-License-Identifier: Apache-2.0
"""What the machine allows: processors and memory, as the container or the cluster grants them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

PARTICIPANT_GB_AT_1MM = 4.0
"""Peak memory of one participant at 1 mm, in GB."""

_FIXED_GB = 1.0
"""The part of the peak, in GB, that does not shrink with the voxels: libraries and the template."""

_MAX_DEFAULT_THREADS = 4
"""More threads for one participant gain little; further processors are better spent on a second participant."""

_PROC = Path("/proc")
_CGROUP = Path("/sys/fs/cgroup")


def available_cpus(*, proc: Path = _PROC, cgroup: Path = _CGROUP, environment: Mapping[str, str] | None = None) -> int:
    """Return how many processors this process may use: the least of affinity, cgroup quota and SLURM allocation."""
    variables = os.environ if environment is None else environment
    affinity = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    limits = [float(len(affinity))]
    for text in _cgroup_values("cpu.max", proc, cgroup):
        quota, _, period = text.partition(" ")
        if quota != "max":
            limits.append(float(quota) / float(period or 100_000))
    slurm = _number(variables.get("SLURM_CPUS_PER_TASK"))
    if slurm:
        limits.append(slurm)
    return max(1, math.floor(min(limits)))


def available_memory_gb(
    *, proc: Path = _PROC, cgroup: Path = _CGROUP, environment: Mapping[str, str] | None = None
) -> float:
    """Return the memory in GB that this process may use: the least of free memory, cgroup limit and SLURM grant."""
    variables = os.environ if environment is None else environment
    limits = [_free_memory_bytes(proc)]
    limits.extend(float(text) for text in _cgroup_values("memory.max", proc, cgroup) if text != "max")
    per_node, per_cpu = _number(variables.get("SLURM_MEM_PER_NODE")), _number(variables.get("SLURM_MEM_PER_CPU"))
    if per_node:
        limits.append(per_node * 1024.0**2)
    elif per_cpu:
        limits.append(per_cpu * 1024.0**2 * (_number(variables.get("SLURM_CPUS_PER_TASK")) or 1.0))
    return min(limits) / 1e9


def default_threads(nprocs: int) -> int:
    """Return the threads that one participant gets when the user does not say."""
    return max(1, min(_MAX_DEFAULT_THREADS, nprocs))


def participant_memory_gb(resolution_mm: float) -> float:
    """Return the peak memory of one participant in GB: a fixed part, and a part that goes with the number of voxels."""
    return _FIXED_GB + (PARTICIPANT_GB_AT_1MM - _FIXED_GB) / resolution_mm**3


def participants_at_once(nprocs: int, omp_nthreads: int, mem_gb: float, resolution_mm: float) -> int:
    """Return how many participants may run at the same time within the processors and the memory; at least 1."""
    by_cpu = nprocs // omp_nthreads
    by_memory = math.floor(mem_gb / participant_memory_gb(resolution_mm))
    return max(1, min(by_cpu, by_memory))


def _cgroup_values(name: str, proc: Path, cgroup: Path) -> Iterator[str]:
    """Yield a control file of this process's cgroup and of every one above it: each of them limits."""
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return
    inside = next((line.removeprefix("0::").lstrip("/") for line in lines if line.startswith("0::")), None)
    if inside is None:
        return
    folder = cgroup / inside
    while folder == cgroup or cgroup in folder.parents:
        try:
            text = (folder / name).read_text().strip()
        except OSError:
            text = ""
        if text:
            yield text
        folder = folder.parent


def _free_memory_bytes(proc: Path) -> float:
    try:
        lines = (proc / "meminfo").read_text().splitlines()
    except OSError:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    amount = fields.get("MemAvailable") or fields["MemTotal"]
    return float(amount.split()[0]) * 1024.0


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
