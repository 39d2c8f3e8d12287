# SPDX-License-Identifier: Apache-2.0
"""A progress bar for a terminal, fed by the events of the log."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any, TextIO

_WIDTH = 30
_ERASE_LINE = "\r\x1b[K"


class ProgressBar:
    """How far a run is, counted in steps of sessions.

    Parameters
    ----------
    stream
        The terminal.
    sessions
        Number of sessions of each participant, by label.
    """

    def __init__(self, stream: TextIO, sessions: Mapping[str, int]) -> None:
        self.stream = stream
        self.sessions = sessions
        self._parts: dict[tuple[str, str | None], float] = {}
        self._finished: set[str] = set()
        self._latest = ""

    @property
    def fraction(self) -> float:
        """Part of the work that is done, 0 to 1."""
        total = sum(self.sessions.values())
        finished = sum(self.sessions[label] for label in self._finished)
        running = sum(part for (label, _), part in self._parts.items() if label not in self._finished)
        return min(1.0, (finished + running) / total) if total else 1.0

    def note(self, context: Mapping[str, Any]) -> None:
        """Take in the context of a log record, and draw the bar anew if it tells of progress."""
        label, event = context.get("participant"), context.get("event", "")
        if label is None or label not in self.sessions:
            return
        if event == "participant finished":
            self._finished.add(label)
        elif event.startswith("step"):
            passed = context["index"] if event == "step finished" else context["index"] - 1
            self._parts[label, context.get("session")] = passed / context["total"]
            session = f" ses-{context['session']}" if context.get("session") else ""
            self._latest = f"sub-{label}{session} {context['step']}"
        else:
            return
        self.draw()

    def draw(self) -> None:
        """Write the bar over the terminal's current line."""
        filled = round(self.fraction * _WIDTH)
        bar = "#" * filled + "." * (_WIDTH - filled)
        count = f"{len(self._finished)}/{len(self.sessions)} participants"
        text = f"[{bar}] {self.fraction:4.0%}  {count}  {self._latest}"
        self.stream.write(_ERASE_LINE + text[: shutil.get_terminal_size().columns - 1])
        self.stream.flush()

    def clear(self) -> None:
        """Take the bar off the terminal."""
        self.stream.write(_ERASE_LINE)
        self.stream.flush()
