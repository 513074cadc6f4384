"""A new version of a model in the making: whole when committed, gone when not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from headstart.errors import ModelError
from headstart.store.files import LOCK, Checksum, checksums, locked, names_below, sync
from headstart.store.manifest import MANIFEST, VERSION, VERSIONS, Manifest

_DRAFT, _UNFINISHED = ".draft", ".unfinished"
_OURS = {LOCK, VERSIONS, f".{MANIFEST}.tmp"}


class Draft:
    """Holds the writers' lock of the model at `path` and gives a folder to write a version into.

    Leaving the block without `commit` removes what was written. What a killed writer left behind is removed by the
    next one, but for the folder `unfinished`, which is anybody's to make and holds what a writer may resume from.

    Parameters
    ----------
    path : folder of the model; made if it is absent
    overwrite : replace the model that is there
    resume : keep what is in `unfinished` when entering, and when leaving without `commit`

    Raises
    ------
    ModelError
        on entering: where a model is there and `overwrite` is not given, where the folder holds something else, where
        another process is writing
    """

    def __init__(self, path: Path, overwrite: bool = False, resume: bool = False) -> None:
        self.path, self._overwrite, self._resume = path, overwrite, resume
        self.folder = path / VERSIONS / _DRAFT
        self.unfinished = path / VERSIONS / _UNFINISHED
        self._held = ExitStack()
        self._existed = True

    def __enter__(self) -> Self:
        self._refuse()
        self._existed = self.path.exists()
        try:
            self._held.enter_context(locked(self.path))
        except OSError as error:
            raise ModelError(f"{self.path} cannot be written: {error.strerror}; choose another folder") from error
        try:
            self._refuse()  # another writer may have been faster
            self._clean(self._resume)
            self.folder.mkdir(parents=True)
        except BaseException:
            self._held.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        with self._held:
            self._clean(self._resume)
            if not (self.path / MANIFEST).exists() and not self.unfinished.exists():
                _remove_if_empty(self.path / VERSIONS)
                (self.path / LOCK).unlink(missing_ok=True)
                if not self._existed:
                    _remove_if_empty(self.path)

    def commit(self, fields: Mapping[str, Any], known: Mapping[str, Checksum] | None = None) -> Manifest:
        """Make the draft the current version of the model and remove the older ones.

        Parameters
        ----------
        fields : the caller's part of the manifest, plain values
        known : checksums of files that are hard links to those of the current version, so need no reading
        """
        names = names_below(self.folder)
        known = known or {}
        new = checksums(self.folder, [name for name in names if name not in known])
        for name in new:
            sync(self.folder / name)
        for folder, _, _ in os.walk(self.folder):
            sync(Path(folder))
        versions = self.folder.parent
        version = f"{max((int(entry.name) for entry in _numbered(versions)), default=0) + 1:06d}"
        self.folder.rename(versions / version)
        sync(versions)
        manifest = Manifest(version, dict(fields), {name: new.get(name) or known[name] for name in names})
        manifest.write(self.path)
        self._clean(resume=False)
        return Manifest.read(self.path)

    def _refuse(self) -> None:
        """Raise where the folder must not be written to."""
        path = self.path
        if not path.exists():
            return
        if not path.is_dir():
            raise ModelError(f"{path} is a file; choose a folder for the model")
        if (path / MANIFEST).exists():
            try:
                Manifest.read(path)
            except ModelError as error:
                raise ModelError(f"{path} is in the way ({error}); choose another folder") from error
        elif foreign := _foreign(path):
            raise ModelError(f"{path} holds {foreign[0]!r} but no headstart model; choose another folder")
        elif not _numbered(path / VERSIONS):
            return
        if not self._overwrite:
            raise ModelError(f"{path} already holds a model; give --overwrite to replace it, or another folder")

    def _clean(self, resume: bool) -> None:
        """Remove every version that the manifest does not name, and what is unfinished unless it may `resume`."""
        if not resume:
            shutil.rmtree(self.unfinished, ignore_errors=True)
        current = Manifest.read(self.path).version if (self.path / MANIFEST).exists() else None
        shutil.rmtree(self.folder, ignore_errors=True)
        for entry in _numbered(self.path / VERSIONS):
            if entry.name != current:
                shutil.rmtree(entry, ignore_errors=True)
        (self.path / f".{MANIFEST}.tmp").unlink(missing_ok=True)


def _foreign(path: Path) -> list[str]:
    """Names of what no writer of models leaves in a folder without a manifest."""
    entries = {entry.name for entry in path.iterdir()}
    if entries and LOCK not in entries:  # every writer makes it first
        return sorted(entries)
    below = {entry.name for entry in (path / VERSIONS).iterdir()} if VERSIONS in entries else set()
    return sorted(entries - _OURS) + sorted(
        name for name in below if name not in (_DRAFT, _UNFINISHED) and not VERSION.fullmatch(name)
    )


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _numbered(versions: Path) -> list[Path]:
    return [entry for entry in versions.iterdir() if VERSION.fullmatch(entry.name)] if versions.is_dir() else []
