"""Reading: formats, roles, order, limits and streams give one and the same log."""

import datetime as dt
import gzip

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from headstart.data.log import batches, read
from headstart.data.roles import Roles
from headstart.data.vocab import Vocabulary
from headstart.errors import SettingsError

ROLES = Roles(user="user", label="y", time="t")


def events(n=60, seed=0):
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "user": pa.array([f"u{k}" for k in rng.integers(0, 7, n)]),
            "t": rng.integers(0, 20, n),
            "y": rng.integers(0, 2, n),
            "x": rng.normal(size=n).round(3),
            "dept": pa.array(rng.choice(["a", "b", "ç"], n)),
        }
    )


def same(a, b):
    assert a.users.to_pylist() == b.users.to_pylist()
    for name in ("start", "stop", "label", "weight", "offset", "time", "list", "row"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    assert a.columns.to_pydict() == b.columns.to_pydict()


def write(table, folder, name):
    path = folder / name
    if name.endswith((".csv", ".tsv", ".csv.gz")):
        pa.csv.write_csv(table, folder / "plain", pa.csv.WriteOptions(delimiter="\t" if name.endswith("tsv") else ","))
        data = (folder / "plain").read_bytes()
        path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    elif name.endswith(".parquet"):
        pq.write_table(table, path, row_group_size=16)
    elif name.endswith(".arrows"):
        with pa.ipc.new_stream(path, table.schema) as stream:
            stream.write_table(table)
    else:
        pa.feather.write_feather(table, path)
    return path


@pytest.mark.parametrize("name", ["e.csv", "e.tsv", "e.csv.gz", "e.parquet", "e.arrow", "e.feather", "e.arrows"])
def test_every_format_gives_the_same_log(name, tmp_path):
    same(read(write(events(), tmp_path, name), ROLES), read(events(), ROLES))


def test_every_kind_of_frame_gives_the_same_log():
    table = events()
    frames = [
        table.to_pandas(),
        pl.from_arrow(table),
        pa.RecordBatchReader.from_batches(table.schema, table.to_batches()),
    ]
    for frame in frames:
        same(read(frame, ROLES), read(table, ROLES))
    same(read(duckdb.connect().from_arrow(table), ROLES), read(table, ROLES))


def test_a_directory_of_parts_and_a_list_of_files_are_one_log(tmp_path):
    table = events()
    (tmp_path / "parts").mkdir()
    for k in range(3):
        write(table.slice(k * 20, 20), tmp_path / "parts", f"part-{k}.parquet")
        write(table.slice(k * 20, 20), tmp_path, f"{k}.csv")
    same(read(tmp_path / "parts", ROLES), read(table, ROLES))
    same(read([tmp_path / f"{k}.csv" for k in range(3)], ROLES), read(table, ROLES))


def test_the_order_is_user_time_item_then_the_first_order():
    table = events(400).append_column("item", pa.array(np.random.default_rng(1).integers(0, 3, 400)))
    log = read(table, Roles(user="user", label="y", time="t", item="item"))
    user = np.array([name.encode() for name in table["user"].to_pylist()])
    order = np.lexsort((np.arange(400), table["item"].to_numpy(), table["t"].to_numpy(), user))
    np.testing.assert_array_equal(log.row, order)
    np.testing.assert_array_equal(log.time, table["t"].to_numpy()[order])
    np.testing.assert_array_equal(log.label, table["y"].to_numpy()[order])
    assert log.item.to_pylist() == table["item"].take(order).to_pylist()
    assert log.users.take(pa.array(log.user_of_row)).to_pylist() == table["user"].take(order).to_pylist()
    assert log.columns.column_names == ["x", "dept"]


def test_more_rows_than_memory_are_sorted():
    n = 1_500_000
    rng = np.random.default_rng(0)
    user = rng.integers(0, 5000, n)
    table = pa.table({"user": user, "y": user % 2, **{f"x{k}": rng.random(n) for k in range(16)}})
    assert table.nbytes > 200e6
    log = read(table, Roles(user="user", label="y"), memory="200MB", threads=2)
    np.testing.assert_array_equal(log.row, np.argsort(user, kind="stable"))
    np.testing.assert_array_equal(log.columns["x15"].to_numpy(), table["x15"].to_numpy()[log.row])


@pytest.mark.parametrize(
    "ids",
    [
        [5, -3, 5, 0],
        [2**64 - 1, 2**63, 1, 2**63],
        ["é", "z", "𐀀", "\uffff", "", "a\nb", 'q"uote', "a,b"],
    ],
)
def test_users_of_any_id_type(ids, tmp_path):
    kind = pa.uint64() if max(ids, key=str) == 2**64 - 1 or 2**63 in ids else None
    table = pa.table({"user": pa.array(ids, kind), "y": [k % 2 for k in range(len(ids))]})
    log = read(table, Roles("user", "y"))
    expected = sorted(set(ids), key=lambda name: name.encode() if isinstance(name, str) else name)
    assert log.users.to_pylist() == expected
    if "" not in ids:  # an empty field is a missing id
        other = read(write(table, tmp_path, "e.csv"), Roles("user", "y"))
        assert other.users.to_pylist() == expected


def test_ids_with_leading_zeros_stay_apart(tmp_path):
    path = tmp_path / "e.csv"
    path.write_text("user,y,x\n007,0,1\n7,1,2\n007,1,3\n")
    assert read(path, Roles("user", "y")).users.to_pylist() == ["007", "7"]


def test_csv_types_come_from_every_row(tmp_path):
    path = tmp_path / "e.csv"
    path.write_text("user;y;x;flag\n" + "1;0;1;true\n" * 30_000 + "2;1;0.25;false\n")
    log = read(path, Roles("user", "y"))
    assert log.columns.schema.field("x").type == pa.float64()
    assert log.columns.schema.field("flag").type == pa.bool_()
    assert log.columns["x"][30_000].as_py() == 0.25


def test_csv_without_a_header_and_with_a_given_delimiter(tmp_path):
    path = tmp_path / "e.dat"
    path.write_text("1::0::5\n2::1::6\n")
    log = read(path, Roles("column0", "column1"), delimiter="::")
    assert log.columns.to_pydict() == {"column2": [5, 6]}
    assert len(read(path, Roles("column0", "column1"), delimiter="::", header=False)) == 2


def test_labels_by_rule_value_and_truth():
    table = pa.table({"user": [1, 1, 2, 2], "r": [1.5, 4, 4.5, 3], "s": ["no", "yes", "no", "yes"]})
    table = table.append_column("b", pa.array([True, False, True, False]))
    for text, expected in {"r>=4": [0, 1, 1, 0], "r>4": [0, 0, 1, 0], "r<=3": [1, 0, 0, 1], "b": [1, 0, 1, 0]}.items():
        assert read(table, Roles("user").with_label(text)).label.tolist() == expected
    assert read(table, Roles("user", "s", positive="yes")).label.tolist() == [0, 1, 0, 1]
    assert read(table, Roles("user", "r", positive="4")).label.tolist() == [0, 1, 0, 0]
    assert read(table, Roles("user", "r"), binary=False).label.tolist() == [1.5, 4, 4.5, 3]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_dates_and_timestamps_are_microseconds(unit):
    moments = pa.array([dt.datetime(1970, 1, 2), dt.datetime(1970, 1, 1)], pa.timestamp(unit))
    table = pa.table({"user": [1, 2], "y": [0, 1], "t": moments})
    assert read(table, ROLES).time.tolist() == [86_400_000_000, 0]
    table = table.set_column(2, "t", moments.cast(pa.date32()))
    assert read(table, ROLES).time.tolist() == [86_400_000_000, 0]


def test_times_in_csv_keep_their_offset(tmp_path):
    path = tmp_path / "e.csv"
    path.write_text("user,y,t\n1,0,1970-01-01T02:00:00+01:00\n2,1,1970-01-01 00:00:00Z\n")
    assert read(path, ROLES).time.tolist() == [3_600_000_000, 0]


def test_a_list_is_one_user_and_one_id():
    table = pa.table({"user": [2, 1, 1, 2, 1], "y": [0, 1, 0, 1, 0], "week": ["b", "a", "b", "b", "a"]})
    log = read(table, Roles("user", "y", list="week"))
    assert log.list.tolist() == [0, 1, 0, 2, 2]


def test_limits_leave_out_users_and_early_events():
    table = pa.table({"user": [1, 1, 1, 2, 3, 3], "t": [3, 1, 2, 1, 2, 1], "y": [0, 1, 1, 0, 1, 0]})
    log = read(table, ROLES, min_events=2, max_events=2)
    assert log.users.to_pylist() == [1, 3]
    assert log.row.tolist() == [2, 0, 5, 4]
    assert log.notes["users_below_min_events"] == 1
    assert log.notes["events_above_max_events"] == 1
    with pytest.raises(SettingsError, match="max_events must be at least 1"):
        read(table, ROLES, max_events=0)


def test_oddities_are_counted():
    table = pa.table({"user": [1, 2, 2, 3, 3], "y": [1, 0, 0, 0, 1]})
    notes = read(table, Roles("user", "y")).notes
    assert notes == {"users_with_one_event": 1, "users_with_one_class": 2}


def test_features_are_those_named_or_all_others():
    table = events()
    assert read(table, Roles("user", "y", drop=("t",))).columns.column_names == ["x", "dept"]
    assert read(table, Roles("user", "y", features=("dept",))).columns.column_names == ["dept"]
    assert read(table, Roles("user", "y", features=("dept",), categorical=("t",))).columns.column_names == ["t", "dept"]


def test_names_that_differ_in_case_only_are_two_columns(tmp_path):
    table = pa.table({"user": [1, 2], "y": [0, 1], "X": [1, 2], "x": [3, 4]})
    for source in (table, write(table, tmp_path, "e.parquet"), write(table, tmp_path, "e.csv")):
        assert read(source, Roles("user", "y")).columns.to_pydict() == {"X": [1, 2], "x": [3, 4]}


def test_an_unnamed_index_column_is_no_feature(tmp_path):
    path = tmp_path / "e.csv"
    pd.DataFrame({"user": [1, 2], "y": [0, 1], "x": [3, 4]}).to_csv(path)
    assert read(path, Roles("user", "y")).columns.column_names == ["x"]


def test_take_keeps_users_in_place():
    log = read(events(), ROLES)
    part = log.take(log.time < 5)
    assert part.users is log.users
    assert len(part) == (log.time < 5).sum() == part.counts.sum()
    for u in range(len(log.users)):
        whole, kept = slice(log.start[u], log.stop[u]), slice(part.start[u], part.stop[u])
        np.testing.assert_array_equal(part.row[kept], log.row[whole][log.time[whole] < 5])
    assert part.columns["x"].to_pylist() == log.columns["x"].filter(pa.array(log.time < 5)).to_pylist()


def test_blocks_carry_item_codes():
    table = events().append_column("item", pa.array(["i", "j", "k"] * 20))
    log = read(table, Roles("user", "y", time="t", item="item"))
    known = Vocabulary(pa.array(["i", "k"]))
    blocks = log.blocks(np.zeros((60, 2), np.float32), known)
    expected = [{"i": 0, "j": -1, "k": 1}[name] for name in log.item.to_pylist()]
    assert blocks.item.tolist() == expected
    assert blocks.item.dtype == np.int32


def test_the_fingerprint_is_of_the_content_not_the_order():
    table = events(200)
    shuffled = table.take(np.random.default_rng(0).permutation(200))
    known = read(table, ROLES).fingerprint()
    assert read(shuffled, ROLES).fingerprint() == known
    assert read(table, Roles("user", "y")).fingerprint() != known
    for name in ("user", "t", "y", "x", "dept"):
        at = table.column_names.index(name)
        values = table[name].to_pylist()
        values[3] = {"user": "u99", "t": 21, "y": 1 - table["y"][3].as_py(), "x": 0.5, "dept": "z"}[name]
        assert read(table.set_column(at, name, pa.array(values)), ROLES).fingerprint() != known


def test_scoring_does_without_labels_and_unusable_columns():
    table = events().drop(["y", "t"]).append_column("when", pa.array([dt.date(2020, 1, 1)] * 60))
    log = read(table, ROLES, labelled=False)
    assert len(log.label) == len(log.time) == 0
    assert log.columns.column_names == ["x", "dept"]
    wrong = events().set_column(2, "y", pa.array([7.5] * 60))
    assert len(read(wrong, ROLES, labelled=False).label) == 0


@pytest.mark.parametrize("name", ["e.csv", "e.parquet", None])
def test_batches_cover_the_source_in_order(name, tmp_path):
    table = events(500)
    logs = list(batches(table if name is None else write(table, tmp_path, name), ROLES, size=64))
    assert all(len(log) <= 64 for log in logs)
    first = 0
    for log in logs:
        np.testing.assert_array_equal(np.sort(log.row), np.arange(first, first + len(log)))
        assert (np.diff(log.user_of_row) >= 0).all()
        names = log.users.take(pa.array(log.user_of_row)).to_pylist()
        assert names == table["user"].take(log.row).to_pylist()
        assert pc.equal(log.columns["x"], table["x"].take(log.row)).to_pylist() == [True] * len(log)
        first += len(log)
    assert first == 500
