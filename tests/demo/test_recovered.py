# SPDX-License-Identifier: Apache-2.0
"""Known truth beside recovered values, on numbers that can be worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from bids_msvol.bids.atomic import clean_image, write_image, write_text
from bids_msvol.bids.load import load_participant
from bids_msvol.bids.names import derivative_path, report_path
from bids_msvol.bids.outputs import OutputDataset, write_changes, write_session
from bids_msvol.bids.tables import VOLUMES
from bids_msvol.bids.tabular import write_table
from bids_msvol.demo.activity_recovery import ActivityRecovery, compare_activity
from bids_msvol.demo.known import load_known
from bids_msvol.demo.lesion_recovery import find_contacts
from bids_msvol.demo.recovered import count_by_region, count_by_size, main, render_page
from bids_msvol.demo.recovery import PersonRecovery, compare_people, compare_person
from bids_msvol.demo.recovery_text import OPTIMISM, describe_people
from bids_msvol.demo.truth import FOLDER, LESIONS
from bids_msvol.errors import DataError, ExitCode, NoInputError
from bids_msvol.imaging.change import Change
from bids_msvol.structures import STRUCTURES, SUMS
from tests.bids.measured import activity, measurement, pair, with_lesions
from tests.bids.skeleton import make_config, make_dataset
from tests.report.test_document import _Page

TO_SCAN = np.array([[0.0, -1.0, 0.0, 200.0], [1.0, 0.0, 0.0, 10.0], [0.0, 0.0, 1.0, -5.0], [0.0, 0.0, 0.0, 1.0]])
"""A quarter turn and a shift: voxel (20, 23, 20) of the results, at (80, 92, 80) mm, is at (108, 90, 75) mm in the
scan."""

SCAN_AFFINE = np.array([[2.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 2.0, -5.0], [0.0, 0.0, 0.0, 1.0]])
"""Voxels of 2 mm, 8 mm3; those of the results have 4 mm, and each 64 mm3."""

SCAN_SHAPE = (80, 80, 60)


@dataclass(frozen=True)
class Planted:
    """A planted lesion: the voxels of the scan that show it, and what the table says of it."""

    voxels: tuple[tuple[int, int, int], ...]
    status: str = "stable"
    region: str = "deep"


OLD: Mapping[int, Planted] = {
    # One voxel of four lies in found lesion 1.
    1: Planted(((54, 45, 40), (54, 45, 42), (54, 45, 44), (54, 45, 46)), "first", "periventricular"),
    2: Planted(((10, 10, 10), (10, 10, 11), (10, 10, 12)), "first"),
    # Too small to count, but found lesion 2 is there.
    3: Planted(((48, 45, 40),), "first"),
    # Both lie in found lesion 5.
    4: Planted(((30, 45, 40), (30, 47, 40)), "first"),
    6: Planted(((30, 51, 40), (30, 53, 40)), "first"),
}

LATER: Mapping[int, Planted] = {
    **{number: replace(lesion, status="stable") for number, lesion in OLD.items()},
    1: replace(OLD[1], status="enlarging", voxels=(*OLD[1].voxels, (54, 45, 48))),
    # In found lesion 4, and nowhere.
    7: Planted(((36, 45, 40), (36, 47, 40)), "new"),
    8: Planted(((12, 12, 12), (12, 12, 13)), "new", "juxtacortical"),
}


def write_truth(
    dataset: Path, person: str, session: str, lesions: Mapping[int, Planted], *, factor: float = 1.0
) -> None:
    """Write the truth of a session: each structure has 125 times its number in mm3, times a factor."""
    truth = dataset / FOLDER
    volumes = {item.index: 125.0 * factor * item.index for item in STRUCTURES}
    rows: list[Mapping[str, object]] = [
        {"index": item.index, "name": item.name, "volume_mm3": volumes[item.index]} for item in STRUCTURES
    ]
    rows += [{"name": item.name, "volume_mm3": sum(volumes[index] for index in item.members)} for item in SUMS]
    rows.append({"name": "eTIV", "volume_mm3": 1_600_000.0})
    write_table(derivative_path(truth, person, session, "morph", ".tsv", seg="structures"), VOLUMES, rows)
    write_image(
        derivative_path(truth, person, session, "dseg", ".nii.gz", seg="lesions"),
        clean_image(true_numbers(lesions), SCAN_AFFINE),
    )
    table = (
        {
            "index": number,
            "name": f"lesion-{number:02d}",
            "region": lesion.region,
            "status": lesion.status,
            "volume_mm3": 8.0 * len(lesion.voxels),
            "n_voxels": len(lesion.voxels),
        }
        for number, lesion in lesions.items()
    )
    write_table(derivative_path(truth, person, session, "dseg", ".tsv", seg="lesions"), LESIONS, table)


def true_numbers(lesions: Mapping[int, Planted]) -> NDArray[np.int16]:
    """Return the planted lesions by number."""
    numbers = np.zeros(SCAN_SHAPE, np.int16)
    for number, lesion in lesions.items():
        for voxel in lesion.voxels:
            numbers[voxel] = number
    return numbers


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a dataset and its results.

    Person 01 has two sessions with lesions, person 02 no results, and person 03 one session without FLAIR.
    """
    root = tmp_path_factory.mktemp("study")
    dataset = make_dataset(root / "raw", {})
    config = make_config(root)
    OutputDataset.create(config)
    write_truth(dataset, "01", "1", OLD)
    write_truth(dataset, "01", "2", LATER, factor=1.1)
    write_truth(dataset, "02", "1", {})
    write_truth(dataset, "03", "1", OLD)
    visits = []
    for label, days, found in (("1", 0.0, (1, 2, 3, 5)), ("2", 365.25, (1, 2, 3, 4, 5, 6))):
        made = with_lesions(measurement(dataset, session=label, to_scan=TO_SCAN), *found)
        # One half of the cerebellum could not be measured.
        volumes = {**made.volumes_mm3, 7: None}
        visits.append(replace(made, session=replace(made.session, days=days), volumes_mm3=volumes))
    between = pair(
        visits[0].session,
        visits[1].session,
        days=365.25,
        changes=(
            Change(10, "Left-Thalamus", "segmentation", -30.0, -3.0),
            Change(49, "Right-Thalamus", "segmentation", -29.0, -0.5918),
            Change(10, "Left-Thalamus", "jacobian", -30.0, -3.0),
            Change(49, "Right-Thalamus", "jacobian", None, None),
            Change(None, "DeepGray", "jacobian", 420.0, 1.0),
        ),
        activity=activity(
            ("enlarging", "candidate", (1,), (1,)),
            ("new", "high", (), (4,)),
            ("new", "candidate", (), (6,)),
            ("merged", "high", (5,), (5,)),
            ("stable", "high", (2,), (2,)),
        ),
    )
    write_session(visits[0], config)
    write_session(visits[1], config, between)
    write_changes([between], config)
    write_session(measurement(dataset, "03", "1", no_lesions="there is no FLAIR"), config)
    write_text(report_path(config.output_dir, "01"), "a report")
    return root


@pytest.fixture(scope="module")
def people(study: Path) -> tuple[PersonRecovery, ...]:
    """Return the comparison of the study."""
    return compare_people(study / "raw", output_dir(study))


def output_dir(study: Path) -> Path:
    """Return where the results of the study are."""
    return make_config(study).output_dir


def test_volumes(people: tuple[PersonRecovery, ...]) -> None:
    """Sides are added, the difference is in per cent of the truth, and a volume that lacks a part is missing."""
    volumes = dict(people[0].volumes)
    assert [*volumes][:2] == ["WholeBrain", "TotalGray"]
    assert [*volumes][-1] == "eTIV"
    first, second = volumes["Thalamus"]
    assert (first.true_mm3, first.found_mm3) == (125.0 * 59, 100.0 * 59)
    assert first.difference_pct == pytest.approx(-20.0)
    assert second.difference_pct == pytest.approx(100.0 * (100.0 / 137.5 - 1.0))
    assert volumes["eTIV"][0].difference_pct == pytest.approx(-6.25)
    assert (volumes["Cerebellum"][0].found_mm3, volumes["Cerebellum"][0].difference_pct) == (None, None)
    assert volumes["Cerebellum"][0].true_mm3 == 125.0 * (7 + 8 + 46 + 47)


def test_change(people: tuple[PersonRecovery, ...]) -> None:
    """True change is that of the true volumes; found change is missing where a side or a method is."""
    (between,) = people[0].pairs
    assert (between.before, between.after, between.days) == ("1", "2", 365.25)
    changes = {change.name: change for change in between.changes}
    assert changes["Thalamus"].true_pct == pytest.approx(10.0)
    assert changes["Thalamus"].found_pct == (pytest.approx(-100.0 * 59 / 5900), None, None)
    deep_gray_mm3 = 100.0 * (10 + 11 + 12 + 13 + 17 + 18 + 26 + 49 + 50 + 51 + 52 + 53 + 54 + 58)
    assert changes["DeepGray"].found_pct == (None, pytest.approx(42_000.0 / deep_gray_mm3), None)
    # The volume to which the change would be related is missing.
    assert changes["WholeBrain"].found_pct == (None, None, None)


def test_lesions_in_a_moved_space(people: tuple[PersonRecovery, ...]) -> None:
    """Planted lesions are looked up through the stored movement: found, missed, too small, sharing a found one."""
    first = people[0].lesions[0]
    assert (first.true_count, first.true_mm3) == (5, 8.0 * 12)
    assert (first.found_count, first.found_mm3) == (4, 64.0 * 11)
    assert first.difference_pct == pytest.approx(100.0 * (704.0 / 96.0 - 1.0))
    results = {match.known.number: (match.found, match.found_mm3, match.covered_pct) for match in first.matches}
    assert results == {
        1: ((1,), 64.0, 25.0),
        2: ((), None, 0.0),
        3: ((2,), 128.0, 100.0),
        4: ((5,), 320.0, 100.0),
        6: ((5,), 320.0, 100.0),
    }
    assert [match.known.number for match in first.asked] == [1, 2, 4, 6]
    assert [match.shared_with for match in first.matches] == [(), (), (), (6,), (4,)]
    assert (first.n_found, first.n_missed, first.n_small, first.n_false) == (3, 1, 1, 1)


def test_false_lesion(people: tuple[PersonRecovery, ...]) -> None:
    """The found lesion that meets no planted one is false; one that meets a small one is not."""
    (false,) = people[0].lesions[0].false or ()
    assert (false.number, false.region, false.volume_mm3) == (3, "deep_white_matter", 192.0)
    assert false.center_mm == (1.0, -2.0, 9.0)


def test_without_a_movement_both_worlds_are_the_same(tmp_path: Path) -> None:
    """A person with one session has no movement stored: the images are compared as they lie."""
    dataset = make_dataset(tmp_path / "raw", {})
    # Voxel (20, 23, 20) of the results lies at (80, 92, 80) mm, which this voxel of the scan's grid is nearest to.
    write_truth(dataset, "01", "1", {1: Planted(((40, 46, 42), (40, 46, 43)), "first"), 2: OLD[1]})
    write_session(with_lesions(measurement(dataset, session="1"), 1), make_config(tmp_path))
    (person,) = compare_people(dataset, make_config(tmp_path).output_dir)
    assert [match.found for match in person.lesions[0].matches] == [(1,), ()]
    assert person.pairs == ()


def test_contact_is_seen_from_either_grid() -> None:
    """A found lesion smaller than the voxels of the truth meets a planted one although it misses their centres."""
    true = np.zeros((5, 5, 5), np.int16)
    true[2, 2, 2] = 7
    found = np.zeros((20, 20, 20), np.int16)
    found[9, 9, 9] = 3
    contacts = find_contacts(
        nib.Nifti1Image(true, np.diag([4.0, 4.0, 4.0, 1.0])), nib.Nifti1Image(found, np.eye(4)), np.eye(4)
    )
    assert contacts.found_by_true == {7: frozenset({3})}
    assert contacts.covered == {7: 0.0}
    assert contacts.true_near((8.0, 8.0, 10.0), 3.0) == {7}
    assert contacts.true_near((8.0, 8.0, 12.0), 3.0) == set()


def test_activity(people: tuple[PersonRecovery, ...]) -> None:
    """Planted new and enlarging lesions are matched with reports; growth while merging counts as enlarging."""
    between = people[0].pairs[0].activity
    assert {change.match.known.number: change.kind for change in between.planted} == {
        1: "enlarging",
        7: "new",
        8: "new",
    }
    assert {change.match.known.number: change.before_mm3 for change in between.planted} == {1: 32.0, 7: 0.0, 8: 0.0}
    assert (between.n_planted("new"), between.n_planted("enlarging")) == (2, 1)
    assert (between.n_reported("new", "high"), between.n_reported("new", "candidate")) == (1, 1)
    assert (between.n_recovered("new", "high"), between.n_recovered("new", "candidate")) == (1, 0)
    assert (between.n_recovered("enlarging", "high"), between.n_recovered("enlarging", "candidate")) == (0, 1)
    assert (between.n_missed("new"), between.n_missed("enlarging")) == (1, 0)
    assert (between.n_false("new", "high"), between.n_false("new", "candidate")) == (0, 1)
    # Found lesion 5 is reported to have grown, and what was planted there did not.
    assert (between.n_false("enlarging", "high"), between.n_false("enlarging", "candidate")) == (1, 0)
    assert {report.true for report in between.false or ()} == {frozenset(), frozenset({4, 6})}
    assert (between.n_renamed("new"), between.n_renamed("enlarging")) == (0, 0)


def compare_again(study: Path, people: tuple[PersonRecovery, ...], **cells: object) -> ActivityRecovery:
    """Compare the activity of person 01 again, with the row of new lesion 4 changed."""
    outputs = load_participant(output_dir(study), "01")
    assert outputs.activity is not None
    table = outputs.activity.copy()
    for name, value in cells.items():
        table.loc[table["index_to"] == "4", name] = value
    before, after = people[0].lesions
    return compare_activity(before, after, replace(outputs, activity=table))


def test_activity_under_the_other_name(study: Path, people: tuple[PersonRecovery, ...]) -> None:
    """A new lesion reported as enlarging is neither missed nor recovered as new, and its report is not false."""
    between = compare_again(study, people, status="enlarging")
    assert (between.n_recovered("new", "high"), between.n_renamed("new"), between.n_missed("new")) == (0, 1, 1)
    assert (between.n_false("new", "high"), between.n_false("enlarging", "high")) == (0, 1)


def test_report_that_names_no_lesion(study: Path, people: tuple[PersonRecovery, ...]) -> None:
    """A report without a lesion of the image is matched by its centre, which lies in the space of the results."""
    near = compare_again(study, people, x_mm=82.0, y_mm=128.0, z_mm=81.0, index_to="")
    assert near.n_recovered("new", "high") == 1
    far = compare_again(study, people, x_mm=82.0, y_mm=128.0, z_mm=90.0, index_to="")
    assert (far.n_recovered("new", "high"), far.n_false("new", "high")) == (0, 1)


def test_none_reported_is_not_the_same_as_not_compared(study: Path, people: tuple[PersonRecovery, ...]) -> None:
    """A pair without rows has no activity if the later session counts 0 new lesions; else the answer is missing."""
    outputs = load_participant(output_dir(study), "01")
    assert outputs.activity is not None
    before, after = people[0].lesions
    none = compare_activity(before, after, replace(outputs, activity=outputs.activity.iloc[:0]))
    assert (none.n_reported("new", "high"), none.n_missed("new"), none.n_missed("enlarging")) == (0, 2, 1)
    unknown = compare_activity(before, after, replace(outputs, activity=None))
    assert (unknown.n_planted("new"), unknown.n_reported("new", "high"), unknown.n_missed("new")) == (2, None, None)
    assert unknown.n_false("new", "high") is None
    assert unknown.reason != ""


def test_three_visits(tmp_path: Path) -> None:
    """Each visit is paired with the next, the first with the last; growth counts from the first visit only."""
    dataset = make_dataset(tmp_path / "raw", {})
    for session, lesions in (("1", OLD), ("2", LATER), ("3", LATER)):
        write_truth(dataset, "01", session, lesions)
    person = compare_person(load_known(dataset)[0], None)
    assert [(one.before, one.after) for one in person.pairs] == [("1", "2"), ("2", "3"), ("1", "3")]
    counts = [(one.activity.n_planted("new"), one.activity.n_planted("enlarging")) for one in person.pairs]
    assert counts == [(2, 1), (0, 0), (2, 1)]
    assert {one.activity.n_reported("new", "high") for one in person.pairs} == {None}
    assert {change.found_pct for one in person.pairs for change in one.changes} == {(None, None, None)}


def test_by_region_and_size(people: tuple[PersonRecovery, ...]) -> None:
    """Found and planted are counted by region and by size, a lesion too small to count in neither."""
    lesions = people[0].lesions
    assert {group.name: group.counts for group in count_by_region(lesions)} == {
        "periventricular": ((1, 1), (1, 1)),
        "deep": ((2, 3), (3, 4)),
        "juxtacortical": ((0, 0), (0, 1)),
    }
    assert [group.counts for group in count_by_size(lesions)] == [((3, 4), (4, 6)), ((0, 0), (0, 0)), ((0, 0), (0, 0))]
    assert [group.counts for group in count_by_size(people[2].lesions)] == [((None, 4),), ((None, 0),), ((None, 0),)]


def test_missing_results_are_missing(people: tuple[PersonRecovery, ...]) -> None:
    """Nothing that was not measured is counted as 0: not in a person without results, nor without FLAIR."""
    assert (people[1].measured, people[2].measured) == ((), ("1",))
    lesions = people[2].lesions[0]
    assert (lesions.true_count, lesions.found_count, lesions.found_mm3, lesions.difference_pct) == (5, None, None, None)
    assert (lesions.n_found, lesions.n_missed, lesions.n_false) == (None, None, None)
    assert {match.is_found for match in lesions.matches} == {None}
    assert lesions.reason == "there is no FLAIR"


def test_command(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command writes the page and prints the summary, names who has no results, and ends well."""
    page = tmp_path / "new" / "recovered.html"
    assert main([str(study / "raw"), str(output_dir(study)), str(page)]) == 0
    printed = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    assert "Thalamus 7.375 5.900 -20.00 8.113 5.900 -27.27" in lines
    assert "Thalamus +10.00 -1.00 n/a n/a" in lines
    assert "Cerebellum 13.50 n/a n/a 14.85 n/a n/a" in lines
    assert "ses-1 5 3 1 1 1 0.096 0.704 +633.3" in lines
    assert "new lesions 2 1 0 0 1 0 1" in lines
    assert "enlarging lesions 1 0 1 0 0 1 0" in lines
    assert "sub-02: no results" in lines
    assert "ses-1 5 n/a n/a 1 n/a 0.096 n/a n/a" in lines
    assert "ses-1 n/a: there is no FLAIR" in lines
    assert " ".join(printed.split()).endswith(OPTIMISM)
    assert max(map(len, printed.splitlines())) <= 120
    html = page.read_text(encoding="utf-8")
    assert OPTIMISM in html
    assert "There are no results of this participant." in html
    assert "missed" in html
    assert 'found <span class="minor">too small to count</span>' in html
    assert 'found <span class="minor">with 6</span>' in html
    assert "planted lesions 4, 6, which did not change" in html


def test_page_needs_nothing_but_itself(people: tuple[PersonRecovery, ...], study: Path) -> None:
    """The page is well formed, forbids loading anything, and links only to its own parts and to the reports."""
    page = _Page(render_page(people, study / "some" / "pages"))
    assert page.open == []
    assert list(page.attributes("src")) == []
    links = [target for _, target in page.attributes("href")]
    assert {target for target in links if not target.startswith("#")} == {"../../out/sub-01.html"}
    identifiers = {value for _, value in page.attributes("id")}
    assert {target[1:] for target in links if target.startswith("#")} <= identifiers
    policies = [value for tag, value in page.attributes("content") if value.startswith("default-src 'none'")]
    assert len(policies) == 1


def test_hostile_text_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    """Text from the tables can bring neither elements into the page nor commands into the terminal."""
    hostile = "<script>alert(1)</script>"
    dataset = make_dataset(tmp_path / "raw", {})
    config = make_config(tmp_path)
    write_truth(dataset, "01", "1", {1: replace(OLD[1], region=hostile)})
    write_session(measurement(dataset, session="1", no_lesions=f"{hostile}\x1b[31m"), config)
    people = compare_people(dataset, config.output_dir)
    html = render_page(people, tmp_path)
    assert "script" not in {tag for tag, _ in _Page(html).elements}
    assert html.count("&lt;script&gt;alert(1)") == 3
    text = describe_people(people)
    assert hostile in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("dataset", "results", "problem"),
    [
        ("out", "out", "out: holds no truth (derivatives/truth/sub-*). Give a dataset made by"),
        ("nowhere", "out", "nowhere: holds no truth"),
        ("raw", "raw", "raw: holds no finished session of sub-01, sub-02, sub-03. Measure"),
        ("raw", "nowhere", "nowhere: holds no finished session"),
    ],
)
def test_wrong_folder(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], dataset: str, results: str, problem: str
) -> None:
    """A folder that is not what it should be is named with what to do; no page is written."""
    page = tmp_path / "recovered.html"
    assert main([str(study / dataset), str(study / results), str(page)]) == ExitCode.NO_INPUT
    captured = capsys.readouterr()
    assert problem in captured.err
    assert captured.out == ""
    assert not page.exists()


def test_page_that_cannot_be_written(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A page that cannot be written ends in the exit code for that."""
    (tmp_path / "file").write_text("mine")
    page = tmp_path / "file" / "recovered.html"
    assert main([str(study / "raw"), str(output_dir(study)), str(page)]) == ExitCode.CANNOT_CREATE
    assert "cannot be written" in capsys.readouterr().err


def test_damaged_truth(tmp_path: Path) -> None:
    """A part of the truth that is missing or damaged is named, with the remedy for truth and not that for results."""
    dataset = make_dataset(tmp_path / "raw", {})
    write_truth(dataset, "01", "1", OLD)
    (session,) = load_known(dataset)[0].sessions
    session.lesion_path.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"is not an image. Make the dataset anew"):
        session.load_lesions()
    session.lesion_path.unlink()
    with pytest.raises(NoInputError, match=r"does not exist. Make the dataset anew"):
        session.load_lesions()
    table = session.lesion_path.with_name("sub-01_ses-1_seg-lesions_dseg.tsv")
    table.write_text("index\tname\n1\ta\n")
    with pytest.raises(DataError, match=r"lacks the column region. Make the dataset anew"):
        load_known(dataset)
