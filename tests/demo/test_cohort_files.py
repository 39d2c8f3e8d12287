# SPDX-License-Identifier: Apache-2.0
"""A simulated study on disk: valid BIDS, read back as what it was."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_msvol.bids.clinical import read_cohort
from bids_msvol.bids.clinical_checks import check_cohort
from bids_msvol.bids.dataset import OutputDataset
from bids_msvol.bids.group_inputs import read_group_input
from bids_msvol.bids.load import finished_participants, load_participant
from bids_msvol.bids.names import sessions_table_path
from bids_msvol.bids.outputs import write_sessions_table
from bids_msvol.bids.validator import run_validator
from bids_msvol.config import Config
from bids_msvol.demo.cohort import main
from bids_msvol.demo.cohort_making import SimulatedCohort, make_cohort

PERSONS, SEED = 15, 4


@pytest.fixture(scope="module")
def cohort() -> SimulatedCohort:
    return make_cohort("large", persons=PERSONS, seed=SEED)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cohort") / "study"
    assert main([str(root), "--shape", "large", "--persons", str(PERSONS), "--seed", str(SEED)]) == 0
    return root


def _read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", na_values="n/a", keep_default_na=False)


@pytest.mark.parametrize("part", ["bids", "derivatives/bids_msvol"])
def test_valid_bids(folder: Path, part: str) -> None:
    """The validator finds no error, in the dataset without images nor in the results."""
    result = run_validator(folder / part)
    assert result is not None
    assert result.errors == ()


def test_clinical_tables_are_read_back(folder: Path, cohort: SimulatedCohort) -> None:
    """The program reads what was simulated, finds no error in it, and uses every column."""
    read = read_cohort(folder / "bids")
    tables = cohort.tables
    assert [one.participant_id for one in read.persons] == list(tables.persons.index)
    assert [one.age for one in read.persons] == tables.persons["age"].tolist()
    assert [(one.participant_id, one.session_id, one.days) for one in read.sessions] == list(
        tables.sessions[["participant_id", "session_id", "days"]].itertuples(index=False, name=None)
    )
    for name, column in (("new_t2", "new_t2_clinic"), ("gd", "gd_clinic"), ("edss", "edss"), ("sdmt", "sdmt")):
        values = [np.nan if getattr(one, name) is None else getattr(one, name) for one in read.sessions]
        np.testing.assert_array_equal(values, tables.sessions[column].to_numpy(), err_msg=name)
    assert read.relapses is not None
    assert tables.relapses is not None
    assert [(one.participant_id, one.days, one.steroids) for one in read.relapses] == list(
        tables.relapses.itertuples(index=False, name=None)
    )
    visits = [(one.participant_id, one.days, one.edss) for one in read.visits if one.edss is not None]
    known = tables.visits.dropna(subset="edss")
    assert visits == list(known[["participant_id", "days", "edss"]].itertuples(index=False, name=None))
    assert read.unused == ()
    assert read.repeated == ()
    assert [one for one in check_cohort(read) if one.severity == "error"] == []


def test_eyes_are_read_back(folder: Path, cohort: SimulatedCohort) -> None:
    """Means of the eyes without optic neuritis, from the table of each eye, are those of the group level."""
    means = []
    for one in read_cohort(folder / "bids").sessions:
        eyes = [(one.rnfl_od, one.on_od), (one.rnfl_os, one.on_os)]
        used = [value for value, neuritis in eyes if value is not None and not neuritis]
        means.append(np.mean(used) if used else np.nan)
    np.testing.assert_allclose(means, cohort.tables.sessions["rnfl_um"], atol=1e-6)


def test_results_are_read_back(folder: Path, cohort: SimulatedCohort) -> None:
    """The program takes the results for finished sessions of its own; volumes, cord, lesions and verdicts agree."""
    root = folder / "derivatives" / "bids_msvol"
    labels = finished_participants(root)
    assert [f"sub-{label}" for label in labels] == list(cohort.tables.persons.index)
    sessions = [one for label in labels for one in load_participant(root, label).sessions]
    assert [f"ses-{one.label}" for one in sessions] == cohort.tables.sessions["session_id"].tolist()
    for number, (one, expected) in enumerate(zip(sessions, cohort.tables.sessions.to_dict("records"), strict=True)):
        volumes = one.volumes.set_index("name")["volume_mm3"]
        own = cohort.tables.volumes_mm3.loc[number]
        assert volumes[list(own.index)].tolist() == own.tolist()
        assert one.etiv_mm3 == expected["etiv_mm3"]
        assert one.verdict == expected["verdict"]
        areas = cohort.tables.cord_mm2.loc[number]
        assert [one.cord_value(str(level), "csa_mm2") for level in areas.index] == areas.tolist()
        new = one.lesion_value("new_lesions")
        assert np.isnan(expected["new_t2_images"]) if new is None else new == expected["new_t2_images"]


def test_group_level_reads_what_was_simulated(folder: Path, cohort: SimulatedCohort) -> None:
    """Read from disk, all tables of the group level are those that simulations use without files."""
    config = Config(bids_dir=folder / "bids", output_dir=folder / "derivatives" / "bids_msvol")
    read = read_group_input(config, "default").tables
    for name in ("persons", "sessions", "volumes_mm3", "cord_mm2", "visits", "relapses", "treatments"):
        found, expected = (getattr(one, name).reset_index(drop=True) for one in (read, cohort.tables))
        assert len(found) == len(expected), name
        for column in expected:
            if pd.api.types.is_numeric_dtype(expected[column]):
                np.testing.assert_allclose(found[column].astype(float), expected[column], err_msg=f"{name} {column}")
            else:
                assert found[column].fillna("").tolist() == expected[column].fillna("").tolist(), (name, column)


def test_headline_table_is_that_of_the_program(folder: Path, tmp_path: Path) -> None:
    """Made again from the single tables, a person's table of sessions is the same but for rounding."""
    root = folder / "derivatives" / "bids_msvol"
    path = sessions_table_path(root, finished_participants(root)[-1])
    simulated, text = _read(path), path.read_text(encoding="utf-8")
    made = _read(write_sessions_table(root, finished_participants(root)[-1]))
    path.write_text(text, encoding="utf-8")
    pd.testing.assert_frame_equal(simulated, made, check_dtype=False, rtol=1e-4)


def test_results_are_accepted_as_our_own(folder: Path) -> None:
    """A run with the default settings joins the results instead of refusing them."""
    root = folder / "derivatives" / "bids_msvol"
    assert OutputDataset.create(Config(bids_dir=folder / "bids", output_dir=root)).root == root


def test_truth_is_written(folder: Path, cohort: SimulatedCohort) -> None:
    """Events, intervals and effects are on disk as they were planted."""
    events = _read(folder / "truth" / "events.tsv")
    assert events["kind"].tolist() == cohort.truth.events["kind"].tolist()
    intervals = _read(folder / "truth" / "intervals.tsv")
    words = {"yes": True, "no": False}
    labels = [words.get(value) for value in intervals["neda3"]]
    assert labels == cohort.truth.intervals["neda3"].tolist()
    planted = json.loads((folder / "truth" / "planted.json").read_text(encoding="utf-8"))
    assert planted["name"] == "large"
    assert planted["arms"][2]["brain"]["per_lesion_pct_etiv"]["Thalamus"] == -0.005


def test_a_full_folder_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is written into a folder that holds something, and an unknown study is named."""
    (tmp_path / "mine").write_text("mine")
    assert main([str(tmp_path)]) != 0
    assert "not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert main([str(tmp_path / "new"), "--shape", "nothing"]) != 0
    assert "nothing" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
