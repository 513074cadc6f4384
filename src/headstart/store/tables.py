"""Arrow IPC files at rest: written atomically, read by memory map, foreign errors translated once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from headstart.data.vocab import Vocabulary, plain
from headstart.errors import ModelError
from headstart.store.files import replacing

USER = "user"
_FORMAT = b"headstart.kind"
_VERSION = b"headstart.version"
_NOW = b"1"


@contextmanager
def damaged(file: Path) -> Iterator[None]:
    """Turn what the reading of a missing or damaged file raises into a `ModelError`."""
    try:
        yield
    except FileNotFoundError as error:
        now = "open the model again if it was changed meanwhile, else restore the file or train again"
        raise ModelError(f"{file} is missing; {now}") from error
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        short = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{file} is damaged ({short}); restore it or train the model again") from error


@contextmanager
def _writer(file: Path, schema: pa.Schema) -> Iterator[pa.RecordBatchFileWriter]:
    with (
        replacing(file) as temporary,
        pa.OSFile(str(temporary), "wb") as sink,
        pa.ipc.new_file(sink, schema) as writer,
    ):
        yield writer


def write_table(file: Path, table: pa.Table) -> None:
    """Write a table, atomically."""
    with _writer(file, table.schema) as writer:
        writer.write_table(table)


def read_table(file: Path) -> pa.Table:
    """Map a table into memory.

    Raises
    ------
    ModelError
        where the file is missing or damaged
    """
    with damaged(file), pa.memory_map(str(file)) as source:
        table = pa.ipc.open_file(source).read_all()
        table.validate(full=True)
        return table


def write_batch(file: Path, batch: pa.RecordBatch, kind: str) -> None:
    """Write one batch, atomically, with its kind and format version."""
    about = (batch.schema.metadata or {}) | {_FORMAT: kind.encode(), _VERSION: _NOW}
    batch = batch.replace_schema_metadata(about)
    with _writer(file, batch.schema) as writer:
        writer.write_batch(batch)  # one batch even where it has no rows, unlike write_table


def read_batch(file: Path, kind: str) -> pa.RecordBatch:
    """Map one batch into memory and check its kind and every offset in it, so that no reader can step outside.

    Raises
    ------
    ModelError
        where the file is missing, damaged, of another kind or of a newer version
    """
    with damaged(file), pa.memory_map(str(file)) as source:
        reader = pa.ipc.open_file(source)
        about = reader.schema.metadata or {}
        if about.get(_FORMAT) == kind.encode() and about.get(_VERSION) != _NOW:
            raise ModelError(f"{file} was written by a newer headstart; upgrade headstart to read it")
        if about.get(_FORMAT) != kind.encode() or reader.num_record_batches != 1:
            raise ValueError(f"it is no {kind} file")
        batch = reader.get_batch(0)
        batch.validate(full=True)
        return batch


def drop_users(file: Path, users: pa.Array) -> int:
    """Rewrite the table in `file` without the rows whose column ``user`` is among `users`; how many there were.

    The file is replaced, so a hard link to it elsewhere keeps the old rows.

    Raises
    ------
    ModelError
        where the file is missing or damaged, or has no such column
    """
    table = read_table(file)
    position = table.schema.get_field_index(USER)
    if position < 0:
        raise ModelError(f"{file} has no column {USER!r}, so no rows of users; name another table")
    ids = plain(table.column(position))  # without a dictionary, which would keep the id
    keep = Vocabulary.of(users).index(ids) < 0
    rest = table.set_column(position, USER, ids).filter(pa.array(keep))
    if len(rest) < len(table):
        write_table(file, rest)
    return len(table) - len(rest)
