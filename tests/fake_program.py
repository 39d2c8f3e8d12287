# SPDX-License-Identifier: Apache-2.0
"""Work for the runner's tests, in a module of its own so that spawned processes can import it."""

from __future__ import annotations

import logging
import os
import signal
import time
from pathlib import Path

from bids_msvol.errors import DataError
from bids_msvol.logs import Progress
from bids_msvol.outcome import ParticipantOutcome


def succeed(label: str) -> ParticipantOutcome:
    progress = Progress(label, "01", 2)
    with progress.step("registration"):
        logging.getLogger("bids_msvol.imaging.made_up").warning("a remark")
    with progress.step("segmentation"):
        pass
    return ParticipantOutcome(label, "done")


def meet_bad_data(label: str) -> ParticipantOutcome:
    raise DataError("holds NaN", remedy="Mend it", subject=Path(f"/data/sub-{label}_T1w.nii.gz"))


def crash(label: str) -> ParticipantOutcome:
    raise ZeroDivisionError(f"in {label}")


def run_out_of_memory(label: str) -> ParticipantOutcome:
    raise RuntimeError("ITK: Failed to allocate memory for image.")


def be_killed(label: str) -> ParticipantOutcome:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def fault(label: str) -> ParticipantOutcome:
    os.kill(os.getpid(), signal.SIGSEGV)
    raise AssertionError


def leave(label: str) -> ParticipantOutcome:
    os._exit(3)


def return_what_cannot_be_pickled(label: str) -> object:
    return lambda: None


def sleep(label: str, mark: Path) -> ParticipantOutcome:
    mark.write_text(str(os.getpid()))
    time.sleep(60)
    return ParticipantOutcome(label, "done")


def process_id(label: str = "") -> int:
    return os.getpid()


def number_of_threads() -> str:
    return os.environ["OMP_NUM_THREADS"]
