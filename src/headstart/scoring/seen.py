"""The items that each user of training had events of: lists of recommendations leave them out."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from headstart.data.blocks import Blocks
from headstart.kernels.catalogue import distinct
from headstart.kernels.dtypes import COLUMN, ROW
from headstart.models.family import Ragged
from headstart.store import MemoryStore, PersonalStore

ITEM = "item"
ROWS_PER_SHARD = 1 << 20


def put_seen(store: PersonalStore, blocks: Blocks) -> None:
    """Put the distinct items of every user with rows into `store`, 4 bytes each: column ``item``, Ragged int32 codes.

    Nothing is put where items are not coded. Items that training did not see are left out.
    """
    if not len(blocks.item):
        return
    members = np.flatnonzero(blocks.counts > 0)
    before = np.cumsum(blocks.counts[members]) - blocks.counts[members]
    last = np.empty(max(int(blocks.item.max(initial=-1)) + 1, 1), COLUMN)
    for part in np.split(members, np.flatnonzero(np.diff(before // ROWS_PER_SHARD)) + 1):
        last[:] = -1
        start, stop = blocks.start[part], blocks.stop[part]
        codes, counts = np.empty(int((stop - start).sum()), COLUMN), np.empty(len(part), ROW)
        size = distinct(blocks.item, start, stop, last, codes, counts)
        indptr = np.concatenate([np.zeros(1, ROW), np.cumsum(counts)])
        store.put(blocks.users.take(pa.array(part)), {ITEM: Ragged(codes[:size].copy(), indptr)})


def seen_in(blocks: Blocks) -> PersonalStore | None:
    """What `put_seen` puts, in memory; None where items are not coded."""
    if not len(blocks.item):
        return None
    with MemoryStore() as store:
        put_seen(store, blocks)
    return store


def seen_by(store: PersonalStore, users: pa.Array) -> Ragged:
    """Codes of the items that each of `users` has seen, int32, in no order; none for users whom `store` has not."""
    position, personal = store.take(users)
    found = personal.get(ITEM)
    if not isinstance(found, Ragged):
        return Ragged(np.empty(0, COLUMN), np.zeros(len(users) + 1, ROW))
    if len(found) == len(users):
        return found
    lengths = np.zeros(len(users), ROW)
    lengths[position >= 0] = np.diff(found.indptr)
    return Ragged(found.values, np.concatenate([np.zeros(1, ROW), np.cumsum(lengths)]))
