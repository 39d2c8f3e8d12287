# SPDX-License-Identifier: Apache-2.0
"""Tiles show the voxels that were measured, in the colours of the label table."""

from __future__ import annotations

import numpy as np
import pytest

from bids_msvol.report.tiles import (
    MASK_COLOR,
    find_edges,
    make_contour_tile,
    make_grey_tile,
    make_label_tile,
    make_outline_tile,
)
from tests.report.pixels import read_tile


def test_grey_tile_keeps_size_and_window() -> None:
    """Black and white are the ends of the window, and the size is the one asked for."""
    values = np.repeat([[0.0, 0.0, 50.0, 50.0, 50.0, 50.0, 200.0, 200.0]], 4, axis=0)
    pixels = read_tile(make_grey_tile(values, (40, 80), (0.0, 100.0)))
    assert pixels.shape == (40, 80, 4)
    assert pixels[20, 2, 0] < 10
    assert int(pixels[20, 40, 0]) == pytest.approx(127, abs=8)
    assert pixels[20, 77, 0] > 245


def test_label_tile_shows_colours_and_leaves_the_rest_clear() -> None:
    """Inside a structure its colour is translucent, its rim opaque; unknown labels and background are clear."""
    labels = np.zeros((30, 30), np.int32)
    labels[5:15, 5:15] = 10  # thalamus
    labels[20:28, 20:28] = 999  # not a measured structure
    pixels = read_tile(make_label_tile(labels, (30, 30), fill_alpha=90))
    assert tuple(pixels[10, 10]) == (0x1F, 0x8A, 0x4C, 90)
    assert tuple(pixels[5, 10]) == (0x1F, 0x8A, 0x4C, 255)
    assert pixels[0, 0, 3] == 0
    assert not pixels[18:, 18:, 3].any()


def test_white_matter_has_an_outline_only() -> None:
    """White matter is not covered, so that its border with the cortex can be judged."""
    labels = np.zeros((20, 20), np.int32)
    labels[5:15, 5:15] = 2
    alpha = read_tile(make_label_tile(labels, (20, 20)))[..., 3]
    assert alpha[10, 10] == 0
    assert alpha[5, 10] == 255


def test_outline_follows_the_mask_when_enlarged() -> None:
    """A mask enlarged three times keeps its border at the border of its voxels."""
    mask = np.zeros((10, 10), np.uint8)
    mask[2:8, 2:8] = 1
    pixels = read_tile(make_outline_tile(mask, (30, 30)))
    rows, columns = np.nonzero(pixels[..., 3])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (6, 23, 6, 23)
    assert not pixels[9:21, 9:21, 3].any()
    assert "#" + "".join(f"{value:02x}" for value in pixels[6, 6, :3]) == MASK_COLOR


def test_contour_leaves_a_single_voxel_visible() -> None:
    """The line runs around a lesion, not in it, in the colour of its layer; the later layer lies on top."""
    first, second = np.zeros((10, 10), np.uint8), np.zeros((10, 10), np.uint8)
    first[4, 4] = 1
    second[4, 5] = 7
    pixels = read_tile(make_contour_tile([(first, "#00d5ff"), (second, "#ffd400")], (30, 30), width=2))
    assert not pixels[12:15, 12, 3].any()
    assert tuple(pixels[11, 13]) == (0x00, 0xD5, 0xFF, 255)
    assert tuple(pixels[10, 13]) == (0x00, 0xD5, 0xFF, 255)
    assert pixels[9, 13, 3] == 0
    assert tuple(pixels[13, 14]) == (0xFF, 0xD4, 0x00, 255)
    assert not pixels[20:, :, 3].any()


def test_edges_lie_on_both_sides_of_a_border_and_at_the_picture_edge() -> None:
    """Two structures that touch each have a rim, background has none, and width counts inwards."""
    labels = np.array([[1, 1, 1, 2, 2, 2, 0, 0]] * 8)
    edges = find_edges(labels)
    assert edges[4].tolist() == [True, False, True, True, False, True, False, False]
    wide = find_edges(np.ones((9, 9), int), width=2)
    assert not wide[2:7, 2:7].any()
    assert wide.sum() == 81 - 25
