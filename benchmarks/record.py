# SPDX-License-Identifier: Apache-2.0
"""Keep what benchmarks found: as JSON, as Markdown in ``docs/benchmarks.md``, and in the reports' table of errors."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bids_msvol
from benchmarks.claim import Findings

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
PAGE = ROOT / "docs" / "benchmarks.md"
MEASURED_ERROR = ROOT / "bids_msvol" / "report" / "measured_error.json"


def make_record(name: str, findings: Findings, command: str, seconds: float) -> dict[str, Any]:
    """Put findings together with the circumstances in which they were found."""
    return {
        "name": name,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "version": bids_msvol.__version__,
        "machine": f"{cpu_model()}, {usable_cores()} cores",
        "command": command,
        "minutes": round(seconds / 60.0, 1),
        **dataclasses.asdict(findings),
    }


def cpu_model() -> str:
    """Return the processor's name, as far as the system tells."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return "unknown processor"
    found = re.search(r"model name\s*:\s*(.+)", text)
    return " ".join(found[1].split()) if found else "unknown processor"


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def to_markdown(record: Mapping[str, Any]) -> str:
    """Return a record as Markdown: claim, tables, then the circumstances."""
    parts = [record["claim"]]
    for table in record["tables"]:
        if table["caption"]:
            parts.append(f"*{table['caption']}*")
        lines = [table["header"], ["---"] * len(table["header"]), *table["rows"]]
        parts.append("\n".join("| " + " | ".join(line) + " |" for line in lines))
    parts.extend(record["notes"])
    circumstances = [f"Data: {record['data']}.", f"Command: `{record['command']}` ({record['minutes']} min)."]
    circumstances.append(f"Version {record['version']}, {record['date']}, {record['machine']}.")
    if record["peers"]:
        circumstances.append(f"Peers: {record['peers']}")
    parts.append("\n".join(f"- {text}" for text in circumstances))
    return "\n\n".join(parts)


def store(record: Mapping[str, Any]) -> None:
    """Store a record as JSON and write it into its place in the documentation.

    Raises
    ------
    ValueError
        If the page has no place for it.
    """
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    (RESULTS / f"{record['name']}.json").write_text(text, encoding="utf-8")
    page = replace_part(PAGE.read_text(encoding="utf-8"), record["name"], to_markdown(record))
    PAGE.write_text(page, encoding="utf-8")


def replace_part(page: str, name: str, text: str) -> str:
    """Return a page with the part between the markers of ``name`` replaced.

    Raises
    ------
    ValueError
        If the markers are not there, once.
    """
    place = re.compile(rf"(<!-- benchmark: {re.escape(name)} -->\n).*?(<!-- end: {re.escape(name)} -->)", re.DOTALL)
    page, count = place.subn(lambda match: f"{match[1]}\n{text.strip()}\n\n{match[2]}", page)
    if count != 1:
        raise ValueError(f"{count} places for the benchmark {name!r}; there must be one")
    return page


def publish() -> list[str]:
    """Copy the stored figures into the table that the reports print; return the keys that were filled.

    Raises
    ------
    ValueError
        If the stored figures come from more than one version of the program.
    """
    table = json.loads(MEASURED_ERROR.read_text(encoding="utf-8"))
    versions, filled = set(), []
    for path in sorted(RESULTS.glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        for key, measure in record["measures"].items():
            entry = table["measures"][key]
            versions.add(record["version"])
            filled.append(key)
            entry["data"], entry["cases"] = measure["data"], measure["cases"]
            for name in entry["values"]:
                value = measure["values"].get(name)
                entry["values"][name] = None if value is None else float(f"{value:.3g}")
    if len(versions) > 1:
        raise ValueError(f"the figures come from several versions: {', '.join(sorted(versions))}")
    table["version"] = versions.pop() if versions else None
    MEASURED_ERROR.write_text(json.dumps(table, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return filled
