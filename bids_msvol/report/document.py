# SPDX-License-Identifier: Apache-2.0
"""The report of a participant: one HTML file that needs nothing but itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bids_msvol.bids.atomic import write_text
from bids_msvol.measurement import WORST_FIRST
from bids_msvol.report.change import build_change_section
from bids_msvol.report.cord import build_cord_section
from bids_msvol.report.inputs import build_input_section, build_problem_section
from bids_msvol.report.lesion_activity import build_activity_section
from bids_msvol.report.lesions import build_lesion_section
from bids_msvol.report.measured_error import load_measured_error
from bids_msvol.report.methods import build_error_section, build_method_section, build_version_section
from bids_msvol.report.overlays import build_overlay_section
from bids_msvol.report.quality import build_quality_section
from bids_msvol.report.section import Section, render
from bids_msvol.report.summary import build_summary_section, describe_outcome
from bids_msvol.report.trends import build_trend_section
from bids_msvol.report.volumes import build_volume_section

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bids_msvol.bids.load import ParticipantOutputs
    from bids_msvol.report.measured_error import MeasuredError


def write_report(outputs: ParticipantOutputs, path: Path, *, measured_error: MeasuredError | None = None) -> Path:
    """Write the report of a participant.

    Parameters
    ----------
    outputs
        The finished sessions, as read from disk.
    path
        The HTML file to write; replaced as a whole, so that a reader never meets half a report.
    measured_error
        The measured error of the program; the one shipped with it if ``None``.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    CannotCreateError
        If the file cannot be written.
    OutOfResourcesError
        If the disk is full.
    """
    error = load_measured_error() if measured_error is None else measured_error
    html = render_report(outputs, build_sections(outputs, measured_error=error))
    write_text(path, html)
    return path


def build_sections(outputs: ParticipantOutputs, *, measured_error: MeasuredError) -> tuple[Section, ...]:
    """Build all sections, in the order in which they are read; a section without data is left out."""
    sections = (
        build_summary_section(outputs),
        build_quality_section(outputs),
        build_problem_section(outputs),
        build_overlay_section(outputs),
        build_lesion_section(outputs),
        build_activity_section(outputs),
        build_trend_section(outputs, measured_error),
        build_change_section(outputs, measured_error),
        build_cord_section(outputs, measured_error),
        build_volume_section(outputs),
        build_error_section(measured_error),
        build_input_section(outputs),
        build_method_section(outputs),
        build_version_section(outputs),
    )
    return tuple(section for section in sections if section is not None)


def render_report(outputs: ParticipantOutputs, sections: Sequence[Section]) -> str:
    """Return the whole page as HTML."""
    verdicts = {session.verdict for session in outputs.sessions}
    overall = next(verdict for verdict in WORST_FIRST if verdict in verdicts)
    return render(
        "report.html.j2",
        outputs=outputs,
        sections=sections,
        verdict=overall,
        outcome=describe_outcome(outputs.sessions, outputs.failures),
    )
