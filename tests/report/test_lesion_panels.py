# SPDX-License-Identifier: Apache-2.0
"""Both halves of a panel show one place, alike in brightness, and a line only where there is a lesion."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_msvol.bids.load import SessionOutputs
from bids_msvol.errors import DataError, NoInputError
from bids_msvol.report.lesion_images import LESION_COLOR
from bids_msvol.report.lesion_panels import (
    EXTENT_MM,
    PIXELS_PER_MM,
    Panel,
    draw_panels,
    find_crop,
    nearest_slice,
    split_numbers,
)
from bids_msvol.report.slices import Volume
from tests.report.patients import FIRST, SECOND, make_activity, with_lesions
from tests.report.people import make_session
from tests.report.pixels import colors_of, read_tile

PIXELS = round(EXTENT_MM * PIXELS_PER_MM)


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> tuple[SessionOutputs, SessionOutputs]:
    """Two sessions of one head: but for the lesions their images are the same."""
    root = tmp_path_factory.mktemp("derivatives")
    first, second = (make_session(root, label, day, "pass") for label, day in (("01", 0.0), ("02", 100.0)))
    return with_lesions(first, FIRST), with_lesions(second, SECOND, earlier=FIRST)


@pytest.fixture(scope="module")
def rows(sessions: tuple[SessionOutputs, SessionOutputs]) -> dict[str, pd.Series]:
    """Rows of the table of activity by the numbers of their lesions."""
    table = make_activity(sessions, (FIRST, SECOND))
    return {f"{row['index_from']}>{row['index_to']}": row for _, row in table.iterrows()}


def _draw(sessions: tuple[SessionOutputs, SessionOutputs], row: pd.Series) -> Panel:
    (panel,) = draw_panels(*sessions, [row])
    return panel


def test_new_lesion_has_a_line_after_only(
    sessions: tuple[SessionOutputs, SessionOutputs], rows: dict[str, pd.Series]
) -> None:
    """Before, there is nothing to draw a line around; after, the line lies in the middle, around what is bright."""
    panel = _draw(sessions, rows[">5"])
    assert (panel.height, panel.width) == (PIXELS, PIXELS)
    assert not read_tile(panel.before.contours)[..., 3].any()
    assert colors_of(panel.after.contours) == {LESION_COLOR}
    line = np.argwhere(read_tile(panel.after.contours)[..., 3] > 0)
    # A voxel of the test images is 4 mm wide.
    assert np.abs(line.mean(axis=0) - PIXELS / 2).max() <= 4 * PIXELS_PER_MM
    middle = (PIXELS // 2, PIXELS // 2, 0)
    assert int(read_tile(panel.after.grey)[middle]) > int(read_tile(panel.before.grey)[middle]) + 80


def test_grown_lesion_has_a_line_on_both(
    sessions: tuple[SessionOutputs, SessionOutputs], rows: dict[str, pd.Series]
) -> None:
    """The later line is longer."""
    panel = _draw(sessions, rows["1>1"])
    lengths = [np.count_nonzero(read_tile(half.contours)[..., 3]) for half in (panel.before, panel.after)]
    assert 0 < lengths[0] < lengths[1]


def test_place_and_brightness_are_the_same(
    sessions: tuple[SessionOutputs, SessionOutputs], rows: dict[str, pd.Series]
) -> None:
    """Away from the lesion nothing differs between the two pictures."""
    panel = _draw(sessions, rows[">5"])
    before, after = (read_tile(half.grey)[..., 0].astype(float) for half in (panel.before, panel.after))
    rim = np.ones(before.shape, bool)
    rim[32:-32, 32:-32] = False
    assert np.ptp(before[rim]) > 40  # there is something to see
    assert np.abs(before - after)[rim].max() <= 12  # the pictures are compressed


def test_words_say_what_is_seen(sessions: tuple[SessionOutputs, SessionOutputs], rows: dict[str, pd.Series]) -> None:
    """Title, volumes, region and place come from the tables."""
    new, grown = _draw(sessions, rows[">6"]), _draw(sessions, rows["1>1"])
    assert (new.title, new.confidence) == ("New lesion 6", "candidate")
    volumes = [f"{rows['1>1'][f'volume_{when}_mm3']:.0f}" for when in ("from", "to")]
    assert grown.title == "Enlarging lesion 1"
    assert grown.details.startswith(f"{volumes[0]} to {volumes[1]} mm³, periventricular, z\N{NO-BREAK SPACE}")
    assert new.details.startswith(f"{rows['>6']['volume_to_mm3']:.0f} mm³, infratentorial, ")
    assert "FLAIR of Session 01 and of Session 02" in new.description
    merged = rows["1>1"].copy()
    merged["status"], merged["index_from"] = "merged", "1,2"
    assert _draw(sessions, merged).title == "Lesions 1 and 2 merged and grown"


def test_slice_is_moved_to_the_lesion(
    sessions: tuple[SessionOutputs, SessionOutputs], rows: dict[str, pd.Series]
) -> None:
    """Where the centre of the change lies above the lesion, the nearest slice with some of it is shown."""
    off = rows[">5"].copy()
    off["z_mm"] += 14.0
    assert colors_of(_draw(sessions, off).after.contours) == {LESION_COLOR}


def test_image_that_is_missing_is_named(
    sessions: tuple[SessionOutputs, SessionOutputs], rows: dict[str, pd.Series], tmp_path: Path
) -> None:
    """Without the contrast that was compared, nothing else is shown in its place."""
    other = make_session(tmp_path, "02", 100.0, "pass")
    with pytest.raises(NoInputError, match="FLAIR of session 02"):
        draw_panels(sessions[0], with_lesions(other, SECOND, contrast="T2w", earlier=FIRST), [rows[">5"]])


def test_sessions_on_two_grids_are_refused(
    sessions: tuple[SessionOutputs, SessionOutputs], rows: dict[str, pd.Series], tmp_path: Path
) -> None:
    """The same voxel of two grids is not the same place."""
    other = make_session(tmp_path, "02", 100.0, "pass", voxel_mm=5.0)
    with pytest.raises(DataError, match="one grid"):
        draw_panels(sessions[0], with_lesions(other, SECOND, earlier=FIRST), [rows[">5"]])


def test_crop_keeps_its_size_at_the_edge() -> None:
    """The place lies in the middle, and near the border the picture moves inwards instead of becoming smaller."""
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = (-50, -50, -50)
    volume = Volume(np.zeros((50, 50, 50), np.float32), affine, (2.0, 2.0, 2.0))
    box, center = find_crop(volume, (0, 0, 0))
    assert center == (25, 25, 25)
    assert box == ((15, 35),) * 3
    box, center = find_crop(volume, (-50, 48, 300))
    assert center == (0, 49, 49)
    assert box == ((0, 20), (30, 50), (30, 50))
    small = replace(volume, data=np.zeros((10, 10, 10), np.float32))
    assert find_crop(small, (-40, -40, -40))[0] == ((0, 10),) * 3


def test_crop_follows_an_oblique_affine() -> None:
    """World coordinates are taken to voxels by the whole affine."""
    angle = np.radians(30)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    affine[:3, 3] = (-20, -60, -30)
    volume = Volume(np.zeros((100, 100, 100), np.float32), affine, (1.0, 1.0, 1.0))
    place = affine @ (40, 55, 61, 1)
    assert find_crop(volume, place[:3])[1] == (40, 55, 61)


def test_nearest_slice_holds_some_of_the_lesion() -> None:
    """The wanted slice if it has any, else the nearest; the wanted one of an empty image."""
    lesion = np.zeros((3, 3, 10), bool)
    lesion[1, 1, [2, 3, 8]] = True
    assert nearest_slice(lesion, 3) == 3
    assert nearest_slice(lesion, 5) == 3
    assert nearest_slice(lesion, 7) == 8
    assert nearest_slice(np.zeros_like(lesion), 4) == 4


@pytest.mark.parametrize(("text", "numbers"), [("3,12", (3, 12)), ("7", (7,)), ("", ()), ("x,4", (4,))])
def test_numbers_are_read_from_the_table(text: str, numbers: tuple[int, ...]) -> None:
    """Several numbers, one, none, and what is no number."""
    assert split_numbers(text) == numbers
