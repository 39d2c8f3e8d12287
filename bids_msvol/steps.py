# SPDX-License-Identifier: Apache-2.0
"""Do no work twice: results of finished steps by the content they depend on, and a record of finished outputs.

A step's address is a digest of everything that decides its result: the step's name, the program's version, and a key
(input file digests, parameters, addresses of earlier steps). Nothing depends on time stamps or paths.
"""

from __future__ import annotations

import contextlib
import copyreg
import hashlib
import json
import logging
import os
import pickle
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Generic, TypeVar

if TYPE_CHECKING:
    import nibabel as nib

_logger = logging.getLogger(__name__)

_T = TypeVar("_T")
_DIGEST_BYTES = 32
_NAME_DIGITS = 16


@dataclass(frozen=True)
class StepResult(Generic[_T]):
    """The result of a step.

    Attributes
    ----------
    value
        What the step's function returned.
    address
        Digest of what the result depends on; put it into the key of the steps that use the result.
    reused
        Whether the result was read from the work folder instead of computed.
    """

    value: _T
    address: str
    reused: bool


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def step_address(name: str, version: str, key: Mapping[str, Any]) -> str:
    """Return the address of a step, 64 hexadecimal digits.

    Raises
    ------
    TypeError
        If the key holds something that JSON cannot express.
    """
    text = json.dumps([name, version, key], sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


class StepCache:
    """Results of finished steps in a work folder.

    Parameters
    ----------
    folder
        Where the results lie; a private folder, since they are pickles.
    version
        Version of the program: results of another version are not used.
    """

    def __init__(self, folder: Path, version: str) -> None:
        self.folder = folder
        self.version = version

    def run(self, name: str, function: Callable[[], _T], *, key: Mapping[str, Any]) -> StepResult[_T]:
        """Return the stored result of a step, or compute and store it.

        Parameters
        ----------
        name
            The step's name, also the beginning of its file name.
        function
            Computes the result; must depend on nothing that is not in ``key``.
        key
            What the result depends on, in types that JSON knows.
        """
        address = step_address(name, self.version, key)
        path = self.folder / f"{name}-{address[:_NAME_DIGITS]}.pkl"
        if path.exists():
            try:
                return StepResult(_load(path, address), address, reused=True)
            except Exception as error:  # a damaged pickle can raise anything
                _logger.warning("%s is damaged (%s); the step %s runs again", path, error, name)
        value = function()
        try:
            _store(path, address, value)
        except OSError as error:
            _logger.warning("%s could not be stored (%s); the run goes on, but cannot resume from it", path, error)
        return StepResult(value, address, reused=False)


def write_record(path: Path, address: str, files: Iterable[Path]) -> None:
    """Record that ``files`` are the finished outputs of the work with this address.

    Parameters
    ----------
    path
        The record, a JSON file in the output tree.
    address
        Address of the work (see `step_address`).
    files
        The output files, noted with size and digest, relative to the record: the tree can be moved.
    """
    entries = {
        os.path.relpath(file, path.parent): {"size": file.stat().st_size, "sha256": file_digest(file)}
        for file in sorted(files)
    }
    text = json.dumps({"address": address, "files": entries}, indent=2, sort_keys=True)
    with _atomic(path) as temporary:
        temporary.write_bytes(text.encode())


def is_current(path: Path, address: str, files: Iterable[Path] = ()) -> bool:
    """Say whether recorded outputs are all there, unchanged, and those of the work with this address.

    Parameters
    ----------
    path
        The record that `write_record` wrote.
    address
        Address of the work that is asked for.
    files
        Files that must be among the recorded ones.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        entries = record["files"]
        if record["address"] != address or any(os.path.relpath(file, path.parent) not in entries for file in files):
            return False
        return all(_is_unchanged(path.parent / name, entry) for name, entry in entries.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False  # no record, or not one of ours: the work is done again


def _is_unchanged(file: Path, entry: Mapping[str, Any]) -> bool:
    # The size first: it spares reading most files that changed.
    return bool(file.stat().st_size == entry["size"] and file_digest(file) == entry["sha256"])


class _Digested:
    """A file to write to that keeps the SHA-256 of what was written, so that no whole copy is held in memory."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.digest = hashlib.sha256()

    def write(self, content: bytes) -> int:
        """Write and count into the digest."""
        self.digest.update(content)
        return self.stream.write(content)


def _image_pickler(stream: _Digested) -> pickle.Pickler:
    """Return a pickler that takes an image for its array and affine: nibabel would hold a copy of each in memory."""
    import nibabel as nib

    pickler = pickle.Pickler(stream, protocol=pickle.HIGHEST_PROTOCOL)
    pickler.dispatch_table = {**copyreg.dispatch_table, nib.Nifti1Image: _reduce_image}
    return pickler


def _reduce_image(image: nib.Nifti1Image) -> tuple[Any, ...]:
    import numpy as np

    return type(image), (np.asanyarray(image.dataobj), image.affine)


def _store(path: Path, address: str, value: object) -> None:
    with _atomic(path) as temporary, temporary.open("wb") as stream:
        stream.write(bytes(_DIGEST_BYTES))
        payload = _Digested(stream)
        _image_pickler(payload).dump((address, value))
        stream.seek(0)
        stream.write(payload.digest.digest())


def _load(path: Path, address: str) -> Any:
    with path.open("rb") as stream:
        digest = stream.read(_DIGEST_BYTES)
        if hashlib.file_digest(stream, "sha256").digest() != digest:
            raise ValueError("checksum does not match")
        stream.seek(_DIGEST_BYTES)
        stored_address, value = pickle.load(stream)  # own files in a private folder
    if stored_address != address:
        raise ValueError("it belongs to another step")
    return value


@contextlib.contextmanager
def _atomic(path: Path) -> Iterator[Path]:
    """Give a path to write to that takes the place of ``path`` if all goes well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
