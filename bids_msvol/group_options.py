# SPDX-License-Identifier: Apache-2.0
"""The options of the group level, apart from the others so that each file stays short."""

from __future__ import annotations

from bids_msvol import values
from bids_msvol.option import Option

GROUP_OPTIONS: dict[str, Option] = {
    "clinical_dir": Option(
        "Folder of the tables of visits, relapses and treatments, instead of phenotype/ in the dataset.",
        values.parse_optional_path,
        ("--clinical-dir",),
        "PATH",
        default="phenotype/ of the dataset",
    ),
    "clinical_map": Option(
        "JSON file that says how columns of the clinical tables are called.",
        values.parse_optional_path,
        ("--clinical-map",),
        "FILE",
        default="the names of the documentation",
    ),
    "analysis_plan": Option(
        "TOML file of the choices of the group level.",
        values.parse_optional_path,
        ("--analysis-plan",),
        "FILE",
        default="all analyses that the data allow",
    ),
    "steroid_washout_days": Option(
        "Leave out scans sooner after intravenous steroids than so many days; 0: none.",
        values.parse_days,
        ("--steroid-washout",),
        "DAYS",
        default="56, or what the plan says",
    ),
    "exclude_if": Option(
        "Conditions such as new_t2>20: each table of the group level then has results with and without the scans that "
        "meet one.",
        values.parse_conditions,
        ("--exclude-if",),
        "CONDITION",
        many=True,
        default="none, or what the plan says",
    ),
    "bvl_cutoff": Option(
        "Loss of brain volume in per cent a year from which NEDA-4 fails.",
        values.parse_positive,
        ("--bvl-cutoff",),
        "PERCENT",
        default="0.4, or what the plan says",
    ),
}
"""By the name of the field of `bids_msvol.config.Config`."""
