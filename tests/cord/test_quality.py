# SPDX-License-Identifier: Apache-2.0
"""Which sections are believed, and what the metrics say."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from bids_msvol.cord.centerline import cut_sections
from bids_msvol.cord.outline import ANGLES
from bids_msvol.cord.quality import judge_cord, longest_run, taper_pct, trust_sections

COUNT = 80


def trusted(csa: np.ndarray, contrast: np.ndarray | None = None, cord: np.ndarray | None = None) -> np.ndarray:
    """Judge sections of an upright cord in the middle of a large image."""
    line = np.stack([np.full(COUNT, 25.0), np.full(COUNT, 25.0), np.arange(float(COUNT))], axis=1)
    image = nib.Nifti1Image(np.zeros((50, 50, COUNT), dtype=np.float32), np.eye(4))
    contrast = np.full(COUNT, 100.0) if contrast is None else contrast
    cord = np.ones(COUNT, dtype=bool) if cord is None else cord
    radii = np.full((COUNT, ANGLES), 5.0)
    return trust_sections(cut_sections(line, np.eye(4)), radii, csa, contrast, np.full(COUNT, 10.0), image, 5.0, cord)[
        1
    ]


def test_the_ends_of_the_image_do_not_count() -> None:
    """5 mm at either end are left out, everything between counts."""
    kept = trusted(np.full(COUNT, 75.0))
    assert not kept[:5].any()
    assert not kept[-5:].any()
    assert kept[5:-5].all()


def test_a_steady_taper_is_no_jump() -> None:
    """A cord that tapers from 110 to 65 mm2 over 20 mm, as below the medulla, is believed throughout."""
    csa = np.interp(np.arange(COUNT), [0, 55, 75, 80], [65.0, 65.0, 110.0, 120.0])
    assert trusted(csa)[5:-5].all()


@pytest.mark.parametrize("size", [1, 4])
def test_a_leak_is_a_jump(size: int) -> None:
    """One section or four that are 40 % larger are left out, and only these."""
    csa = np.full(COUNT, 75.0)
    csa[40 : 40 + size] = 105.0
    kept = trusted(csa)
    assert not kept[40 : 40 + size].any()
    assert kept[10:39].all()
    assert kept[41 + size : 70].all()


def test_sections_without_contrast_do_not_count() -> None:
    """Where cord and fluid are alike, the edge is that of something else."""
    contrast = np.full(COUNT, 100.0)
    contrast[30:35] = 20.0
    kept = trusted(np.full(COUNT, 75.0), contrast)
    assert not kept[30:35].any()
    assert kept[35:70].all()


def test_the_medulla_does_not_set_the_trend() -> None:
    """Sections that are not of the cord are left out, however large, and their neighbours are believed."""
    csa = np.full(COUNT, 75.0)
    csa[60:] = 200.0
    kept = trusted(csa, cord=np.arange(COUNT) < 60)
    assert kept[10:60].all()
    assert not kept[60:].any()


def test_the_longest_run_is_kept() -> None:
    """Short gaps are bridged, and what lies beyond a long one goes."""
    believed = np.zeros(50, dtype=bool)
    believed[5:12] = believed[20:30] = believed[32:45] = True
    kept = longest_run(believed, 1.0)
    assert not kept[:20].any()
    np.testing.assert_array_equal(kept[20:], believed[20:])


def test_taper_is_told_where_it_can_be() -> None:
    """A third less at the lower end is a third; nothing is said where the lower end is not in view."""
    table = np.arange(25.0, 95.0)
    csa = np.interp(table, [50.0, 80.0], [75.0, 50.0])
    assert taper_pct(csa, table, np.ones(len(table), dtype=bool)) == pytest.approx(100.0 / 3.0, abs=1.0)
    assert taper_pct(csa, table, table < 45) is None
    assert judge_cord({"cord_taper_pct": 33.0})[0].verdict == "warn"
    assert judge_cord({"cord_taper_pct": 5.0})[0].verdict == "pass"
