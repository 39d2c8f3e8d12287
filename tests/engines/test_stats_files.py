# SPDX-License-Identifier: Apache-2.0
"""Stats files of a person's sessions are found by the names of folders, all of one stream; doubt is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from bids_msvol.engines.stats_files import find_stats_files
from bids_msvol.errors import DataError, NoInputError
from tests.engines.stats_samples import write, write_aparc, write_aseg, write_aseg_dkt, write_samseg


def recon(root: Path, *names: str) -> None:
    """Make folders as recon-all leaves them."""
    for name in names:
        write_aseg(root / name / "stats" / "aseg.stats")


def folders(root: Path, *sessions: str | None) -> dict[str | None, str]:
    """Return the folder that was found for each session."""
    found = find_stats_files(root, "01", sessions)
    return {session: files.folder.relative_to(root).as_posix() for session, files in found.items()}


@pytest.mark.parametrize("name", ["sub-01_ses-a", "sub-01/ses-a", "sub-01/sub-01_ses-a", "sub-01_ses-a.long.sub-01"])
def test_layouts(tmp_path: Path, name: str) -> None:
    """Each of the usual names is found, and those of other people and sessions are not."""
    recon(tmp_path, name, "sub-010_ses-a", "sub-01_ses-ab", "sub-02/ses-a", "fsaverage")
    assert folders(tmp_path, "a", "b") == {"a": name}


def test_a_dataset_without_sessions(tmp_path: Path) -> None:
    """Then, and for the only session of a person, it is the folder of the person."""
    recon(tmp_path, "sub-01")
    assert folders(tmp_path, None) == {None: "sub-01"}
    assert folders(tmp_path, "a") == {"a": "sub-01"}
    assert folders(tmp_path, "a", "b") == {}


def test_the_longitudinal_stream_is_preferred_for_several_sessions(tmp_path: Path) -> None:
    """If each session that was measured has it; the template is no session."""
    recon(tmp_path, "sub-01_ses-a", "sub-01_ses-b", "sub-01")
    assert folders(tmp_path, "a", "b") == {"a": "sub-01_ses-a", "b": "sub-01_ses-b"}
    recon(tmp_path, "sub-01_ses-a.long.sub-01", "sub-01_ses-b.long.sub-01")
    assert folders(tmp_path, "a", "b", "c") == {"a": "sub-01_ses-a.long.sub-01", "b": "sub-01_ses-b.long.sub-01"}


def test_streams_are_not_mixed(tmp_path: Path) -> None:
    """A session without longitudinal result makes all cross-sectional; if that cannot be, it is an error."""
    recon(tmp_path, "sub-01_ses-a", "sub-01_ses-b", "sub-01_ses-a.long.base")
    assert folders(tmp_path, "a", "b") == {"a": "sub-01_ses-a", "b": "sub-01_ses-b"}
    recon(tmp_path, "sub-01_ses-c.long.base")
    with pytest.raises(DataError, match=r"only cross-sectional ones .*sub-01_ses-b, sub-01_ses-c\.long\.base"):
        folders(tmp_path, "a", "b", "c")


def test_a_single_session_is_taken_cross_sectionally(tmp_path: Path) -> None:
    """As those of other people with one session are; the template is not mistaken for it."""
    recon(tmp_path, "sub-01_ses-a", "sub-01_ses-a.long.sub-01", "sub-01")
    assert folders(tmp_path, "a") == {"a": "sub-01_ses-a"}


def test_a_template_is_told_by_its_list_of_time_points(tmp_path: Path) -> None:
    """Even if the longitudinal results are not there."""
    recon(tmp_path, "sub-01")
    write(tmp_path / "sub-01" / "base-tps", ["sub-01_ses-a"])
    assert folders(tmp_path, "a") == {}


@pytest.mark.parametrize(
    "names",
    [
        ("sub-01_ses-a", "sub-01/ses-a"),
        ("sub-01_ses-a", "sub-01"),
        ("sub-01_ses-a.long.base1", "sub-01_ses-a.long.base2"),
    ],
)
def test_doubt_is_an_error_that_names_the_folders(tmp_path: Path, names: tuple[str, str]) -> None:
    """It is not guessed which of two is meant."""
    recon(tmp_path, *names)
    with pytest.raises(DataError, match="holds several results of sub-01_ses-a") as caught:
        folders(tmp_path, "a")
    assert all(name in str(caught.value) for name in names)


def test_all_files_of_a_session_are_read(tmp_path: Path) -> None:
    """Regions come with the structures; FastSurfer's runs are told by what lies beside."""
    stats = tmp_path / "sub-01" / "stats"
    recon(tmp_path, "sub-01")
    for hemi in ("lh", "rh"):
        write_aparc(stats / f"{hemi}.aparc.DKTatlas.stats", hemi)
    result = find_stats_files(tmp_path, "01", [None])[None].read()
    assert (result.program, result.version, len(result.regions)) == ("FreeSurfer", "7.4.1", 4)
    write_aseg_dkt(stats / "aseg+DKT.stats")
    result = find_stats_files(tmp_path, "01", [None])[None].read()
    assert (result.program, result.version, len(result.regions)) == ("FastSurfer", "with FreeSurfer 7.4.1", 4)
    (stats / "aseg.stats").unlink()
    result = find_stats_files(tmp_path, "01", [None])[None].read()
    assert (result.program, result.version, len(result.regions)) == ("FastSurfer", None, 0)


@pytest.mark.parametrize(
    "name", ["samseg.stats", "samseg/samseg.stats", "anat/samseg/samseg.stats", "anat/sub-01_ses-a_samseg.stats"]
)
def test_samseg_is_found_with_its_intracranial_volume(tmp_path: Path, name: str) -> None:
    """Wherever it was told to write, below the folder of the session."""
    path = write_samseg(tmp_path / "sub-01" / "ses-a" / name)
    sbtiv = path.with_name(path.name.replace("samseg", "sbtiv"))
    write(sbtiv, ["# Measure Intra-Cranial, 70000.0, mm^3"])
    files = find_stats_files(tmp_path, "01", ["a", "b"])["a"]
    assert (files.volumes, files.sbtiv) == (path, sbtiv)
    assert files.read().etiv_mm3 == pytest.approx(70_000.0)


def test_the_stream_of_a_folder_is_that_of_its_result(tmp_path: Path) -> None:
    """Whichever program it is, and however deep its files are."""
    write_samseg(tmp_path / "sub-01_ses-a.long.sub-01" / "samseg" / "samseg.stats")
    recon(tmp_path, "sub-02.long.base", "sub-03")
    assert find_stats_files(tmp_path, "01", ["a"])["a"].read().longitudinal
    assert find_stats_files(tmp_path, "02", [None])[None].read().longitudinal
    assert not find_stats_files(tmp_path, "03", [None])[None].read().longitudinal


def test_two_tables_of_samseg_are_an_error(tmp_path: Path) -> None:
    """With and without FLAIR, for instance."""
    for name in ("samseg.stats", "samseg/samseg.stats"):
        write_samseg(tmp_path / "sub-01_ses-a" / name)
    with pytest.raises(DataError, match=r"several tables of SAMSEG: samseg\.stats, samseg/samseg\.stats"):
        folders(tmp_path, "a")


def test_content_that_was_not_fetched_is_complained_about(tmp_path: Path) -> None:
    """A link that leads nowhere is a result that cannot be read, not a session that was not measured."""
    stats = tmp_path / "sub-01" / "stats"
    stats.mkdir(parents=True)
    (stats / "aseg.stats").symlink_to("../../.git/annex/objects/x")
    with pytest.raises(NoInputError, match="was not fetched"):
        find_stats_files(tmp_path, "01", [None])[None].read()


def test_no_folder(tmp_path: Path) -> None:
    """A slip in the path is not taken for a person without results."""
    with pytest.raises(NoInputError, match="is no folder"):
        find_stats_files(tmp_path / "none", "01", [None])
