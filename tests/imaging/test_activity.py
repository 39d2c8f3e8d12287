# SPDX-License-Identifier: Apache-2.0
"""Lesion activity: what changed is found and named, what did not is left alone."""

from __future__ import annotations

import dataclasses

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from bids_msvol.imaging.activity import ActivityMap, LesionChange, compare_lesions
from bids_msvol.imaging.appearance import SEED_Z
from bids_msvol.imaging.lesions import LesionMap
from tests.imaging.phantoms import mesh, soft_sphere

SHAPE = (48, 48, 48)
CENTER = (23.5, 23.5, 23.5)
NOISE = 0.02
BRIGHTNESS = 0.6
"""How much brighter than white matter a lesion is."""

Ball = tuple[tuple[float, float, float], float]
"""Centre and radius of a lesion, in voxels of 1 mm."""

LEFT: Ball = ((12.0, 24.0, 24.0), 3.0)
RIGHT: Ball = ((35.0, 24.0, 24.0), 3.0)
FRONT: Ball = ((24.0, 36.0, 24.0), 3.0)


def distance() -> NDArray[np.float64]:
    """Return the distance of every voxel from the middle."""
    return np.sqrt(sum((axis - middle) ** 2 for axis, middle in zip(mesh(SHAPE), CENTER, strict=True)))


def tissue() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return white matter and fluid: a ventricle within a ball of white matter; the shell around it is cortex."""
    far = distance()
    return ((far > 6) & (far <= 20)).astype(np.float32), (far <= 6).astype(np.float32)


def brightness(lesions: tuple[Ball, ...]) -> NDArray[np.float32]:
    """Return a FLAIR image without noise: fluid dark, cortex a little brighter than white matter, lesions bright."""
    white, fluid = tissue()
    image = ndimage.gaussian_filter(white + 0.2 * fluid + 1.15 * (distance() > 20), 0.6).astype(np.float32)
    for center, radius in lesions:
        image += np.float32(BRIGHTNESS) * soft_sphere(SHAPE, center, radius, 2)
    return image


def session(
    lesions: tuple[Ball, ...],
    seed: int,
    *,
    mapped: tuple[Ball, ...] | None = None,
    image: NDArray[np.float32] | None = None,
    contrast: str = "FLAIR",
) -> LesionMap:
    """Return a session with noise; ``mapped`` are the lesions that its map shows, all if not given."""
    probability = np.zeros(SHAPE, dtype=np.float32)
    for center, radius in lesions if mapped is None else mapped:
        probability = np.maximum(probability, soft_sphere(SHAPE, center, radius, 2))
    drawn = brightness(lesions) if image is None else image
    noise = NOISE * np.random.default_rng(seed).standard_normal(SHAPE)
    seen = distance() < 23.0
    values = np.where(seen, drawn + noise, np.nan).astype(np.float32)
    normalised = {contrast: nib.Nifti1Image(values, np.eye(4))}
    return LesionMap(probability=probability, mask=probability >= 0.5, seen=seen, normalised=normalised, sentences=())


def compare(
    before: LesionMap,
    after: LesionMap,
    *,
    fluid_before: NDArray[np.float32] | None = None,
    fluid_after: NDArray[np.float32] | None = None,
) -> ActivityMap:
    """Compare two sessions of the phantom."""
    white, fluid = tissue()
    return compare_lesions(
        before,
        after,
        white_matter=white,
        fluid_before=fluid if fluid_before is None else fluid_before,
        fluid_after=fluid if fluid_after is None else fluid_after,
        affine=np.eye(4),
    )


def statuses(found: ActivityMap) -> list[str]:
    """Return the statuses of all records in alphabetical order."""
    return sorted(record.status for record in found.records)


def only(found: ActivityMap, status: str) -> LesionChange:
    """Return the one record that has a status."""
    (record,) = [record for record in found.records if record.status == status]
    return record


def ball_mm3(radius: float) -> float:
    """Return the volume of a ball."""
    return 4.0 / 3.0 * np.pi * radius**3


def test_new_lesion_is_found_with_its_volume() -> None:
    """A lesion that only the later image shows is new and sure, within a fifth of its volume; the other is stable."""
    found = compare(session((LEFT,), 0), session((LEFT, RIGHT), 1))
    assert statuses(found) == ["new", "stable"]
    record = only(found, "new")
    assert record.confidence == "high"
    assert record.volume_before_mm3 == 0.0
    assert record.volume_after_mm3 == pytest.approx(ball_mm3(3.0), rel=0.2)
    assert record.grew
    assert np.count_nonzero(found.new) == record.volume_after_mm3
    assert found.new[35, 24, 24]
    assert found.counts() == {("new", "high"): 1, ("stable", "high"): 1}


def test_lesion_map_is_not_needed_to_see_a_new_lesion() -> None:
    """What the later lesion map missed is found in the difference, but only as a candidate."""
    found = compare(session((LEFT,), 0), session((LEFT, RIGHT), 1, mapped=(LEFT,)))
    assert only(found, "new").confidence == "candidate"


def test_swapped_sessions_mirror_the_answer() -> None:
    """The other way round new is resolved, enlarging is shrinking, and the z map changes its sign."""
    small, large = (LEFT[0], 2.5), (LEFT[0], 4.0)
    early, late = session((small, FRONT), 0), session((large, FRONT, RIGHT), 1)
    forth, back = compare(early, late), compare(late, early)
    assert statuses(forth) == ["enlarging", "new", "stable"]
    assert statuses(back) == ["resolved", "shrinking", "stable"]
    np.testing.assert_allclose(forth.z, -back.z, rtol=1e-3, atol=1e-3)
    assert only(forth, "new").volume_after_mm3 == only(back, "resolved").volume_before_mm3
    assert only(forth, "enlarging").gain_mm3 == only(back, "shrinking").loss_mm3


def test_session_against_itself_shows_no_change() -> None:
    """The same image twice: everything is stable, at z zero."""
    one = session((LEFT, RIGHT), 0)
    found = compare(one, one)
    assert statuses(found) == ["stable", "stable"]
    assert np.nanmax(np.abs(found.z)) == 0.0
    assert not found.gain.any()
    assert not found.loss.any()


@pytest.mark.parametrize("seed", range(2))
def test_moved_and_noisy_again_shows_no_change(seed: int) -> None:
    """New noise and an error of position of half a voxel make no change."""
    lesions = (LEFT, RIGHT, FRONT)
    moved = ndimage.shift(brightness(lesions), (0.4, -0.3, 0.3), order=3, mode="nearest").astype(np.float32)
    found = compare(session(lesions, 10 + seed), session(lesions, 20 + seed, image=moved))
    assert statuses(found) == ["stable"] * 3


def test_smooth_brightness_field_is_no_change() -> None:
    """A field that brightens one side by a third does not turn tissue into lesions; a new lesion there is found."""
    field = (1.0 + 0.33 * mesh(SHAPE)[0] / 47.0).astype(np.float32)
    assert statuses(compare(session((LEFT,), 0), session((LEFT,), 1, image=field * brightness((LEFT,))))) == ["stable"]
    both = session((LEFT, RIGHT), 1, image=field * brightness((LEFT, RIGHT)))
    assert statuses(compare(session((LEFT,), 0), both)) == ["new", "stable"]


def test_lesion_that_moved_is_no_change() -> None:
    """A lesion somewhat beside its old place was moved with the brain around it: neither new nor resolved voxels."""
    before = session((LEFT, RIGHT), 0)
    moved = ((LEFT[0][0] + 1.4, *LEFT[0][1:]), LEFT[1])
    found = compare(before, session((moved, RIGHT), 1))
    assert statuses(found) == ["stable", "stable"]


def test_maps_that_differ_are_no_change() -> None:
    """A lesion that one of two equal images' maps missed was there all the time, but is less sure."""
    lesions = (LEFT, RIGHT)
    found = compare(session(lesions, 0, mapped=(LEFT,)), session(lesions, 1))
    assert statuses(found) == ["stable", "stable"]
    assert sorted(record.confidence for record in found.records) == ["candidate", "high"]


def test_thicker_slices_are_no_change() -> None:
    """A blur along one axis, as thick slices make it, neither adds nor removes lesions."""
    lesions = (LEFT, RIGHT, FRONT)
    blurred = ndimage.gaussian_filter1d(brightness(lesions), 2.5, axis=2)
    for found in (
        compare(session(lesions, 0), session(lesions, 1, image=blurred)),
        compare(session(lesions, 0, image=blurred), session(lesions, 1)),
    ):
        assert statuses(found) == ["stable"] * 3


def test_stronger_contrast_of_the_lesions_is_no_change() -> None:
    """A sequence that shows all lesions brighter does not enlarge them."""
    lesions = (LEFT, RIGHT, FRONT)
    brighter = brightness(()) + np.float32(1.6) * (brightness(lesions) - brightness(()))
    found = compare(session(lesions, 0), session(lesions, 1, image=brighter))
    assert abs(float(found.z[11:14, 23:26, 23:26].mean())) < SEED_Z / 2
    assert statuses(found) == ["stable"] * 3


def test_growth_is_measured() -> None:
    """The volumes of an enlarging lesion before and after, and their difference, are near the truth."""
    found = compare(session(((LEFT[0], 3.0), RIGHT), 0), session(((LEFT[0], 4.5), RIGHT), 1))
    record = only(found, "enlarging")
    assert record.confidence == "high"
    assert record.volume_before_mm3 == pytest.approx(ball_mm3(3.0), rel=0.25)
    assert record.volume_after_mm3 == pytest.approx(ball_mm3(4.5), rel=0.2)
    assert record.gain_mm3 == record.volume_after_mm3 - record.volume_before_mm3


def test_little_growth_is_stable() -> None:
    """A seventh more volume is within what measurements differ by."""
    found = compare(session(((LEFT[0], 4.0), RIGHT), 0), session(((LEFT[0], 4.2), RIGHT), 1))
    assert statuses(found) == ["stable", "stable"]


def test_merging_and_splitting() -> None:
    """Two lesions that a new one joins are one record, which says so and that they grew; backwards it is a split."""
    first, second = ((10.0, 22.0, 24.0), 2.5), ((10.0, 30.0, 24.0), 2.5)
    joined = (first, second, ((10.0, 26.0, 24.0), 2.5))
    early, late = session((first, second), 0), session(joined, 1)
    merged = only(compare(early, late), "merged")
    assert (len(merged.ids_before), len(merged.ids_after)) == (2, 1)
    assert merged.grew
    split = only(compare(late, early), "split")
    assert (len(split.ids_before), len(split.ids_after)) == (1, 2)
    assert not split.grew


def test_speck_that_a_large_lesion_takes_in_does_not_make_it_old() -> None:
    """Where nearly all of a lesion is new, it is new, though it covers a small lesion; backwards it is resolved."""
    speck, large = ((10.0, 24.0, 24.0), 1.5), ((12.0, 25.0, 24.0), 5.0)
    early, late = session((speck,), 0), session((large,), 1)
    new = only(compare(early, late), "new")
    assert len(new.ids_before) == 1
    assert 0.0 < new.volume_before_mm3 < 0.1 * new.volume_after_mm3
    assert only(compare(late, early), "resolved").volume_after_mm3 > 0.0


def test_ids_point_into_the_instance_images() -> None:
    """The numbers of a record are those of the lesion's voxels before and after."""
    found = compare(session((LEFT,), 0), session((LEFT, RIGHT), 1))
    stable, new = only(found, "stable"), only(found, "new")
    assert stable.ids_before == (found.lesions_before[12, 24, 24],)
    assert stable.ids_after == (found.lesions_after[12, 24, 24],)
    assert new.ids_before == ()
    assert new.ids_after == (found.lesions_after[35, 24, 24],)


@pytest.mark.parametrize(
    ("ball", "bright"),
    [(((23.5, 23.5, 23.5), 3.0), 1.5), (((23.5, 23.5, 46.0), 2.0), 0.6), (((35.0, 24.0, 24.0), 3.0), 0.1),
     (((35.0, 24.0, 24.0), 1.2), 0.6)],
    ids=["in fluid", "in cortex", "no brighter than grey matter", "too small"],
)  # fmt: skip
def test_what_is_no_lesion(ball: Ball, bright: float) -> None:
    """Flow in a ventricle, a vessel in a sulcus, faint and tiny spots are not reported."""
    image = brightness((LEFT,)) + np.float32(bright) * soft_sphere(SHAPE, *ball, 2)
    found = compare(session((LEFT,), 0), session((LEFT,), 1, image=image))
    assert statuses(found) == ["stable"]


def test_bright_spot_where_fluid_was_is_no_lesion() -> None:
    """What the earlier session knew as fluid does not become lesion."""
    _, fluid = tissue()
    wet = np.maximum(fluid, (soft_sphere(SHAPE, *RIGHT, 2) > 0).astype(np.float32))
    early, late = session((LEFT,), 0), session((LEFT, RIGHT), 1, mapped=(LEFT,))
    assert statuses(compare(early, late)) == ["new", "stable"]
    assert statuses(compare(early, late, fluid_before=wet)) == ["stable"]


def test_atrophied_lesion_volume() -> None:
    """Lesion voxels that become fluid are counted; those that were fluid before, and fluid elsewhere, are not."""
    _, fluid = tissue()
    early = session((LEFT, RIGHT), 0)
    later_fluid = fluid.copy()
    later_fluid[12:14, 23:26, 23:26] = 0.8
    later_fluid[24, 10, 10] = 1.0
    expected = float(np.count_nonzero(early.mask[12:14, 23:26, 23:26]))
    assert expected == 18.0
    late = session((LEFT, RIGHT), 1)
    assert compare(early, late, fluid_after=later_fluid).atrophied_lesion_volume_mm3 == expected
    already = compare(early, late, fluid_before=later_fluid, fluid_after=later_fluid)
    assert already.atrophied_lesion_volume_mm3 == 0.0


def test_region_that_one_session_did_not_see_is_left_out() -> None:
    """No lesion is new or resolved where only one session has an image; z has no value there."""
    late = session((LEFT,), 1)
    seen = late.seen.copy()
    seen[28:] = False
    found = compare(session((LEFT, RIGHT), 0), dataclasses.replace(late, seen=seen))
    assert statuses(found) == ["stable"]
    assert np.isnan(found.z[35, 24, 24])


def test_flair_is_preferred_to_t2w() -> None:
    """The T2w is compared only if one of the sessions has no FLAIR."""
    early, late = session((LEFT,), 0), session((LEFT,), 1)
    t2w = {"T2w": early.normalised["FLAIR"]}
    assert compare(dataclasses.replace(early, normalised={**t2w, **early.normalised}), late).contrast == "FLAIR"
    assert compare(dataclasses.replace(early, normalised=t2w), dataclasses.replace(late, normalised=t2w)).contrast == (
        "T2w"
    )
    with pytest.raises(ValueError, match="share none"):
        compare(dataclasses.replace(early, normalised=t2w), late)


def test_sessions_without_common_voxels_are_refused() -> None:
    """Nothing can be said of two images that do not overlap."""
    early = session((LEFT,), 0)
    blind = dataclasses.replace(early, seen=np.zeros(SHAPE, dtype=bool))
    with pytest.raises(ValueError, match="no voxel in common"):
        compare(early, blind)
