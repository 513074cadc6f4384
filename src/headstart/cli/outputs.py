"""Tables that are written in pieces and appear whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from headstart.errors import SettingsError
from headstart.store.files import replacing


@contextmanager
def parquet_or_csv(path: Path, overwrite: bool) -> Iterator[Callable[[pa.Table], None]]:
    """A function that appends a table to the file `path`, of the format that its ending names.

    Raises
    ------
    SettingsError
        where the ending is another, the file exists and is not to be overwritten, or nothing is written
    """
    kind = path.suffix.lower()
    if kind not in (".parquet", ".csv"):
        raise SettingsError(f"cannot write {path}: the name must end in .parquet or .csv")
    if path.exists() and not overwrite:
        raise SettingsError(f"{path} exists; give --overwrite to replace it, or another name")
    open_writer = pq.ParquetWriter if kind == ".parquet" else pc.CSVWriter
    writer: pq.ParquetWriter | pc.CSVWriter | None = None

    with replacing(path) as temporary:

        def write(table: pa.Table) -> None:
            nonlocal writer
            writer = writer or open_writer(str(temporary), table.schema)
            writer.write_table(table)

        try:
            yield write
        finally:
            if writer is not None:
                writer.close()
        if writer is None:
            raise SettingsError(f"there is nothing to write to {path}")


def write_once(path: Path, text: str, overwrite: bool) -> None:
    """Write `text` to the file `path`, which appears whole.

    Raises
    ------
    SettingsError
        where it exists and is not to be overwritten
    """
    if path.exists() and not overwrite:
        raise SettingsError(f"{path} exists; give --overwrite to replace it, or another name")
    with replacing(path) as temporary:
        temporary.write_text(text, "utf-8")
