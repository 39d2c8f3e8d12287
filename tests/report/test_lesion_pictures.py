# SPDX-License-Identifier: Apache-2.0
"""The slices of a session show its lesions where they are, on the image that shows them best."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_msvol.bids.load import ParticipantOutputs, SessionOutputs
from bids_msvol.report.lesion_images import ENHANCING_COLOR, LESION_COLOR, WINDOWS, load_lesion_images
from bids_msvol.report.lesion_pictures import TILES, choose_slices, draw_lesions, measure_burden
from bids_msvol.report.wording import MINUS
from tests.report.patients import FIRST, make_patient, with_lesions
from tests.report.people import make_session
from tests.report.pixels import colors_of, read_tile


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> ParticipantOutputs:
    """Two sessions with FLAIR, the second with one enhancing lesion."""
    return make_patient(tmp_path_factory.mktemp("derivatives"))


@pytest.fixture
def session(tmp_path: Path) -> SessionOutputs:
    """A session whose images a test may change."""
    return make_session(tmp_path, "01", 0.0, "pass")


def test_slices_are_the_fullest_of_their_part() -> None:
    """Each third of the slices with lesions gives its fullest one, in order; slices without lesions are never shown."""
    burden = np.array([0, 1, 9, 1, 1, 8, 1, 1, 7, 1, 0, 0])
    assert choose_slices(burden, 3) == (2, 5, 8)
    assert choose_slices(burden, 99) == tuple(range(1, 10))
    assert choose_slices(np.zeros(12, int), 3) == ()


def test_neighbours_are_not_both_shown() -> None:
    """One large lesion at the border of two parts does not fill both with the same sight."""
    burden = np.array([1, 1, 1, 1, 1, 9, 8, 1, 1, 1, 1, 3])
    assert choose_slices(burden, 2) == (5, 11)


def test_enhancement_comes_before_any_burden() -> None:
    """A slice with a single enhancing voxel goes before one full of lesions."""
    lesions = np.zeros((4, 4, 3), np.int32)
    lesions[..., 0] = 1
    enhancement = np.zeros((4, 4, 3), np.int32)
    enhancement[1, 1, 2] = 5
    assert measure_burden(lesions, enhancement).tolist() == [16, 0, 17]


def test_every_tile_holds_a_lesion_and_the_count_is_told(patient: ParticipantOutputs) -> None:
    """All tiles have a line in the colour of lesions, from top to bottom; the number of slices is the image's."""
    session = patient.sessions[0]
    picture = draw_lesions(session)
    numbers = np.asarray(nib.load(session.files.lesions).dataobj)
    assert picture.contrast == "FLAIR"
    assert picture.slices == np.count_nonzero(numbers.any(axis=(0, 1)))
    assert len(picture.tiles) == min(TILES, picture.slices)
    assert all(colors_of(tile.contours) == {LESION_COLOR} for tile in picture.tiles)
    heights = [float(tile.place.removeprefix("z ").replace(MINUS, "-")) for tile in picture.tiles]
    assert heights == sorted(heights, reverse=True)


def test_line_lies_around_the_lesion(patient: ParticipantOutputs) -> None:
    """What a line encloses is bright, what lies outside of it is not: the lesion lies where it is drawn."""
    for tile in draw_lesions(patient.sessions[0]).tiles:
        line = read_tile(tile.contours)[..., 3] > 0
        grey = read_tile(tile.grey)[..., 0].astype(float)
        rows, columns = np.nonzero(line)
        middle = grey[line.any(axis=1)][:, line.any(axis=0)]
        assert middle.max() > 200
        grey[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = 0
        assert grey.max() < 200


def test_enhancing_lesion_has_its_own_colour(patient: ParticipantOutputs) -> None:
    """Only the session with contrast agent, and only slices with enhancement, have the second colour."""
    tiles = draw_lesions(patient.sessions[1]).tiles
    found = [ENHANCING_COLOR in colors_of(tile.contours) for tile in tiles]
    assert any(found)
    assert not all(found)


def test_mask_that_was_given_is_drawn_on_t1w_without_flair(session: SessionOutputs) -> None:
    """Where no image shows lesions, the T1w is shown; a T2w is shown where it is the only one."""
    given = with_lesions(session, FIRST, contrast=None, given="sub-P1/mask.nii.gz")
    picture = draw_lesions(given)
    assert picture.contrast == "T1w"
    assert len(picture.tiles) > 0
    assert draw_lesions(with_lesions(session, FIRST, contrast="T2w")).contrast == "T2w"
    # With both, a mask that was given is shown on the better one.
    both = with_lesions(session, FIRST, contrast="FLAIR", given="sub-P1/mask.nii.gz")
    assert draw_lesions(both).contrast == "FLAIR"


def test_brightness_does_not_depend_on_the_lesions(patient: ParticipantOutputs) -> None:
    """All sessions share one window, so that their pictures can be compared."""
    windows = {load_lesion_images(session).window for session in patient.sessions}
    assert windows == {WINDOWS["FLAIR"]}


def test_images_that_cannot_be_shown_are_named(session: SessionOutputs) -> None:
    """A file that is gone, another grid, or an empty image: the reason stands in place of the picture."""
    made = with_lesions(session, FIRST)
    image = nib.load(made.files.lesions)
    data = np.asarray(image.dataobj).copy()
    nib.save(nib.Nifti1Image(data[1:], image.affine), made.files.lesions)
    assert "do not lie on one grid" in draw_lesions(made).problem
    shifted = image.affine.copy()
    shifted[0, 3] += 4.0
    nib.save(nib.Nifti1Image(data, shifted), made.files.lesions)
    assert "do not lie on one grid" in draw_lesions(made).problem
    nib.save(nib.Nifti1Image(np.zeros_like(data), image.affine), made.files.lesions)
    assert "none in the image" in draw_lesions(made).problem
    made.files.lesions.unlink()
    assert made.files.lesions.name in draw_lesions(made).problem


def test_session_without_a_brain_is_drawn_all_the_same(session: SessionOutputs) -> None:
    """Lesions of a session whose structures failed can still be judged."""
    made = with_lesions(session, FIRST)
    mask = nib.load(made.files.brain_mask)
    nib.save(nib.Nifti1Image(np.zeros(mask.shape, np.uint8), mask.affine), made.files.brain_mask)
    picture = draw_lesions(replace(made))
    assert picture.problem == ""
    assert all(LESION_COLOR in colors_of(tile.contours) for tile in picture.tiles)
