# SPDX-License-Identifier: Apache-2.0
"""The files about the cord: what is written, what is read back, and what goes when it is not measured any more."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_msvol.bids.load import load_participant
from bids_msvol.bids.names import sidecar_path
from bids_msvol.bids.outputs import write_changes, write_session, write_sessions_table
from bids_msvol.bids.session_images import SessionImages
from bids_msvol.config import Config
from bids_msvol.cord.change import CordChange
from bids_msvol.measurement import SessionMeasurement
from bids_msvol.session_cord import add_cord
from tests.bids.measured import measurement, pair
from tests.cord.phantoms import TRUE_AREA_MM2, neck

JUNCTION_MM = np.asarray([0.0, 0.0, 60.0])


@pytest.fixture(scope="module")
def head() -> nib.Nifti1Image:
    """T1w that shows the neck."""
    return neck("T1w", extent_mm=(44.0, 60.0, 130.0))


def with_cord(raw: Path, head: nib.Nifti1Image, config: Config, session: str | None = None) -> SessionMeasurement:
    """Return a session whose cord was measured."""
    return add_cord(measurement(raw, session=session), SessionImages(head), JUNCTION_MM, "", config)


def test_written_and_read_back(tmp_path: Path, head: nib.Nifti1Image) -> None:
    """Tables, mask and straightened image are there, described, and say what was measured."""
    config = Config(bids_dir=tmp_path / "raw", output_dir=tmp_path / "out")
    made = with_cord(tmp_path / "raw", head, config)
    written = write_session(made, config)
    write_sessions_table(config.output_dir, "01")
    (session,) = load_participant(config.output_dir, "01").sessions
    assert session.cord_value("C2-C3", "csa_mm2") == pytest.approx(TRUE_AREA_MM2, rel=0.02)
    assert session.cord_value("C7", "csa_mm2") is None
    assert session.cord_sections is not None
    assert (session.cord_sections["distance_mm"].diff().dropna() > 0).all()
    mask = nib.load(session.files.cord_mask("head-T1w"))
    assert mask.shape == head.shape
    loaded = session.load_straight_cord("head-T1w")
    assert loaded is not None
    image, outline = loaded
    inside = np.asarray(outline.dataobj) > 0
    assert np.median(np.asarray(image.dataobj)[inside]) == pytest.approx(800.0, rel=0.05)
    sidecar = json.loads(session.files.cord_table.with_suffix(".json").read_text())
    assert sidecar["csa_mm2"]["Units"] == "mm^2"
    assert sidecar["Sources"] == ["bids:raw:sub-01/anat/sub-01_T1w.nii.gz"]
    straight = json.loads(sidecar_path(session.files.straight_cord("head-T1w")).read_text())
    # BIDS wants it of every T1w.
    assert straight["SkullStripped"] is False
    assert {session.files.cord_table, session.files.cord_sections, session.files.cord_mask("head-T1w")} <= set(written)
    headline = (config.output_dir / "sub-01" / "sub-01_sessions.tsv").read_text().splitlines()
    values = dict(zip(headline[0].split("\t"), headline[1].split("\t"), strict=True))
    assert float(values["cord_c2c3_mm2"]) == pytest.approx(TRUE_AREA_MM2, rel=0.02)
    assert float(values["cord_volume_mm3"]) / float(values["cord_length_mm"]) == pytest.approx(
        float(values["cord_c1c7_mm2"]), rel=1e-3
    )


def test_what_is_not_measured_any_more_goes(tmp_path: Path, head: nib.Nifti1Image) -> None:
    """After a run without cord no mask of the earlier one is left, and the table gives the reason."""
    config = Config(bids_dir=tmp_path / "raw", output_dir=tmp_path / "out")
    made = with_cord(tmp_path / "raw", head, config)
    write_session(made, config)
    write_session(replace(made, cords=(), no_cord={"head-T1w": "the groove is not seen"}), config)
    (session,) = load_participant(config.output_dir, "01").sessions
    assert session.cord_sections is None
    assert session.load_straight_cord("head-T1w") is None
    assert not session.files.cord_mask("head-T1w").exists()
    assert set(session.cord["reason"]) == {"the groove is not seen"}


def test_change_is_written_with_its_rate(tmp_path: Path) -> None:
    """A loss of 2 % in two years is 1 % a year; a level that was not measured has no number."""
    config = Config(bids_dir=tmp_path / "raw", output_dir=tmp_path / "out")
    changes = (CordChange("head-T1w", "C2-C3", -1.4, -2.0, 0.9), CordChange("head-T1w", "C7", None, None, 0.0))
    visits = [measurement(tmp_path / "raw", session=label) for label in ("1", "2")]
    for visit in visits:
        write_session(visit, config)
    write_changes([replace(pair(visits[0].session, visits[1].session), cord=changes, days=730.5)], config)
    table = load_participant(config.output_dir, "01").cord_changes
    assert table is not None
    assert table["change_pct_per_year"].iloc[0] == pytest.approx(-1.0)
    assert np.isnan(table["change_mm2"].iloc[1])
