import os

import numpy as np
import pyarrow as pa
import pytest

from headstart.errors import ModelError
from headstart.models.family import Ragged
from headstart.store import MemoryStore, ShardStore
from headstart.testing.store import IDS, models, same


def _store(folder, users=IDS["string"]):
    store = ShardStore(folder)
    with store:
        store.put(users.slice(0, 3), models(users.slice(0, 3)))
        store.put(users.slice(3), models(users.slice(3)))
    return store


def test_files_do_not_depend_on_the_order_of_puts(tmp_path):
    users = IDS["int64"]
    for name, order in (("a", (0, 1, 2)), ("b", (2, 0, 1))):
        with ShardStore(tmp_path / name) as store:
            for part in order:
                some = users.slice(2 * part, 2)
                store.put(some, models(some))
    names = sorted(file.name for file in (tmp_path / "a").iterdir())
    assert names == ["index.arrow", "shard-00000.arrow", "shard-00001.arrow", "shard-00002.arrow"]
    assert names == sorted(file.name for file in (tmp_path / "b").iterdir())
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)


def test_a_store_that_was_never_sealed_is_refused(tmp_path):
    store = ShardStore(tmp_path / "s")
    with pytest.raises(ModelError, match="not sealed"):
        len(store)
    store.put(IDS["string"], models(IDS["string"]))
    with pytest.raises(ModelError, match="without index"):
        ShardStore(tmp_path / "s")


def test_leaving_by_an_error_does_not_seal(tmp_path):
    store = ShardStore(tmp_path / "s")
    store.put(IDS["string"], models(IDS["string"]))
    with pytest.raises(ZeroDivisionError), store:
        raise ZeroDivisionError
    assert not (tmp_path / "s" / "index.arrow").exists()


def test_a_sealed_store_takes_more(tmp_path):
    users = IDS["uint64"]
    _store(tmp_path / "s", users.slice(0, 5))
    with ShardStore(tmp_path / "s") as store:
        store.put(users.slice(5), models(users.slice(5)))
    reopened = ShardStore(tmp_path / "s")
    assert same(reopened.take(users)[1], models(users))
    with pytest.raises(ModelError, match="same columns"):
        reopened.put(pa.array(["text"]), models(pa.array(["text"])))


def test_forget_removes_bytes_and_empty_shards(tmp_path):
    users = pa.array([f"somebody called {n:04d}" for n in range(40)])
    store = ShardStore(tmp_path / "s")
    with store:
        for at in range(0, 40, 10):
            store.put(users.slice(at, 10), models(users.slice(at, 10)))
    assert store.forget(users.slice(7, 15)) == 15
    data = b"".join(file.read_bytes() for file in (tmp_path / "s").iterdir())
    found = [user for user in users.to_pylist() if user.encode() in data]
    assert found == users.to_pylist()[:7] + users.to_pylist()[22:]
    assert len(list((tmp_path / "s").glob("shard-*.arrow"))) == 3


def test_forget_leaves_hard_links_alone(tmp_path):
    users = IDS["string"]
    _store(tmp_path / "old")
    (tmp_path / "new").mkdir()
    for file in (tmp_path / "old").iterdir():
        os.link(file, tmp_path / "new" / file.name)
    assert ShardStore(tmp_path / "new").forget(users.slice(4, 1)) == 1
    assert same(ShardStore(tmp_path / "old").take(users)[1], models(users))
    assert len(ShardStore(tmp_path / "new")) == 6


def test_readers_keep_what_they_opened(tmp_path):
    users = IDS["string"]
    store = _store(tmp_path / "s")
    one, shards = store.get(users[5].as_py()), list(store.scan())
    store.forget(users)
    assert same(one, models(users.slice(5, 1)))
    assert all(same(personal, models(some)) for some, personal in shards)


def test_models_are_views_on_the_mapped_file(tmp_path):
    store = _store(tmp_path / "s")
    vector = store.get("é")["coefficients"].values
    assert not vector.flags.owndata
    assert not vector.flags.writeable


def test_a_missing_or_damaged_shard_is_named(tmp_path):
    _store(tmp_path / "s")
    file = tmp_path / "s" / "shard-00001.arrow"
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    store = ShardStore(tmp_path / "s")
    with pytest.raises(ModelError, match=r"shard-00001\.arrow is damaged"):
        store.take(IDS["string"])
    file.unlink()
    with pytest.raises(ModelError, match=r"shard-00001\.arrow is missing"):
        list(ShardStore(tmp_path / "s").scan())
    (tmp_path / "s" / "index.arrow").write_bytes(b"ARROW1")
    with pytest.raises(ModelError, match=r"index\.arrow is damaged"):
        ShardStore(tmp_path / "s")


def test_offsets_outside_the_values_are_refused(tmp_path):
    users = pa.array([1, 2])
    with ShardStore(tmp_path / "s") as store:
        store.put(users, {"w": Ragged(np.zeros(4, np.float32), np.array([0, 2, 4]))})
    file = tmp_path / "s" / "shard-00000.arrow"
    data = file.read_bytes()
    offsets = np.array([0, 2, 4], "<i8").tobytes()
    assert data.count(offsets) == 1
    file.write_bytes(data.replace(offsets, np.array([0, 2**40, 4], "<i8").tobytes()))
    with pytest.raises(ModelError, match=r"shard-00000\.arrow is damaged"):
        ShardStore(tmp_path / "s").get(1)


def test_a_column_may_not_be_called_user():
    with pytest.raises(ModelError, match="'user'"):
        MemoryStore().put(pa.array([1]), {"user": np.zeros(1)})


def test_narrow_and_dictionary_ids_are_widened():
    store = MemoryStore()
    store.put(pa.array([3, 1], pa.int16()), {"x": np.array([30, 10])})
    store.put(pa.array([2], pa.int64()), {"x": np.array([20])})
    store.seal()
    assert store.take(pa.array([1, 2, 3]))[1]["x"].tolist() == [10, 20, 30]
    text = MemoryStore()
    text.put(pa.array(["b", "a"]).dictionary_encode(), {"x": np.array([2, 1])})
    text.seal()
    assert text.get("a")["x"].tolist() == [1]
