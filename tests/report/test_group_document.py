# SPDX-License-Identifier: Apache-2.0
"""The report of the group level: complete in itself, safe, for readers of all kinds, and honest about tests."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bids_msvol.bids.group_outputs import write_group_outputs
from bids_msvol.bids.tabular import Column, Table
from bids_msvol.errors import CannotCreateError
from bids_msvol.group.result import INTERVAL, Analysis, Figure, ResultTable, number, p_column
from bids_msvol.group.results import GroupResults
from bids_msvol.report.group_columns import show_estimate
from bids_msvol.report.group_document import typeset, write_group_report
from bids_msvol.report.group_families import find_families
from bids_msvol.report.group_figures import MAX_SVG_BYTES, inline_svg, place_figure
from bids_msvol.report.group_tables import PageTable, place_table
from bids_msvol.report.wording import MINUS, NOT_APPLICABLE
from tests.report.group_samples import SLOPES, draw_scatter, make_results

VOID = {"meta", "img", "input", "br", "link", "hr"}
HOSTILE = '<b>&"'


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


def write(results: GroupResults, folder: Path) -> str:
    """Return the report as text."""
    return write_group_report(results, folder / "group.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of three analyses, of all scans and without the flagged."""
    return write(make_results(exclude_if=("new_t2>20",)), tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(html: str) -> _Page:
    return _Page(html)


def test_page_loads_nothing_from_outside(html: str, page: _Page) -> None:
    """Links lead into the page, to files beside it or to a publication; one script runs, known by its hash."""
    assert page.open == []
    assert {tag for tag, _ in page.elements}.isdisjoint({"link", "iframe", "object", "embed", "form", "image"})
    assert list(page.attributes("src")) == []
    links = [link for tag, link in page.attributes("href") if tag == "a"]
    assert all(link.startswith(("#", "group/", "https://doi.org/")) for link in links)
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    script = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert len(script) == 1
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html
    assert "@import" not in html
    assert set(re.findall(r"url\((.)", html)) <= {"#"}


def test_identifiers_are_unique_and_links_arrive(page: _Page) -> None:
    """Also inside figures: every reference of one figure leads to a definition of the same figure."""
    identifiers = Counter(value for _, value in page.attributes("id"))
    assert [name for name, count in identifiers.items() if count > 1] == []
    targets = {link[1:] for _, link in page.attributes("href") if link.startswith("#")}
    clips = {name for _, value in page.attributes("clip-path") for name in re.findall(r"url\(#(.+?)\)", value)}
    sources = {value for _, value in page.attributes("data-source")}
    described = {value for _, value in page.attributes("aria-labelledby")}
    assert clips
    assert targets | clips | sources | described <= set(identifiers)


def test_headings_do_not_skip_levels(page: _Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1


def test_everything_of_an_analysis_is_there(html: str) -> None:
    """Question, findings, figures with words, limits, methods, tables with files, and text to paste."""
    text = unescape(re.sub(r"<[^>]+>", " ", html)).replace("\N{NO-BREAK SPACE}", " ")
    for said in (
        "Is more volume lost in years with more new lesions", "The thalamus lost 0.0099 points",
        "few persons decide the slopes", "random intercept, REML", "Figure 1. ", "Figure 2. ", "Table 2. ",
        "Nobody was randomised", "Area of the cord", "No scan has areas of the cord.", "168 days",
        "EDSS 0.5 does not exist", "statistics.level", "not a medical device", "Not a medical device.",
        "53  persons", "scanned less than 56 days after steroids", "Lesions were counted in the clinic.",
        "in none of these groups", "numpy",
    ):  # fmt: skip
        assert said in re.sub(r"(?<=\S)  ?(?=\S)", " ", text) or said in text, said
    assert 'aria-label="Most intervals include 0."' in html
    for link in ("group/lme_newT2.tsv", "group/figures/lesions_yearly_forest.svg", "group/plan.toml"):
        assert f'href="{link}"' in html


def test_text_to_paste_is_whole_without_script(html: str) -> None:
    """The copy button shows only with the script; the text is there in any case, with plain characters."""
    pasted = re.search(r'<pre class="paste" id="results-lesions_yearly"[^>]*>(.*?)</pre>', html, re.DOTALL)
    assert pasted is not None
    assert "95 % CI -0.0183 to -0.00149; p = 0.021" in unescape(pasted[1])
    buttons = re.findall(r"<button[^>]*>", html)
    assert buttons
    assert all(" hidden" in button for button in buttons)


def test_sensitivity_is_reported(html: str) -> None:
    """The reader is told what the conditions were, that findings stay, and what could not be done again."""
    assert html.count("Without what meets new_t2&gt;20") == 3
    assert "the findings are the same" in html
    assert "could not be done on what remains" in html


def test_different_findings_of_the_second_set_are_shown(tmp_path: Path) -> None:
    results = make_results(exclude_if=("new_t2>20",))
    changed = replace(results.without_flagged[0], findings=("Age differs now.",))
    html = write(replace(results, without_flagged=(changed,)), tmp_path)
    assert "Age differs now." in html


def test_hostile_names_are_text(tmp_path: Path) -> None:
    """Markup in a group, a condition, a note, a title or a file is shown as it is, in the page and in figures."""
    results = make_results({HOSTILE: (10, 20), "</script><script>alert(1)": (5, 9)}, exclude_if=(f"site={HOSTILE}",))
    first = replace(results.analyses[0], title=HOSTILE, question=HOSTILE, findings=(HOSTILE,), limits=(HOSTILE,))
    html = write(
        replace(
            results, analyses=(first, *results.analyses[1:]), notes=(HOSTILE,), clinical_findings=(HOSTILE,),
            definition=HOSTILE, dataset_name=HOSTILE, settings={HOSTILE: HOSTILE},
        ),
        tmp_path,
    )  # fmt: skip
    page = _Page(html)
    assert page.open == []
    assert "<b>&" not in html
    assert html.count("<script") == 1
    tags = {tag for tag, _ in page.elements}
    assert not any(HOSTILE in unescape(tag) for tag in tags)
    assert "&lt;b&gt;&amp;" in html


def test_report_is_the_same_with_figures_from_disk(tmp_path: Path) -> None:
    results = make_results()
    files = write_group_outputs(tmp_path / "group", results)
    drawn = write(results, tmp_path)
    path = write_group_report(results, tmp_path / "again.html", figures=files.folder / "figures")
    assert path.read_text(encoding="utf-8") == drawn


def test_a_figure_that_is_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    path = write_group_report(make_results(), tmp_path / "group.html", figures=tmp_path / "figures")
    assert path.read_text(encoding="utf-8").count("This figure could not be drawn") == 2


def test_large_figures_become_pictures() -> None:
    """A figure of many points, and one for which the page has no room, are embedded as PNG with their words."""
    large = Figure("large", "Many points.", "A cloud.", partial(draw_scatter, ("A", "B"), 3000))
    placed = place_figure(large, 1, svg_allowed=10**9)
    assert placed.svg == ""
    assert base64.b64decode(placed.picture).startswith(b"\x89PNG")
    small = replace(large, draw=partial(draw_scatter, ("A", "B"), 20))
    assert place_figure(small, 1, svg_allowed=10**9).picture == ""
    assert place_figure(small, 1, svg_allowed=100).svg == ""


def test_ten_thousand_persons_fit_into_a_mail(tmp_path: Path) -> None:
    """Figures of 10,000 points together and long tables leave the page small."""
    groups = {f"group {number}": (1250, 5000) for number in range(8)}
    results = make_results(groups, n_points=1250)
    checks = tuple(f"sub-{number:05d}: something is odd" for number in range(10_000))
    html = write(replace(results, clinical_findings=checks), tmp_path)
    assert len(html) < 3_000_000
    assert "data:image/png;base64," in html
    assert "Warning, 10000 times." in html


def test_svg_stands_alone_beside_others() -> None:
    """No rule of style leaks into the page, names are those of HTML, references follow their identifiers."""
    svg = (
        '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        'width="72pt" height="36pt" viewBox="0 0 72 36"><metadata/><defs><style>*{stroke-linejoin:round}</style>'
        '<path id="m" d="M 0.123456 -1.987654e-05 L 1 1"/></defs><g clip-path="url(#p)"><use xlink:href="#m" '
        'style="fill: url(#h)" x="1.23456"/><image xlink:href="data:image/png;base64,AA"/></g></svg>'
    )
    markup, width = inline_svg(svg, "f7-", 'an "odd" <figure>')
    assert width == 96
    assert "style>" not in markup
    assert "xlink" not in markup
    assert "xmlns" not in markup
    assert 'id="f7-m" d="M 0.12 -1.98e-05 L 1 1"' in markup
    assert 'href="#f7-m" style="fill: url(#f7-h)" x="1.23"' in markup
    assert 'clip-path="url(#f7-p)"' in markup
    assert 'href="data:image/png;base64,AA"' in markup
    assert 'aria-label="an &quot;odd&quot; &lt;figure&gt;"' in markup
    assert len(markup) < MAX_SVG_BYTES


def test_tests_are_counted_by_family() -> None:
    """Slopes are counted in each group, interactions once a region; what could not be done is counted apart."""
    families = find_families(make_results().analyses)
    counted = {family.name: (family.n_tests, family.n_untested) for family in families}
    assert counted == {
        "slopes in cladribine": (7, 0),
        "slopes in alemtuzumab": (6, 1),
        "slopes in cladribine: interaction": (7, 0),
        "slopes in alemtuzumab: interaction": (7, 0),
        "all connections": (55, 0),
    }
    edges = families[-1]
    assert edges.expected == pytest.approx(2.75)
    assert edges.is_exploratory
    assert edges.n_small_q is not None
    assert edges.n_small_q <= edges.n_small_p


def test_exploratory_is_said_where_there_are_several_tests(html: str) -> None:
    """The analysis without tests has no banner, the two others have one, and so has the summary."""
    assert html.count('class="banner"') == 3
    assert "55 tests in 1 family; chance alone gives about 2.8" in html


def table_of(columns: tuple[Column, ...], *rows: dict[str, object]) -> PageTable:
    """Return a table as the page shows it."""
    return place_table(ResultTable(Table("A table", "a.tsv", "Rows.", columns), rows), 1)


def test_an_estimate_and_its_interval_share_a_cell() -> None:
    """Region names are for readers, errors and degrees of freedom give way, q is marked, a warning is a note."""
    results = make_results()
    shown = place_table(results.analyses[1].tables[0], 2, level=0.9)
    assert [header.label for header in shown.headers] == [
        "Region", "Group", "n (persons)", "Slope (90 % CI)", "p", "q", "p interaction", "q interaction",
    ]  # fmt: skip
    first, untested = shown.rows[0], shown.rows[3]
    assert first.cells[0].text == "Whole brain"
    assert first.cells[2].text == "92 (33)"
    assert re.fullmatch(rf"{MINUS}?0\.\d{{4}} \({MINUS}?0\.\d{{4}} to {MINUS}?0\.\d{{4}}\)", first.cells[3].text)
    assert untested.cells[3].text == "n/a"
    assert shown.notes == (("a", "All lesion counts are 0."),)
    assert untested.note == "a"
    assert ("df", "91") in shown.constants
    assert shown.assumptions == (("", "Residuals: skewness 0.3, no point decides."),)
    assert shown.n_hidden == 1 + 3


def test_long_tables_show_their_first_rows() -> None:
    """What is shown does not depend on what was found: the order is that of the table, whatever p is."""
    result = make_results().analyses[2].tables[0]
    shown = place_table(result, 3)
    assert (len(shown.rows), shown.n_rows) == (30, 55)
    assert shown.chosen == "The first 30 of 55 rows are shown, in the order of the file."
    assert not shown.is_open
    changed = ResultTable(result.table, tuple({**row, "p": 1.0 - float(str(row["p"]))} for row in result.rows))
    first_cells = [[cell.text for cell in row.cells[:2]] for row in shown.rows]
    assert [[cell.text for cell in row.cells[:2]] for row in place_table(changed, 3).rows] == first_cells


def test_primary_tests_stand_for_a_long_table() -> None:
    columns = (Column("variable", "What."), Column("primary", "Which."), number("estimate", "E."), p_column())
    rows = [
        {"variable": f"v{place}", "primary": "yes" if place % 5 == 0 else "no", "estimate": place, "p": 0.5}
        for place in range(60)
    ]
    shown = table_of(columns, *rows)
    assert shown.chosen == "Of 60 rows, the 12 of the primary tests are shown."
    assert [row.cells[0].text for row in shown.rows[:2]] == ["v0", "v5"]


def test_analyses_without_a_person_are_in_the_file_only() -> None:
    """Rows that leave out one person do not reach a page that is passed on; their number is said."""
    columns = (Column("data", "Data."), Column("group", "Group."), number("beta", "Slope."))
    rows = [{"data": data, "group": "A", "beta": 1.5} for data in ("all", "without sub-01", "without sub-02")]
    shown = table_of(columns, *rows)
    assert [row.cells[0].text for row in shown.rows] == ["all"]
    assert shown.chosen == "2 rows of analyses repeated without one person are in the file only."


def test_tables_without_rows_or_with_one_column_are_sentences(tmp_path: Path) -> None:
    columns = (Column("endpoint", "What was awaited."), number("rate", "Rate."))
    single = table_of(columns, {"endpoint": "pira", "rate": None}, {"endpoint": "relapse", "rate": None})
    assert single.sentence == "Endpoint: PIRA; Relapse."
    assert table_of(columns).sentence == "It has no rows."
    assert table_of(columns, {"endpoint": "pira", "rate": 1.0}).sentence == ""
    empty = Analysis("cord_levels", "Cord", "What?", (), (), (), (ResultTable(SLOPES, ()),))
    page = _Page(write(replace(make_results(), analyses=(empty,)), tmp_path))
    assert [tag for tag, name in page.attributes("id") if name == "table-1"] == ["p"]


def test_long_texts_are_in_the_file_only() -> None:
    columns = (Column("definition", "Name."), Column("n", "n.", "integer"), Column("description", "In full."))
    shown = table_of(columns, {"definition": "A", "n": 3, "description": "On the EDSS. " * 30})
    assert [header.label for header in shown.headers] == ["Definition", "n"]


def test_long_tables_without_p_say_that_they_are_cut() -> None:
    shown = table_of((Column("year", "Year.", "integer"),), *({"year": year} for year in range(50)))
    assert shown.chosen == "The first 30 of 50 rows are shown, in the order of the file."


def test_what_holds_for_all_rows_is_said_once_and_only_then() -> None:
    """Of a table that is cut, a value is called constant only if it is so in the rows that are not shown, too."""
    columns = (Column("year", "Year.", "integer"), Column("group", "Group."), Column("test", "Test."))
    rows = [{"year": year, "group": "A" if year < 45 else "B", "test": "t"} for year in range(50)]
    shown = table_of(columns, *rows)
    assert shown.constants == (("Test", "t"),)
    assert [header.label for header in shown.headers] == ["Year", "Group"]


def test_tables_of_persons_are_in_the_file_only() -> None:
    """A report is passed on: it does not list people."""
    shown = table_of(
        (Column("participant_id", "Person."), number("age", "Age.")), {"participant_id": "sub-01", "age": 9}
    )
    assert shown.rows == ()
    assert shown.n_rows == 1
    assert "persons" in shown.chosen


def test_the_second_set_of_data_stands_below_the_first() -> None:
    results = make_results(exclude_if=("new_t2>20",))
    shown = place_table(results.tables_of(results.analyses[1])[0], 1)
    assert [header.label for header in shown.headers][:3] == ["Region", "Data", "Group"]
    assert [row.cells[1].text for row in shown.rows[:4]] == ["all", "excluded", "all", "excluded"]
    assert {row.cells[0].text for row in shown.rows[:4]} == {"Whole brain"}


def test_means_medians_and_shares_share_cells() -> None:
    """As in the first table of a paper; the short name of a variable gives way to its label with the unit."""
    columns = (
        Column("variable", "Variable."), Column("label", "Label."), Column("unit", "Unit."),
        number("mean", "Mean."), number("sd", "SD."), number("median", "Median."), number("q1", "Q1."),
        number("q3", "Q3."), Column("count", "Number.", "integer"), number("percent", "Share.", "percent"),
    )  # fmt: skip
    age = {
        "variable": "age",
        "label": "Age",
        "unit": "years",
        "mean": 36.21,
        "sd": 8.94,
        "median": 35,
        "q1": 30,
        "q3": 41,
    }
    shown = table_of(columns, age, {"variable": "sex", "label": "Women", "count": 24, "percent": 72.7})
    assert [header.label for header in shown.headers] == ["Variable", "Mean (SD)", "Median [quartiles]", "Number (%)"]
    assert [cell.text for cell in shown.rows[0].cells] == [
        "Age, years",
        "36.2 (8.94)",
        "35.0 [30.0 to 41.0]",
        NOT_APPLICABLE,
    ]
    assert [cell.text for cell in shown.rows[1].cells] == ["Women", NOT_APPLICABLE, NOT_APPLICABLE, "24 (73 %)"]


def test_intervals_find_their_estimates_by_name() -> None:
    """An interval of the null hypothesis is no interval of the estimate before it."""
    columns = (
        Column("node", "Region."), number("expected", "E."), number("null_lo", "Low."), number("null_hi", "High."),
        number("hedges_g", "g."), number("g_ci_lo", "Low."), number("g_ci_hi", "High."), p_column(),
    )  # fmt: skip
    row = {
        "node": "Left-Thalamus",
        "expected": 1,
        "null_lo": -1,
        "null_hi": 2,
        "hedges_g": 0.5,
        "g_ci_lo": 0.1,
        "g_ci_hi": 0.9,
    }
    shown = table_of(columns, {**row, "p": 0.02})
    assert [header.label for header in shown.headers] == [
        "Node", "Expected", "Range by chance", "Hedges g (95 % CI)", "p",
    ]  # fmt: skip
    texts = [cell.text for cell in shown.rows[0].cells]
    assert texts == ["Left Thalamus", "1.00", f"{MINUS}1.00 to 2.00", "0.50 (0.10 to 0.90)", "0.020"]


def test_columns_that_tell_rows_apart_are_kept() -> None:
    """With many columns, details go; years before the counts stay."""
    details = tuple(number(f"detail{place}", "A detail.") for place in range(12))
    columns = (
        Column("group", "Group."),
        Column("year", "Year.", "integer"),
        Column("n", "n.", "integer"),
        *details,
        p_column(),
    )
    rows = [
        {"group": "A", "year": year, "n": year, "p": 0.5, **{one.name: 1.5 * year for one in details}}
        for year in (1, 2)
    ]
    labels = [header.label for header in table_of(columns, *rows).headers]
    assert {"Group", "Year", "n", "p"} <= set(labels)
    assert len(labels) <= 8


def test_empty_tables_and_no_analyses_are_said(tmp_path: Path) -> None:
    """Nothing to show is no reason to fail."""
    assert table_of((Column("group", "Group."), *INTERVAL)).rows == ()
    empty = Analysis("cord_levels", "Cord", "What?", (), (), (), (ResultTable(SLOPES, ()),))
    results = make_results()
    html = write(replace(results, analyses=(empty,)), tmp_path)
    assert "Nothing could be tested" in html
    assert "It has no rows." in html
    html = write(replace(results, analyses=(), groups={}, flow=(), notes=(), clinical_findings=()), tmp_path)
    assert "No analysis could be done." in html
    assert "Nothing was noticed in the clinical tables." in html
    assert "No test was done." in html


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((-0.00989, -0.0183, -0.00149), "-0.0099 (-0.0183 to -0.0015)"),
        ((1234.5, 1100.0, 1400.0), "1234 (1100 to 1400)"),
        ((-0.001, -0.8, 0.8), "0.00 (-0.80 to 0.80)"),
        ((2.0, 2.0, 2.0), "2.00 (2.00 to 2.00)"),
    ],
)
def test_digits_follow_the_width_of_the_interval(numbers: tuple[float, float, float], text: str) -> None:
    assert show_estimate(*numbers) == text.replace("-", MINUS)


def test_sentences_are_set_for_the_page() -> None:
    """Minus signs for numbers below zero only, and no line ends inside a result."""
    given = "C2-C3, NEDA-3: slope -0.01 (95 % CI -0.02 to 0.3; p = 0.021, q < 0.001), 2019-2021"
    space = "\N{NO-BREAK SPACE}"
    assert typeset(given) == (
        f"C2-C3, NEDA-3: slope {MINUS}0.01 (95{space}%{space}CI {MINUS}0.02 to 0.3; p{space}={space}0.021, "
        f"q{space}<{space}0.001), 2019-2021"
    )


def test_a_report_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotCreateError):
        write_group_report(make_results(), tmp_path / "file" / "group.html")
