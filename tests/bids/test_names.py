# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bids_msvol.bids.names import (
    ENTITY_ORDER,
    SessionFiles,
    build_name,
    change_table_path,
    derivative_path,
    pair_table_path,
    parse_name,
    sidecar_path,
)
from bids_msvol.errors import UsageError

labels = st.text("abcXYZ0189+", min_size=1, max_size=6)


@given(st.dictionaries(st.sampled_from(ENTITY_ORDER), labels, min_size=1), st.sampled_from([".nii.gz", ".tsv", ".h5"]))
def test_a_name_taken_apart_gives_what_it_was_built_from(entities: dict[str, str], extension: str) -> None:
    """Building and parsing are inverse, and entities come in the standard's order whatever the order of the dict."""
    found, suffix, found_extension = parse_name(build_name("T1w", extension, entities))
    assert (found, suffix, found_extension) == (entities, "T1w", extension)
    assert list(found) == [key for key in ENTITY_ORDER if key in entities]


@pytest.mark.parametrize("label", ["", "a_b", "a-b", "a/b", "ä", "a b"])
def test_a_label_that_would_break_the_name_is_refused(label: str) -> None:
    """Separators and other characters in a label are errors, never written."""
    with pytest.raises(UsageError, match="cannot be the label of desc-"):
        build_name("T1w", ".nii.gz", {"desc": label})


def test_an_unknown_entity_is_refused() -> None:
    """A misspelt entity does not silently vanish from the name."""
    with pytest.raises(UsageError, match="unknown entity 'dsc'"):
        derivative_path(Path("out"), "01", None, "T1w", ".nii.gz", dsc="preproc")


def test_names_of_a_session() -> None:
    """The files of a session have the names that the documentation gives."""
    files = SessionFiles(Path("out"), "01", "02")
    anat = Path("out/sub-01/ses-02/anat")
    assert files.dseg == anat / "sub-01_ses-02_seg-structures_dseg.nii.gz"
    assert files.probseg("GM") == anat / "sub-01_ses-02_label-GM_probseg.nii.gz"
    assert files.transform("MNI152NLin2009aSym").name == (
        "sub-01_ses-02_from-T1w_to-MNI152NLin2009aSym_mode-image_xfm.h5"
    )
    assert files.transform("MNI152NLin2009aSym", inverse=True).name == (
        "sub-01_ses-02_from-MNI152NLin2009aSym_to-T1w_mode-image_xfm.h5"
    )
    assert files.scan_transform == anat / "sub-01_ses-02_from-orig_to-T1w_mode-image_xfm.h5"
    assert sidecar_path(files.dseg).name == "sub-01_ses-02_seg-structures_dseg.json"


def test_names_of_what_belongs_to_several_sessions() -> None:
    """Tables of change belong to the person, not to a session."""
    anat = Path("out/sub-01/anat")
    assert change_table_path(Path("out"), "01") == anat / "sub-01_seg-structures_desc-change_morph.tsv"
    assert pair_table_path(Path("out"), "01") == anat / "sub-01_desc-change_stat.tsv"


def test_names_without_sessions() -> None:
    """A dataset without sessions has neither the folder nor the entity."""
    assert SessionFiles(Path("out"), "01", None).t1w == Path("out/sub-01/anat/sub-01_desc-preproc_T1w.nii.gz")
