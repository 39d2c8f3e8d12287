# SPDX-License-Identifier: Apache-2.0
"""The cord, level by level: who has how much, how fast it shrinks, and how it goes with disability."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.group.analyses.cord_covariates import choose_covariates
from bids_msvol.group.analyses.cord_groups import make_cord_groups
from bids_msvol.group.analyses.cord_models import cord_rows
from bids_msvol.group.analyses.cord_tests import (
    HEAD_FREE,
    RAW,
    Setting,
    compare_level,
    edss_rows,
    mean_rows,
    rate_rows,
)
from bids_msvol.group.analyses.cord_words import find_limits, say_findings, say_methods
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
    "One row for each level and group, comparison of groups, or dependence on disease duration.",
    (
        LEVEL,
        Column("kind", "What is estimated.", levels={
            "rate": "change of a group a year",
            "difference": "difference of two such changes",
            "duration": "how the change depends on disease duration, in patients",
        }),
        Column("group", "Group, comparison, or what the change depends on."),
        *COUNTS,
        Column("n_followed", "Number of persons with two or more sessions at different times.", "integer"),
        number("years_median", "Median time from their first to their last session.", "year"),
        number("rate_mm2_per_year", "Estimate.", "mm^2/year"), SE, *INTERVAL, DF, p_column(), Q,
        number("pct_per_year", "The same in per cent of the group's adjusted mean at the first session; for a "
               "difference, each group's change in per cent of its own mean.", "percent"),
        *PCT_INTERVAL,
        p_column("p_model", "Two-sided p value of the model alone, which takes the slope to be the same in a group."),
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
    persons = study.persons.loc[rows["participant_id"].unique()]
    covariates = choose_covariates(persons.assign(age=rows.groupby("participant_id")["age"].first()))
    setting = Setting(groups, covariates, levels, plan.statistics.level)
    kinds = (RAW, HEAD_FREE) if rows["etiv_mm3"].notna().any() else (RAW,)
    compared, means, rates, edss = [], [], [], []
    for level in levels:
        for kind in kinds:
            model, found = compare_level(rows, level, kind, setting)
            compared += found
            means += mean_rows(rows, level, kind, model, setting)
        rates += rate_rows(rows, level, setting)
        edss += edss_rows(rows, level, setting)
    if all(row.get("mean_mm2") is None for row in means):
        raise CannotAnalyseError("no level of the cord was measured in three persons of one group")
    levels_done, rates_done, edss_done = with_q(compared), with_q(rates), with_q(edss)
    sidecar = {
        "Covariates": list(covariates.names),
        "Model": "area ~ group + years + covariates + (1 | person), REML, Satterthwaite; ANCOVA for one session each",
        "ConfidenceLevel": plan.statistics.level,
        "Families": "each comparison over all levels",
    }
    rate_model = sidecar | {"Model": "area ~ group + years:group + covariates + (1 | person), REML, Satterthwaite"}
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
    change = _points([row for row in rates if row["kind"] == "rate"], "pct_per_year", "pct_lo", "pct_hi", "n_followed")
    if change:
        figures.append(
            Figure(
                "cord_rates",
                f"Change of cord area in per cent a year by level, from a mixed model ({adjusted}) with "
                f"{100 * setting.confidence:g} % confidence intervals. n: persons with two or more sessions.",
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
            value=float(row[value]),  # type: ignore[arg-type]
            low=float(row[low]),  # type: ignore[arg-type]
            high=float(row[high]),  # type: ignore[arg-type]
            count=int(row[count]),  # type: ignore[call-overload]
        )
        for row in rows
        if row.get(value) is not None
    ]
