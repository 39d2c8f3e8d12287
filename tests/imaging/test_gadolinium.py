# SPDX-License-Identifier: Apache-2.0
"""Enhancing lesions are found and sized; vessels, meninges, plexus and normal tissue are not."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from bids_msvol.imaging.gadolinium import EnhancementMap, find_enhancement
from bids_msvol.imaging.lesions import LesionMap
from tests.imaging.phantoms import mesh, soft_sphere

SHAPE = (48, 48, 48)
CENTER = (23.5, 23.5, 23.5)
NOISE = 0.03
STEP = 0.5
"""How much brighter than before, as a share of white matter, what enhances is."""

PLACE = (36.0, 24.0, 24.0)
"""Middle of the lesion, in white matter."""

AFFINE = nib.affines.from_matvec(np.eye(3), (-20.0, 10.0, 5.0))


def distance(center: tuple[float, float, float] = CENTER) -> NDArray[np.float64]:
    """Return the distance of every voxel from a point."""
    return np.sqrt(sum((axis - middle) ** 2 for axis, middle in zip(mesh(SHAPE), center, strict=True)))


def labels() -> NDArray[np.int16]:
    """Return a ventricle in a ball of white matter with a shell of cortex."""
    far = distance()
    return np.select([far <= 5, far <= 19, far <= 22], [4, 2, 3], 0).astype(np.int16)


def image(seed: int, *bright: NDArray[np.float32]) -> nib.Nifti1Image:
    """Return a T1w with noise: fluid dark, cortex darker than white matter, plus what is added."""
    brightness = np.array([0.1, 0.0, 1.0, 0.65, 0.2])[labels()]
    noise = NOISE * np.random.default_rng(seed).standard_normal(SHAPE)
    values = np.where(distance() <= 22.5, brightness + noise + sum(bright), np.nan)
    return nib.Nifti1Image(values.astype(np.float32), AFFINE)


def lesions(radius: float = 4.5, center: tuple[float, float, float] = PLACE) -> LesionMap:
    """Return the map of one lesion."""
    mask = distance(center) <= radius
    return LesionMap(probability=mask.astype(np.float32), mask=mask, seen=distance() <= 22, normalised={}, sentences=())


def find(
    *bright: NDArray[np.float32], plain: bool = True, known: LesionMap | None = None, bare: bool = False
) -> EnhancementMap:
    """Look for enhancement where ``bright`` was added; ``bare`` is without a lesion map."""
    return find_enhancement(
        image(1, *bright),
        image(0) if plain else None,
        lesions=None if bare else known or lesions(),
        labels=labels(),
        cavity=distance() <= 22.5,
    )


def ball(center: tuple[float, float, float], radius: float, step: float = STEP) -> NDArray[np.float32]:
    """Return a bright ball."""
    return np.float32(step) * soft_sphere(SHAPE, center, radius, 2)


def tube(start: float, stop: float, height: float = 24.0, radius: float = 1.5) -> NDArray[np.float32]:
    """Return a bright rod along the first axis, from one voxel to another."""
    x, y, z = mesh(SHAPE)
    across = np.sqrt((y - 24.0) ** 2 + (z - height) ** 2)
    return (STEP * ((across <= radius) & (x >= start) & (x <= stop))).astype(np.float32)


def ring(center: tuple[float, float, float], outer: float, inner: float) -> NDArray[np.float32]:
    """Return a bright shell."""
    return ball(center, outer) - ball(center, inner)


def test_enhancing_lesion_is_found_and_sized() -> None:
    """One record, with the volume, place and brightness of what was added; sure."""
    found = find(ball(PLACE, 3.0))
    (record,) = found.records
    assert record.volume_mm3 == pytest.approx(4 / 3 * np.pi * 27, rel=0.35)
    assert record.centroid_mm == pytest.approx((16.0, 34.0, 29.0), abs=0.5)
    assert record.mean_enhancement == pytest.approx(STEP, rel=0.4)
    assert record.in_lesion
    assert not record.ring
    assert record.confidence == "high"
    assert np.count_nonzero(found.instances == record.id) == record.volume_mm3


def test_nothing_enhances_without_contrast_agent() -> None:
    """Two images of the same head with other noise, contrast and brightness show nothing."""
    plain = image(0)
    values = np.asarray(plain.dataobj)
    ramp = 1.0 + 0.1 * (mesh(SHAPE)[0] / 47.0 - 0.5)
    other = nib.Nifti1Image(((1.0 + 0.7 * (values - 1.0)) * ramp).astype(np.float32), AFFINE)
    found = find_enhancement(other, plain, lesions=lesions(), labels=labels(), cavity=distance() <= 22.5)
    assert found.records == ()
    assert not found.instances.any()
    assert find().records == ()


@pytest.mark.parametrize(
    "bright",
    [tube(30, 47), ball((23.5, 23.5, 23.5), 4.0), ball((24.0, 24.0, 44.0), 2.5), ball((12.0, 24.0, 24.0), 3.0)],
    ids=["vessel through the lesion", "choroid plexus", "meninges", "ball far from any lesion"],
)
def test_what_is_no_lesion(bright: NDArray[np.float32]) -> None:
    """Vessels, plexus, the surface of the brain and what lies far from lesions are not reported."""
    assert find(bright).records == ()


def test_shape_tells_a_vessel_in_white_matter() -> None:
    """A rod that lies wholly in white matter and touches a lesion is a vessel; a ball of its volume is not."""
    known = lesions(3.0, (33.0, 24.0, 33.0))
    rod = tube(27, 39, height=33.0)
    assert find(rod, known=known).records == ()
    radius = float((3 * np.count_nonzero(rod) / 4 / np.pi) ** (1 / 3))
    assert len(find(ball((33.0, 24.0, 33.0), radius), known=known).records) == 1


def test_ring_counts_without_a_lesion_map_beside_it() -> None:
    """A ring in white matter is a lesion even where the lesion map shows none, but less sure; its centre is dark."""
    place = (11.0, 24.0, 24.0)
    found = find(ring(place, 5.0, 3.0))
    (record,) = found.records
    assert record.ring
    assert not record.in_lesion
    assert record.confidence == "low"
    assert found.instances[11, 24, 24] == 0
    assert record.volume_mm3 < 4 / 3 * np.pi * 5.0**3


def test_without_image_before_contrast_confidence_is_low() -> None:
    """What is brighter than white matter after gadolinium is found, but not sure; a head without it shows nothing."""
    (record,) = find(ball(PLACE, 3.0), plain=False).records
    assert record.confidence == "low"
    assert find(plain=False).records == ()


def test_without_lesion_map_confidence_is_low() -> None:
    """Compact enhancement within white matter is found without a lesion map, but not sure."""
    (record,) = find(ball(PLACE, 3.0), bare=True).records
    assert record.confidence == "low"
    assert not record.in_lesion


def test_faint_and_small_enhancement_is_less_sure_or_not_reported() -> None:
    """Little volume or brightness lowers the confidence; a single voxel is not reported."""
    assert [record.confidence for record in find(ball(PLACE, 2.0)).records] == ["low"]
    assert [record.confidence for record in find(ball(PLACE, 3.5, 0.22)).records] == ["low"]
    assert find(ball(PLACE, 0.9)).records == ()


def test_counts_by_size() -> None:
    """Each record falls into one bin."""
    known = lesions(7.0, (36.0, 24.0, 24.0))
    other = lesions(3.0, (12.0, 24.0, 24.0))
    both = LesionMap(
        probability=known.probability + other.probability,
        mask=known.mask | other.mask,
        seen=known.seen,
        normalised={},
        sentences=(),
    )
    found = find(ball((35.0, 24.0, 24.0), 5.2), ball((12.0, 24.0, 24.0), 2.0), known=both)
    assert found.counts() == {"<70": 1, "70-500": 0, ">500": 1}


def test_images_without_white_matter_are_refused() -> None:
    """Without normal white matter there is nothing to compare with."""
    nothing = np.zeros(SHAPE, dtype=bool)
    with pytest.raises(ValueError, match="no normal white matter"):
        find_enhancement(image(1), image(0), lesions=None, labels=labels(), cavity=nothing)
