# SPDX-License-Identifier: Apache-2.0
"""The group level from the command line: a simulated study goes in, tables, figures and a report come out."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bids_msvol.bids import group_outputs, validator
from bids_msvol.cli import main
from bids_msvol.demo.cohort_files import write_cohort
from bids_msvol.demo.cohort_making import make_cohort
from bids_msvol.group.run import analysis_module
from bids_msvol.group.study import Study

QUICK_PLAN = """
analyses = ["baseline_groups", "disease_activity", "lesions_baseline", "group_volumes", "cord_levels"]
[statistics]
permutations = 199
[regions]
atrophy = ["Thalamus"]
volumes = ["WholeBrain", "Thalamus"]
"""

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a small simulated trial, as the command that makes one does."""
    root = tmp_path_factory.mktemp("cohort") / "study"
    write_cohort(make_cohort("treatment", 24, seed=3), root)
    (root / "plan.toml").write_text(QUICK_PLAN, encoding="utf-8")
    return root


def run(cohort: Path, output: Path, *flags: str) -> int:
    return main([str(cohort / "bids"), str(output), "group", "--analysis-plan", str(cohort / "plan.toml"), *flags])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.fixture(scope="module")
def results(cohort: Path) -> Path:
    """Run the group level once; the derivatives that the cohort came with are its output folder."""
    output = cohort / "derivatives" / "bids_msvol"
    assert run(cohort, output, "--exclude-if", "new_t2>20") == 0
    return output


def test_tables_figures_report_and_plan_are_there(results: Path) -> None:
    """What was done is written, with sidecars; what the data do not allow is in the report."""
    names = {path.name for path in (results / "group").glob("*.tsv")}
    assert {"table1.tsv", "table1_tests.tsv", "patient_years.tsv", "neda.tsv", "ancova.tsv", "flow.tsv"} <= names
    assert "cord_levels.tsv" not in names
    for table in (results / "group").glob("*.tsv"):
        sidecar = json.loads(table.with_suffix(".json").read_text(encoding="utf-8"))
        assert set(rows(table)[0]) <= set(sidecar), table.name
    assert list((results / "group" / "figures").glob("*.svg"))
    report = (results / "group.html").read_text(encoding="utf-8")
    assert "No session has a cord area" in report
    assert "permutations = 199" in (results / "group" / "plan.toml").read_text(encoding="utf-8")
    assert list((results / "logs").glob("*_group_config.toml"))


def test_flagged_scans_stand_apart(results: Path) -> None:
    """With --exclude-if every table has both sets of rows; the planted scan with many lesions is in one only."""
    table = rows(results / "group" / "ols_baselineT2_1y.tsv")
    assert {row["data_set"] for row in table} == {"all", "excluded"}
    persons = {kind: [int(row["n_sub"]) for row in table if row["data_set"] == kind] for kind in ("all", "excluded")}
    assert max(persons["excluded"]) == max(persons["all"]) - 1


def test_exclusions_are_counted(results: Path, cohort: Path) -> None:
    """The flow table has the planted exclusions, and its last row is what remains."""
    flow = rows(results / "group" / "flow.tsv")
    planted = rows(next((cohort / "truth").glob("*exclusions.tsv")))
    left_out = sum(int(row["scans"]) for row in flow[1:-1])
    assert left_out >= len(planted) > 0
    assert int(flow[0]["scans"]) - left_out == int(flow[-1]["scans"])


@pytest.mark.skipif(validator._find_command() is None, reason="bids-validator-deno is not installed")
def test_input_and_output_are_valid_bids(cohort: Path, results: Path) -> None:
    """Neither the simulated dataset nor the results of the group level bring errors of the validator."""
    for folder in (cohort / "bids", results):
        result = validator.run_validator(folder)
        assert result is not None
        assert result.errors == ()


def test_a_second_run_gives_the_same_tables(cohort: Path, results: Path, tmp_path: Path) -> None:
    """Every table is the same to the byte, figures included: chance comes from the seed of the plan."""
    copy = tmp_path / "again"
    shutil.copytree(results, copy)
    shutil.rmtree(copy / "group")
    assert run(cohort, copy, "--exclude-if", "new_t2>20") == 0
    for path in sorted((results / "group").rglob("*.*")):
        other = copy / path.relative_to(results)
        assert other.read_bytes() == path.read_bytes(), path.name


def test_dry_run_writes_nothing(cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It tells who would be analysed; without any measurement there are the clinical data."""
    assert run(cohort, tmp_path / "out", "--dry-run") == 0
    said = capsys.readouterr().out
    assert "in the tables: 24 persons" in said
    assert "group ALEM" in said
    assert not (tmp_path / "out").exists()


def test_an_analysis_that_fails_stops_nobody(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its traceback is kept, the exit code is 1, and the other analyses are written."""

    def crash(study: Study, plan: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(analysis_module("disease_activity"), "analyse", crash)
    output = tmp_path / "out"
    assert run(cohort, output) == 1
    (log,) = (output / "logs").glob("*_group_crash.txt")
    assert "ZeroDivisionError: oh" in log.read_text(encoding="utf-8")
    assert str(log) in capsys.readouterr().out
    assert (output / "group" / "table1.tsv").is_file()
    assert not (output / "group" / "neda.tsv").exists()


def test_a_figure_that_fails_is_no_success(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tables and report are written, the exit code is 1, and the traceback is kept."""

    def crash(drawn: object) -> str:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(group_outputs, "to_svg", crash)
    output = tmp_path / "out"
    assert run(cohort, output) == 1
    (log,) = (output / "logs").glob("*_group_crash.txt")
    assert "ZeroDivisionError: oh" in log.read_text(encoding="utf-8")
    assert (output / "group" / "table1.tsv").is_file()
    assert (output / "group.html").is_file()


def test_errors_in_clinical_tables_are_said_at_once(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A relapse of somebody unknown is named by dry run and run, not in the report alone."""
    study = tmp_path / "study"
    shutil.copytree(cohort, study)
    (study / "plan.toml").write_text("analyses = []\n", encoding="utf-8")
    with (study / "bids" / "phenotype" / "ms_relapses.tsv").open("a", encoding="utf-8") as file:
        file.write("sub-zzz\t100\tn/a\t0\n")
    assert run(study, tmp_path / "out", "--dry-run") == 0
    assert "sub-zzz is neither" in capsys.readouterr().out
    assert run(study, tmp_path / "out") == 0
    said = capsys.readouterr()
    assert "Clinical tables: 1 error" in said.err
    assert "sub-zzz is neither" in said.err
    assert "0 analyses of 24 persons" in said.out


def test_what_a_condition_leaves_undone_is_said(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An analysis that is possible with all scans only is named, and so is a condition that nothing meets."""
    study = tmp_path / "study"
    shutil.copytree(cohort, study)
    (study / "plan.toml").write_text('analyses = ["group_volumes"]\n', encoding="utf-8")
    output = study / "derivatives" / "bids_msvol"
    assert run(study, output, "--exclude-if", "days>-9999") == 0
    assert "not done: Volumes of the groups (without what meets days>-9999)" in capsys.readouterr().out
    assert "No scan that is used meets" not in (output / "group.html").read_text(encoding="utf-8")
    assert run(study, output, "--exclude-if", "sex=X") == 0
    assert "No scan that is used meets sex=X" in (output / "group.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("prepare", "flags", "code", "said"),
    [
        (lambda root: None, ("--analysis-plan", "none.toml"), 66, "none.toml: cannot be read"),
        (lambda root: (root / "p.toml").write_text("[x]"), ("--analysis-plan", "p.toml"), 64, "unknown entry 'x'"),
        (lambda root: None, ("--exclude-if", "nonsense"), 64, "'nonsense' is not a condition"),
        (lambda root: None, ("--exclude-if", "shoe>3"), 64, "there is no column 'shoe'"),
        (lambda root: None, ("--bvl-cutoff", "-1"), 64, "not a number above 0"),
        (lambda root: None, ("--clinical-dir", "nowhere"), 66, "is no folder"),
        (
            lambda root: (root / "participants.tsv").write_text("participant_id\tage\nsub-01\tforty\n"),
            (),
            65,
            "participants.tsv, row 2, column age",
        ),
        (lambda root: None, (), 18, "no participant to analyse"),
        (
            lambda root: (root / "participants.tsv").write_text("participant_id\nsub-01\n"),
            ("--participant-label", "01", "02"),
            18,
            "sub-02 not found",
        ),
    ],
)
def test_bad_input_is_told_in_one_line(
    tmp_path: Path,
    prepare: Callable[[Path], object],
    flags: tuple[str, ...],
    code: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The message names what is wrong, the exit code is documented, and nothing is written."""
    root = tmp_path / "bids"
    root.mkdir()
    if "--exclude-if" in flags:
        (root / "participants.tsv").write_text("participant_id\nsub-01\n", encoding="utf-8")
    prepare(root)
    monkeypatch.chdir(root)
    assert main([str(root), str(tmp_path / "out"), "group", *flags]) == code
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
