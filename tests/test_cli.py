# SPDX-License-Identifier: Apache-2.0
"""The program as a whole, with the measurement replaced: messages, exit codes, files, and what a plain call imports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest

import bids_msvol
from bids_msvol import __version__
from bids_msvol.cli import main
from bids_msvol.config import default_work_dir
from bids_msvol.errors import CannotCreateError
from bids_msvol.outcome import ParticipantOutcome
from bids_msvol.participant_level import prepare_work_dir
from bids_msvol.runner import Task

HEAVY = ("numpy", "nibabel", "pandas", "bids", "ants", "scipy", "matplotlib", "nilearn", "jinja2")

FAKE_PARTICIPANT = '''
"""Stands in for bids_msvol.participant in a spawned process."""
import os, time
from pathlib import Path
from bids_msvol.errors import DataError
from bids_msvol.outcome import ParticipantOutcome

def run_participant(subject, config):
    if subject.label == "02":
        raise DataError("holds NaN", remedy="Mend it", subject="sub-02_T1w.nii.gz")
    if subject.label == "03":
        (config.output_dir / "started").write_text(str(os.getpid()))
        time.sleep(60)
    return ParticipantOutcome(subject.label, "done")

def rebuild_report(label, config):
    return ParticipantOutcome(label, "done", report=Path("r.html"))
'''

PROGRAM = """
import sys, types
import bids_msvol
module = types.ModuleType("bids_msvol.participant")
exec(open({source!r}).read(), module.__dict__)
sys.modules["bids_msvol.participant"] = module
from bids_msvol.cli import main
if __name__ == "__main__":
    sys.exit(main())
"""


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Make a dataset of three participants with a head-sized T1w each."""
    raw = tmp_path / "raw"
    for label in ("01", "02", "03"):
        folder = raw / f"sub-{label}" / "anat"
        folder.mkdir(parents=True)
        image = nib.Nifti1Image(np.ones((46, 54, 46), np.int16), np.diag([4.0, 4.0, 4.0, 1.0]))
        nib.save(image, folder / f"sub-{label}_T1w.nii.gz")
    (raw / "dataset_description.json").write_text(json.dumps({"Name": "made up", "BIDSVersion": "1.10.0"}))
    return tmp_path


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Make a script that runs the program with another measurement, also in the processes it spawns."""
    source = tmp_path / "fake_participant.py"
    source.write_text(FAKE_PARTICIPANT)
    script = tmp_path / "program.py"
    script.write_text(PROGRAM.format(source=str(source)))
    return script


def call(program: Path, folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(program, folder, *flags), capture_output=True, text=True, check=False, env=variables()
    )


def variables() -> dict[str, str]:
    """Let a script outside the repository import the package, installed or not."""
    return {**os.environ, "PYTHONPATH": str(Path(bids_msvol.__file__).parents[1])}


def command(program: Path, folder: Path, *flags: str) -> list[str]:
    common = ["--skip-bids-validation", "-w", str(folder / "work"), "--sloppy"]
    return [sys.executable, str(program), str(folder / "raw"), str(folder / "out"), "participant", *common, *flags]


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_and_version_import_nothing_heavy(flag: str) -> None:
    """Help and version are quick because no scientific library is loaded, and print nothing else."""
    code = (
        "import sys; from bids_msvol.cli import main; code = main([sys.argv[1]]); "
        f"sys.exit(code or [m for m in {HEAVY!r} if m in sys.modules] or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, flag], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "bids_msvol" in done.stdout


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """The version is one line of name and number."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"bids_msvol {__version__}\n"


def test_python_m() -> None:
    """The package can be run as a module."""
    done = subprocess.run([sys.executable, "-m", "bids_msvol", "--version"], capture_output=True, check=False)
    assert done.returncode == 0


def test_usage_error_is_one_sentence_and_a_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong call gives no traceback, its code, and the closing line."""
    assert main(["/nonexistent/raw", "/nonexistent/out", "participant"]) == 66
    output = capsys.readouterr()
    assert output.err.count("\n") == 1
    assert "/nonexistent/raw: is not a folder that exists. Check the path;" in output.err
    assert output.out.splitlines()[-1].startswith(
        "bids_msvol failed: /nonexistent/raw: is not a folder that exists (exit code 66;"
    )


def test_unforeseen_error_has_a_traceback_and_the_last_line(
    dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bug outside the participants is not hidden and still ends in the closing line."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("bids_msvol.cli.run_participant_level", fail)
    assert main([str(dataset / "raw"), str(dataset / "out"), "participant"]) == 1
    output = capsys.readouterr()
    assert "Traceback" in output.err
    assert output.out.splitlines()[-1].startswith("bids_msvol failed: unforeseen ZeroDivisionError: oh (exit code 1;")


def test_dry_run_writes_nothing(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The plan names images, reasons and outputs, and neither folder is made."""
    raw, out, work = (str(dataset / name) for name in ("raw", "out", "work"))
    assert main([raw, out, "participant", "--dry-run", "-w", work, "--participant-label", "01"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "    T1w: sub-01/anat/sub-01_T1w.nii.gz" in lines
    assert any(line.startswith("    why: ") for line in lines)
    assert f"    would write: {out}/sub-01/anat/sub-01_seg-structures_morph.tsv" in lines
    assert not any("sub-02" in line for line in lines)
    assert lines[-1].startswith("bids_msvol finished successfully: dry run, nothing was written; 1 participants would")
    assert not (dataset / "out").exists()
    assert not (dataset / "work").exists()


def test_a_toolbox_that_is_missing_is_said_first(
    dataset: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spinal Cord Toolbox is looked for before anything is measured, and in a dry run, too."""
    monkeypatch.setenv("PATH", str(dataset / "nothing"))
    raw, out = str(dataset / "raw"), str(dataset / "out")
    assert main([raw, out, "participant", "--dry-run", "--cord-engine", "sct"]) == 19
    assert "sct_deepseg" in capsys.readouterr().err


def test_success(dataset: Path, program: Path) -> None:
    """A run without failures ends with code 0, says where the results are, and leaves configuration and summary."""
    done = call(program, dataset, "--participant-label", "01")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == (
        f"bids_msvol finished successfully: 1 participant: 1 done; reports and tables are in {dataset / 'out'}"
    )
    assert "[sub-01] done after" in done.stderr
    (summary,) = (dataset / "out" / "logs").glob("*_summary.tsv")
    assert summary.read_text().splitlines()[1].startswith("sub-01\tdone\t")
    (kept,) = (dataset / "out" / "logs").glob("*_config.toml")
    assert "resolution_mm = 2.0" in kept.read_text()
    assert (dataset / "work").stat().st_mode & 0o077 == 0, "intermediate files are the user's own"


def test_one_failure_leaves_the_others(dataset: Path, program: Path) -> None:
    """Bad data of one participant gives its code and its log in the last line; the other is done."""
    done = call(program, dataset, "--participant-label", "01", "02")
    assert done.returncode == 65
    last = done.stdout.splitlines()[-1]
    assert last.startswith("bids_msvol failed: 2 participants: 1 done, 1 failed (exit code 65; see ")
    log = Path(last.removesuffix(")").rpartition("see ")[2])
    assert log.parent == dataset / "out" / "sub-02" / "log"
    assert "holds NaN" in log.read_text()
    assert "Traceback" not in done.stderr


def test_unusable_input_of_one_leaves_the_others(dataset: Path, program: Path) -> None:
    """A participant without T1w fails before the measurement; the other is measured."""
    (dataset / "raw" / "sub-02" / "anat" / "sub-02_T1w.nii.gz").rename(
        dataset / "raw" / "sub-02" / "anat" / "sub-02_PDw.nii.gz"
    )
    done = call(program, dataset, "--participant-label", "01", "02")
    assert done.returncode == 66
    assert "[sub-02] error: " in done.stderr
    assert "1 done, 1 failed" in done.stdout.splitlines()[-1]


def test_reports_only(dataset: Path, program: Path) -> None:
    """Reports are written again for the participants that have results; without results it says so."""
    for name in ("sub-07/log/sub-07_ses-1_provenance.json", "sub-08/log/run-x.jsonl"):
        (dataset / "out" / name).parent.mkdir(parents=True)
        (dataset / "out" / name).write_text("{}")
    done = call(program, dataset, "--reports-only")
    assert done.returncode == 0, done.stderr
    assert "sub-07" in done.stdout
    assert "sub-08" not in done.stdout, "who has no results has no report"
    done = call(program, dataset, "--reports-only", "--participant-label", "01")
    assert done.returncode == 18


@pytest.mark.parametrize(("small", "code", "words"), [("work", 0, "are not kept"), ("out", 75, "process fewer")])
def test_only_the_output_must_have_room(
    dataset: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    small: str,
    code: int,
    words: str,
) -> None:
    """A work folder without room is a warning, since no result needs it; an output folder without room is refused."""

    def usage(path: Path) -> SimpleNamespace:
        return SimpleNamespace(free=64 * 10**6 if path.name == small else 10**12)

    def finish(tasks: Sequence[Task], *_: object, **__: object) -> tuple[ParticipantOutcome, ...]:
        return tuple(ParticipantOutcome(task.label, "done") for task in tasks)

    monkeypatch.setattr("shutil.disk_usage", usage)
    monkeypatch.setattr("bids_msvol.participant_level.run_all", finish)
    raw, out, work = (str(dataset / name) for name in ("raw", "out", "work"))
    assert main([raw, out, "participant", "-w", work, "--skip-bids-validation"]) == code
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_program_and_children(dataset: Path, program: Path, number: signal.Signals) -> None:
    """Ctrl-C and a scheduler's SIGTERM end the children, give the usual code and the closing line."""
    process = subprocess.Popen(
        command(program, dataset, "--participant-label", "03"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=variables(),
    )
    started = dataset / "out" / "started"
    deadline = time.monotonic() + 30
    while not (started.exists() and started.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == 128 + number, stderr
    assert stdout.splitlines()[-1].startswith(f"bids_msvol failed: stopped by {number.name}")
    assert "Traceback" not in stderr
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)


def test_default_work_folder_taken_by_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Intermediate files are not put into a folder that another user prepared under the default name."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    prepare_work_dir(default_work_dir())
    folder, somebody_else = default_work_dir(), os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: somebody_else)
    folder.rename(default_work_dir())
    with pytest.raises(CannotCreateError, match="belongs to another user"):
        prepare_work_dir(default_work_dir())
    prepare_work_dir(tmp_path)
