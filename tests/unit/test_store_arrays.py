import json

import numpy as np
import pyarrow as pa
import pytest

from headstart.errors import ModelError
from headstart.store import read_arrays, read_json, read_table, write_arrays, write_json, write_table
from headstart.store.tables import drop_users


def test_arrays_are_read_only_views_of_the_file(tmp_path):
    file = tmp_path / "a.arrow"
    write_arrays(file, {"x": np.asfortranarray(np.arange(6.0).reshape(2, 3))})
    x = read_arrays(file)["x"]
    assert x.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert not x.flags.writeable
    assert not x.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        x[0, 0] = 1


def test_writing_again_leaves_readers_their_array(tmp_path):
    file = tmp_path / "a.arrow"
    write_arrays(file, {"x": np.arange(1000)})
    before = read_arrays(file)["x"]
    write_arrays(file, {"x": np.zeros(10)})
    assert before.sum() == 499500
    assert read_arrays(file)["x"].sum() == 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.arrow"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    file = tmp_path / "a.arrow"
    write_arrays(file, {"x": np.arange(3)})
    with pytest.raises(ModelError, match="'y' holds object"):
        write_arrays(file, {"x": np.arange(4), "y": np.array([{}], dtype=object)})
    assert read_arrays(file)["x"].tolist() == [0, 1, 2]
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.arrow"]


@pytest.mark.parametrize("dtype", ["U3", "M8[s]", "O", "V4"])
def test_only_numbers_are_stored(tmp_path, dtype):
    with pytest.raises(ModelError, match="only numbers"):
        write_arrays(tmp_path / "a.arrow", {"x": np.empty(2, dtype)})


def test_any_arrow_reader_can_show_the_arrays(tmp_path):
    write_arrays(tmp_path / "a.arrow", {"x": np.array([[1, 2]], np.int16)})
    with pa.memory_map(str(tmp_path / "a.arrow")) as source:
        table = pa.ipc.open_file(source).read_all()
    assert table.to_pylist() == [{"x": [1, 2]}]
    assert table.schema.field("x").metadata == {b"dtype": b"<i2", b"shape": b"[1, 2]"}


@pytest.mark.parametrize("keep", [0, 7, 0.5, 0.99])
def test_a_truncated_file_is_named(tmp_path, keep):
    file = tmp_path / "a.arrow"
    write_arrays(file, {"x": np.arange(1000)})
    data = file.read_bytes()
    file.write_bytes(data[: keep if isinstance(keep, int) else int(len(data) * keep)])
    with pytest.raises(ModelError, match=r"a\.arrow is damaged .*train the model again"):
        read_arrays(file)


def test_other_files_are_refused(tmp_path):
    write_table(tmp_path / "t.arrow", pa.table({"user": [1]}))
    with pytest.raises(ModelError, match=r"no headstart\.arrays file"):
        read_arrays(tmp_path / "t.arrow")
    with pytest.raises(ModelError, match=r"none\.arrow is missing"):
        read_arrays(tmp_path / "none.arrow")
    with pytest.raises(ModelError, match="is missing"):
        read_table(tmp_path / "none.arrow")


def _with_metadata(file, about, field):
    with pa.OSFile(str(file)) as source:  # not mapped: it is written over below
        batch = pa.ipc.open_file(source).get_batch(0)
    schema = pa.schema(
        [pa.field("x", batch.schema.field(0).type, metadata=field or batch.schema.field(0).metadata)],
        metadata=batch.schema.metadata | about,
    )
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))


def test_a_newer_file_says_so(tmp_path):
    write_arrays(tmp_path / "a.arrow", {"x": np.arange(3)})
    _with_metadata(tmp_path / "a.arrow", {b"headstart.version": b"2"}, None)
    with pytest.raises(ModelError, match="upgrade headstart"):
        read_arrays(tmp_path / "a.arrow")


@pytest.mark.parametrize(
    "field",
    [
        {"dtype": "<i8", "shape": "[4]"},
        {"dtype": "|O", "shape": "[3]"},
        {"dtype": "<i8", "shape": "what"},
        {"dtype": "<i8"},
        {"dtype": "<i8", "shape": "[-3, -1]"},
    ],
)
def test_metadata_that_lies_is_refused(tmp_path, field):
    write_arrays(tmp_path / "a.arrow", {"x": np.arange(3)})
    _with_metadata(tmp_path / "a.arrow", {}, field)
    with pytest.raises(ModelError, match="damaged"):
        read_arrays(tmp_path / "a.arrow")


def test_json_is_readable_and_comes_back(tmp_path):
    file = tmp_path / "a.json"
    value = {"b": [1, 2.5, None, True], "a": {"é": "\U0001f600"}}
    write_json(file, value)
    assert read_json(file) == value
    assert '"é": "\U0001f600"' in file.read_text("utf-8")
    with pytest.raises(ModelError, match=r"a\.json cannot be written"):
        write_json(file, {"x": float("nan")})
    with pytest.raises(ModelError, match=r"a\.json cannot be written"):
        write_json(file, {"x": {1}})
    assert read_json(file) == value
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("text", ["", "{", "[1]", "\xff"])
def test_damaged_json_is_named(tmp_path, text):
    (tmp_path / "a.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError, match=r"a\.json is damaged"):
        read_json(tmp_path / "a.json")
    with pytest.raises(ModelError, match=r"none\.json cannot be read"):
        read_json(tmp_path / "none.json")


@pytest.mark.parametrize("kind", [pa.string(), pa.dictionary(pa.int8(), pa.string())])
def test_users_are_dropped_from_a_table_with_all_their_bytes(tmp_path, kind):
    file = tmp_path / "plan.arrow"
    users = [f"user-number-{position}" for position in range(100)]
    table = pa.table({"user": pa.array(users, kind), "t_u": range(100)}, metadata={"about": json.dumps({"a": 1})})
    write_table(file, table)
    assert drop_users(file, pa.array(["user-number-17", "user-number-99", "nobody"])) == 2
    assert b"user-number-17" not in file.read_bytes()
    assert b"user-number-99" not in file.read_bytes()
    left = read_table(file)
    assert left["t_u"].to_pylist() == [t for t in range(100) if t not in (17, 99)]
    assert left["user"].to_pylist() == [users[t] for t in left["t_u"].to_pylist()]
    assert left.schema.metadata == table.schema.metadata
    before = file.stat().st_ino
    assert drop_users(file, pa.array(["user-number-17"])) == 0
    assert file.stat().st_ino == before


@pytest.mark.parametrize("kind", [pa.int32(), pa.int64(), pa.uint64()])
def test_users_with_numbers_are_dropped(tmp_path, kind):
    file = tmp_path / "plan.arrow"
    write_table(file, pa.table({"user": pa.array([1, 2, 3], kind)}))
    assert drop_users(file, pa.array([2])) == 1
    assert drop_users(file, pa.array(["3"])) == 1
    assert drop_users(file, pa.array(["three"])) == 0
    assert read_table(file)["user"].to_pylist() == [1]


def test_a_table_without_users_is_refused(tmp_path):
    write_table(tmp_path / "t.arrow", pa.table({"item": [1]}))
    with pytest.raises(ModelError, match=r"t\.arrow has no column 'user'"):
        drop_users(tmp_path / "t.arrow", pa.array([1]))
