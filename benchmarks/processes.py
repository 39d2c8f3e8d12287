# SPDX-License-Identifier: Apache-2.0
"""Run a program and tell how long it took and how much memory it and its children held."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.record import ROOT

SAMPLING_S = 0.1
"""Time between two looks at the memory."""


@dataclass(frozen=True)
class Cost:
    """What a run took: wall time in s, peak resident memory of all its processes in GB."""

    seconds: float
    peak_gb: float


def run_python(arguments: Sequence[str], *, threads: int) -> Cost:
    """Run ``python ARGUMENTS`` in a process of its own.

    Parameters
    ----------
    arguments
        What follows the interpreter's name.
    threads
        Threads that ITK may use.

    Raises
    ------
    RuntimeError
        If it fails.
    """
    environment = {**os.environ, "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    peak = [0]
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(process.pid, peak, ended))
    watcher.start()
    output, _ = process.communicate()
    ended.set()
    watcher.join()
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)} failed with {process.returncode}:\n{output}")
    return Cost(time.monotonic() - start, peak[0] / 1e9)


def _watch(pid: int, peak: list[int], ended: threading.Event) -> None:
    while not ended.wait(SAMPLING_S):
        peak[0] = max(peak[0], resident_bytes(pid))


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process and all its descendants, in bytes (Linux)."""
    resident: dict[int, int] = {}
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            # The name in brackets may hold spaces; the parent is the second field after it.
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            pages = int((folder / "statm").read_text().split()[1])
        except (OSError, IndexError):
            continue  # it ended meanwhile
        resident[int(folder.name)] = pages * os.sysconf("SC_PAGE_SIZE")
        children.setdefault(parent, []).append(int(folder.name))
    total, waiting = 0, [pid]
    while waiting:
        current = waiting.pop()
        total += resident.get(current, 0)
        waiting += children.get(current, [])
    return total
