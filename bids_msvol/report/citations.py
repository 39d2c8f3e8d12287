# SPDX-License-Identifier: Apache-2.0
"""Which of the publications a text cites."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bids_msvol.report.references import REFERENCES, Reference

ALWAYS_CITED = ("Gorgolewski 2016",)
"""Cited whatever was measured: the data standard."""


def find_cited(sentences: Iterable[str]) -> tuple[Reference, ...]:
    """Return the references that sentences cite by first author and year, and those that are always cited.

    ``Avants 2008``, ``Avants and others (2008)`` and ``Avants et al., 2008`` all count as citations.

    Parameters
    ----------
    sentences
        The methods text.
    """
    text = " ".join(sentences)
    return tuple(reference for reference in REFERENCES if reference.key in ALWAYS_CITED or _is_cited(reference, text))


def _is_cited(reference: Reference, text: str) -> bool:
    surname = re.escape(reference.key.rsplit(" ", 1)[0])
    # Between surname and year: co-authors, "et al." or a bracket, but neither the end of a sentence nor another year.
    return re.search(rf"\b{surname}\b(?:et al\.|[^;.\d]){{0,60}}{reference.year}\b", text) is not None
