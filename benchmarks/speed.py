# SPDX-License-Identifier: Apache-2.0
"""Time and memory of one whole session, and of the plain recipe of an ANTs user in the same run."""

from __future__ import annotations

import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np

from benchmarks.claim import Findings, Options, Table, number, verdict
from benchmarks.plain_ants import CLASSES
from benchmarks.processes import Cost, run_python
from benchmarks.reference import HEALTHY_SOURCE, LabelledHead, freesurfer_heads, healthy_dataset
from benchmarks.scores import confusion, dice, measure
from bids_msvol.structures import STRUCTURES, Tissue

SUBJECT = "sub-01"
THREADS = 2
WALL_TARGET_MIN, PEAK_TARGET_GB, RATIO_TARGET = 4.0, 4.0, 2.0


def run(options: Options) -> Findings:
    """Time both on a whole head, then compare their tissues on a brain with known labels."""
    with tempfile.TemporaryDirectory(prefix="bids_msvol-") as name:
        folder = Path(name)
        ours = time_session(options, folder)
        print(f"the program: {number(ours.seconds / 60)} min, {number(ours.peak_gb)} GB", flush=True)
        source = next((folder / "bids" / SUBJECT / "anat").glob("*_T1w.nii.gz"))
        plain = time_recipe(source, folder / "tissues.nii.gz")
        print(f"the plain recipe: {number(plain.seconds / 60)} min, {number(plain.peak_gb)} GB", flush=True)
        accuracy = _accuracy(freesurfer_heads(options)[0], options, folder)
    ratio = plain.seconds / ours.seconds
    rows = (
        _row("one session, wall time, min", ours.seconds / 60.0, WALL_TARGET_MIN),
        _row("the same, peak memory of all processes, GB", ours.peak_gb, PEAK_TARGET_GB),
        ("plain recipe, wall time, min", number(plain.seconds / 60.0), "–", "–"),  # noqa: RUF001
        ("plain recipe, peak memory, GB", number(plain.peak_gb), "–", "–"),  # noqa: RUF001
        ("times faster than the plain recipe", number(ratio), number(RATIO_TARGET),
         verdict(ratio, RATIO_TARGET, "at least")),
    )  # fmt: skip
    return Findings(
        claim=f"Wall time and memory with {THREADS} threads, from a BIDS dataset to all outputs and the report, beside "
        "N4, SyN at full resolution to the MNI152 template and Atropos with three classes.",
        data=f"{SUBJECT} of the {HEALTHY_SOURCE}; tissues on the VoxelMorph test scan (OASIS)",
        tables=(Table(("figure", "value", "target", "verdict"), rows), accuracy),
        peers="as their authors or users state: FreeSurfer 5 to 10 h, SAMSEG about 10 min with several threads, "
        "SynthSeg about 1 min, FastSurfer's segmentation 5 min on a graphics card.",
        notes=(
            "The plain recipe runs on the image as it is; the program brings it to 1 mm first, and also validates the "
            "dataset, measures structures, writes images and tables and makes the report.",
        ),
    )


def time_session(options: Options, folder: Path, threads: int = THREADS) -> Cost:
    """Run the program on one healthy adult with everything switched on; the outputs lie in ``folder/out``."""
    dataset = healthy_dataset(options, SUBJECT, folder / "bids")
    return run_python(
        [
            "-m", "bids_msvol", str(dataset), str(folder / "out"), "participant", "--work-dir", str(folder / "work"),
            "--nprocs", str(threads), "--omp-nthreads", str(threads), "--resolution", f"{options.resolution_mm:g}",
        ],
        threads=threads,
    )  # fmt: skip


def time_recipe(source: Path, target: Path) -> Cost:
    """Run the plain recipe on a T1w image; ``target`` gets the tissues."""
    return run_python(["-m", "benchmarks.plain_ants", str(source), str(target)], threads=THREADS)


def _accuracy(head: LabelledHead, options: Options, folder: Path) -> Table:
    """Compare both with FreeSurfer's tissues on a brain without skull, which the plain recipe needs to succeed."""
    nib.save(head.image, folder / "labelled.nii.gz")
    time_recipe(folder / "labelled.nii.gz", folder / "plain.nii.gz")
    plain = nib.Nifti1Image.from_filename(folder / "plain.nii.gz")
    ours = measure(head.image, atlas=options.load_atlas(), resolution_mm=options.resolution_mm).labels
    rows = []
    for tissue in ("GM", "WM"):
        with_program = tissue_dice(head.labels, as_tissues(ours), tissue)
        with_recipe = tissue_dice(head.labels, plain, tissue)
        judged = verdict(with_program, with_recipe, "at least")
        rows.append((f"Dice, {tissue}", number(with_program, 3), number(with_recipe, 3), judged))
    return Table(("figure", "program", "plain recipe", "verdict"), tuple(rows), "Accuracy of the tissues")


def as_tissues(labels: nib.Nifti1Image) -> nib.Nifti1Image:
    """Return the tissue of every voxel, in Atropos' numbers."""
    numbers = {tissue: number for number, tissue in CLASSES.items()}
    lookup = np.zeros(max(structure.index for structure in STRUCTURES) + 1, dtype=np.int16)
    for structure in STRUCTURES:
        lookup[structure.index] = numbers[structure.tissue]
    data = np.asarray(labels.dataobj).astype(np.int64)
    return nib.Nifti1Image(lookup[np.where(data < len(lookup), data, 0)], labels.affine)


def tissue_dice(reference: nib.Nifti1Image, tissues: nib.Nifti1Image, tissue: Tissue) -> float | None:
    """Return the overlap of a tissue with that of the reference's labels."""
    wanted = next(number for number, name in CLASSES.items() if name == tissue)
    return dice(confusion(as_tissues(reference), tissues), (wanted,))


def _row(figure: str, value: float, target: float) -> tuple[str, ...]:
    return figure, number(value), number(target), verdict(value, target, "at most")
