# SPDX-License-Identifier: Apache-2.0
"""Guards over the repository as a whole: what is committed, pinned, packaged and documented."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import bids_msvol

ROOT = Path(__file__).parents[1]
LOCKS = sorted((ROOT / ".ci" / "locks").glob("*.txt"))
MAX_PACKAGE_DATA_MB = 10
MAX_MODULE_LINES = 400


@cache
def committed() -> tuple[Path, ...]:
    """Return the files that git tracks or would track."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"not a git checkout, or no git: {error}")
    return tuple(path for name in names if name and (path := ROOT / name).is_file())


def texts(*suffixes: str) -> dict[Path, str]:
    """Return the committed text files, all or those with one of the suffixes."""
    found = {}
    for path in committed():
        if suffixes and path.suffix not in suffixes:
            continue
        content = path.read_bytes()
        if b"\0" not in content:
            found[path.relative_to(ROOT)] = content.decode("utf-8")
    return found


@cache
def pyproject() -> dict[str, Any]:
    """Return what pyproject.toml declares."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def lines_with(pattern: str, files: dict[Path, str]) -> list[str]:
    """Return ``file:line: text`` for each line that matches."""
    return [
        f"{path}:{number}: {line.strip()}"
        for path, text in files.items()
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(pattern, line)
    ]


def test_no_machine_paths() -> None:
    """No committed file names a home folder, or a folder of the machine that the tests run on."""
    here = [str(ROOT)] + ([sys.prefix] if sys.prefix != sys.base_prefix else [])
    folders = [*(re.escape(f"{folder}/") for folder in here), r"/(home|Users)/\w", r"/root[/]"]
    assert lines_with(rf"(?<![\w.{{}}$-])({'|'.join(folders)})", texts()) == []


def test_no_package_index_is_chosen() -> None:
    """Nothing in the repository decides from where packages are installed."""
    files = {path: text for path, text in texts().items() if path != Path("tests/test_repository.py")}
    assert lines_with(r"(?<!no-emit-)(index-url|find-links|trusted-host)|PIP_INDEX|UV_INDEX", files) == []


def test_no_registry_is_named() -> None:
    """No file names the host of a package index or a container registry: whoever builds or releases chooses it."""
    images = r"\b(ghcr|docker|quay|gcr|ecr)\.(io|com|aws)\b|\bregistry[.-]\w+\.\w"
    packages = r"\b(pypi|pythonhosted|anaconda|npmjs)\.(org|com)\b"
    assert lines_with(f"{images}|{packages}", texts()) == []


def test_the_top_of_the_repository_stays_small() -> None:
    """A newcomer who opens the repository sees what it is, not how it is kept."""
    top = {path.relative_to(ROOT).parts[0] for path in committed()}
    assert top <= {
        ".ci", ".dockerignore", ".github", ".gitignore", "benchmarks", "bids_msvol", "docs", "tests",
        "Dockerfile", "LICENSE", "Makefile", "README.md", "pyproject.toml",
    }  # fmt: skip


def test_locks_name_no_index() -> None:
    """The lock files hold names, versions and hashes only: no address, no option that chooses an index."""
    files = {path.relative_to(ROOT): path.read_text(encoding="utf-8") for path in LOCKS}
    assert len(files) == 3
    assert lines_with(r"://|^\s*--(?!hash=)|@|\bfile:", files) == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_locked_package_has_a_hash(lock: Path) -> None:
    """Each entry of a lock pins one version and carries at least one SHA-256."""
    entries = re.split(r"(?m)^(?=\S)", lock.read_text(encoding="utf-8").strip())
    entry = re.compile(r"[a-z0-9.-]+==\S+( ; [^\\]+)? \\(\n    --hash=sha256:[0-9a-f]{64}( \\)?)+\n*")
    assert [text.splitlines()[0] for text in entries if text and not entry.fullmatch(text)] == []


def test_locks_agree_with_each_other_and_with_the_package() -> None:
    """Developers run the versions that users get, and every declared dependency is locked."""

    def pins(name: str) -> set[str]:
        text = (ROOT / ".ci" / "locks" / name).read_text(encoding="utf-8")
        return set(re.findall(r"(?m)^[a-z0-9.-]+==[^\\\n]*", text))

    assert pins("runtime.txt") <= pins("dev.txt")
    project = pyproject()["project"]
    extras = project["optional-dependencies"].values()
    declared = [*project["dependencies"], *(item for extra in extras for item in extra)]
    wanted = {re.split(r"[><=~!]", item)[0] for item in declared}
    assert wanted <= {pin.split("==")[0] for pin in pins("dev.txt")}


def test_one_version() -> None:
    """The package, the container recipe and what the package declares name the same version."""
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"(?m)^ARG VERSION=(.+)$", dockerfile) == [bids_msvol.__version__]
    assert pyproject()["project"]["dynamic"] == ["version"]
    assert pyproject()["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "bids_msvol.__version__"}


def test_spdx_line_first() -> None:
    """Every Python file that is not empty begins with its licence."""
    first = {path: text.split("\n", 1)[0] for path, text in texts(".py").items() if text}
    assert [str(path) for path, line in first.items() if line != "# SPDX-License-Identifier: Apache-2.0"] == []


def test_modules_stay_readable() -> None:
    """No module of the package outgrows what a newcomer reads in one go."""
    lengths = {str(path): text.count("\n") for path, text in texts(".py").items() if path.parts[0] == "bids_msvol"}
    assert {path: length for path, length in lengths.items() if length > MAX_MODULE_LINES} == {}


def test_package_data_is_small_and_declared() -> None:
    """The data files of the package stay under 10 MB, and each of them is one that the wheel takes along."""
    package = ROOT / "bids_msvol"
    files = [path for path in committed() if package in path.parents and path.suffix != ".py"]
    assert sum(path.stat().st_size for path in files) < MAX_PACKAGE_DATA_MB * 1e6
    taken = {package / "py.typed"}
    for module, patterns in pyproject()["tool"]["setuptools"]["package-data"].items():
        if module != "*":
            folder = ROOT / module.replace(".", "/")
            taken |= {path for pattern in patterns for path in folder.glob(pattern)}
    assert [str(path.relative_to(ROOT)) for path in files if path not in taken] == []


def test_actions_are_pinned() -> None:
    """Every action of every workflow is named by a full commit hash, with the version beside it."""
    workflows = {path: text for path, text in texts(".yml").items() if path.parts[:2] == (".github", "workflows")}
    uses = lines_with(r"uses:", workflows)
    assert len(uses) > 0
    pinned = re.compile(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
    assert [line for line in uses if not pinned.search(line)] == []


def test_workflows_may_write_only_where_they_release() -> None:
    """Each workflow starts from read permission; only the release job asks for more."""
    for path, text in texts(".yml").items():
        if path.parts[:2] == (".github", "workflows"):
            assert re.search(r"(?m)^permissions:\n  contents: read\n", text), path
            assert path.name == "release.yml" or ": write" not in text, path


def test_docs_are_up_to_date() -> None:
    """The generated tables of flags, exit codes and columns are those that the code has now (mend with: make docs)."""
    outdated = runpy.run_path(str(ROOT / "docs" / "generate.py"))["outdated"]
    assert [path.name for path in outdated()] == []


def test_links_between_documents_lead_somewhere() -> None:
    """Every relative link and picture in the Markdown files names a file that exists."""
    broken = []
    for path, text in texts(".md").items():
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            file = target.split("#")[0]
            if file and "://" not in file and not (ROOT / path.parent / file).exists():
                broken.append(f"{path}: {target}")
    assert broken == []


def test_makefile_targets_are_documented() -> None:
    """``make help`` lists each target with what it does."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"(?m)^\.PHONY: (.+)$", makefile)
    assert phony is not None
    documented = re.findall(r"(?m)^([a-z]+):.*  ## \S", makefile)
    assert sorted(documented) == sorted(phony[1].split())
