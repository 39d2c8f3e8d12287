# SPDX-License-Identifier: Apache-2.0
"""What progression says it found: classes in an order fixed beforehand, and the direction of relations with scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bids_msvol.group.analyses.progression_classes import (
    CLASSES,
    CORD,
    LEAST_IN_SENTENCE,
    PRIMARY_REGIONS,
    say_place,
)
from bids_msvol.group.cells import (
    THICKNESS,
    Row,
    as_count,
    as_float,
    has_number,
    interval_of,
    say_cell,
    say_chances,
)
from bids_msvol.group.regions import REGIONS
from bids_msvol.group.wording import say_count, say_list, say_number, say_some

Q_LIMIT = 0.05
"""False discovery rate below which a result is said to stand."""

WORSENING: Mapping[str, float] = {"EDSS": 1.0, "SDMT": -1.0}
"""Sign of a change of the scale for the worse. Loss is expected to go with worsening: smaller structures, and wider
fluid, where the EDSS rises and where the SDMT falls."""

_UNITS = {"percent/year": "% a year", "mm/year": "mm a year"}

Rows = Sequence[Mapping[str, object]]


def say_class_findings(rows: Rows, level: float) -> tuple[str, ...]:
    """Return what was found between classes: the whole brain first, or before it that nothing stands.

    Parameters
    ----------
    rows
        Of the table of rates by class.
    level
        Of the intervals.
    """
    table = {(str(row["roi"]), str(row["term"])): row for row in rows}
    present = [*dict.fromkeys(str(row["roi"]) for row in rows)]
    first = next((name for name in (*PRIMARY_REGIONS, *present) if name in present), None)
    if first is None:
        return ()
    terms = {
        **{f"{name} against stable": f"{name} - {CLASSES[0]}" for name in ("PIRA", "RAW")},
        "all classes together": "omnibus",
    }
    said = {
        label: [table[region, term] for region in present if _may_be_said(table, region, term)]
        for label, term in terms.items()
    }
    said = {label: found for label, found in said.items() if found}
    if not said:
        return (f"Classes of progression could not be compared. {_say_region(table, first, level)}",)
    stand = {label: [row for row in found if as_float(row, "q_bh") < Q_LIMIT] for label, found in said.items()}
    findings = []
    if not any(stand.values()):
        tests = ", ".join(f"{label} in {say_count(len(found), 'region')}" for label, found in said.items())
        findings.append(
            f"No difference between classes of progression stands after correction (q < {Q_LIMIT:g}; {tests}); "
            "uncorrected p values are exploratory."
        )
    findings.append(_say_region(table, first, level))
    label, term = next(iter(said)), terms[next(iter(said))]
    others = [name for name in PRIMARY_REGIONS if name != first and _may_be_said(table, name, term)]
    parts = [_say_difference(table[name, term], level, say_place(name)) for name in others if term != "omnibus"]
    if parts:
        findings.append(f"{label} in the other primary regions: {'; '.join(parts)}.")
    if any(stand.values()):
        held = "; ".join(
            f"{label} in {say_some([say_place(str(row['roi'])) for row in found])}" if found else f"{label} in none"
            for label, found in stand.items()
        )
        families = len({str(row["family"]) for found in said.values() for row in found})
        within = f"within each of {families} families of tests, not across them"
        findings.append(f"After correction these stand (q < {Q_LIMIT:g} {within}): {held}.")
    if CORD in present and first != CORD:
        findings.append(_say_region(table, CORD, level))
    return tuple(findings)


def _count(table: Mapping[tuple[str, str], Row], region: str, name: str) -> int:
    row = table.get((region, f"mean {name}"))
    return as_count(row, "n_sub") if row else 0


def _may_be_said(table: Mapping[tuple[str, str], Row], region: str, term: str) -> bool:
    """Whether a test was done, and none of its classes has too few persons for a sentence."""
    row = table.get((region, term))
    if row is None or not has_number(row):
        return False
    if term == "omnibus":
        compared = [name for name in CLASSES if has_number(table[region, f"mean {name}"], "estimate")]
    else:
        compared = term.split(" - ")
    return all(_count(table, region, name) >= LEAST_IN_SENTENCE for name in compared)


def _say_region(table: Mapping[tuple[str, str], Row], region: str, level: float) -> str:
    """Say the rate of each class, with its persons, and each against stable people; who is too few is named."""
    means, few = [], []
    for name in CLASSES:
        row, count = table[region, f"mean {name}"], _count(table, region, name)
        if count >= LEAST_IN_SENTENCE:
            rate = say_cell(row, "estimate" if has_number(row, "estimate") else "raw_mean")
            means.append(f"{name} {rate} {_unit(row)} (n = {count})")
        elif count or name != CLASSES[-1]:
            few.append(f"{name}: {say_count(count, 'person')}, too few to compare")
    place = say_place(region)
    parts = [f"{place[0].upper()}{place[1:]}: {', '.join(means)}"] if means else []
    for name in ("PIRA", "RAW"):
        term = f"{name} - {CLASSES[0]}"
        if _may_be_said(table, region, term):
            parts.append(_say_difference(table[region, term], level, f"{name} against stable", effect=True))
    if _may_be_said(table, region, "omnibus"):
        row = table[region, "omnibus"]
        degrees = f"F({as_float(row, 'df_between'):g}, {as_float(row, 'df'):g})"
        parts.append(f"all classes together {degrees} = {say_cell(row, 'f')}, {say_chances(row)}")
    adjusted = str(table[region, "omnibus"]["covariates"])
    tested = f" (adjusted for {adjusted})" if len(parts) > 1 and adjusted != "none" else ""
    return "; ".join([f"{'; '.join(parts)}{tested}", *few] if parts else few) + "."


def _say_difference(row: Row, level: float, label: str, *, effect: bool = False) -> str:
    size = f"Hedges' g {say_cell(row, 'hedges_g', 2)}, " if effect else ""
    return f"{label} {say_cell(row, 'estimate')} {_unit(row)} ({interval_of(row, level)}; {size}{say_chances(row)})"


def _unit(row: Row) -> str:
    return _UNITS[str(row["unit"])]


def say_scale_findings(rows: Rows, level: float) -> tuple[str, ...]:
    """Return how change of each scale goes with the whole brain, and with what stands after correction."""
    findings = []
    for scale in WORSENING:
        tested = [row for row in rows if row["scale"] == scale and has_number(row)]
        if not tested:
            continue
        order = [name for name in PRIMARY_REGIONS if any(row["roi"] == name for row in tested)]
        first = next((row for row in tested if order and row["roi"] == order[0]), tested[0])
        kind = "partial rank correlation" if first.get("rank_adjusted") == "group" else "rank correlation"
        held = sorted((row for row in tested if as_float(row, "q_bh") < Q_LIMIT), key=lambda row: as_float(row, "p"))
        others = [row for row in held if row is not first]
        sentence = (
            f"Change of {scale} and {say_place(str(first['roi']))}: {_say_direction(first, scale)} ({kind}, "
            f"{_say_rho(first, level)}; n = {first['n_sub']})."
        )
        if not held:
            least = min(as_float(row, "q_bh") for row in tested)
            after = f" Over {say_count(len(tested), 'region')} nothing stands after correction (least q = {least:.2g})."
        elif others:
            clearest = others[0]
            more = say_some([say_place(str(row["roi"])) for row in others[1:]])
            listed = f"; also for {more}" if more else ""
            after = (
                f" Of {say_count(len(tested), 'region')}, the clearest that stands after correction: "
                f"{_say_direction(clearest, scale)} ({_say_rho(clearest, level)}){listed}."
            )
        else:
            after = f" Of {say_count(len(tested), 'region')} it alone stands after correction."
        findings.append(sentence + after)
    return tuple(findings)


def _say_rho(row: Row, level: float) -> str:
    return f"rho {say_cell(row, 'rho', 2)}, {interval_of(row, level, digits=2)}; {say_chances(row)}"


def _say_direction(row: Row, scale: str) -> str:
    """Say which way it goes; nothing is said of a direction that the test does not show."""
    rho, region = as_float(row, "rho"), str(row["roi"])
    if not as_float(row, "p") < 0.05:
        return "no clear relation"
    fluid = region in REGIONS and REGIONS[region].is_fluid
    # Positive: the scale worsens where the structure is larger at the end.
    larger = rho * WORSENING[scale] > 0.0
    change = ("grew more" if larger else "grew less") if fluid else ("shrank less" if larger else "shrank more")
    place = f"the {say_place(region)}"
    if region == THICKNESS:
        place, change = "the cortex", "thinned less" if larger else "thinned more"
    meant = "as expected" if larger == fluid else "against expectation"
    return f"{scale} worsened more where {place} {change}, {meant}"


def say_oct_findings(rows: Rows, level: float) -> tuple[str, ...]:
    """Return the clearest relation of the retina if any stands after correction; else that none does."""
    tested = [row for row in rows if has_number(row)]
    if not tested:
        return ()
    held = [row for row in tested if as_float(row, "q_bh") < Q_LIMIT]
    if not held:
        least = say_number(min(as_float(row, "q_bh") for row in tested), 2)
        return (f"OCT: of {say_count(len(tested), 'test')} none stands after correction (least q = {least}).",)
    first = min(held, key=lambda row: as_float(row, "p"))
    return (
        f"OCT: {len(held)} of {say_count(len(tested), 'test')} stand after correction, most clearly {first['measure']} "
        f"and {say_place(str(first['roi']))} ({first['relation']}): {say_cell(first, 'estimate')} {first['unit']} for "
        f"each standard deviation ({interval_of(first, level)}; {say_chances(first)}; "
        f"{say_count(as_count(first, 'n_sub'), 'person')}).",
    )


def say_primary_regions() -> str:
    """Return the primary regions in their order."""
    return say_list([say_place(name) for name in PRIMARY_REGIONS])
