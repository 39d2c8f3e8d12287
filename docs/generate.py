# SPDX-License-Identifier: Apache-2.0
"""Write the parts of the documentation that are made from the code; the rest of each page is written by hand.

A generated part stands between ``<!-- generated: NAME -->`` and ``<!-- end: NAME -->``.
"""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

DOCS = Path(__file__).parent


def generators() -> dict[str, Mapping[str, Callable[[], str]]]:
    """Return, for each page, the function that writes each of its generated parts as Markdown."""
    from bids_msvol.bids.tables import docs_markdown

    return {
        "group.md": {"plan": plan, "analyses": analyses, "group tables": group_tables},
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


def plan() -> str:
    """Return the default analysis plan as TOML, each choice with what it means."""
    from dataclasses import fields, is_dataclass
    from typing import Literal, get_args, get_origin, get_type_hints

    from bids_msvol.group.plan import Plan
    from bids_msvol.group.plan_file import plan_to_toml

    default = Plan()
    meanings: dict[str, str] = {}
    for section in (default, *(getattr(default, item.name) for item in fields(default))):
        if is_dataclass(section) and not isinstance(section, type):
            meanings.update(_attributes(type(section).__doc__ or ""))
            for name, kind in get_type_hints(type(section)).items():
                if get_origin(kind) is Literal:
                    meanings[name] += f" One of {', '.join(get_args(kind))}."
    lines = []
    for line in plan_to_toml(default).splitlines():
        name = line.partition(" = ")[0]
        if name in meanings:
            lines += textwrap.wrap(meanings[name], 110, initial_indent="# ", subsequent_indent="# ")
        lines.append(line)
    return "\n".join(("```toml", *lines, "```"))


def _attributes(docstring: str) -> dict[str, str]:
    """Return the meaning of each attribute that a docstring describes; of several together, that of all."""
    meanings: dict[str, str] = {}
    names: list[str] = []
    for line in inspect.cleandoc(docstring).partition("----------\n")[2].splitlines():
        if line and not line.startswith(" "):
            names = line.split(", ")
        elif line:
            for name in names:
                meanings[name] = f"{meanings.get(name, '')} {line.strip()}".strip().replace("`", "")
    return meanings


def analyses() -> str:
    """Return the table of the analyses of the group level."""
    from bids_msvol.group.plan import ANALYSES
    from bids_msvol.group.run import analysis_module

    rows = []
    for name in ANALYSES:
        module = analysis_module(name)
        about = (module.__doc__ or "").partition("\n")[0]
        rows.append((f"`{name}`", module.TITLE, about, ", ".join(f"`{one.file_name}`" for one in module.TABLES)))
    return markdown_table(("name in the plan", "title", "what it asks", "tables"), rows)


def group_tables() -> str:
    """Return a description of every table of the group level."""
    from bids_msvol.bids.tables import table_markdown
    from bids_msvol.group.run import all_tables

    return "\n".join(table_markdown(table) for table in all_tables())


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
