# SPDX-License-Identifier: Apache-2.0
"""The group level from a configuration to results: read tables, assemble the study, analyse, write and report."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bids_msvol import __version__
from bids_msvol.bids.folders import check_folders, make_output_dir
from bids_msvol.bids.given import KNOWN, KNOWN_OF_GROUP
from bids_msvol.configfile import to_toml
from bids_msvol.errors import ExitCode
from bids_msvol.logs import utc_stamp
from bids_msvol.participant_level import RunResult

if TYPE_CHECKING:
    from bids_msvol.bids.group_inputs import GroupInput
    from bids_msvol.config import Config
    from bids_msvol.group.plan import Plan
    from bids_msvol.group.results import GroupResults, NotDone
    from bids_msvol.group.run import Done
    from bids_msvol.group.study import Study

_logger = logging.getLogger(__name__)

MAX_LINES = 16
"""Lines on the clinical tables that the terminal shows."""


def run_group_level(config: Config) -> RunResult:
    """Run the group level.

    Parameters
    ----------
    config
        The run.

    Raises
    ------
    MSVolError
        If the plan or the clinical tables cannot be used, or nothing can be written.
    """
    from bids_msvol.bids.clinical_checks import findings_text
    from bids_msvol.bids.dataset import OutputDataset
    from bids_msvol.bids.group_inputs import read_group_input
    from bids_msvol.bids.group_outputs import FIGURES, write_group_outputs
    from bids_msvol.group.assemble import assemble
    from bids_msvol.group.run import run_analyses
    from bids_msvol.group.wording import say_count
    from bids_msvol.report.group_document import write_group_report

    check_folders(config)
    plan = make_plan(config)
    given = read_group_input(config, plan.activity.definition)
    study = assemble(given.tables, plan)
    conditions = plan.exclusions.exclude_if
    without = assemble(given.tables, plan, leave_out_flagged=True) if conditions else None
    checked = _first_lines(findings_text(given.findings))
    if config.dry_run:
        details = "\n".join((describe_study(study, plan), *checked))
        return RunResult(ExitCode.OK, "dry run, nothing was written", details=details)
    if any(one.severity == "error" for one in given.findings):
        _logger.warning("%s", "\n".join(checked))
    make_output_dir(config)
    OutputDataset.join(config)
    unknown = [name for name in config.derivatives if name not in (*KNOWN, *KNOWN_OF_GROUP)]
    if unknown:
        _logger.warning("the group level reads %s; not used: %s", ", ".join(KNOWN_OF_GROUP), ", ".join(unknown))
    done = run_analyses(study, plan)
    apart = None
    if without is not None:
        _logger.info("again without what meets %s", " or ".join(conditions))
        apart = run_analyses(without, plan)
        if without.flow[-1] == study.flow[-1] and len(without.persons) == len(study.persons):
            study = replace(study, notes=(*study.notes, f"No scan that is used meets {' or '.join(conditions)}."))
    results = gather(config, plan, given, study, done, apart)
    files = write_group_outputs(config.output_dir / "group", results)
    report = write_group_report(results, config.output_dir / "group.html", figures=files.folder / FIGURES)
    crash = _leave_log(config, plan, (*done.crashes, *(apart.crashes if apart else ()), *files.crashes))
    sentence = (
        f"{say_count(len(done.analyses), 'analysis', 'analyses')} of {say_count(len(study.persons), 'person')}, "
        f"{len(results.not_done)} not done; {say_count(len(files.tables), 'table')} in {files.folder}, report {report}"
    )
    if crash is not None:
        return RunResult(ExitCode.FAILED, sentence, see=crash)
    return RunResult(
        ExitCode.OK, sentence, "\n".join(f"not done: {one.title}: {one.reason}" for one in results.not_done)
    )


def _first_lines(text: str) -> list[str]:
    """Return so much of the findings on the clinical tables that it is read: the worst come first."""
    lines = [line for line in text.splitlines() if line]
    more = len(lines) - MAX_LINES
    return lines if more <= 0 else [*lines[:MAX_LINES], f"... and {more} lines more; the report shows more"]


def _not_done(done: Done, apart: Done | None, conditions: tuple[str, ...]) -> tuple[NotDone, ...]:
    """Return what was not done, also what was done with all scans and not without those that meet a condition."""
    if apart is None:
        return done.not_done
    names = {one.name for one in done.not_done}
    more = (one for one in apart.not_done if one.name not in names)
    return (
        *done.not_done,
        *(replace(one, title=f"{one.title} (without what meets {' or '.join(conditions)})") for one in more),
    )


def make_plan(config: Config) -> Plan:
    """Return the analysis plan: the file's, with what the command line says in its place.

    Raises
    ------
    MSVolError
        If the file cannot be used, or a value does not fit.
    """
    from bids_msvol.group.plan import Plan
    from bids_msvol.group.plan_file import check_plan, read_plan

    plan = Plan() if config.analysis_plan is None else read_plan(config.analysis_plan)
    exclusions, activity = plan.exclusions, plan.activity
    if config.steroid_washout_days is not None:
        exclusions = replace(exclusions, steroid_washout_days=config.steroid_washout_days)
    if config.exclude_if:
        exclusions = replace(exclusions, exclude_if=config.exclude_if)
    if config.bvl_cutoff is not None:
        activity = replace(activity, bvl_cutoff_pct_per_year=config.bvl_cutoff)
    return check_plan(replace(plan, exclusions=exclusions, activity=activity), "command line")


def describe_study(study: Study, plan: Plan) -> str:
    """Say who would be analysed and how."""
    lines = [f"{step.reason}: {step.persons} persons, {step.scans} scans" for step in study.flow]
    counts = study.persons["group"].value_counts()
    lines += [f"group {group} (by {study.group_name}): {counts.get(group, 0)} persons" for group in study.groups()]
    lines += [
        f"scans with volumes: {len(study.volumes_mm3)}, with cord areas: {len(study.cord_mm2)}",
        study.lesion_source,
        study.change_source,
        *study.notes,
        f"analyses: {', '.join(plan.analyses)}",
    ]
    return "\n".join(lines)


def gather(config: Config, plan: Plan, given: GroupInput, study: Study, done: Done, apart: Done | None) -> GroupResults:
    """Bring together everything that tables and report say."""
    from bids_msvol.bids.clinical_checks import findings_text
    from bids_msvol.bids.dataset import raw_name
    from bids_msvol.clinical.definitions import describe, find_definition
    from bids_msvol.group.plan_file import plan_settings
    from bids_msvol.group.results import GroupResults

    scans = study.of_person(study.sessions[study.sessions["has_scan"]][["participant_id"]], "group")["group"]
    by_scan, by_person = scans.value_counts(), study.persons["group"].value_counts()
    definition = find_definition(plan.activity.definition, unconfirmed_last=plan.activity.unconfirmed_last)
    return GroupResults(
        dataset_name=raw_name(config.bids_dir),
        version=__version__,
        analyses=done.analyses,
        without_flagged=apart.analyses if apart else (),
        not_done=_not_done(done, apart, plan.exclusions.exclude_if),
        flow=study.flow,
        groups={group: (int(by_person.get(group, 0)), int(by_scan.get(group, 0))) for group in study.groups()},
        notes=(study.lesion_source, study.change_source, *study.notes, *given.problems),
        clinical_findings=tuple(findings_text(given.findings).splitlines()),
        settings=plan_settings(plan),
        definition=describe(definition),
        exclude_if=plan.exclusions.exclude_if,
    )


def _leave_log(config: Config, plan: Plan, crashes: tuple[str, ...]) -> Path | None:
    """Leave configuration and plan beside the results; return the file with what failed for an unforeseen reason."""
    from bids_msvol.bids.atomic import write_text
    from bids_msvol.group.plan_file import plan_to_toml

    write_text(config.output_dir / "group" / "plan.toml", plan_to_toml(plan))
    stem = config.output_dir / "logs" / f"{utc_stamp()}-{os.getpid()}"
    write_text(stem.with_name(f"{stem.name}_group_config.toml"), to_toml(config))
    if not crashes:
        return None
    path = stem.with_name(f"{stem.name}_group_crash.txt")
    write_text(path, "\n".join(crashes))
    return path
