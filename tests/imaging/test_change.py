# SPDX-License-Identifier: Apache-2.0
"""Change between two sessions is what was put in, has the right sign, and is missing where it cannot be measured."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from bids_msvol.atlas.labels import CLASSES, VEINS_AND_DURA
from bids_msvol.imaging.change import (
    LEAST_COVERAGE,
    Change,
    Edge,
    boundary_change_mm3,
    compare_boundaries,
    compare_volumes,
    coverage,
    find_edges,
)
from bids_msvol.structures import STRUCTURES, SUMS
from tests.imaging.phantoms import mesh, soft_sphere

SHAPE = (30, 30, 30)
MIDDLE = (14.3, 14.7, 15.1)
DURA_ABOVE = 22
VOXEL_MM = 1.5
AFFINE = np.diag([VOXEL_MM] * 3 + [1.0])
TISSUE, FLUID, DURA = 600.0, 100.0, 300.0
BRAIN_RADIUS, VENTRICLE_RADIUS = 11.0, 5.0
EVERYTHING = {item.index: True for item in STRUCTURES}
SEEN = np.ones(SHAPE, bool)


@cache
def ball(radius: float) -> NDArray[np.float32]:
    """Return the share of each voxel that lies inside a sphere."""
    return soft_sphere(SHAPE, MIDDLE, radius)


def shares(brain: float = BRAIN_RADIUS, ventricle: float = VENTRICLE_RADIUS) -> dict[int, NDArray[np.float32]]:
    """Return what each voxel holds of white matter, ventricle, fluid and, above the brain, dura instead of fluid."""
    outer, inner = ball(brain), ball(ventricle)
    above = mesh(SHAPE)[2] > DURA_ABOVE
    beyond = np.float32(1.0) - outer
    return {2: outer - inner, 4: inner, 24: np.where(above, 0, beyond), VEINS_AND_DURA: np.where(above, beyond, 0)}


def image(brain: float = BRAIN_RADIUS, ventricle: float = VENTRICLE_RADIUS) -> nib.Nifti1Image:
    """Return a T1w of a brain around a ventricle, both spheres, partial volume included."""
    brightness = {2: TISSUE, 4: FLUID, 24: FLUID, VEINS_AND_DURA: DURA}
    data = sum(brightness[number] * share for number, share in shares(brain, ventricle).items())
    return nib.Nifti1Image(np.asarray(data, dtype=np.float32), AFFINE)


def posteriors() -> NDArray[np.float32]:
    """Return the structures of the head before any change, (voxel, class)."""
    result = np.zeros((SEEN.size, len(CLASSES)), np.float32)
    for number, share in shares().items():
        result[:, CLASSES.index(number)] = share.ravel()
    return result


@pytest.fixture(scope="module")
def edges() -> Mapping[str, Edge]:
    """The edges of the head before any change."""
    return find_edges(image(), posteriors(), SEEN, CLASSES)


def free_share(edge: Edge) -> float:
    """Share of the brain's surface that lies in the region of an edge."""
    surface = ball(BRAIN_RADIUS + 0.3) - ball(BRAIN_RADIUS - 0.3)
    return float(surface[edge.region].sum() / surface.sum())


@pytest.mark.parametrize(("name", "ends"), [("WholeBrain", (0.0, 1.0)), ("Ventricles", (1.0, 0.0))])
def test_brightness_tells_the_share_of_a_voxel_that_lies_inside(
    edges: Mapping[str, Edge], name: str, ends: tuple[float, float]
) -> None:
    """From fluid to tissue the brain's share rises as brightness does, and that of ventricles falls."""
    edge = edges[name]
    assert edge.brightness[[0, -1]] == pytest.approx([FLUID, TISSUE], abs=0.06 * (TISSUE - FLUID))
    assert (np.diff(edge.brightness) > 0).all()
    mixed = np.linspace(0.2, 0.8, 7)
    found = np.interp(FLUID + mixed * (TISSUE - FLUID), edge.brightness, edge.share)
    assert found == pytest.approx(np.interp(mixed, [0.0, 1.0], ends), abs=0.05)
    assert (np.diff(edge.share) * (ends[1] - ends[0]) >= 0).all()


def test_regions_lie_around_the_edges_where_fluid_is(edges: Mapping[str, Edge]) -> None:
    """Each region is a shell around its edges, the brain's inner one too; where dura covers the brain there is none."""
    distance = np.sqrt(sum((axis - center) ** 2 for axis, center in zip(mesh(SHAPE), MIDDLE, strict=True)))
    for name, radii in (("WholeBrain", (BRAIN_RADIUS, VENTRICLE_RADIUS)), ("Ventricles", (VENTRICLE_RADIUS,))):
        found = distance[edges[name].region]
        assert np.min([np.abs(found - radius) for radius in radii], axis=0).max() < 3.5, name
    dura = shares()[VEINS_AND_DURA] > 0.2
    assert not edges["WholeBrain"].region[dura].any()
    fluid_edge = (np.abs(distance - BRAIN_RADIUS) < 0.5) & (mesh(SHAPE)[2] < DURA_ABOVE)
    assert edges["WholeBrain"].region[fluid_edge].all()


@pytest.mark.parametrize("moved", [-0.3, -0.1, 0.2])
def test_volume_swept_by_the_edge_of_ventricles(edges: Mapping[str, Edge], moved: float) -> None:
    """The change of a ventricle whose wall moved by a fraction of a voxel is measured to 4 %, with its sign."""
    wider = image(ventricle=VENTRICLE_RADIUS + moved)
    true = float(shares(ventricle=VENTRICLE_RADIUS + moved)[4].sum() - shares()[4].sum()) * VOXEL_MM**3
    found = boundary_change_mm3(image(), wider, edges["Ventricles"], SEEN)
    assert found == pytest.approx(true, rel=0.04)
    assert np.sign(found) == np.sign(moved)


@pytest.mark.parametrize("moved", [-0.3, -0.1, 0.2])
def test_volume_swept_by_the_edge_of_the_brain(edges: Mapping[str, Edge], moved: float) -> None:
    """A brain that shrinks loses volume at its free surface, measured to 4 %."""
    later = shares(brain=BRAIN_RADIUS + moved)[2] - shares()[2]
    true = float(later.sum()) * VOXEL_MM**3 * free_share(edges["WholeBrain"])
    found = boundary_change_mm3(image(), image(brain=BRAIN_RADIUS + moved), edges["WholeBrain"], SEEN)
    assert found == pytest.approx(true, rel=0.04)


def test_change_backwards_is_the_opposite(edges: Mapping[str, Edge]) -> None:
    """Swapping the sessions changes the sign and nothing else."""
    before, after = image(), image(brain=BRAIN_RADIUS - 0.2)
    there = boundary_change_mm3(before, after, edges["WholeBrain"], SEEN)
    back = boundary_change_mm3(after, before, edges["WholeBrain"], SEEN)
    assert there < 0
    assert back == pytest.approx(-there, rel=1e-9)


def test_only_the_edge_counts(edges: Mapping[str, Edge]) -> None:
    """Brighter tissue, darker fluid, and what lies outside the field of view are no loss."""
    data = np.asarray(image().dataobj)
    data = np.where(data == TISSUE, 1.2 * TISSUE, np.where(data == FLUID, 0.0, data)).astype(np.float32)
    assert not np.array_equal(data, image().dataobj)
    edge = edges["WholeBrain"]
    assert boundary_change_mm3(image(), nib.Nifti1Image(data, AFFINE), edge, SEEN) == pytest.approx(0.0, abs=1e-3)
    half = mesh(SHAPE)[0] < MIDDLE[0]
    smaller = image(brain=BRAIN_RADIUS - 0.2)
    whole = boundary_change_mm3(image(), smaller, edge, SEEN)
    assert boundary_change_mm3(image(), smaller, edge, half) == pytest.approx(whole / 2, rel=0.1)
    assert boundary_change_mm3(image(), smaller, edge, ~SEEN) == 0.0


def by_name(changes: list[Change]) -> dict[str, Change]:
    """Return changes by structure or sum."""
    assert len({change.name for change in changes}) == len(changes)
    return {change.name: change for change in changes}


def test_differences_of_volumes() -> None:
    """Each structure and each sum has its difference in mm3 and in per cent of the earlier volume."""
    before = {item.index: 100.0 * item.index for item in STRUCTURES}
    after = {**before, 10: 900.0, 3: 330.0}
    found = by_name(compare_volumes(before, after, "jacobian", EVERYTHING))
    assert set(found) == {item.name for item in (*STRUCTURES, *SUMS)}
    assert {change.method for change in found.values()} == {"jacobian"}
    thalamus = found["Left-Thalamus"]
    assert (thalamus.index, thalamus.change_mm3, thalamus.change_pct) == (10, -100.0, pytest.approx(-10.0))
    members = next(item.members for item in SUMS if item.name == "WholeBrain")
    brain = found["WholeBrain"]
    assert (brain.index, brain.change_mm3) == (None, pytest.approx(-70.0))
    assert brain.change_pct == pytest.approx(-7000.0 / sum(before[number] for number in members))
    assert found["Ventricles"].change_mm3 == 0.0


def test_structure_that_was_absent_has_no_percentage() -> None:
    """Growth from nothing is given in mm3 only."""
    before = dict.fromkeys(EVERYTHING, 0.0)
    found = by_name(compare_volumes(before, {**before, 5: 7.0}, "segmentation", EVERYTHING))["Left-Inf-Lat-Vent"]
    assert (found.change_mm3, found.change_pct) == (7.0, None)


def test_structure_that_is_cut_off_is_missing_with_its_sums() -> None:
    """What one session does not see has no change, nor has a sum it belongs to; the others have."""
    volumes = {item.index: 100.0 for item in STRUCTURES}
    found = by_name(compare_volumes(volumes, volumes, "segmentation", {**EVERYTHING, 8: False}))
    missing = {name for name, change in found.items() if change.change_mm3 is None}
    with_member = {item.name for item in SUMS if 8 in item.members}
    assert missing == {"Left-Cerebellum-Cortex"} | with_member
    assert with_member < {item.name for item in SUMS}
    assert all((change.change_pct is None) == (name in missing) for name, change in found.items())


def test_boundary_change_in_per_cent(edges: Mapping[str, Edge]) -> None:
    """Brain and ventricles get their swept volume, in per cent of the volumes given; what is cut off gets none."""
    before, after = image(), image(ventricle=VENTRICLE_RADIUS + 0.2)
    volumes = {item.index: 100.0 for item in STRUCTURES}
    found = by_name(compare_boundaries(before, after, edges, SEEN, volumes, EVERYTHING))
    assert set(found) == set(edges)
    swept = boundary_change_mm3(before, after, edges["Ventricles"], SEEN)
    assert found["Ventricles"].change_mm3 == swept
    assert found["Ventricles"].change_pct == pytest.approx(100.0 * swept / 600.0)
    assert {change.method for change in found.values()} == {"boundary"}
    cut = by_name(compare_boundaries(before, after, edges, SEEN, volumes, {**EVERYTHING, 2: False}))
    assert cut["WholeBrain"] == Change(None, "WholeBrain", "boundary", None, None)
    assert cut["Ventricles"] == found["Ventricles"]


@pytest.mark.parametrize(("share", "covered"), [(LEAST_COVERAGE + 0.005, True), (LEAST_COVERAGE - 0.005, False)])
def test_coverage_by_the_share_that_is_seen(share: float, covered: bool) -> None:
    """A structure counts as covered if no more than a hundredth of it lies outside the field of view."""
    mask = np.zeros((10, 10, 10), bool)
    mask[:, :, :5] = True
    result = np.zeros((mask.sum(), len(CLASSES)), np.float32)
    result[:, CLASSES.index(2)] = 0.7
    result[0, CLASSES.index(49)] = 1.0 - share
    result[1, CLASSES.index(49)] = share
    seen = np.ones(mask.shape, bool)
    seen[0, 0, 0] = False
    found = coverage(result, mask, CLASSES, seen)
    assert found[49] is covered
    assert found[2] is True
    assert set(found) == set(EVERYTHING)
