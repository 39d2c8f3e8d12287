# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from bids_msvol.bids.records import IgnoredScan, Scan, Session, Subject
from bids_msvol.bids.unmeasured import load_failures, load_skipped, record_unmeasured
from bids_msvol.errors import DataError, ExitCode
from bids_msvol.outcome import SessionFailure
from tests.bids.skeleton import make_config

FAILURE = SessionFailure("sub-01_ses-2", "T1w.nii.gz: is cut short. Copy it again.", ExitCode.DATA_ERROR)
SKIPPED = IgnoredScan("sub-01/ses-3", "it has no T1w")


def subject(*sessions: str, skipped: tuple[IgnoredScan, ...] = ()) -> Subject:
    scan = Scan(Path("T1w.nii.gz"), "T1w.nii.gz", "T1w", {})
    return Subject("01", tuple(Session("01", label, scan, "the only one") for label in sessions), skipped)


def test_what_was_recorded_comes_back(tmp_path: Path) -> None:
    """Failures and skipped sessions are read back whole, and recording the same again is no change."""
    config = make_config(tmp_path)
    whole = subject("1", "2", skipped=(SKIPPED,))
    assert record_unmeasured(whole, config, (FAILURE,))
    assert load_failures(config.output_dir, "01") == (FAILURE,)
    assert load_skipped(config.output_dir, "01") == (SKIPPED,)
    assert not record_unmeasured(whole, config, (FAILURE,))


def test_a_run_without_troubles_leaves_no_record(tmp_path: Path) -> None:
    """Nothing is written for nothing, and what an earlier run wrote goes away."""
    config = make_config(tmp_path)
    assert not record_unmeasured(subject("1"), config, ())
    assert not (config.output_dir / "sub-01").exists()
    record_unmeasured(subject("1", "2", skipped=(SKIPPED,)), config, (FAILURE,))
    assert record_unmeasured(subject("1", "2"), config, ())
    assert load_failures(config.output_dir, "01") == ()
    assert load_skipped(config.output_dir, "01") == ()


def test_a_session_that_is_gone_is_forgotten_by_a_whole_run_only(tmp_path: Path) -> None:
    """A job for session 1 does not touch what a job for session 2 recorded; a run of everything does."""
    record_unmeasured(subject("1", "2"), make_config(tmp_path), (FAILURE,))
    assert not record_unmeasured(subject("1"), make_config(tmp_path, session_labels=("1",)), ())
    assert load_failures(tmp_path / "out", "01") == (FAILURE,)
    assert record_unmeasured(subject("1"), make_config(tmp_path), ())
    assert load_failures(tmp_path / "out", "01") == ()


@pytest.mark.parametrize("text", ["{", "[]", '{"Session": "sub-01_ses-2", "Reason": "x", "ExitCode": 3}'])
def test_a_damaged_record_is_named_and_replaced(tmp_path: Path, text: str) -> None:
    """Reading says which file is damaged; the next run writes it anew."""
    config = make_config(tmp_path)
    record_unmeasured(subject("2"), config, (FAILURE,))
    path = config.output_dir / "sub-01" / "log" / "sub-01_ses-2_failure.json"
    path.write_text(text)
    with pytest.raises(DataError, match="is damaged") as caught:
        load_failures(config.output_dir, "01")
    assert caught.value.subject == path
    assert record_unmeasured(subject("2"), config, (FAILURE,))
    assert load_failures(config.output_dir, "01") == (FAILURE,)
