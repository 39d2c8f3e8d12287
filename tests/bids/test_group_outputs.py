# SPDX-License-Identifier: Apache-2.0
"""The folder of the group level: whole, atomic, and careful with what others put there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_msvol.bids.atomic import write_json
from bids_msvol.bids.group_outputs import as_json, write_group_outputs
from bids_msvol.bids.tabular import read_table
from bids_msvol.errors import CannotCreateError
from bids_msvol.group.result import Figure
from bids_msvol.group.results import GroupResults
from tests.report.group_samples import SLOPES, make_results


@pytest.fixture(scope="module")
def results() -> GroupResults:
    """Three analyses of all scans."""
    return make_results()


def only_people(results: GroupResults) -> GroupResults:
    """Return the results of a run that does the first analysis alone."""
    return replace(results, analyses=results.analyses[:1])


def names(folder: Path) -> set[str]:
    """Return all files below a folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_everything_is_written_and_nothing_else(results: GroupResults, tmp_path: Path) -> None:
    """Tables with sidecars, figures in two forms with sidecars, and no temporary file remains."""
    files = write_group_outputs(tmp_path / "group", results)
    assert names(tmp_path / "group") == {
        *(f"{stem}.{kind}" for stem in ("flow", "table1", "lme_newT2", "scn_edges") for kind in ("tsv", "json")),
        *(f"figures/lesions_yearly_{stem}.{kind}" for stem in ("scatter", "forest") for kind in ("svg", "png", "json")),
    }
    assert set(files.written) == {path for path in files.folder.rglob("*") if path.is_file()}
    assert [path.name for path in files.tables] == ["table1.tsv", "lme_newT2.tsv", "scn_edges.tsv", "flow.tsv"]
    assert [path.name for path in files.figures] == ["lesions_yearly_scatter.svg", "lesions_yearly_forest.svg"]
    assert files.removed == ()
    assert (files.folder / "figures" / "lesions_yearly_forest.png").read_bytes().startswith(b"\x89PNG")


def test_tables_read_back_and_sidecars_say_how(results: GroupResults, tmp_path: Path) -> None:
    """What cannot be tested stays a row; the sidecar has formula, settings and the definition."""
    files = write_group_outputs(tmp_path, results)
    frame = read_table(files.folder / "lme_newT2.tsv", SLOPES)
    assert len(frame) == 14
    assert np.isnan(frame.loc[3, "p"])
    assert frame.loc[3, "warning"] == "All lesion counts are 0."
    said = json.loads((files.folder / "lme_newT2.json").read_text())
    assert said["Formula"].startswith("dV ~")
    assert said["Seed"] == 1
    assert said["Settings"]["statistics.level"] == 0.95
    assert "168 days" in said["ProgressionDefinition"]
    assert said["GeneratedBy"] == {"Name": "bids_msvol", "Version": "0.0.1"}
    assert said["beta"]["Units"] == "percent"
    flow = pd.read_csv(files.folder / "flow.tsv", sep="\t")
    assert flow["reason"].tolist()[1] == "failed quality"
    assert flow["scans"].tolist() == [156, 4, 5, 147]
    figure = json.loads((files.folder / "figures" / "lesions_yearly_forest.json").read_text())
    assert figure["AlternativeText"] == "Most intervals include 0."


def test_both_sets_of_data_stand_in_one_table(tmp_path: Path) -> None:
    """With conditions, each table says first which data a row is about; one analysis could not be done again."""
    results = make_results(exclude_if=("new_t2>20",))
    files = write_group_outputs(tmp_path, results)
    frame = pd.read_csv(files.folder / "lme_newT2.tsv", sep="\t")
    assert frame.columns[0] == "data_set"
    assert frame["data_set"].value_counts().to_dict() == {"all": 14, "excluded": 14}
    assert frame["beta"][:14].mean() != frame["beta"][14:].mean()
    said = json.loads((files.folder / "lme_newT2.json").read_text())
    assert said["ExcludeIf"] == ["new_t2>20"]
    assert set(said["data_set"]["Levels"]) == {"all", "excluded"}
    edges = pd.read_csv(files.folder / "scn_edges.tsv", sep="\t")
    assert set(edges["data_set"]) == {"all"}


def test_outdated_results_go_and_foreign_files_stay(results: GroupResults, tmp_path: Path) -> None:
    """Only files with a sidecar of ours of the same name are removed: no plan, no table of a user, no copy of ours."""
    write_group_outputs(tmp_path, results)
    foreign = {"plan.toml", "mine.tsv", "mine.json", "table1.png", "lme_newT2.png", "figures/mine.svg", "copy.tsv"}
    for name in foreign - {"mine.json"}:
        (tmp_path / name).write_text("mine")
    write_json(tmp_path / "mine.json", {"GeneratedBy": {"Name": "me"}, "FileName": "mine.tsv"})
    (tmp_path / "copy.json").write_bytes((tmp_path / "lme_newT2.json").read_bytes())
    (tmp_path / "broken.json").write_text("[")
    files = write_group_outputs(tmp_path, only_people(results))
    kept = {"flow.tsv", "flow.json", "table1.tsv", "table1.json", "copy.json", "broken.json"}
    assert names(tmp_path) == foreign | kept
    assert len(files.removed) == 2 * 2 + 2 * 3


def test_a_run_that_fails_leaves_earlier_results(
    results: GroupResults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If anything cannot be written, no earlier file is touched, and nothing half-made remains."""
    write_group_outputs(tmp_path, results)
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}

    def refuse(*_: object) -> None:
        raise CannotCreateError("cannot be written", remedy="Check", subject=tmp_path)

    monkeypatch.setattr("bids_msvol.bids.group_outputs._write_flow", refuse)
    with pytest.raises(CannotCreateError):
        write_group_outputs(tmp_path, only_people(results))
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == before


def test_the_same_results_give_the_same_bytes(results: GroupResults, tmp_path: Path) -> None:
    first = write_group_outputs(tmp_path / "a", results)
    second = write_group_outputs(tmp_path / "b", results)
    pairs = zip(first.written, second.written, strict=True)
    assert all(one.read_bytes() == other.read_bytes() for one, other in pairs)


def test_a_figure_that_cannot_be_drawn_takes_no_table_with_it(
    results: GroupResults, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    broken = Figure("broken", "A figure.", "Nothing.", fail)  # type: ignore[arg-type]
    analysis = replace(results.analyses[0], figures=(broken,))
    files = write_group_outputs(tmp_path, replace(results, analyses=(analysis,)))
    assert files.figures == ()
    assert (tmp_path / "table1.tsv").is_file()
    assert "broken could not be drawn: ZeroDivisionError" in caplog.text
    assert len(files.crashes) == 1
    assert "in fail" in files.crashes[0]


def test_two_results_of_one_name_are_refused(results: GroupResults, tmp_path: Path) -> None:
    twice = replace(results, analyses=(results.analyses[0], results.analyses[0]))
    with pytest.raises(ValueError, match=r"table1\.tsv"):
        write_group_outputs(tmp_path, twice)


def test_a_folder_that_cannot_be_made_is_reported(results: GroupResults, tmp_path: Path) -> None:
    (tmp_path / "group").write_text("a file")
    with pytest.raises(CannotCreateError):
        write_group_outputs(tmp_path / "group", results)


def test_sidecars_hold_plain_json() -> None:
    """Numbers of numpy, sets and NaN become what JSON has."""
    given = {"a": np.float64(np.nan), "b": np.arange(2), "c": (1.5, {"x"}), "d": Path("p"), "e": np.bool_(True)}
    assert as_json(given) == {"a": None, "b": [0, 1], "c": [1.5, ["x"]], "d": "p", "e": True}
