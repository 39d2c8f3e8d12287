# SPDX-License-Identifier: Apache-2.0
"""A synthetic neck has exactly the cord that its truth states, where it states it, and goes on from the brainstem."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from bids_msvol.atlas.labels import AIR, BRAIN_STEM, CORD, CORTICAL_BONE, CSF, SPINAL_FLUID
from bids_msvol.cord.levels import LEVELS
from bids_msvol.demo.cord_scan import place_cervical_scan, scan_truth
from bids_msvol.demo.neck import Neck, cord_truth, frame, locate, outline_level, shrink_cord
from bids_msvol.demo.neck_drawing import cord_share, draw_neck
from bids_msvol.demo.neck_sampling import JUNCTION_MM, SHAPED_BELOW_MM, make_neck, shape_stem, without_low_stem
from bids_msvol.demo.person import YEARLY_CORD_LOSS, Person, Visit, make_person, make_visit, random_pose
from bids_msvol.demo.protocol import CERVICAL_T2W, T1W, Sequence
from bids_msvol.demo.scanner import SCALE, draw_head, place_scan, scan
from bids_msvol.imaging.registration import TemplateTransform
from tests.demo.heads import STEM_END_MM, atlas_with_stem, made_up_atlas

TO_HEAD = TemplateTransform(np.diag([0.9, 0.92, 0.91, 1.0]))


@cache
def neck(seed: int = 1) -> Neck:
    drawn = make_neck(atlas_with_stem(), TO_HEAD, np.random.default_rng(seed))
    assert drawn is not None
    return drawn


@cache
def person(*, with_lesions: bool = True) -> Person:
    return make_person(atlas_with_stem(), np.random.default_rng(4), etiv_mm3=1.3e6, with_lesions=with_lesions)


def tilted_grid(edges_mm: tuple[float, float, float], seed: int) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Voxel to head of a grid around the cord that lies at a random angle, and its shape."""
    line = neck().centers_mm
    extent = np.asarray([40.0, line[:, 1].max() - line[:, 1].min() + 60.0, 200.0])
    shape = np.ceil(extent / edges_mm).astype(int)
    low = nib.affines.from_matvec(np.diag(edges_mm), line.mean(axis=0) - extent / 2.0)
    return random_pose(np.random.default_rng(seed), 0.5) @ low, (int(shape[0]), int(shape[1]), int(shape[2]))


def areas_from_shares(drawn: Neck, shares: np.ndarray, to_neck: np.ndarray) -> dict[str, float]:
    """Volume of the cord between the ends of each level, counted from voxels, divided by the level's length."""
    index = np.argwhere(shares != 0)
    arc, _, _ = locate(drawn, nib.affines.apply_affine(to_neck, index))
    volume = shares[shares != 0] * abs(np.linalg.det(to_neck[:3, :3]))
    # A slice that an end divides counts in part.
    thickness = float(nib.affines.voxel_sizes(to_neck)[2])
    found = {}
    for level, top, bottom in zip(LEVELS, drawn.tops_mm[:-1], drawn.tops_mm[1:], strict=True):
        part = np.clip((arc - top) / thickness + 0.5, 0, 1) * np.clip((bottom - arc) / thickness + 0.5, 0, 1)
        found[level] = float((volume * part).sum() / (bottom - top))
    return found


@pytest.mark.parametrize(
    ("edges_mm", "seed"), [((1.0, 1.0, 1.0), 1), ((0.8, 0.8, 0.8), 2), ((2.0, 0.8, 0.8), 3), ((0.5, 0.5, 3.0), 4)]
)
def test_shares_of_voxels_add_up_to_the_true_area(edges_mm: tuple[float, float, float], seed: int) -> None:
    """At each level the cord's shares of tilted voxels hold the stated area to within 0.3 per cent."""
    to_neck, shape = tilted_grid(edges_mm, seed)
    shares = cord_share(neck(), to_neck, shape)
    assert shares.min() >= 0.0
    assert shares.max() == 1.0
    truth = cord_truth(neck(), np.eye(4)).csa_mm2
    for level, area in areas_from_shares(neck(), shares, to_neck).items():
        assert area == pytest.approx(truth[level], rel=0.003), level


def test_brightness_shows_the_shares() -> None:
    """What is drawn of cord and fluid, noise aside, holds the same area: nothing else is mixed in at the outline."""
    to_neck, shape = tilted_grid((1.0, 1.0, 1.0), 5)
    even = _without_texture(CERVICAL_T2W)
    signal = np.zeros(shape, dtype=np.float32)
    # No head at all: everything below the cord's beginning is the neck's own.
    nothing = nib.Nifti1Image(np.zeros((4, 4, 40), dtype=np.int16), np.eye(4))
    draw_neck(signal, neck(), even, to_neck, nothing, np.full((3, *shape), -50.0, dtype=np.float32))
    fluid, tissue = (even.acquisition.brightness[number] for number in (SPINAL_FLUID, CORD))
    arc, right, front = locate(neck(), nib.affines.apply_affine(to_neck, np.argwhere(np.ones(shape))))
    level = outline_level(neck(), arc, right, front)
    outward_mm = np.hypot(right, front) * (1.0 - 1.0 / level)
    shares = np.where((outward_mm < 1.0).reshape(shape), (fluid - signal) / (fluid - tissue), 0.0)
    truth = cord_truth(neck(), np.eye(4)).csa_mm2
    for name, area in areas_from_shares(neck(), shares, to_neck).items():
        assert area == pytest.approx(truth[name], rel=0.003), name


def test_outline_has_the_stated_area_and_centre() -> None:
    """The polygon of the outline, found by bisection, has the area in closed form, and its centre on the line."""
    angles = np.linspace(0.0, 2.0 * np.pi, 2000, endpoint=False)
    for place in (60, 150, 300):
        arc = np.full(len(angles), neck().arc_mm[place])
        low, high = np.zeros(len(angles)), np.full(len(angles), 30.0)
        for _ in range(50):
            middle = (low + high) / 2.0
            within = outline_level(neck(), arc, middle * np.cos(angles), middle * np.sin(angles)) < 1.0
            low, high = np.where(within, middle, low), np.where(within, high, middle)
        x, y = low * np.cos(angles), low * np.sin(angles)
        cross = x * np.roll(y, -1) - np.roll(x, -1) * y
        assert cross.sum() / 2.0 == pytest.approx(neck().area_mm2[place], rel=1e-4)
        assert np.abs(((x + np.roll(x, -1)) * cross).sum() / cross.sum() / 3.0) < 0.005
        assert np.abs(((y + np.roll(y, -1)) * cross).sum() / cross.sum() / 3.0) < 0.005


def test_points_are_located_along_the_cord() -> None:
    """A point laid out from the centreline in its frame is found at the same arc and distances again."""
    rng = np.random.default_rng(1)
    place = rng.integers(60, len(neck().arc_mm) - 20, 400)
    right, front = rng.uniform(-8.0, 8.0, (2, 400))
    axes = frame(neck(), neck().arc_mm[place])
    points = neck().centers_mm[place] + right[:, None] * axes[:, 1] + front[:, None] * axes[:, 2]
    found = locate(neck(), points)
    for values, wanted in zip(found, (neck().arc_mm[place], right, front), strict=True):
        assert values == pytest.approx(wanted, abs=0.02)


def test_necks_are_plausible_and_differ() -> None:
    """C2-C3 is near 72 mm2 on average, C4 and C5 are wider, C7 is a fifth smaller; the course has no corner."""
    truths = [cord_truth(neck(seed), np.eye(4)) for seed in range(1, 31)]
    means = {level: np.mean([truth.csa_mm2[level] for truth in truths]) for level in (*LEVELS, "C2-C3")}
    assert means["C2-C3"] == pytest.approx(72.0, rel=0.05)
    assert means["C4"] / means["C3"] > 1.02
    assert means["C7"] / means["C2-C3"] == pytest.approx(0.80, abs=0.02)
    assert np.std([truth.csa_mm2["C2-C3"] for truth in truths]) > 3.0
    assert np.std([truth.tops_mm[2] for truth in truths]) > 1.0
    for truth in truths:
        steps = np.diff(truth.centerline_mm, axis=0)
        steps /= np.linalg.norm(steps, axis=1)[:, None]
        turns = np.degrees(np.arccos(np.clip((steps[1:] * steps[:-1]).sum(axis=1), -1.0, 1.0)))
        assert turns.max() < 1.5
        assert np.all(np.diff(truth.tops_mm) > 8.0)


def test_positions_count_from_the_junction() -> None:
    """Arcs are lengths of the centreline, and 0 is its point nearest to the groove between pons and medulla."""
    truth = cord_truth(neck(), np.eye(4))
    assert truth.junction_mm == pytest.approx(nib.affines.apply_affine(TO_HEAD.affine, JUNCTION_MM), abs=1e-4)
    assert truth.arc_mm[0] == 0.0
    to_junction = truth.junction_mm - truth.centerline_mm[0]
    along = truth.centerline_mm[1] - truth.centerline_mm[0]
    assert np.abs(to_junction @ along) / np.linalg.norm(along) < 0.3
    length = np.linalg.norm(np.diff(truth.centerline_mm, axis=0), axis=1).sum()
    assert length == pytest.approx(truth.arc_mm[-1], rel=1e-3)


def test_disease_takes_its_share_at_every_level() -> None:
    """With multiple sclerosis each level loses 1.8 per cent a year; nothing but the cord changes."""
    before = make_visit(person(), np.random.default_rng(1), years=0.0).neck
    after = make_visit(person(), np.random.default_rng(2), years=2.0).neck
    assert before is not None
    assert after is not None
    first, later = (cord_truth(each, np.eye(4)).csa_mm2 for each in (before, after))
    for level, area in first.items():
        assert later[level] / area == pytest.approx((1.0 - YEARLY_CORD_LOSS) ** 2, rel=1e-4), level
    assert np.array_equal(before.sac_right_mm, after.sac_right_mm)
    assert np.array_equal(before.centers_mm, after.centers_mm)
    top = before.arc_mm <= 10.0
    assert np.array_equal(before.area_mm2[top], after.area_mm2[top])


def test_healthy_cords_do_not_change() -> None:
    """Without the disease the neck of a later visit is that of the first."""
    healthy = person(with_lesions=False)
    assert make_visit(healthy, np.random.default_rng(1), years=3.0).neck is healthy.neck


def test_brainstem_of_the_labels_meets_the_cord() -> None:
    """Low in the label map the brainstem has the cord's place and size, and no class but it and fluid has changed."""
    spacing = 1.0
    length = 64
    affine = nib.affines.from_matvec(np.eye(3) * spacing, [-32.0, -75.0, -80.0])
    points = nib.affines.apply_affine(affine, np.moveaxis(np.indices((length,) * 3), 0, -1))
    data = np.where(points[..., 2] > STEM_END_MM, CSF, SPINAL_FLUID).astype(np.int16)
    data[np.hypot(points[..., 0] - 2.0, points[..., 1] + 42.0) < 9.0] = BRAIN_STEM
    data[points[..., 2] <= STEM_END_MM] = SPINAL_FLUID
    data[:3] = CORTICAL_BONE
    changed = np.asarray(shape_stem(nib.Nifti1Image(data, affine), neck(), TO_HEAD).dataobj)
    assert set(np.unique(data[changed != data]).tolist()) == {BRAIN_STEM, CSF}
    heights = points[0, 0, :, 2]
    assert np.array_equal(changed[:, :, heights > SHAPED_BELOW_MM], data[:, :, heights > SHAPED_BELOW_MM])
    for slab in (heights > -62.5) & (heights < -57.5), (heights > -70.5) & (heights < -65.5):
        stem = (changed == BRAIN_STEM) & slab
        middle = nib.affines.apply_affine(TO_HEAD.affine @ affine, np.argwhere(stem).mean(axis=0))
        arc, right, front = locate(neck(), middle[None])
        volume = stem.sum() * spacing**3 * np.linalg.det(TO_HEAD.affine)
        along = -np.interp(arc, neck().arc_mm, np.gradient(neck().centers_mm[:, 2], neck().arc_mm))
        area = volume * along / (5.0 * TO_HEAD.affine[2, 2])
        assert np.hypot(right, front) < 0.3
        assert area == pytest.approx(np.interp(arc, neck().arc_mm, neck().area_mm2), rel=0.03)


def test_no_lesion_is_placed_where_the_cord_is_drawn() -> None:
    """The label map that lesions are placed in has no brainstem below the height where it becomes the cord."""
    data = np.full((4, 4, 30), BRAIN_STEM, dtype=np.int16)
    image = nib.Nifti1Image(data, nib.affines.from_matvec(np.eye(3), [0.0, 0.0, -75.0]))
    present = (np.asarray(without_low_stem(image).dataobj) == BRAIN_STEM).any(axis=(0, 1))
    assert present.tolist() == [height > SHAPED_BELOW_MM for height in np.arange(-75.0, -45.0)]
    assert np.all(data == BRAIN_STEM)


@pytest.mark.parametrize(("sequence", "bright"), [(T1W, True), (CERVICAL_T2W, False)])
def test_cord_lies_in_the_scan_where_the_truth_says(sequence: Sequence, bright: bool) -> None:
    """After pose and motion the cord of the noisy image is centred on the true line, with the contrast of its kind."""
    visit = make_visit(person(), np.random.default_rng(5), years=0.0)
    motion = nib.affines.from_matvec(np.eye(3), [4.0, -3.0, 2.0])
    placement = (
        place_scan(person().labels, visit.to_head, 1.5, motion)
        if bright
        else place_cervical_scan(person(), visit, (1.5, 1.5, 1.5), motion)
    )
    rng = np.random.default_rng(6)
    image = scan(draw_head(person().labels, sequence, rng), person(), visit, placement, sequence, rng)
    data = np.asarray(image.dataobj)
    truth = scan_truth(person(), visit, placement)
    seen = 0
    for arc in (60.0, 75.0, 90.0, 105.0):
        row = int(np.searchsorted(truth.arc_mm, arc))
        x, y, z = nib.affines.apply_affine(np.linalg.inv(image.affine), truth.centerline_mm[row])
        if z < 1:
            continue
        seen += 1
        i, j, k = round(x), round(y), round(z)
        window = data[i - 5 : i + 6, j - 4 : j + 5, k]
        marked = (window > 0.5 * SCALE) if bright else (window < 1.8 * SCALE)
        inside, _ = ndimage.label(marked)
        cord = inside == inside[5, 4]
        share = (i - 5 + ndimage.center_of_mass(cord)[0], j - 4 + ndimage.center_of_mass(cord)[1])
        assert share == pytest.approx((x, y), abs=0.5)
        assert cord.sum() * 1.5**2 == pytest.approx(truth.area_mm2[row], rel=0.3)
    assert seen >= (1 if bright else 4)


def test_discs_are_seen_where_the_truth_says() -> None:
    """In the T2w scan the column in front of the canal is brighter at the discs than half-way between them."""
    drawn = make_visit(person(), np.random.default_rng(7), years=0.0).neck
    assert drawn is not None
    places = drawn.tops_mm[2:]
    between = (places[1:] + places[:-1]) / 2.0
    wanted = np.concatenate([places, between])
    axes = frame(drawn, wanted)
    line = np.stack([np.interp(wanted, drawn.arc_mm, side) for side in drawn.centers_mm.T], axis=1)
    in_front = line + 17.0 * axes[:, 2]
    low = in_front.min(axis=0) - 30.0
    to_neck = nib.affines.from_matvec(np.eye(3), low)
    shape = tuple(np.ceil(in_front.max(axis=0) + 30.0 - low).astype(int).tolist())
    signal = np.zeros(shape, dtype=np.float32)
    nothing = nib.Nifti1Image(np.zeros((4, 4, 40), dtype=np.int16), np.eye(4))
    even = _without_texture(replace(CERVICAL_T2W, disc=3.0))
    draw_neck(signal, drawn, even, to_neck, nothing, np.full((3, *shape), -50.0, dtype=np.float32))
    seen = ndimage.map_coordinates(signal, (in_front - low).T, order=1)
    assert seen[: len(places)].min() > 1.3 * seen[len(places) :].max()


def test_field_of_view_holds_the_neck() -> None:
    """The scan of the neck shows the junction and all levels, with the voxels asked for."""
    visit = make_visit(person(), np.random.default_rng(8), years=0.0)
    placement = place_cervical_scan(person(), visit, (2.0, 0.8, 0.8))
    assert nib.affines.voxel_sizes(placement.affine) == pytest.approx((2.0, 0.8, 0.8))
    truth = scan_truth(person(), visit, placement)
    inside = np.linalg.inv(placement.affine)
    shown = truth.centerline_mm[truth.arc_mm < truth.tops_mm[-1]]
    for points in (shown, truth.junction_mm[None]):
        voxels = nib.affines.apply_affine(inside, points)
        assert np.all(voxels > 0)
        assert np.all(voxels < np.asarray(placement.coordinates.shape[1:]) - 1)


def test_a_head_without_a_brainstem_has_no_neck() -> None:
    """Then nothing is drawn, and a scan of the neck is refused."""
    ball = made_up_atlas()
    assert make_neck(ball, TO_HEAD, np.random.default_rng(1)) is None
    nothing = nib.Nifti1Image(np.zeros((2, 2, 2, 3), dtype=np.float32), np.eye(4))
    labels = nib.Nifti1Image(np.full((4, 4, 4), AIR, dtype=np.int16), np.eye(4))
    someone = Person(labels, (), np.eye(4), nothing, nothing, np.zeros((4, 4, 4), dtype=np.float32))
    visit = Visit(TemplateTransform(np.eye(4)), np.zeros((4, 4, 4), dtype=np.int16), {}, 1.0, {})
    with pytest.raises(ValueError, match="no neck"):
        place_cervical_scan(someone, visit)


def test_thinner_cords_keep_their_fluid() -> None:
    """A cord that has lost half of its area has the same sac, and is drawn within it."""
    thin = shrink_cord(neck(), 0.5)
    own = thin.arc_mm > 21.0
    assert thin.area_mm2[own] / neck().area_mm2[own] == pytest.approx(0.5)
    assert np.all(neck().sac_right_mm - neck().right_mm > 1.0)
    assert np.all(neck().sac_front_mm - np.abs(neck().sac_shift_mm) - neck().front_mm > 1.0)


def _without_texture(sequence: Sequence) -> Sequence:
    return replace(sequence, acquisition=replace(sequence.acquisition, spread=0.0))
