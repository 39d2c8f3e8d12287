# SPDX-License-Identifier: Apache-2.0
"""Known and found areas of the cord beside each other, on numbers that can be worked out by hand."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from bids_msvol.bids.names import derivative_path
from bids_msvol.bids.outputs import OutputDataset, write_changes, write_session
from bids_msvol.bids.tabular import write_table
from bids_msvol.cord.change import CordChange
from bids_msvol.cord.levels import LEVELS, LevelMeasure
from bids_msvol.cord.records import CordSource, SessionCord
from bids_msvol.demo.cord_recovery import LEVELS_UNKNOWN, NO_SUCH_IMAGE, NOT_COMPARED, CordRecovery
from bids_msvol.demo.known import load_known
from bids_msvol.demo.lesion_recovery import NOT_MEASURED
from bids_msvol.demo.recovered import render_page
from bids_msvol.demo.recovery import PersonRecovery, compare_people, compare_person
from bids_msvol.demo.recovery_text import describe_people
from bids_msvol.demo.truth import FOLDER
from bids_msvol.demo.truth_cord import CORD_TRUTH, STRETCHES
from tests.bids.measured import measurement, pair
from tests.bids.skeleton import make_config, make_dataset
from tests.demo.test_recovered import write_truth
from tests.report.test_document import _Page

TRUE_MM2 = {level: 80.0 - 2.0 * number for number, level in enumerate(STRETCHES)}
"""80 mm2 around C2/C3, 78 at C1, and 2 mm2 less at each level below."""


def write_cord_truth(dataset: Path, person: str, session: str, factor: float = 1.0) -> None:
    """Write the truth of a session with a cord."""
    write_truth(dataset, person, session, {})
    path = derivative_path(dataset / FOLDER, person, session, "morph", ".tsv", seg="cord")
    write_table(path, CORD_TRUTH, ({"level": level, "csa_mm2": factor * area} for level, area in TRUE_MM2.items()))


def cord(source: CordSource, factor: float, *, missing: tuple[str, ...] = ()) -> SessionCord:
    """Return a cord with the true areas times a factor; missing levels are out of view."""
    return SessionCord(source, "an/image.nii.gz", "discs", tuple(
        LevelMeasure(level, None, None, None, None, 0, 0.0)
        if level in missing
        else LevelMeasure(level, factor * area, 7.0, 12.0, 0.8, 20, 1.0, 20.0, 20.0 * factor * area)
        for level, area in TRUE_MM2.items()
    ), ())  # fmt: skip


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> tuple[PersonRecovery, ...]:
    """Return the comparison of a study.

    Person 01 has two sessions: the neck was scanned at both, and the T1w of the head shows C1 to C3. Person 02 has no
    cord at the first session, at the second one whose levels are unknown, and no results of the third.
    """
    root = tmp_path_factory.mktemp("study")
    dataset = make_dataset(root / "raw", {})
    config = make_config(root)
    OutputDataset.create(config)
    for person, session, factor in (
        ("01", "1", 1.0),
        ("01", "2", 0.98),
        ("02", "1", 1.0),
        ("02", "2", 1.0),
        ("02", "3", 1.0),
    ):
        write_cord_truth(dataset, person, session, factor)
    visits = [
        replace(
            measurement(dataset, session=session),
            cords=(cord("cord-T2w", factor), cord("head-T1w", 1.02 * factor, missing=LEVELS[3:])),
        )
        for session, factor in (("1", 1.01), ("2", 0.98))
    ]
    visits = [
        replace(made, session=replace(made.session, days=days))
        for made, days in zip(visits, (0.0, 365.25), strict=True)
    ]
    between = pair(
        visits[0].session,
        visits[1].session,
        days=365.25,
        cord=(
            CordChange("cord-T2w", "C2-C3", -1.8, -2.5, 1.0),
            CordChange("cord-T2w", "C1", None, None, 0.2),
            CordChange("head-T1w", "C2-C3", -1.2, -1.5, 1.0),
        ),
    )
    write_session(visits[0], config)
    write_session(visits[1], config, between)
    write_changes([between], config)
    write_session(replace(measurement(dataset, "02", "1"), no_cord={"cord-T2w": "the neck is not in view"}), config)
    unknown = SessionCord(
        "cord-T2w", "an/image.nii.gz", "", (LevelMeasure("visible", 70.0, 7.0, 12.0, 0.8, 90, None),), ()
    )
    write_session(replace(measurement(dataset, "02", "2"), cords=(unknown,)), config)
    return compare_people(dataset, config.output_dir)


def found(cord: CordRecovery, level: str) -> list[tuple[float | None, float | None]]:
    """Return the area found in each session, and by how many per cent it is off."""
    return [(one.found_mm2, one.difference_pct) for one in dict(cord.levels)[level]]


def test_areas_by_kind_of_image(people: tuple[PersonRecovery, ...]) -> None:
    """Each image of each session is compared level by level, the image of the cord before that of the head."""
    neck, head = people[0].cords
    assert (neck.source, head.source) == ("cord-T2w", "head-T1w")
    assert [level for level, _ in neck.levels] == list(STRETCHES)
    assert found(neck, "C2-C3") == [(80.8, pytest.approx(1.0)), (78.4, pytest.approx(0.0, abs=0.01))]
    assert found(neck, "C7") == [(66.66, pytest.approx(1.0)), (64.68, pytest.approx(0.0, abs=0.01))]
    assert found(head, "C2-C3") == [(82.42, pytest.approx(3.02, abs=0.01)), (79.97, pytest.approx(2.0, abs=0.01))]
    assert found(head, "C4") == [(None, None), (None, None)]
    assert [one.true_mm2 for one in dict(head.levels)["C4"]] == [72.0, 70.56]
    assert dict(neck.levels)["C2-C3"][0].coverage_pct == 100.0


def test_absent_areas_have_a_reason(people: tuple[PersonRecovery, ...]) -> None:
    """Levels out of view are named with the reason of the results, and nothing that was found is among them."""
    neck, head = people[0].cords
    assert neck.gaps == {}
    assert head.gaps == {(session, "it is not in view"): ("C4", "C5", "C6", "C7") for session in ("1", "2")}


def test_sessions_without_such_an_image(people: tuple[PersonRecovery, ...]) -> None:
    """No cord, unknown levels and no results are three reasons."""
    (neck,) = people[1].cords
    assert neck.source == "cord-T2w"
    assert neck.gaps == {
        ("1", "the neck is not in view"): STRETCHES,
        ("2", LEVELS_UNKNOWN): STRETCHES,
        ("3", NOT_MEASURED): STRETCHES,
    }
    assert {one.true_mm2 for one in dict(neck.levels)["C2-C3"]} == {80.0}


def test_an_image_that_one_session_has(tmp_path: Path) -> None:
    """A session without the image of the cord that another one has says so; its T1w of the head is compared."""
    dataset = make_dataset(tmp_path / "raw", {})
    config = make_config(tmp_path)
    for session, cords in (("1", ("cord-T2w", "head-T1w")), ("2", ("head-T1w",))):
        write_cord_truth(dataset, "01", session)
        sources: tuple[CordSource, ...] = cords  # type: ignore[assignment]
        write_session(
            replace(measurement(dataset, session=session), cords=tuple(cord(one, 1.0) for one in sources)), config
        )
    (person,) = compare_people(dataset, config.output_dir)
    neck, head = person.cords
    assert neck.gaps == {("2", NO_SUCH_IMAGE): STRETCHES}
    assert head.gaps == {}


def test_change(people: tuple[PersonRecovery, ...]) -> None:
    """Change is in per cent of the earlier area, its error in percentage points; what is missing is not 0."""
    between = people[0].pairs[0].cord
    assert between.sources == ("cord-T2w", "head-T1w")
    changes = {change.level: change for change in between.changes}
    assert list(changes) == list(STRETCHES)
    assert changes["C2-C3"].true_pct == pytest.approx(-2.0)
    assert changes["C2-C3"].found_pct == (-2.5, -1.5)
    assert changes["C2-C3"].differences == pytest.approx((-0.5, 0.5))
    assert changes["C1"].found_pct == (None, None)
    assert changes["C1"].differences == (None, None)
    assert changes["C1"].true_pct == pytest.approx(-2.0, abs=0.01)
    assert between.reason == ""


def test_sessions_that_were_not_compared(people: tuple[PersonRecovery, ...]) -> None:
    """A pair without rows has its true change, no found one, and a reason."""
    between = people[1].pairs[0].cord
    assert between.sources == ()
    assert {change.true_pct for change in between.changes} == {0.0}
    assert {change.found_pct for change in between.changes} == {()}
    assert between.reason == NOT_COMPARED


def test_truth_without_a_cord(tmp_path: Path) -> None:
    """A dataset whose heads have no neck is compared as far as it goes: nothing is true, nothing found."""
    dataset = make_dataset(tmp_path / "raw", {})
    write_truth(dataset, "01", "1", {})
    (cord,) = compare_person(load_known(dataset)[0], None).cords
    assert cord.source == ""
    assert [one.true_mm2 for _, areas in cord.levels for one in areas] == [None] * len(STRETCHES)
    assert cord.gaps == {("1", NOT_MEASURED): STRETCHES}


def test_text(people: tuple[PersonRecovery, ...]) -> None:
    """The summary has areas and change with their errors, and says what is missing and why."""
    printed = describe_people(people)
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    wanted = [
        "cord, head-T1w ses-1 ses-2",
        "mean area in mm2 true found error % true found error %",
        "C2-C3 80.00 80.80 +1.00 78.40 78.40 0.00",
        "C4 72.00 n/a n/a 70.56 n/a n/a",
        "ses-1, C4, C5, C6, C7 n/a: it is not in view",
        "cord, change from ses-1 to ses-2",
        "in % true cord-T2w error head-T1w error",
        "C2-C3 -2.00 -2.50 -0.50 -1.50 +0.50",
        "C1 -2.00 n/a n/a n/a n/a",
        f"ses-2, {', '.join(STRETCHES)} n/a: {LEVELS_UNKNOWN}",
        f"n/a: {NOT_COMPARED}",
    ]
    assert [line for line in wanted if line not in lines] == []
    assert max(map(len, printed.splitlines())) <= 120


def test_page(people: tuple[PersonRecovery, ...], tmp_path: Path) -> None:
    """The page has a table of areas for each kind of image and one of change, well formed, with the reasons."""
    html = render_page(people, tmp_path)
    assert _Page(html).open == []
    text = " ".join(re.sub(r"<[^>]*>", " ", html).split())
    for wanted in (
        "Cervical cord on cord-T2w",
        "C2-C3 80.00 80.80 +1.00 100 78.40 78.40 0.00 100",
        "C4 72.00 n/a n/a 0 70.56 n/a n/a 0",
        "Session 1, C4, C5, C6, C7: it is not in view.",
        "C2-C3 \N{MINUS SIGN}2.00 \N{MINUS SIGN}2.50 \N{MINUS SIGN}0.50 \N{MINUS SIGN}1.50 +0.50",
        f"Not measured: {NOT_COMPARED}.",
    ):
        assert wanted in text
