# SPDX-License-Identifier: Apache-2.0
"""File names of BIDS, in one place: taking them apart, and building the names of everything that is written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bids_msvol.errors import UsageError
from bids_msvol.structures import Tissue

ENTITY_ORDER: tuple[str, ...] = (
    "sub", "ses", "acq", "ce", "rec", "run", "from", "to", "mode", "space", "seg", "res", "label", "desc",
)  # fmt: skip
"""Entities of the derivatives, in the order of the BIDS standard."""

_LABEL = re.compile(r"[0-9A-Za-z+]+")
_PAIR = re.compile(r"([A-Za-z]+)-([0-9A-Za-z+]+)")


def parse_name(name: str) -> tuple[dict[str, str], str, str]:
    """Take a BIDS file name apart.

    Parameters
    ----------
    name
        A file name without folders.

    Returns
    -------
    entities : dict of str to str
        Short entity names and their labels, in the order of the name; parts that are not ``key-label`` are left out.
    suffix : str
        The last part before the extension, such as ``T1w``.
    extension : str
        From the first full stop on, such as ``.nii.gz``.
    """
    stem, dot, rest = name.partition(".")
    *parts, suffix = stem.split("_")
    pairs = (_PAIR.fullmatch(part) for part in parts)
    return {pair[1]: pair[2] for pair in pairs if pair}, suffix, dot + rest


def build_name(suffix: str, extension: str, entities: Mapping[str, str | None]) -> str:
    """Build a file name from entities, in the order of the standard; an entity that is ``None`` is left out.

    Raises
    ------
    UsageError
        If an entity is unknown, or a label holds anything but letters, digits and ``+``.
    """
    for key, label in entities.items():
        if key not in ENTITY_ORDER:
            raise UsageError(f"unknown entity {key!r}", remedy=f"Use one of {', '.join(ENTITY_ORDER)}", subject=suffix)
        if label is not None and not _LABEL.fullmatch(label):
            raise UsageError(
                f"{label!r} cannot be the label of {key}-", remedy="Use letters and digits only", subject=suffix
            )
    pairs = [f"{key}-{label}" for key in ENTITY_ORDER if (label := entities.get(key)) is not None]
    return "_".join((*pairs, suffix)) + extension


def session_name(subject: str, session: str | None) -> str:
    """Return ``sub-01_ses-02``, or ``sub-01`` in a dataset without sessions."""
    return f"sub-{subject}" + (f"_ses-{session}" if session is not None else "")


def derivative_path(
    root: Path, subject: str, session: str | None, suffix: str, extension: str, **entities: str | None
) -> Path:
    """Return the path of an anatomical derivative.

    Parameters
    ----------
    root
        The derivative dataset.
    subject, session
        Labels without prefixes; ``session`` is ``None`` in a dataset without sessions.
    suffix, extension
        For instance ``dseg`` and ``.nii.gz``.
    **entities
        Further entities by short name; a trailing underscore is dropped (``from_="T1w"``).

    Raises
    ------
    UsageError
        If an entity or a label is not allowed.
    """
    folder = root / f"sub-{subject}"
    if session is not None:
        folder /= f"ses-{session}"
    named = {key.removesuffix("_"): label for key, label in entities.items()}
    return folder / "anat" / build_name(suffix, extension, {"sub": subject, "ses": session, **named})


def log_dir(root: Path, subject: str) -> Path:
    """Return the folder of a participant's records of runs, for whoever writes there and whoever reads."""
    return root / f"sub-{subject}" / "log"


def report_path(root: Path, subject: str) -> Path:
    """Return the path of a participant's report."""
    return root / f"sub-{subject}.html"


def sessions_table_path(root: Path, subject: str) -> Path:
    """Return the path of the table of headline numbers of a participant."""
    return root / f"sub-{subject}" / f"sub-{subject}_sessions.tsv"


def change_table_path(root: Path, subject: str) -> Path:
    """Return the path of the table of change between a participant's sessions."""
    return derivative_path(root, subject, None, "morph", ".tsv", seg="structures", desc="change")


def pair_table_path(root: Path, subject: str) -> Path:
    """Return the path of the quality table of the pairs of sessions."""
    return derivative_path(root, subject, None, "stat", ".tsv", desc="change")


def lesion_activity_path(root: Path, subject: str) -> Path:
    """Return the path of the table of what became of a participant's lesions."""
    return derivative_path(root, subject, None, "morph", ".tsv", seg="lesions", desc="change")


def cord_change_path(root: Path, subject: str) -> Path:
    """Return the path of the table of change of a participant's cord."""
    return derivative_path(root, subject, None, "morph", ".tsv", seg="cord", desc="change")


@dataclass(frozen=True)
class SessionFiles:
    """Where everything of one session is, whether or not it has been written yet."""

    root: Path
    subject: str
    session: str | None

    def path(self, suffix: str, extension: str, **entities: str | None) -> Path:
        """Return the path of a derivative of the session, as `derivative_path` does."""
        return derivative_path(self.root, self.subject, self.session, suffix, extension, **entities)

    @property
    def t1w(self) -> Path:
        """Bias-corrected T1w."""
        return self.path("T1w", ".nii.gz", desc="preproc")

    @property
    def brain_mask(self) -> Path:
        """Brain mask."""
        return self.path("mask", ".nii.gz", desc="brain")

    @property
    def dseg(self) -> Path:
        """Structures, by FreeSurfer number."""
        return self.path("dseg", ".nii.gz", seg="structures")

    @property
    def volumes(self) -> Path:
        """Table of volumes."""
        return self.path("morph", ".tsv", seg="structures")

    @property
    def quality(self) -> Path:
        """Table of quality metrics."""
        return self.path("stat", ".tsv", desc="quality")

    @property
    def provenance(self) -> Path:
        """Record of what the session was measured from and how; it is written last and marks a complete session."""
        return log_dir(self.root, self.subject) / f"{session_name(self.subject, self.session)}_provenance.json"

    def contrast(self, name: str) -> Path:
        """``FLAIR`` or ``T2w`` on the grid of the T1w."""
        return self.path(name, ".nii.gz", space="T1w", desc="preproc")

    @property
    def lesion_mask(self) -> Path:
        """T2 lesions."""
        return self.path("mask", ".nii.gz", space="T1w", label="L")

    @property
    def lesion_probability(self) -> Path:
        """Probability of T2 lesions."""
        return self.path("probseg", ".nii.gz", space="T1w", label="L")

    @property
    def lesions(self) -> Path:
        """T2 lesions by number."""
        return self.path("dseg", ".nii.gz", space="T1w", seg="lesions")

    @property
    def lesion_table(self) -> Path:
        """Table of T2 lesions."""
        return self.path("dseg", ".tsv", space="T1w", seg="lesions")

    @property
    def lesion_summary(self) -> Path:
        """Table of all lesions together, one row."""
        return self.path("morph", ".tsv", seg="lesions")

    @property
    def enhancement(self) -> Path:
        """Enhancing lesions by number."""
        return self.path("dseg", ".nii.gz", space="T1w", seg="enhancement")

    @property
    def enhancement_table(self) -> Path:
        """Table of enhancing lesions."""
        return self.path("dseg", ".tsv", space="T1w", seg="enhancement")

    def lesion_files(self) -> tuple[Path, ...]:
        """Everything about lesions, with sidecars; which of it exists depends on the images of the session."""
        files = (
            *(self.contrast(name) for name in ("FLAIR", "T2w")),
            *(self.lesion_mask, self.lesion_probability, self.lesions, self.lesion_table),
            *(self.enhancement, self.enhancement_table, self.lesion_summary),
        )
        return tuple(dict.fromkeys(one for path in files for one in (path, sidecar_path(path))))

    @property
    def cord_table(self) -> Path:
        """Table of the cord by level."""
        return self.path("morph", ".tsv", seg="cord")

    @property
    def cord_sections(self) -> Path:
        """Table of the sections of the cord."""
        return self.path("morph", ".tsv", seg="cord", desc="sections")

    def cord_mask(self, source: str) -> Path:
        """Mask of the cord on the grid of the image it was outlined on; ``source`` as in `CordSource`."""
        return self.path("mask", ".nii.gz", label="SC", desc=_label(source))

    def straight_cord(self, source: str) -> Path:
        """The cord drawn straight."""
        return self.path(source.partition("-")[2], ".nii.gz", desc=f"{_label(source)}Straight")

    def straight_cord_mask(self, source: str) -> Path:
        """Outline on the straightened cord."""
        return self.path("mask", ".nii.gz", label="SC", desc=f"{_label(source)}Straight")

    def cord_files(self) -> tuple[Path, ...]:
        """Everything about the cord, with sidecars; which of it exists depends on the images of the session."""
        images = ("head-T1w", "cord-T2w", "cord-T1w", "cord-T2starw")
        files = (
            *(self.cord_table, self.cord_sections, self.cord_mask("sct-mask")),
            *(make(one) for make in (self.cord_mask, self.straight_cord, self.straight_cord_mask) for one in images),
        )
        return tuple(one for path in files for one in (path, sidecar_path(path)))

    def probseg(self, tissue: Tissue) -> Path:
        """Probability map of a tissue."""
        return self.path("probseg", ".nii.gz", label=tissue)

    def transform(self, template: str, *, inverse: bool = False) -> Path:
        """Return the path of the transform to the template, or of its inverse."""
        source, target = (template, "T1w") if inverse else ("T1w", template)
        return self.path("xfm", ".h5", from_=source, to=target, mode="image")

    @property
    def scan_transform(self) -> Path:
        """Rigid transform from the T1w file to the space that a person's sessions share."""
        return self.path("xfm", ".h5", from_="orig", to="T1w", mode="image")


def _label(source: str) -> str:
    return source.replace("-", "")


def sidecar_path(path: Path) -> Path:
    """Return the path of the JSON file that describes another file."""
    return path.with_name(path.name.partition(".")[0] + ".json")
