# SPDX-License-Identifier: Apache-2.0
"""Which image of a visit shows the cord."""

from __future__ import annotations

from pathlib import Path

import pytest

from bids_msvol.bids.choose import Candidate, Geometry
from bids_msvol.bids.choose_cord import choose_cord
from bids_msvol.bids.records import Scan

HEAD = (180.0, 220.0, 200.0)
SAGITTAL_NECK = (56.0, 240.0, 240.0)


def candidate(
    name: str,
    extent_mm: tuple[float, float, float] = SAGITTAL_NECK,
    edges_mm: tuple[float, float, float] = (0.8, 0.8, 0.8),
    **metadata: str,
) -> Candidate:
    """Make an image from a name such as ``acq-cspine_T2w``; its axes are right, anterior, superior."""
    *pairs, suffix = name.split("_")
    long = {"acq": "acquisition", "ce": "ceagent"}
    entities = {long.get(key, key): value for key, value in (pair.split("-") for pair in pairs)}
    path = Path("/raw") / f"sub-01_{name}.nii.gz"
    shape = tuple(round(extent / edge) for extent, edge in zip(extent_mm, edges_mm, strict=True))
    exact = tuple(count * edge for count, edge in zip(shape, edges_mm, strict=True))
    geometry = Geometry(shape, edges_mm, exact)  # type: ignore[arg-type]
    return Candidate(Scan(path, f"sub-01/anat/{path.name}", suffix, entities, metadata), geometry)


@pytest.mark.parametrize(
    ("name", "extent_mm", "metadata"),
    [
        ("acq-cspine_T2w", HEAD, {}),
        ("T2w", HEAD, {"BodyPartExamined": "CSPINE"}),
        ("T2w", SAGITTAL_NECK, {}),
        ("T2starw", (170.0, 170.0, 60.0), {}),
    ],
)
def test_known_by_name_sidecar_and_field_of_view(
    name: str, extent_mm: tuple[float, float, float], metadata: dict[str, str]
) -> None:
    """Each of these is taken for an image of the cord."""
    choice = choose_cord([candidate(name, extent_mm, **metadata)])
    assert choice.scan is not None
    assert "only image" in choice.sentence


@pytest.mark.parametrize(
    ("name", "extent_mm", "metadata"),
    [
        ("T2w", HEAD, {}),
        ("T2starw", HEAD, {}),
        ("acq-tspine_T2w", SAGITTAL_NECK, {}),
        ("acq-cspine_part-phase_T2w", SAGITTAL_NECK, {}),
        ("acq-cspine_ce-gd_T1w", SAGITTAL_NECK, {}),
        ("acq-cspineloc_T2w", SAGITTAL_NECK, {"SeriesDescription": "localizer"}),
        ("acq-cspine_FLAIR", SAGITTAL_NECK, {}),
    ],
)
def test_what_is_none(name: str, extent_mm: tuple[float, float, float], metadata: dict[str, str]) -> None:
    """Heads, other parts of the spine, phase images, localisers, other contrasts and contrast agent are left alone."""
    assert choose_cord([candidate(name, extent_mm, **metadata)]).scan is None


AXIAL = candidate("acq-axspine_T2starw", (170.0, 170.0, 60.0), (0.5, 0.5, 5.0))


@pytest.mark.parametrize(
    ("better", "worse", "reason"),
    [
        (AXIAL, candidate("acq-spine_T2w", SAGITTAL_NECK, (3.0, 0.8, 0.8)), "fine enough"),
        (candidate("acq-cspine_T1w"), AXIAL, "more of the neck"),
        (candidate("acq-cspine_T2w"), candidate("acq-cspine_T1w"), "better contrast"),
        (candidate("acq-bspine_T2w"), candidate("acq-aspine_T2w", SAGITTAL_NECK, (1.0, 1.0, 1.0)), "smaller voxels"),
        (candidate("acq-cspine_run-1_T2w"), candidate("acq-cspine_run-2_T2w"), "earlier run"),
    ],
)
def test_order_of_preference(better: Candidate, worse: Candidate, reason: str) -> None:
    """Of two images the better one is taken in either order, and the reason is told for both."""
    for pair in ([better, worse], [worse, better]):
        choice = choose_cord(pair)
        assert choice.scan == better.scan
        assert reason in choice.sentence
        (ignored,) = choice.ignored
        assert reason in ignored.reason


def test_a_filter_names_what_does_not_look_like_it() -> None:
    """An image of the head may serve if the filter file says so."""
    assert choose_cord([candidate("acq-whatever_T2w", HEAD)], named_by_filter=True).scan is not None
