# SPDX-License-Identifier: Apache-2.0
"""The shipped atlas is whole, symmetric, small, and lies where it says."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from bids_msvol.atlas import HeadAtlas, load_atlas
from bids_msvol.atlas.head import TYPICAL_T1W_INTENSITY, coarsen_atlas, save_atlas
from bids_msvol.atlas.labels import (
    BRAIN,
    CLASSES,
    EXTRA_CLASSES,
    INTRACRANIAL,
    MIRROR,
)
from bids_msvol.imaging.grids import resample_to_grid
from bids_msvol.imaging.tissues import registration_groups
from bids_msvol.structures import STRUCTURES, structure_by_index


@pytest.fixture(scope="module")
def atlas() -> HeadAtlas:
    """Return the shipped atlas."""
    return load_atlas()


def test_atlas_file_is_small() -> None:
    """The file stays below 10 MB, so that it can be part of the package."""
    assert (resources.files("bids_msvol.atlas") / "data" / "head_atlas.npz").stat().st_size < 10e6


def test_atlas_has_every_class(atlas: HeadAtlas) -> None:
    """Each measured structure and each class around the brain has a place where it is likely."""
    assert atlas.classes == CLASSES
    assert set(CLASSES) == {structure.index for structure in STRUCTURES} | set(EXTRA_CLASSES)
    weakest = {number: int(values.max()) for number, values in zip(CLASSES, atlas.maps, strict=True)}
    assert {number: peak for number, peak in weakest.items() if peak < 0.4 * 255} == {}


def test_probabilities_add_up_to_one(atlas: HeadAtlas) -> None:
    """At each point, up to the rounding of each map."""
    total = atlas.maps.sum(axis=0, dtype=np.int32)
    assert np.abs(total - 255).max() <= 8
    assert np.abs(total - 255).mean() < 0.5


def test_atlas_is_symmetric(atlas: HeadAtlas) -> None:
    """Mirrored at the midsagittal plane, each structure becomes the other side's."""
    world_left = nib.affines.apply_affine(atlas.affine, [0, 0, 0])[0]
    world_right = nib.affines.apply_affine(atlas.affine, [atlas.maps.shape[1] - 1, 0, 0])[0]
    assert world_left == -world_right
    for number, values in zip(CLASSES, atlas.maps, strict=True):
        assert np.array_equal(values[::-1], atlas.maps[CLASSES.index(MIRROR.get(number, number))]), number


def test_left_is_left(atlas: HeadAtlas) -> None:
    """Structures named left lie at negative x, those named right at positive x."""
    for structure in STRUCTURES:
        values = atlas.maps[CLASSES.index(structure.index), :, :, ::4].astype(np.float32)
        x = nib.affines.apply_affine(atlas.affine, ndimage.center_of_mass(values))[0]
        side = "Left" if x < -1 else "Right" if x > 1 else ""
        assert structure.name.startswith(side or structure.name), structure.name
        assert bool(side) == structure.name.startswith(("Left-", "Right-"))


def test_atlas_lies_in_mni_space(atlas: HeadAtlas) -> None:
    """Its brain and ventricles cover those of the MNI152 template, not a shifted or scaled copy of them."""
    from nilearn.datasets import load_mni152_brain_mask

    template = load_mni152_brain_mask(resolution=1)
    shape = atlas.maps.shape[1:]
    theirs = np.asarray(resample_to_grid(template, shape, atlas.affine, order=0).dataobj) > 0.5
    ours = np.asarray(atlas.intracranial_mask().dataobj) > 0
    above = nib.affines.apply_affine(atlas.affine, np.argwhere(np.ones((1, 1, shape[2]))))[:, 2] > -50
    theirs, ours = theirs[..., above], ours[..., above]
    assert 2.0 * (theirs & ours).sum() / (theirs.sum() + ours.sum()) > 0.93
    assert np.array(ndimage.center_of_mass(ours)) == pytest.approx(np.array(ndimage.center_of_mass(theirs)), abs=3.0)


def test_white_matter_is_where_the_template_has_it(atlas: HeadAtlas) -> None:
    """The white matter map of the template and that of the atlas agree."""
    from nilearn.datasets import load_mni152_wm_template

    template = resample_to_grid(load_mni152_wm_template(resolution=1), atlas.maps.shape[1:], atlas.affine)
    white = np.asarray(atlas.probability((2, 41, 7, 46, 16, 28, 60)).dataobj)[::2, ::2, ::2].ravel()
    assert np.corrcoef(white, np.asarray(template.dataobj)[::2, ::2, ::2].ravel())[0, 1] > 0.85


def test_intracranial_classes() -> None:
    """The cavity holds exactly what is measured; the brain is the cavity without fluid."""
    assert set(INTRACRANIAL) == {structure.index for structure in STRUCTURES}
    assert {structure_by_index(number).tissue for number in set(INTRACRANIAL) - set(BRAIN)} == {"CSF"}


def test_registration_channels_share_out_the_classes() -> None:
    """Each class belongs to exactly one channel."""
    assert sorted(number for group in registration_groups() for number in group) == sorted(CLASSES)


def test_mirror_is_its_own_inverse() -> None:
    """Left and right structures of one name are each other's mirror."""
    for number, other in MIRROR.items():
        assert MIRROR[other] == number
        names = {structure_by_index(index).name.partition("-")[2] for index in (number, other)}
        assert len(names) == 1
    paired = {structure.index for structure in STRUCTURES if structure.name.startswith(("Left-", "Right-"))}
    assert set(MIRROR) == paired


def test_expected_image_has_the_contrast_of_t1w(atlas: HeadAtlas) -> None:
    """White matter is brighter than grey, grey brighter than fluid; without the other members the skull is black."""
    whole = np.asarray(atlas.expected_image(TYPICAL_T1W_INTENSITY).dataobj)
    brain = np.asarray(atlas.expected_image(TYPICAL_T1W_INTENSITY, BRAIN).dataobj)

    def brightness(image: np.ndarray, members: tuple[int, ...]) -> float:
        return float(image[np.asarray(atlas.probability(members).dataobj) > 0.8].mean())

    assert brightness(whole, (2, 41)) > brightness(whole, (3, 42)) + 0.1 > brightness(whole, (4, 43)) + 0.3
    assert brightness(brain, (2, 41)) == pytest.approx(brightness(whole, (2, 41)), abs=0.02)
    assert brightness(brain, (507,)) < 0.01 < brightness(whole, (507,))


def test_coarse_atlas_keeps_its_place_and_its_probabilities(atlas: HeadAtlas) -> None:
    """Blocks of voxels are averaged where they lie; a fine working voxel leaves the atlas as it is."""
    coarse = coarsen_atlas(atlas, 3.2)
    assert nib.affines.voxel_sizes(coarse.affine) == pytest.approx([3.0] * 3)
    assert coarsen_atlas(atlas, 1.0) is atlas
    for number in (2, 16, 49):
        centers, volumes = [], []
        for one in (atlas, coarse):
            values = one.maps[CLASSES.index(number)].astype(np.float32)
            centers.append(nib.affines.apply_affine(one.affine, ndimage.center_of_mass(values)))
            volumes.append(float(values.sum()) * abs(np.linalg.det(one.affine)))
        assert centers[1] == pytest.approx(centers[0], abs=0.1)
        assert volumes[1] == pytest.approx(volumes[0], rel=0.01)


@pytest.mark.parametrize("spacing_mm", [2.0, 5.0])
def test_brain_points_fill_the_cavity(atlas: HeadAtlas, spacing_mm: float) -> None:
    """They lie inside the skull, as far apart as asked, and as many as its volume holds."""
    points = atlas.brain_points(spacing_mm)
    cavity = np.asarray(atlas.intracranial_mask().dataobj) > 0
    voxels = np.round(nib.affines.apply_affine(np.linalg.inv(atlas.affine), points)).astype(int)
    assert cavity[tuple(voxels.T)].all()
    for axis in range(3):
        assert np.diff(np.unique(points[:, axis])) == pytest.approx(spacing_mm)
    volume_mm3 = cavity.sum() * abs(np.linalg.det(atlas.affine[:3, :3]))
    assert len(points) * spacing_mm**3 == pytest.approx(volume_mm3, rel=0.03)


def test_stored_atlas_is_read_back(tmp_path: Path) -> None:
    """Half of a symmetric atlas is stored and the whole comes back."""
    rng = np.random.default_rng(0)
    half = rng.integers(0, 255, (len(CLASSES), 4, 3, 5), dtype=np.uint8)
    order = [CLASSES.index(MIRROR.get(number, number)) for number in CLASSES]
    middle = np.maximum(half[:, -1:], half[order, -1:])
    maps = np.concatenate([half[:, :-1], middle, half[order, -2::-1]], axis=1)
    made = HeadAtlas(CLASSES, maps, np.diag([2.0, 2.0, 2.0, 1.0]))
    save_atlas(made, tmp_path / "atlas.npz")
    found = load_atlas(tmp_path / "atlas.npz")
    assert found.classes == CLASSES
    assert np.array_equal(found.maps, maps)
    assert np.array_equal(found.affine, made.affine)
