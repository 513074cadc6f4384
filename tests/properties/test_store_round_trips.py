import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from headstart.models.family import Ragged, take_users
from headstart.store import MemoryStore, ShardStore, read_arrays, write_arrays
from headstart.testing.store import same

NUMBERS = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
    hnp.complex_number_dtypes(endianness="?", sizes=(64, 128)),
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ARRAYS = hnp.arrays(NUMBERS, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(TEXT, ARRAYS, max_size=4))
def test_arrays_come_back_bit_for_bit(arrays):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a.arrow"
        write_arrays(file, arrays)
        found = read_arrays(file)
        assert list(found) == list(arrays)
        for name, array in arrays.items():
            assert found[name].dtype == array.dtype.newbyteorder("<")
            assert found[name].shape == array.shape
            assert found[name].tobytes() == array.astype(found[name].dtype).tobytes()


@st.composite
def _puts(draw):
    """Distinct users, a model for each, and cuts that make shards of them."""
    ids = st.one_of(
        st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, max_size=30).map(lambda x: pa.array(x, pa.int64())),
        st.lists(st.integers(0, 2**64 - 1), unique=True, max_size=30).map(lambda x: pa.array(x, pa.uint64())),
        st.lists(TEXT, unique=True, max_size=30).map(lambda x: pa.array(x, pa.string())),
    )
    users = draw(ids)
    # One length for all, or a length each: both ways of copying vectors.
    one = st.integers(0, 4).map(lambda size: [size] * len(users))
    lengths = draw(st.one_of(one, st.lists(st.integers(0, 4), min_size=len(users), max_size=len(users))))
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    personal = {"number": np.arange(len(users)), "vector": Ragged(np.arange(indptr[-1], dtype=np.float32), indptr)}
    cuts = draw(st.lists(st.integers(0, len(users)), max_size=4))
    wanted = draw(st.lists(st.integers(0, max(len(users) - 1, 0)), max_size=40 if len(users) else 0))
    return users, personal, [0, *sorted(cuts), len(users)], wanted


@settings(max_examples=100, deadline=None)
@given(_puts())
def test_what_is_put_is_what_is_taken(puts):
    users, personal, cuts, wanted = puts
    with tempfile.TemporaryDirectory() as folder:
        for store in (MemoryStore(), ShardStore(Path(folder) / "s")):
            for start, stop in pairwise(cuts):
                store.put(users.slice(start, stop - start), take_users(personal, np.arange(start, stop)))
            store.seal()
            if len(users) == 0:
                assert len(store) == 0
                continue
            rows = np.array(wanted, np.int64)
            positions, found = store.take(users.take(pa.array(rows)))
            assert positions.tolist() == list(range(len(rows)))
            assert same(found, take_users(personal, rows))
            for row in wanted[:3]:
                assert same(store.get(users[row].as_py()), take_users(personal, np.array([row])))
            gone = users.take(pa.array(np.unique(rows[:5])))
            assert store.forget(gone) == len(gone)
            kept = np.delete(np.arange(len(users)), rows[:5])
            if len(kept):
                assert same(store.take(users.take(pa.array(kept)))[1], take_users(personal, kept))
            assert (store.take(gone)[0] == -1).all()
