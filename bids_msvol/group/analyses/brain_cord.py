# SPDX-License-Identifier: Apache-2.0
"""The cord beside the brain: whether they shrink together, and which of them goes with disability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from bids_msvol.bids.tabular import Column, Table
from bids_msvol.group.analyses.brain_cord_rows import (
    BRAIN,
    CORD,
    MEASURES,
    THREE_STRATA,
    Setting,
    correlation_rows,
    difference_rows,
    loss_rows,
    measure_label,
    roc_rows,
    scores,
    within,
)
from bids_msvol.group.analyses.brain_cord_words import find_limits, say_findings, say_methods
from bids_msvol.group.cells import as_count, as_float, say_cell, say_chance
from bids_msvol.group.covariates import choose_covariates
from bids_msvol.group.figures.cord import Bar, Stratum, draw_brain_cord, draw_loss
from bids_msvol.group.figures.roc import AreaPoint, Curve, draw_areas, draw_curves
from bids_msvol.group.result import (
    COUNTS,
    FAMILY,
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
from bids_msvol.stats.roc import roc_curve

if TYPE_CHECKING:
    from bids_msvol.group.plan import Plan
    from bids_msvol.group.study import Study

NAME = "brain_cord"
TITLE = "Brain and spinal cord by disability"

LEAST_PATIENTS = 10
"""With fewer patients there is nothing to correlate in strata."""

CURVES_SHOWN = 3
"""ROC curves drawn: the cord, the brain, and the best of the others."""

WHO = {True: "controls", False: "patients"}

ROI = Column("roi", f"Region of the brain, or {CORD} for the area of the cord.")
SCHEME = Column("scheme", "How patients were divided by EDSS, in three or in two; the second is a second look.")
DF = number("df", "Degrees of freedom.")

CORRELATION_TABLE = Table(
    "Correlation of cord and brain by disability",
    "brain_cord_r.tsv",
    "One row for each region of the brain and stratum of EDSS: its correlation with the area of the cord.",
    (
        ROI, SCHEME, Column("stratum", "Whose correlation."), *COUNTS,
        number("r", "Pearson's correlation of cord area and the measure of the brain."), *INTERVAL, DF, p_column(), Q,
        number("rho", "Spearman's correlation."),
        number("rho_lo", "Lower end of its confidence interval."), number("rho_hi", "Upper end."),
        p_column("p_rho", "Its two-sided p value."),
        Column("n_partial", "Number of persons with all covariates.", "integer"),
        number("partial_r", "Pearson's partial correlation, given what the column 'given' names."),
        number("partial_lo", "Lower end of its confidence interval."), number("partial_hi", "Upper end."),
        p_column("p_partial", "Its two-sided p value."),
        Column("given", "What the partial correlation holds constant in these persons: intracranial volume only where "
               "all of them have one."),
        FAMILY, *NOTES,
    ),
)  # fmt: skip

DIFFERENCE_TABLE = Table(
    "Correlation of cord and brain compared between strata",
    "brain_cord_r_difference.tsv",
    "One row for each region of the brain and pair of strata.",
    (
        ROI, SCHEME, Column("comparison", "Which strata; the second named is subtracted."), COUNTS[1],
        Column("n_lower", "Number of persons in the stratum that is subtracted.", "integer"),
        Column("n_upper", "Number of persons in the other.", "integer"),
        number("r_lower", "Correlation in the stratum that is subtracted."), number("r_upper", "In the other."),
        number("difference", "Difference of the correlations."), *INTERVAL, 
        p_column("p", "Two-sided p value when persons are exchanged between the strata."), Q,
        number("z", "Fisher's z."), p_column("p_fisher", "Its two-sided p value, which holds for normal data only."),
        Column("permutations", "Number of permutations.", "integer"),
        number("difference_adjusted", "Difference of the partial correlations, given what the column 'given' names."),
        p_column("p_adjusted", "Its two-sided p value by permutation."),
        Column("given", "What the partial correlations hold constant in these persons."),
        FAMILY, NOTES[1],
    ),
)  # fmt: skip

LOSS_TABLE = Table(
    "Less cord and brain by disability",
    "brain_cord_loss.tsv",
    "One row for each measure and stratum of EDSS.",
    (
        ROI, SCHEME, Column("stratum", "Who is compared."),
        Column("reference", "With whom: healthy controls, or the mildest stratum where there are none."), COUNTS[1],
        Column("n_reference", "Number of persons in the reference.", "integer"),
        number("difference_pct", "Adjusted difference in per cent of the reference's adjusted mean.", "percent"),
        *INTERVAL,
        number("difference", "The same in the unit of the measure (mm2, or the brain's)."),
        number("se", "Its standard error."), DF, p_column(), Q,
        number("f_strata", "F statistic of any difference between strata and reference."),
        p_column("p_strata", "Its p value."),
        FAMILY, *NOTES,
    ),
)  # fmt: skip

ROC_TABLE = Table(
    "Who is told apart: EDSS 2-2.5 and 3-3.5",
    "roc.tsv",
    "One row for each measure, adjusted and as measured: the area under its ROC curve.",
    (
        ROI, Column("adjustment", "Residuals on age, sex, site and intracranial volume, or values as measured."),
        COUNTS[1],
        Column("n_positive", "Number of persons with EDSS 3-3.5.", "integer"),
        Column("n_negative", "Number of persons with EDSS 2-2.5.", "integer"),
        number("auc", "Area under the curve; above 0.5 if those with the higher EDSS have less (of fluid: more)."),
        number("se", "Standard error of DeLong."), *INTERVAL,
        p_column("p", "Two-sided p value by permutation of persons."),
        Column("permutations", "Number of permutations.", "integer"), Q,
        p_column("p_delong", "Two-sided p value from the standard error of DeLong."),
        Column("n_pair", "Number of persons with both this measure and the cord.", "integer"),
        number("less_cord", "Area less that of the cord, in the same persons."),
        number("less_cord_lo", "Lower end of its confidence interval."), number("less_cord_hi", "Upper end."),
        p_column("p_less_cord", "Two-sided p value of the paired test of DeLong."),
        FAMILY, NOTES[1],
    ),
)  # fmt: skip

TABLES: tuple[Table, ...] = (CORRELATION_TABLE, DIFFERENCE_TABLE, LOSS_TABLE, ROC_TABLE)


def analyse(study: Study, plan: Plan) -> Analysis:
    """Relate the cord to the brain in people of different disability.

    Raises
    ------
    CannotAnalyseError
        If too few patients have volumes of the brain, an area of the cord and EDSS at one session.
    """
    setting = make_setting(study, plan)
    correlations, differences = with_q(correlation_rows(setting)), with_q(difference_rows(setting))
    losses, areas = with_q(loss_rows(setting)), with_q(roc_rows(setting))
    sidecar = {
        "Cord": f"area of {CORD}, mm2",
        "Brain": "% of the intracranial volume" if setting.in_percent else "mm3",
        "Strata": {bounds.name: [bounds.lowest, bounds.highest] for bounds in THREE_STRATA},
        "Covariates": list(setting.covariates.names),
        "ConfidenceLevel": plan.statistics.level,
        "Seed": plan.statistics.seed,
    }
    return Analysis(
        name=NAME,
        title=TITLE,
        question="Do brain and cord shrink together, also in people with more disability, and which of them tells "
        "neighbouring steps of disability apart?",
        methods=say_methods(setting),
        findings=say_findings(setting, correlations, differences, losses, areas),
        limits=find_limits(setting, areas),
        tables=tuple(
            ResultTable(table, rows, sidecar)
            for table, rows in zip(TABLES, (correlations, differences, losses, areas), strict=True)
        ),
        figures=_figures(setting, correlations, losses, areas),
    )


def make_setting(study: Study, plan: Plan) -> Setting:
    """Take the first session of each person that has brain and cord, and EDSS of patients.

    Raises
    ------
    CannotAnalyseError
        As ``analyse``.
    """
    if CORD not in study.cord_mm2 or BRAIN not in study.volumes_mm3:
        raise CannotAnalyseError(f"there are no areas of the cord at {CORD}, or no volumes of the brain")
    volumes = study.volumes_mm3.reindex(columns=list(MEASURES)).astype(float)
    table = volumes.add_suffix("_mm3").assign(cord=study.cord_mm2[CORD])
    table = table[table["cord"].notna() & table[f"{BRAIN}_mm3"].notna()]
    rows = study.sessions.loc[study.sessions.index.isin(table.index)]
    rows = rows[["participant_id", "session_id", "age", "edss", "etiv_mm3"]].join(table)
    rows = study.of_person(rows, "sex", "site", "is_control")
    healthy = rows["is_control"].astype(bool)
    patients = rows[~healthy & rows["edss"].notna()].drop_duplicates("participant_id")
    controls = rows[healthy].drop_duplicates("participant_id")
    if len(patients) < LEAST_PATIENTS:
        raise CannotAnalyseError(
            f"{len(patients)} patients have brain volumes, an area of the cord at {CORD} and EDSS at one session; "
            f"{LEAST_PATIENTS} are needed"
        )
    in_percent = bool(patients["etiv_mm3"].notna().mean() >= 0.5)
    everybody = pd.concat([patients, controls]).set_index("participant_id", drop=False).rename_axis(None)
    divisor = everybody["etiv_mm3"] / 100.0 if in_percent else 1.0
    everybody = everybody.assign(**{name: everybody[f"{name}_mm3"] / divisor for name in MEASURES})
    return Setting(
        patients=everybody[~everybody["is_control"].astype(bool)],
        controls=everybody[everybody["is_control"].astype(bool)],
        covariates=choose_covariates(everybody, ("age", "sex", "site"), everybody["is_control"].map(WHO)),
        in_percent=in_percent,
        statistics=plan.statistics,
    )


def _figures(
    setting: Setting,
    correlations: Sequence[Mapping[str, object]],
    losses: Sequence[Mapping[str, object]],
    areas: Sequence[Mapping[str, object]],
) -> tuple[Figure, ...]:
    interval = f"{100 * setting.statistics.level:g} % confidence intervals"
    figures = [_scatter(setting, correlations)]
    bars = [
        Bar(measure_label(str(row["roi"])), str(row["stratum"]), *_three(row, "difference_pct"), as_count(row, "n_sub"))
        for row in losses
        if row["scheme"] == "three strata" and row.get("difference_pct") is not None
    ]
    if bars:
        against = str(losses[0]["reference"])
        names = list(dict.fromkeys(bar.measure for bar in bars))
        strata = [bounds.label for bounds in THREE_STRATA if any(bar.stratum == bounds.label for bar in bars)]
        figures.append(
            Figure(
                "brain_cord_loss",
                f"Cord area and brain volumes by disability, against {against}: adjusted differences in per cent with "
                f"{interval}.",
                "Bars of per cent below or above zero for the cord and regions of the brain, one for each stratum.",
                partial(draw_loss, bars, names, strata, f"Difference from\n{against} (%)"),
            )
        )
    points = [
        AreaPoint(
            measure_label(str(row["roi"])),
            *_three(row, "auc"),
            say_chance(row),
            say_chance(row, "q_bh", "q"),
        )
        for row in areas
        if row["adjustment"] == "adjusted" and row.get("auc") is not None
    ]
    if points:
        _, adjusted, people = scores(setting)
        positive = people["edss"] >= 3.0
        counts = next(row for row in areas if row.get("auc") is not None)
        told = f"EDSS 3-3.5 (n = {counts['n_positive']}) from EDSS 2-2.5 (n = {counts['n_negative']})"
        curves = []
        for name, value in _best(areas):
            score = adjusted["cord" if name == CORD else name]
            points_of = roc_curve(score, positive.reindex(score.index))
            curves.append(Curve(measure_label(name), points_of.false_positive, points_of.true_positive, value))
        figures += [
            Figure(
                "roc",
                f"ROC curves: how well cord and brain tell {told}, adjusted for age, sex, site and head size as known.",
                "Steps from the lower left to the upper right corner; the further above the diagonal, the better.",
                partial(draw_curves, curves, told),
            ),
            Figure(
                "roc_areas",
                f"Areas under the ROC curves of all measures ({told}, adjusted), with {interval} by DeLong; p by "
                "permutation, q by Benjamini and Hochberg over these measures.",
                "One line for each measure: a mark and its interval, and a vertical line at 0.5, where nothing is told "
                "apart.",
                partial(draw_areas, points, told),
            ),
        ]
    return tuple(figures)


def _scatter(setting: Setting, correlations: Sequence[Mapping[str, object]]) -> Figure:
    strata = []
    for bounds in THREE_STRATA:
        people = within(setting.patients, bounds).dropna(subset=["cord", BRAIN])
        row = next(one for one in correlations if one["roi"] == BRAIN and one["stratum"] == bounds.label)
        text = "r not known"
        if row.get("r") is not None:
            low, high = (say_cell(row, name, 2) for name in ("ci_lo", "ci_hi"))
            text = f"r = {say_cell(row, 'r', 2)} ({low} to {high}), {say_chance(row)}"
        factor = 1.0 if setting.in_percent else 1e-3
        strata.append(Stratum(bounds.label, factor * people[BRAIN].to_numpy(), people["cord"].to_numpy(), text))
    shown = [stratum for stratum in strata if len(stratum.cord)] or strata[:1]
    label = "Whole brain (% of intracranial volume)" if setting.in_percent else "Whole brain (cm³)"
    return Figure(
        "brain_cord",
        f"Area of the cord at {CORD} against the whole brain, by disability. Lines: least squares; r: Pearson's "
        f"correlation with its {100 * setting.statistics.level:g} % confidence interval; p not corrected.",
        "One panel for each stratum of EDSS, one point for each patient, and a straight line.",
        partial(draw_brain_cord, shown, label, f"Cord area, {CORD} (mm²)", "Pearson's r, not adjusted"),
    )


def _best(areas: Sequence[Mapping[str, object]]) -> list[tuple[str, float]]:
    """Return the cord, the brain and the best of the other measures, adjusted, with their areas."""
    known = {
        str(row["roi"]): as_float(row, "auc") for row in areas if row["adjustment"] == "adjusted" and row.get("auc")
    }
    named = [name for name in (CORD, BRAIN) if name in known]
    others = sorted((name for name in known if name not in named), key=lambda name: -known[name])
    return [(name, known[name]) for name in (named + others)[:CURVES_SHOWN]]


def _three(row: Mapping[str, object], name: str) -> tuple[float, float, float]:
    return as_float(row, name), as_float(row, "ci_lo"), as_float(row, "ci_hi")
