"""The types of CSV columns, found out from every row: a guess from the first rows could round or merge later values."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pyarrow as pa

from headstart.data.database import Database
from headstart.data.sources import Source
from headstart.errors import DataError

_COUNTS = {
    "id": {
        "bigint": "count(try_cast({c} AS BIGINT)) FILTER (regexp_full_match({c}, '0|-?[1-9][0-9]*'))",
        "ubigint": "count(try_cast({c} AS UBIGINT)) FILTER (regexp_full_match({c}, '0|[1-9][0-9]*'))",
    },
    "value": {
        "double": "count(try_cast({c} AS DOUBLE))",
        "bigint": "count(try_cast({c} AS BIGINT)) FILTER (try_cast({c} AS DOUBLE) = floor(try_cast({c} AS DOUBLE)))",
        "boolean": "count(*) FILTER (lower({c}) IN ('true', 'false'))",
        # The cast is slow, so it is tried on what begins with a digit and is no number.
        "timestamptz": "count(CASE WHEN {c} BETWEEN '0' AND ':' AND try_cast({c} AS DOUBLE) IS NULL"
        " THEN try_cast({c} AS TIMESTAMPTZ) END)",
    },
}
# In the order of preference.
_KINDS = {
    "bigint": pa.int64(),
    "ubigint": pa.uint64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "timestamptz": pa.timestamp("us", "UTC"),
    "varchar": pa.string(),
}


def sniff(
    db: Database, source: Source, names: Sequence[str], ids: Collection[str], texts: Collection[str]
) -> dict[str, tuple[pa.DataType, str]]:
    """Type and SQL expression of the columns `names` of a CSV source.

    Ids stay text unless every one is a whole number as numbers are written, so ``007`` and ``7`` are two users.
    Of the others a column of which more than half are numbers but not all is an error, unless it is in `texts`.
    """
    at = {name: f"c{source.names.index(name)}" for name in names}
    counts = []
    for name, column in at.items():
        wanted = _COUNTS["id" if name in ids else "value"]
        counts += [f"count({column})", *(sql.format(c=column) for sql in wanted.values())]
    if not counts:
        return {}
    found = db.table(f"SELECT {', '.join(f'{sql} AS n{k}' for k, sql in enumerate(counts))} FROM {source.scan}",
                     what=source.what)  # fmt: skip
    numbers = iter([column[0].as_py() for column in found.columns])
    kinds = {}
    for name, column in at.items():
        wanted = _COUNTS["id" if name in ids else "value"]
        present = next(numbers)
        matching = {kind: next(numbers) for kind in wanted}
        kind = _choose(present, matching)
        if kind == "varchar" and name not in texts and 2 * matching.get("double", 0) > present:
            _refuse_mixed(db, source, name, column)
        kinds[name] = (_KINDS[kind], f"CAST({column} AS {kind})")
    return kinds


def _choose(present: int, matching: dict[str, int]) -> str:
    if present == 0:
        return "double" if "double" in matching else "varchar"
    return next((kind for kind in _KINDS if matching.get(kind) == present), "varchar")


def _refuse_mixed(db: Database, source: Source, name: str, column: str) -> None:
    rows = f"SELECT row_number() OVER () AS row, {column} AS value FROM {source.scan}"
    bad = db.table(
        f"SELECT row, value FROM ({rows}) WHERE value IS NOT NULL AND try_cast(value AS DOUBLE) IS NULL LIMIT 1",
        what=source.what,
    )
    row, value = bad.column(0)[0].as_py(), bad.column(1)[0].as_py()
    raise DataError(
        f"{source.what}: column {name!r} holds numbers, but {value!r} in row {row};"
        f" correct it (a missing value is left empty), or give --categorical {name} or --drop {name}"
    )
