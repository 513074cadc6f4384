"""What every store of personal models promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from headstart.errors import ModelError
from headstart.models.family import Personal, Ragged
from headstart.store import PersonalStore

LONG = "a very long name " * 500
IDS = {
    "int64": pa.array([-(2**63), -7, 0, 3, 41, 2**62, 2**63 - 1], pa.int64()),
    "uint64": pa.array([0, 3, 41, 2**63, 2**63 + 1, 2**64 - 2, 2**64 - 1], pa.uint64()),
    "string": pa.array(["", "0", "\x00", "a\nb", "é", "\U0001f600 \U0010ffff", LONG], pa.string()),
    "large_string": pa.array(["u1", "u10", "u2", "\uffff", "\U00010000", "z", "zz"], pa.large_string()),
}
UNKNOWN: dict[str, int | str] = {"int64": 5, "uint64": 5, "string": "nobody", "large_string": "nobody"}


def models(users: pa.Array) -> Personal:
    """A made-up model of each user, which depends on its id alone: a number, a dense and a ragged vector."""
    keys = [sum(str(user).encode()) % 11 for user in users.to_pylist()]
    ragged = [np.arange(key, dtype=np.int32) * key for key in keys]
    return {
        "bias": np.array(keys, np.float64) / 3,
        "good": np.array(keys) % 2 == 0,
        "coefficients": Ragged(np.repeat(np.array(keys, np.float32), 4), np.arange(len(keys) + 1) * 4),
        "columns": Ragged(
            np.concatenate([*ragged, np.empty(0, np.int32)]), np.concatenate([[0], np.cumsum(keys)]).astype(np.int64)
        ),
    }


def same(one: Personal, other: Personal) -> bool:
    """Whether two columns of models are equal, dtypes included."""
    flat = [
        [
            (name, getattr(column, "values", column), getattr(column, "indptr", np.empty(0)))
            for name, column in p.items()
        ]
        for p in (one, other)
    ]
    return len(flat[0]) == len(flat[1]) and all(
        a == b and v.dtype == w.dtype and np.array_equal(v, w) and np.array_equal(i, j)
        for (a, v, i), (b, w, j) in zip(*flat, strict=True)
    )


@pytest.mark.parametrize("kind", IDS)
class StoreContract(ABC):
    """Subclass, and give `make`."""

    @abstractmethod
    def make(self, folder: Path) -> PersonalStore:
        """An empty store; `folder` does not exist yet and may be used."""

    def filled(self, folder: Path, users: pa.Array) -> PersonalStore:
        """A sealed store of `users`, put in three uneven shards and out of order."""
        store = self.make(folder)
        for positions in ([5, 1], [6, 0, 3, 2], [4]):
            some = users.take(pa.array(positions))
            store.put(some, models(some))
        store.seal()
        return store

    def test_each_user_gets_its_own_model(self, kind: str, tmp_path: Path) -> None:
        """One by one, and none for a stranger."""
        store = self.filled(tmp_path / "store", IDS[kind])
        assert len(store) == len(IDS[kind])
        for position, user in enumerate(IDS[kind].to_pylist()):
            found = store.get(user)
            assert found is not None
            assert same(found, models(IDS[kind].slice(position, 1)))
        assert store.get(UNKNOWN[kind]) is None

    def test_many_are_taken_in_the_order_asked(self, kind: str, tmp_path: Path) -> None:
        """Strangers and repetitions among them."""
        store = self.filled(tmp_path / "store", IDS[kind])
        known = IDS[kind].take(pa.array([4, 0, 0, 6, 1]))
        wanted = pa.array([*known.to_pylist()[:2], UNKNOWN[kind], *known.to_pylist()[2:]], IDS[kind].type)
        positions, personal = store.take(wanted)
        assert positions.dtype == np.int64
        assert positions.tolist() == [0, 1, -1, 2, 3, 4]
        assert same(personal, models(known))

    def test_strangers_only(self, kind: str, tmp_path: Path) -> None:
        """Columns are there, with no entry."""
        store = self.filled(tmp_path / "store", IDS[kind])
        positions, personal = store.take(pa.array([UNKNOWN[kind]] * 2, IDS[kind].type))
        assert positions.tolist() == [-1, -1]
        assert same(personal, models(IDS[kind].slice(0, 0)))
        assert len(store.take(IDS[kind].slice(0, 0))[0]) == 0

    def test_an_empty_store_knows_nobody(self, kind: str, tmp_path: Path) -> None:
        """Also where empty shards were put."""
        store = self.make(tmp_path / "store")
        store.put(IDS[kind].slice(0, 0), models(IDS[kind].slice(0, 0)))
        store.seal()
        assert len(store) == 0
        assert store.get(UNKNOWN[kind]) is None
        assert store.take(IDS[kind])[0].tolist() == [-1] * len(IDS[kind])
        assert list(store.scan()) == []

    def test_scan_gives_everybody_once(self, kind: str, tmp_path: Path) -> None:
        """In shards whose ids and models belong together."""
        store = self.filled(tmp_path / "store", IDS[kind])
        seen = []
        for users, personal in store.scan():
            assert same(personal, models(users))
            seen += users.to_pylist()
        assert sorted(seen) == sorted(IDS[kind].to_pylist())
        assert store.nbytes > 0

    def test_puts_from_threads(self, kind: str, tmp_path: Path) -> None:
        """Whatever thread is faster, the store is the same."""
        scans = []
        for turn, width in enumerate((1, 4)):
            store = self.make(tmp_path / f"store-{turn}")
            shards = [IDS[kind].slice(at, 1) for at in range(len(IDS[kind]))][::-1]
            with ThreadPoolExecutor(width) as pool:
                list(pool.map(store.put, shards, map(models, shards)))
            store.seal()
            assert same(store.take(IDS[kind])[1], models(IDS[kind]))
            scans.append([users.to_pylist() for users, _ in store.scan()])
        assert scans[0] == scans[1]

    def test_forgotten_users_are_gone(self, kind: str, tmp_path: Path) -> None:
        """The others keep their models, strangers do not matter, and the forgotten may come back."""
        store = self.filled(tmp_path / "store", IDS[kind])
        gone, left = IDS[kind].take(pa.array([4, 0])), IDS[kind].take(pa.array([1, 2, 3, 5, 6]))
        assert store.forget(pa.array([*gone.to_pylist(), UNKNOWN[kind]], gone.type)) == 2
        assert store.forget(gone) == 0
        assert [store.get(user) for user in gone.to_pylist()] == [None, None]
        assert same(store.take(left)[1], models(left))
        assert len(store) == 5
        store.put(gone, models(gone))
        store.seal()
        assert same(store.take(IDS[kind])[1], models(IDS[kind]))
        assert store.forget(IDS[kind]) == 7
        assert len(store) == 0

    def test_it_must_be_sealed_before_it_is_read(self, kind: str, tmp_path: Path) -> None:
        """A put that nobody sealed is not passed over in silence."""
        store = self.make(tmp_path / "store")
        store.put(IDS[kind], models(IDS[kind]))
        with pytest.raises(ModelError, match="seal"):
            store.get(UNKNOWN[kind])

    def test_bad_puts_are_refused(self, kind: str, tmp_path: Path) -> None:
        """Columns of another length or dtype, ids that are missing or doubled."""
        users = IDS[kind]
        store = self.filled(tmp_path / "store", users)
        with pytest.raises(ModelError, match="7 entries for 6 users"):
            store.put(users.slice(1), models(users))
        with pytest.raises(ModelError, match="same columns"):
            store.put(users, {"bias": np.zeros(len(users), np.float64)})
        with pytest.raises(ModelError, match="no id"):
            store.put(pa.array([None], users.type), models(users.slice(0, 1)))
        store.put(users.slice(3, 1), models(users.slice(3, 1)))
        with pytest.raises(ModelError, match="twice"):
            store.seal()
