# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bids_msvol.bids.choose import Candidate, Geometry, choose, exclusion
from bids_msvol.bids.records import Scan

LONG = {"acq": "acquisition", "ce": "ceagent", "rec": "reconstruction"}


def candidate(
    entities: str = "", edge_mm: float = 1.0, extent_mm: tuple[float, ...] = (180, 220, 200), **metadata: str
) -> Candidate:
    """Make a T1w with the entities of a name such as ``run-1_acq-fine``."""
    pairs = dict(pair.split("-") for pair in entities.split("_") if pair)
    name = "_".join(("sub-01", *([entities] if entities else []), "T1w.nii.gz"))
    named = {"subject": "01", **{LONG.get(key, key): value for key, value in pairs.items()}}
    scan = Scan(Path("/raw") / name, f"sub-01/anat/{name}", "T1w", named, metadata)
    shape = tuple(int(extent / edge_mm) for extent in extent_mm)
    return Candidate(scan, Geometry(shape, (edge_mm,) * 3, extent_mm))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("better", "worse", "reason"),
    [
        ("run-1", "run-2", "the earlier run"),
        ("", "run-1", "the earlier run"),
        ("run-2", "run-10", "the earlier run"),
        ("rec-norm", "", "rec-norm"),
        ("", "rec-mpr", "rec-norm, then none"),
        ("echo-1", "echo-2", "the earlier echo"),
        ("acq-a", "acq-b", "the first by name"),
        ("run-3", "ce-gad", "without contrast agent"),
    ],
)
def test_order_of_preference(better: str, worse: str, reason: str) -> None:
    """Of two usable images the rule takes the better one in either order, and says why."""
    for pair in ([better, worse], [worse, better]):
        choice = choose([candidate(entities) for entities in pair])
        assert choice.scan == candidate(better).scan
        assert reason in choice.sentence
        assert [ignored.relative_path for ignored in choice.ignored] == [candidate(worse).scan.relative_path]
        assert reason in choice.ignored[0].reason


def test_finer_voxels_come_before_runs() -> None:
    """A thick-slice first run loses against a fine second run, with both sizes in the reason."""
    choice = choose([candidate("run-1", edge_mm=3.0), candidate("run-2", edge_mm=1.0)])
    assert choice.scan == candidate("run-2").scan
    assert "1 mm against 3 mm" in choice.sentence


def test_a_difference_in_rounding_is_no_finer_voxel() -> None:
    """Voxels of 1.0001 mm and 1 mm are equal, so that the run decides."""
    assert choose([candidate("run-1", edge_mm=1.0001), candidate("run-2")]).scan == candidate("run-1").scan


@pytest.mark.parametrize(
    ("scan", "reason"),
    [
        (candidate("part-phase"), "phase part"),
        (candidate("acq-localizer"), "localiser"),
        (candidate(SeriesDescription="AAHead_Scout"), "localiser"),
        (candidate(extent_mm=(220, 220, 3)), "3 slices"),
        (candidate("acq-cspine"), "named as a scan of the spinal cord"),
        (candidate("chunk-cervical"), "named as a scan of the spinal cord"),
        (candidate("bodypart-spine"), "named as a scan of the spinal cord"),
        (candidate(BodyPartExamined="CSPINE"), "another part of the body"),
        (candidate(extent_mm=(60, 250, 250)), "too small for a brain"),
    ],
)
def test_what_is_no_brain_is_left_out(scan: Candidate, reason: str) -> None:
    """Each kind of image that is not a brain is left out for its own reason."""
    assert reason in (exclusion(scan) or "")
    choice = choose([scan])
    assert choice.scan is None
    assert len(choice.ignored) == 1


@pytest.mark.parametrize(
    "scan",
    [candidate("part-mag"), candidate("acq-mprage"), candidate(BodyPartExamined="HEADNECK"), candidate("acq-coronal")],
)
def test_brains_are_kept(scan: Candidate) -> None:
    """Names and sidecars of ordinary brain scans do not trip the rule."""
    assert exclusion(scan) is None


@pytest.mark.parametrize(("entities", "note"), [("ce-gad", "after contrast agent"), ("rec-mpr", "the only T1w")])
def test_second_best_is_used_when_it_is_the_only_one(entities: str, note: str) -> None:
    """An image after contrast agent or a reconstruction is used where there is nothing else, with a note."""
    choice = choose([candidate(entities)])
    assert choice.scan is not None
    assert note in choice.sentence


@given(st.lists(st.sampled_from(["", "run-1", "run-2", "acq-cspine", "ce-gad", "rec-norm", "part-phase"]), unique=True))
def test_every_image_is_chosen_or_accounted_for(names: list[str]) -> None:
    """Whatever the images and their order, none vanishes, and the order does not matter."""
    candidates = [candidate(name) for name in names]
    choice = choose(candidates)
    seen = {ignored.relative_path for ignored in choice.ignored} | (
        {choice.scan.relative_path} if choice.scan else set()
    )
    assert seen == {item.scan.relative_path for item in candidates}
    random.Random(0).shuffle(candidates)
    assert choose(candidates).scan == choice.scan
