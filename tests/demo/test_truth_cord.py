# SPDX-License-Identifier: Apache-2.0
"""The dataset shows the necks, and states what is true of the cord in them."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bids_msvol.atlas.head import coarsen_atlas
from bids_msvol.bids.inputs import collect_subjects
from bids_msvol.bids.tabular import read_table
from bids_msvol.bids.validator import run_validator
from bids_msvol.cord.levels import LEVELS, MUCCA_MM
from bids_msvol.demo.clinical import DAYS_PER_YEAR, draw_participant
from bids_msvol.demo.cord_scan import CERVICAL_VOXEL_MM, cervical_voxel_mm
from bids_msvol.demo.dataset import make_dataset
from bids_msvol.demo.neck import CordTruth, cord_truth
from bids_msvol.demo.person import YEARLY_CORD_LOSS, make_person
from bids_msvol.demo.truth import FOLDER
from bids_msvol.demo.truth_cord import CORD_TRUTH, CORD_TRUTH_CHANGE
from tests.bids.skeleton import make_config
from tests.demo.heads import atlas_with_stem

SEED, RESOLUTION_MM = 3, 4.0


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the dataset, in ``raw``: one person with multiple sclerosis, one without."""
    root = tmp_path_factory.mktemp("study")
    make_dataset(root / "raw", participants=2, resolution_mm=RESOLUTION_MM, seed=SEED, atlas=atlas_with_stem())
    return root


def areas(study: Path, participant: str, session: str) -> pd.DataFrame:
    """Read the true areas of a session."""
    folder = study / "raw" / FOLDER / f"sub-{participant}" / f"ses-{session}" / "anat"
    path = folder / f"sub-{participant}_ses-{session}_seg-cord_morph.tsv"
    return read_table(path, CORD_TRUTH).set_index("level")


def change(study: Path, participant: str) -> Path:
    """Return where the true change is."""
    return study / "raw" / FOLDER / f"sub-{participant}" / f"sub-{participant}_seg-cord_desc-change_morph.tsv"


def drawn_truth(number: int) -> CordTruth:
    """Draw a participant of the dataset again, and say what is true of the cord at the first visit."""
    rng = np.random.default_rng([SEED, number])
    participant = draw_participant(number, rng)
    person = make_person(
        coarsen_atlas(atlas_with_stem(), RESOLUTION_MM),
        rng,
        etiv_mm3=participant.etiv_mm3,
        with_lesions=participant.group == "MS",
    )
    assert person.neck is not None
    return cord_truth(person.neck, np.eye(4))


@pytest.mark.parametrize("part", [".", "derivatives/truth"])
def test_valid_bids(study: Path, part: str) -> None:
    """The validator finds no error in the raw dataset with scans of the neck, nor in the truth with cords."""
    result = run_validator(study / "raw" / part)
    assert result is not None
    assert result.errors == ()


def test_one_person_has_scans_of_the_neck(study: Path) -> None:
    """They are those of the first person, at both visits, named and described as such."""
    scans = sorted(path.relative_to(study / "raw").as_posix() for path in study.glob("raw/sub-*/**/*_T2w.nii.gz"))
    assert scans == [f"sub-01/ses-{one}/anat/sub-01_ses-{one}_acq-cspine_T2w.nii.gz" for one in ("01", "02")]
    for scan in scans:
        sidecar = json.loads((study / "raw" / scan.replace(".nii.gz", ".json")).read_text())
        assert sidecar["BodyPart"] == "CSPINE"
        assert sidecar["Manufacturer"] == "Synthetic"


def test_the_program_takes_them_for_the_cord(study: Path) -> None:
    """In reading, the scan of the neck becomes the image of the cord, where there is one, and nothing else."""
    for subject in collect_subjects(make_config(study)).subjects:
        for session in subject.sessions:
            named = None if session.cord is None else session.cord.path.name
            own = f"{session.name}_acq-cspine_T2w.nii.gz" if subject.label == "01" else None
            assert named == own
            assert session.t2w is None


def test_voxels_of_the_neck_go_with_those_of_the_head(study: Path) -> None:
    """They are as coarse as those of the head in proportion, and never finer than usual."""
    image = nib.load(study / "raw/sub-01/ses-01/anat/sub-01_ses-01_acq-cspine_T2w.nii.gz")
    assert nib.affines.voxel_sizes(image.affine) == pytest.approx(np.multiply(RESOLUTION_MM, CERVICAL_VOXEL_MM))
    assert cervical_voxel_mm(0.5) == CERVICAL_VOXEL_MM


@pytest.mark.parametrize("number", [1, 2])
def test_areas_are_those_of_the_drawn_cord(study: Path, number: int) -> None:
    """Each person's table has the areas and ends of the levels of the neck that was drawn, healthy or not."""
    table, truth = areas(study, f"{number:02d}", "01"), drawn_truth(number)
    assert table.index.tolist() == ["C2-C3", *LEVELS]
    assert table["csa_mm2"].to_dict() == pytest.approx(dict(truth.csa_mm2), abs=1e-4)
    ends = table.loc[list(LEVELS), ["top_mm", "bottom_mm"]].to_numpy()
    assert ends == pytest.approx(np.asarray(list(pairwise(truth.tops_mm))), abs=0.006)
    around = table.loc["C2-C3"]
    assert (around["top_mm"] + around["bottom_mm"]) / 2.0 == pytest.approx(truth.tops_mm[2], abs=0.006)
    assert around["bottom_mm"] - around["top_mm"] == pytest.approx(MUCCA_MM)


def test_change_is_the_planted_one(study: Path) -> None:
    """Each level loses 1.8 % a year, and the table agrees with those of the two visits."""
    table = read_table(change(study, "01"), CORD_TRUTH_CHANGE).set_index("level")
    before, after = (areas(study, "01", session)["csa_mm2"] for session in ("01", "02"))
    assert table.index.tolist() == before.index.tolist()
    assert table["change_mm2"].to_numpy() == pytest.approx((after - before).to_numpy(), abs=2e-4)
    years = table["days"].iloc[0] / DAYS_PER_YEAR
    lost = 100.0 * ((1.0 - YEARLY_CORD_LOSS) ** years - 1.0)
    assert table["change_pct"].to_numpy() == pytest.approx(lost, abs=2e-4)
    assert table["change_pct_per_year"].to_numpy() == pytest.approx(lost / years, abs=2e-4)


def test_healthy_people_have_no_change(study: Path) -> None:
    """With one visit there is a table of areas and none of change."""
    assert len(areas(study, "02", "01")) == len(LEVELS) + 1
    assert not change(study, "02").exists()


def test_other_scans_do_not_depend_on_that_of_the_neck(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person without a scan of the neck has the same images of the head and the same truth, to the byte."""
    monkeypatch.setattr("bids_msvol.demo.clinical.NECK_SCANNED", 2)
    alone = tmp_path / "alone"
    make_dataset(alone, participants=1, resolution_mm=RESOLUTION_MM, seed=SEED, atlas=atlas_with_stem())
    files, others = (
        {path.relative_to(root): path.read_bytes() for path in root.rglob("sub-01_*") if path.is_file()}
        for root in (study / "raw", alone)
    )
    extra = files.keys() - others.keys()
    assert {path.name.split("_", 2)[2] for path in extra} == {"acq-cspine_T2w.nii.gz", "acq-cspine_T2w.json"}
    assert others == {name: content for name, content in files.items() if name not in extra}
    assert len(others) > 10
