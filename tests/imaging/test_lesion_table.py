# SPDX-License-Identifier: Apache-2.0
"""The list of lesions: each one once, with its volume, place and region."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from bids_msvol.imaging.lesion_table import LesionRecord, find_lesions, summarise
from bids_msvol.imaging.lesions import LesionMap

SHAPE = (60, 40, 40)
AFFINE = nib.affines.from_matvec(np.eye(3), [-30.0, 5.0, 7.0])

WHITE, VENTRICLE, CORTEX, STEM = 2, 4, 3, 16


def anatomy() -> np.ndarray:
    """Return slabs along x: ventricle, white matter, cortex, nothing; and a brainstem far away."""
    labels = np.zeros(SHAPE, np.int16)
    labels[:5], labels[5:30], labels[30:34], labels[40:] = VENTRICLE, WHITE, CORTEX, STEM
    return labels


def cube(start: tuple[int, int, int], edge: int = 3) -> tuple[slice, ...]:
    """Return a cube of voxels."""
    return tuple(slice(first, first + edge) for first in start)


def lesion_map(mask: np.ndarray, flair: float = 1.5) -> LesionMap:
    """Return a lesion map with one brightness."""
    contrast = nib.Nifti1Image(np.where(mask, flair, 1.0).astype(np.float32), AFFINE)
    return LesionMap(mask.astype(np.float32), mask, np.ones(SHAPE, bool), {"FLAIR": contrast}, ())


def t1w(mask: np.ndarray, brightness: float = 60.0) -> nib.Nifti1Image:
    """Return a T1w image with white matter at 100 and lesions at ``brightness``."""
    return nib.Nifti1Image(np.where(mask, brightness, 100.0).astype(np.float32), AFFINE)


def found(*boxes: tuple[slice, ...], **options: float) -> tuple[tuple[LesionRecord, ...], np.ndarray]:
    """Find the lesions that fill some boxes."""
    mask = np.zeros(SHAPE, bool)
    for box in boxes:
        mask[box] = True
    return find_lesions(lesion_map(mask), anatomy(), t1w(mask), **options)


@pytest.mark.parametrize(
    ("start", "region"),
    [
        ((6, 10, 10), "periventricular"),
        ((9, 10, 10), "deep_white_matter"),
        ((17, 10, 10), "deep_white_matter"),
        ((26, 10, 10), "juxtacortical"),
        ((50, 10, 10), "infratentorial"),
    ],
)
def test_region_is_what_the_lesion_touches(start: tuple[int, int, int], region: str) -> None:
    """A cube two voxels from the ventricle touches it, one five voxels away does not; so for the cortex."""
    records, _ = found(cube(start))
    assert [record.region for record in records] == [region]


def test_a_lesion_between_ventricle_and_cortex_is_periventricular() -> None:
    """Where a lesion touches both, the ventricle decides."""
    records, _ = found((slice(5, 30), slice(10, 13), slice(10, 13)))
    assert [record.region for record in records] == ["periventricular"]


def test_labels_within_lesions_do_not_count() -> None:
    """A lesion that the T1w segmentation took for ventricle or cortex stays where it is."""
    mask = np.zeros(SHAPE, bool)
    mask[cube((17, 10, 10))] = True
    for wrong in (VENTRICLE, CORTEX):
        labels = np.where(mask, wrong, anatomy()).astype(np.int16)
        records, _ = find_lesions(lesion_map(mask), labels, t1w(mask))
        assert [record.region for record in records] == ["deep_white_matter"]


def test_volume_and_place() -> None:
    """A cube of 27 voxels has 27 mm3 and its centre where the header puts it."""
    (record,), numbers = found(cube((17, 10, 20)))
    assert record.volume_mm3 == pytest.approx(27.0)
    assert record.centroid_mm == pytest.approx((18 - 30, 11 + 5, 21 + 7))
    assert record.mean_contrast == pytest.approx(1.5)
    assert np.array_equal(np.argwhere(numbers == 1), np.argwhere(lesion_map(numbers > 0).mask))
    assert numbers.dtype == np.int16


def test_voxel_size_enters_the_volume() -> None:
    """With voxels of 1 x 1 x 2 mm, 27 voxels are 54 mm3, and the least volume is one of mm3, not voxels."""
    mask = np.zeros(SHAPE, bool)
    mask[cube((17, 10, 10))] = True
    mask[20:26, 30, 30] = True
    image = nib.Nifti1Image(np.asarray(t1w(mask).dataobj), np.diag([1.0, 1.0, 2.0, 1.0]))
    records, _ = find_lesions(lesion_map(mask), anatomy(), image)
    assert [record.volume_mm3 for record in records] == pytest.approx([54.0, 12.0])


def test_corners_connect() -> None:
    """Two cubes that share a corner are one lesion; with a voxel between them they are two."""
    assert len(found(cube((10, 10, 10)), cube((13, 13, 13)))[0]) == 1
    assert len(found(cube((10, 10, 10)), cube((14, 14, 14)))[0]) == 2


def test_specks_are_left_out() -> None:
    """Eight voxels are fewer than the least volume, unless a smaller one is asked for."""
    boxes = (cube((17, 10, 10)), cube((17, 20, 20), edge=2))
    records, numbers = found(*boxes)
    assert [record.volume_mm3 for record in records] == [27.0]
    assert np.count_nonzero(numbers) == 27
    assert len(found(*boxes, least_volume_mm3=3.0)[0]) == 2


def test_the_largest_comes_first() -> None:
    """Numbers run from 1 by volume, and the records follow them."""
    records, numbers = found(cube((17, 10, 10)), cube((17, 20, 20), edge=5), cube((17, 30, 30), edge=4))
    assert [record.id for record in records] == [1, 2, 3]
    assert [record.volume_mm3 for record in records] == [125.0, 64.0, 27.0]
    assert np.bincount(numbers.ravel()).tolist()[1:] == [125, 64, 27]


def test_dark_on_t1w() -> None:
    """The share of a lesion that is T1-hypointense: all of a black hole, none where T1w shows nothing, half of half."""
    mask = np.zeros(SHAPE, bool)
    mask[cube((17, 10, 10), edge=4)] = True
    half = np.asarray(t1w(mask).dataobj).copy()
    half[17:19][mask[17:19]] = 97.0
    for image, share in ((t1w(mask), 1.0), (t1w(mask, 97.0), 0.0), (nib.Nifti1Image(half, AFFINE), 0.5)):
        (record,), _ = find_lesions(lesion_map(mask), anatomy(), image)
        assert record.t1_hypointense_fraction == pytest.approx(share)


def test_no_lesion() -> None:
    """An empty mask gives no records and a summary of zeros."""
    records, numbers = found()
    summary = summarise(records)
    assert records == ()
    assert not numbers.any()
    assert (summary.count, summary.volume_mm3) == (0, 0.0)
    assert not summary.disseminated_in_space


def test_summary_adds_up() -> None:
    """Counts and volumes by region, and the regions of the McDonald criteria that are touched."""
    records, _ = found(cube((6, 10, 10)), cube((6, 30, 30), edge=4), cube((17, 20, 20)), cube((50, 10, 10)))
    summary = summarise(records)
    assert summary.count == 4
    assert summary.volume_mm3 == pytest.approx(27 * 3 + 64)
    assert summary.count_by_region == {
        "periventricular": 2, "juxtacortical": 0, "infratentorial": 1, "deep_white_matter": 1,
    }  # fmt: skip
    assert summary.volume_mm3_by_region["periventricular"] == pytest.approx(91.0)
    assert summary.regions_2017 == ("periventricular", "infratentorial")
    assert summary.disseminated_in_space


def test_deep_lesions_alone_are_not_disseminated() -> None:
    """Deep white matter is none of the regions that count, and one region is not enough."""
    assert summarise(found(cube((17, 10, 10)))[0]).regions_2017 == ()
    one = summarise(found(cube((17, 10, 10)), cube((6, 10, 10)))[0])
    assert one.regions_2017 == ("periventricular",)
    assert not one.disseminated_in_space
