"""The index of a store: sorted user ids, and the shard and row that hold each one's model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headstart.data.vocab import Vocabulary, is_text
from headstart.errors import ModelError
from headstart.store.tables import USER, damaged, read_batch, write_batch

_KIND = "headstart.index"
_SHARDS = b"headstart.shards"


@dataclass(frozen=True)
class Index:
    """Where each user's model is.

    Attributes
    ----------
    users : sorted ids, U of them
    shard : int32 (U,), number of the shard
    row : int64 (U,), row in it
    """

    users: Vocabulary
    shard: NDArray[np.int32]
    row: NDArray[np.int64]

    @classmethod
    def build(cls, shards: Sequence[pa.Array]) -> Index:
        """Sort the ids of all shards.

        Raises
        ------
        ModelError
            where a user is in two places
        """
        if not shards:
            return cls(Vocabulary(pa.array([], pa.int64())), np.empty(0, np.int32), np.empty(0, np.int64))
        kind = pa.large_string() if is_text(shards[0].type) else shards[0].type  # many long texts pass 2 GiB
        users = pa.concat_arrays([ids.cast(kind) for ids in shards])
        order = pc.array_sort_indices(users)
        users = users.take(order)
        same = pc.equal(users.slice(1), users.slice(0, len(users) - 1))
        if pc.any(same).as_py():
            twice = users[pc.index(same, True).as_py()].as_py()
            raise ModelError(f"user {twice!r} was put into the store twice; a user has one personal model")
        sizes = [len(ids) for ids in shards]
        at = order.to_numpy()
        shard = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)[at]
        row = np.concatenate([np.arange(size) for size in sizes])[at]
        return cls(Vocabulary(users), shard, row)

    def write(self, file: Path, names: Sequence[str]) -> None:
        """Write as an Arrow IPC file that also lists the shards' file names."""
        about = {_SHARDS: "\n".join(names).encode()}
        schema = pa.schema([(USER, self.users.ids.type), ("shard", pa.int32()), ("row", pa.int64())], metadata=about)
        columns = [self.users.ids, pa.array(self.shard), pa.array(self.row)]
        write_batch(file, pa.RecordBatch.from_arrays(columns, schema=schema), _KIND)

    @classmethod
    def read(cls, file: Path) -> tuple[Index, list[str]]:
        """Map what `write` wrote into memory; the index and the file names."""
        batch = read_batch(file, _KIND)
        with damaged(file):
            names = batch.schema.metadata[_SHARDS].decode().split("\n") if len(batch) else []
            shard, row = (batch.column(name).to_numpy(zero_copy_only=True) for name in ("shard", "row"))
            if any(Path(name).name != name for name in names) or shard.max(initial=0) >= max(len(names), 1):
                raise ValueError("it names shards that cannot be")
            return cls(Vocabulary(batch.column(USER)), shard, row), names
