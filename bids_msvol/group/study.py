# SPDX-License-Identifier: Apache-2.0
"""What all analyses of the group level work on: people, scans, volumes, cord areas, intervals and events of a study.

It is assembled by `bids_msvol.group.assemble` and never changed; an analysis takes what it needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd

    from bids_msvol.bids.lesion_space import LesionFiles
    from bids_msvol.clinical.events import History

DAYS_PER_YEAR = 365.25

ChangeUnit = Literal["pct_etiv", "pct"]
"""``pct_etiv``: points of per cent of the intracranial volume; ``pct``: per cent of the earlier volume."""


@dataclass(frozen=True)
class FlowStep:
    """How many were left out, and why.

    Attributes
    ----------
    reason
        In words, such as ``scanned less than 56 days after steroids``.
    persons, scans
        How many it concerns. A person is counted where all of the person's scans are left out by it.
    """

    reason: str
    persons: int
    scans: int


@dataclass(frozen=True, eq=False)
class Study:
    """The data of one run of the group level, after exclusions. ``None`` and NaN mean not known, never 0.

    Attributes
    ----------
    persons
        One row a person, by ``participant_id``: ``group`` (text; ``None`` if not known), ``phenotype``, ``treatment``,
        ``sex`` (F or M), ``site``, ``age``, ``onset_age``, ``disease_duration`` (years, at the first session),
        ``n_prior_dmt``, ``education_years``, ``etiv_mm3`` (median of the sessions), ``is_control``.
    sessions
        One row a session, numbered, by person and then day: ``participant_id``, ``session_id``, ``days``, ``years``
        (since the person's baseline; below 0 before it), ``year`` (the nearest whole number of these), ``age``,
        ``disease_duration``, ``edss``, ``sdmt``, ``nhpt``, ``t25fw``, ``pasat``, ``rnfl_um``, ``gcipl_um`` (mean of the
        eyes without optic neuritis), ``new_t2``, ``enlarging_t2``, ``gd``, ``t2_count``, ``lesion_volume_mm3``,
        ``etiv_mm3`` (the person's), ``has_scan`` (whether it has volumes or cord areas that may be used),
        ``excluded_because`` (text, empty if it is not). Counts are floats. A person who was not seen at the baseline
        has a session of that day, called ``baseline``, on which nothing was measured.
    volumes_mm3
        One row a session with usable volumes, by the number of the session; one column for each row of the tables of
        volumes (``Left-Thalamus``, ``WholeBrain``) and each region of `bids_msvol.group.regions`.
    cord_mm2
        One row a session with usable cord areas, by the number of the session; columns ``C1`` to ``C7``, ``C2-C3``,
        ``C1-C7``.
    thickness_mm
        One row a session with cortical thickness: ``lh``, ``rh`` and ``mean``, and regions where given.
    intervals
        One row for each interval from scan to scan of a person (see `bids_msvol.group.intervals`), numbered:
        ``participant_id``, ``from_row``, ``to_row`` (numbers of the sessions), ``session_id_from``, ``session_id_to``,
        ``start_day``, ``end_day``, ``years``, ``year`` (in which one since the person's baseline, from 1, its middle
        lies), ``is_year`` (whether it counts as a year), ``relapses`` (number that began in it), ``edss_from``,
        ``edss_to``, ``new_t2``, ``enlarging_t2``, ``gd`` (at its end or start, as the plan says), and truth values or
        ``None``: ``no_relapse``, ``no_worsening``, ``no_new_t2``, ``no_enlarging_t2``, ``no_gd``, ``no_brain_loss``,
        ``neda3``, ``neda4``; ``brain_pct_per_year``.
    measured_change_mm3
        Change measured from pairs of images: one row a pair, by ``(from_row, to_row)``, columns as ``volumes_mm3``;
        ``None`` if change is the difference of volumes.
    measured_change_pct
        The same in per cent of the earlier volume.
    visits
        Clinical visits: ``participant_id``, ``days``, ``edss``, ``sdmt``, ``nhpt``, ``t25fw``.
    relapses
        ``participant_id``, ``days``; ``None`` if relapses were not recorded.
    histories
        EDSS events by person, for those with visits, by the definition of the plan.
    flow
        Who was left out, in order, after a first row with everybody.
    group_name
        The column of the participants that made the groups.
    lesion_source
        In words, who counted lesions.
    change_source
        In words, where change comes from.
    notes
        What a reader should know of how the data were taken.
    lesion_files
        Lesion masks by the number of the session, where the participant level made them.
    """

    persons: pd.DataFrame
    sessions: pd.DataFrame
    volumes_mm3: pd.DataFrame
    cord_mm2: pd.DataFrame
    thickness_mm: pd.DataFrame
    intervals: pd.DataFrame
    measured_change_mm3: pd.DataFrame | None
    measured_change_pct: pd.DataFrame | None
    visits: pd.DataFrame
    relapses: pd.DataFrame | None
    histories: Mapping[str, History]
    flow: tuple[FlowStep, ...]
    group_name: str
    lesion_source: str
    change_source: str
    notes: tuple[str, ...] = ()
    lesion_files: Mapping[int, LesionFiles] = field(default_factory=dict)

    def groups(self) -> tuple[str, ...]:
        """Return the groups, in the order in which they are shown."""
        return tuple(str(name) for name in self.persons["group"].cat.categories)

    def reference_group(self) -> str | None:
        """Return the group that others are compared with; ``None`` if there is one group only."""
        groups = self.groups()
        return groups[0] if len(groups) > 1 else None

    def of_person(self, rows: pd.DataFrame, *columns: str) -> pd.DataFrame:
        """Return rows that have ``participant_id`` with columns of the table of persons added."""
        extra = self.persons.loc[rows["participant_id"], list(columns)].set_axis(rows.index)
        return rows.assign(**{name: extra[name] for name in columns})

    def percent_etiv(self, regions: Sequence[str]) -> pd.DataFrame:
        """Return volumes in per cent of the person's intracranial volume, by the number of the session."""
        etiv = self.sessions.loc[self.volumes_mm3.index, "etiv_mm3"]
        return self.volumes_mm3[list(regions)].mul(100.0).div(etiv, axis=0)

    def change(
        self, from_rows: Sequence[int], to_rows: Sequence[int], regions: Sequence[str], unit: ChangeUnit
    ) -> pd.DataFrame:
        """Return the change between pairs of sessions: one row a pair, in order; NaN where either was not measured.

        Parameters
        ----------
        from_rows, to_rows
            (pair,) numbers of the sessions.
        regions
            Columns of ``volumes_mm3``.
        unit
            Later minus earlier volume, in which unit.
        """
        from bids_msvol.group.change import change_between

        return change_between(self, from_rows, to_rows, list(regions), unit)

    def spans(self, years: float, tolerance_days: float) -> pd.DataFrame:
        """Return for each person the first usable scan and the one nearest to so many years later.

        Returns
        -------
        pandas.DataFrame
            ``participant_id``, ``from_row``, ``to_row``, ``years``; people without such a pair are left out.
        """
        from bids_msvol.group.change import find_spans

        return find_spans(self, years, tolerance_days)
