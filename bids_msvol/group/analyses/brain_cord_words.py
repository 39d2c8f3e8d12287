# SPDX-License-Identifier: Apache-2.0
"""What brain_cord says: how it was tested, what was found, and what the data cannot carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bids_msvol.group.analyses.brain_cord_rows import (
    BRAIN,
    CORD,
    EVERYBODY,
    HIGHER_EDSS,
    LOWER_EDSS,
    MEASURES,
    THREE_STRATA,
    TWO_STRATA,
    Setting,
    measure_label,
    within,
)
from bids_msvol.group.cells import as_float, has_number, interval_of, say_cell, say_chance, say_chances
from bids_msvol.group.checks import FEW_PERSONS
from bids_msvol.group.covariates import LABELS
from bids_msvol.group.wording import say_count, say_list, say_p

Q_LIMIT = 0.05

Rows = Sequence[Mapping[str, object]]


def say_methods(setting: Setting) -> tuple[str, ...]:
    """Return how it was done."""
    unit = (
        "in per cent of the intracranial volume" if setting.in_percent else "in mm3, for lack of intracranial volumes"
    )
    adjusted = setting.covariates.text()
    head = ["intracranial volume"] if setting.in_percent else []
    held = say_list([*(LABELS[name] for name in setting.covariates.names), *head]) or "nothing"
    measures = say_list([measure_label(one).lower() for one in MEASURES])
    low, high = (f"{bounds.lowest:g}-{bounds.highest:g}" for bounds in (LOWER_EDSS, HIGHER_EDSS))
    return (
        "The first session of each person with brain volumes, an area of the cord and, of patients, EDSS was used.",
        f"The area of the cord at {CORD} (mm2) was correlated with {measures} "
        f"({unit}) by Pearson's correlation with Fisher's interval, and by Spearman's, in patients of three strata: "
        f"{say_list([bounds.label for bounds in THREE_STRATA])}; as a second look, in two: "
        f"{say_list([bounds.label for bounds in TWO_STRATA])}. Partial correlations are given {held}, as far as "
        "all persons of a row have them and they vary; the table says what was given.",
        "Correlations of two strata were compared by permutation of persons between the strata; Fisher's z, which is "
        "too liberal where the measures have heavy tails, is given beside it.",
        f"Differences of each stratum from the reference, in per cent, are adjusted for {adjusted}, the cord "
        "also for intracranial volume where known, by analysis of covariance, with intervals by the delta method.",
        f"How well each measure tells EDSS {high} from {low} is the area under its ROC curve, of residuals on {held}, "
        "with the interval of DeLong and p by permutation of persons; less cord or brain, and more fluid, was taken "
        "beforehand to speak for the higher EDSS. Measures were compared with the cord by the paired test of DeLong.",
        "q values (Benjamini and Hochberg) are over the measures of each stratum, comparison or kind of ROC analysis.",
    )


def say_findings(setting: Setting, correlations: Rows, differences: Rows, losses: Rows, areas: Rows) -> tuple[str, ...]:
    """Return what was found: correlations of the whole brain, their difference, loss, and who is told apart."""
    level = setting.statistics.level
    found = []
    labels = [EVERYBODY, *(bounds.label for bounds in THREE_STRATA)]
    brain = [row for row in correlations if row["roi"] == BRAIN and row["stratum"] in labels and has_number(row)]
    if brain:
        told = "; ".join(
            f"{row['stratum']}: r = {say_cell(row, 'r')} ({interval_of(row, level)}), {say_chances(row)}, "
            f"n = {row['n_sub']}"
            for row in brain
        )
        found.append(f"Cord area and whole brain: {told}.")
    ends = f"{THREE_STRATA[-1].label} - {THREE_STRATA[0].label}"
    pairs = [row for row in differences if row["roi"] == BRAIN and has_number(row)]
    chosen = [row for row in pairs if row["comparison"] == ends] or pairs
    for row in chosen[:1]:
        fisher = say_p(as_float(row, "p_fisher"), "Fisher's z: p")
        found.append(
            f"Correlation of cord and whole brain, {row['comparison']}: difference {say_cell(row, 'difference')} "
            f"({interval_of(row, level)}), {say_chances(row)} ({fisher}), n = {row['n_upper']} and {row['n_lower']}."
        )
    found += _say_loss(losses, setting)
    found += _say_areas(areas, setting)
    return tuple(found) or ("Nothing could be tested.",)


def _say_loss(losses: Rows, setting: Setting) -> list[str]:
    level = setting.statistics.level
    worst = [row for row in losses if row["stratum"] == THREE_STRATA[-1].label and has_number(row)]
    chosen = [row for row in worst if row["roi"] in (CORD, BRAIN)]
    if not chosen:
        return []
    told = "; ".join(
        f"{measure_label(str(row['roi'])).lower() if row['roi'] != CORD else f'cord area at {CORD}'} "
        f"{say_cell(row, 'difference_pct')} % ({interval_of(row, level)}), {say_chances(row)}"
        for row in chosen
    )
    counts = f"n = {chosen[0]['n_sub']} and {chosen[0]['n_reference']}"
    return [f"Difference of {THREE_STRATA[-1].label} from {chosen[0]['reference']}: {told}; {counts}."]


def _say_areas(areas: Rows, setting: Setting) -> list[str]:
    level = setting.statistics.level
    adjusted = [row for row in areas if row["adjustment"] == "adjusted" and has_number(row)]
    if not adjusted:
        return []
    found = []
    low, high = (f"{bounds.lowest:g}-{bounds.highest:g}" for bounds in (LOWER_EDSS, HIGHER_EDSS))
    for row in adjusted:
        if row["roi"] == CORD:
            found.append(
                f"The cord told EDSS {high} (n = {row['n_positive']}) from {low} (n = {row['n_negative']}) with an "
                f"area under the ROC curve of {say_cell(row, 'auc')} ({interval_of(row, level)}), {say_chances(row)}."
            )
        if row["roi"] == BRAIN:
            paired = ""
            if row.get("p_less_cord") is not None:
                ends = interval_of(row, level, "less_cord_lo", "less_cord_hi")
                paired = (
                    f"; less that of the cord {say_cell(row, 'less_cord')} ({ends}), {say_chance(row, 'p_less_cord')}"
                )
            found.append(
                f"The whole brain: {say_cell(row, 'auc')} ({interval_of(row, level)}), {say_chances(row)}{paired}."
            )
    standing = [
        f"{measure_label(str(row['roi']))} ({say_cell(row, 'auc')})"
        for row in adjusted
        if as_float(row, "q_bh") < Q_LIMIT
    ]
    nominal = [
        f"{measure_label(str(row['roi']))} ({say_cell(row, 'auc')}, {say_chance(row)})"
        for row in adjusted
        if as_float(row, "p") < Q_LIMIT <= as_float(row, "q_bh")
    ]
    said = f"After correction over {say_count(len(adjusted), 'measure')} (q < {Q_LIMIT:g})"
    said += f" these tell the two apart: {say_list(standing)}." if standing else " no measure tells the two apart."
    if nominal:
        said += f" Exploratory, p below {Q_LIMIT:g} only without correction: {say_list(nominal)}."
    return [*found, said]


def find_limits(setting: Setting, areas: Rows) -> tuple[str, ...]:
    """Return what the data cannot carry."""
    limits = list(setting.covariates.notes)
    sizes = {bounds.label: len(within(setting.patients, bounds)) for bounds in THREE_STRATA}
    small = [f"{label}: {count}" for label, count in sizes.items() if count < FEW_PERSONS]
    if small:
        limits.append(f"Strata with fewer than {FEW_PERSONS} patients: {say_list(small)}.")
    limits.append(
        "The bounds of the strata are ours: the study that these comparisons follow does not print them. A lower "
        "correlation in one stratum may also come from a narrower range of one of the measures in it."
    )
    if not len(setting.controls):
        limits.append("There are no healthy controls: loss is relative to the mildest stratum.")
    if setting.in_percent and setting.patients["etiv_mm3"].isna().any():
        lost = int(setting.patients["etiv_mm3"].isna().sum())
        limits.append(f"{say_count(lost, 'patient')} without intracranial volume left out of measures of the brain.")
    if not setting.in_percent:
        limits.append("The intracranial volume is not known: the brain is not corrected for head size.")
    empty = [measure_label(one) for one in MEASURES if not setting.patients[one].notna().any()]
    if empty:
        limits.append(f"Not measured: {say_list(empty)}.")
    counted = next((row for row in areas if has_number(row)), None)
    if counted is None:
        limits.append("Too few patients have EDSS 2-2.5 or 3-3.5 for ROC curves.")
    limits.append(
        "Residuals for the ROC curves come from the same persons; areas are those of this sample, not of new persons."
    )
    return tuple(limits)
