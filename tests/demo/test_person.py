# SPDX-License-Identifier: Apache-2.0
"""A person has the head size asked for, and changes between visits only by the disease."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from bids_msvol.demo.person import Person, make_person, make_visit, random_pose
from bids_msvol.imaging.deformation import jacobian_determinant
from tests.demo.heads import made_up_atlas

ETIV_MM3 = 1.3e6


@pytest.fixture(scope="module")
def healthy() -> Person:
    return make_person(made_up_atlas(), np.random.default_rng(1), etiv_mm3=ETIV_MM3, with_lesions=False)


def test_head_size_is_met(healthy: Person) -> None:
    """The intracranial volume is the one asked for, and the sum of its structures."""
    visit = make_visit(healthy, np.random.default_rng(2), years=0.0)
    assert visit.etiv_mm3 == pytest.approx(ETIV_MM3, rel=1e-4)
    assert sum(visit.volumes_mm3.values()) == pytest.approx(visit.etiv_mm3, rel=1e-6)


def test_healthy_people_do_not_change(healthy: Person) -> None:
    """Another visit differs in pose alone."""
    first = make_visit(healthy, np.random.default_rng(3), years=0.0)
    later = make_visit(healthy, np.random.default_rng(4), years=2.0)
    assert later.volumes_mm3 == first.volumes_mm3
    assert later.lesion_volumes_mm3 == {}
    assert not np.allclose(first.to_head.affine, later.to_head.affine)


def test_shape_is_smooth_and_invertible(healthy: Person) -> None:
    """The person's own shape folds nowhere, and the two displacements undo one another."""
    assert jacobian_determinant(healthy.to_atlas).min() > 0.3
    visit = make_visit(healthy, np.random.default_rng(5), years=0.0)
    points = np.random.default_rng(6).uniform(-50.0, 50.0, (500, 3)).astype(np.float32)
    returned = visit.to_head.subject_to_template(visit.to_head.template_to_subject(points))
    assert np.abs(returned - points).max() < 0.3


def test_pose_is_rigid() -> None:
    """A pose turns and shifts without changing sizes."""
    pose = random_pose(np.random.default_rng(7))
    assert pose[:3, :3] @ pose[:3, :3].T == pytest.approx(np.eye(3), abs=1e-9)
    assert np.linalg.det(pose) == pytest.approx(1.0)
    assert nib.affines.voxel_sizes(pose) == pytest.approx(1.0)
