# SPDX-License-Identifier: Apache-2.0
"""All volumes of every session, left beside right, as the volume tables hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bids_msvol.report.section import Section, render
from bids_msvol.report.wording import SUM_DESCRIPTIONS, describe_structure, name_session, split_side
from bids_msvol.structures import ETIV_NAME

if TYPE_CHECKING:
    from bids_msvol.bids.load import ParticipantOutputs, SessionOutputs

ETIV_DESCRIPTION = "the space inside the skull: brain, ventricles and the fluid around the brain"


@dataclass(frozen=True)
class Single:
    """A sum or an unpaired structure."""

    name: str
    volume_mm3: float | None
    volume_pct_etiv: float | None
    description: str


@dataclass(frozen=True)
class Pair:
    """A structure with a left and a right side."""

    name: str
    left_mm3: float | None
    left_pct_etiv: float | None
    right_mm3: float | None
    right_pct_etiv: float | None

    @property
    def asymmetry_pct(self) -> float | None:
        """Left minus right, in per cent of their mean; positive where the left side is larger."""
        if self.left_mm3 is None or self.right_mm3 is None or self.left_mm3 + self.right_mm3 == 0:
            return None
        return 200 * (self.left_mm3 - self.right_mm3) / (self.left_mm3 + self.right_mm3)


@dataclass(frozen=True)
class SessionVolumes:
    """The volumes of one session, and whether there is any number among them."""

    title: str
    measured: bool
    sums: tuple[Single, ...]
    unpaired: tuple[Single, ...]
    pairs: tuple[Pair, ...]


def build_volume_section(outputs: ParticipantOutputs) -> Section:
    """Build the section with the volume tables of every session."""
    html = render("volumes.html.j2", sessions=tuple(collect_volumes(session) for session in outputs.sessions))
    return Section("All volumes", "volumes", html)


def collect_volumes(session: SessionOutputs) -> SessionVolumes:
    """Return the volumes of a session, in the order of its table, sorted into sums, unpaired structures and pairs."""
    names = [str(name) for name in session.volumes["name"]]
    bases = dict.fromkeys(split_side(name)[1] for name in names if split_side(name)[0])
    totals = [name for name in names if name in SUM_DESCRIPTIONS or name == ETIV_NAME]
    unpaired = [name for name in names if split_side(name)[0] is None and name not in totals]
    return SessionVolumes(
        title=name_session(session),
        measured=bool(session.volumes["volume_mm3"].notna().any()),
        sums=tuple(_single(session, name) for name in totals),
        unpaired=tuple(_single(session, name) for name in unpaired),
        pairs=tuple(_pair(session, base) for base in bases),
    )


def _single(session: SessionOutputs, name: str) -> Single:
    description = ETIV_DESCRIPTION if name == ETIV_NAME else SUM_DESCRIPTIONS.get(name, "")
    return Single(describe_structure(name), session.volume_mm3(name), session.volume_pct_etiv(name), description)


def _pair(session: SessionOutputs, base: str) -> Pair:
    left, right = f"Left-{base}", f"Right-{base}"
    return Pair(
        describe_structure(base),
        session.volume_mm3(left),
        session.volume_pct_etiv(left),
        session.volume_mm3(right),
        session.volume_pct_etiv(right),
    )
