# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import math
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_msvol.bids import validator
from bids_msvol.bids.load import finished_participants, load_participant
from bids_msvol.bids.names import SessionFiles, change_table_path, pair_table_path
from bids_msvol.bids.outputs import (
    OutputDataset,
    change_rows,
    remove_changes,
    volume_rows,
    write_changes,
    write_session,
    write_sessions_table,
)
from bids_msvol.bids.records import IgnoredScan, Subject
from bids_msvol.bids.tables import CHANGE, PAIRS, SESSIONS
from bids_msvol.bids.tabular import read_table
from bids_msvol.bids.unmeasured import record_unmeasured
from bids_msvol.config import Config, result_hash
from bids_msvol.errors import DataError, NoInputError
from bids_msvol.measurement import SessionMeasurement
from bids_msvol.structures import SUMS
from tests.bids.measured import TEMPLATE, measurement, pair
from tests.bids.skeleton import make_config, make_dataset
from tests.imaging.phantoms import rigid


def write(tmp_path: Path, *measurements: SessionMeasurement) -> Config:
    """Write a derivative dataset of these sessions, as a run for each of them would."""
    make_dataset(tmp_path / "raw", {})
    config = make_config(tmp_path)
    OutputDataset.create(config)
    for made in measurements:
        write_session(made, config)
        skipped = (IgnoredScan("sub-01/ses-9", "it has no T1w"),)
        record_unmeasured(Subject(made.session.subject, (made.session,), skipped), config, ())
        write_sessions_table(config.output_dir, made.session.subject)
    return config


@pytest.mark.skipif(validator._find_command() is None, reason="bids-validator-deno is not installed")
@pytest.mark.parametrize("sessions", [(None,), ("1", "2")])
def test_the_derivative_dataset_is_valid_bids(tmp_path: Path, sessions: tuple[str | None, ...]) -> None:
    """The validator finds no error, with the headers of the images checked, with and without sessions."""
    to_scan = rigid((0.1, 0.0, 0.0), (1.0, 2.0, 3.0)) if len(sessions) > 1 else None
    made = [measurement(tmp_path / "raw", session=session, to_scan=to_scan) for session in sessions]
    config = write(tmp_path, *made)
    if len(made) > 1:
        write_changes([pair(made[0].session, made[1].session)], config)
    (config.output_dir / "sub-01.html").write_text("report")
    (config.output_dir / "sub-01" / "figures").mkdir()
    (config.output_dir / "sub-01" / "figures" / "a.png").write_text("x")
    (config.output_dir / "logs").mkdir()
    (config.output_dir / "logs" / "run_config.toml").write_text("x = 1")
    result = validator.run_validator(config.output_dir)
    assert result is not None
    assert result.errors == ()
    assert "EMPTY_FILE" not in {issue.code for issue in result.warnings}


def test_the_files_of_a_session(tmp_path: Path) -> None:
    """Exactly the promised files are written, all of them returned, and no temporary file is left."""
    made = measurement(tmp_path / "raw", session="1")
    config = make_config(tmp_path)
    written = write_session(made, config)
    stem = "sub-01_ses-1"
    anat = {
        f"{stem}_desc-preproc_T1w.nii.gz", f"{stem}_desc-preproc_T1w.json",
        f"{stem}_desc-brain_mask.nii.gz", f"{stem}_desc-brain_mask.json",
        f"{stem}_seg-structures_dseg.nii.gz", f"{stem}_seg-structures_dseg.json",
        *(f"{stem}_label-{tissue}_probseg{end}" for tissue in ("GM", "WM", "CSF") for end in (".nii.gz", ".json")),
        *(f"{stem}_from-T1w_to-{TEMPLATE}_mode-image_xfm{end}" for end in (".h5", ".json")),
        *(f"{stem}_from-{TEMPLATE}_to-T1w_mode-image_xfm{end}" for end in (".h5", ".json")),
        f"{stem}_seg-lesions_morph.tsv", f"{stem}_seg-lesions_morph.json",
        f"{stem}_seg-cord_morph.tsv", f"{stem}_seg-cord_morph.json",
        f"{stem}_seg-structures_morph.tsv", f"{stem}_seg-structures_morph.json",
        f"{stem}_desc-quality_stat.tsv", f"{stem}_desc-quality_stat.json",
    }  # fmt: skip
    on_disk = {path for path in config.output_dir.rglob("*") if path.is_file()}
    assert {path.name for path in (config.output_dir / "sub-01/ses-1/anat").iterdir()} == anat
    assert on_disk == set(written)
    assert written[-1] == config.output_dir / "sub-01/log/sub-01_ses-1_provenance.json"


def test_movement_to_the_scan_is_stored_where_there_is_one(tmp_path: Path) -> None:
    """The file resamples the scan to the shared space: it leads a point of that space to the same spot of the scan."""
    import ants

    move = rigid((0.1, -0.2, 0.3), (4.0, 5.0, -6.0))
    config = make_config(tmp_path)
    written = write_session(measurement(tmp_path / "raw", session="1", to_scan=move), config)
    path = SessionFiles(config.output_dir, "01", "1").scan_transform
    sidecar = path.with_suffix(".json")
    point = np.array([10.0, 20.0, 30.0])
    found = np.array(ants.read_transform(str(path)).apply_to_point(list(point * [-1, -1, 1]))) * [-1, -1, 1]
    assert found == pytest.approx(nib.affines.apply_affine(move, point), abs=1e-3)
    assert json.loads(sidecar.read_text())["Sources"] == ["bids:raw:sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz"]
    alone = write_session(measurement(tmp_path / "raw", session="1"), config)
    assert set(written) - set(alone) == {path, sidecar}
    assert not path.exists()
    assert not sidecar.exists()


def test_images_keep_their_values_and_place(tmp_path: Path) -> None:
    """Stored compactly, the images still have their values, types, units and coordinates."""
    made = measurement(tmp_path / "raw")
    config = write(tmp_path, made)
    (session,) = load_participant(config.output_dir, "01").sessions
    expected = np.clip(made.t1w.get_fdata(), 0, None)
    np.testing.assert_allclose(session.load_t1w().get_fdata(), expected, atol=900 / 32767)
    np.testing.assert_array_equal(session.load_dseg().dataobj, made.labels.dataobj)
    np.testing.assert_array_equal(session.load_brain_mask().dataobj, made.brain_mask.dataobj)
    probability = nib.load(session.files.probseg("GM"))
    np.testing.assert_allclose(probability.get_fdata(), 0.5, atol=1 / 255)
    for image in (session.load_t1w(), session.load_dseg(), probability):
        assert image.header.get_xyzt_units()[0] == "mm"
        assert int(image.header["sform_code"]) == int(image.header["qform_code"]) == 1
        np.testing.assert_allclose(image.affine, made.t1w.affine)
    assert session.load_dseg().get_data_dtype() == np.int16


def test_two_writings_give_the_same_bytes(tmp_path: Path) -> None:
    """Nothing that is written depends on the time or the folder, the transforms' own format apart."""
    bytes_of = []
    for run in ("a", "b"):
        root = tmp_path / run
        written = write_session(measurement(root / "raw"), make_config(root))
        bytes_of.append({path.name: path.read_bytes() for path in written if path.suffix != ".h5"})
    assert bytes_of[0] == bytes_of[1]


def test_sidecars_tell_where_images_come_from(tmp_path: Path) -> None:
    """Sources are BIDS URIs into the raw and the derivative dataset, and what the standard requires is there."""
    made = measurement(tmp_path / "raw", skull_stripped=True)
    files = SessionFiles(make_config(tmp_path).output_dir, "01", None)
    write_session(made, make_config(tmp_path))
    t1w = json.loads((files.root / "sub-01/anat/sub-01_desc-preproc_T1w.json").read_text())
    assert t1w["Sources"] == ["bids:raw:sub-01/anat/sub-01_T1w.nii.gz"]
    assert t1w["SkullStripped"] is True
    assert made.session.choice in t1w["Description"]
    mask = json.loads((files.root / "sub-01/anat/sub-01_desc-brain_mask.json").read_text())
    assert mask["Type"] == "Brain"
    assert mask["Sources"] == ["bids::sub-01/anat/sub-01_desc-preproc_T1w.nii.gz"]


def test_sums_are_sums_of_their_members(tmp_path: Path) -> None:
    """Each sum in the table is the sum of the rows that it names, in per cent of eTIV too."""
    rows = {row["name"]: row for row in volume_rows(measurement(tmp_path))}
    for item in SUMS:
        assert rows[item.name]["volume_mm3"] == 100.0 * sum(item.members)
        assert rows[item.name]["index"] is None
    assert rows["eTIV"]["volume_mm3"] == 1_500_000.0
    assert rows["eTIV"]["volume_pct_etiv"] == 100.0
    assert rows["Left-Thalamus"]["volume_pct_etiv"] == pytest.approx(100 * 1000 / 1_500_000)


def test_a_failed_structure_fails_its_sums_only(tmp_path: Path) -> None:
    """Without the left thalamus there is no whole brain, but the ventricles stand; nothing becomes 0."""
    volumes = {**measurement(tmp_path).volumes_mm3, 10: None}
    rows = {row["name"]: row["volume_mm3"] for row in volume_rows(measurement(tmp_path, volumes_mm3=volumes))}
    assert rows["Left-Thalamus"] is rows["WholeBrain"] is rows["DeepGray"] is None
    assert rows["Ventricles"] == 100.0 * (4 + 5 + 14 + 15 + 43 + 44)


def test_a_failed_etiv_leaves_the_volumes(tmp_path: Path) -> None:
    """Without intracranial volume there are no percentages, but volumes in mm3."""
    config = write(tmp_path, measurement(tmp_path / "raw", session="1", etiv_mm3=None))
    row = read_table(config.output_dir / "sub-01/sub-01_sessions.tsv", SESSIONS).iloc[0]
    assert math.isnan(row["etiv_mm3"])
    assert math.isnan(row["brain_parenchymal_fraction"])
    assert math.isnan(row["thalamus_pct_etiv"])
    assert row["thalamus_mm3"] == 100 * (10 + 49)


def test_a_later_run_of_one_session_keeps_the_others(tmp_path: Path) -> None:
    """The table of sessions has all finished sessions, whichever run wrote them."""
    made = [measurement(tmp_path / "raw", session=session) for session in ("2", "1")]
    config = write(tmp_path, *made)
    table = read_table(config.output_dir / "sub-01/sub-01_sessions.tsv", SESSIONS)
    assert table["session_id"].tolist() == ["ses-1", "ses-2"]
    assert table["quality_verdict"].tolist() == ["warn", "warn"]
    brain = 100.0 * sum(SUMS[0].members)
    assert table["whole_brain_mm3"].tolist() == [brain, brain]
    assert table["brain_parenchymal_fraction"][0] == pytest.approx(brain / 1_500_000, abs=1e-5)
    assert table["cortex_mm3"][0] == 100.0 * (3 + 42)
    # From the volume itself: adding the rounded shares of both sides would give 0.3934.
    assert table["thalamus_pct_etiv"][0] == 0.3933


def test_all_that_a_report_needs_comes_back(tmp_path: Path) -> None:
    """Choice, scanner, methods, versions and what was left out are read from disk alone."""
    config = write(tmp_path, measurement(tmp_path / "raw", session="1"))
    outputs = load_participant(config.output_dir, "01")
    (session,) = outputs.sessions
    record = session.provenance
    assert (session.subject, session.label, session.days, session.verdict) == ("01", "1", None, "warn")
    assert record.chosen_scan == "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz"
    assert record.choice == "It is the only T1w of the session."
    assert record.other_scans == {"FLAIR": "sub-01/ses-1/anat/sub-01_ses-1_FLAIR.nii.gz"}
    assert record.ignored == (IgnoredScan("sub-01/anat/sub-01_T2starw.nii.gz", "not used"),)
    assert record.scanner == {"Manufacturer": "Siemens", "MagneticFieldStrength": 3}
    assert record.voxel_size_mm == (4.0, 4.0, 4.0)
    assert record.sentences == ("The bias was corrected.", "The head was registered.")
    assert next(iter(record.versions)) == "bids_msvol"
    assert record.configuration_hash == result_hash(config)
    assert outputs.skipped == (IgnoredScan("sub-01/ses-9", "it has no T1w"),)
    assert session.volume_mm3("Left-Thalamus") == 1000.0
    assert session.volume_mm3("no such") is None
    assert session.quality["reason"].tolist() == ["low contrast", ""]
    assert finished_participants(config.output_dir) == ("01",)


def test_an_interrupted_session_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session whose writing broke off is not reported, although an earlier run had finished it."""
    made = measurement(tmp_path / "raw", session="1")
    config = write(tmp_path, made)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("bids_msvol.imaging.registration.save_transform", fail)
    with pytest.raises(RuntimeError):
        write_session(made, config)
    with pytest.raises(NoInputError, match="has no finished session"):
        load_participant(config.output_dir, "01")
    assert not list(config.output_dir.rglob("*.tmp-*"))


@pytest.mark.parametrize("text", ["{", '{"Session": null}'])
def test_a_damaged_record_is_named(tmp_path: Path, text: str) -> None:
    """A provenance record that cannot be used is an error with its name, not a crash."""
    config = write(tmp_path, measurement(tmp_path / "raw"))
    path = SessionFiles(config.output_dir, "01", None).provenance
    path.write_text(text)
    with pytest.raises(DataError, match="Remove the file") as caught:
        load_participant(config.output_dir, "01")
    assert caught.value.subject == path


def visits(tmp_path: Path) -> list[SessionMeasurement]:
    """Return measurements of three visits of one person."""
    return [measurement(tmp_path / "raw", session=label) for label in ("1", "2", "3")]


def test_change_is_written_for_every_pair(tmp_path: Path) -> None:
    """All pairs stand in one table, in their order, with the change, its rate per year, and their quality beside it."""
    first, second, third = (made.session for made in visits(tmp_path))
    config = make_config(tmp_path)
    written = write_changes([pair(first, second), pair(first, third, days=None), pair(second, third)], config)
    change, quality = change_table_path(config.output_dir, "01"), pair_table_path(config.output_dir, "01")
    assert set(written) == {change, change.with_suffix(".json"), quality, quality.with_suffix(".json")}
    table = read_table(change, CHANGE)
    ways = list(zip(table["session_id_from"], table["session_id_to"], strict=True))
    expected = [("ses-1", "ses-2"), ("ses-1", "ses-3"), ("ses-2", "ses-3")]
    assert ways == [way for way in expected for _ in range(3)]
    brain = table[(table["name"] == "WholeBrain") & (table["method"] == "segmentation")]
    assert brain["index"].isna().all()
    assert brain["change_mm3"].tolist() == [-12_000.0] * 3
    assert brain["change_pct"].tolist() == [-1.0] * 3
    assert brain["change_pct_per_year"].fillna(99).tolist() == [-2.0, 99, -2.0]
    assert table.loc[table["name"] == "Left-Thalamus", "change_mm3"].isna().all()
    metrics = read_table(quality, PAIRS)
    assert metrics["metric"].tolist() == ["protocol_differences", "alignment"] * 3
    assert metrics["reason"].tolist() == ["other voxels", ""] * 3
    assert list(zip(metrics["session_id_from"], metrics["session_id_to"], strict=True))[::2] == expected


def test_tables_of_change_name_their_images(tmp_path: Path) -> None:
    """The sources are the images of each visit that takes part, once."""
    first, second, third = (made.session for made in visits(tmp_path))
    config = make_config(tmp_path)
    write_changes([pair(first, second), pair(first, third), pair(second, third)], config)
    for path in (change_table_path(config.output_dir, "01"), pair_table_path(config.output_dir, "01")):
        assert json.loads(path.with_suffix(".json").read_text())["Sources"] == [
            f"bids::sub-01/ses-{label}/anat/sub-01_ses-{label}_desc-preproc_T1w.nii.gz" for label in ("1", "2", "3")
        ]


@pytest.mark.parametrize("days", [None, 0.0])
def test_without_time_there_is_no_rate(tmp_path: Path, days: float | None) -> None:
    """Two visits on one day, or on unknown days, have a change but no change per year."""
    first, second, _ = (made.session for made in visits(tmp_path))
    rows = change_rows(pair(first, second, days=days))
    assert [row["change_pct"] for row in rows] == [None, -1.0, -1.1]
    assert [row["change_pct_per_year"] for row in rows] == [None] * 3


def test_change_comes_back_and_is_removed(tmp_path: Path) -> None:
    """The report finds the tables of change on disk; once removed, nothing of them is left and the sessions stay."""
    made = visits(tmp_path)[:2]
    config = write(tmp_path, *made)
    remove_changes(config, "01")
    assert load_participant(config.output_dir, "01").changes is None
    write_changes([pair(made[0].session, made[1].session)], config)
    outputs = load_participant(config.output_dir, "01")
    assert outputs.changes is not None
    assert outputs.pairs is not None
    assert (len(outputs.changes), len(outputs.pairs)) == (3, 2)
    remove_changes(config, "01")
    outputs = load_participant(config.output_dir, "01")
    assert (outputs.changes, outputs.pairs) == (None, None)
    assert len(outputs.sessions) == 2
    assert not list((config.output_dir / "sub-01").glob("**/*change*"))
