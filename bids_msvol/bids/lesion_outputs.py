# SPDX-License-Identifier: Apache-2.0
"""Write the lesions of a session, and what became of a person's lesions between sessions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bids_msvol.bids.atomic import clean_image, probability_image, quantised, write_image, write_json
from bids_msvol.bids.lesion_tables import ACTIVITY, ENHANCEMENT, LESION_SUMMARY, LESIONS
from bids_msvol.bids.names import SessionFiles, lesion_activity_path, sidecar_path
from bids_msvol.bids.provenance import bids_uri, raw_uri, table_origin
from bids_msvol.bids.tabular import write_table
from bids_msvol.imaging.lesion_table import LEAST_VOLUME_MM3
from bids_msvol.imaging.lesions import LESION_PROBABILITY
from bids_msvol.lesion_terms import ENHANCING_SIZES_MM3

if TYPE_CHECKING:
    from bids_msvol.config import Config
    from bids_msvol.imaging.gadolinium import EnhancementMap
    from bids_msvol.measurement import PairActivity, PairMeasurement, SessionLesions, SessionMeasurement

NO_EARLIER_SESSION = "there is no earlier session to compare with"


def write_lesions(measurement: SessionMeasurement, files: SessionFiles, earlier: PairMeasurement | None) -> list[Path]:
    """Write contrasts, lesions and enhancing lesions of a session; files of an earlier run that are not any more go.

    Parameters
    ----------
    measurement
        What was measured.
    files
        Where it goes.
    earlier
        The comparison with the session before; ``None`` if there is none.

    Returns
    -------
    list of Path
        What was written.
    """
    for path in files.lesion_files():
        path.unlink(missing_ok=True)
    affine = np.asarray(measurement.t1w.affine)
    written = []
    for name, image in measurement.contrasts.items():
        path = files.contrast(name)
        stored, slope = quantised(np.nan_to_num(np.asarray(image.dataobj)), np.int16)
        write_image(path, clean_image(stored, affine, slope=slope))
        scan = measurement.session.flair if name == "FLAIR" else measurement.session.t2w
        write_json(
            sidecar_path(path),
            {
                "Description": f"{name} on the grid of the T1w, without intensity bias, normal white matter 1; 0 where "
                "it shows nothing.",
                "Sources": [] if scan is None else [raw_uri(scan)],
                "SpatialReference": bids_uri(files.t1w, files.root),
                "SkullStripped": True,
            },
        )
        written += [path, sidecar_path(path)]
    activity = None if earlier is None else earlier.activity
    if measurement.lesions is not None:
        written += _write_maps(measurement, measurement.lesions, files)
        rows = lesion_rows(measurement.lesions, activity)
        origin = table_origin(LESIONS, [bids_uri(files.lesions, files.root)])
        origin |= {"SpatialReference": bids_uri(files.t1w, files.root)}
        written += write_table(files.lesion_table, LESIONS, rows, **origin)
    if measurement.enhancement is not None:
        instances = measurement.enhancement.instances.astype(np.int16)
        write_image(files.enhancement, clean_image(instances, affine))
        rows = enhancement_rows(measurement.enhancement)
        origin = table_origin(ENHANCEMENT, [bids_uri(files.t1w, files.root)])
        origin |= {"SpatialReference": bids_uri(files.t1w, files.root)}
        written += [files.enhancement, *write_table(files.enhancement_table, ENHANCEMENT, rows, **origin)]
    sources = [bids_uri(files.lesions if measurement.lesions is not None else files.t1w, files.root)]
    origin = table_origin(LESION_SUMMARY, sources)
    written += write_table(files.lesion_summary, LESION_SUMMARY, [summary_row(measurement, earlier)], **origin)
    return written


def write_activity(pairs: Sequence[PairMeasurement], config: Config) -> tuple[Path, ...]:
    """Write what became of a participant's lesions; nothing if no pair could be compared."""
    root, subject = config.output_dir, pairs[0].before.subject
    compared = [pair for pair in pairs if pair.activity is not None]
    if not compared:
        return ()
    visits = {visit.label for pair in compared for visit in (pair.before, pair.after)}
    sources = [bids_uri(SessionFiles(root, subject, label).lesions, root) for label in sorted(visits, key=str)]
    rows = [row for pair in compared for row in activity_rows(pair)]
    return write_table(lesion_activity_path(root, subject), ACTIVITY, rows, **table_origin(ACTIVITY, sources))


def lesion_rows(lesions: SessionLesions, activity: PairActivity | None) -> list[dict[str, object]]:
    """Return the rows of a session's lesions; ``activity`` is that since the session before."""
    fate = {index: change for change in (activity.changes if activity else ()) for index in change.ids_after}
    return [
        {
            "index": record.id,
            "name": f"lesion-{record.id:03d}",
            "status": fate[record.id].status if record.id in fate else None,
            "confidence": fate[record.id].confidence if record.id in fate else None,
            "region": record.region,
            "volume_mm3": record.volume_mm3,
            **_place(record.centroid_mm),
            "t1_hypointense_fraction": record.t1_hypointense_fraction,
            "mean_contrast": record.mean_contrast,
        }
        for record in lesions.records
    ]


def enhancement_rows(enhancement: EnhancementMap) -> list[dict[str, object]]:
    """Return a row for each enhancing lesion."""
    return [
        {
            "index": record.id,
            "name": f"enhancing-{record.id:03d}",
            "confidence": record.confidence,
            "size_mm3": _size_of(record.volume_mm3),
            "volume_mm3": record.volume_mm3,
            **_place(record.centroid_mm),
            "mean_enhancement": record.mean_enhancement,
            "in_lesion": _yes_no(record.in_lesion),
            "ring": _yes_no(record.ring),
        }
        for record in enhancement.records
    ]


def summary_row(measurement: SessionMeasurement, earlier: PairMeasurement | None) -> dict[str, object]:
    """Return the one row about all lesions of a session."""
    row: dict[str, object] = {}
    reasons = [measurement.no_lesions]
    if (lesions := measurement.lesions) is not None:
        summary = lesions.summary
        row |= {"source": lesions.source, "method": "given" if lesions.given else "bids_msvol"}
        row |= {"count": summary.count, "volume_mm3": summary.volume_mm3}
        row |= {f"{region}_count": count for region, count in summary.count_by_region.items()}
        row |= {f"{region}_mm3": volume for region, volume in summary.volume_mm3_by_region.items()}
        row["regions_2017"] = ", ".join(summary.regions_2017) or "none"
        row["dissemination_in_space"] = _yes_no(summary.disseminated_in_space)
        reasons.append(NO_EARLIER_SESSION if earlier is None else earlier.no_activity)
    if earlier is not None and earlier.activity is not None:
        row |= activity_counts(earlier.activity)
    if measurement.enhancement is not None:
        found = [record.confidence for record in measurement.enhancement.records]
        row |= {"gd_lesions": found.count("high"), "gd_lesion_candidates": found.count("low")}
    row["reason"] = "; ".join(reason for reason in reasons if reason)
    return row


def activity_counts(activity: PairActivity) -> dict[str, object]:
    """Count what became of the lesions, by the names of the table's columns."""
    return {
        "new_lesions": activity.count("new", "high"),
        "new_lesion_candidates": activity.count("new", "candidate"),
        "enlarging_lesions": activity.count("enlarging", "high"),
        "enlarging_lesion_candidates": activity.count("enlarging", "candidate"),
        "shrinking_lesions": activity.count("shrinking", "high"),
        "resolved_lesions": activity.count("resolved", "high"),
        "atrophied_lesion_mm3": activity.atrophied_lesion_volume_mm3,
    }


def activity_rows(pair: PairMeasurement) -> Iterable[Mapping[str, object]]:
    """Yield a row for each lesion of a pair of sessions."""
    assert pair.activity is not None
    for change, centroid in zip(pair.activity.changes, pair.activity.centroids_mm, strict=True):
        yield {
            **pair.ids(),
            "days": pair.days,
            "contrast": pair.activity.contrast,
            "status": change.status,
            "confidence": change.confidence,
            "grew": _yes_no(change.grew),
            "index_from": ",".join(map(str, change.ids_before)),
            "index_to": ",".join(map(str, change.ids_after)),
            **_place(centroid),
            "volume_from_mm3": change.volume_before_mm3,
            "volume_to_mm3": change.volume_after_mm3,
            "gain_mm3": change.gain_mm3,
            "loss_mm3": change.loss_mm3,
            "mean_z": change.mean_z,
        }


def _write_maps(measurement: SessionMeasurement, lesions: SessionLesions, files: SessionFiles) -> list[Path]:
    affine = np.asarray(measurement.t1w.affine)
    write_image(files.lesion_mask, clean_image(np.asarray(lesions.mask.dataobj).astype(np.uint8), affine))
    write_image(files.lesions, clean_image(np.asarray(lesions.numbers.dataobj).astype(np.int16), affine))
    write_image(files.lesion_probability, probability_image(np.asarray(lesions.probability.dataobj), affine))
    made = _making(measurement, lesions, files)
    neighbours = (
        " Told together with the person's other sessions: it differs from them only where the images differ."
        if measurement.to_scan is not None and not lesions.given
        else ""
    )
    contents = {
        files.lesion_mask: {"Description": f"T2 lesions.{neighbours}", "Type": "Lesion", **made},
        files.lesion_probability: {"Description": "Probability of T2 lesion, from this session alone.", **made},
    }
    for path, content in contents.items():
        write_json(sidecar_path(path), content)
    return [*contents, *(sidecar_path(path) for path in contents), files.lesions]


def _making(measurement: SessionMeasurement, lesions: SessionLesions, files: SessionFiles) -> dict[str, Any]:
    session, t1w = measurement.session, bids_uri(files.t1w, files.root)
    if lesions.given:
        sources, method = [t1w], f"Given: {lesions.source}, brought to this grid."
    else:
        scan = session.flair if lesions.source == "FLAIR" else session.t2w
        sources = [t1w, *([] if scan is None else [raw_uri(scan)])]
        method = f"Outliers of a model of the normal tissues on T1w and {lesions.source} (bids_msvol)."
    return {
        "Sources": sources,
        "SpatialReference": t1w,
        "Method": method,
        "Threshold": LESION_PROBABILITY,
        "MinLesionVolume": LEAST_VOLUME_MM3,
    }


def _size_of(volume_mm3: float) -> str:
    return next(name for name, (low, high) in ENHANCING_SIZES_MM3.items() if low <= volume_mm3 < high)


def _place(centroid_mm: Sequence[float]) -> dict[str, float]:
    return {f"{axis}_mm": value for axis, value in zip("xyz", centroid_mm, strict=True)}


def _yes_no(value: bool) -> str:
    return "yes" if value else "no"
