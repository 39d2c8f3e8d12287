# SPDX-License-Identifier: Apache-2.0
"""Write the cord of a session, and its change between a person's sessions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bids_msvol.bids.atomic import clean_image, quantised, write_image, write_json
from bids_msvol.bids.cord_tables import CORD, CORD_CHANGE, CORD_SECTIONS
from bids_msvol.bids.dataset import RAW_LINK
from bids_msvol.bids.names import SessionFiles, cord_change_path, sidecar_path
from bids_msvol.bids.provenance import bids_uri, table_origin
from bids_msvol.bids.tabular import write_table
from bids_msvol.cord.levels import LEVELS
from bids_msvol.cord.records import SessionCord, normalised_area_mm2
from bids_msvol.cord.straight import straighten_cord
from bids_msvol.measurement import per_year

if TYPE_CHECKING:
    import nibabel as nib

    from bids_msvol.config import Config
    from bids_msvol.measurement import PairMeasurement, SessionMeasurement


def write_cord(measurement: SessionMeasurement, files: SessionFiles) -> list[Path]:
    """Write masks, straightened images and tables of the cord of a session; files of an earlier run go.

    Parameters
    ----------
    measurement
        What was measured.
    files
        Where it goes.

    Returns
    -------
    list of Path
        What was written.
    """
    for path in files.cord_files():
        path.unlink(missing_ok=True)
    written: list[Path] = []
    for cord in measurement.cords:
        written += _write_images(cord, files)
    sources = [source for cord in measurement.cords for source in _sources(cord)]
    written += write_table(files.cord_table, CORD, cord_rows(measurement), **table_origin(CORD, sources))
    if measurement.cords:
        origin = table_origin(CORD_SECTIONS, sources)
        written += write_table(files.cord_sections, CORD_SECTIONS, section_rows(measurement.cords), **origin)
    return written


def write_cord_changes(pairs: Sequence[PairMeasurement], config: Config) -> tuple[Path, ...]:
    """Write the change of the cord between a participant's sessions; nothing if no pair could be compared."""
    rows = [row for pair in pairs for row in change_rows(pair)]
    if not rows:
        return ()
    root, subject = config.output_dir, pairs[0].before.subject
    visits = {visit.label for pair in pairs for visit in (pair.before, pair.after)}
    sources = [bids_uri(SessionFiles(root, subject, label).cord_table, root) for label in sorted(visits, key=str)]
    return write_table(cord_change_path(root, subject), CORD_CHANGE, rows, **table_origin(CORD_CHANGE, sources))


def cord_rows(measurement: SessionMeasurement) -> list[dict[str, object]]:
    """Return a row for each level and image; of an image that shows no cord, each says why."""
    measured: list[dict[str, object]] = [
        {
            "level": level.level,
            "csa_mm2": level.csa_mm2,
            "ap_diameter_mm": level.ap_diameter_mm,
            "rl_diameter_mm": level.rl_diameter_mm,
            "eccentricity": level.eccentricity,
            "n_slices": level.n_slices,
            "coverage": level.coverage,
            "source": cord.source,
            "levels_by": cord.levels_by,
            "length_mm": level.length_mm,
            "volume_mm3": level.volume_mm3,
            "csa_etiv_mm2": normalised_area_mm2(level.csa_mm2, measurement.etiv_mm3),
            "reason": cord.why_missing(level),
        }
        for cord in measurement.cords
        for level in cord.levels
    ]
    missing: list[dict[str, object]] = [
        {"level": level, "n_slices": 0, "source": source, "reason": reason}
        for source, reason in measurement.no_cord.items()
        for level in (*LEVELS, "C2-C3", "C1-C7")
    ]
    return measured + missing


def section_rows(cords: Sequence[SessionCord]) -> list[dict[str, object]]:
    """Return a row for each section of each image."""
    rows: list[dict[str, object]] = []
    for cord in cords:
        for one in cord.sections:
            x, y, z = one.center_mm if one.center_mm is not None else (None, None, None)
            rows.append(
                {
                    "source": cord.source,
                    "x_mm": x,
                    "y_mm": y,
                    "z_mm": z,
                    "distance_mm": one.distance_mm,
                    "average_mm": one.average_mm,
                    "level": one.level,
                    "csa_mm2": one.csa_mm2,
                    "ap_diameter_mm": one.ap_diameter_mm,
                    "rl_diameter_mm": one.rl_diameter_mm,
                    "eccentricity": one.eccentricity,
                    "tilt_deg": one.tilt_deg,
                    "believed": "yes" if one.believed else "no",
                }
            )
    return rows


def change_rows(pair: PairMeasurement) -> list[dict[str, object]]:
    """Return a row for each level and kind of image of one pair of sessions."""
    return [
        {
            **pair.ids(),
            "days": pair.days,
            "level": change.level,
            "source": change.source,
            "coverage": change.coverage,
            "change_mm2": change.change_mm2,
            "change_pct": change.change_pct,
            "change_pct_per_year": per_year(change.change_pct, pair.days),
        }
        for change in pair.cord
    ]


def _write_images(cord: SessionCord, files: SessionFiles) -> list[Path]:
    written: list[Path] = []
    if cord.mask is not None:
        path = files.cord_mask(cord.source)
        write_image(path, clean_image(np.asarray(cord.mask.dataobj).astype(np.uint8), np.asarray(cord.mask.affine)))
        described = {"Description": f"Cervical cord; {cord.origin}.", "Type": "ROI", "Sources": _sources(cord)}
        grid = {"SpatialReference": _sources(cord)[0]} if _sources(cord) else {}
        write_json(sidecar_path(path), {**described, **grid})
        written += [path, sidecar_path(path)]
    if cord.measured is not None:
        image, mask = straighten_cord(cord.measured.outlined)
        affine = np.asarray(image.affine)
        stored, slope = quantised(np.asarray(image.dataobj), np.int16)
        contents: dict[Path, tuple[nib.Nifti1Image, dict[str, object]]] = {
            files.straight_cord(cord.source): (
                clean_image(stored, affine, slope=slope),
                {
                    "Description": "The cord drawn straight: third axis along the centreline; its coordinate is minus "
                    "the downward position (distance_mm of the table of sections).",
                    "SkullStripped": False,
                },
            ),
            files.straight_cord_mask(cord.source): (
                clean_image(np.asarray(mask.dataobj), affine),
                {
                    "Description": "Outline of the cord on the straightened image, where it is believed.",
                    "Type": "ROI",
                },
            ),
        }
        for path, (content, said) in contents.items():
            write_image(path, content)
            write_json(sidecar_path(path), {**said, "Sources": _sources(cord)})
            written += [path, sidecar_path(path)]
    return written


def _sources(cord: SessionCord) -> list[str]:
    """The image of the input dataset; what was given lies elsewhere."""
    return [] if cord.measured is None else [f"bids:{RAW_LINK}:{cord.origin}"]
