# SPDX-License-Identifier: Apache-2.0
"""The configuration: values and their messages, TOML files, and the hash of what changes results."""

from __future__ import annotations

import dataclasses
import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bids_msvol import values
from bids_msvol.config import Config, make_config, options, participant_work_dir, result_hash
from bids_msvol.configfile import read_config_file, to_toml
from bids_msvol.errors import ExitCode, MSVolError, NoInputError, UsageError
from bids_msvol.filters import parse_filters


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "masks").mkdir()
    return Config(
        bids_dir=tmp_path / "raw",
        output_dir=tmp_path / 'out "quoted" \\ ü',
        participant_labels=("01", "02"),
        session_labels=("baseline",),
        bids_filters={"t1w": {"acquisition": None, "run": "*", "session": ("01", "02")}},
        work_dir=tmp_path / "work",
        nprocs=3,
        omp_nthreads=2,
        mem_gb=7.5,
        derivatives={"lesions": tmp_path / "masks"},
        random_seed=7,
        resolution_mm=2.0,
        dry_run=True,
        verbosity=1,
    )


def test_toml_round_trip(config: Config, tmp_path: Path) -> None:
    """A configuration written as TOML and read again is the same, null filters and odd characters included."""
    path = tmp_path / "config.toml"
    path.write_text(to_toml(config), encoding="utf-8")
    assert make_config({}, read_config_file(path), file=path) == config


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_text_survives_toml(text: str) -> None:
    """Every text, control characters included, is written as valid TOML that gives it back."""
    import tomllib

    config = Config(bids_dir=Path("/a"), output_dir=Path("/b"), bids_filters={"t1w": {"acquisition": text}})
    assert tomllib.loads(to_toml(config))["bids_filters"]["t1w"]["acquisition"] == text


def test_command_line_goes_before_file_before_default(tmp_path: Path) -> None:
    """Each source only fills what the one before it left open."""
    file = {"random_seed": 3, "nprocs": 2, "bids_dir": "/file", "output_dir": "/out"}
    config = make_config({"bids_dir": "/line", "random_seed": "5"}, file, file=tmp_path / "c.toml")
    assert (config.bids_dir, config.random_seed, config.nprocs, config.resolution_mm) == (Path("/line"), 5, 2, 1.0)
    assert config.omp_nthreads == 2, "threads follow the processors that were given, not those of the machine"


def test_unknown_key_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    """A misspelt key of a configuration file names the right one."""
    path = tmp_path / "c.toml"
    path.write_text("random_sed = 3\n")
    with pytest.raises(UsageError, match=r"c\.toml: unknown option 'random_sed'\. Did you mean random_seed"):
        read_config_file(path)


@pytest.mark.parametrize(("content", "kind"), [(None, NoInputError), (b"a = ", UsageError), (b"\xff", UsageError)])
def test_unreadable_config_file(tmp_path: Path, content: bytes | None, kind: type[MSVolError]) -> None:
    """A missing, malformed or binary file gets its own message and names the file."""
    path = tmp_path / "c.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(kind) as caught:
        read_config_file(path)
    assert caught.value.subject == path


def test_wrong_value_in_file_names_file_and_key(tmp_path: Path) -> None:
    """A value of the wrong type in a file is reported with its place."""
    with pytest.raises(UsageError, match=r"c\.toml: dry_run: 'yes' is not a switch"):
        make_config({"bids_dir": "/a", "output_dir": "/b"}, {"dry_run": "yes"}, file=tmp_path / "c.toml")


def test_hash_changes_with_results_only(config: Config) -> None:
    """Options that change numbers change the hash; folders, resources and labels do not."""
    neutral = {
        "bids_dir": Path("/x"),
        "output_dir": Path("/x"),
        "work_dir": Path("/x"),
        "nprocs": 99,
        "omp_nthreads": 9,
        "mem_gb": 1.0,
        "participant_labels": (),
        "session_labels": (),
        "dry_run": False,
        "verbosity": 0,
        "bids_validation": "skip",
    }
    reference = result_hash(config)
    assert len(reference) == 12
    assert int(reference, 16) >= 0
    assert result_hash(dataclasses.replace(config, **neutral)) == reference
    for change in ({"resolution_mm": 1.0}, {"random_seed": 8}, {"bids_filters": {"t1w": {"run": "1"}}}):
        assert result_hash(dataclasses.replace(config, **change)) != reference


def test_hash_ignores_which_sessions_a_filter_selects(config: Config) -> None:
    """Jobs that each filter one session may share an output folder."""
    hashes = {
        result_hash(dataclasses.replace(config, bids_filters={"t1w": {"session": label}})) for label in ("01", "02")
    }
    assert hashes == {result_hash(dataclasses.replace(config, bids_filters={}))}


def test_config_crosses_process_borders(config: Config) -> None:
    """A configuration can be pickled."""
    assert pickle.loads(pickle.dumps(config)) == config


def test_every_field_has_an_option_with_help() -> None:
    """The help and the documentation have a sentence for each field."""
    assert list(options()) == [field.name for field in dataclasses.fields(Config)]
    assert all(option.help.endswith(".") for option in options().values())


def test_work_folder_depends_on_version(config: Config) -> None:
    """Intermediate files of another version are never met."""
    from bids_msvol import __version__

    assert participant_work_dir(config, "01") == config.work_dir / f"bids_msvol-{__version__}" / "sub-01"


# Values ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "gb"),
    [("8G", 8.0), ("7.5gb", 7.5), ("16000MB", 16.0), ("16000", 16.0), ("8 GiB", 8.589934592), ("1T", 1000.0)],
)
def test_memory_units(text: str, gb: float) -> None:
    """Memory is read with its unit; a large bare number is MB."""
    assert values.parse_memory_gb(text, "--mem") == pytest.approx(gb)


@pytest.mark.parametrize("text", ["16", "255", "much", "-3G", "0G", "8X", "8i", ""])
def test_memory_refused(text: str) -> None:
    """An ambiguous bare number and everything that is no amount is refused."""
    with pytest.raises(UsageError, match="--mem"):
        values.parse_memory_gb(text, "--mem")


def test_labels_with_and_without_prefix_and_from_file(tmp_path: Path) -> None:
    """Prefixes are stripped, repetitions dropped, and a text file of labels is read in place."""
    path = tmp_path / "labels.txt"
    path.write_text("# who\nsub-03\n\n 04 \n")
    assert values.parse_participant_labels(["sub-01", "01", str(path), "05"], "--x") == ("01", "03", "04", "05")
    assert values.parse_session_labels(["ses-M12"], "--x") == ("M12",)


@pytest.mark.parametrize("content", ["", "01 02\n", "participant_id\n"])
def test_label_file_with_something_else(tmp_path: Path, content: str) -> None:
    """A file without labels, or with more than one on a line, is refused by name."""
    path = tmp_path / "labels.txt"
    path.write_text(content)
    with pytest.raises(UsageError) as caught:
        values.parse_participant_labels([str(path)], "--x")
    assert caught.value.subject == path


def test_label_that_is_neither_label_nor_file() -> None:
    """A typing mistake is not taken for a file."""
    with pytest.raises(UsageError, match="neither a label"):
        values.parse_participant_labels(["sub_01"], "--participant-label")


def test_path_keeps_symbolic_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are made absolute and ``~`` is expanded, but links stay, as git-annex needs."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert values.parse_path("link", "x") == tmp_path / "link"
    assert values.parse_path("~/link", "x") == tmp_path / "link"


def test_derivatives(tmp_path: Path) -> None:
    """NAME=PATH is read; a missing part, a repetition and a missing folder are refused."""
    assert values.parse_derivatives([f"fs={tmp_path}"], "-d") == {"fs": tmp_path}
    for wrong in (["fs"], ["fs="], ["=x"], [f"fs={tmp_path}", f"fs={tmp_path}"]):
        with pytest.raises(UsageError):
            values.parse_derivatives(wrong, "-d")
    with pytest.raises(NoInputError):
        values.parse_derivatives([f"fs={tmp_path / 'none'}"], "-d")


@pytest.mark.parametrize("raw", ["0.1", "9", "nan", "inf", "one", "", True])
def test_resolution_refused(raw: object) -> None:
    """Only sensible voxel sizes are taken."""
    with pytest.raises(UsageError):
        values.parse_resolution_mm(raw, "--resolution")


# Filters --------------------------------------------------------------------------------------------------------------


def write_json(path: Path, content: object) -> str:
    path.write_text(json.dumps(content))
    return str(path)


def test_filter_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Null, star, numbers, lists and prefixes are read; other programs' keys are passed over with a message."""
    content = {
        "T1w": {"session": "ses-01", "acquisition": None, "reconstruction": "*", "run": 1, "datatype": "anat"},
        "flair": {"run": [1, 2], "extension": [".nii", ".nii.gz"]},
        "bold": {"task": "rest"},
    }
    with caplog.at_level("INFO", logger="bids_msvol"):
        filters = parse_filters(write_json(tmp_path / "f.json", content), "--bids-filter-file")
    assert filters == {
        "t1w": {"session": "01", "acquisition": None, "reconstruction": "*", "run": "1"},
        "flair": {"run": ("1", "2")},
    }
    assert "bold has no effect" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"t1": {}}, "unknown contrast 't1'. Did you mean t1w"),
        ({"t1w": {"acquisiton": "x"}}, "unknown entity 'acquisiton' in t1w. Did you mean acquisition"),
        ({"t1w": {"run": {}}}, "cannot be the value of run"),
        ({"t1w": {"datatype": "func"}}, "unknown entity 'datatype'"),
        ({"t1w": "01"}, "t1w is not a table"),
        ([], "not a table of filters"),
    ],
)
def test_filter_file_refused(tmp_path: Path, content: object, message: str) -> None:
    """A filter that would silently do nothing is refused, with the nearest right word."""
    with pytest.raises(UsageError) as caught:
        parse_filters(write_json(tmp_path / "f.json", content), "--bids-filter-file")
    assert message in str(caught.value)
    assert "f.json" in str(caught.value)


def test_filter_file_unreadable(tmp_path: Path) -> None:
    """A missing file and broken JSON have their own codes."""
    with pytest.raises(NoInputError):
        parse_filters(str(tmp_path / "none.json"), "x")
    (tmp_path / "f.json").write_text("{")
    with pytest.raises(UsageError) as caught:
        parse_filters(str(tmp_path / "f.json"), "x")
    assert caught.value.exit_code == ExitCode.USAGE
