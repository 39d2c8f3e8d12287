# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
from pathlib import Path

import pytest

from bids_msvol.bids import validator
from bids_msvol.bids.validator import validate_dataset
from bids_msvol.errors import BIDSInvalidError
from tests.bids.skeleton import make_config, make_dataset

needs_validator = pytest.mark.skipif(validator._find_command() is None, reason="bids-validator-deno is not installed")
BAD = {"sub-01/anat/sub-01_T1w.nii.gz": None, "sub-01/anat/sub-01_misnamed.nii.gz": None}


@needs_validator
def test_warn_logs_what_is_wrong(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """By default a fault is named in the log with its file, and the run goes on."""
    make_dataset(tmp_path / "raw", BAD)
    with caplog.at_level(logging.WARNING):
        result = validate_dataset(make_config(tmp_path))
    assert result is not None
    assert "sub-01_misnamed.nii.gz" in {Path(issue.example).name for issue in result.errors}
    assert "sub-01_misnamed.nii.gz" in caplog.text


@needs_validator
def test_error_stops_with_code_16(tmp_path: Path) -> None:
    """With ``--bids-validation error`` the same fault ends the run."""
    make_dataset(tmp_path / "raw", BAD)
    with pytest.raises(BIDSInvalidError, match=r"sub-01_misnamed\.nii\.gz") as caught:
        validate_dataset(make_config(tmp_path, bids_validation="error"))
    assert caught.value.exit_code == 16


@needs_validator
def test_a_valid_dataset_passes_without_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The validator runs where HOME and its cache folder do not exist."""
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.setenv("DENO_DIR", "/nonexistent/deno")
    make_dataset(tmp_path / "raw", {"sub-01/anat/sub-01_T1w.nii.gz": None})
    result = validate_dataset(make_config(tmp_path, bids_validation="error"))
    assert result is not None
    assert result.errors == ()


@pytest.mark.parametrize("script", [None, "#!/bin/sh\necho broken; exit 1\n", "#!/bin/sh\necho '{}'\n"])
def test_a_validator_that_cannot_run_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, script: str | None
) -> None:
    """Missing, crashing or answering nonsense: the dataset is not validated, and the run goes on."""
    command = tmp_path / "validator"
    if script is not None:
        command.write_text(script)
        command.chmod(0o755)
    monkeypatch.setattr(validator, "_find_command", lambda: None if script is None else str(command))
    make_dataset(tmp_path / "raw", BAD)
    with caplog.at_level(logging.WARNING):
        assert validate_dataset(make_config(tmp_path, bids_validation="error")) is None
    assert "not validated" in caplog.text


def test_skip_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``skip`` the validator is not even looked for."""
    monkeypatch.setattr(validator, "_find_command", lambda: pytest.fail("looked for the validator"))
    assert validate_dataset(make_config(tmp_path, bids_validation="skip")) is None
