# SPDX-License-Identifier: Apache-2.0
"""The quality checks of every session: what needs a look comes first, with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bids_msvol.measurement import WORST_FIRST
from bids_msvol.report.section import Section, render
from bids_msvol.report.wording import describe_structure, format_number, name_session, split_side
from bids_msvol.structures import ETIV_NAME, STRUCTURES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bids_msvol.bids.load import ParticipantOutputs, SessionOutputs
    from bids_msvol.measurement import Verdict

METRIC_NAMES: Mapping[str, str] = {
    "cnr_gm_wm": "Contrast of grey against white matter (over noise)",
    "snr_wm": "Signal of white matter (over noise)",
    "bias_range_pct": "Uneven brightness across the head (%)",
    "affine_scale": "Volume of the head against the template (ratio)",
    "prior_agreement": "Agreement of atlas and image (1 is best)",
    "jacobian_min": "Strongest local deformation of the atlas (1 is none)",
    "mean_displacement_mm": "Mean deformation of the atlas (mm)",
    "brain_cut_pct": "Brain outside the image (%)",
    "skull_present": "Skull in the image (1 is yes)",
    "voxel_longest_edge_mm": "Longest edge of a voxel (mm)",
    "working_voxel_size_mm": "Voxel size during measurement (mm)",
    "etiv_mm3": f"{describe_structure(ETIV_NAME)} (mm³)",
    "whole_brain_mm3": "Whole brain (mm³)",
    "lesions_on_t2w": "Lesions found on T2w for want of a FLAIR",
    "contrast_covers_pct": "Part of the head that the lesion image covers (%)",
    "flair_ventricle_brightness": "Ventricles on FLAIR (white matter is 1)",
    "t2w_ventricle_brightness": "Ventricles on T2w (white matter is 1)",
}
"""Quality metrics as a reader says them."""


@dataclass(frozen=True)
class Check:
    """One quality check as the report shows it."""

    name: str
    value: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class SessionChecks:
    """The checks of one session: the flagged ones, worst first, and the passed ones."""

    title: str
    verdict: Verdict
    flagged: tuple[Check, ...]
    passed: tuple[Check, ...]


def build_quality_section(outputs: ParticipantOutputs) -> Section:
    """Build the section with the quality checks of every session."""
    html = render("quality.html.j2", sessions=tuple(collect_checks(session) for session in outputs.sessions))
    return Section("Quality checks", "quality", html)


def collect_checks(session: SessionOutputs) -> SessionChecks:
    """Return the quality checks of a session, sorted into flagged and passed."""
    checks = [
        Check(describe_metric(row["metric"]), format_number(row["value"]), row["verdict"], row["reason"])
        for row in session.quality.to_dict("records")
    ]
    flagged = sorted(
        (check for check in checks if check.verdict != "pass"), key=lambda check: WORST_FIRST.index(check.verdict)
    )
    passed = tuple(check for check in checks if check.verdict == "pass")
    return SessionChecks(name_session(session), session.verdict, tuple(flagged), passed)


def describe_metric(metric: str) -> str:
    """Return the name of a quality metric as a reader says it; one that is not known keeps its words.

    Examples
    --------
    >>> describe_metric("left_inf_lat_vent_mm3")
    'Left inferior lateral ventricle (mm³)'
    >>> describe_metric("something_else")
    'Something else'
    """
    if metric in METRIC_NAMES:
        return METRIC_NAMES[metric]
    for structure in STRUCTURES:
        if metric == f"{structure.name.replace('-', '_').lower()}_mm3":
            side, _ = split_side(structure.name)
            name = describe_structure(structure.name)
            return f"{side} {name[0].lower()}{name[1:]} (mm³)" if side else f"{name} (mm³)"
    words = metric.replace("_", " ")
    return words[:1].upper() + words[1:]
