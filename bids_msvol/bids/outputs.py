# SPDX-License-Identifier: Apache-2.0
"""Write what was measured in a session, and the participant's table of sessions.

A session's provenance record is written last: a session without it is unfinished, and is not reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bids_msvol.bids.atomic import clean_image, probability_image, quantised, replacing, write_image, write_json
from bids_msvol.bids.cord_outputs import write_cord, write_cord_changes
from bids_msvol.bids.dataset import OutputDataset
from bids_msvol.bids.lesion_outputs import write_activity, write_lesions
from bids_msvol.bids.load import SessionOutputs, load_participant
from bids_msvol.bids.names import (
    SessionFiles,
    change_table_path,
    cord_change_path,
    lesion_activity_path,
    log_dir,
    pair_table_path,
    sessions_table_path,
    sidecar_path,
)
from bids_msvol.bids.provenance import bids_uri, describe_session, raw_uri, table_origin
from bids_msvol.bids.tables import (
    CHANGE,
    CORD_HEADLINES,
    HEADLINES,
    LESION_HEADLINES,
    PAIRS,
    QUALITY,
    SESSIONS,
    VOLUMES,
)
from bids_msvol.bids.tabular import write_table
from bids_msvol.measurement import per_year
from bids_msvol.structures import ETIV_NAME, STRUCTURES, SUMS

if TYPE_CHECKING:
    import nibabel as nib

    from bids_msvol.config import Config
    from bids_msvol.measurement import PairMeasurement, SessionMeasurement

__all__ = [
    "OutputDataset",
    "change_rows",
    "remove_changes",
    "volume_rows",
    "write_changes",
    "write_session",
    "write_sessions_table",
]

_TISSUES = {"GM": "grey matter", "WM": "white matter", "CSF": "cerebrospinal fluid"}


def write_session(
    measurement: SessionMeasurement, config: Config, earlier: PairMeasurement | None = None
) -> tuple[Path, ...]:
    """Write all files of one session.

    Parameters
    ----------
    measurement
        What was measured.
    config
        The run.
    earlier
        The comparison with the session before; ``None`` if there is none.

    Returns
    -------
    tuple of Path
        Every file that was written, the provenance record last.

    Raises
    ------
    CannotCreateError
        If a file cannot be written.
    OutOfResourcesError
        If the disk is full.
    """
    files = SessionFiles(config.output_dir, measurement.session.subject, measurement.session.label)
    # While its files are being replaced, the session does not count as finished.
    files.provenance.unlink(missing_ok=True)
    written = [
        *_write_images(measurement, files),
        *_write_transforms(measurement, files),
        *_write_tables(measurement, files),
        *write_lesions(measurement, files, earlier),
        *write_cord(measurement, files),
    ]
    write_json(files.provenance, describe_session(measurement, config))
    return (*written, files.provenance)


def write_sessions_table(root: Path, label: str) -> Path:
    """Write the table of headline numbers from all finished sessions on disk, also those of earlier runs.

    Parameters
    ----------
    root
        The derivative dataset.
    label
        Participant label without ``sub-``.

    Returns
    -------
    Path
        The table.

    Raises
    ------
    NoInputError
        If no session is finished.
    """
    path = sessions_table_path(root, label)
    while True:
        finished = sorted(log_dir(root, label).glob("*_provenance.json"))
        sessions = load_participant(root, label).sessions
        sources = [bids_uri(session.files.volumes, root) for session in sessions]
        write_table(path, SESSIONS, (_session_row(session) for session in sessions), **table_origin(SESSIONS, sources))
        # Another job may have finished a session of the same person in the meantime.
        if finished == sorted(log_dir(root, label).glob("*_provenance.json")):
            return path


def write_changes(pairs: Sequence[PairMeasurement], config: Config) -> tuple[Path, ...]:
    """Write the tables of change between a participant's sessions, and of the quality of the pairs.

    Parameters
    ----------
    pairs
        The pairs of sessions; at least one.
    config
        The run.

    Returns
    -------
    tuple of Path
        The tables and their sidecars.
    """
    root, subject = config.output_dir, pairs[0].before.subject
    visits = {pair.before.label: pair.before for pair in pairs} | {pair.after.label: pair.after for pair in pairs}
    sources = [bids_uri(SessionFiles(root, subject, label).t1w, root) for label in visits]
    changes = write_table(
        change_table_path(root, subject),
        CHANGE,
        [row for pair in pairs for row in change_rows(pair)],
        **table_origin(CHANGE, sources),
    )
    metrics = [
        {**pair.ids(), "metric": one.name, "value": one.value, "verdict": one.verdict, "reason": one.reason}
        for pair in pairs
        for one in pair.quality
    ]
    quality = write_table(pair_table_path(root, subject), PAIRS, metrics, **table_origin(PAIRS, sources))
    return (*changes, *quality, *write_activity(pairs, config), *write_cord_changes(pairs, config))


def remove_changes(config: Config, subject: str) -> None:
    """Remove the tables of change, which are about sessions that are measured differently now."""
    for table in (change_table_path, pair_table_path, lesion_activity_path, cord_change_path):
        path = table(config.output_dir, subject)
        for file in (path, sidecar_path(path)):
            file.unlink(missing_ok=True)


def change_rows(pair: PairMeasurement) -> list[dict[str, object]]:
    """Return the rows of one pair in the table of change."""
    return [
        {
            **pair.ids(),
            "days": pair.days,
            "index": change.index,
            "name": change.name,
            "method": change.method,
            "change_mm3": change.change_mm3,
            "change_pct": change.change_pct,
            "change_pct_per_year": per_year(change.change_pct, pair.days),
        }
        for change in pair.changes
    ]


def volume_rows(measurement: SessionMeasurement) -> list[dict[str, object]]:
    """Return the volume table: structures, then sums, then the intracranial volume.

    A sum of which a member is missing is missing too; without intracranial volume there are no percentages.
    """
    volumes = measurement.volumes_mm3
    rows: list[tuple[int | None, str, float | None]] = [
        (item.index, item.name, volumes.get(item.index)) for item in STRUCTURES
    ]
    rows += [(None, item.name, _total(volumes.get(index) for index in item.members)) for item in SUMS]
    rows.append((None, ETIV_NAME, measurement.etiv_mm3))
    return [
        {"index": index, "name": name, "volume_mm3": value, "volume_pct_etiv": _percent(value, measurement.etiv_mm3)}
        for index, name, value in rows
    ]


def _total(values: Iterable[float | None]) -> float | None:
    total = 0.0
    for value in values:
        if value is None:
            return None
        total += value
    return total


def _percent(value: float | None, whole: float | None) -> float | None:
    return 100.0 * value / whole if value is not None and whole else None


def _write_images(measurement: SessionMeasurement, files: SessionFiles) -> list[Path]:
    import numpy as np

    raw = [raw_uri(measurement.session.t1w)]
    preprocessed = [bids_uri(files.t1w, files.root)]
    affine = np.asarray(measurement.t1w.affine)
    stored, slope = quantised(_values(measurement.t1w), np.int16)
    write_image(files.t1w, clean_image(stored, affine, slope=slope))
    write_image(files.brain_mask, clean_image(_values(measurement.brain_mask).astype(np.uint8), affine))
    write_image(files.dseg, clean_image(_values(measurement.labels).astype(np.int16), affine))
    descriptions: dict[Path, dict[str, Any]] = {
        files.t1w: {
            "Description": "T1w corrected for intensity bias, on the working grid. " + measurement.session.choice,
            "Sources": raw,
            "SkullStripped": measurement.skull_stripped,
        },
        files.brain_mask: {
            "Description": "Brain without the fluid around it.",
            "Sources": preprocessed,
            "Type": "Brain",
        },
        files.dseg: {
            "Description": "Most probable structure of each voxel, by number of FreeSurfer's colour table.",
            "Sources": preprocessed,
        },
    }
    for tissue, image in measurement.tissue_probabilities.items():
        path = files.probseg(tissue)
        write_image(path, probability_image(_values(image), affine))
        descriptions[path] = {"Description": f"Probability of {_TISSUES[tissue]}.", "Sources": preprocessed}
    for path, content in descriptions.items():
        write_json(sidecar_path(path), content)
    return [*descriptions, *(sidecar_path(path) for path in descriptions)]


def _values(image: nib.Nifti1Image) -> Any:
    import numpy as np

    return np.asanyarray(image.dataobj)


def _write_transforms(measurement: SessionMeasurement, files: SessionFiles) -> list[Path]:
    from bids_msvol.imaging.registration import TemplateTransform, save_transform

    written = []
    for inverse in (False, True):
        path = files.transform(measurement.template_space, inverse=inverse)
        with replacing(path) as temporary:
            save_transform(measurement.to_template, temporary, inverse=inverse)
        source, target = ("template", "T1w") if inverse else ("T1w", "template")
        write_json(
            sidecar_path(path),
            {
                "Description": f"ITK transform that resamples images of the {source} to the {target} "
                f"(template: {measurement.template_space}).",
                "Sources": [bids_uri(files.t1w, files.root)],
            },
        )
        written += [path, sidecar_path(path)]
    if measurement.to_scan is not None:
        with replacing(files.scan_transform) as temporary:
            # Resampling the scan needs the movement from the shared space to the scan, which ITK stores as it is.
            save_transform(TemplateTransform(measurement.to_scan), temporary)
        write_json(
            sidecar_path(files.scan_transform),
            {
                "Description": "ITK transform that resamples the T1w file to the space that lies halfway between the "
                "person's sessions, in which all their derivatives are.",
                "Sources": [raw_uri(measurement.session.t1w)],
            },
        )
        written += [files.scan_transform, sidecar_path(files.scan_transform)]
    else:
        # The session may have been measured with others before.
        for path in (files.scan_transform, sidecar_path(files.scan_transform)):
            path.unlink(missing_ok=True)
    return written


def _write_tables(measurement: SessionMeasurement, files: SessionFiles) -> list[Path]:
    origin = table_origin(VOLUMES, [bids_uri(files.dseg, files.root)])
    volumes = write_table(
        files.volumes,
        VOLUMES,
        volume_rows(measurement),
        Method="Sum of the posterior probabilities of each structure times the voxel volume.",
        Sums={item.name: item.description for item in SUMS},
        **origin,
    )
    metrics = (
        {"metric": metric.name, "value": metric.value, "verdict": metric.verdict, "reason": metric.reason}
        for metric in measurement.quality
    )
    quality = write_table(files.quality, QUALITY, metrics, **table_origin(QUALITY, [bids_uri(files.t1w, files.root)]))
    return [*volumes, *quality]


def _session_row(session: SessionOutputs) -> dict[str, object]:
    row: dict[str, object] = {
        "session_id": None if session.label is None else f"ses-{session.label}",
        "days": session.days,
        "quality_verdict": session.verdict,
        "etiv_mm3": session.etiv_mm3,
    }
    for headline in HEADLINES:
        volume = _total(session.volume_mm3(name) for name in headline.rows)
        row[f"{headline.name}_mm3"] = volume
        row[f"{headline.name}_pct_etiv"] = _percent(volume, session.etiv_mm3)
    brain, etiv = session.volume_mm3("WholeBrain"), session.etiv_mm3
    row["brain_parenchymal_fraction"] = brain / etiv if brain is not None and etiv else None
    row |= {name: session.lesion_value(source) for name, source in LESION_HEADLINES.items()}
    row |= {name: session.cord_value(level, column) for name, (level, column) in CORD_HEADLINES.items()}
    return row
