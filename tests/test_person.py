# SPDX-License-Identifier: Apache-2.0
"""The sessions of a person: one alone as ever, several alike and together, and their change as it was planted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from bids_msvol import person as person_module
from bids_msvol.atlas.labels import BRAIN
from bids_msvol.bids.records import Scan, Session
from bids_msvol.bids.session_images import SessionImages
from bids_msvol.config import Config
from bids_msvol.demo.atrophy import plan_atrophy
from bids_msvol.imaging.change import compare_volumes
from bids_msvol.measurement import PairMeasurement, PersonMeasurement, SessionMeasurement
from bids_msvol.person import measure_person, with_sessions
from bids_msvol.session import measure_session
from bids_msvol.structures import STRUCTURES, SUMS
from tests.bids.skeleton import HEAD_MM, head_image
from tests.fake_engine import LEAST_BRIGHTNESS, SHARES, FakeEngine, made_up_head
from tests.imaging.phantoms import rigid
from tests.imaging.toyhead import toy_labels
from tests.imaging.toyvisits import true_volumes_mm3, visit
from tests.toy_engine import ToyEngine

VOXEL_MM3 = HEAD_MM**3


def session(label: str, days: float | None = None, metadata: Mapping[str, Any] | None = None) -> Session:
    """Return a visit whose image needs not exist."""
    name = f"sub-01/ses-{label}/anat/sub-01_ses-{label}_T1w.nii.gz"
    return Session("01", label, Scan(Path(name), name, "T1w", {}, metadata or {}), "It is the only T1w.", days=days)


def config(resolution_mm: float = HEAD_MM) -> Config:
    """Return a run; nothing is read or written."""
    folder = Path("nowhere")
    return Config(bids_dir=folder, output_dir=folder, work_dir=folder, resolution_mm=resolution_mm)


def measure(images: Sequence[nib.Nifti1Image], sessions: Sequence[Session] = ()) -> PersonMeasurement:
    """Measure visits ``a``, ``b`` ... with the fake engine."""
    visits = sessions or [session(label) for label, _ in zip("abcdef", images, strict=False)]
    return measure_person(visits, [SessionImages(image) for image in images], config(), FakeEngine())


def change_mm3(pair: PairMeasurement, name: str, method: str = "segmentation") -> float | None:
    """Return the change of a structure or sum in a pair."""
    return next(one.change_mm3 for one in pair.changes if (one.name, one.method) == (name, method))


def names(found: SessionMeasurement) -> set[str]:
    """Return the quality metrics that are not fine."""
    return {metric.name for metric in found.quality if metric.verdict != "pass"}


def test_volumes_are_those_of_the_posteriors() -> None:
    """Each structure has its share of the voxels, and the intracranial volume is all of them."""
    image = head_image()
    found = measure_session(session("a"), SessionImages(image), config(), FakeEngine())
    volume = float((np.asarray(image.dataobj) > LEAST_BRIGHTNESS).sum()) * VOXEL_MM3
    assert found.etiv_mm3 == pytest.approx(volume, rel=1e-5)
    for index, share in SHARES.items():
        assert found.volumes_mm3[index] == pytest.approx(volume * share / sum(SHARES.values()), abs=1.1 * VOXEL_MM3)
    assert found.verdict == "warn"
    assert names(found) == {"voxel_longest_edge_mm", "working_voxel_size_mm"}


def test_measurement_is_on_the_working_grid() -> None:
    """Whatever the input's grid, all images lie on the one isotropic grid that was asked for."""
    image = head_image((60, 55, 40), (3.0, 4.0, 4.5))
    found = measure_session(session("a"), SessionImages(image), config(), FakeEngine())
    images = [found.t1w, found.brain_mask, found.labels, *found.tissue_probabilities.values()]
    assert {made.shape for made in images} == {(45, 55, 45)}
    assert all(np.array_equal(made.affine, found.t1w.affine) for made in images)
    assert nib.affines.voxel_sizes(found.t1w.affine) == pytest.approx([HEAD_MM] * 3)
    assert found.to_scan is None


def test_methods_text_tells_the_steps_in_order() -> None:
    """First the grid, then what the engine says, then how volumes are counted."""
    found = measure_session(session("a"), SessionImages(head_image()), config(), FakeEngine())
    assert "isotropic voxels of 4 mm" in found.sentences[0]
    assert found.sentences[1] == "The engine looked at the image."
    assert "Volumes are sums" in found.sentences[-1]


def test_failed_quality_withdraws_the_volumes() -> None:
    """An image in which nothing can be told apart gets no numbers."""
    fake = FakeEngine()
    fake.diagnostics = {"cnr_gm_wm": 0.01}
    found = measure_session(session("a"), SessionImages(head_image()), config(), fake)
    assert found.verdict == "fail"
    assert found.etiv_mm3 is None
    assert set(found.volumes_mm3.values()) == {None}


def test_one_session_is_measured_on_its_own() -> None:
    """Without a second session nothing is aligned or averaged: the numbers are those of the session alone."""
    image, fake = made_up_head(), FakeEngine()
    person = measure_person([session("a")], [SessionImages(image)], config(), fake)
    alone = measure_session(session("a"), SessionImages(image), config(), FakeEngine())
    assert fake.calls == ["segment"]
    assert person.pairs == ()
    (found,) = person.sessions
    assert found.volumes_mm3 == alone.volumes_mm3
    assert found.etiv_mm3 == alone.etiv_mm3
    assert found.sentences == alone.sentences
    assert found.quality == alone.quality
    assert np.array_equal(found.t1w.dataobj, alone.t1w.dataobj)
    assert np.array_equal(found.t1w.affine, alone.t1w.affine)
    assert found.to_scan is None


HOLE = (slice(19, 25), slice(24, 30), slice(19, 25))
HOLE_MM3 = 6**3 * VOXEL_MM3


@pytest.fixture(scope="module")
def person() -> PersonMeasurement:
    """Three visits: the second is twice as bright, the third has lost a cube of tissue."""
    images = [made_up_head(0), made_up_head(1, gain=2.0), made_up_head(2, hole=HOLE)]
    return measure(images, [session("a", 0.0), session("b", 100.0), session("c", 465.25)])


def test_every_pair_is_compared(person: PersonMeasurement) -> None:
    """Each session with the next and the first with each later one, with the days between them."""
    found = [(pair.before.label, pair.after.label, pair.days) for pair in person.pairs]
    assert found == [("a", "b", 100.0), ("a", "c", 465.25), ("b", "c", 365.25)]
    for pair in person.pairs:
        rows = [(one.name, one.method) for one in pair.changes]
        assert len(set(rows)) == len(rows)
        structures = {item.name for item in (*STRUCTURES, *SUMS)}
        for method in ("segmentation", "jacobian"):
            assert {name for name, own in rows if own == method} == structures
        assert {name for name, own in rows if own == "boundary"} == {"WholeBrain", "Ventricles"}


def test_lost_tissue_is_the_change(person: PersonMeasurement) -> None:
    """The cube that is gone in the last visit is the change to it, and there is none between the first two."""
    still, lost, lost_too = person.pairs
    total = tuple(sum(change_mm3(pair, item.name) or 0.0 for item in STRUCTURES) for pair in (still, lost, lost_too))
    assert total == pytest.approx((0.0, -HOLE_MM3, -HOLE_MM3), abs=0.1 * HOLE_MM3)
    assert abs(total[0]) < 0.01 * HOLE_MM3


def test_sessions_share_their_grid_and_intracranial_volume(person: PersonMeasurement) -> None:
    """All images lie on one grid, and the skull, which does not change, has one volume."""
    images = [image for one in person.sessions for image in (one.t1w, one.brain_mask, one.labels)]
    assert len({image.shape for image in images}) == 1
    assert all(np.array_equal(image.affine, images[0].affine) for image in images)
    assert len({one.etiv_mm3 for one in person.sessions}) == 1
    assert person.sessions[0].etiv_mm3 is not None


def test_sessions_know_the_way_to_their_scans(person: PersonMeasurement) -> None:
    """Heads that lie alike in the scanner have hardly moved; how well they match is among the quality metrics."""
    for one in person.sessions:
        assert one.to_scan == pytest.approx(np.eye(4), abs=0.05)
        (alignment,) = (metric for metric in one.quality if metric.name == "alignment")
        assert alignment.value is not None
        assert alignment.value > 0.9


def test_methods_text_tells_of_the_alignment(person: PersonMeasurement) -> None:
    """First the alignment of all sessions, then the engine, then what they share."""
    for one in person.sessions:
        assert "3 sessions were aligned" in one.sentences[0]
        assert one.sentences[1] == "The engine looked at the image."
        assert "mean of the sessions was segmented first" in one.sentences[2]
        assert "Volumes are sums" in one.sentences[-1]


def test_order_of_the_sessions_does_not_matter() -> None:
    """Swapped visits give the swapped volumes, and the opposite change."""
    images = [made_up_head(0), made_up_head(2, gain=1.5, hole=HOLE)]
    there, back = measure(images), measure(images[::-1])
    for one, other in zip(there.sessions, reversed(back.sessions), strict=True):
        assert one.volumes_mm3 == pytest.approx(other.volumes_mm3, abs=2 * VOXEL_MM3)
        assert one.etiv_mm3 == pytest.approx(other.etiv_mm3, rel=1e-4)
    ((pair,), (opposite,)) = there.pairs, back.pairs
    for name in ("WholeBrain", "Ventricles"):
        for method in ("segmentation", "jacobian", "boundary"):
            found, swapped = change_mm3(pair, name, method), change_mm3(opposite, name, method)
            assert found is not None
            assert swapped is not None
            assert found == pytest.approx(-swapped, abs=2 * VOXEL_MM3), (name, method)
    assert change_mm3(pair, "WholeBrain") != 0.0


def test_unknown_days_stay_unknown() -> None:
    """If one visit has no date, the pair has no days, and its change is there all the same."""
    (pair,) = measure([made_up_head(0), made_up_head(1)], [session("a", 0.0), session("b")]).pairs
    assert pair.days is None
    assert change_mm3(pair, "WholeBrain") is not None


def test_what_one_session_does_not_see_is_not_compared() -> None:
    """A structure beyond the edge of one image has no change, by no method; others and the first volumes are there."""
    whole, cut = made_up_head(0), made_up_head(1)
    cut = nib.Nifti1Image(np.asarray(cut.dataobj)[:30], cut.affine)
    found = measure([whole, cut])
    (pair,) = found.pairs
    before, after = (one.labels for one in found.sessions)
    position = {item.name: np.argwhere(np.asarray(before.dataobj) == item.index)[:, 0] for item in STRUCTURES}
    beyond = {name for name, x in position.items() if len(x) and x.min() > 32}
    within = {name for name, x in position.items() if len(x) and x.max() < 27}
    assert beyond
    assert within
    missing = {one.name for one in pair.changes if one.change_mm3 is None}
    assert beyond <= missing
    assert not within & missing
    assert "WholeBrain" in missing
    assert all(one.change_mm3 is None for one in pair.changes if one.name in beyond | {"WholeBrain"})
    assert np.asarray(after.dataobj)[34:].max() == 0


def test_another_scanner_is_flagged_for_the_pair() -> None:
    """Sidecars that differ are told in the quality of the pair, and the change is kept."""
    sessions = [session("a", metadata={"Manufacturer": "A"}), session("b", metadata={"Manufacturer": "B"})]
    (pair,) = measure([made_up_head(0), made_up_head(1)], sessions).pairs
    assert pair.verdict == "warn"
    (metric,) = (one for one in pair.quality if one.name == "protocol_differences")
    assert metric.reason == "another scanner manufacturer (A, then B)"
    assert change_mm3(pair, "WholeBrain") is not None


def test_pair_of_images_that_do_not_match_has_no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the aligned images hardly look alike, the pair fails and nothing is claimed."""
    align = person_module.align_sessions
    monkeypatch.setattr(person_module, "align_sessions", lambda *given: replace(align(*given), similarity=(0.9, 0.2)))
    (pair,) = measure([made_up_head(0), made_up_head(1)]).pairs
    assert pair.verdict == "fail"
    assert {one.change_mm3 for one in pair.changes} == {None}


def test_measurement_is_handed_to_the_visits_of_now(person: PersonMeasurement) -> None:
    """Visits that were named or dated anew keep their measurement: sessions and pairs follow, in the same order."""
    visits = [session(label, days) for label, days in (("x", 10.0), ("y", 20.0), ("z", None))]
    found = with_sessions(person, visits)
    assert [one.session for one in found.sessions] == visits
    assert [one.volumes_mm3 for one in found.sessions] == [one.volumes_mm3 for one in person.sessions]
    ways = [(pair.before.label, pair.after.label, pair.days) for pair in found.pairs]
    assert ways == [("x", "y", 10.0), ("x", "z", None), ("y", "z", None)]
    assert [pair.changes for pair in found.pairs] == [pair.changes for pair in person.pairs]


MOTIONS = (
    rigid((0.02, -0.01, 0.03), (0.4, 0.3, -0.2)),
    rigid((-0.02, 0.02, -0.01), (-0.3, 0.6, 0.9)),
    rigid((0.01, 0.03, -0.02), (0.7, -0.5, 0.4)),
)
LOSS = {BRAIN: -0.01}


@pytest.fixture(scope="module")
def planted() -> tuple[tuple[PairMeasurement, ...], dict[str, float]]:
    """Measure a scan, a second one of the same head, and one after a loss of 1 % of the brain; return the truth too."""
    loss = plan_atrophy(toy_labels(), LOSS)
    images = [visit(motion, seed, loss if seed == 2 else None) for seed, motion in enumerate(MOTIONS)]
    visits = [session(label) for label in "abc"]
    person = measure_person(visits, [SessionImages(image) for image in images], config(resolution_mm=1.0), ToyEngine())
    covered = {item.index: True for item in STRUCTURES}
    true = compare_volumes(true_volumes_mm3(), true_volumes_mm3(loss), "segmentation", covered)
    return person.pairs, {one.name: one.change_pct for one in true if one.change_pct is not None}


def percent(pair: PairMeasurement, name: str) -> dict[str, float]:
    """Return the change of a structure or sum by method, in per cent."""
    return {one.method: one.change_pct for one in pair.changes if one.name == name and one.change_pct is not None}


def test_planted_atrophy_is_recovered(planted: tuple[tuple[PairMeasurement, ...], dict[str, float]]) -> None:
    """A loss of 1 % of the brain is found to 0.15 %, by every method."""
    pairs, true = planted
    assert true["WholeBrain"] == pytest.approx(-1.0, abs=0.05)
    for pair in pairs[1:]:
        found = percent(pair, "WholeBrain")
        assert set(found) == {"segmentation", "jacobian", "boundary"}
        assert found == pytest.approx(dict.fromkeys(found, true["WholeBrain"]), abs=0.15)


def test_second_scan_of_a_head_shows_no_change(
    planted: tuple[tuple[PairMeasurement, ...], dict[str, float]],
) -> None:
    """Noise, brightness and position alone change the brain by less than 0.2 %, by every method."""
    pairs, _ = planted
    assert {method for method, value in percent(pairs[0], "WholeBrain").items() if abs(value) > 0.2} == set()
    assert set(percent(pairs[0], "WholeBrain")) == {"segmentation", "jacobian", "boundary"}
