# SPDX-License-Identifier: Apache-2.0
"""Run the BIDS validator on the input dataset."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bids_msvol.errors import BIDSInvalidError

if TYPE_CHECKING:
    from bids_msvol.config import Config

logger = logging.getLogger(__name__)

_COMMAND = "bids-validator-deno"
_TIMEOUT_S = 900
_SHOWN = 5


@dataclass(frozen=True)
class ValidationIssue:
    """One kind of issue: its code, how many files have it, and the first of them."""

    code: str
    n_files: int
    example: str


@dataclass(frozen=True)
class ValidationResult:
    """What the validator found."""

    errors: tuple[ValidationIssue, ...]
    warnings: tuple[ValidationIssue, ...]


def validate_dataset(config: Config) -> ValidationResult | None:
    """Validate the input dataset as the configuration asks.

    Returns
    -------
    ValidationResult or None
        ``None`` if validation was not asked for or the validator cannot run here, which is logged.

    Raises
    ------
    BIDSInvalidError
        If errors are found and ``bids_validation`` is ``error``.
    """
    if config.bids_validation == "skip":
        return None
    result = run_validator(config.bids_dir)
    if result is None or not result.errors:
        return result
    kinds = "; ".join(f"{issue.code} ({issue.n_files}, such as {issue.example})" for issue in result.errors[:_SHOWN])
    if config.bids_validation == "error":
        raise BIDSInvalidError(
            f"is not valid BIDS: {kinds}",
            remedy="Mend the dataset, or go on all the same with --bids-validation warn",
            subject=config.bids_dir,
        )
    logger.warning("%s is not valid BIDS: %s. It is used all the same.", config.bids_dir, kinds)
    return result


def run_validator(dataset: Path) -> ValidationResult | None:
    """Run the validator on a dataset; ``None`` if it cannot run here, which is logged and is no reason to stop."""
    command = _find_command()
    if command is None:
        logger.warning("The BIDS validator is not installed; %s is not validated.", dataset)
        return None
    with tempfile.TemporaryDirectory(prefix="bids_msvol-validator-") as cache:
        # Its run-time writes to HOME, which may be missing or read-only in a container.
        environment = {**os.environ, "DENO_DIR": cache, "HOME": cache, "DENO_NO_UPDATE_CHECK": "1"}
        try:
            process = subprocess.run(
                [command, "--format", "json", "--ignoreNiftiHeaders", str(dataset)],
                capture_output=True,
                env=environment,
                timeout=_TIMEOUT_S,
                check=False,
            )
            return _parse(json.loads(process.stdout))
        except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError) as error:
            logger.warning("The BIDS validator could not run (%s); %s is not validated.", error, dataset)
            return None


def _find_command() -> str | None:
    beside = Path(sys.executable).with_name(_COMMAND)
    return str(beside) if beside.exists() else shutil.which(_COMMAND)


def _parse(report: dict[str, dict[str, list[dict[str, str]]]]) -> ValidationResult:
    found: dict[str, list[ValidationIssue]] = {"error": [], "warning": []}
    for severity, kinds in found.items():
        issues = [issue for issue in report["issues"]["issues"] if issue.get("severity") == severity]
        for code, count in Counter(issue["code"] for issue in issues).most_common():
            example = next(issue.get("location", "") for issue in issues if issue["code"] == code)
            kinds.append(ValidationIssue(code, count, example.lstrip("/") or "the dataset"))
    return ValidationResult(tuple(found["error"]), tuple(found["warning"]))
