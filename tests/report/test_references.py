# SPDX-License-Identifier: Apache-2.0
"""The methods text gets exactly the references that it cites."""

from __future__ import annotations

import re

import pytest

from bids_msvol.report.citations import ALWAYS_CITED, find_cited
from bids_msvol.report.references import REFERENCES


@pytest.mark.parametrize(
    "sentence",
    [
        "SyN (Avants 2008).", "SyN (Avants et al., 2008).", "SyN of Avants and others (2008) was used.",
        "SyN (Avants, Epstein, Grossman and Gee 2008).",
    ],
)  # fmt: skip
def test_usual_ways_of_citing_are_found(sentence: str) -> None:
    """Author and year are recognised as papers write them, and no other work of the author is added."""
    keys = [reference.key for reference in find_cited([sentence])]
    assert keys == ["Avants 2008", *ALWAYS_CITED]


def test_names_and_years_of_different_citations_are_not_mixed() -> None:
    """The year of one citation is not taken for that of another."""
    keys = {
        reference.key
        for reference in find_cited(["N4 (Tustison 1999; Avants 2010). Fischl did more. In 2012 so did we."])
    }
    assert keys == set(ALWAYS_CITED)


def test_two_works_in_one_sentence_are_both_found() -> None:
    """Several citations in one bracket, and surnames of two words, are all found."""
    keys = {
        reference.key for reference in find_cited(["Bias (Van Leemput 1999; Ashburner and Friston 2005; Puonti 2016)."])
    }
    assert keys == {"Van Leemput 1999", "Ashburner 2005", "Puonti 2016", *ALWAYS_CITED}


def test_sentences_on_lesions_find_their_references() -> None:
    """Each work that the text on lesions cites is in the list; two works of one author stay apart."""
    sentences = ["Aligned (Mattes 2003).", "Outliers (Van Leemput 2001).", "As (Chard 2010; Battaglini 2012).",
                 "Change (after Ganiler 2014)."]  # fmt: skip
    keys = {reference.key for reference in find_cited(sentences)}
    assert keys == {
        "Mattes 2003", "Van Leemput 2001", "Chard 2010", "Battaglini 2012", "Ganiler 2014", *ALWAYS_CITED,
    }  # fmt: skip


def test_reference_list_is_well_formed() -> None:
    """Keys are unique, sorted, made of first author and year; identifiers are bare DOIs."""
    keys = [reference.key for reference in REFERENCES]
    assert keys == sorted(set(keys))
    for reference in REFERENCES:
        assert reference.authors.startswith(reference.key.rsplit(" ", 1)[0])
        assert reference.key.endswith(str(reference.year))
        assert re.fullmatch(r"10\.\d{4,9}/\S+", reference.doi)
        assert reference.url == f"https://doi.org/{reference.doi}"


def test_works_on_the_cord_are_cited() -> None:
    """What the cord's methods text names is found, accents and double names too."""
    sentences = ["Outlined (Timp 2004).", "By the distance (Bédard 2022).", "Toolbox (De Leener 2017)."]
    keys = {reference.key for reference in find_cited(sentences)}
    assert keys == {"Timp 2004", "Bédard 2022", "De Leener 2017", *ALWAYS_CITED}
