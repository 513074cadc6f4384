"""Files that appear whole or not at all: atomic replacement, checksums, readable JSON, a lock between writers."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from headstart.errors import ModelError

LOCK = ".lock"


class Checksum(msgspec.Struct, frozen=True):
    """Size in bytes and BLAKE2b (256 bits, hexadecimal) of a file."""

    bytes: int
    blake2b: str


def checksum(file: Path) -> Checksum:
    """Read all of `file` once."""
    with open(file, "rb") as stream:
        digest = hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=32))
        return Checksum(stream.tell(), digest.hexdigest())


def checksums(folder: Path, names: list[str]) -> dict[str, Checksum]:
    """Checksums of files in `folder`, read by several threads (hashing leaves the interpreter's lock)."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return dict(zip(names, pool.map(lambda name: checksum(folder / name), names), strict=True))


def names_below(folder: Path) -> list[str]:
    """Relative names of all files below `folder`, ``/`` between their parts, sorted."""
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


def sync(path: Path) -> None:
    """Flush a file or a folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def replacing(file: Path, *, durable: bool = False) -> Iterator[Path]:
    """A temporary path beside `file` to write to; it takes the place of `file` when the block ends without an error.

    The old file keeps its own bytes, so a hard link to it elsewhere is not touched. `durable` flushes to the disk.
    """
    temporary = file.with_name(f".{file.name}.tmp")
    try:
        yield temporary
        if durable:
            sync(temporary)
        os.replace(temporary, file)
        if durable:
            sync(file.parent)
    except OSError as error:
        if error.filename in (None, str(temporary), temporary):
            error.filename = str(file)  # what the caller knows
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_json(file: Path, value: Mapping[str, Any] | Sequence[Any]) -> None:
    """Write plain values as indented UTF-8 JSON, atomically and flushed.

    Raises
    ------
    ModelError
        where a value has no form in JSON (NaN and infinity among them)
    """
    data = json_bytes(file.name, value)
    with replacing(file, durable=True) as temporary:
        temporary.write_bytes(data)


def json_bytes(name: str, value: Mapping[str, Any] | Sequence[Any]) -> bytes:
    """Plain values as indented UTF-8 JSON; see `write_json`."""
    try:
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
        return f"{text}\n".encode()
    except (TypeError, ValueError) as error:
        raise ModelError(f"{name} cannot be written as JSON: {error}; give plain finite values") from error


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Write several files that say the same: none takes its place before all are written."""
    with ExitStack() as stack:
        for file, data in contents.items():
            stack.enter_context(replacing(file)).write_bytes(data)


def read_json(file: Path) -> dict[str, Any]:
    """Read what `write_json` wrote.

    Raises
    ------
    ModelError
        where the file is missing or is no JSON object
    """
    try:
        value = json.loads(file.read_bytes())
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {error.strerror}; restore it or train the model again") from error
    except ValueError as error:
        raise ModelError(f"{file} is damaged: no JSON; restore it or train the model again") from error
    if not isinstance(value, dict):
        raise ModelError(f"{file} is damaged: no JSON object; restore it or train the model again")
    return value


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the writers' lock of `folder` until the block ends; the folder may be removed inside the block.

    Raises
    ------
    ModelError
        where another writer, of this process or another, holds it
    """
    handle = _lock(folder)
    try:
        yield
    finally:
        os.close(handle)


def _lock(folder: Path) -> int:
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:  # the folder was removed a moment ago by a writer that gave up
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(handle).st_nlink:
                return handle
        except BlockingIOError as error:
            os.close(handle)
            raise ModelError(f"another process is writing to {folder}; wait until it is done") from error
        os.close(handle)  # removed between open and lock: that lock keeps nobody out
