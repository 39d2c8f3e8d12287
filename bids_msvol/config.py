# SPDX-License-Identifier: Apache-2.0
"""One immutable description of a run; the command line, the configuration file and the documentation are made from it.

Each field of `Config` carries an `Option`: its flags, its help text, how its value is read, whether it changes results.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, Literal

from bids_msvol import __version__, values
from bids_msvol.errors import CannotCreateError, UsageError
from bids_msvol.filters import Filters, parse_filters
from bids_msvol.group_options import GROUP_OPTIONS
from bids_msvol.option import Option
from bids_msvol.resources import available_cpus, available_memory_gb, default_threads

BIDSValidation = Literal["warn", "error", "skip"]
CordEngine = Literal["msvol", "sct"]

DEFAULT_RESOLUTION_MM = 1.0
SLOPPY_RESOLUTION_MM = 2.0
DEFAULT_SEED = 20250101
_FIELD_KEY = "option"
_HASH_LENGTH = 12


def _meta(option: Option) -> dict[str, Option]:
    return {_FIELD_KEY: option}


def _switch(help_text: str, *flags: str) -> dict[str, Option]:
    return _meta(Option(help_text, values.parse_switch, flags, switch=True, default="off"))


def default_work_dir() -> Path:
    """Return the folder for intermediate files when none is given: one for each user, in ``$TMPDIR``.

    Raises
    ------
    CannotCreateError
        If there is no such place.
    """
    user = os.getuid() if hasattr(os, "getuid") else "user"
    try:
        return Path(tempfile.gettempdir()) / f"bids_msvol-{user}"
    except FileNotFoundError as error:
        raise CannotCreateError(
            "no folder for temporary files can be written", remedy="Set TMPDIR to a folder that can be written"
        ) from error


@dataclass(frozen=True)
class Config:
    """Everything a run depends on, apart from the data."""

    bids_dir: Path = field(
        metadata=_meta(
            Option("Folder of the BIDS dataset (raw data), which is only read.", values.parse_path, metavar="bids_dir")
        )
    )
    output_dir: Path = field(
        metadata=_meta(
            Option(
                "Folder for the results, a BIDS derivative dataset; made if missing.",
                values.parse_path,
                metavar="output_dir",
            )
        )
    )
    levels: tuple[str, ...] = field(
        metadata=_meta(
            Option(
                "Analysis level: participant, group, or both.",
                values.parse_levels,
                metavar="analysis_level",
                many=True,
            )
        ),
        default=("participant",),
    )
    participant_labels: tuple[str, ...] = field(
        metadata=_meta(
            Option(
                "Participants to process, with or without 'sub-', or a text file with one label a line.",
                values.parse_participant_labels,
                ("--participant-label", "--participant-labels"),
                "LABEL",
                many=True,
                default="all",
            )
        ),
        default=(),
    )
    session_labels: tuple[str, ...] = field(
        metadata=_meta(
            Option(
                "Sessions to process, with or without 'ses-', or a text file with one label a line.",
                values.parse_session_labels,
                ("--session-label", "--session-labels", "--session-id"),
                "LABEL",
                many=True,
                default="all",
            )
        ),
        default=(),
    )
    bids_filters: Filters = field(
        metadata=_meta(
            Option(
                "JSON file that narrows which images are chosen, by use (t1w, flair, t2w, cord) and entity; null: the "
                "entity is absent, '*': it is present.",
                parse_filters,
                ("--bids-filter-file",),
                "FILE",
                default="none",
                changes_results=True,
            )
        ),
        default_factory=dict,
    )
    derivatives: Mapping[str, Path] = field(
        metadata=_meta(
            Option(
                "Results of other programs, each as NAME=PATH.",
                values.parse_derivatives,
                ("--derivatives", "-d"),
                "NAME=PATH",
                many=True,
                default="none",
            )
        ),
        default_factory=dict,
    )
    bids_database_dir: Path | None = field(
        metadata=_meta(
            Option(
                "Folder of a ready pybids index of the dataset, to spare indexing it again.",
                values.parse_optional_path,
                ("--bids-database-dir",),
                "PATH",
                default="index in memory, requested participants only",
            )
        ),
        default=None,
    )
    bids_validation: BIDSValidation = field(
        metadata=_meta(
            Option(
                "What to do when the BIDS validator finds errors: warn, stop with an error, or skip validation.",
                partial(values.parse_choice, choices=("warn", "error", "skip")),
                ("--bids-validation",),
                "{warn,error,skip}",
                default="warn",
            )
        ),
        default="warn",
    )
    resolution_mm: float = field(
        metadata=_meta(
            Option(
                "Edge of the working voxel in mm; the volumes are meant to be measured at the default.",
                values.parse_resolution_mm,
                ("--resolution",),
                "MM",
                default=f"{DEFAULT_RESOLUTION_MM:g}",
                changes_results=True,
            )
        ),
        default=DEFAULT_RESOLUTION_MM,
    )
    random_seed: int = field(
        metadata=_meta(
            Option(
                "Seed of every random choice; two runs with one seed give the same tables.",
                values.parse_natural,
                ("--random-seed",),
                "N",
                default=str(DEFAULT_SEED),
                changes_results=True,
            )
        ),
        default=DEFAULT_SEED,
    )
    no_lesion_filling: bool = field(
        metadata=_meta(
            Option(
                "Measure structures on the images as they are: lesions are not filled with the brightness of normal "
                "white matter first.",
                values.parse_switch,
                ("--no-lesion-filling",),
                switch=True,
                default="off",
                changes_results=True,
            )
        ),
        default=False,
    )
    cord_engine: CordEngine = field(
        metadata=_meta(
            Option(
                "What outlines the cervical cord: this program, or Spinal Cord Toolbox, which must be on PATH.",
                partial(values.parse_choice, choices=("msvol", "sct")),
                ("--cord-engine",),
                "{msvol,sct}",
                default="msvol",
                changes_results=True,
            )
        ),
        default="msvol",
    )
    clinical_dir: Path | None = field(metadata=_meta(GROUP_OPTIONS["clinical_dir"]), default=None)
    clinical_map: Path | None = field(metadata=_meta(GROUP_OPTIONS["clinical_map"]), default=None)
    analysis_plan: Path | None = field(metadata=_meta(GROUP_OPTIONS["analysis_plan"]), default=None)
    steroid_washout_days: float | None = field(metadata=_meta(GROUP_OPTIONS["steroid_washout_days"]), default=None)
    exclude_if: tuple[str, ...] = field(metadata=_meta(GROUP_OPTIONS["exclude_if"]), default=())
    bvl_cutoff: float | None = field(metadata=_meta(GROUP_OPTIONS["bvl_cutoff"]), default=None)
    work_dir: Path = field(
        metadata=_meta(
            Option(
                "Folder for intermediate files, from which an interrupted run resumes; about 1 GB for each session, or "
                "what there is room for.",
                values.parse_path,
                ("--work-dir", "-w"),
                "PATH",
                default="bids_msvol-<user id> in $TMPDIR, else in /tmp",
            )
        ),
        default_factory=default_work_dir,
    )
    nprocs: int = field(
        metadata=_meta(
            Option(
                "Processors to use in all; nprocs divided by omp-nthreads participants run at once, if memory allows.",
                values.parse_count,
                ("--nprocs", "--nthreads", "--n-cpus", "--n-procs"),
                "N",
                default="what the machine, container or SLURM job grants",
            )
        ),
        default_factory=available_cpus,
    )
    omp_nthreads: int = field(
        metadata=_meta(
            Option(
                "Threads for each participant.",
                values.parse_count,
                ("--omp-nthreads", "--ants-nthreads"),
                "N",
                default="nprocs, at most 4",
            )
        ),
        default_factory=lambda: default_threads(available_cpus()),
    )
    mem_gb: float = field(
        metadata=_meta(
            Option(
                "Memory to use in all, in GB (one participant takes about 4 GB).",
                values.parse_positive,
                ("--mem-gb",),
                "GB",
                default="what the machine, container or SLURM job grants",
            )
        ),
        default_factory=available_memory_gb,
    )
    dry_run: bool = field(
        metadata=_switch("Print what would run, on which files and why, and write nothing.", "--dry-run"), default=False
    )
    reports_only: bool = field(
        metadata=_switch("Write the reports again from results that exist, without measuring.", "--reports-only"),
        default=False,
    )
    stop_on_first_crash: bool = field(
        metadata=_switch(
            "Stop at the first participant that fails, instead of going on with the others.", "--stop-on-first-crash"
        ),
        default=False,
    )
    clean_workdir: bool = field(
        metadata=_switch(
            "Remove the intermediate files of the participants to process before starting.", "--clean-workdir"
        ),
        default=False,
    )
    notrack: bool = field(
        metadata=_switch("Accepted for compatibility: nothing is ever sent anywhere.", "--notrack"), default=False
    )
    verbosity: int = field(
        metadata=_meta(
            Option("Say more: the start and the details of every step.", values.parse_natural, ("-v", "--verbose"))
        ),
        default=0,
    )


def options() -> dict[str, Option]:
    """Return the option of every field of `Config`, by the field's name, in order."""
    return {item.name: item.metadata[_FIELD_KEY] for item in fields(Config)}


def make_config(
    given: Mapping[str, object], from_file: Mapping[str, object] | None = None, *, file: Path | None = None
) -> Config:
    """Make a configuration: values of the command line, then of the file, then defaults.

    Parameters
    ----------
    given
        Raw values of the command line by field name.
    from_file
        Raw values of the configuration file by field name.
    file
        The configuration file, for messages.

    Raises
    ------
    MSVolError
        If a value is wrong or a required one is missing.
    """
    merged: dict[str, Any] = {}
    for name, option in options().items():
        if name in given:
            merged[name] = option.parse(given[name], option.flags[0] if option.flags else option.metavar)
        elif from_file is not None and name in from_file:
            merged[name] = option.parse(from_file[name], f"{file}: {name}")
    for item in fields(Config):
        if item.default is MISSING and item.default_factory is MISSING and item.name not in merged:
            raise UsageError("is missing", remedy="Give it after the program's name", subject=item.name)
    if "nprocs" in merged:
        merged.setdefault("omp_nthreads", default_threads(merged["nprocs"]))
    return Config(**merged)


def result_settings(config: Config) -> dict[str, Any]:
    """Return the options that change results, as they read when they come back from a JSON file (tuples become lists).

    A filter's subject and session are left out: they say which visits are processed, not how.
    """
    settings = {name: getattr(config, name) for name, option in options().items() if option.changes_results}
    settings["bids_filters"] = {
        query: kept
        for query, entities in config.bids_filters.items()
        if (kept := {name: value for name, value in entities.items() if name not in ("subject", "session")})
    }
    normalised: dict[str, Any] = json.loads(json.dumps(settings))
    return normalised


def result_hash(config: Config) -> str:
    """Return 12 hexadecimal digits over `result_settings`, and over nothing else."""
    text = json.dumps(result_settings(config), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_LENGTH]


def participant_work_dir(config: Config, label: str) -> Path:
    """Return the folder of one participant's intermediate files; another version of the program uses another one."""
    return config.work_dir / f"bids_msvol-{__version__}" / f"sub-{label}"
