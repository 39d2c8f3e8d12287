# SPDX-License-Identifier: Apache-2.0
"""Files of the Spinal Cord Toolbox: find those of a session by name, or have the toolbox outline the cord."""

from __future__ import annotations

import csv
import itertools
import os
import re
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bids_msvol.bids.lesion_masks import OWN_SPACES
from bids_msvol.bids.names import parse_name, session_name
from bids_msvol.engines.sct_program import outlining_program
from bids_msvol.errors import DataError, MSVolError, NoInputError

AREA = "MEAN(area)"
"""Column that every table of `sct_process_segmentation` has."""

IMAGE = "Filename"
"""Column with the mask that a row was measured on."""

MASK_SUFFIXES = ("seg-manual", "mask", "seg", "softseg", "probseg", "dseg")
"""Suffixes of masks, the one that is used first in front: what a person corrected goes before what a program drew."""

MASK_LABELS = frozenset({"sc", "cord", "spinalcord"})
"""Labels, in lower case, by which a mask says that it shows the cord."""

OTHER_WORDS = frozenset(
    {"lesion", "lesions", "gm", "wm", "csf", "canal", "brain", "rootlets", "disc", "discs", "tumor", "edema", "cavity"}
)
"""Words, in lower case, by which a mask without label says that it shows something else."""

LABELLED = "_labeled"
"""End of the name of a mask whose voxels hold the vertebral level."""

TIME_LIMIT_S = 3600.0
"""Minutes are usual; the first run may download a model."""

SHOWN_LINES = 5
"""Last lines of a failed run that the message repeats."""


@dataclass(frozen=True)
class SctFiles:
    """Files of a session: a table, a mask of the cord, and one with the vertebral levels in its voxels."""

    table: Path | None = None
    mask: Path | None = None
    labelled: Path | None = None


def find_sct_files(
    folder: Path, subject: str, session: str | None, *, only_session: bool = False, image_stem: str | None = None
) -> SctFiles:
    """Find what the toolbox left of a session, by name, anywhere below a folder.

    A table is a ``.csv`` with a column ``MEAN(area)``; its path or its column ``Filename`` says whose it is. A mask has
    the subject in front of its name. It ends in ``_seg`` and names nothing but the cord, or has ``label-SC`` or
    ``label-cord``. One with vertebral levels ends in ``_labeled`` after that.

    Parameters
    ----------
    folder
        What was given.
    subject, session
        Labels without prefixes.
    only_session
        Whether the person has no other session: then a file without ``ses-`` is the session's.
    image_stem
        Name of an image without its extension; of several files, one made from that image is preferred.

    Returns
    -------
    SctFiles
        What was found; ``None`` for what was not.

    Raises
    ------
    DataError
        If it is not certain which file is meant.
    """
    tables: list[Path] = []
    fitting: list[Path] = []
    for path in sorted(folder.rglob("*.csv")):
        place = path.relative_to(folder).as_posix()
        if names_other(place, subject, session):
            continue  # it need not be read
        # In a folder of its own, a table need not name the session in each row.
        images = [
            image
            for image in measured_images(path)
            if _belongs(f"{place}/{image}", subject, session, only_session=only_session)
        ]
        if images:
            tables.append(path)
        if images and any(made_from(name, image_stem) for name in (path.name, *images)):
            fitting.append(path)
    masks: dict[Path, str] = {}
    for path in sorted(folder.rglob(f"sub-{subject}_*.nii*")):
        kind = _kind_of_mask(path.name)
        if kind and _belongs(path.relative_to(folder).as_posix(), subject, session, only_session=only_session):
            masks[path] = kind
    labelled = [path for path, kind in masks.items() if kind == LABELLED]
    ranks = {path: MASK_SUFFIXES.index(kind) for path, kind in masks.items() if kind != LABELLED}
    drawn = [path for path in ranks if made_from(path.name, image_stem)] or list(ranks)
    # Of the masks of one image the best kind is used; between images nothing decides.
    worse = {
        path
        for path, other in itertools.permutations(drawn, 2)
        if ranks[other] < ranks[path] and _image_name(other.name) == _image_name(path.name)
    }
    name = session_name(subject, session)
    return SctFiles(
        _only(fitting or tables, f"tables of {name}", folder),
        _only([path for path in drawn if path not in worse], f"masks of the cord of {name}", folder),
        _only([path for path in labelled if made_from(path.name, image_stem)] or labelled, f"levels of {name}", folder),
    )


def made_from(name: str, image_stem: str | None) -> bool:
    """Say whether a file is named after an image; ``name`` may have folders, of any system, in front."""
    if not image_stem:
        return False
    return re.match(rf"{re.escape(image_stem)}(?![0-9A-Za-z+-])", re.split(r"[/\\]", name)[-1]) is not None


def names_other(text: str, subject: str, session: str | None) -> bool:
    """Say whether a path names another subject or another session."""
    return _belongs(text, subject, session, only_session=True) is False


def _belongs(text: str, subject: str, session: str | None, *, only_session: bool) -> bool | None:
    """Say whether a path is of a session; ``None`` if it names no subject."""
    subjects, sessions = (set(re.findall(rf"(?:^|[/\\_]){key}-([0-9A-Za-z+]+)", text)) for key in ("sub", "ses"))
    if sessions and sessions != {session}:
        return False
    if not subjects:
        return None
    return subjects == {subject} and (bool(sessions) or session is None or only_session)


def measured_images(path: Path) -> list[str]:
    """Return the images that a table of the toolbox was measured on, each once; nothing if it is another file."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if AREA not in (rows.fieldnames or ()):
                return []
            return list(dict.fromkeys(row.get(IMAGE) or "" for row in rows)) or [""]
    except (OSError, UnicodeDecodeError, csv.Error):
        return []


def _kind_of_mask(name: str) -> str | None:
    """Return the suffix of a mask of the cord, ``LABELLED`` if it holds levels, and ``None`` if it is none."""
    stem, _, extension = name.partition(".")
    plain = stem.removesuffix(LABELLED)
    entities, suffix, _ = parse_name(plain)
    space = entities.get("space")
    if extension not in ("nii", "nii.gz") or suffix not in MASK_SUFFIXES:
        return None
    if space is not None and space.lower() not in OWN_SPACES:
        return None
    label = entities.get("label")
    if label is None:
        # T2w_seg is the cord; T2w_lesion_seg, desc-lesion_seg and the like are not.
        shows_cord = suffix.startswith("seg") and OTHER_WORDS.isdisjoint(re.split("[_-]", plain.lower()))
    else:
        shows_cord = label.lower() in MASK_LABELS
    if not shows_cord:
        return None
    return suffix if plain == stem else LABELLED


def _image_name(name: str) -> str:
    """Return the name of the image that a mask was drawn on, as far as the mask's own name tells."""
    parts = name.partition(".")[0].split("_")[:-1]
    return "_".join(part for part in parts if not part.startswith(("label-", "desc-")))


def _only(found: Sequence[Path], what: str, folder: Path) -> Path | None:
    if len(found) > 1:
        names = ", ".join(path.relative_to(folder).as_posix() for path in found[:4])
        raise DataError(f"holds several {what}: {names}", remedy="Keep one for each session", subject=folder)
    return found[0] if found else None


def run_sct(image: Path, contrast: str, work_dir: Path, *, time_limit_s: float = TIME_LIMIT_S) -> Path:
    """Have the toolbox outline the cord in an image.

    From version 7 on that is ``sct_deepseg spinalcord``, before ``sct_deepseg_sc`` (Gros 2019).

    Parameters
    ----------
    image
        A NIfTI file.
    contrast
        Its BIDS suffix, such as ``T2w``.
    work_dir
        Existing folder for the mask and for what the toolbox prints.
    time_limit_s
        Time after which the toolbox is stopped.

    Returns
    -------
    Path
        The mask, in ``work_dir``.

    Raises
    ------
    NoInputError
        If the image does not exist.
    InvocationError
        If the toolbox is not there, or too old for this contrast.
    MSVolError
        If it fails, or takes too long.
    """
    if not image.is_file():
        raise NoInputError("does not exist", remedy="Check the dataset", subject=image)
    stem = image.name.partition(".")[0]
    mask, log = work_dir / f"{stem}_seg.nii.gz", work_dir / f"{stem}_sct.log"
    command = [*outlining_program(contrast, image), "-i", str(image.absolute()), "-o", str(mask.absolute())]
    mask.unlink(missing_ok=True)
    status = _run(command, log, work_dir, time_limit_s)
    if status != 0 or not mask.is_file():
        ending = f"took longer than {time_limit_s:.0f} s" if status is None else f"ended with status {status}"
        lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
        said = " | ".join(lines[-SHOWN_LINES:]) or "nothing"
        raise MSVolError(
            f"{Path(command[0]).name} of the Spinal Cord Toolbox {ending} and made no mask; it last said: {said}",
            remedy=f"Run it by hand to see more: {' '.join(command)}",
            subject=image,
        )
    return mask


def _run(command: Sequence[str], log: Path, folder: Path, time_limit_s: float) -> int | None:
    """Run a program, its words going to a file; return its status, ``None`` if it had to be stopped."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return process.wait(time_limit_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            # Its programs are scripts that start others; none may outlive this call.
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
