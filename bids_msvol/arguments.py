# SPDX-License-Identifier: Apache-2.0
"""The command line: its flags, and how they become a `Config`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from bids_msvol import __version__
from bids_msvol.config import SLOPPY_RESOLUTION_MM, Config, make_config, options
from bids_msvol.configfile import read_config_file
from bids_msvol.errors import ExitCode, UsageError
from bids_msvol.option import Option
from bids_msvol.values import parse_memory_gb, parse_path, suggest

LEVELS = ("participant", "group")

_POSITIONAL = ("bids_dir", "output_dir", "levels")

_GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("what to process", ("participant_labels", "session_labels", "bids_filters", "derivatives")),
    ("reading the dataset", ("bids_database_dir", "bids_validation")),
    ("measurement", ("resolution_mm", "no_lesion_filling", "cord_engine", "random_seed")),
    (
        "group level",
        ("analysis_plan", "clinical_dir", "clinical_map", "steroid_washout_days", "exclude_if", "bvl_cutoff"),
    ),
    ("resources", ("work_dir", "nprocs", "omp_nthreads", "mem_gb")),
    (
        "how the run goes",
        ("dry_run", "reports_only", "stop_on_first_crash", "clean_workdir", "verbosity", "notrack"),
    ),
)
"""Sections of the help, with the fields of `Config` in each."""

EXIT_CODES: dict[ExitCode, str] = {
    ExitCode.OK: "All participants were processed, or had been before.",
    ExitCode.FAILED: "A participant failed for an unforeseen reason, or several for different reasons.",
    ExitCode.BIDS_INVALID: "The dataset is not valid BIDS and --bids-validation is error.",
    ExitCode.UNKNOWN_LEVEL: "The analysis level is unknown.",
    ExitCode.NOTHING_SELECTED: "Labels or filters select no file.",
    ExitCode.INVOCATION: "The command line does not fit the data or an earlier run in the same output folder.",
    ExitCode.USAGE: "The command line or the configuration file cannot be understood.",
    ExitCode.DATA_ERROR: "An image or table exists, but cannot be used.",
    ExitCode.NO_INPUT: "A file that is needed does not exist, or was not fetched.",
    ExitCode.CANNOT_CREATE: "An output cannot be written.",
    ExitCode.IO_ERROR: "Reading or writing failed.",
    ExitCode.TEMPORARY: "Memory or disk ran out; the same call may succeed with more.",
}


class UnknownLevelError(UsageError):
    """The analysis level is not one of the program's."""

    exit_code = ExitCode.UNKNOWN_LEVEL


@dataclass(frozen=True)
class FlagDescription:
    """One row of the documentation's table of flags.

    Attributes
    ----------
    flags
        Every spelling in hyphens; the name for a positional argument.
    value
        What the flag takes, empty for a switch.
    default
        The default in words.
    help
        What it does.
    """

    flags: tuple[str, ...]
    value: str
    default: str
    help: str


_SPECIAL_FLAGS = (
    FlagDescription(("--mem",), "AMOUNT", "as --mem-gb", "Memory to use in all, with its unit, such as 8G or 16000MB."),
    FlagDescription(
        ("--skip-bids-validation", "--skip-bids-validator"), "", "off", "The same as --bids-validation skip."
    ),
    FlagDescription(
        ("--sloppy",), "", "off", f"The same as --resolution {SLOPPY_RESOLUTION_MM:g}: quick, for tests only."
    ),
    FlagDescription(
        ("--config-file",), "FILE", "none", "TOML file of options by their long names; the command line has precedence."
    ),
    FlagDescription(("--version",), "", "", "Print the version and exit."),
    FlagDescription(("--help", "-h"), "", "", "Print the help and exit."),
)


def both_spellings(flags: Sequence[str]) -> tuple[str, ...]:
    """Return the flags with hyphens and with underscores, without repetition."""
    underscored = (
        "--" + flag.removeprefix("--").replace("-", "_") if flag.startswith("--") else flag for flag in flags
    )
    return tuple(dict.fromkeys((*flags, *underscored)))


def build_parser() -> argparse.ArgumentParser:
    """Make the parser; what the user does not give is absent from its result."""
    parser = _Parser(
        prog="bids_msvol",
        description="Measure multiple sclerosis on MRI: from a BIDS dataset to measurements, statistics and reports.",
        epilog="Every long flag may be spelled with _ in place of -. Not a medical device.",
        formatter_class=_HelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    known = options()
    for name in _POSITIONAL:
        parser.add_argument(
            name, metavar=known[name].metavar, help=known[name].help, nargs="+" if known[name].many else None
        )
    special = {flag.flags[0]: flag for flag in _SPECIAL_FLAGS}
    for title, names in _GROUPS:
        group = parser.add_argument_group(title)
        for name in names:
            if name == "mem_gb":
                exclusive = group.add_mutually_exclusive_group()
                _add_option(exclusive, name, known[name])
                exclusive.add_argument("--mem", metavar=special["--mem"].value, help=special["--mem"].help)
            elif name == "bids_validation":
                exclusive = group.add_mutually_exclusive_group()
                _add_option(exclusive, name, known[name])
                skip = special["--skip-bids-validation"]
                exclusive.add_argument(
                    *both_spellings(skip.flags), dest=name, action="store_const", const="skip", help=skip.help
                )
            elif name == "resolution_mm":
                exclusive = group.add_mutually_exclusive_group()
                _add_option(exclusive, name, known[name])
                exclusive.add_argument(
                    "--sloppy",
                    dest=name,
                    action="store_const",
                    const=SLOPPY_RESOLUTION_MM,
                    help=special["--sloppy"].help,
                )
            else:
                _add_option(group, name, known[name])
    file = special["--config-file"]
    parser.add_argument(*both_spellings(file.flags), metavar=file.value, help=file.help)
    parser.add_argument("--version", action="version", version=f"bids_msvol {__version__}")
    return parser


def parse_arguments(argv: Sequence[str] | None = None) -> Config:
    """Turn a command line into a checked configuration.

    Raises
    ------
    MSVolError
        If the command line, the configuration file or a label or filter file is wrong.
    SystemExit
        After ``--help`` and ``--version``.
    """
    parser = build_parser()
    namespace, unknown = parser.parse_known_args(argv)
    if unknown:
        raise _unknown_argument(parser, unknown[0])
    given: dict[str, object] = vars(namespace)
    if "mem" in given:
        given["mem_gb"] = parse_memory_gb(given.pop("mem"), "--mem")
    from_file = None
    file = given.pop("config_file", None)
    if file is not None:
        file = parse_path(file, "--config-file")
        from_file = read_config_file(file)
    config = make_config(given, from_file, file=file)
    check_levels(config.levels)
    return config


def check_levels(levels: Sequence[str]) -> None:
    """Refuse unknown analysis levels.

    Raises
    ------
    UnknownLevelError
        If a level is unknown.
    """
    for level in levels:
        if level not in LEVELS:
            raise UnknownLevelError(f"unknown analysis level {level!r}", remedy="Give participant, group or both")
    if not levels:
        raise UnknownLevelError("no analysis level is given", remedy="Give participant, group or both")


def describe_flags() -> tuple[FlagDescription, ...]:
    """Return a description of every argument, positional ones first, for the documentation."""
    known = options()
    rows = [FlagDescription((known[name].metavar,), "", "", known[name].help) for name in _POSITIONAL]
    rows += [
        FlagDescription(known[name].flags, known[name].metavar, known[name].default, known[name].help)
        for _, names in _GROUPS
        for name in names
    ]
    return (*rows, *_SPECIAL_FLAGS)


def describe_exit_codes() -> tuple[tuple[int, str], ...]:
    """Return every exit code with its meaning, for the documentation."""
    return tuple((int(code), EXIT_CODES[code]) for code in ExitCode)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(
            message,
            remedy="Write: bids_msvol bids_dir output_dir participant group [flags]; bids_msvol --help lists the flags",
        )


class _HelpFormatter(argparse.HelpFormatter):
    """Shows each flag in its hyphen spelling only."""

    def _format_action_invocation(self, action: argparse.Action) -> str:
        shown = argparse.Action([flag for flag in action.option_strings if "_" not in flag], action.dest)
        shown.nargs, shown.metavar = action.nargs, action.metavar
        return super()._format_action_invocation(shown)


def _add_option(group: argparse._ActionsContainer, name: str, option: Option) -> None:
    default = f" Default: {option.default}." if option.default and not option.switch else ""
    flags = both_spellings(option.flags)
    text = (option.help + default).replace("%", "%%")
    if option.switch:
        group.add_argument(*flags, dest=name, action="store_true", help=text)
    elif name == "verbosity":
        group.add_argument(*flags, dest=name, action="count", help=text)
    elif option.many:
        group.add_argument(*flags, dest=name, metavar=option.metavar, nargs="+", action="extend", help=text)
    else:
        group.add_argument(*flags, dest=name, metavar=option.metavar, help=text)


def _unknown_argument(parser: argparse.ArgumentParser, word: str) -> UsageError:
    flags = [flag for action in parser._actions for flag in action.option_strings if "_" not in flag]
    if word.startswith("-"):
        hint = suggest(word.partition("=")[0].replace("_", "-"), flags)
        remedy = (
            "Did" + hint.removeprefix("did").removesuffix("?") if hint.startswith("did") else "See bids_msvol --help"
        )
        return UsageError("unknown flag", remedy=remedy, subject=word)
    return UsageError(
        "this word belongs to no flag", remedy="Give folders and analysis levels first, then the flags", subject=word
    )
