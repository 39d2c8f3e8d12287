# SPDX-License-Identifier: Apache-2.0
"""The command line: spellings, aliases, refusals with their codes, and the tables made for the documentation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bids_msvol.arguments import build_parser, describe_exit_codes, describe_flags, parse_arguments
from bids_msvol.config import Config, options
from bids_msvol.configfile import to_toml
from bids_msvol.errors import ExitCode, MSVolError


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    (tmp_path / "raw").mkdir()
    return tmp_path


def parse(folder: Path, *flags: str) -> Config:
    return parse_arguments([str(folder / "raw"), str(folder / "out"), "participant", *flags])


def refusal(folder: Path, *flags: str) -> MSVolError:
    with pytest.raises(MSVolError) as caught:
        parse(folder, *flags)
    return caught.value


@pytest.mark.parametrize(
    ("flags", "field", "value"),
    [
        ("--participant-label sub-01 02", "participant_labels", ("01", "02")),
        ("--participant_label 01 --participant-labels 02", "participant_labels", ("01", "02")),
        ("--session-label ses-1", "session_labels", ("1",)),
        ("--session_label 1", "session_labels", ("1",)),
        ("--session-id 1", "session_labels", ("1",)),
        ("--session_id 1", "session_labels", ("1",)),
        ("--nprocs 3", "nprocs", 3),
        ("--n_cpus 3", "nprocs", 3),
        ("--n-cpus 3", "nprocs", 3),
        ("--nthreads 3", "nprocs", 3),
        ("--omp_nthreads 3", "omp_nthreads", 3),
        ("--mem-gb 7.5", "mem_gb", 7.5),
        ("--mem 7500MB", "mem_gb", 7.5),
        ("--skip_bids_validation", "bids_validation", "skip"),
        ("--skip-bids-validator", "bids_validation", "skip"),
        ("--bids-validation error", "bids_validation", "error"),
        ("--sloppy", "resolution_mm", 2.0),
        ("--resolution 1.5", "resolution_mm", 1.5),
        ("--random_seed 0", "random_seed", 0),
        ("--dry_run", "dry_run", True),
        ("--reports-only", "reports_only", True),
        ("--stop_on_first_crash", "stop_on_first_crash", True),
        ("--clean-workdir", "clean_workdir", True),
        ("--notrack", "notrack", True),
        ("-vv", "verbosity", 2),
        ("-w /w", "work_dir", Path("/w")),
        ("--work_dir /w", "work_dir", Path("/w")),
        ("--bids_database_dir /db", "bids_database_dir", Path("/db")),
    ],
)
def test_flags(dataset: Path, flags: str, field: str, value: object) -> None:
    """Each flag, in either spelling and under each alias, sets its field."""
    assert getattr(parse(dataset, *flags.split()), field) == value


def test_every_flag_has_both_spellings() -> None:
    """No hyphenated flag lacks its spelling with underscores."""
    flags = {flag for action in build_parser()._actions for flag in action.option_strings if flag.startswith("--")}
    assert all("--" + flag[2:].replace("-", "_") in flags for flag in flags)


def test_files_given_as_arguments(dataset: Path) -> None:
    """Filters, derivatives and a label file are read."""
    (dataset / "f.json").write_text(json.dumps({"t1w": {"run": "1"}}))
    (dataset / "labels.txt").write_text("sub-07\n")
    (dataset / "masks").mkdir()
    config = parse(
        dataset,
        *("--bids-filter-file", str(dataset / "f.json"), "--participant-label", str(dataset / "labels.txt")),
        *("-d", f"lesions={dataset / 'masks'}"),
    )
    assert config.bids_filters == {"t1w": {"run": "1"}}
    assert config.participant_labels == ("07",)
    assert config.derivatives == {"lesions": dataset / "masks"}


def test_config_file_under_the_command_line(dataset: Path) -> None:
    """A configuration left by an earlier run can be given again; the command line has precedence."""
    (dataset / "c.toml").write_text(to_toml(parse(dataset, "--random-seed", "5", "--sloppy")))
    config = parse(dataset, "--config-file", str(dataset / "c.toml"), "--random-seed", "6")
    assert (config.random_seed, config.resolution_mm) == (6, 2.0)


def test_work_folder_is_private_and_outside_the_output(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default work folder is the user's own, in the folder for temporary files."""
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(dataset / "tmp"))
    assert parse(dataset).work_dir.parent == dataset / "tmp"


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (["--nprocs", "0"], ExitCode.USAGE, "--nprocs: '0' is not a whole number"),
        (["--nprocs", "many"], ExitCode.USAGE, "--nprocs"),
        (["--mem", "16"], ExitCode.USAGE, "Write 16G or 16M"),
        (["--mem-gb", "8", "--mem", "8G"], ExitCode.USAGE, "not allowed with"),
        (["--participant-lable", "01"], ExitCode.USAGE, "Did you mean --participant-label"),
        (["--participant"], ExitCode.USAGE, "unknown flag"),
        (["--bids-validation", "maybe"], ExitCode.USAGE, "warn, error, skip"),
        (["--sloppy", "--resolution", "1"], ExitCode.USAGE, "not allowed with"),
        (["--work-dir"], ExitCode.USAGE, "expected one argument"),
        (["--dry-run", "participant"], ExitCode.USAGE, "belongs to no flag"),
        (["--bids-filter-file", "/nonexistent.json"], ExitCode.NO_INPUT, "/nonexistent.json"),
        (["--config-file", "/nonexistent.toml"], ExitCode.NO_INPUT, "/nonexistent.toml"),
    ],
)
def test_refused_flags(dataset: Path, flags: list[str], code: ExitCode, words: str) -> None:
    """What cannot be understood ends in its code with a message that helps."""
    error = refusal(dataset, *flags)
    assert error.exit_code == code
    assert words in str(error)


@pytest.mark.parametrize(
    ("levels", "code", "words"),
    [
        (["groups"], ExitCode.UNKNOWN_LEVEL, "unknown analysis level 'groups'"),
        (["participant", "grp"], ExitCode.UNKNOWN_LEVEL, "unknown analysis level 'grp'"),
        (["particpant"], ExitCode.UNKNOWN_LEVEL, "unknown analysis level 'particpant'"),
        ([], ExitCode.USAGE, "analysis_level"),
    ],
)
def test_levels(dataset: Path, levels: list[str], code: ExitCode, words: str) -> None:
    """Unknown levels have their own code, and are refused before anything runs."""
    with pytest.raises(MSVolError) as caught:
        parse_arguments([str(dataset / "raw"), str(dataset / "out"), *levels])
    assert caught.value.exit_code == code
    assert words in str(caught.value)


def test_tables_for_the_documentation_are_complete() -> None:
    """Every flag of the parser and every exit code has a row with a text."""
    rows = describe_flags()
    described = {flag for row in rows for flag in row.flags}
    accepted = {flag for action in build_parser()._actions for flag in action.option_strings if "_" not in flag}
    assert accepted <= described
    assert {options()[name].metavar for name in ("bids_dir", "output_dir", "levels")} <= described
    assert all(row.help.endswith(".") for row in rows)
    assert [code for code, _ in describe_exit_codes()] == [int(code) for code in ExitCode]
    assert all(meaning for _, meaning in describe_exit_codes())


def test_help_shows_hyphens_only() -> None:
    """The help is not doubled by the spellings with underscores."""
    text = build_parser().format_help()
    assert "--participant-label" in text
    assert "--participant_label" not in text
