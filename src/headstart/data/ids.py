"""A file of ids: users to make lists for, items to choose from."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from headstart.data.database import connect
from headstart.data.sources import Reading, open_source
from headstart.data.vocab import plain
from headstart.errors import DataError


def read_ids(path: Path, name: str) -> pa.Array:
    """The distinct ids in a Parquet, CSV, text or Arrow file, in the order that they first stand in.

    Parameters
    ----------
    name : of the column. A file of one column may call it otherwise, or begin with the first id at once

    Raises
    ------
    DataError
        where there is no such column, or it holds no ids
    """
    with connect() as db:
        source = open_source(db, path, Reading(), name)
        if name not in source.names and len(source.names) > 1:
            raise DataError(f"{path}: the columns are {', '.join(source.names)}; call the one of ids {name!r}")
        if name not in source.names and source.kinds is None:  # what looks like a name may be an id
            source = open_source(db, path, Reading(header=False), name)
        place = source.names.index(name) if name in source.names else 0
        column = db.table(f"SELECT c{place} FROM {source.scan}", what=source.what).column(0)
    try:
        ids = pc.drop_null(pc.unique(plain(column)))
    except DataError as error:
        raise DataError(f"{path}: column {source.names[place]!r}: {error}") from error
    if not len(ids):
        raise DataError(f"{path}: there are no ids; give a file with at least one")
    return ids
