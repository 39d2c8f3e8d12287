# SPDX-License-Identifier: Apache-2.0
"""Write the parts of the documentation that are made from the code; the rest of each page is written by hand.

A generated part stands between ``<!-- generated: NAME -->`` and ``<!-- end: NAME -->``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

DOCS = Path(__file__).parent


def generators() -> dict[str, Mapping[str, Callable[[], str]]]:
    """Return, for each page, the function that writes each of its generated parts as Markdown."""
    from bids_msvol.bids.tables import docs_markdown

    return {
        "usage.md": {"flags": flags, "exit codes": exit_codes},
        "outputs.md": {"tables": docs_markdown},
    }


def flags() -> str:
    """Return the table of the options of the command line."""
    from bids_msvol.arguments import describe_flags

    rows = [
        (", ".join(f"`{flag}`" for flag in row.flags), f"`{row.value}`" if row.value else "", row.default, row.help)
        for row in describe_flags()
    ]
    return markdown_table(("option", "takes", "default", "what it does"), rows)


def exit_codes() -> str:
    """Return the table of exit codes."""
    from bids_msvol.arguments import describe_exit_codes

    return markdown_table(("code", "meaning"), [(str(code), meaning) for code, meaning in describe_exit_codes()])


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown, in which no cell's text is taken for markup."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def with_parts(page: str, parts: Mapping[str, Callable[[], str]]) -> str:
    """Return the text of a page with its generated parts written anew.

    Raises
    ------
    ValueError
        If the page lacks the place for a part.
    """
    for name, write in parts.items():
        place = re.compile(rf"(<!-- generated: {name} -->\n).*?(<!-- end: {name} -->)", re.DOTALL)
        content = f"\n{write().strip()}\n\n"
        page, count = place.subn(lambda match, content=content: match[1] + content + match[2], page)
        if count != 1:
            raise ValueError(f"{count} places for the generated part {name!r}; there must be one")
    return page


def outdated(docs: Path = DOCS) -> dict[Path, str]:
    """Return the pages whose generated parts differ from what the code says, with the text they should have."""
    pages = {docs / name: parts for name, parts in generators().items()}
    fresh = {path: with_parts(path.read_text(encoding="utf-8"), parts) for path, parts in pages.items()}
    return {path: text for path, text in fresh.items() if text != path.read_text(encoding="utf-8")}


def main() -> int:
    """Write the pages that are out of date, and name them."""
    for path, text in outdated().items():
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
