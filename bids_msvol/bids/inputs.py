# SPDX-License-Identifier: Apache-2.0
"""Find the images of the requested participants; the only module that uses pybids.

Only the requested participants' ``anat/`` folders are indexed, without metadata; sidecars are read for what is found.
Which of several images is measured is decided in `bids_msvol.bids.choose`, and the reason is kept with the session.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bids_msvol.bids.choose import Candidate, Choice, choose, exclusion
from bids_msvol.bids.choose_cord import SUFFIXES as CORD_SUFFIXES
from bids_msvol.bids.choose_cord import choose_cord
from bids_msvol.bids.cord_given import with_given_cord
from bids_msvol.bids.files import check_fetched
from bids_msvol.bids.given import LESION_MASKS
from bids_msvol.bids.lesion_masks import find_lesion_mask
from bids_msvol.bids.records import IgnoredScan, Scan, Session, Subject
from bids_msvol.bids.scans import passes, read_days, read_geometry
from bids_msvol.bids.sidecars import load_sidecar
from bids_msvol.errors import BIDSInvalidError, InvocationError, MSVolError, NoInputError, NothingSelectedError

if TYPE_CHECKING:
    from bids_msvol.config import Config

logger = logging.getLogger(__name__)

_OTHER_DATATYPES = "func|dwi|fmap|perf|pet|meg|eeg|emg|ieeg|beh|micr|nirs|motion|mrs"
_MOUNT_HINT = "in a container, check that the dataset is mounted and that its path inside the container is given"
_SUFFIXES = {"t1w": "T1w", "flair": "FLAIR", "t2w": "T2w"}


@dataclass(frozen=True)
class CollectedInputs:
    """What was found for the requested participants.

    Attributes
    ----------
    subjects
        Participants that can be processed.
    problems
        Label and problem of each participant that cannot; the others go on.
    """

    subjects: tuple[Subject, ...]
    problems: tuple[tuple[str, MSVolError], ...]


def collect_subjects(config: Config) -> CollectedInputs:
    """Find the images of the requested participants and sessions.

    Raises
    ------
    NoInputError
        If the dataset does not exist.
    BIDSInvalidError
        If the folder is not a BIDS dataset.
    InvocationError
        If it is a dataset of derivatives.
    NothingSelectedError
        If a participant or session label does not exist, or if filters select nothing at all.
    """
    check_dataset(config.bids_dir)
    labels = _participant_labels(config)
    _check_session_labels(config, labels)
    scans = _index(config, labels)
    subjects, problems = [], []
    for label in labels:
        try:
            own = [scan for scan in scans if scan.entities["subject"] == label]
            subjects.append(_collect_subject(config, label, own))
        except MSVolError as error:
            problems.append((label, error))
    if problems and not subjects and all(isinstance(error, NothingSelectedError) for _, error in problems):
        raise problems[0][1]
    return CollectedInputs(tuple(subjects), tuple(problems))


def check_dataset(bids_dir: Path) -> None:
    """Check that a folder is a raw BIDS dataset with participants.

    Raises
    ------
    NoInputError
        If it does not exist.
    BIDSInvalidError
        If it is not a BIDS dataset.
    InvocationError
        If it is a dataset of derivatives.
    """
    if not bids_dir.is_dir():
        raise NoInputError("is not a folder that exists", remedy=f"Check the path; {_MOUNT_HINT}", subject=bids_dir)
    description = bids_dir / "dataset_description.json"
    try:
        content = json.loads(description.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise BIDSInvalidError(
            "has no dataset_description.json, so it is not a BIDS dataset",
            remedy='Give the folder that holds it, or add one with {"Name": "...", "BIDSVersion": "1.10.0"}; '
            + _MOUNT_HINT,
            subject=bids_dir,
        ) from error
    except (OSError, ValueError) as error:
        raise BIDSInvalidError(f"cannot be read ({error})", remedy="Mend the file", subject=description) from error
    if not isinstance(content, dict):
        raise BIDSInvalidError("is not a JSON object", remedy="Mend the file", subject=description)
    if content.get("DatasetType") == "derivative":
        raise InvocationError(
            "is a dataset of derivatives (DatasetType: derivative), but raw data are needed",
            remedy="Give the raw BIDS dataset first; results of other programs are given with --derivatives NAME=PATH",
            subject=bids_dir,
        )
    if not _folders(bids_dir, "sub-"):
        raise BIDSInvalidError("has no sub-* folder", remedy=f"Check the path; {_MOUNT_HINT}", subject=bids_dir)


def _folders(folder: Path, prefix: str) -> tuple[str, ...]:
    found = (entry.name.removeprefix(prefix) for entry in folder.glob(f"{prefix}*") if entry.is_dir())
    return tuple(sorted(found))


def _participant_labels(config: Config) -> tuple[str, ...]:
    present = _folders(config.bids_dir, "sub-")
    wanted = tuple(dict.fromkeys(config.participant_labels)) or present
    missing = [f"sub-{label}" for label in wanted if label not in present]
    if missing:
        raise NothingSelectedError(
            f"has no {_listed(missing)}",
            remedy=f"Give labels among {_listed([f'sub-{label}' for label in present])}; {_MOUNT_HINT}",
            subject=config.bids_dir,
        )
    return wanted


def _check_session_labels(config: Config, labels: Sequence[str]) -> None:
    present = {session for label in labels for session in _folders(config.bids_dir / f"sub-{label}", "ses-")}
    missing = [f"ses-{label}" for label in config.session_labels if label not in present]
    if missing:
        known = _listed([f"ses-{label}" for label in sorted(present)]) or "none: the participants have no sessions"
        raise NothingSelectedError(
            f"no requested participant has {_listed(missing)}",
            remedy=f"Give sessions that exist ({known})",
            subject=config.bids_dir,
        )


def _listed(names: Sequence[str], limit: int = 8) -> str:
    shown = ", ".join(names[:limit])
    return shown + (f" and {len(names) - limit} more" if len(names) > limit else "")


def _index(config: Config, labels: Collection[str]) -> list[Scan]:
    """Return all images in the ``anat/`` folders of the participants, sidecars not yet read."""
    # What pybids' schema says while it loads is nothing to the user.
    logging.getLogger("bidsschematools").setLevel(logging.WARNING)
    from bids.layout import BIDSLayout, BIDSLayoutIndexer

    ignore = [re.compile(r"^/(?!sub-|dataset_description\.json$)"), re.compile(rf"/(?:{_OTHER_DATATYPES})(?:/|$)")]
    if config.bids_database_dir is None:
        # A database is for the whole dataset; without one, other people's folders are not even opened.
        escaped = "|".join(re.escape(label) for label in labels)
        ignore.append(re.compile(rf"^/sub-(?!(?:{escaped})(?:/|$))"))
    layout = BIDSLayout(
        str(config.bids_dir),
        indexer=BIDSLayoutIndexer(validate=False, index_metadata=False, ignore=ignore),
        database_path=None if config.bids_database_dir is None else str(config.bids_database_dir),
    )
    found = []
    for file in layout.get(datatype="anat", extension=[".nii", ".nii.gz"], subject=list(labels)):
        relative = Path(file.path).relative_to(layout.root)
        entities = {str(name): str(value) for name, value in file.get_entities(metadata=False).items()}
        suffix = entities.pop("suffix", "")
        kept = {name: value for name, value in entities.items() if name not in ("extension", "datatype")}
        found.append(Scan(config.bids_dir / relative, relative.as_posix(), suffix, kept))
    return sorted(found, key=lambda scan: scan.relative_path)


def _collect_subject(config: Config, label: str, scans: Sequence[Scan]) -> Subject:
    folder = config.bids_dir / f"sub-{label}"
    if config.session_labels:
        scans = [scan for scan in scans if scan.entities.get("session") in config.session_labels]
        if not scans:
            wanted = _listed([f"ses-{session}" for session in config.session_labels])
            raise NothingSelectedError(
                f"has no image in {wanted}", remedy="Leave the participant or the session out", subject=folder
            )
    days = read_days(config.bids_dir, label)
    visits = sorted({scan.entities.get("session") for scan in scans}, key=lambda session: session or "")
    sessions, skipped = [], []
    for visit in visits:
        of_visit = [_with_sidecar(scan, config.bids_dir) for scan in scans if scan.entities.get("session") == visit]
        session, reason, ignored = _collect_session(config, label, visit, of_visit, days.get(visit or ""))
        if session is not None and (folder_of_masks := config.derivatives.get(LESION_MASKS)) is not None:
            mask = find_lesion_mask(folder_of_masks, label, visit, only_session=len(visits) == 1)
            session = replace(session, lesion_mask=mask)
            if mask is None:
                logger.warning(
                    "%s: no lesion mask in %s; its lesions are found by the program.", session.name, folder_of_masks
                )
        if session is not None:
            session = with_given_cord(session, config.derivatives, only_session=len(visits) == 1)
        if session is None:
            skipped += [IgnoredScan(f"sub-{label}" + (f"/ses-{visit}" if visit else ""), reason), *ignored]
        else:
            sessions.append(session)
            logger.info("%s: %s", session.name, session.choice)
    if not sessions:
        raise _nothing_usable(config, folder, scans, skipped)
    dated = all(session.days is not None for session in sessions)
    sessions.sort(key=lambda session: ((session.days or 0.0) if dated else 0.0, session.label or ""))
    return Subject(label, tuple(sessions), tuple(skipped))


def _with_sidecar(scan: Scan, root: Path) -> Scan:
    return Scan(scan.path, scan.relative_path, scan.suffix, scan.entities, load_sidecar(scan.path, root))


def _collect_session(
    config: Config, label: str, visit: str | None, scans: Sequence[Scan], days: float | None
) -> tuple[Session | None, str, tuple[IgnoredScan, ...]]:
    """Choose the images of a visit; without a usable T1w, return the reason and the images that were seen instead."""
    ignored: list[IgnoredScan] = []
    candidates: dict[str, list[Candidate]] = {query: [] for query in _SUFFIXES}
    by_suffix = {suffix: query for query, suffix in _SUFFIXES.items()}
    cords = [
        Candidate(scan, read_geometry(scan.path))
        for scan in scans
        if scan.suffix in CORD_SUFFIXES and passes(scan, config.bids_filters.get("cord", {}))
    ]
    for scan in scans:
        query = by_suffix.get(scan.suffix)
        if query is None:
            ignored.append(IgnoredScan(scan.relative_path, f"images of the kind {scan.suffix} are not used"))
        elif not passes(scan, config.bids_filters.get(query, {})):
            ignored.append(IgnoredScan(scan.relative_path, "the filter file leaves it out"))
        else:
            candidates[query].append(Candidate(scan, read_geometry(scan.path)))
    t1w, t1w_gd = _choose_t1w(candidates["t1w"])
    flair, t2w = choose(candidates["flair"]), choose(candidates["t2w"])
    for choice in (t1w, t1w_gd, flair, t2w):
        ignored += choice.ignored
    ignored.sort(key=lambda scan: scan.relative_path)
    if t1w.scan is None:
        reason = "it has no T1w that can be used" if any(scan.suffix == "T1w" for scan in scans) else "it has no T1w"
        return None, reason, tuple(ignored)
    measured = [choice.scan for choice in (t1w, t1w_gd, flair, t2w)]
    others = [candidate for candidate in cords if candidate.scan not in measured]
    cord = choose_cord(others, named_by_filter="cord" in config.bids_filters)
    session = Session(
        label,
        visit,
        t1w.scan,
        t1w.sentence,
        flair.scan,
        t2w.scan,
        t1w_gd.scan,
        cord.scan,
        cord.sentence,
        days=days,
        ignored=_without_cord(ignored, cord),
    )
    return session, "", ()


def _without_cord(ignored: Sequence[IgnoredScan], cord: Choice) -> tuple[IgnoredScan, ...]:
    """Say of images of the cord only why they are not used as such, not why they are none of the head."""
    shown = {one.relative_path for one in cord.ignored} | ({cord.scan.relative_path} if cord.scan else set())
    kept = [one for one in ignored if one.relative_path not in shown]
    return tuple(sorted((*kept, *cord.ignored), key=lambda scan: scan.relative_path))


def _choose_t1w(candidates: Sequence[Candidate]) -> tuple[Choice, Choice]:
    """Choose the T1w to measure, and the one after contrast agent."""
    for candidate in candidates:
        # Which image is measured must not depend on which files happen to have been fetched.
        if candidate.geometry is None and exclusion(candidate) is None:
            check_fetched(candidate.scan.path)
    plain = [candidate for candidate in candidates if "ceagent" not in candidate.scan.entities]
    enhanced = [candidate for candidate in candidates if "ceagent" in candidate.scan.entities]
    t1w = choose(plain)
    if t1w.scan is not None:
        return t1w, choose(enhanced)
    return choose(candidates), Choice(None, "", ())


def _nothing_usable(
    config: Config, folder: Path, scans: Sequence[Scan], skipped: Sequence[IgnoredScan]
) -> NoInputError | NothingSelectedError:
    t1ws = [scan for scan in scans if scan.suffix == "T1w"]
    query = config.bids_filters.get("t1w", {})
    if t1ws and not any(passes(scan, query) for scan in t1ws):
        return NothingSelectedError(
            f"none of its {len(t1ws)} T1w images passes the filter t1w = {json.dumps(query)}",
            remedy="Widen the filter file",
            subject=folder,
        )
    reasons = {ignored.relative_path: ignored.reason for ignored in skipped}
    seen = "; ".join(
        f"{scan.path.name}: {reasons[scan.relative_path]}" for scan in t1ws if scan.relative_path in reasons
    )
    return NoInputError(
        "has no T1w image" + (f" that can be used ({seen})" if seen else ""),
        remedy="Add a T1w of the whole head to its anat folder, or leave the participant out",
        subject=folder,
    )
