# SPDX-License-Identifier: Apache-2.0
"""Messages: plain lines or a bar on the terminal, and one JSON record a line in the participant's log folder.

Everything goes through the standard `logging`; the ``context`` of a record says whom it is about.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TextIO

from bids_msvol.bids.names import log_dir

if TYPE_CHECKING:
    from bids_msvol.progressbar import ProgressBar

LOGGER_NAME = "bids_msvol"
"""Parent of every logger of the program."""

_logger = logging.getLogger(__name__)
_NO_CONTEXT: Mapping[str, Any] = MappingProxyType({})
_context: ContextVar[Mapping[str, Any]] = ContextVar("context", default=_NO_CONTEXT)


class Progress:
    """The steps of one session, announced as they pass.

    Parameters
    ----------
    participant, session
        Labels without prefixes; ``session`` is ``None`` in a dataset without sessions.
    total
        Number of steps to come.
    """

    def __init__(self, participant: str, session: str | None, total: int) -> None:
        self.participant = participant
        self.session = session
        self.total = total
        self._passed = 0

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Announce a step at its end with its wall time; records made inside carry the participant and the session."""
        self._passed += 1
        about = f"step {self._passed}/{self.total} {name}"
        step = {"step": name, "index": self._passed, "total": self.total}
        with log_context(self.participant, self.session, **step):
            _log_event(logging.DEBUG, f"{about}: started", "step started")
            start = time.monotonic()
            try:
                yield
            except BaseException:
                seconds = time.monotonic() - start
                _log_event(logging.INFO, f"{about}: failed after {seconds:.0f} s", "step failed", seconds=seconds)
                raise
            seconds = time.monotonic() - start
            _log_event(logging.INFO, f"{about}: {seconds:.0f} s", "step finished", seconds=seconds)


@contextmanager
def log_context(participant: str, session: str | None = None, **more: Any) -> Iterator[None]:
    """Mark the records made inside as being about a participant and a session."""
    token = _context.set({"participant": participant, "session": session, **more})
    try:
        yield
    finally:
        _context.reset(token)


def add_context(record: logging.LogRecord) -> bool:
    """Note in a record what it is about; a logging filter that lets every record pass."""
    if not hasattr(record, "context"):
        record.context = dict(_context.get())
    return True


def record_context(record: logging.LogRecord) -> Mapping[str, Any]:
    """Return what a record is about: ``participant``, ``session``, ``step``, ``event`` and so on, where known."""
    context: Mapping[str, Any] = getattr(record, "context", {})
    return context


def utc_stamp() -> str:
    """Return the time as it appears in file names, ``20250131T235959Z``."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


@contextmanager
def participant_log(output_dir: Path, label: str) -> Iterator[Path]:
    """Copy the records about one participant into ``run-<utc>.jsonl`` in its log folder; yield the file."""
    path = log_dir(output_dir, label) / f"run-{utc_stamp()}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8", delay=True)
    handler.setFormatter(_JSONFormatter())
    handler.addFilter(add_context)
    handler.addFilter(lambda record: record_context(record).get("participant") == label)
    logger = logging.getLogger(LOGGER_NAME)
    logger.addHandler(handler)
    try:
        with log_context(label):
            yield path
    finally:
        logger.removeHandler(handler)
        handler.close()


class TerminalHandler(logging.Handler):
    """Writes records to a terminal or a log file: plain lines, below them a bar if there is one.

    Parameters
    ----------
    stream
        Where to write.
    bar
        Shows steps as a bar instead of lines; warnings and results stay lines.
    details
        Write lines about the start and the details of steps, too.
    """

    def __init__(self, stream: TextIO, bar: ProgressBar | None = None, *, details: bool = False) -> None:
        super().__init__()
        self.stream = stream
        self.bar = bar
        self.details = details
        self.addFilter(add_context)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            context = record_context(record)
            if self.bar is not None:
                self.bar.note(context)
            if record.levelno < logging.INFO and not self.details:
                return
            if self.bar is None:
                self._write_line(record)
            elif context.get("event") != "step finished":
                self.bar.clear()
                self._write_line(record)
                self.bar.draw()
        except Exception:
            self.handleError(record)

    def _write_line(self, record: logging.LogRecord) -> None:
        self.stream.write(format_line(record) + "\n")
        self.stream.flush()


@contextmanager
def terminal_log(stream: TextIO) -> Iterator[TerminalHandler]:
    """Show the program's records on a stream while inside."""
    handler = TerminalHandler(stream)
    logger = logging.getLogger(LOGGER_NAME)
    level = logger.level
    logger.setLevel(logging.DEBUG)  # the bar and the participants' logs follow every step
    logger.addHandler(handler)
    try:
        yield handler
    finally:
        if handler.bar is not None:
            handler.bar.clear()
        logger.removeHandler(handler)
        logger.setLevel(level)


def format_line(record: logging.LogRecord) -> str:
    """Return a record as a line: UTC time, participant and session, message."""
    context = record_context(record)
    labels = [
        f"{prefix}-{context[key]}" for prefix, key in (("sub", "participant"), ("ses", "session")) if context.get(key)
    ]
    about = f"[{' '.join(labels)}] " if labels else ""
    severity = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
    return f"{_iso_time(record)} {about}{severity}{record.getMessage()}"


def log_outcome(message: str, participant: str, *, level: int = logging.INFO) -> None:
    """Announce what became of a participant."""
    with log_context(participant):
        _log_event(level, message, "participant finished")


class _JSONFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        content = {
            "time": _iso_time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **{key: value for key, value in record_context(record).items() if value is not None},
        }
        if record.exc_info:
            content["traceback"] = self.formatException(record.exc_info)
        return json.dumps(content, default=str)


def _log_event(level: int, message: str, event: str, **more: Any) -> None:
    _logger.log(level, "%s", message, extra={"context": {**_context.get(), "event": event, **more}})


def _iso_time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
