# SPDX-License-Identifier: Apache-2.0
"""The analysis plan: every choice of the group level, with the default that does all that the data allow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bids_msvol.clinical.definitions import UnconfirmedLast

LesionLag = Literal["end", "start"]
"""Which lesion counts go with the change over an interval: those of the scan at its end, or at its start."""

LesionSource = Literal["auto", "clinic", "images"]
"""Who counted lesions: ``clinic``, the columns of the clinical tables; ``images``, the participant level; ``auto``, the
clinical tables if they have any count, else the participant level. The two are never mixed."""

HeadSize = Literal["covariate", "residual", "proportion", "none"]
"""How volumes are compared in heads of different size: the intracranial volume as a covariate, the residual of a
regression on it, per cent of it, or not at all."""

Baseline = Literal["auto", "treatment", "first_session"]

ChangeSource = Literal["auto", "images", "volumes"]
"""Where change comes from: ``images``, measured from pairs of images; ``volumes``, the difference of two volumes;
``auto``, from pairs of images where any table has it, else differences. The two are never mixed."""

YesNo = Literal["auto", "yes", "no"]

ANALYSES: tuple[str, ...] = (
    "baseline_groups", "yearly_course", "disease_activity", "relapse_rates", "time_to_event", "definitions_compared",
    "lesions_yearly", "lesions_baseline", "activity_atrophy", "atrophy_rates", "progression", "group_volumes",
    "covariance_network", "cord_levels", "brain_cord", "lesion_maps",
)  # fmt: skip
"""All analyses, in the order of the report; each is a module of this package."""


@dataclass(frozen=True)
class Groups:
    """Who is compared with whom.

    Attributes
    ----------
    by
        Column of the participants that makes the groups; ``auto``: the first of ``treatment``, ``group`` and
        ``phenotype`` with at least two values among those with volumes or cord areas.
    order
        Groups in the order in which they are shown; those not named follow in alphabetical order.
    reference
        The group that others are compared with; empty: healthy controls where there are any, else the first.
    controls
        Values of the column that mean healthy controls.
    """

    by: str = "auto"
    order: tuple[str, ...] = ()
    reference: str = ""
    controls: tuple[str, ...] = ("HC", "control", "controls", "healthy", "Control", "CON")


@dataclass(frozen=True)
class Exclusions:
    """Which scans are left out.

    Attributes
    ----------
    steroid_washout_days
        A scan sooner after intravenous steroids than this is left out.
    failed_quality
        Whether scans whose verdict is ``fail`` are left out.
    exclude_if
        Conditions such as ``new_t2>20``: what meets one is analysed as well as left out, in two rows of each table.
    """

    steroid_washout_days: float = 56.0
    failed_quality: bool = True
    exclude_if: tuple[str, ...] = ()


@dataclass(frozen=True)
class Intervals:
    """How time is cut.

    Attributes
    ----------
    year_days
        Shortest and longest interval that counts as a year, in days.
    per_year
        Whether changes over such an interval are divided by its length in years.
    spans_years
        Changes from the first scan on that are related to the lesions of the first scan, in years.
    span_tolerance_days
        How far a scan may be from the end of such a span.
    visit_gap_days
        How far a clinical visit may be from a scan to speak for it.
    baseline
        When follow-up begins: at the start of treatment (``treatment``), the first session (``first_session``), or
        ``auto``: at the start of treatment if at least half of those with one have a session around it.
    baseline_window_days
        How long before and after the start of treatment a session is its baseline.
    rebaseline_days
        The first scan that counts is the first one at least so long after the start of treatment; below 0: no such
        rule.
    change
        Where change comes from: measured from pairs of images, or the difference of two volumes.
    """

    year_days: tuple[float, float] = (270.0, 460.0)
    per_year: bool = True
    spans_years: tuple[float, ...] = (1.0, 3.0)
    span_tolerance_days: float = 180.0
    visit_gap_days: float = 90.0
    baseline: Baseline = "auto"
    baseline_window_days: tuple[float, float] = (365.0, 60.0)
    rebaseline_days: float = -1.0
    change: ChangeSource = "auto"


@dataclass(frozen=True)
class Activity:
    """What counts as disease activity.

    Attributes
    ----------
    definition
        Name of a definition of progression in `bids_msvol.clinical.definitions`.
    unconfirmed_last
        What to make of a worsening that no later visit can confirm: not known, none, or one.
    bvl_cutoff_pct_per_year
        Loss of brain volume from which NEDA-4 fails.
    gd_required
        Whether NEDA is unknown without gadolinium; ``auto``: if gadolinium was counted in any scan.
    lesion_source
        Who counted lesions.
    lesion_lag
        Whether the lesions of the scan at the end or at the start of an interval go with the change over it.
    """

    definition: str = "default"
    unconfirmed_last: UnconfirmedLast = "na"
    bvl_cutoff_pct_per_year: float = 0.4
    gd_required: YesNo = "auto"
    lesion_source: LesionSource = "auto"
    lesion_lag: LesionLag = "end"


@dataclass(frozen=True)
class Statistics:
    """How tests are done.

    Attributes
    ----------
    level
        Of confidence intervals.
    permutations
        Number of permutations.
    seed
        Of every random choice.
    head_size
        How volumes are compared in heads of different size: the intracranial volume as a covariate, the residual of a
        regression on it, per cent of it, or not at all.
    student
        Whether the tests of the tables of groups are shown as in older papers: Student's t in place of Welch's.
    """

    level: float = 0.95
    permutations: int = 5000
    seed: int = 20250101
    head_size: HeadSize = "covariate"
    student: bool = False


@dataclass(frozen=True)
class Regions:
    """Which regions of the brain are analysed, by their names in `bids_msvol.group.regions`.

    Attributes
    ----------
    atrophy
        In the analyses of change.
    volumes
        In the comparison of groups.
    network
        Rows of the tables of volumes between which connections are looked for.
    cord_levels
        Levels of the cord.
    """

    atrophy: tuple[str, ...] = (
        "TotalWhite", "WholeBrain", "Cerebellum", "Cortex", "DeepGray", "TotalGray", "Thalamus", "Caudate", "Putamen",
        "Hippocampus", "Amygdala", "CerebellarCortex", "LateralVentricle",
    )  # fmt: skip
    volumes: tuple[str, ...] = (
        "WholeBrain", "TotalGray", "TotalWhite", "Cortex", "DeepGray", "Thalamus", "Caudate", "Putamen", "Pallidum",
        "Hippocampus", "Amygdala", "Accumbens", "Cerebellum", "BrainStem", "LateralVentricle",
    )  # fmt: skip
    network: tuple[str, ...] = (
        "Left-Thalamus", "Right-Thalamus", "Left-Caudate", "Right-Caudate", "Left-Putamen", "Right-Putamen",
        "Left-Pallidum", "Right-Pallidum", "Left-Hippocampus", "Right-Hippocampus", "Left-Amygdala", "Right-Amygdala",
        "Left-Accumbens-area", "Right-Accumbens-area",
    )  # fmt: skip
    cord_levels: tuple[str, ...] = ("C1", "C2", "C3", "C4", "C5", "C6", "C7", "C2-C3")


@dataclass(frozen=True)
class Plan:
    """Every choice of the group level; see the attributes of its parts.

    Attributes
    ----------
    analyses
        Those that are done, by name.
    """

    analyses: tuple[str, ...] = ANALYSES
    groups: Groups = field(default_factory=Groups)
    exclusions: Exclusions = field(default_factory=Exclusions)
    intervals: Intervals = field(default_factory=Intervals)
    activity: Activity = field(default_factory=Activity)
    statistics: Statistics = field(default_factory=Statistics)
    regions: Regions = field(default_factory=Regions)
