# SPDX-License-Identifier: Apache-2.0
"""The section on the cord: the numbers of the tables, and plain words where there is none."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_msvol.bids.load import ParticipantOutputs, SessionOutputs
from bids_msvol.report.cord import build_cord_section, list_sources
from bids_msvol.report.cord_healthy import HEALTHY
from bids_msvol.report.measured_error import CORD_ERROR, ErrorMeasure, MeasuredError
from bids_msvol.report.references import REFERENCES
from bids_msvol.report.summary import build_summary_section
from bids_msvol.report.trends import LIMIT_PER_MEDIAN
from bids_msvol.report.wording import MINUS
from tests.report.necks import make_cord, make_cord_changes, with_cords
from tests.report.people import make_participant

pytestmark = pytest.mark.usefixtures("coarse_pictures")

UNMEASURED = MeasuredError("", ())


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> ParticipantOutputs:
    """Two sessions without a cord, 203 days apart."""
    return make_participant(tmp_path_factory.mktemp("bare"), voxel_mm=10.0)


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> ParticipantOutputs:
    """Two sessions with a cord on the T1w of the head, that of the second 3 % smaller."""
    made = make_participant(tmp_path_factory.mktemp("derivatives"), voxel_mm=10.0)
    first, second = (
        with_cords(session, [make_cord("head-T1w", shrink=shrink)])
        for session, shrink in zip(made.sessions, (1.0, 0.97), strict=True)
    )
    return replace(made, sessions=(first, second), cord_changes=make_cord_changes(first, second, "head-T1w"))


@pytest.fixture
def session(tmp_path: Path) -> SessionOutputs:
    """A session without a cord, whose files a test may change."""
    return make_participant(tmp_path, sessions=(("01", 0.0, "pass"),), voxel_mm=10.0).sessions[0]


def _section(outputs: ParticipantOutputs, error: MeasuredError = UNMEASURED) -> str:
    return build_cord_section(outputs, error).html


def _only(session: SessionOutputs, error: MeasuredError = UNMEASURED) -> str:
    return _section(ParticipantOutputs("P1", session.files.root, (session,)), error)


def _cells(html: str, name: str, caption: str = "by level") -> list[list[str]]:
    """Return the texts of the cells of the row of that name, from each table whose caption has these words."""
    tables = [table for table in html.split("<table")[1:] if caption in table.partition("</caption>")[0]]
    rows = [row for table in tables for row in re.findall(rf'<tr><th scope="row"[^>]*>{name}</th>(.*?)</tr>', table)]
    return [[re.sub(r"<[^>]*>", "", cell) for cell in re.findall(r"<td.*?</td>", row)] for row in rows]


def test_rows_are_those_of_the_table(person: ParticipantOutputs) -> None:
    """Every number of every level is that of the table of its session, rounded."""
    html = _section(person)
    for order, session in enumerate(person.sessions):
        table = session.cord.set_index("level")
        for level, name in (("C1", "C1"), ("C2", "C2"), ("C2-C3", "around C2/C3")):
            row = table.loc[level]
            assert _cells(html, name)[order] == [
                f"{row['csa_mm2']:.1f}", f"{row['ap_diameter_mm']:.2f}", f"{row['rl_diameter_mm']:.2f}",
                f"{row['eccentricity']:.2f}", f"{row['n_slices']}", f"{100 * row['coverage']:.0f}",
                f"{row['csa_etiv_mm2']:.1f}", "",
            ]  # fmt: skip


def test_missing_level_has_its_reason(person: ParticipantOutputs) -> None:
    """A level that is not in view, or too little of which is, is n/a with the reason, and never 0 mm2."""
    html = _section(person)
    too_little, unseen = _cells(html, "C4")[0], _cells(html, "C6")[0]
    assert too_little[:4] == unseen[:4] == ["n/a"] * 4
    assert too_little[-1] == "less than 50 % of it was measured"
    assert unseen[-1] == "it is not in view"
    assert int(too_little[4]) > 0
    assert unseen[4:6] == ["0", "0"]


def test_main_numbers_are_said_in_words(person: ParticipantOutputs) -> None:
    """Mean around C2/C3, volume, length and volume divided by length are those of the table."""
    html = _section(person)
    for session in person.sessions:
        table = session.cord.set_index("level")
        around, whole = table.loc["C2-C3"], table.loc["C1-C7"]
        assert f"Mean area around C2/C3: {around['csa_mm2']:.1f} mm²; 92 % of this stretch was measured." in html
        ratio = whole["volume_mm3"] / whole["length_mm"]
        assert (
            f"Volume of C1 to C7 as measured: {whole['volume_mm3']:.0f} mm³ over a length of "
            f"{whole['length_mm']:.1f} mm; volume divided by length: {ratio:.1f} mm²."
        ) in html
    assert "Levels were told by: distance from the pontomedullary junction along the centreline." in html


def test_session_without_cord_is_one_sentence(bare: ParticipantOutputs, person: ParticipantOutputs) -> None:
    """Without a cord there is the reason, once, and neither picture nor table; another session keeps its own."""
    html = _section(replace(bare, sessions=bare.sessions[:1]))
    reason = "not measured on the T1w of the head: the image ends above the cord"
    assert html.count("<p") == html.count(reason) == 1
    assert f"Session 01: the cord was not measured: {reason}." in html
    assert not re.search("<(img|svg|table|dl)", html)
    mixed = _section(replace(person, sessions=(bare.sessions[0], person.sessions[1])))
    assert f"Session 01: the cord was not measured: {reason}." in mixed
    assert len(_cells(mixed, "C1")) == 1
    assert mixed.count("<fieldset") == 1


def test_withheld_stretch_is_told(session: SessionOutputs) -> None:
    """The caption of the straightened cord explains the bar where there is one, and only there."""
    assert _only(with_cords(session, [make_cord("head-T1w")])).count("Hatched in red") == 1
    assert "Hatched" not in _only(with_cords(session, [make_cord("head-T1w", withheld_mm=(-2, -1))]))


def test_cord_without_levels_is_one_row(session: SessionOutputs) -> None:
    """Where nothing tells the levels, the text says so and there is one row for all that is visible."""
    made = with_cords(session, [make_cord("cord-T2w", named=False)])
    html = _only(made)
    assert "Nothing tells the levels in this image" in html
    assert "since the levels are not known" in html
    area = made.cord["csa_mm2"].iloc[0]
    assert _cells(html, "all that is visible")[0][0] == f"{area:.1f}"
    assert f"Volume of all that is visible: {made.cord['volume_mm3'].iloc[0]:.0f} mm³" in html


@pytest.mark.parametrize("source", ["cord-T2w", "head-T1w"])
def test_band_is_explained_with_its_source(session: SessionOutputs, source: str) -> None:
    """The text says whose areas the band is, of how many, and that it is no test; the works are cited."""
    html = _only(with_cords(session, [make_cord(source)]))  # type: ignore[arg-type]
    areas = HEALTHY[source]
    assert "a guide and no test" in html
    assert f"in {areas.people} healthy adults\n({areas.images})" in html
    for key in areas.citations:
        assert next(one for one in REFERENCES if one.key == key).doi in html
    for one in areas.levels:
        assert _cells(html, one.level, "Areas of")[0][:2] == [f"{one.mean_mm2:.1f}", f"{one.sd_mm2:.1f}"]


def test_no_band_is_explained(session: SessionOutputs) -> None:
    """Where no table of the kind of image is known, the text says so, and cites nothing."""
    html = _only(with_cords(session, [make_cord("cord-T2starw")]))
    assert "no published table of this kind of image" in html
    assert "a guide and no test" not in html
    assert "doi.org" not in html


def test_failed_cord_is_shown_and_not_plotted(session: SessionOutputs) -> None:
    """A cord that is withheld as a whole has pictures and the reason, but no area anywhere."""
    cord = make_cord("head-T1w")
    failed = replace(cord, levels=tuple(level.without_values() for level in cord.levels))
    made = with_cords(session, [failed])
    made = replace(made, cord=made.cord.assign(reason="the middle of the cord jumps from slice to slice"))
    html = _only(made)
    assert html.count("<fieldset") == 1
    assert "no section has one that counts" in html
    assert "Mean area around C2/C3: n/a (the middle of the cord jumps from slice to slice)." in html
    assert not re.search(r"\d mm²", re.sub(r"<dl.*", "", html, flags=re.DOTALL))


def test_table_of_another_program_has_no_pictures(session: SessionOutputs) -> None:
    """Of a table that was given there are profile and numbers, no pictures, and no volume that it does not have."""
    cord = make_cord("sct")
    levels = tuple(replace(level, length_mm=None, volume_mm3=None) for level in cord.levels)
    made = with_cords(session, [replace(cord, levels=levels, levels_by="sct")])
    html = _only(made)
    assert "<img" not in html
    assert "<svg" in html
    assert "No pictures: the program has the numbers, and no outline of its own." in html
    assert "Mean area of C2 and C3:" in html
    assert "Volume and length of C1 to C7 as measured: n/a (the table has none)." in html
    assert "does not say on what kind of image" in html


def test_change_has_the_numbers_of_the_table(person: ParticipantOutputs) -> None:
    """Change by level in mm2, per cent and per cent a year; levels that both sessions lack are named."""
    html = _section(person)
    assert person.cord_changes is not None
    row = person.cord_changes.set_index("level").loc["C2-C3"]
    assert _cells(html, "around C2/C3", "change of the mean area") == [
        [f"{MINUS}{-row['change_mm2']:.2f}", f"{MINUS}3.00", f"{MINUS}{-row['change_pct_per_year']:.2f}", "92"]
    ]
    assert "ses-01 to ses-02, 203 days" in html
    assert "measured in both sessions (n/a): C4, C5, C6 and C7." in html
    assert "on the stretch that was measured in both sessions" in html
    assert "was not measured for this version" in html
    assert "Beyond the limit" not in html


def test_change_of_given_tables_is_one_of_means(bare: ParticipantOutputs) -> None:
    """Of tables that were given nothing is known but means: the caption does not claim the same stretch."""
    first, second = (
        with_cords(one, [make_cord("sct", shrink=shrink)]) for one, shrink in zip(bare.sessions, (1, 0.97), strict=True)
    )
    changes = make_cord_changes(first, second, "sct")
    html = _section(replace(bare, sessions=(first, second), cord_changes=changes))
    assert "each session may show another part of it" in html
    assert "on the stretch that was measured in both sessions" not in html
    assert _cells(html, "C2 and C3", "change of the mean area")[0][1] == f"{MINUS}3.00"


def test_change_stands_beside_the_measured_error(person: ParticipantOutputs) -> None:
    """Where the program's own error is known for the cord, it is the limit; other levels stay without one."""
    values = {"Cord-C2-C3": 0.5, "Cord-C1": 2.0, "WholeBrain": 0.1}
    error = MeasuredError("1", (ErrorMeasure(CORD_ERROR, "Title", "%", "", "five necks", 5, values),))
    html = _section(person, error)
    found = {name: _cells(html, name, "change of the mean area")[0][-2:] for name in ("around C2/C3", "C1", "C2")}
    assert found == {
        "around C2/C3": [f"{LIMIT_PER_MEDIAN * 0.5:.2f}", "yes"],
        "C1": [f"{LIMIT_PER_MEDIAN * 2:.2f}", "no"],
        "C2": ["n/a", "not known"],
    }
    assert "measured on: five necks" in html
    empty = MeasuredError("1", (ErrorMeasure(CORD_ERROR, "Title", "%", "", "", None, {"Cord-C2-C3": None}),))
    assert "Beyond the limit" not in _section(person, empty)


def test_images_come_in_the_order_of_the_table(session: SessionOutputs) -> None:
    """What stands first in the table, the image of the cord, is shown first, each with its own pictures."""
    made = with_cords(session, [make_cord("cord-T2w"), make_cord("head-T1w")])
    assert list_sources((made,)) == ("cord-T2w", "head-T1w")
    html = _only(made)
    assert html.index("<h3>T2w of the cord</h3>") < html.index("<h3>T1w of the head</h3>")
    identifiers = re.findall(r' id="([^"]*)"', html)
    assert len(identifiers) == len(set(identifiers)) == 6


def test_numbers_stay_without_pictures(session: SessionOutputs) -> None:
    """Where the images cannot be shown, the reason stands in place of pictures, and the numbers stay."""
    made = with_cords(session, [make_cord("head-T1w")])
    path = made.files.straight_cord_mask("head-T1w")
    image = nib.load(path)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[1:], image.affine), path)
    html = _only(made)
    assert "No pictures. The straightened cord and its outline do not lie on one grid." in html
    assert "<img" not in html
    assert len(_cells(html, "C1")) == 1


def test_headline_names_the_image(person: ParticipantOutputs, bare: ParticipantOutputs) -> None:
    """The main numbers have the area around C2/C3 with the image it comes from, n/a without a cord."""
    mixed = replace(person, sessions=(person.sessions[0], bare.sessions[1]))
    html = build_summary_section(mixed).html.replace("\n", "")
    rows = _cells(html, 'Cord area around C2/C3 <span class="minor">mm²</span>', "Volumes")
    area = person.sessions[0].cord.set_index("level").loc["C2-C3", "csa_mm2"]
    assert rows == [[f"{area:.1f} (T1w of the head)", "n/a"]]


def test_an_image_without_cord_gets_no_part_of_its_own(person: ParticipantOutputs) -> None:
    """Rows that only say why an image shows no cord are no measurement."""
    session = person.sessions[0]
    table = session.cord.assign(n_slices=0, csa_mm2=float("nan"), reason="the neck is not in view")
    without = replace(session, cord=table, cord_sections=None)
    assert list_sources([without]) == ()
    assert "the neck is not in view" in _only(without)
