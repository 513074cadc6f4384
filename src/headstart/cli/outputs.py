"""Tables that are written in pieces and appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from headstart.errors import SettingsError


@contextmanager
def parquet_or_csv(path: Path, overwrite: bool) -> Iterator[Callable[[pa.Table], None]]:
    """A function that appends a table to the file `path`, of the format that its ending names.

    Raises
    ------
    SettingsError
        where the ending is another, the file exists and is not to be overwritten, or its folder is missing
    """
    kind = path.suffix.lower()
    if kind not in (".parquet", ".csv"):
        raise SettingsError(f"--out {path}: the ending must be .parquet or .csv")
    if path.exists() and not overwrite:
        raise SettingsError(f"{path} exists; give --overwrite to replace it")
    if not path.resolve().parent.is_dir():
        raise SettingsError(f"cannot write {path}: there is no folder {path.resolve().parent}")
    handle, name = tempfile.mkstemp(dir=path.resolve().parent, prefix=f".{path.name}.")
    os.close(handle)
    writer: pq.ParquetWriter | pc.CSVWriter | None = None

    def write(table: pa.Table) -> None:
        nonlocal writer
        if writer is None:
            writer = pq.ParquetWriter(name, table.schema) if kind == ".parquet" else pc.CSVWriter(name, table.schema)
        writer.write_table(table)

    try:
        yield write
        if writer is None:
            raise SettingsError(f"there is nothing to write to {path}")
        writer.close()
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)
