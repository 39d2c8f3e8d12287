# SPDX-License-Identifier: Apache-2.0
"""The group level on simulated studies: false positives where nothing is planted, and what is found of what is."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.claim import Findings, Options, Table, number, verdict
from bids_msvol.demo.cohort_making import SimulatedCohort, make_cohort
from bids_msvol.demo.cohort_shape import without_effects
from bids_msvol.demo.cohort_shapes import SHAPES
from bids_msvol.group.assemble import assemble
from bids_msvol.group.plan import Plan, Regions, Statistics
from bids_msvol.group.result import Analysis, CannotAnalyseError
from bids_msvol.group.run import analysis_module
from bids_msvol.group.study import Study

LEVEL = 0.05
TARGET = (0.035, 0.065)
"""Where the share of p values up to ``LEVEL`` must lie if nothing is planted."""

NULL_STUDIES, PLANTED_STUDIES, LABELLED_PERSONS = 1000, 200, 4000
QUICK_NULL, QUICK_PLANTED, QUICK_PERSONS = 20, 10, 200

NULL_SEED, PLANTED_SEED = 100_000, 200_000
"""First seeds; each study has its own."""

WORST_BIAS, LEAST_FOUND, MOST_FALSE = 3.0, 0.8, 0.1
"""A mean slope may be so many Monte Carlo errors from what is planted; what is planted is found in this share of the
studies at least, and what is not in this share at most."""

PLAN = Plan(
    statistics=Statistics(permutations=199),
    regions=Regions(
        atrophy=("Thalamus", "Cortex", "Cerebellum"),
        volumes=("Thalamus", "Cortex", "Cerebellum"),
        cord_levels=("C2-C3", "C5"),
    ),
)
"""Few regions and permutations, for speed: with 199, p values are exact to 0.005, and 0.05 is one of them."""

SLOPES_PLAN = Plan(
    regions=Regions(atrophy=("Thalamus", "DeepGray", "Cerebellum", "CerebellarCortex", "LateralVentricle", "Caudate"))
)

ALL_LEVELS_PLAN = Plan(statistics=PLAN.statistics)


@dataclass(frozen=True, eq=False)
class Test:
    """The p values of one test: which cells of which table.

    Attributes
    ----------
    words
        What is tested.
    analysis, table, column
        Name of the analysis, file of its table, and column of p.
    rows
        Columns that must have these values (any of several).
    """

    words: str
    analysis: str
    table: str
    column: str = "p"
    rows: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


NULL_TESTS: Mapping[str, tuple[Test, ...]] = {
    "treatment": (
        Test("new lesions and yearly change, groups against each other: mixed model", "lesions_yearly",
             "lme_newT2.tsv", "p_interaction"),
        Test("the same, persons as units", "lesions_yearly", "lme_newT2.tsv", "p_person_interaction"),
        Test("new lesions and yearly change within a group: mixed model", "lesions_yearly", "lme_newT2.tsv"),
        Test("new lesions and volume, groups against each other: mixed model of levels", "lesions_yearly",
             "lme_levels.tsv", "p_interaction", {"lesions": ("new_t2",)}),
        Test("lesions of the first scan and change over 1 year", "lesions_baseline", "ols_baselineT2_1y.tsv",
             rows={"data": ("all",)}),
        Test("lesions of the first scan and change over 3 years", "lesions_baseline", "ols_baselineT2_3y.tsv",
             rows={"data": ("all",)}),
        Test("years with and without NEDA-3: permutation of persons", "activity_atrophy", "neda_mw.tsv",
             rows={"group": ("all",)}),
        Test("years with and without relapse: permutation of persons", "activity_atrophy", "relapse_mw.tsv",
             rows={"group": ("all",)}),
        Test("rates of atrophy of two groups (Welch)", "atrophy_rates", "atrophy_rates.tsv", "p_welch"),
        Test("relapse rates of two groups (quasi-Poisson)", "relapse_rates", "arr_ratios.tsv",
             rows={"model": ("quasi-Poisson",)}),
        Test("time to the first relapse (log-rank)", "time_to_event", "time_to_event_tests.tsv",
             rows={"test": ("log-rank",), "endpoint": ("relapse",)}),
    ),
    "progression": (
        Test("rates of PIRA, RAW and stable persons (F)", "progression", "progression_rates.tsv",
             rows={"term": ("omnibus",)}),
        Test("rates of PIRA against stable persons", "progression", "progression_rates.tsv",
             rows={"term": ("PIRA - stable",)}),
        Test("rates and change of EDSS and SDMT (Spearman)", "progression", "progression_scales.tsv"),
    ),
    "networks": (
        Test("volumes of three groups (analysis of covariance)", "group_volumes", "ancova.tsv",
             rows={"comparison": ("all groups",)}),
        Test("volumes of two groups (analysis of covariance)", "group_volumes", "ancova.tsv",
             rows={"comparison": ("MS - HC", "NMOSD - HC")}),
        Test("network, largest difference of a connection", "covariance_network", "scn_tests.tsv",
             rows={"statistic": ("largest_dz",)}),
        Test("network, all connections together", "covariance_network", "scn_tests.tsv",
             rows={"statistic": ("sum_dz",)}),
        Test("network, additional against missing connections", "covariance_network", "scn_tests.tsv",
             rows={"statistic": ("asymmetry",)}),
    ),
    "cord": (
        Test("cord of six groups (mixed model, F)", "cord_levels", "cord_levels.tsv",
             rows={"comparison": ("all groups",), "normalisation": ("raw",)}),
        Test("cord of two groups (mixed model)", "cord_levels", "cord_levels.tsv",
             rows={"comparison": ("CIS - HC", "late RRMS - HC", "SPMS - PPMS"), "normalisation": ("raw",)}),
        Test("change of the cord of two groups (mixed model)", "cord_levels", "cord_rates.tsv",
             rows={"kind": ("difference",)}),
    ),
    "disability": (
        Test("correlation of brain and cord, strata against each other", "brain_cord", "brain_cord_r_difference.tsv",
             rows={"roi": ("WholeBrain",)}),
        Test("EDSS 2 to 2.5 against 3 to 3.5 (area under the curve)", "brain_cord", "roc.tsv",
             rows={"adjustment": ("adjusted",)}),
    ),
}  # fmt: skip
"""By the study that they are run on."""


@dataclass(frozen=True, eq=False)
class Finding:
    """Something that is, or is not, to be found in a study in which it is, or is not, planted.

    Attributes
    ----------
    words
        What it is.
    shape
        The study.
    test
        The cells; found if one of them, or all of them, is at most ``LEVEL``.
    need_all
        Whether all must be.
    planted
        Whether it is planted.
    """

    words: str
    shape: str
    test: Test
    need_all: bool = False
    planted: bool = True


_LEVELS = ("C1", "C2", "C3", "C4", "C5", "C6", "C7")


def _cord(words: str, comparison: str, levels: Sequence[str], *, planted: bool = True) -> Finding:
    rows = {"comparison": (comparison,), "normalisation": ("raw",), "level": tuple(levels)}
    test = Test(words, "cord_levels", "cord_levels.tsv", "q_bh", rows)
    return Finding(words, "cord", test, need_all=planted, planted=planted)


def _edges(words: str, comparison: str, nodes: tuple[str, ...]) -> Finding:
    both = tuple(f"{side}-{node}" for node in nodes for side in ("Left", "Right"))
    rows = {"comparison": (comparison,), "node_1": both, "node_2": both}
    return Finding(words, "networks", Test(words, "covariance_network", "scn_edges.tsv", "p_fwer", rows))


FINDINGS: tuple[Finding, ...] = (
    _edges("thalamus with hippocampus and amygdala in MS: a connection after correction for all", "MS - HC",
           ("Thalamus", "Hippocampus", "Amygdala")),
    _edges("within the striatum in NMOSD: a connection after correction for all", "NMOSD - HC",
           ("Caudate", "Putamen", "Pallidum")),
    Finding("smaller thalamus in MS", "networks",
            Test("", "group_volumes", "ancova.tsv", "q_bh", {"comparison": ("MS - HC",), "roi": ("Thalamus",)})),
    Finding("smaller thalamus in NMOSD", "networks",
            Test("", "group_volumes", "ancova.tsv", "q_bh", {"comparison": ("NMOSD - HC",), "roi": ("Thalamus",)}),
            planted=False),
    _cord("thinner cord in late relapsing MS, C1 to C5, at each", "late RRMS - HC", _LEVELS[:5]),
    _cord("thinner cord in SPMS, C1 to C7, at each", "SPMS - HC", _LEVELS),
    _cord("thinner cord in isolated syndromes, at any", "CIS - HC", _LEVELS, planted=False),
    Finding("brain and cord go together less at an EDSS of 4 and more than at 2 to 3.5", "disability",
            Test("", "brain_cord", "brain_cord_r_difference.tsv", "p", {
                "roi": ("WholeBrain",), "scheme": ("three strata",),
                "comparison": ("moderate to severe (EDSS 4 or more) - mild to moderate (EDSS 2-3.5)",)})),
    Finding("the cord tells EDSS 2 to 2.5 from 3 to 3.5", "disability",
            Test("", "brain_cord", "roc.tsv", "p", {"roi": ("C2-C3",), "adjustment": ("adjusted",)})),
    Finding("the whole brain tells them apart", "disability",
            Test("", "brain_cord", "roc.tsv", "p", {"roi": ("WholeBrain",), "adjustment": ("adjusted",)}),
            planted=False),
    Finding("faster loss of the thalamus with PIRA than in stable persons", "progression",
            Test("", "progression", "progression_rates.tsv", "q_bh",
                 {"term": ("PIRA - stable",), "roi": ("Thalamus",)})),
)  # fmt: skip


def run(options: Options) -> Findings:
    """Simulate studies without and with effects and analyse each as the group level does."""
    null, planted, persons = (
        (QUICK_NULL, QUICK_PLANTED, QUICK_PERSONS)
        if options.quick
        else (NULL_STUDIES, PLANTED_STUDIES, LABELLED_PERSONS)
    )
    header = ("figure", "value", "target", "verdict")
    return Findings(
        claim="The group level on simulated studies of the form of published ones: how often its tests find something "
        "where nothing is planted, whether its slopes are those planted, and which planted differences it finds.",
        data="synthetic studies drawn by `python -m bids_msvol.demo.cohort`, each with a seed of its own, read as the "
        "tables of a real study are",
        tables=(
            Table(
                ("test", "study", "p values", "p up to 0.05", "Monte Carlo error", "target", "verdict"),
                tuple(_null_rows(null)),
                f"False positives in {null} studies of each form without any effect",
            ),
            Table(
                ("slope on new lesions", "planted", "mean found", "bias in Monte Carlo errors", "target", "verdict"),
                tuple(_slope_rows(planted)),
                f"Yearly change for each new lesion, % of intracranial volume, in {planted} studies",
            ),
            Table(header, tuple(_label_rows(persons)), f"Activity and events, {persons} persons in each study"),
            Table(
                ("difference", "planted", "studies in which it is found", "target", "verdict"),
                tuple(_finding_rows(planted)),
                f"What is found in {planted} studies of each form",
            ),
        ),
        notes=(
            "The Monte Carlo error counts each study once, however many p values it gives.",
            f"The three regions, two levels of the cord and {PLAN.statistics.permutations} permutations of the null "
            "studies are fewer than the program's own, for speed.",
        ),
    )


def _null_rows(count: int) -> Iterator[tuple[str, ...]]:
    for name, tests in NULL_TESTS.items():
        # Groups that differ in their course are the subject of some studies; of that of treatments, none may.
        shape = without_effects(SHAPES[name], same_course=name == "treatment")
        shares: dict[Test, list[float]] = defaultdict(list)
        counted: dict[Test, int] = defaultdict(int)
        for number_of in range(count):
            study = assemble(make_cohort(shape, seed=NULL_SEED + number_of).tables, PLAN)
            for test, values in collect(study, PLAN, tests).items():
                counted[test] += len(values)
                if values:
                    shares[test].append(float(np.mean([p <= LEVEL for p in values])))
        for test in tests:
            yield _null_row(test, name, shares[test], counted[test])


def _null_row(test: Test, shape: str, shares: Sequence[float], counted: int) -> tuple[str, ...]:
    target = f"{TARGET[0]} to {TARGET[1]}"
    if len(shares) < 2:
        return test.words, shape, str(counted), "n/a", "n/a", target, "miss"
    share, error = float(np.mean(shares)), float(np.std(shares, ddof=1) / math.sqrt(len(shares)))
    middle, half = (TARGET[0] + TARGET[1]) / 2.0, (TARGET[1] - TARGET[0]) / 2.0
    judged = verdict(abs(share - middle), half, "at most")
    return test.words, shape, str(counted), number(share, 3), number(error, 3), target, judged


def collect(study: Study, plan: Plan, tests: Iterable[Test]) -> dict[Test, list[float]]:
    """Run each analysis once and return the p values of every test; those that could not be tested are left out."""
    done: dict[str, Analysis | None] = {}
    for name in {test.analysis for test in tests}:
        try:
            done[name] = analysis_module(name).analyse(study, plan)
        except CannotAnalyseError:
            done[name] = None
    return {test: [] if (one := done[test.analysis]) is None else list(_values(one, test)) for test in tests}


def _values(analysis: Analysis, test: Test) -> Iterator[float]:
    for row in _rows(analysis, test):
        value = row.get(test.column)
        if isinstance(value, float | int) and math.isfinite(value):
            yield float(value)


def _rows(analysis: Analysis, test: Test) -> Iterator[Mapping[str, object]]:
    """Yield the rows of a test.

    Raises
    ------
    KeyError
        If there is no such table, or it has no such columns: a test that was renamed must not pass unseen.
    """
    declared = {one.file_name: one for one in analysis_module(analysis.name).TABLES}
    if test.table not in declared:
        raise KeyError(f"{analysis.name} has no table {test.table}")
    lacking = {test.column, *test.rows} - {column.name for column in declared[test.table].columns}
    if lacking:
        raise KeyError(f"{test.table} has no column {', '.join(sorted(lacking))}")
    for row in (row for one in analysis.tables if one.table.file_name == test.table for row in one.rows):
        if all(str(row.get(name)) in wanted for name, wanted in test.rows.items()):
            yield row


def _slope_rows(count: int) -> Iterator[tuple[str, ...]]:
    """Compare the slopes of the mixed model with those planted."""
    test = Test("", "lesions_yearly", "lme_newT2.tsv", "beta")
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    planted: dict[tuple[str, str], float] = {}
    for index in range(count):
        cohort = make_cohort("treatment", seed=PLANTED_SEED + index)
        analysis = analysis_module(test.analysis).analyse(assemble(cohort.tables, SLOPES_PLAN), SLOPES_PLAN)
        for row in _rows(analysis, test):
            key = str(row["group"]), str(row["roi"])
            value = row["beta"]
            if isinstance(value, float) and math.isfinite(value):
                found[key].append(value)
                planted[key] = cohort.truth.effect(key[0], "per_lesion", key[1])
    for (group, roi), values in sorted(found.items()):
        mean, error = float(np.mean(values)), float(np.std(values, ddof=1) / math.sqrt(len(values)))
        bias = (mean - planted[group, roi]) / error
        words = (f"{roi} in {group}", number(planted[group, roi], 4), number(mean, 4), number(bias, 1, sign=True))
        yield *words, f"{WORST_BIAS:g} at most", verdict(abs(bias), WORST_BIAS, "at most")


def _label_rows(persons: int) -> Iterator[tuple[str, ...]]:
    """Count how many labels and events are those planted."""
    for name in (name for name, shape in SHAPES.items() if shape.years > 0):
        cohort = make_cohort(name, persons=persons, seed=PLANTED_SEED)
        study = assemble(cohort.tables, PLAN)
        for words, recovered, total in (*_neda(cohort, study), *_events(cohort, study)):
            share = recovered / total if total else math.nan
            value = f"{100.0 * share:.2f} % of {total}"
            yield f"{name}: {words}", value, "100 %", verdict(share, 1.0, "at least")


def _neda(cohort: SimulatedCohort, study: Study) -> Iterator[tuple[str, int, int]]:
    keys = ["participant_id", "session_id_from", "session_id_to"]
    both = study.intervals.merge(cohort.truth.intervals, on=keys, suffixes=("", "_truth"))
    pairs = list(zip(both["neda3"], both["neda3_truth"], strict=True))
    known = [(one, other) for one, other in pairs if other is not None]
    unknown = [(one, other) for one, other in pairs if other is None]
    yield "NEDA-3 where it can be known", sum(one is other for one, other in known), len(known)
    yield "NEDA-3 left open where it cannot", sum(one is None for one, _ in unknown), len(unknown)


def _events(cohort: SimulatedCohort, study: Study) -> Iterator[tuple[str, int, int]]:
    found = {
        (person, event.association or event.kind, event.day)
        for person, history in study.histories.items()
        for event in history.events
    }
    events = cohort.truth.events[cohort.truth.events["confirmed"]]
    planted = set(zip(events["participant_id"], events["kind"], events["days"], strict=True))
    for kind in ("PIRA", "RAW"):
        own = {one for one in planted if one[1] == kind}
        yield f"{kind} found", len(own & found), len(own)
    yield "events found that were planted", len(found & planted), len(found)


def _finding_rows(count: int) -> Iterator[tuple[str, ...]]:
    hits: dict[Finding, int] = defaultdict(int)
    for name in dict.fromkeys(one.shape for one in FINDINGS):
        own = [one for one in FINDINGS if one.shape == name]
        plan = ALL_LEVELS_PLAN if name == "cord" else PLAN
        for index in range(count):
            study = assemble(make_cohort(name, seed=PLANTED_SEED + index).tables, plan)
            values = collect(study, plan, [one.test for one in own])
            for one in own:
                judge: Callable[[Iterable[object]], bool] = all if one.need_all else any
                cells = values[one.test]
                hits[one] += bool(cells) and judge(p <= LEVEL for p in cells)
    for one in FINDINGS:
        share = hits[one] / count
        side = "at least" if one.planted else "at most"
        limit = LEAST_FOUND if one.planted else MOST_FALSE
        words = (f"{one.shape}: {one.words}", "yes" if one.planted else "no", number(share), f"{limit:g} {side}")
        yield *words, verdict(share, limit, "at least" if one.planted else "at most")
