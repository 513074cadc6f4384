"""The manifest of a model folder: what the model is, which version is current, a checksum for each of its files."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from headstart.errors import ModelError
from headstart.store.files import Checksum, checksums, read_json, write_json

MANIFEST = "manifest.json"
VERSIONS = "versions"
FORMAT = "headstart.model"
FORMAT_VERSION = 1
_ADVICE = "restore it or train the model again"
VERSION = re.compile(r"\d{6,}")


class Manifest(msgspec.Struct, frozen=True):
    """What ``manifest.json`` says.

    Attributes
    ----------
    version : name of the current folder below ``versions/``
    fields : the caller's: family, settings, data fingerprint and so on, plain values
    files : relative name in the version's folder -> size and checksum
    """

    version: str
    fields: dict[str, Any]
    files: dict[str, Checksum]

    def write(self, path: Path) -> None:
        """Make this the current version of the model at `path`, atomically and flushed to the disk."""
        try:
            body = {"format": FORMAT, "format_version": FORMAT_VERSION} | msgspec.to_builtins(self, str_keys=True)
        except TypeError as error:
            raise ModelError(f"the manifest takes plain values only: {error}") from error
        body = json.loads(json.dumps(body))  # as it will be read: keys are text
        write_json(path / MANIFEST, body | {"checksum": _digest(body)})

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """The manifest of the model at `path`.

        Raises
        ------
        ModelError
            where there is no model, or its manifest is damaged or of a newer format
        """
        file = path / MANIFEST
        if not file.exists():
            raise ModelError(_absent(path))
        body = read_json(file)
        if body.get("format") != FORMAT:
            raise ModelError(f"{file} is not the manifest of a headstart model; give the folder of a model")
        found = body.get("format_version")
        if isinstance(found, int) and found > FORMAT_VERSION:
            raise ModelError(
                f"{path} is in format {found}, and this headstart reads up to {FORMAT_VERSION}; upgrade headstart"
            )
        wanted = body.pop("checksum", None)
        try:
            manifest = msgspec.convert(body, cls)
        except msgspec.ValidationError as error:
            raise ModelError(f"{file} is damaged ({error}); {_ADVICE}") from error
        if wanted != _digest(body) or not VERSION.fullmatch(manifest.version) or not all(map(_inside, manifest.files)):
            raise ModelError(f"{file} is damaged or was edited; {_ADVICE}")
        return manifest

    def folder(self, path: Path) -> Path:
        """Where the files of the current version of the model at `path` are."""
        return path / VERSIONS / self.version

    def verify(self, path: Path) -> None:
        """Read every file and compare its checksum.

        Raises
        ------
        ModelError
            naming the first file that is missing or damaged
        """
        folder = self.folder(path)
        for name, wanted in self.files.items():
            file = folder / name
            if not file.is_file():
                raise ModelError(f"{file} is missing; {_ADVICE}")
            if file.stat().st_size != wanted.bytes:
                raise ModelError(f"{file} is damaged: {file.stat().st_size} bytes, not {wanted.bytes}; {_ADVICE}")
        for name, found in checksums(folder, list(self.files)).items():
            if found != self.files[name]:
                raise ModelError(f"{folder / name} is damaged: it is not what was written; {_ADVICE}")


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(body, sort_keys=True).encode(), digest_size=32).hexdigest()


def _inside(name: str) -> bool:
    pure = PurePosixPath(name)
    return not pure.is_absolute() and ".." not in pure.parts


def _absent(path: Path) -> str:
    if not path.exists():
        return f"there is no model at {path}; make one with headstart fit --out {path}"
    if not path.is_dir():
        return f"{path} is a file, not the folder of a model; give the folder that headstart fit made"
    if (path / VERSIONS).is_dir():
        return f"{path} holds no finished model; run the fit again"
    return f"{path} is not a headstart model: it has no {MANIFEST}; give the folder that headstart fit made"
