# SPDX-License-Identifier: Apache-2.0
"""Messages on the terminal, as lines or as a bar, and in the participant's log."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import pytest

from bids_msvol.executor import SubprocessExecutor
from bids_msvol.logs import Progress, log_context, participant_log, terminal_log
from bids_msvol.progressbar import ProgressBar
from bids_msvol.runner import Task, run_all
from tests import fake_program

logger = logging.getLogger("bids_msvol.test")


def test_plain_lines(tmp_path: Path) -> None:
    """A step is one line with time in UTC, participant, session, place in the order, and seconds."""
    stream = io.StringIO()
    with terminal_log(stream):
        progress = Progress("01", "02", 6)
        with progress.step("registration"):
            logger.warning("odd")
        with progress.step("segmentation"):
            pass
    lines = stream.getvalue().splitlines()
    assert [re.sub(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", "", line) for line in lines] == [
        "[sub-01 ses-02] warning: odd",
        "[sub-01 ses-02] step 1/6 registration: 0 s",
        "[sub-01 ses-02] step 2/6 segmentation: 0 s",
    ]
    assert all(line.startswith("20") for line in lines)


def test_details_show_the_start_of_steps_and_end_with_the_log() -> None:
    """With -v the start is shown too; afterwards the loggers are as before."""
    level = logging.getLogger("bids_msvol").level
    stream = io.StringIO()
    with terminal_log(stream) as handler:
        handler.details = True
        with Progress("01", None, 1).step("mask"):
            pass
    assert "[sub-01] step 1/1 mask: started" in stream.getvalue()
    assert logging.getLogger("bids_msvol").level == level


def test_failed_step_is_announced_and_passes_the_error_on() -> None:
    """A step that fails says after how long; its error is not swallowed."""
    stream = io.StringIO()
    with terminal_log(stream), pytest.raises(ValueError, match="no"), Progress("01", None, 1).step("mask"):
        raise ValueError("no")
    assert "step 1/1 mask: failed after 0 s" in stream.getvalue()


@pytest.mark.parametrize("factory", [lambda: ThreadPoolExecutor(2), lambda: SubprocessExecutor(2)])
def test_events_of_workers_reach_terminal_and_participant_log(tmp_path: Path, factory: Callable[[], Executor]) -> None:
    """What happens in workers is shown here, marked with its participant, and copied to that participant's log only."""
    stream = io.StringIO()
    with terminal_log(stream):
        tasks = [Task(label, fake_program.succeed, (label,)) for label in ("01", "02")]
        run_all(tasks, factory, output_dir=tmp_path)
    for label in ("01", "02"):
        assert f"[sub-{label} ses-01] step 1/2 registration: 0 s" in stream.getvalue()
        assert f"[sub-{label} ses-01] warning: a remark" in stream.getvalue()
        assert stream.getvalue().count(f"[sub-{label}] done after") == 1
        (path,) = (tmp_path / f"sub-{label}" / "log").glob("run-*.jsonl")
        records = [json.loads(line) for line in path.read_text().splitlines()]
        assert {record["participant"] for record in records} == {label}
        steps = [record for record in records if record.get("event") == "step finished"]
        assert [(step["step"], step["index"], step["total"], step["session"]) for step in steps] == [
            ("registration", 1, 2, "01"),
            ("segmentation", 2, 2, "01"),
        ]
        assert all(step["seconds"] >= 0 and step["time"].endswith("Z") for step in steps)
        assert [record["message"] for record in records if record["level"] == "WARNING"] == ["a remark"]


def test_log_keeps_tracebacks(tmp_path: Path) -> None:
    """A record with an exception holds its traceback, still on one line."""
    with participant_log(tmp_path, "01") as path:
        try:
            raise ValueError("inside")
        except ValueError:
            logger.exception("outside")
    (line,) = path.read_text().splitlines()
    assert "ValueError: inside" in json.loads(line)["traceback"]


def test_bar_counts_steps_of_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of four steps of one of two sessions are a quarter; a finished participant counts whole."""
    monkeypatch.setenv("COLUMNS", "120")
    stream = io.StringIO()
    with terminal_log(stream) as handler:
        handler.bar = bar = ProgressBar(stream, {"01": 1, "02": 1})
        progress = Progress("01", "01", 4)
        with progress.step("one"):
            pass
        with progress.step("two"):
            pass
        assert bar.fraction == pytest.approx(0.25)
        with log_context("02"):
            logger.info("participant line", extra={"context": {"participant": "02", "event": "participant finished"}})
        assert bar.fraction == pytest.approx(0.75)
    text = stream.getvalue()
    assert "1/2 participants" in text
    assert "0%  0/2 participants  sub-01 ses-01 one" in text, "the step that runs is named from its start"
    assert "sub-01 ses-01 two" in text
    assert "step 1/4" not in text, "steps move the bar and are no lines"
    assert "participant line\n" in text
    assert text.endswith("\r\x1b[K"), "nothing of the bar stays behind"


def test_bar_fits_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar never wraps, which would leave remains on the screen."""
    monkeypatch.setenv("COLUMNS", "20")
    stream = io.StringIO()
    ProgressBar(stream, {"01": 1}).draw()
    assert len(stream.getvalue().removeprefix("\r\x1b[K")) == 19
