# SPDX-License-Identifier: Apache-2.0
"""The environment of the libraries: writable folders where a container has none, and as many threads as configured."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from bids_msvol.config import Config
from bids_msvol.environment import prepared_environment
from bids_msvol.errors import CannotCreateError


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(bids_dir=tmp_path, output_dir=tmp_path / "out", omp_nthreads=3, random_seed=11)


def test_threads_and_seeds(config: Config, tmp_path: Path) -> None:
    """Libraries get the configured threads, those whose sums depend on it one; afterwards all is set again."""
    environ = {"HOME": str(tmp_path), "OMP_NUM_THREADS": "64"}
    with prepared_environment(config, environ):
        assert environ["OMP_NUM_THREADS"] == environ["NUMEXPR_NUM_THREADS"] == "3"
        assert environ["OPENBLAS_NUM_THREADS"] == environ["MKL_NUM_THREADS"] == "1"
        assert environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] == "1", "ITK is deterministic on one thread only"
        assert environ["ANTS_RANDOM_SEED"] == "11"
        assert environ["HOME"] == str(tmp_path), "a home that can be written is left alone"
        assert "XDG_CACHE_HOME" not in environ
    assert environ == {"HOME": str(tmp_path), "OMP_NUM_THREADS": "64"}


@pytest.mark.parametrize("environ", [{"HOME": "/nonexistent"}, {}, {"HOME": "/dev/null"}, {"HOME": "/proc"}])
def test_home_that_cannot_be_written(config: Config, environ: dict[str, str]) -> None:
    """Without a usable home, all library folders move to a private one, which is removed at the end."""
    with prepared_environment(config, environ):
        home = Path(environ["HOME"])
        for name in ("HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR", "DENO_DIR"):
            folder = Path(environ[name])
            assert folder.is_dir()
            assert folder.is_relative_to(home)
            (folder / "trial").touch()
    assert not home.exists()


def test_only_what_is_unusable_moves(config: Config, tmp_path: Path) -> None:
    """A filled folder of the validator's run-time stays; a configuration folder that is a file does not."""
    (tmp_path / "deno").mkdir()
    (tmp_path / "deno" / "module").touch()
    (tmp_path / "file").touch()
    environ = {
        "HOME": str(tmp_path),
        "DENO_DIR": str(tmp_path / "deno"),
        "MPLCONFIGDIR": str(tmp_path / "file"),
    }
    with prepared_environment(config, environ):
        assert environ["DENO_DIR"] == str(tmp_path / "deno")
        assert Path(environ["MPLCONFIGDIR"]).is_dir()
        assert environ["HOME"] == str(tmp_path)


def test_nowhere_to_write(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any writable place the message says which variable to set."""

    def refuse(**_: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with pytest.raises(CannotCreateError, match="TMPDIR"), prepared_environment(config, {}):
        pass
