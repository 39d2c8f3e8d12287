# SPDX-License-Identifier: Apache-2.0
"""The derivative dataset as a whole: its description, and the files that all participants share.

Many jobs may start in one folder at once: each file is written whole, and all of them would write the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bids_msvol import __version__
from bids_msvol.bids.atomic import write_new_text, write_text
from bids_msvol.bids.names import sidecar_path
from bids_msvol.bids.tables import LABELS
from bids_msvol.bids.tabular import write_table
from bids_msvol.config import Config, result_hash, result_settings
from bids_msvol.errors import InvocationError
from bids_msvol.structures import STRUCTURES

NAME = "bids_msvol"
BIDS_VERSION = "1.10.0"
RAW_LINK = "raw"
"""Name of the input dataset in BIDS URIs (``bids:raw:sub-01/...``)."""

# A pattern with a trailing slash does not silence the validator.
_IGNORED = (
    "*.html", "figures", "**/figures", "log", "**/log", "*_xfm.*", "*_morph.*", "*_stat.*", "group", "work",
    "**/*.tmp-*",
)  # fmt: skip

_DESCRIPTIONS = {
    "preproc": "Corrected for intensity bias and resampled to the working grid; still in the scanner's coordinates",
    "brain": "Brain without the fluid around it",
    "change": "Change between the sessions of a participant",
    "quality": "Quality metrics of a session, each with pass, warn or fail",
}

_README = """# bids_msvol {version}

Volumes of brain structures from T1-weighted MRI, measured with bids_msvol {version}.

- `sub-*.html`: a report for each participant; open it in a browser. Look at the overlays before using the numbers.
- `sub-*/sub-*_sessions.tsv`: the headline numbers of each session.
- `sub-*/[ses-*/]anat/*_seg-structures_morph.tsv`: the volume of every structure.
- `sub-*/[ses-*/]anat/*_desc-quality_stat.tsv`: quality metrics with verdicts.
- `*_dseg.nii.gz`, `*_mask.nii.gz`, `*_probseg.nii.gz`, `*_desc-preproc_T1w.nii.gz` beside them: the images behind them.
- `*_xfm.h5`: transforms to and from the template that they name.
- `seg-structures_dseg.tsv`: what the labels of the structure images mean.
- `sub-*/log/`: what each session was measured from and how.

A missing value is `n/a`. Not a medical device: not for diagnosis or treatment.
"""


@dataclass(frozen=True)
class OutputDataset:
    """A derivative dataset that exists.

    Attributes
    ----------
    root
        Its folder.
    """

    root: Path

    @classmethod
    def create(cls, config: Config) -> OutputDataset:
        """Make the dataset, or join one that was made by the same version with the same settings.

        Raises
        ------
        InvocationError
            If the folder holds something else, or results of another version or of other settings.
        CannotCreateError
            If it cannot be written.
        """
        path = config.output_dir / "dataset_description.json"
        _check_ours_or_empty(config.output_dir, config.work_dir)
        if not write_new_text(path, json.dumps(_description(config), indent=2, ensure_ascii=False) + "\n"):
            _check_same(_read_description(path), config, path)
        _write_shared_files(config.output_dir)
        return cls(config.output_dir)

    @classmethod
    def join(cls, config: Config) -> OutputDataset:
        """Join a dataset of this program whatever its settings, or make one: for what is computed from its tables.

        Raises
        ------
        InvocationError
            If the folder holds something else.
        CannotCreateError
            If it cannot be written.
        """
        if not (config.output_dir / "dataset_description.json").exists():
            return cls.create(config)
        _check_ours_or_empty(config.output_dir, config.work_dir)
        return cls(config.output_dir)


def _check_ours_or_empty(root: Path, work_dir: Path) -> None:
    path = root / "dataset_description.json"
    if path.exists():
        name = _generator(_read_description(path)).get("Name")
        if name != NAME:
            made = f"was made by {name}" if name else "is another dataset"
            raise InvocationError(f"{made}, not by {NAME}", remedy="Choose an empty or new output folder", subject=root)
    elif root.exists():
        # Logs, intermediate files and unfinished files of jobs that started at the same moment do not count.
        foreign = [
            entry.name
            for entry in root.iterdir()
            if entry.name != "logs" and ".tmp-" not in entry.name and not work_dir.is_relative_to(entry)
        ]
        if foreign and not path.exists():
            raise InvocationError(
                f"is not empty (it holds {sorted(foreign)[0]}) and is no output of {NAME}",
                remedy="Choose an empty or new output folder",
                subject=root,
            )


def _check_same(existing: Mapping[str, Any], config: Config, path: Path) -> None:
    """Refuse to mix results: numbers of two versions or settings differ for other reasons than the people measured."""
    generator = _generator(existing)
    remedy = f"Choose another output folder, or remove {path.parent} to measure everybody again"
    if generator.get("Version") != __version__:
        raise InvocationError(
            f"was made by {NAME} {generator.get('Version')}, and this is {__version__}",
            remedy=remedy,
            subject=path.parent,
        )
    if generator.get("ConfigurationHash") != result_hash(config):
        before, now = generator.get("Configuration", {}), result_settings(config)
        names = sorted({*before, *now})
        changed = [
            f"{name} was {json.dumps(before.get(name))} and is now {json.dumps(now.get(name))}"
            for name in names
            if before.get(name) != now.get(name)
        ]
        raise InvocationError(
            f"holds results of other settings: {'; '.join(changed) or 'the configuration hash differs'}",
            remedy=remedy,
            subject=path.parent,
        )


def _generator(description: Mapping[str, Any]) -> Mapping[str, Any]:
    generators = description.get("GeneratedBy")
    if isinstance(generators, list) and generators and isinstance(generators[0], dict):
        return generators[0]
    return {}


def _read_description(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvocationError(
            f"cannot be read ({error})", remedy="Mend or remove it, or choose another output folder", subject=path
        ) from error
    return content if isinstance(content, dict) else {}


def _description(config: Config) -> dict[str, Any]:
    raw = _read_raw_description(config.bids_dir)
    generator: dict[str, Any] = {
        "Name": NAME,
        "Version": __version__,
        "ConfigurationHash": result_hash(config),
        "Configuration": result_settings(config),
    }
    container = _container()
    if container:
        generator["Container"] = container
    content: dict[str, Any] = {
        "Name": f"{NAME}: volumes of brain structures" + (f" in {raw['Name']}" if raw.get("Name") else ""),
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [generator],
    }
    if raw.get("License"):
        content["License"] = raw["License"]
    link = _raw_link(config, raw)
    if link is not None:
        content["DatasetLinks"] = {RAW_LINK: link}
    source = {"DOI": raw["DatasetDOI"]} if raw.get("DatasetDOI") else {"URL": link} if link is not None else None
    if source is not None:
        content["SourceDatasets"] = [source]
    return content


def _read_raw_description(bids_dir: Path) -> dict[str, Any]:
    try:
        content = json.loads((bids_dir / "dataset_description.json").read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def raw_name(bids_dir: Path) -> str:
    """Return the name of the input dataset as it calls itself, else that of its folder."""
    return str(_read_raw_description(bids_dir).get("Name") or bids_dir.name)


def _raw_link(config: Config, raw: Mapping[str, Any]) -> str | None:
    """Return where the input is: relative where both lie in one tree, so that moving the tree keeps the link.

    Mount points of a container (``/data`` and ``/out``) mean nothing outside it; then the DOI stands in, or nothing.
    """
    source, output = config.bids_dir.resolve(), config.output_dir.resolve()
    shared = Path(os.path.commonpath((source, output)))
    if shared != Path(shared.anchor):
        return Path(os.path.relpath(source, output)).as_posix()
    if raw.get("DatasetDOI"):
        return str(raw["DatasetDOI"])
    return None if _container() else source.as_uri()


def _container() -> dict[str, str]:
    """Return the container that this runs in, as BIDS describes it; empty outside one."""
    image = os.environ.get("APPTAINER_CONTAINER") or os.environ.get("SINGULARITY_CONTAINER")
    tag = os.environ.get("BIDS_MSVOL_DOCKER_TAG")
    if not image and not tag:
        return {}
    kind = {"Type": "apptainer" if image else "docker"}
    return {**kind, "Tag": tag} if tag else kind


def _write_shared_files(root: Path) -> None:
    if not (root / "README.md").exists():
        write_text(root / "README.md", _README.format(version=__version__))
    if not (root / ".bidsignore").exists():
        write_text(root / ".bidsignore", "\n".join(_IGNORED) + "\n")
    if not (root / "descriptions.tsv").exists():
        rows = [f"desc-{label}\t{text}" for label, text in _DESCRIPTIONS.items()]
        write_text(root / "descriptions.tsv", "\n".join(("desc_id\tdescription", *rows)) + "\n")
    labels = root / LABELS.file_name
    if not (labels.exists() and sidecar_path(labels).exists()):
        write_table(
            labels,
            LABELS,
            (
                {"index": item.index, "name": item.name, "color": item.color, "tissue": item.tissue}
                for item in STRUCTURES
            ),
        )
