"""The one door to duckdb: a database in memory that spills to the system's temporary folder under a limit."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa

from headstart.errors import DataError, SettingsError

_SIZE = re.compile(r"^\s*(?P<number>\d+(\.\d+)?)\s*(?P<unit>[KMGT])(?P<binary>i?)B?\s*$", re.IGNORECASE)
_CSV_LINE = re.compile(r"CSV Error on Line: (\d+)")


class Database:
    """A connection whose errors are `DataError`; made by `connect`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, memory: str | None) -> None:
        self._connection, self._memory = connection, memory

    def add(self, name: str, source: Any) -> None:
        """Let queries read `source` (an Arrow table or stream, without a copy) as the table `name`."""
        with self._translated(name):
            self._connection.register(name, source)

    def run(self, sql: str, *parameters: Any) -> None:
        """Run a statement for its effect."""
        with self._translated("the query"):
            self._connection.execute(sql, list(parameters))

    def table(self, sql: str, *parameters: Any, what: str = "the events") -> pa.Table:
        """The result of a query, in its order; `what` names the source in errors."""
        with self._translated(what):
            return self._connection.sql(sql, params=list(parameters)).to_arrow_table()

    def batches(self, sql: str, *parameters: Any, size: int, what: str = "the events") -> Iterator[pa.RecordBatch]:
        """The result of a query as a stream of about `size` rows each; only one stream at a time."""
        with self._translated(what):
            reader = self._connection.sql(sql, params=list(parameters)).to_arrow_reader(size)
        while True:
            with self._translated(what):
                batch = next(reader, None)
            if batch is None:
                return
            yield batch

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except duckdb.InterruptException as error:
            raise KeyboardInterrupt from error
        except duckdb.OutOfMemoryException as error:
            limit = f"the memory limit {self._memory}" if self._memory else "the memory of this machine"
            raise DataError(
                f"{what}: {limit} is too small to sort the events; give a higher --memory, or --threads 1"
            ) from error
        except (duckdb.Error, pa.ArrowInvalid, OSError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "interrupted" in str(error):
                raise KeyboardInterrupt from error
            raise DataError(f"{what}: {brief(str(error))}") from error


@contextmanager
def connect(memory: str | None = None, threads: int | None = None) -> Iterator[Database]:
    """Open a database in memory; its temporary files are removed at the end.

    Parameters
    ----------
    memory : limit such as ``"4GB"`` or ``"500 MiB"``; None: 80 % of the machine's
    threads : None: one for each core
    """
    if threads is not None and threads < 1:
        raise SettingsError(f"threads must be at least 1; got {threads}")
    with tempfile.TemporaryDirectory(prefix="headstart-", ignore_cleanup_errors=True) as folder:
        config: dict[str, Any] = {
            "temp_directory": folder,
            "autoinstall_known_extensions": "false",
            "python_enable_replacements": "false",
        }
        if memory is not None:
            config["memory_limit"] = _size(memory)
        if threads is not None:
            config["threads"] = threads
        connection = duckdb.connect(":memory:", config=config)
        try:
            connection.execute("SET enable_progress_bar = false")
            yield Database(connection, memory)
        finally:
            connection.close()


def brief(message: str) -> str:
    """One line of what duckdb or Arrow says over many: the line of the CSV file if there is one, and the cause."""
    line = _CSV_LINE.search(message)
    lines = [part.strip() for part in message.splitlines() if part.strip()]
    if not lines:
        return "cannot be read"
    if line is None:
        return lines[0]
    after = [part for part in lines if not part.startswith(("Original Line", "Invalid Input Error: CSV Error"))]
    cause = after[0] if after else lines[0]
    return f"line {line[1]}: {cause}; correct that line"


def literal(text: str) -> str:
    """`text` as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def size_in_bytes(memory: str) -> int:
    """Bytes of a size such as ``"4GB"`` or ``"500 MiB"``."""
    match = _matched(memory)
    power = "KMGT".index(match["unit"].upper()) + 1
    return int(float(match["number"]) * (1024 if match["binary"] else 1000) ** power)


def _size(memory: str) -> str:
    match = _matched(memory)
    return f"{match['number']}{match['unit'].upper()}{match['binary'].lower()}B"


def _matched(memory: str) -> re.Match[str]:
    match = _SIZE.match(memory)
    if match is None or float(match["number"]) <= 0:
        raise SettingsError(f"memory is a size such as 4GB or 500MB; got {memory!r}")
    return match
