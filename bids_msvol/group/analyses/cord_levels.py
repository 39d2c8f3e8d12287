# SPDX-License-Identifier: Apache-2.0
"""The cord, level by level: who has how much, how fast it shrinks, and how it goes with disability."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.group.analyses.cord_levels_groups import make_cord_groups
from bids_msvol.group.analyses.cord_levels_rates import find_rates, rate_rows
from bids_msvol.group.analyses.cord_levels_rows import (
    HEAD_FREE,
    RAW,
    Setting,
    compare_level,
    edss_rows,
    mean_rows,
)
from bids_msvol.group.analyses.cord_levels_words import find_limits, say_findings, say_methods
from bids_msvol.group.analyses.cord_models import cord_rows
from bids_msvol.group.analyses.rate_means import CHOICE
from bids_msvol.group.cells import as_count, as_float, has_number
from bids_msvol.group.covariates import choose_covariates
from bids_msvol.group.figures.cord import LevelPoint, draw_profile, draw_rates
from bids_msvol.group.result import (
    COUNTS,
    FAMILY,
    GROUP,
    INTERVAL,
    NOTES,
    Analysis,
    CannotAnalyseError,
    Figure,
    Q,
    ResultTable,
    number,
    p_column,
    with_q,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from bids_msvol.group.plan import Plan
    from bids_msvol.group.study import Study

NAME = "cord_levels"
TITLE = "Spinal cord area by level"

LEAST_DRAWN = 5
"""Persons with a rate of a group whose mean rate is drawn."""

LEVEL = Column("level", "Vertebral level of the cord; C2-C3 is the stretch around the disc between the two.")
NORMALISATION = Column(
    "normalisation",
    "Whether areas are as they are or free of head size.",
    levels={RAW: "mm2 as measured", HEAD_FREE: "at the mean intracranial volume, by the residual method"},
)
SE, DF = number("se", "Standard error."), number("df", "Degrees of freedom (Satterthwaite's in a mixed model).")
PCT_INTERVAL = (
    number("pct_lo", "Lower end of its confidence interval, by the delta method.", "percent"),
    number("pct_hi", "Upper end of its confidence interval, by the delta method.", "percent"),
)
FIT = (
    Column(
        "model", "Mixed model with a random intercept for each person, or analysis of covariance of one session each."
    ),
)

LEVELS_TABLE = Table(
    "Groups compared at each level of the cord",
    "cord_levels.tsv",
    "One row for each level, normalisation and comparison of groups.",
    (
        LEVEL, NORMALISATION,
        Column("comparison", "Which groups; the second is subtracted. 'all groups' is the test of any difference."),
        *FIT, *COUNTS,
        Column("n_lower", "Number of persons in the group that is subtracted.", "integer"),
        Column("n_upper", "Number of persons in the other.", "integer"),
        number("difference_mm2", "Difference of the adjusted means.", "mm^2"), SE, *INTERVAL,
        number("f", "F statistic of the test of all groups."),
        number("df_between", "Its degrees of freedom above the line."),
        DF, p_column(), Q,
        number("difference_pct", "The difference in per cent of the adjusted mean that is subtracted from.", "percent"),
        *PCT_INTERVAL,
        number("effect_size", "The difference over the standard deviation of one area, given the covariates."),
        number("partial_eta2", "Share of the variance that the groups take, of what the covariates leave."),
        p_column("p_welch", "Welch's test of the persons' adjusted mean areas: does not assume equal spreads."),
        FAMILY, *NOTES,
    ),
)  # fmt: skip

MEANS_TABLE = Table(
    "Adjusted mean cord areas",
    "cord_means.tsv",
    "One row for each level, normalisation and group.",
    (
        LEVEL, NORMALISATION, GROUP, *COUNTS,
        number("coverage_pct", "Share of the group's persons with cord areas who have this level.", "percent"),
        number("mean_mm2", "Adjusted mean at the first session and the mean of the covariates.", "mm^2"), SE, *INTERVAL,
        DF,
        number("raw_mean_mm2", "Mean of persons, not adjusted, not free of head size.", "mm^2"),
        number("raw_sd_mm2", "Standard deviation of persons, likewise.", "mm^2"),
        NOTES[1],
    ),
)  # fmt: skip

RATES_TABLE = Table(
    "Change of cord area a year",
    "cord_rates.tsv",
    "One row for each level and group, comparison of groups, or dependence on disease duration, from the same rates of "
    "persons as in atrophy_rates.",
    (
        LEVEL,
        Column("kind", "What is estimated.", levels={
            "rate": "change of a group a year",
            "difference": "difference of two such changes",
            "duration": "how the change depends on disease duration, in patients",
        }),
        Column("group", "Group, comparison, or what the change depends on."),
        *COUNTS,
        Column("n_followed", "Number of persons with two scans of the level half a year apart or more.", "integer"),
        number("years_median", "Median time from their first to their last scan.", "year"),
        number("pct_per_year", "Estimate: mean of the persons' rates, each weighted by its precision.", "percent/year"),
        number("se", "Standard error."),
        number("pct_lo", "Lower end of its confidence interval.", "percent/year"),
        number("pct_hi", "Upper end of its confidence interval.", "percent/year"),
        number("df", "Degrees of freedom (of Bell and McCaffrey; of a difference, Welch's)."), p_column(), Q,
        number("plain_mean", "The same with each person counting the same.", "percent/year"),
        number("rate_mm2_per_year", "The weighted mean of the slopes of the areas themselves.", "mm^2/year"),
        number("noise_sd", "Standard deviation of the error of one person's rate, the median of the persons; n/a where "
               "too few have three scans.", "percent/year"),
        FAMILY, *NOTES,
    ),
)  # fmt: skip

EDSS_TABLE = Table(
    "Cord area and EDSS",
    "cord_edss.tsv",
    "One row for each level and group of patients.",
    (
        LEVEL, GROUP, *COUNTS,
        number("rho", "Spearman's partial correlation of area and EDSS, given the covariates."), *INTERVAL, DF,
        p_column(), Q,
        number("slope_mm2_per_point", "Adjusted linear slope.", "mm^2"),
        number("slope_lo", "Lower end of its confidence interval.", "mm^2"),
        number("slope_hi", "Upper end of its confidence interval.", "mm^2"),
        p_column("p_slope", "Two-sided p value of the slope."),
        FAMILY, *NOTES,
    ),
)  # fmt: skip

TABLES: tuple[Table, ...] = (LEVELS_TABLE, MEANS_TABLE, RATES_TABLE, EDSS_TABLE)


def analyse(study: Study, plan: Plan) -> Analysis:
    """Compare cord areas between groups at each level, over time, and with EDSS.

    Raises
    ------
    CannotAnalyseError
        If there are no cord areas, or none of the levels of the plan was measured in three persons of a group.
    """
    groups = make_cord_groups(study, plan)
    rows = cord_rows(study, groups)
    levels = tuple(dict.fromkeys(plan.regions.cord_levels))
    rows = rows.assign(**{level: float("nan") for level in levels if level not in rows})
    persons = rows.drop_duplicates("participant_id")
    covariates = choose_covariates(persons, ("age", "sex", "site"), persons["group"])
    setting = Setting(groups, covariates, levels, plan.statistics.level)
    kinds = (RAW, HEAD_FREE) if rows["etiv_mm3"].notna().any() else (RAW,)
    followed = find_rates(study, rows, levels)
    compared, means, rates, edss = [], [], [], []
    for level in levels:
        for kind in kinds:
            model, found = compare_level(rows, level, kind, setting)
            compared += found
            means += mean_rows(rows, level, kind, model, setting)
        rates += rate_rows(followed, level, setting)
        edss += edss_rows(rows, level, setting)
    if all(row.get("mean_mm2") is None for row in means):
        raise CannotAnalyseError("no level of the cord was measured in three persons of one group")
    levels_done, rates_done, edss_done = with_q(compared), with_q(rates), with_q(edss)
    sidecar = {
        "Covariates": list(covariates.names),
        "Model": "area ~ group + years + covariates + (1 | person), REML, Satterthwaite; ANCOVA for one session each",
        "ConfidenceLevel": plan.statistics.level,
        "Families": "C2-C3, primary: all comparisons; the levels, secondary: each comparison over all levels",
    }
    rate_model = sidecar | {"Model": f"mean of persons' rates: {CHOICE}"}
    edss_model = sidecar | {"Model": "Spearman's partial correlation; area ~ EDSS + covariates at the first session"}
    return Analysis(
        name=NAME,
        title=TITLE,
        question="At which levels of the cervical cord do the groups differ, how fast does the cord shrink, and how "
        "does it go with disability?",
        methods=say_methods(setting, kinds, levels_done),
        findings=say_findings(setting, levels_done, rates_done, edss_done),
        limits=find_limits(setting, means, rates_done, rows, study),
        tables=(
            ResultTable(LEVELS_TABLE, levels_done, sidecar),
            ResultTable(MEANS_TABLE, tuple(means), sidecar),
            ResultTable(RATES_TABLE, rates_done, rate_model),
            ResultTable(EDSS_TABLE, edss_done, edss_model),
        ),
        figures=_figures(setting, means, rates_done, rows),
    )


def _figures(
    setting: Setting,
    means: Sequence[Mapping[str, object]],
    rates: Sequence[Mapping[str, object]],
    rows: pd.DataFrame,
) -> tuple[Figure, ...]:
    order = setting.groups.order
    people = rows.groupby("group")["participant_id"].nunique()
    counts = {name: int(people.get(name, 0)) for name in order}
    shown = " (" + ", ".join(f"{name} n = {count}" for name, count in counts.items()) + ")"
    profile = _points([row for row in means if row["normalisation"] == RAW], "mean_mm2")
    adjusted = f"adjusted for {setting.covariates.text()}"
    figures = [
        Figure(
            "cord_profile",
            f"Cord area by level: adjusted means ({adjusted}) with {100 * setting.confidence:g} % confidence intervals"
            f"{shown}. The number of persons differs by level and is written below.",
            "Area in mm2 on the vertical axis, levels of the cord on the horizontal axis, one line for each group.",
            partial(draw_profile, profile, setting.levels, counts),
        )
    ]
    groups = [row for row in rates if row["kind"] == "rate" and as_count(row, "n_followed") >= LEAST_DRAWN]
    change = _points(groups, "pct_per_year", "pct_lo", "pct_hi", "n_followed")
    if change:
        figures.append(
            Figure(
                "cord_rates",
                f"Change of cord area in per cent a year by level: means of the persons' rates, weighted by precision, "
                f"with {100 * setting.confidence:g} % confidence intervals. n: persons with a rate; groups with fewer "
                f"than {LEAST_DRAWN} at a level are not drawn there.",
                "Per cent a year on the vertical axis, levels of the cord on the horizontal axis, one mark for each "
                "group; below zero the cord shrinks.",
                partial(draw_rates, change, setting.levels, list(order)),
            )
        )
    return tuple(figures)


def _points(
    rows: Sequence[Mapping[str, object]], value: str, low: str = "ci_lo", high: str = "ci_hi", count: str = "n_sub"
) -> list[LevelPoint]:
    return [
        LevelPoint(
            level=str(row["level"]),
            group=str(row["group"]),
            value=as_float(row, value),
            low=as_float(row, low),
            high=as_float(row, high),
            count=as_count(row, count),
        )
        for row in rows
        if has_number(row, value)
    ]
