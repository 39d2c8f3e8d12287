# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bids_msvol import __version__
from bids_msvol.bids.dataset import OutputDataset
from bids_msvol.config import result_hash
from bids_msvol.errors import InvocationError
from tests.bids.skeleton import make_config, make_dataset


def description(root: Path) -> dict[str, Any]:
    """Read the description of the output."""
    content: dict[str, Any] = json.loads((root / "out" / "dataset_description.json").read_text())
    return content


def test_the_description_says_who_made_it_from_what(tmp_path: Path) -> None:
    """Name, version, hash, licence and a relative link to the input are there."""
    make_dataset(tmp_path / "raw", {}, description={"License": "CC0"})
    config = make_config(tmp_path)
    OutputDataset.create(config)
    content = description(tmp_path)
    assert content["DatasetType"] == "derivative"
    assert content["License"] == "CC0"
    assert content["DatasetLinks"] == {"raw": "../raw"}
    assert content["SourceDatasets"] == [{"URL": "../raw"}]
    (generator,) = content["GeneratedBy"]
    assert (generator["Name"], generator["Version"]) == ("bids_msvol", __version__)
    assert generator["ConfigurationHash"] == result_hash(config)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "dataset_description.json", "README.md", ".bidsignore", "descriptions.tsv",
        "seg-structures_dseg.tsv", "seg-structures_dseg.json",
    }  # fmt: skip


def test_mount_points_of_a_container_are_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only the root folder is shared, a container's path is replaced by the DOI or left out."""
    make_dataset(tmp_path / "raw", {})
    monkeypatch.setattr("os.path.commonpath", lambda _: "/")
    monkeypatch.setenv("BIDS_MSVOL_DOCKER_TAG", "bids_msvol:1.2.3")
    OutputDataset.create(make_config(tmp_path))
    content = description(tmp_path)
    assert content["GeneratedBy"][0]["Container"] == {"Type": "docker", "Tag": "bids_msvol:1.2.3"}
    assert "DatasetLinks" not in content
    assert "SourceDatasets" not in content
    make_dataset(tmp_path / "raw", {}, description={"DatasetDOI": "doi:10.1/x"})
    (tmp_path / "out" / "dataset_description.json").unlink()
    for path in (tmp_path / "out").iterdir():
        path.unlink()
    OutputDataset.create(make_config(tmp_path))
    assert description(tmp_path)["DatasetLinks"] == {"raw": "doi:10.1/x"}


def test_the_same_settings_may_join(tmp_path: Path) -> None:
    """A second run with other people and more threads changes nothing in the shared files."""
    make_dataset(tmp_path / "raw", {})
    OutputDataset.create(make_config(tmp_path))
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    filters = {"t1w": {"session": "1"}}
    OutputDataset.create(make_config(tmp_path, participant_labels=("01",), nprocs=7, bids_filters=filters))
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == before


@pytest.mark.parametrize(
    ("settings", "changed"),
    [
        ({"resolution_mm": 2.0}, "resolution_mm was 1.0 and is now 2.0"),
        (
            {"bids_filters": {"t1w": {"run": ("1", "2")}}},
            r'bids_filters was {} and is now {"t1w": {"run": \["1", "2"\]}}',
        ),
    ],
)
def test_other_settings_are_refused(tmp_path: Path, settings: dict[str, Any], changed: str) -> None:
    """Mixing is refused with code 19, naming the setting, both values and the way out."""
    make_dataset(tmp_path / "raw", {})
    OutputDataset.create(make_config(tmp_path))
    with pytest.raises(InvocationError, match=f"{changed}. Choose another output folder") as caught:
        OutputDataset.create(make_config(tmp_path, **settings))
    assert caught.value.exit_code == 19


def test_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results of two versions are not mixed."""
    make_dataset(tmp_path / "raw", {})
    OutputDataset.create(make_config(tmp_path))
    monkeypatch.setattr("bids_msvol.bids.dataset.__version__", "99.0")
    with pytest.raises(InvocationError, match=f"was made by bids_msvol {__version__}, and this is 99.0"):
        OutputDataset.create(make_config(tmp_path))


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"holiday.txt": "x"}, r"is not empty \(it holds holiday.txt\)"),
        ({"dataset_description.json": '{"GeneratedBy": [{"Name": "fMRIPrep"}]}'}, "was made by fMRIPrep"),
        ({"dataset_description.json": '{"Name": "x"}'}, "is another dataset"),
        ({"dataset_description.json": "{"}, "cannot be read"),
    ],
)
def test_a_folder_of_something_else_is_refused(tmp_path: Path, files: dict[str, str], problem: str) -> None:
    """Nothing is written into a folder that is not ours."""
    make_dataset(tmp_path / "raw", {})
    (tmp_path / "out").mkdir()
    for name, text in files.items():
        (tmp_path / "out" / name).write_text(text)
    with pytest.raises(InvocationError, match=problem):
        OutputDataset.create(make_config(tmp_path))
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(files)


def test_the_work_folder_may_lie_in_the_output(tmp_path: Path) -> None:
    """Intermediate files in the output folder are not taken for somebody else's data."""
    make_dataset(tmp_path / "raw", {})
    (tmp_path / "out" / "work" / "deep").mkdir(parents=True)
    OutputDataset.create(make_config(tmp_path, work_dir=tmp_path / "out" / "work" / "deep"))
    assert (tmp_path / "out" / "dataset_description.json").exists()


def test_many_jobs_may_start_at_once(tmp_path: Path) -> None:
    """Of jobs with two settings that start together, those of one setting win, and the others are refused."""
    make_dataset(tmp_path / "raw", {})
    configs = [make_config(tmp_path, resolution_mm=1.0 + index % 2) for index in range(16)]

    def create(index: int) -> bool:
        try:
            OutputDataset.create(configs[index])
        except InvocationError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(create, range(16)))
    winner = description(tmp_path)["GeneratedBy"][0]["ConfigurationHash"]
    assert outcomes == [result_hash(config) == winner for config in configs]
    assert not list((tmp_path / "out").glob("*.tmp-*"))
