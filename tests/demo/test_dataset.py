# SPDX-License-Identifier: Apache-2.0
"""The dataset as a whole: valid BIDS, with a truth that agrees with the images."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bids_msvol.bids.scans import read_days
from bids_msvol.bids.tables import VOLUMES
from bids_msvol.bids.tabular import read_table
from bids_msvol.bids.validator import run_validator
from bids_msvol.demo.__main__ import main
from bids_msvol.demo.clinical import draw_participant
from bids_msvol.demo.dataset import make_dataset
from bids_msvol.errors import CannotCreateError, UsageError
from bids_msvol.report.wording import split_side
from bids_msvol.structures import STRUCTURES
from tests.demo.heads import made_up_atlas

SEED = 3


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo") / "bids"
    make_dataset(root, resolution_mm=2.0, seed=SEED, atlas=made_up_atlas())
    return root


def _truth(dataset: Path, name: str, participant: str = "01", session: str = "01") -> Path:
    stem = f"sub-{participant}_ses-{session}"
    folder = dataset / "derivatives" / "truth" / f"sub-{participant}" / f"ses-{session}" / "anat"
    return folder / f"{stem}_{name}"


def _scan(dataset: Path, suffix: str, session: str) -> np.ndarray:
    path = dataset / "sub-01" / f"ses-{session}" / "anat" / f"sub-01_ses-{session}_{suffix}.nii.gz"
    return np.asarray(nib.load(path).dataobj, dtype=np.float32)


def _lesions(dataset: Path, session: str, participant: str = "01") -> pd.DataFrame:
    return pd.read_csv(_truth(dataset, "seg-lesions_dseg.tsv", participant, session), sep="\t", na_values="n/a")


def _change(dataset: Path) -> pd.DataFrame:
    folder = dataset / "derivatives" / "truth" / "sub-01"
    return pd.read_csv(folder / "sub-01_seg-structures_desc-change_morph.tsv", sep="\t", na_values="n/a")


@pytest.mark.parametrize("part", [".", "derivatives/truth"])
def test_valid_bids(dataset: Path, part: str) -> None:
    """The validator finds no error in the raw dataset, nor in the truth."""
    result = run_validator(dataset / part)
    assert result is not None
    assert result.errors == ()


def test_people_and_visits(dataset: Path) -> None:
    """A person with multiple sclerosis has two visits and a disability score, a healthy one a single visit and none."""
    people = pd.read_csv(dataset / "participants.tsv", sep="\t").set_index("participant_id")
    assert people["group"].to_dict() == {"sub-01": "MS", "sub-02": "HC"}
    visits = [pd.read_csv(dataset / name / f"{name}_sessions.tsv", sep="\t", na_values="n/a") for name in people.index]
    assert visits[0]["session_id"].tolist() == ["ses-01", "ses-02"]
    assert visits[0]["edss"].between(0, 10).all()
    assert visits[1]["session_id"].tolist() == ["ses-01"]
    assert visits[1]["edss"].isna().all()
    assert sorted(path.name for path in (dataset / "sub-02" / "ses-01" / "anat").glob("*.nii.gz")) == [
        "sub-02_ses-01_FLAIR.nii.gz",
        "sub-02_ses-01_T1w.nii.gz",
    ]


def test_days_of_the_change_are_those_of_the_visits(dataset: Path) -> None:
    """The interval in the change table is the one that the program reads from the raw dataset."""
    days = read_days(dataset, "01")
    assert _change(dataset)["days"].unique().tolist() == [days["02"] - days["01"]]


def test_volumes_agree_with_the_label_image(dataset: Path) -> None:
    """Counting voxels of the label image gives the volumes of the table, small structures less exactly.

    A small structure of this atlas is a block of some thirty voxels of 4 mm, whose faces lie almost along the slices of
    the scan: where they fall between the slices, a single count is off by 4 % (standard deviation). Both sides at both
    visits are taken together, of which the mean is off by half of that. The whole head is off by 0.1 %.
    """
    small: dict[str, list[float]] = {}
    for session in ("01", "02"):
        image = nib.load(_truth(dataset, "seg-structures_dseg.nii.gz", session=session))
        counts = 8.0 * np.bincount(np.asarray(image.dataobj).ravel(), minlength=64)
        table = read_table(_truth(dataset, "seg-structures_morph.tsv", session=session), VOLUMES).set_index("name")
        for structure in STRUCTURES:
            volume = table.loc[structure.name, "volume_mm3"]
            if volume > 5e4:
                assert counts[structure.index] == pytest.approx(volume, rel=0.01)
            elif volume > 0:
                small.setdefault(split_side(structure.name)[1], []).append(counts[structure.index] / volume)
            else:
                assert counts[structure.index] == 0
        assert table.loc["eTIV", "volume_mm3"] == pytest.approx(counts[1:].sum(), rel=4e-3)
    assert {name: len(ratios) for name, ratios in small.items()} == {"Lateral-Ventricle": 4, "Thalamus": 4}
    for ratios in small.values():
        assert np.mean(ratios) == pytest.approx(1.0, abs=0.08)


def test_etiv_is_the_persons(dataset: Path) -> None:
    """The intracranial volume is the one drawn for the person, at both visits."""
    drawn = draw_participant(1, np.random.default_rng([SEED, 1])).etiv_mm3
    for session in ("01", "02"):
        table = read_table(_truth(dataset, "seg-structures_morph.tsv", session=session), VOLUMES).set_index("name")
        assert table.loc["eTIV", "volume_mm3"] == pytest.approx(drawn, rel=1e-3)


def test_change_is_the_difference_of_the_volumes(dataset: Path) -> None:
    """Each row of the change table follows from the two volume tables."""
    before, after = (
        read_table(_truth(dataset, "seg-structures_morph.tsv", session=session), VOLUMES).set_index("name")[
            "volume_mm3"
        ]
        for session in ("01", "02")
    )
    change = _change(dataset).set_index("name")
    assert change.index.tolist() == before.index.tolist()
    assert change["change_mm3"].to_numpy() == pytest.approx((after - before).to_numpy(), abs=0.11)
    large = before > 1e4
    percent = (100.0 * (after - before) / before)[large]
    assert change["change_pct"][large].to_numpy() == pytest.approx(percent.to_numpy(), abs=2e-3)
    yearly = change["change_pct"] * 365.25 / change["days"]
    assert change["change_pct_per_year"].to_numpy() == pytest.approx(yearly.to_numpy(), abs=2e-4, nan_ok=True)


def test_atrophy_is_planted(dataset: Path) -> None:
    """Ventricles grow by about 6 % a year and thalami shrink by about 2 %."""
    yearly = _change(dataset).set_index("name")["change_pct_per_year"]
    for name, rate in (("Lateral-Ventricle", 6.0), ("Thalamus", -2.0)):
        assert np.mean([yearly[f"Left-{name}"], yearly[f"Right-{name}"]]) == pytest.approx(rate, rel=0.2)
    assert yearly["eTIV"] == pytest.approx(0.0, abs=0.05)


def test_lesion_table_agrees_with_the_images(dataset: Path) -> None:
    """Voxels counted in the instance image and in the mask are those of the table, and make up its volume."""
    for session in ("01", "02"):
        table = _lesions(dataset, session)
        instances = np.asarray(nib.load(_truth(dataset, "seg-lesions_dseg.nii.gz", session=session)).dataobj)
        mask = np.asarray(nib.load(_truth(dataset, "label-L_mask.nii.gz", session=session)).dataobj)
        counts = np.bincount(instances.ravel(), minlength=int(table["index"].max()) + 1)
        assert counts[table["index"]].tolist() == table["n_voxels"].tolist()
        assert mask.sum() == table["n_voxels"].sum() == counts[1:].sum()
        assert 8.0 * mask.sum() == pytest.approx(table["volume_mm3"].sum(), rel=0.05)


def test_new_and_enlarging_lesions(dataset: Path) -> None:
    """New lesions are in the second table only, the enlarging one has grown, and stable ones have not."""
    first, second = (_lesions(dataset, session).set_index("index") for session in ("01", "02"))
    assert set(first["status"]) == {"first"}
    assert set(second.index) - set(first.index) == set(second.index[second["status"] == "new"])
    assert (second["status"] == "new").sum() >= 2
    growth = second["volume_mm3"] / first["volume_mm3"]
    assert (growth[second["status"] == "enlarging"] > 1.4).all()
    assert growth[second["status"] == "stable"].between(0.9, 1.1).all()


def test_healthy_people_have_no_lesions(dataset: Path) -> None:
    """The healthy person's lesion table and mask are empty, and there is no change table."""
    assert len(_lesions(dataset, "01", "02")) == 0
    assert not np.asarray(nib.load(_truth(dataset, "label-L_mask.nii.gz", "02")).dataobj).any()
    assert not list((dataset / "derivatives" / "truth" / "sub-02").glob("*change*"))


def test_images_show_the_truth(dataset: Path) -> None:
    """On T1w, white matter is brighter than cortex and cortex brighter than fluid; lesions are dark on T1w."""
    labels = np.asarray(nib.load(_truth(dataset, "seg-structures_dseg.nii.gz")).dataobj)
    lesion = np.asarray(nib.load(_truth(dataset, "label-L_mask.nii.gz")).dataobj) > 0
    white = np.isin(labels, (2, 41)) & ~lesion
    t1w = _scan(dataset, "T1w", "01")
    means = [t1w[part].mean() for part in (white, np.isin(labels, (3, 42)), np.isin(labels, (4, 43)))]
    assert means[0] > 1.3 * means[1] > 2.0 * means[2]
    assert t1w[lesion].mean() < 0.92 * means[0]


def test_flair_lies_almost_on_the_t1w(dataset: Path) -> None:
    """The head moves between the sequences by little: the truth of the T1w still finds bright lesions on FLAIR."""
    labels = np.asarray(nib.load(_truth(dataset, "seg-structures_dseg.nii.gz", session="02")).dataobj)
    lesion = np.asarray(nib.load(_truth(dataset, "label-L_mask.nii.gz", session="02")).dataobj) > 0
    flair = _scan(dataset, "FLAIR", "02")
    assert flair[lesion].mean() > 1.15 * flair[np.isin(labels, (2, 41)) & ~lesion].mean()


def test_reproducible_and_independent_of_the_number_of_people(tmp_path: Path) -> None:
    """The same seed gives the same bytes, also for one person alone; another seed gives others."""
    atlas = made_up_atlas()
    for name, people, seed in (("two", 2, 5), ("again", 2, 5), ("one", 1, 5), ("other", 1, 6)):
        make_dataset(tmp_path / name, participants=people, resolution_mm=8.0, seed=seed, atlas=atlas)
    files = {
        name: {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*.*")
            if path.is_file()
        }
        for name in ("two", "again", "one", "other")
    }
    assert files["two"] == files["again"]
    images = [path for path in files["one"] if path.name.endswith(".nii.gz")]
    assert len(images) == 10
    assert all(files["one"][path] == files["two"][path] for path in images)
    assert all(files["one"][path] != files["other"][path] for path in images if path.name.endswith(("T1w.nii.gz",)))


def test_refuses_a_folder_that_is_not_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder with something in it is left alone, and the command says what to do."""
    (tmp_path / "mine.txt").write_text("mine")
    assert main([str(tmp_path), "--resolution", "8"]) == CannotCreateError.exit_code
    message = capsys.readouterr().err
    assert f"{tmp_path}: exists and is not empty. Choose another folder, or remove it." in message
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("wrong", "option"),
    [({"participants": 0}, "--participants"), ({"resolution_mm": 20.0}, "--resolution"), ({"seed": -1}, "--seed")],
)
def test_refuses_numbers_out_of_range(tmp_path: Path, wrong: dict[str, int], option: str) -> None:
    """A number that makes no sense is refused by name before anything is written."""
    with pytest.raises(UsageError, match=option):
        make_dataset(tmp_path / "new", atlas=made_up_atlas(), **wrong)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If making the dataset fails half-way, no folder stays that looks like a dataset."""

    def fail(*_: object) -> None:
        raise RuntimeError("half-way")

    monkeypatch.setattr("bids_msvol.demo.dataset.write_participants", fail)
    with pytest.raises(RuntimeError, match="half-way"):
        make_dataset(tmp_path / "new", participants=1, resolution_mm=8.0, atlas=made_up_atlas())
    assert list(tmp_path.iterdir()) == []
