# SPDX-License-Identifier: Apache-2.0
"""A section of a report, and how its HTML is made from a template."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2


@dataclass(frozen=True)
class Section:
    """One section of a report.

    Attributes
    ----------
    title
        Heading, also shown in the table of contents.
    anchor
        Identifier within the page, for links.
    html
        Body below the heading; trusted, everything in it was escaped by the template that made it.
    """

    title: str
    anchor: str
    html: str


def render(template: str, **values: Any) -> str:
    """Fill a template of this package.

    Parameters
    ----------
    template
        File name in ``templates/``.
    values
        What the template uses. Strings are escaped; a name that the template uses and that is missing is an error.
    """
    return _environment().get_template(template).render(**values)


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    import jinja2

    from bids_msvol.report import wording

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bids_msvol.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["ml"] = wording.format_ml
    environment.filters["number"] = wording.format_number
    environment.filters["signed"] = wording.format_change
    environment.filters["percent"] = wording.format_percent
    environment.globals["verdict_word"] = wording.VERDICT_WORDS
    return environment
