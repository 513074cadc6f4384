"""Where events come from: Parquet, CSV, Arrow files, or any object that gives an Arrow stream."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq

from headstart.data.database import Database, brief, literal
from headstart.errors import DataError, SettingsError

Origin: TypeAlias = Any
"""A path or several (str or Path), a directory of Parquet parts, or an object with ``__arrow_c_stream__``."""

FORMATS = {
    ".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".txt": "csv", ".data": "csv", ".tsv": "tsv",
    ".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow", ".arrows": "arrow",
}  # fmt: skip
_DELIMITERS = (",", "\t", ";", "|")


@dataclass(frozen=True)
class Reading:
    """How to read a file; None: found out.

    Attributes
    ----------
    format : parquet, csv, tsv or arrow; None: by the file's ending, else its first bytes
    delimiter : of CSV; None: the one of comma, tab, semicolon and bar that fits the first line
    header : whether a CSV file begins with names; None: if the first line holds the user column's name, or no number.
        Without one the columns are called column0, column1, ...
    """

    format: str | None = None
    delimiter: str | None = None
    header: bool | None = None

    def __post_init__(self) -> None:
        if self.format is not None and self.format not in FORMATS.values():
            raise SettingsError(f"unknown format {self.format!r}; there are parquet, csv, tsv and arrow")
        if self.delimiter is not None and (not 1 <= len(self.delimiter.encode()) <= 4 or '"' in self.delimiter):
            raise SettingsError(f"a delimiter is 1 to 4 characters and no quote; got {self.delimiter!r}")


@dataclass(frozen=True)
class Source:
    """Something a database can scan.

    Attributes
    ----------
    what : its name in messages
    names : of its columns, in order
    scan : an SQL FROM clause that calls the columns c0, c1, ...
    kinds : of the columns as the database gives them; None: all text, as in a CSV file
    """

    what: str
    names: tuple[str, ...]
    scan: str
    kinds: tuple[pa.DataType, ...] | None


def open_source(db: Database, origin: Origin, reading: Reading, user: str) -> Source:
    """Find out names and types, and let `db` scan `origin`; no rows are read yet, except of an Arrow stream."""
    if hasattr(origin, "__arrow_c_stream__") or hasattr(origin, "__arrow_c_array__"):
        return _of_table(db, "the table", _table(origin))
    if isinstance(origin, str | Path):
        paths, what = _files(Path(origin)), str(origin)
    elif isinstance(origin, Sequence) and origin and all(isinstance(part, str | Path) for part in origin):
        paths = [file for part in origin for file in _files(Path(part))]
        what = str(origin[0]) if len(origin) == 1 else f"{origin[0]} and {len(origin) - 1} more"
    else:
        raise DataError(f"cannot read events from {type(origin).__name__}; give a path, a data frame or an Arrow table")
    format_ = reading.format or _format(paths[0])
    if format_ == "parquet":
        return _of_parquet(db, what, paths)
    if format_ == "arrow":
        return _of_table(db, what, pa.concat_tables([_arrow(path) for path in paths], promote_options="permissive"))
    return _of_csv(what, paths, reading, user, "\t" if format_ == "tsv" else None)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        parts = sorted(part for part in path.rglob("*.parquet") if part.is_file())
        if not parts:
            raise DataError(f"{path}: the directory holds no .parquet file; give a file, or a directory of such")
        return parts
    return [path]


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}; check the path") from error
    if not head:
        raise DataError(f"{path}: the file is empty; give a file with events")
    return head


def _format(path: Path) -> str:
    head = _head(path)
    named = FORMATS.get(Path(path.name.removesuffix(".gz")).suffix.lower())
    if named is not None:
        return named
    if head.startswith(b"PAR1"):
        return "parquet"
    return "arrow" if head.startswith((b"ARROW1", b"\xff\xff\xff\xff")) else "csv"


def _of_parquet(db: Database, what: str, paths: list[Path]) -> Source:
    for path in paths:
        _head(path)
    try:
        names = tuple(pq.read_schema(paths[0]).names)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{paths[0]}: damaged or not Parquet ({brief(str(error))}); write it again") from error
    listed = ", ".join(literal(str(path)) for path in paths)
    columns = ", ".join(f"c{k}" for k in range(len(names)))
    scan = f"(SELECT * FROM read_parquet([{listed}], hive_partitioning = false)) AS events({columns})"
    kinds = db.table(f"SELECT * FROM {scan} LIMIT 0", what=what).schema.types
    return Source(what, names, scan, tuple(kinds))


def _table(origin: Any) -> pa.Table:
    try:
        return pa.table(origin)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise DataError(f"the table cannot be read: {brief(str(error))}; convert that column") from error


def _arrow(path: Path) -> pa.Table:
    _head(path)
    try:
        source = pa.memory_map(str(path))
        try:
            return ipc.open_file(source).read_all()
        except pa.ArrowInvalid:
            source.seek(0)
            return ipc.open_stream(source).read_all()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: damaged or not an Arrow file ({brief(str(error))}); write it again") from error


def _of_table(db: Database, what: str, table: pa.Table) -> Source:
    names = tuple(table.column_names)
    columns = [_known(column) for column in table.columns]
    db.add("events", pa.Table.from_arrays(columns, [f"c{k}" for k in range(len(names))]))
    kinds = db.table("SELECT * FROM events LIMIT 0", what=what).schema.types if names else []
    return Source(what, names, "events", tuple(kinds))


def _known(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column in a type that the database knows."""
    if pa.types.is_float16(column.type):
        return column.cast(pa.float32())
    return column.cast(pa.float64()) if pa.types.is_decimal256(column.type) else column


def _of_csv(what: str, paths: list[Path], reading: Reading, user: str, tab: str | None) -> Source:
    first = _first_line(paths[0])
    delimiter = reading.delimiter or tab or _delimiter(first, user)
    fields = _fields(first, delimiter)
    header = reading.header
    if header is None:
        header = user in fields or not any(_is_number(field) for field in fields)
    names = tuple(fields) if header else tuple(f"column{k}" for k in range(len(fields)))
    for path in paths[1:]:
        other = _fields(_first_line(path), delimiter)
        if len(other) != len(fields) or (header and other != fields):
            raise DataError(f"{path}: its columns differ from those of {paths[0]}; give files with the same columns")
    columns = ", ".join(f"'c{k}': 'VARCHAR'" for k in range(len(names)))
    listed = ", ".join(literal(str(path)) for path in paths)
    # Every option is given and nothing sniffed, so that a broken line is an error that names the line.
    scan = (
        f"read_csv([{listed}], auto_detect = false, delim = {literal(delimiter)}, quote = '\"', escape = '\"',"
        f" header = {str(header).lower()}, columns = {{{columns}}}, null_padding = false, strict_mode = true)"
    )
    return Source(what, names, scan, None)


def _first_line(path: Path) -> str:
    _head(path)
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            line = file.readline(1 << 20).decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: the first line is not UTF-8 text; convert the file, or give --format") from error
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read ({error}); write it again") from error
    if not line.strip():
        raise DataError(f"{path}: the first line is empty; begin the file with its column names")
    return line


def _delimiter(line: str, user: str) -> str:
    split = {delimiter: _fields(line, delimiter) for delimiter in _DELIMITERS}
    return max(_DELIMITERS, key=lambda delimiter: (user in split[delimiter], len(split[delimiter])))


def _fields(line: str, delimiter: str) -> list[str]:
    if len(delimiter) > 1:
        return [field.strip('"') for field in line.split(delimiter)]
    return next(csv.reader([line], delimiter=delimiter))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
