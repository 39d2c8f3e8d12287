# SPDX-License-Identifier: Apache-2.0
"""The program from the command line to the report, nothing replaced but the fineness of the atlas.

One synthetic head of coarse voxels is measured once; every test looks at that run or calls the program again on it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import bids_msvol
from bids_msvol.atlas.head import TYPICAL_T1W_INTENSITY, HeadAtlas, coarsen_atlas, load_atlas, save_atlas
from bids_msvol.bids import validator
from bids_msvol.bids.tables import QUALITY, SESSIONS, VOLUMES
from bids_msvol.bids.tabular import read_table
from bids_msvol.structures import STRUCTURES
from tests.bids.skeleton import make_dataset

pytestmark = pytest.mark.system

EXPECTED_FILES = Path(__file__).with_name("expected_outputs.txt")
VOXEL_MM = 4.0
HEAD_SCALE = 0.92
"""The mean head of the atlas is larger than that of most people."""

PROGRAM = """
import sys
from pathlib import Path
from bids_msvol.engines import atlas_engine
shipped = atlas_engine.load_atlas
atlas_engine.load_atlas = lambda: shipped(Path({atlas!r}))
from bids_msvol.cli import main
if __name__ == "__main__":
    sys.exit(main())
"""


@dataclass(frozen=True)
class Finished:
    """A call of the program that ended."""

    code: int
    lines: tuple[str, ...]
    messages: str


@dataclass(frozen=True)
class Study:
    """A dataset, its output, and the program to call on it."""

    folder: Path
    first: Finished

    @property
    def output(self) -> Path:
        return self.folder / "out"

    def call(self, *flags: str, resolution_mm: float = VOXEL_MM) -> Finished:
        return call(self.folder, *flags, resolution_mm=resolution_mm)

    def contents(self) -> dict[str, int]:
        """Return the time of change of every result: all files but the records of runs."""
        files = (path for path in self.output.rglob("*") if path.is_file())
        return {
            name: path.stat().st_mtime_ns
            for path in files
            if not re.search(r"^logs/|/log/run-", name := path.relative_to(self.output).as_posix())
        }


def call(folder: Path, *flags: str, resolution_mm: float = VOXEL_MM) -> Finished:
    """Run the program in a process of its own."""
    command = [
        sys.executable, str(folder / "program.py"), str(folder / "raw"), str(folder / "out"), "participant",
        "--work-dir", str(folder / "work"), "--resolution", str(resolution_mm), "--skip-bids-validation",
        "--nprocs", "2", "--omp-nthreads", "1", *flags,
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(Path(bids_msvol.__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=600)
    return Finished(done.returncode, tuple(done.stdout.splitlines()), done.stderr)


def draw_head(atlas: HeadAtlas) -> nib.Nifti1Image:
    """Draw a noisy T1w in which each voxel has the brightness of the atlas's most probable class."""
    certain = (atlas.maps == atlas.maps.max(axis=0)) * np.uint8(255)
    drawn = HeadAtlas(atlas.classes, certain, atlas.affine).expected_image(TYPICAL_T1W_INTENSITY)
    noise = np.random.default_rng(0).normal(0, 10, drawn.shape)
    data = np.clip(500 * np.asarray(drawn.dataobj) + noise, 0, 700).astype(np.int16)
    affine = np.diag([HEAD_SCALE] * 3 + [1.0]) @ drawn.affine
    image = nib.Nifti1Image(data, affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm", "sec")
    return image


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Measure a dataset with one good session, one whose image is cut short, and a participant with a 4D image."""
    folder = tmp_path_factory.mktemp("study")
    atlas = coarsen_atlas(load_atlas(), VOXEL_MM)
    save_atlas(atlas, folder / "atlas.npz")
    head = draw_head(atlas)
    several = nib.Nifti1Image(np.stack([np.asarray(head.dataobj)] * 2, axis=-1), head.affine)
    good, cut, bad = (
        f"sub-{subject}/ses-{session}/anat/sub-{subject}_ses-{session}_T1w.nii.gz"
        for subject, session in (("01", "1"), ("01", "2"), ("02", "1"))
    )
    raw = make_dataset(folder / "raw", {good: head, cut: head, bad: several})
    (raw / cut).write_bytes((raw / cut).read_bytes()[:-2000])
    (folder / "program.py").write_text(PROGRAM.format(atlas=str(folder / "atlas.npz")))
    return Study(folder, call(folder))


def test_failures_are_told_and_leave_the_others(study: Study) -> None:
    """The good session is measured, the damaged ones are named with the reason, and the exit code says bad data."""
    assert study.first.code == 65, study.first.messages
    assert study.first.lines[-1].startswith("bids_msvol failed: 2 participants: 2 failed (exit code 65; see ")
    assert "sub-01_ses-2_T1w.nii.gz: is cut short or damaged" in study.first.messages
    assert "sub-02_ses-1_T1w.nii.gz: holds more than one volume" in study.first.messages
    assert "Traceback" not in study.first.messages
    assert (study.output / "sub-01/ses-1/anat/sub-01_ses-1_seg-structures_morph.tsv").is_file()


def test_exactly_the_promised_files(study: Study) -> None:
    """The output tree is the one that is written down in expected_outputs.txt, times and process numbers apart."""
    found = {
        re.sub(r"\d{8}T\d{6}Z(-\d+)?", "<time>", path.relative_to(study.output).as_posix())
        for path in study.output.rglob("*")
        if path.is_file()
    }
    assert sorted(found) == EXPECTED_FILES.read_text(encoding="utf-8").split()


@pytest.mark.skipif(validator._find_command() is None, reason="bids-validator-deno is not installed")
def test_the_output_is_valid_bids(study: Study) -> None:
    """The validator finds no error in what the program wrote."""
    result = validator.run_validator(study.output)
    assert result is not None
    assert result.errors == ()


def test_the_tables_hold_a_head(study: Study) -> None:
    """What was found has the size of a head and fits the images; the volumes are that, or withheld with a reason."""
    anat = study.output / "sub-01/ses-1/anat"
    quality = read_table(anat / "sub-01_ses-1_desc-quality_stat.tsv", QUALITY).set_index("metric")
    brain_mm3, etiv_mm3 = quality["value"]["whole_brain_mm3"], quality["value"]["etiv_mm3"]
    assert 800_000 < brain_mm3 < etiv_mm3 < 2_500_000
    mask = nib.load(anat / "sub-01_ses-1_desc-brain_mask.nii.gz")
    assert np.count_nonzero(mask.dataobj) * np.prod(mask.header.get_zooms()) == pytest.approx(brain_mm3, rel=0.15)
    volumes = read_table(anat / "sub-01_ses-1_seg-structures_morph.tsv", VOLUMES).set_index("name")["volume_mm3"]
    assert {structure.name for structure in STRUCTURES} < set(volumes.index)
    sessions = read_table(study.output / "sub-01/sub-01_sessions.tsv", SESSIONS)
    assert sessions["session_id"].tolist() == ["ses-1"]
    if volumes.isna().any():
        assert set(sessions["quality_verdict"]) == {"fail"}
        assert quality["reason"].loc[quality["verdict"] == "fail"].all()
    else:
        assert volumes["WholeBrain"] == pytest.approx(brain_mm3, abs=0.1)
        assert sessions["whole_brain_mm3"].tolist() == [volumes["WholeBrain"]]


def test_the_report_shows_what_was_measured_and_what_was_not(study: Study) -> None:
    """The report has pictures and numbers of the one session and the reason why the other has none."""
    report = (study.output / "sub-01.html").read_text(encoding="utf-8")
    assert report.count("data:image/") >= 3
    assert "sub-01_ses-2 could not be measured" in report
    assert "is cut short or damaged" in report
    assert not (study.output / "sub-02.html").exists()


def test_a_second_run_does_nothing(study: Study) -> None:
    """With the same inputs and settings nothing is measured and no file of the results is touched."""
    before = study.contents()
    again = study.call("--participant-label", "01", "--session-label", "1")
    assert again.code == 0, again.messages
    assert again.lines[-1].startswith("bids_msvol finished successfully: 1 participant: 1 unchanged;")
    assert "measuring" not in again.messages
    assert study.contents() == before


def test_reports_can_be_written_again(study: Study) -> None:
    """``--reports-only`` makes the same report from the results alone, the failed session included."""
    path = study.output / "sub-01.html"
    before = path.read_text(encoding="utf-8")
    path.unlink()
    again = study.call("--reports-only")
    assert again.code == 0, again.messages
    assert "measuring" not in again.messages
    assert path.read_text(encoding="utf-8") == before


def test_other_settings_are_refused_in_the_same_folder(study: Study) -> None:
    """Results of another voxel size do not come into one folder with these; the message names both."""
    before = study.contents()
    other = study.call(resolution_mm=3.0)
    assert other.code == 19
    assert "resolution_mm was 4.0 and is now 3.0" in other.messages
    assert study.contents() == before


def test_the_run_is_on_record(study: Study) -> None:
    """The participant's log has each step with its time, and the provenance says from what and how."""
    folder = study.output / "sub-01" / "log"
    first = min(folder.glob("run-*.jsonl"))
    records = [json.loads(line) for line in first.read_text(encoding="utf-8").splitlines()]
    steps = [record["step"] for record in records if record.get("event") == "step finished"]
    assert steps[:2] == ["reading", "measuring"]
    assert "writing sub-01_ses-1" in steps[2:]
    provenance: Mapping[str, object] = json.loads((folder / "sub-01_ses-1_provenance.json").read_text())
    assert provenance["ChosenScan"] == "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz"
    assert provenance["Methods"]
    assert provenance["ResolutionMm"] == VOXEL_MM
