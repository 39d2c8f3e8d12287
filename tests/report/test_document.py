# SPDX-License-Identifier: Apache-2.0
"""The report as a whole: complete in itself, safe, the same every time, and honest about what is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bids_msvol.bids.load import ParticipantOutputs
from bids_msvol.bids.records import IgnoredScan
from bids_msvol.errors import CannotCreateError
from bids_msvol.outcome import SessionFailure
from bids_msvol.report.document import build_sections, write_report
from bids_msvol.report.measured_error import load_measured_error
from tests.report.conftest import FULL, RESOLUTIONS
from tests.report.patients import make_patient
from tests.report.people import make_participant, with_provenance

pytestmark = pytest.mark.usefixtures("coarse_pictures")

MAX_BYTES = 6_000_000
VOID = {"meta", "img", "input", "br", "link", "hr"}


class _Page(HTMLParser):
    """Collects elements, and checks that every element is closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def attributes(self, name: str) -> Iterator[tuple[str, str]]:
        return ((tag, attrs[name]) for tag, attrs in self.elements if name in attrs)


@pytest.fixture(scope="module")
def two_sessions(tmp_path_factory: pytest.TempPathFactory) -> ParticipantOutputs:
    """Two dated sessions with lesions, the second with a warning."""
    return make_patient(tmp_path_factory.mktemp("derivatives"))


@pytest.fixture(scope="module")
def html(two_sessions: ParticipantOutputs, coarse_pictures: None) -> str:
    """The report of the two sessions."""
    path = two_sessions.root / "sub-P1.html"
    assert write_report(two_sessions, path) == path
    return path.read_text(encoding="utf-8")


def test_page_loads_nothing_from_outside(html: str) -> None:
    """Pictures are data URIs, links stay in the page or lead to a publication, and a policy forbids the rest."""
    page = _Page(html)
    assert page.open == []
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "link", "iframe", "object", "embed", "image", "use"})
    sources = list(page.attributes("src"))
    assert sources
    assert all(tag == "img" and source.startswith("data:image/webp;base64,") for tag, source in sources)
    links = list(page.attributes("href"))
    assert all(tag == "a" and link.startswith(("#", "https://doi.org/")) for tag, link in links)
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert "url(" not in html
    assert "@import" not in html
    policy = next(value for tag, value in page.attributes("content") if "default-src" in value)
    assert "default-src 'none'" in policy


def test_links_in_the_page_lead_somewhere(html: str) -> None:
    """Every entry of the contents, every heading reference and every label has its target; identifiers are unique."""
    page = _Page(html)
    identifiers = [value for _, value in page.attributes("id")]
    assert len(identifiers) == len(set(identifiers))
    for attribute in ("for", "aria-labelledby"):
        assert all(value in identifiers for _, value in page.attributes(attribute))
    assert all(link[1:] in identifiers for _, link in page.attributes("href") if link.startswith("#"))


def test_page_is_accessible(html: str) -> None:
    """The page has a language, its headers have scopes, its pictures have texts, and no verdict is a colour alone."""
    page = _Page(html)
    assert ("html", "en") in page.attributes("lang")
    assert all("scope" in attributes for tag, attributes in page.elements if tag == "th")
    assert all("alt" in attributes for tag, attributes in page.elements if tag == "img")
    assert all("aria-label" in attributes for _, attributes in page.elements if attributes.get("role") == "img")
    assert "✓</span> pass" in html
    assert "!</span> warning" in html


def test_sections_come_in_reading_order(two_sessions: ParticipantOutputs) -> None:
    """The numbers come first, then their quality and pictures; how they were made comes last."""
    sections = build_sections(two_sessions, measured_error=load_measured_error())
    assert [section.anchor for section in sections] == [
        "numbers", "quality", "pictures", "lesions", "activity", "sessions", "cord", "volumes", "error", "inputs",
        "methods", "versions",
    ]  # fmt: skip


def test_report_is_deterministic(two_sessions: ParticipantOutputs, html: str) -> None:
    """The same outputs give the same bytes."""
    again = write_report(two_sessions, two_sessions.root / "again.html").read_text(encoding="utf-8")
    assert again == html


def test_report_with_full_pictures_is_small(two_sessions: ParticipantOutputs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sessions with pictures of full size stay well below what mail servers refuse."""
    for (module, name), pixels_per_mm in zip(RESOLUTIONS, FULL, strict=True):
        monkeypatch.setattr(module, name, pixels_per_mm)
    path = write_report(two_sessions, two_sessions.root / "full.html")
    assert 200_000 < path.stat().st_size < MAX_BYTES


def test_hostile_text_is_escaped(tmp_path: Path) -> None:
    """Markup in file names, sidecars, reasons and error messages is shown as text, never as part of the page."""
    attack = "</p><script>alert('x')</script><img src=x onerror=y>&\""
    outputs = make_participant(tmp_path, sessions=(("01", 0.0, "warn"),), skipped=(IgnoredScan(attack, attack),))
    session = with_provenance(
        outputs.sessions[0],
        chosen_scan=attack,
        choice=attack,
        other_scans={attack: attack},
        ignored=(IgnoredScan(attack, attack),),
        scanner={"Manufacturer": attack, attack: attack},
        sentences=(attack,),
        versions={"bids_msvol": attack, attack: attack},
        configuration_hash=attack,
        template_space=attack,
    )
    quality = session.quality.assign(metric=attack, reason=attack)
    failures = (SessionFailure(attack, attack),)
    summary = session.lesion_summary.assign(source=attack, method="given", reason=attack)
    session = replace(session, quality=quality, lesion_summary=summary)
    outputs = replace(outputs, sessions=(session,), failures=failures)
    html = write_report(outputs, tmp_path / "report.html").read_text(encoding="utf-8")
    page = _Page(html)
    assert page.open == []
    assert "script" not in {tag for tag, _ in page.elements}
    assert all(source.startswith("data:image/") for _, source in page.attributes("src"))
    assert html.count("alert(") > 10  # shown, not swallowed


def test_failed_session_shows_no_zero(tmp_path: Path) -> None:
    """A failed session says so on top, shows n/a in every cell and no volume, and its reason comes first."""
    outputs = make_participant(tmp_path, sessions=(("01", 0.0, "pass"), ("02", 90.0, "fail")))
    html = write_report(outputs, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Session 02: the measurement failed." in html
    numbers = re.search(r'id="numbers".*?</table>', html, re.DOTALL)
    assert numbers is not None
    rows = re.findall(r"<tr><th scope=\"row\">.*?</tr>", numbers[0], re.DOTALL)
    assert len(rows) == 11
    assert all(row.count("<td") == 2 and row.count('missing">n/a<') == 1 for row in rows[:7])
    # Neither session has lesions or a cord, and a first session cannot have new lesions.
    assert [row.count('missing">n/a<') for row in rows[7:]] == [2, 2, 1, 2]
    assert ">0.000<" not in html
    assert "there are no volumes" in html
    reason, warning = html.index("could not be aligned"), html.index("stronger than in usual images")
    assert reason < warning


def test_single_session_without_dates(tmp_path: Path) -> None:
    """A dataset without sessions and dates gives a report without a course, and without the words None and nan."""
    outputs = make_participant(tmp_path, sessions=((None, None, "pass"),))
    html = write_report(outputs, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "The only session" in html
    assert "date not known" in html
    assert 'id="sessions"' not in html
    assert "<svg" not in html
    text = re.sub(r"<style>.*?</style>|<[^>]*>", " ", html, flags=re.DOTALL)
    assert not re.search(r"\b(None|nan|NaN)\b", text)


def test_problems_are_shown_only_where_there_are_any(html: str, tmp_path: Path) -> None:
    """Sessions that could not be used or measured have their own section, absent without them, and a line on top."""
    assert 'id="problems"' not in html
    skipped = (IgnoredScan("sub-P1/ses-03", "no T1w image"),)
    outputs = make_participant(tmp_path, sessions=(("01", 0.0, "pass"),), skipped=skipped)
    outputs = replace(outputs, failures=(SessionFailure("sub-P1_ses-04", "the image is cut short"),))
    told = write_report(outputs, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "no T1w image" in told
    assert "the image is cut short" in told
    assert told.index("sub-P1_ses-04 could not be measured") < told.index('id="numbers"')


def test_unreadable_image_does_not_lose_the_report(tmp_path: Path) -> None:
    """Where an image is gone, the report keeps its numbers and names the file in place of the pictures."""
    outputs = make_participant(tmp_path, sessions=(("01", 0.0, "pass"),))
    outputs.sessions[0].files.brain_mask.unlink()
    html = write_report(outputs, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "No pictures." in html
    assert outputs.sessions[0].files.brain_mask.name in html
    assert 'id="volumes"' in html


def test_report_that_cannot_be_written_is_named(two_sessions: ParticipantOutputs, tmp_path: Path) -> None:
    """A path that cannot be written ends in an error that names it."""
    (tmp_path / "report.html").mkdir()
    with pytest.raises(CannotCreateError, match=r"report\.html"):
        write_report(two_sessions, tmp_path / "report.html")
