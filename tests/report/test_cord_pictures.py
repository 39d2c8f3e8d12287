# SPDX-License-Identifier: Apache-2.0
"""The pictures of a cord show it where it is, turned as they say, with the outline and the levels of the tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_msvol.bids.load import SessionOutputs
from bids_msvol.report import cord_pictures
from bids_msvol.report.cord_pictures import CORD_COLOR, UNNAMED, CordPicture, choose_sections, draw_cord, find_gaps
from bids_msvol.report.slices import Volume
from tests.report.necks import LENGTH_MM, SHIFT_MM, WITHHELD_MM, make_cord, with_cords
from tests.report.people import make_participant
from tests.report.pixels import colors_of, read_tile

IN_VIEW = ("C1", "C2", "C3", "C4")


@pytest.fixture(scope="module")
def neck(tmp_path_factory: pytest.TempPathFactory) -> SessionOutputs:
    """A session with a cord on the T1w of the head."""
    root = tmp_path_factory.mktemp("derivatives")
    made = make_participant(root, sessions=(("01", 0.0, "pass"),), voxel_mm=10.0)
    return with_cords(made.sessions[0], [make_cord("head-T1w")])


@pytest.fixture
def session(tmp_path: Path) -> SessionOutputs:
    """A session without a cord, whose files a test may change."""
    return make_participant(tmp_path, sessions=(("01", 0.0, "pass"),), voxel_mm=10.0).sessions[0]


def _picture(session: SessionOutputs, source: str = "head-T1w") -> CordPicture:
    picture = draw_cord(session, source)
    assert picture is not None
    assert picture.problem == ""
    return picture


def test_line_runs_around_the_cord(neck: SessionOutputs) -> None:
    """What the line encloses is the bright cord and nothing else, along it and across it."""
    picture = _picture(neck)
    assert picture.straight is not None
    assert len(picture.sections) == len(IN_VIEW)
    for tile in (picture.straight, *picture.sections):
        assert colors_of(tile.outline) == {CORD_COLOR}
        line = read_tile(tile.outline)[..., 3] > 0
        grey = read_tile(tile.grey)[..., 0]
        assert grey.shape == line.shape == (tile.height, tile.width)
        columns = np.flatnonzero(line.any(axis=0))
        # A pixel beside the line, on either side, is cord or not; the grey values are interpolated and compressed.
        middle = grey[:, tile.width // 2][line.any(axis=1)]
        assert np.median(middle) > 180
        assert grey[:, : columns[0] - 4].max() < 120
        assert grey[:, columns[-1] + 5 :].max() < 120


def test_width_of_the_line_is_the_diameter(neck: SessionOutputs) -> None:
    """The outline across the cord is as wide and as deep as the table says, to the line's own width."""
    row = neck.cord.set_index("level").loc["C1"]
    tile = _picture(neck).sections[0]
    line = read_tile(tile.outline)[..., 3] > 0
    pixels = cord_pictures.SECTION_PIXELS_PER_MM
    for axis, column in ((0, "rl_diameter_mm"), (1, "ap_diameter_mm")):
        found = np.flatnonzero(line.any(axis=axis))
        assert (found[-1] - found[0] + 1) / pixels == pytest.approx(row[column], abs=0.6)


def test_pictures_are_turned_as_they_say(session: SessionOutputs) -> None:
    """Front is on the left along the cord and on top across it; the right of the person is on the left across it."""
    made = with_cords(session, [make_cord("head-T1w")])
    path = made.files.straight_cord("head-T1w")
    image = nib.load(path)
    data = np.asarray(image.dataobj).copy()
    data[28:37, 52:56] = 100.0  # in front
    data[44:50, 36:45] = 100.0  # on the right
    nib.save(nib.Nifti1Image(data, image.affine), path)
    picture = _picture(made)
    assert picture.straight is not None
    along = read_tile(picture.straight.grey)[..., 0].mean(axis=0)
    half = len(along) // 2
    assert along[: half - 40].max() > 150 > along[half + 40 :].max()
    across = read_tile(picture.sections[0].grey)[..., 0].astype(float)
    rows, columns = across.shape
    assert across[: rows // 4, columns // 2 - 8 : columns // 2 + 8].max() > 180
    assert across[-rows // 4 :].max() < 120
    assert across[rows // 2, : columns // 5].max() > 180
    assert across[rows // 2, -columns // 5 :].max() < 120


def test_withheld_stretch_is_marked(neck: SessionOutputs, session: SessionOutputs) -> None:
    """Where sections are withheld the outline is missing and a bar stands beside the picture; none if all count."""
    picture = _picture(neck)
    assert picture.straight is not None
    scale = cord_pictures.STRAIGHT_PIXELS_PER_MM
    (bar,) = picture.withheld
    # The upper edge of the picture is half a step above the first section.
    first, last = scale * WITHHELD_MM[0], scale * (WITHHELD_MM[1] + 1)
    assert (bar.y, bar.y + bar.height) == pytest.approx((first, last))
    line = read_tile(picture.straight.outline)[..., 3] > 0
    assert not line[round(first) + 3 : round(last) - 3].any()
    assert line[: round(first) - 3].any(axis=1).all()
    assert line[round(last) + 3 : -3].any(axis=1).all()
    assert _picture(with_cords(session, [make_cord("head-T1w", withheld_mm=(-2, -1))])).withheld == ()


def test_levels_stand_where_they_lie(neck: SessionOutputs) -> None:
    """The names and borders beside the straightened cord follow the table of sections."""
    picture = _picture(neck)
    scale = cord_pictures.STRAIGHT_PIXELS_PER_MM
    tops = {"C1": 25.0, "C2": 48.5, "C3": 64.0, "C4": 82.5}
    lowest = SHIFT_MM + LENGTH_MM - 1
    ends = dict(zip(tops, (*list(tops.values())[1:], lowest), strict=True))
    heights = {name: scale * (place - SHIFT_MM + 0.5) for name, place in tops.items()}
    assert picture.borders == pytest.approx([*heights.values(), scale * (lowest - SHIFT_MM + 0.5)], abs=0.1)
    assert [level.text for level in picture.levels] == list(IN_VIEW)
    middles = [scale * ((tops[name] + ends[name]) / 2 - SHIFT_MM + 0.5) for name in IN_VIEW]
    assert [level.at for level in picture.levels] == pytest.approx(middles, abs=0.1)


def test_section_of_a_level_is_one_that_counts() -> None:
    """Of each level the believed slice nearest to its middle is shown; without any, the middle itself."""
    shown = Volume(np.zeros((3, 3, 20)), nib.affines.from_matvec(np.eye(3), [0.0, 0.0, -19.0]), (1.0, 1.0, 1.0))
    believed = np.ones(20, bool)
    believed[12:17] = False  # downward positions 3 to 7
    assert choose_sections(shown, believed, {"C1": (0.0, 8.0)}) == (("C1", 17),)
    assert choose_sections(shown, believed, {"C1": (3.0, 7.0)}) == (("C1", 14),)


def test_section_without_believed_slice_says_so(session: SessionOutputs) -> None:
    """A level that is withheld as a whole is shown without a line and named so."""
    made = with_cords(session, [make_cord("head-T1w", withheld_mm=(27, 45))])
    tiles = _picture(made).sections
    assert [tile.place for tile in tiles] == ["C1", "C2, withheld", "C3", "C4"]
    assert [bool(colors_of(tile.outline)) for tile in tiles] == [True, False, True, True]


def test_cord_without_levels_is_shown_from_top_to_bottom(session: SessionOutputs) -> None:
    """Where nothing tells the levels, evenly spread sections are named by their distance from the upper end."""
    picture = _picture(with_cords(session, [make_cord("cord-T2w", named=False)]), "cord-T2w")
    assert picture.levels == picture.borders == ()
    assert len(picture.sections) == UNNAMED
    places = [float(tile.place.removesuffix(" mm")) for tile in picture.sections]
    assert places == sorted(places)
    assert np.ptp(places) > 0.7 * LENGTH_MM


def test_images_that_cannot_be_shown_are_named(session: SessionOutputs) -> None:
    """Images on different grids give the reason in place of pictures; without any there is nothing to show."""
    made = with_cords(session, [make_cord("head-T1w")])
    path = made.files.straight_cord_mask("head-T1w")
    image = nib.load(path)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[1:], image.affine), path)
    assert draw_cord(made, "head-T1w") == CordPicture(
        problem="The straightened cord and its outline do not lie on one grid."
    )
    path.unlink()
    assert draw_cord(made, "head-T1w") is None
    assert draw_cord(replace(made, cord_sections=None), "cord-T2w") is None


def test_gaps_are_the_stretches_that_do_not_count() -> None:
    """Gaps at both ends and in between are found with their first and last slice; none where all count."""
    assert find_gaps(np.array([False, True, False, False, True, False])) == ((0, 0), (2, 3), (5, 5))
    assert find_gaps(np.ones(4, bool)) == ()
