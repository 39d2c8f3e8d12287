# SPDX-License-Identifier: Apache-2.0
"""The atlas is learned from label maps: labels merged, both sides averaged, some maps left out when asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from bids_msvol.atlas import HeadAtlas, build, load_atlas
from bids_msvol.atlas.build import MERGED_LABELS, read_label_map
from bids_msvol.atlas.labels import BRAIN_STEM, CLASSES, CSF, MIRROR, SPINAL_FLUID
from bids_msvol.imaging.registration import TemplateTransform


def write_map(path: Path, labels: np.ndarray, affine: np.ndarray | None = None) -> Path:
    """Write a label map."""
    nib.save(nib.Nifti1Image(labels.astype(np.int16), np.eye(4) if affine is None else affine), path)
    return path


def test_labels_are_merged_into_the_classes(tmp_path: Path) -> None:
    """Lesions become white matter, choroid plexus ventricle, and so on; nothing but classes is left."""
    labels = np.zeros((6, 6, 6))
    labels[0, 0, 0] = BRAIN_STEM
    for position, label in enumerate(MERGED_LABELS):
        labels.ravel()[100 + position] = label
    found = np.asarray(read_label_map(write_map(tmp_path / "map.nii.gz", labels)).dataobj)
    for position, target in enumerate(MERGED_LABELS.values()):
        assert found.ravel()[100 + position] == target
    assert set(np.unique(found).tolist()) <= set(CLASSES)
    assert not set(MERGED_LABELS) & set(CLASSES)


def test_fluid_below_the_brainstem_is_spinal(tmp_path: Path) -> None:
    """The lowest slice of the brainstem is where the intracranial fluid ends, also in a map stored head down."""
    labels = np.full((4, 4, 10), CSF)
    labels[1, 1, 3:6] = BRAIN_STEM
    upside_down = nib.affines.from_matvec(np.diag([1, 1, -1]), [0, 0, 9])
    for path, data, affine in (
        (tmp_path / "up.nii.gz", labels, np.eye(4)),
        (tmp_path / "down.nii.gz", labels[..., ::-1], upside_down),
    ):
        found = np.asarray(read_label_map(write_map(path, data, affine)).dataobj)
        assert (found[..., :3] == SPINAL_FLUID).all()
        assert not (found[..., 3:] == SPINAL_FLUID).any()


def test_unknown_label_is_refused(tmp_path: Path) -> None:
    """A label that no class stands for is named with its file."""
    labels = np.full((3, 3, 3), BRAIN_STEM)
    labels[0, 0, 0] = 999
    with pytest.raises(ValueError, match=r"strange\.nii\.gz: labels \[999\]"):
        read_label_map(write_map(tmp_path / "strange.nii.gz", labels))


@pytest.fixture
def small_grid(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Shrink the grid of the atlas; return its affine."""
    shape, origin = (21, 16, 18), (-10.0, -8.0, -9.0)
    monkeypatch.setattr(build, "GRID_SHAPE", shape)
    monkeypatch.setattr(build, "GRID_ORIGIN_MM", origin)
    return nib.affines.from_matvec(np.eye(3), origin)


def test_average_is_symmetric_and_normalised(small_grid: np.ndarray) -> None:
    """A map that has a structure on the left only lends half of it to each side; the classes add up to one."""
    labels = np.zeros(build.GRID_SHAPE, np.int16)
    labels[3:8, 4:12, 4:14] = 12
    atlas = build._average([nib.Nifti1Image(labels, small_grid)], [TemplateTransform(np.eye(4))], small_grid)
    left, right = (atlas.maps[CLASSES.index(number)] for number in (12, 51))
    assert left[5, 8, 9] == pytest.approx(0.5 * 255, abs=3)
    assert right[15, 8, 9] == left[5, 8, 9]
    assert left[15, 8, 9] == right[5, 8, 9] == 0
    for number, values in zip(CLASSES, atlas.maps, strict=True):
        assert np.array_equal(values, atlas.maps[CLASSES.index(MIRROR.get(number, number))][::-1])
    assert np.abs(atlas.maps.sum(axis=0, dtype=int) - 255).max() <= 3


def test_average_counts_each_map_the_same(small_grid: np.ndarray) -> None:
    """Where one map of four has another label, its probability is a quarter."""
    maps = []
    for number in (3, 3, 3, 2):
        labels = np.full(build.GRID_SHAPE, number, np.int16)
        labels[11:] = MIRROR[number]
        maps.append(nib.Nifti1Image(labels, small_grid))
    atlas = build._average(maps, [TemplateTransform(np.eye(4))] * 4, small_grid)
    assert atlas.maps[CLASSES.index(3), 3, 8, 9] == pytest.approx(0.75 * 255, abs=1)
    assert atlas.maps[CLASSES.index(2), 3, 8, 9] == pytest.approx(0.25 * 255, abs=1)


def test_maps_are_moved_by_their_transforms(small_grid: np.ndarray) -> None:
    """A map that lies 4 mm off is brought back by its affine."""
    labels = np.zeros(build.GRID_SHAPE, np.int16)
    labels[9:12, 6:9, 7:10] = BRAIN_STEM
    shifted = nib.Nifti1Image(labels, nib.affines.from_matvec(np.eye(3), [0, 4, 0]) @ small_grid)
    moved = build._average([shifted], [TemplateTransform(nib.affines.from_matvec(np.eye(3), [0, 4, 0]))], small_grid)
    still = build._average([nib.Nifti1Image(labels, small_grid)], [TemplateTransform(np.eye(4))], small_grid)
    assert np.array_equal(moved.maps, still.maps)


def test_below_the_maps_the_lowest_slice_goes_on(small_grid: np.ndarray) -> None:
    """Where no map reaches, the neck continues instead of ending in nothing."""
    labels = np.full((21, 16, 12), 507, np.int16)
    upper = nib.Nifti1Image(labels, nib.affines.from_matvec(np.eye(3), [0, 0, 6]) @ small_grid)
    atlas = build._average([upper], [TemplateTransform(np.eye(4))], small_grid)
    assert atlas.maps[CLASSES.index(507), 10, 8, 0] == 255


def test_command_leaves_maps_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Maps named by the end of their name are not used; the atlas is written where asked."""
    for number in ("01", "02", "10", "12"):
        (tmp_path / f"training_seg_{number}.nii.gz").touch()
    used: list[str] = []
    maps = np.zeros((len(CLASSES), 5, 4, 3), np.uint8)

    def fake(paths: Sequence[Path], **_: Any) -> HeadAtlas:
        used.extend(path.name for path in paths)
        return HeadAtlas(CLASSES, maps, np.eye(4))

    monkeypatch.setattr(build, "build", fake)
    target = tmp_path / "atlas.npz"
    monkeypatch.setattr("sys.argv", ["build", str(tmp_path), str(target), "--leave-out", "02", "12"])
    build.main()
    assert used == ["training_seg_01.nii.gz", "training_seg_10.nii.gz"]
    assert load_atlas(target).maps.shape == maps.shape
