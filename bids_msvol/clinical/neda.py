# SPDX-License-Identifier: Apache-2.0
"""No evidence of disease activity (NEDA) over an interval, with each of its parts: true, false or not known."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from bids_msvol.clinical.course import Relapse
from bids_msvol.clinical.events import History

BVL_CUTOFF_PCT_PER_YEAR = 0.4
"""Brain volume loss below which NEDA-4 holds. 80 % of healthy adults lose less, measured with SIENA (De Stefano et al.
2016, Journal of Neurology, Neurosurgery and Psychiatry 87:93-99); a less precise measure calls more of them ill."""

VISIT_GAP_DAYS = 90.0
"""A clinical visit this near to the end of an interval speaks for it."""


@dataclass(frozen=True)
class ImagingActivity:
    """Lesion activity at the end of an interval, against its start; ``None`` for what was not measured.

    Attributes
    ----------
    new_t2, enlarging_t2
        Number of new and of enlarging T2 lesions. Where they were counted together, give the sum as both.
    gd
        Number of lesions that take up gadolinium.
    """

    new_t2: int | None = None
    enlarging_t2: int | None = None
    gd: int | None = None

    def __post_init__(self) -> None:
        for name in ("new_t2", "enlarging_t2", "gd"):
            count = getattr(self, name)
            if count is not None and not count >= 0:
                raise ValueError(f"{name} is {count}; a number of lesions is at least 0, and None if not counted")


@dataclass(frozen=True)
class Neda:
    """NEDA over an interval. Each part is ``True`` if there is no activity, ``False`` if there is, ``None`` if unknown.

    Attributes
    ----------
    start_day, end_day
        The interval, from after its first day to its last.
    no_relapse
        No relapse began in it.
    no_worsening
        No confirmed worsening began in it; the confirmation may lie after it.
    no_new_t2, no_enlarging_t2, no_gd
        No such lesion at its end.
    no_brain_loss
        Brain volume loss below the cut-off.
    gd_required
        Whether NEDA is unknown without gadolinium.
    """

    start_day: float
    end_day: float
    no_relapse: bool | None
    no_worsening: bool | None
    no_new_t2: bool | None
    no_enlarging_t2: bool | None
    no_gd: bool | None
    no_brain_loss: bool | None
    gd_required: bool = True

    @property
    def no_imaging_activity(self) -> bool | None:
        """No new or enlarging T2 lesion, and no lesion with gadolinium."""
        gd = True if self.no_gd is None and not self.gd_required else self.no_gd
        return all_of((self.no_new_t2, self.no_enlarging_t2, gd))

    @property
    def neda3(self) -> bool | None:
        """No relapse, no confirmed worsening, no imaging activity."""
        return all_of((self.no_relapse, self.no_worsening, self.no_imaging_activity))

    @property
    def neda4(self) -> bool | None:
        """NEDA-3 and little brain volume loss."""
        return all_of((self.neda3, self.no_brain_loss))


def all_of(parts: Iterable[bool | None]) -> bool | None:
    """Return whether all parts hold: ``False`` if one fails, else ``None`` if one is unknown (Kleene's logic)."""
    seen = tuple(parts)
    if False in seen:
        return False
    return None if None in seen else True


def assess_neda(
    start_day: float,
    end_day: float,
    *,
    relapses: Iterable[Relapse] | None = None,
    history: History | None = None,
    imaging: ImagingActivity | None = None,
    brain_change_pct_per_year: float | None = None,
    bvl_cutoff: float = BVL_CUTOFF_PCT_PER_YEAR,
    gd_required: bool = True,
    visit_gap_days: float = VISIT_GAP_DAYS,
) -> Neda:
    """Judge one interval of one person, such as a year between two scans.

    Parameters
    ----------
    start_day, end_day
        The interval, counted like the days of visits and relapses.
    relapses
        All relapses; ``None`` if they were not recorded.
    history
        What the clinical visits show; ``None`` if there are none.
    imaging
        Lesion activity at the end against the start; ``None`` if not measured.
    brain_change_pct_per_year
        Annual change of brain volume, negative for loss; ``None`` if not measured.
    bvl_cutoff
        Loss in % per year from which it counts as activity.
    gd_required
        Whether an interval without gadolinium is unknown; if not, gadolinium counts only where it was given.
    visit_gap_days
        How near to the end, and how soon after the start, a clinical visit must be to speak for the interval.

    Raises
    ------
    ValueError
        If the interval has no length or the cut-off is not above 0.

    References
    ----------
    NEDA-3: Beadnall et al. 2019. NEDA-4: Kappos et al. 2016, Multiple Sclerosis Journal 22:1297-1305.
    """
    if not start_day < end_day:
        raise ValueError(f"the interval from day {start_day:g} to day {end_day:g} has no length")
    if not bvl_cutoff > 0:
        raise ValueError(f"bvl_cutoff is {bvl_cutoff:g}; it is a loss in % per year, above 0")
    imaging = imaging or ImagingActivity()
    loss = None if brain_change_pct_per_year is None else -brain_change_pct_per_year
    return Neda(
        start_day=start_day,
        end_day=end_day,
        no_relapse=None if relapses is None else not any(start_day < relapse.day <= end_day for relapse in relapses),
        no_worsening=None if history is None else _no_worsening(history, start_day, end_day, visit_gap_days),
        no_new_t2=_none_counted(imaging.new_t2),
        no_enlarging_t2=_none_counted(imaging.enlarging_t2),
        no_gd=_none_counted(imaging.gd),
        no_brain_loss=None if loss is None or math.isnan(loss) else loss < bvl_cutoff,
        gd_required=gd_required,
    )


def _none_counted(count: int | None) -> bool | None:
    return None if count is None else count == 0


def _no_worsening(history: History, start_day: float, end_day: float, visit_gap_days: float) -> bool | None:
    if any(event.kind == "CDW" and start_day < event.day <= end_day for event in history.events):
        return False
    if history.unconfirmed is not None and start_day < history.unconfirmed.day <= end_day:
        return None
    if history.stopped_day is not None and history.stopped_day < end_day:
        return None
    # Two visits at least: one to compare with, one that speaks for the end.
    before = [day for day in history.visit_days if day <= start_day + visit_gap_days]
    near_end = [day for day in history.visit_days if day > start_day and abs(day - end_day) <= visit_gap_days]
    return True if before and near_end and before[0] < near_end[-1] else None
