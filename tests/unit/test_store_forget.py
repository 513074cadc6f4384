import pyarrow as pa
import pytest

from headstart.errors import ModelError
from headstart.store import ModelFolder, ShardStore, forget, read_table, write_table
from headstart.testing.store import models, same

USERS = pa.array([f"user with a long and unique id {n * n:06d}" for n in range(60)])


@pytest.fixture
def model(tmp_path):
    with ModelFolder.draft(tmp_path / "m") as draft:
        with ShardStore(draft.folder / "personal") as store:
            for start in range(0, 60, 20):
                store.put(USERS.slice(start, 20), models(USERS.slice(start, 20)))
        write_table(draft.folder / "plan.arrow", pa.table({"user": USERS, "t_u": range(60)}))
        write_table(draft.folder / "global.arrow", pa.table({"w": [1.0]}))
        draft.commit({"family": "toy"})
    return tmp_path / "m"


def _found(path):
    data = b"".join(file.read_bytes() for file in path.rglob("*") if file.is_file())
    return [user for user in USERS.to_pylist() if user.encode() in data]


def test_no_byte_of_a_forgotten_user_is_left(model):
    user = USERS[33].as_py()
    assert _found(model) == USERS.to_pylist()
    forget(model, user, tables=("plan.arrow",), stores=("personal",))
    left = [other for other in USERS.to_pylist() if other != user]
    assert _found(model) == left
    opened = ModelFolder.open(model)
    assert opened.fields == {"family": "toy"}
    store = ShardStore(opened.folder / "personal")
    assert store.get(user) is None
    assert same(store.take(pa.array(left))[1], models(pa.array(left)))
    assert read_table(opened.file("plan.arrow"))["user"].to_pylist() == left


def test_only_what_holds_the_user_is_written_again(model):
    before = {file.name: file.stat().st_ino for file in model.rglob("*.arrow")}
    forget(model, USERS[33].as_py(), tables=("plan.arrow",), stores=("personal",))
    after = {file.name: file.stat().st_ino for file in model.rglob("*.arrow")}
    kept = {name for name in before if before[name] == after.get(name)}
    assert kept == {"global.arrow", "shard-00000.arrow", "shard-00002.arrow"}
    assert len(after) == len(before)


def test_a_stranger_cannot_be_forgotten(model):
    before = {file: file.read_bytes() for file in model.rglob("*") if file.is_file()}
    with pytest.raises(ModelError, match="'nobody' is not in the model"):
        forget(model, "nobody", tables=("plan.arrow",), stores=("personal",))
    assert before == {file: file.read_bytes() for file in model.rglob("*") if file.is_file()}


def test_everybody_can_be_forgotten(model):
    for user in USERS.to_pylist()[:3]:
        forget(model, user, tables=("plan.arrow",), stores=("personal",))

    def rest(folder):
        ShardStore(folder / "personal").forget(USERS)

    opened = ModelFolder.rewrite(model, rest)
    store = ShardStore(opened.folder / "personal")
    assert len(store) == 0
    assert store.take(USERS)[0].tolist() == [-1] * 60
