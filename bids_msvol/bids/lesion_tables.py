# SPDX-License-Identifier: Apache-2.0
"""The tables about lesions, declared as data like those of `bids_msvol.bids.tables`."""

from __future__ import annotations

from bids_msvol.bids.tabular import DAYS_BETWEEN, FRACTION_DECIMALS, MM3_DECIMALS, PAIR_COLUMNS, Column, Table
from bids_msvol.lesion_terms import ENHANCING_SIZES_MM3, REGIONS

MM_DECIMALS = 1

REGION_LEVELS = {
    "periventricular": "touches a lateral ventricle",
    "juxtacortical": "touches the cerebral cortex",
    "infratentorial": "in the brainstem or the cerebellum",
    "deep_white_matter": "elsewhere in the white matter",
}

STATUS_LEVELS = {
    "new": "was not there at the earlier session",
    "enlarging": "has grown",
    "stable": "has not changed by more than can be told",
    "shrinking": "has become smaller",
    "resolved": "is not there any more",
    "merged": "several lesions have become one",
    "split": "one lesion has become several",
}

CONFIDENCE_LEVELS = {
    "high": "size, significance and the lesion map agree",
    "candidate": "to be looked at before it is counted",
}

ENHANCEMENT_LEVELS = {
    "high": "there is an image before contrast agent, a lesion, and enough volume and enhancement",
    "low": "to be looked at before it is counted",
}

_PLACE = tuple(
    Column(f"{axis}_mm", f"Centre, towards the {side}, in the world of the image.", "number", "mm", MM_DECIMALS)
    for axis, side in (("x", "right"), ("y", "front"), ("z", "top"))
)

LESIONS = Table(
    "Lesions",
    "*_space-T1w_seg-lesions_dseg.tsv",
    "One row for each T2 lesion of one session.",
    (
        Column("index", "Voxel value of the image; a person's lesion has the same number in all sessions.", "integer"),
        Column("name", "Name of the lesion."),
        Column("status", "What became of it since the session before; n/a at the first.", levels=STATUS_LEVELS),
        Column("confidence", "How sure that is.", levels=CONFIDENCE_LEVELS),
        Column("region", "Where it lies.", levels=REGION_LEVELS),
        Column("volume_mm3", "Volume of its voxels.", "number", "mm^3", MM3_DECIMALS),
        *_PLACE,
        Column(
            "t1_hypointense_fraction",
            "Share of it that is darker than 0.85 of normal white matter on T1w.",
            "number",
            decimals=FRACTION_DECIMALS,
        ),
        Column(
            "mean_contrast",
            "Mean brightness on FLAIR (on T2w where there is no FLAIR) relative to normal white matter.",
            "number",
            decimals=3,
        ),
    ),
)

ENHANCEMENT = Table(
    "Enhancing lesions",
    "*_space-T1w_seg-enhancement_dseg.tsv",
    "One row for each lesion of one session that takes up contrast agent.",
    (
        Column("index", "Voxel value of the image.", "integer"),
        Column("name", "Name of the lesion."),
        Column("confidence", "How sure it is.", levels=ENHANCEMENT_LEVELS),
        Column("size_mm3", f"Class of size ({', '.join(ENHANCING_SIZES_MM3)}): small ones are missed more often."),
        Column("volume_mm3", "Volume of what enhances.", "number", "mm^3", MM3_DECIMALS),
        *_PLACE,
        Column("mean_enhancement", "Mean gain, as a share of normal white matter.", "number", decimals=3),
        Column("in_lesion", "Whether it lies in a T2 lesion or next to one.", levels={"yes": "it does", "no": "not"}),
        Column("ring", "Whether it encloses a centre that does not enhance.", levels={"yes": "a ring", "no": "none"}),
    ),
)


def _region_columns() -> tuple[Column, ...]:
    columns = []
    for region in REGIONS:
        words = region.replace("_", " ")
        columns.append(Column(f"{region}_count", f"Number of {words} lesions.", "integer"))
        columns.append(Column(f"{region}_mm3", f"Volume of {words} lesions.", "number", "mm^3", MM3_DECIMALS))
    return tuple(columns)


ACTIVITY_COLUMNS = (
    Column("new_lesions", "New lesions since the session before, with high confidence.", "integer"),
    Column("new_lesion_candidates", "Candidates for new lesions, to be looked at.", "integer"),
    Column("enlarging_lesions", "Lesions grown since the session before, with high confidence.", "integer"),
    Column("enlarging_lesion_candidates", "Candidates for lesions that have grown.", "integer"),
    Column("shrinking_lesions", "Lesions that have become smaller, with high confidence.", "integer"),
    Column("resolved_lesions", "Lesions that are not there any more, with high confidence.", "integer"),
    Column(
        "atrophied_lesion_mm3",
        "Volume that was lesion at the session before and is fluid now.",
        "number",
        "mm^3",
        MM3_DECIMALS,
    ),
)
GD_COLUMNS = (
    Column("gd_lesions", "Lesions that take up contrast agent, with high confidence.", "integer"),
    Column("gd_lesion_candidates", "The same with low confidence.", "integer"),
)

LESION_SUMMARY = Table(
    "Lesions of a session",
    "*_seg-lesions_morph.tsv",
    "One row: all T2 lesions of one session together. What could not be measured is n/a, never 0.",
    (
        Column("source", "What the lesions were found on (FLAIR, T2w), or the path of the mask that was given."),
        Column(
            "method",
            "Who drew them.",
            levels={"bids_msvol": "this program", "given": "somebody else; given with --derivatives lesions="},
        ),
        Column("count", "Number of lesions.", "integer"),
        Column("volume_mm3", "Volume of all lesions.", "number", "mm^3", MM3_DECIMALS),
        *_region_columns(),
        Column("regions_2017", "Regions of the brain in the McDonald criteria of 2017 that have a lesion."),
        Column(
            "dissemination_in_space",
            "Whether at least two of these regions have a lesion.",
            levels={"yes": "in the brain alone", "no": "not in the brain alone; the spinal cord was not looked at"},
        ),
        *ACTIVITY_COLUMNS,
        *GD_COLUMNS,
        Column("reason", "Why lesions, or their activity, could not be measured."),
    ),
)

ACTIVITY = Table(
    "Lesion activity",
    "sub-*_seg-lesions_desc-change_morph.tsv",
    "One row for each pair of sessions (each with the next, the first with each later one) and lesion of one "
    "participant; lesions that merge or split share a row.",
    (
        *PAIR_COLUMNS,
        DAYS_BETWEEN,
        Column("contrast", "The images that were compared."),
        Column("status", "What became of the lesion.", levels=STATUS_LEVELS),
        Column("confidence", "How sure that is.", levels=CONFIDENCE_LEVELS),
        Column("grew", "Whether it gained enough to count as new or enlarging.", levels={"yes": "it did", "no": "not"}),
        Column("index_from", "Its number in the lesion image of the earlier session; several with commas."),
        Column("index_to", "Its number in the lesion image of the later session; several with commas."),
        *_PLACE,
        Column("volume_from_mm3", "Volume at the earlier session.", "number", "mm^3", MM3_DECIMALS),
        Column("volume_to_mm3", "Volume at the later session.", "number", "mm^3", MM3_DECIMALS),
        Column("gain_mm3", "Volume that became lesion.", "number", "mm^3", MM3_DECIMALS),
        Column("loss_mm3", "Volume that ceased to be lesion.", "number", "mm^3", MM3_DECIMALS),
        Column("mean_z", "Mean difference of the images there, over its standard deviation.", "number", decimals=2),
    ),
)
