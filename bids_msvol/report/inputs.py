# SPDX-License-Identifier: Apache-2.0
"""What was measured and why: the chosen images, the ones left out, and the scanner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bids_msvol.report.section import Section, render
from bids_msvol.report.wording import describe_day, format_number, name_session

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from bids_msvol.bids.load import ParticipantOutputs, SessionOutputs
    from bids_msvol.bids.records import IgnoredScan

_SCANNER_NAMES: Mapping[str, str] = {
    "Manufacturer": "Scanner manufacturer",
    "ManufacturersModelName": "Scanner model",
    "MagneticFieldStrength": "Field strength (tesla)",
    "SoftwareVersions": "Scanner software",
    "RepetitionTime": "Repetition time (s)",
    "EchoTime": "Echo time (s)",
    "InversionTime": "Inversion time (s)",
    "FlipAngle": "Flip angle (degrees)",
}


@dataclass(frozen=True)
class SessionInputs:
    """The inputs of one session: facts as name and text, and the images that were left out."""

    title: str
    facts: tuple[tuple[str, str], ...]
    ignored: tuple[IgnoredScan, ...]


def build_input_section(outputs: ParticipantOutputs) -> Section:
    """Build the section on inputs and choices."""
    html = render("inputs.html.j2", sessions=tuple(collect_inputs(session) for session in outputs.sessions))
    return Section("Images used, and why", "inputs", html)


def build_problem_section(outputs: ParticipantOutputs) -> Section | None:
    """Build the section on what could not be measured at all, or return ``None`` where there is nothing to tell."""
    if not outputs.skipped and not outputs.failures:
        return None
    html = render("problems.html.j2", skipped=outputs.skipped, failures=outputs.failures)
    return Section("Not measured", "problems", html)


def collect_inputs(session: SessionOutputs) -> SessionInputs:
    """Return what the report says of the inputs of a session."""
    provenance = session.provenance
    facts = [
        ("When", describe_day(provenance.days)),
        ("Image measured", provenance.chosen_scan),
        ("Why this image", provenance.choice),
        *((f"Also present: {contrast}", path) for contrast, path in provenance.other_scans.items()),
        *_describe_scanner(provenance.scanner),
    ]
    if provenance.voxel_size_mm is not None:
        facts.append(
            (
                "Voxel size",
                " \N{MULTIPLICATION SIGN} ".join(format_number(edge) for edge in provenance.voxel_size_mm) + " mm",
            )
        )
    if provenance.skull_stripped:
        facts.append(("Skull", "Already removed in the input; the intracranial volume is less certain for it"))
    return SessionInputs(name_session(session), tuple(facts), provenance.ignored)


def _describe_scanner(scanner: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    known = [(name, scanner[key]) for key, name in _SCANNER_NAMES.items() if key in scanner]
    others = [(key, value) for key, value in scanner.items() if key not in _SCANNER_NAMES]
    described = tuple((name, str(value)) for name, value in (*known, *others))
    return described or (("Scanner", "The image's description (JSON) does not say"),)
