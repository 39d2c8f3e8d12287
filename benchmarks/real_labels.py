# SPDX-License-Identifier: Apache-2.0
"""Overlap and volume against FreeSurfer's labels on real brains."""

from __future__ import annotations

import numpy as np

from benchmarks.claim import Findings, Measure, Options, Table, number, verdict
from benchmarks.reference import LabelledHead, freesurfer_heads
from benchmarks.scores import (
    DICE_TARGETS,
    confusion,
    dice_by_name,
    label_volumes_mm3,
    measure,
    named_volumes_mm3,
    relative_errors_pct,
)
from bids_msvol.atlas import HeadAtlas

NOT_COMPARED = ("CSF",)
"""FreeSurfer does not label the fluid around the brain."""


def run(options: Options) -> Findings:
    """Measure the labelled brains and compare."""
    heads = freesurfer_heads(options)[: 1 if options.quick else None]
    atlas = options.load_atlas()
    overlaps: dict[str, dict[str, float | None]] = {}
    errors: dict[str, dict[str, list[float]]] = {}
    for head in heads:
        overlaps[head.name], errors[head.name] = _compare(head, options, atlas)
    names = [name for name in next(iter(overlaps.values())) if name not in NOT_COMPARED]
    rows = []
    for name in names:
        values = [overlaps[head.name][name] for head in heads]
        known = [value for value in values if value is not None]
        target = DICE_TARGETS.get(name)
        # The least of the brains decides.
        rows.append(
            (
                name,
                *(number(value, 3) for value in values),
                *(number(_mean(errors[head.name].get(name, [])), 1, sign=True) for head in heads),
                number(target),
                verdict(min(known) if len(known) == len(values) else None, target, "at least"),
            )
        )
    header = (
        "structure",
        *(f"Dice, {head.name}" for head in heads),
        *(f"volume error %, {head.name}" for head in heads),
    )
    means: dict[str, float | None] = {
        name: _mean([value for head in heads if (value := overlaps[head.name][name]) is not None]) for name in names
    }
    data = "the VoxelMorph test scan (OASIS, 46 labels) and FreeSurfer 6's subject1 of brainload, both without skull"
    return Findings(
        claim="Dice overlap, mean of left and right, with the labels that FreeSurfer gave; error of the soft volume "
        "against FreeSurfer's voxel count.",
        data=data,
        tables=(Table((*header, "target Dice", "verdict"), tuple(rows)),),
        peers="label propagation from one template, a trial on the same brains: cortex 0.57, white matter 0.77, "
        "thalamus 0.85, putamen 0.80, hippocampus 0.80, amygdala 0.73, lateral ventricle 0.75; FSL FIRST, deep grey "
        "structures against manual labels: median 0.7 to 0.9 (Patenaude 2011); icobrain dm: above 0.88 (Wittens 2021).",
        notes=(
            "FreeSurfer is a reference, not the truth: its labels follow its own surfaces, and a voxel at a border "
            "counts whole. Corpus callosum counts as white matter, choroid plexus as ventricle. FreeSurfer has no label"
            " for the fluid around the brain, so it is not compared here.",
        ),
        measures={"dice_real": Measure(data, len(heads), means)},
    )


def _compare(
    head: LabelledHead, options: Options, atlas: HeadAtlas
) -> tuple[dict[str, float | None], dict[str, list[float]]]:
    found = measure(head.image, atlas=atlas, resolution_mm=options.resolution_mm)
    truth = named_volumes_mm3(label_volumes_mm3(head.labels), None)
    errors = relative_errors_pct(named_volumes_mm3(found.volumes_mm3, None), truth)
    return dice_by_name(confusion(head.labels, found.labels)), errors


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
