# SPDX-License-Identifier: Apache-2.0
"""Planted change is what was asked for, measured by counting."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from bids_msvol.atlas.labels import INTRACRANIAL
from bids_msvol.demo.atrophy import plan_atrophy
from bids_msvol.demo.volumes import voxel_volumes
from bids_msvol.imaging.registration import sample_field
from tests.demo.heads import ball_head

RATES = {(4, 43): 0.08, (10, 49): -0.03, (3, 42): -0.02}


@pytest.fixture(scope="module")
def head() -> nib.Nifti1Image:
    return ball_head()


@pytest.fixture(scope="module")
def field(head: nib.Nifti1Image) -> nib.Nifti1Image:
    return plan_atrophy(head, RATES)


def _counted(labels: nib.Nifti1Image, field: nib.Nifti1Image, members: tuple[int, ...], step_mm: float) -> float:
    """Volume of some classes after the change, by looking up the anatomy on a fine grid."""
    axes = [np.arange(-66.0, 66.0, step_mm, dtype=np.float32) + 0.13] * 3
    data = np.asarray(labels.dataobj)
    count = 0
    for x in axes[0]:
        points = np.stack(np.meshgrid(x, axes[1], axes[2], indexing="ij"), axis=-1).reshape(-1, 3)
        before = points + sample_field(field, points)
        voxels = np.round(nib.affines.apply_affine(np.linalg.inv(labels.affine), before)).astype(int)
        count += int(np.isin(data[tuple(voxels.T)], members).sum())
    return count * step_mm**3


def test_planned_change_is_reached_and_counted(head: nib.Nifti1Image, field: nib.Nifti1Image) -> None:
    """Ventricles, thalami and cortex change by the shares asked for, by corner tracing and by counting alike."""
    data = np.asarray(head.dataobj)
    after = voxel_volumes(head, field)
    for members, rate in RATES.items():
        inside = np.isin(data, members)
        traced = after[inside].sum(dtype=np.float64) / (8.0 * inside.sum()) - 1.0
        assert traced == pytest.approx(rate, rel=0.03)
    still = nib.Nifti1Image(np.zeros_like(np.asarray(field.dataobj)), field.affine)
    counted = _counted(head, field, (4, 43), 1.1) / _counted(head, still, (4, 43), 1.1) - 1.0
    assert counted == pytest.approx(0.08, abs=0.012)


def test_skull_stays(head: nib.Nifti1Image, field: nib.Nifti1Image) -> None:
    """The intracranial volume does not change."""
    inside = np.isin(np.asarray(head.dataobj), INTRACRANIAL)
    after = voxel_volumes(head, field)[inside].sum(dtype=np.float64)
    assert after == pytest.approx(8.0 * inside.sum(), rel=2e-4)


def test_absent_structures_are_passed_over() -> None:
    """A rate for a class that the anatomy has not is no error and changes nothing else."""
    labels = ball_head(4.0)
    with_absent = plan_atrophy(labels, {**RATES, (14,): 0.05})
    assert np.allclose(np.asarray(with_absent.dataobj), np.asarray(plan_atrophy(labels, RATES).dataobj))


def test_voxel_volumes_of_a_uniform_growth() -> None:
    """Growing everything by 10 % along each axis makes every voxel 1.331 times as large."""
    labels = ball_head(4.0)
    points = nib.affines.apply_affine(labels.affine, np.moveaxis(np.indices(labels.shape), 0, -1))
    to_atlas = nib.Nifti1Image((points / 1.1 - points).astype(np.float32), labels.affine)
    to_person = nib.Nifti1Image((0.1 * points).astype(np.float32), labels.affine)
    inside = np.isin(np.asarray(labels.dataobj), INTRACRANIAL)
    volumes = voxel_volumes(labels, to_atlas, to_person)
    assert volumes[inside] == pytest.approx(64.0 * 1.331, rel=1e-3)
    assert not volumes[~inside].any()
