"""Bad input is one line that says what was found, where, and how to go on."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headstart.data.database import connect
from headstart.data.log import batches, read
from headstart.data.roles import Roles
from headstart.errors import DataError, InputError, SettingsError

GOOD = {"user": [1, 1, 2, 2], "y": [0, 1, 0, 1], "x": [1.0, 2.0, 3.0, 4.0]}
ROLES = Roles("user", "y")
TABLES = [
    ({"y": [0, 2, 0, 1]}, ROLES, "label column 'y' holds 2 in row 2; labels are 0 and 1"),
    ({"y": [0, 5, 0, 7]}, ROLES, "row 2 and 1 more"),
    ({"y": [0, np.nan, 0, 1]}, ROLES, "label column 'y' holds nan in row 2"),
    ({"y": [0, np.inf, 0, 1]}, ROLES, "label column 'y' holds inf in row 2"),
    ({"y": [0, None, 0, 1]}, ROLES, "label column 'y' is empty in row 2"),
    ({"y": [1, 1, 1, 1]}, ROLES, "the label 'y' is 1 in every row"),
    ({"y": ["no", "yes", "no", "no"]}, ROLES, "holds text, 'no' in row 1; give --positive"),
    ({"y": ["no", "yes", "no", "no"]}, Roles("user", "y", positive="si"), "'y=si' is 0 in every row"),
    ({"y": [dt.date(2020, 1, 1)] * 4}, ROLES, "label column 'y' holds date32"),
    ({"w": [1, -2.0, 1, 1]}, Roles("user", "y", weight="w"), "weight column 'w' holds -2 in row 2; .* at least 0"),
    ({"w": [1, np.nan, 1, 1]}, Roles("user", "y", weight="w"), "weight column 'w' holds nan in row 2"),
    ({"w": [1, 1e300, 1, 1]}, Roles("user", "y", weight="w"), "weight column 'w' holds 1e\\+300 in row 2"),
    ({"w": ["a"] * 4}, Roles("user", "y", weight="w"), "weight column 'w' holds string; it must be a number"),
    ({"o": [1, np.inf, 1, 1]}, Roles("user", "y", offset="o"), "offset column 'o' holds inf in row 2"),
    ({"user": [1, None, 2, 2]}, ROLES, "user column 'user' is empty in row 2"),
    ({"user": [1, 1, 1, 1]}, ROLES, "one user only"),
    ({"user": [1.5, 1, 2, 2]}, ROLES, "user column 'user' holds double; ids are whole numbers or text"),
    ({"user": pa.nulls(4)}, ROLES, "user column 'user' is empty in every row"),
    ({"t": [1, 2, None, 4]}, Roles("user", "y", time="t"), "time column 't' is empty in row 3"),
    ({"t": [1, 2, np.nan, 4]}, Roles("user", "y", time="t"), "time column 't' holds nan in row 3"),
    ({"t": list("abcd")}, Roles("user", "y", time="t"), "time column 't' holds string"),
    ({"t": [dt.datetime(2020, 1, 1)] * 4}, ROLES, "column 't' holds timestamp.*--time t, or --drop t"),
    ({"z": [[1], [2], [3], [4]]}, ROLES, "column 'z' holds list.*--drop z"),
    ({"z": [b"a"] * 4}, ROLES, "column 'z' holds binary.*--drop z"),
    ({"l": [1, None, 2, 2]}, Roles("user", "y", list="l"), "list column 'l' is empty in row 2"),
    ({}, Roles("usr", "y"), "there is no column 'usr' among user, y, x; did you mean 'user'"),
    ({}, Roles("user", "y", drop=("q",)), "there is no column 'q'"),
    ({}, Roles("user", "y", features=("x", "q")), "there is no column 'q'"),
]


@pytest.mark.parametrize(("change", "roles", "said"), TABLES, ids=[said for *_, said in TABLES])
def test_values_and_types(change, roles, said):
    with pytest.raises(DataError, match=said) as caught:
        read(pa.table({**GOOD, **change}), roles)
    assert "\n" not in str(caught.value)


FILES = [
    ("e.csv", b"", "the file is empty"),
    ("e.csv", b"user,y,x\n", "there are no events"),
    ("e.csv", b"user,y,x", "there are no events"),
    ("e.csv", b"user,y,x\n1,0,1\n1,1\n2,0,3\n", "line 3: Expected Number of Columns: 3 Found: 2"),
    ("e.csv", b"user,y,x\n1,0,1,9\n", "line 2: Expected Number of Columns: 3 Found: 4"),
    ("e.csv", b"user,y,x\n1,0,1\n1,1,abc\n2,0,3\n", "column 'x' holds numbers, but 'abc' in row 2.*--categorical x"),
    ("e.csv", b"user,y,x\n1,0,1\n1,maybe,2\n2,0,3\n", "column 'y' holds numbers, but 'maybe' in row 2"),
    ("e.csv", b"user,y,x,x\n1,0,1,2\n", "column 'x' is there twice"),
    ("e.csv", b'user,y,x\n1,0,"1\n', "line 2"),
    ("e.csv", b"user,y,x\n\xff\xfe,0,1\n", "utf-8"),
    ("e.csv", b"\xff\xfe\x00\x01,y\n", "not UTF-8"),
    ("e.csv", b"\n1,2\n", "first line is empty"),
    ("e.csv.gz", b"no gzip", "Not a gzipped file"),
    ("e.parquet", b"PAR1 truncated", "damaged or not Parquet"),
    ("e.arrow", b"ARROW1 truncated", "damaged or not an Arrow file"),
    ("e.tsv", b"user\ty\n1\t0\n\t1\n", "user column 'user' is empty in row 2"),
]


@pytest.mark.parametrize(("name", "content", "said"), FILES, ids=[said for *_, said in FILES])
def test_files(name, content, said, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"(?i){said}") as caught:
        read(path, ROLES)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_truncated_parquet_file(tmp_path):
    path = tmp_path / "e.parquet"
    pq.write_table(pa.table({name: values * 500 for name, values in GOOD.items()}), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="damaged or not Parquet"):
        read(path, ROLES)
    # The footer is whole, the pages before it are not.
    path.write_bytes(whole[:4] + bytes(len(whole) // 4) + whole[4 + len(whole) // 4 :])
    with pytest.raises(DataError, match=str(path)):
        read(path, ROLES)


def test_paths_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.csv: No such file.*check the path"):
        read(tmp_path / "nowhere.csv", ROLES)
    with pytest.raises(DataError, match=r"holds no \.parquet file"):
        read(tmp_path, ROLES)
    with pytest.raises(DataError, match="cannot read events from int"):
        read(3, ROLES)
    with pytest.raises(DataError, match="there are no events"):
        list(batches(pa.table({"user": pa.array([], pa.int64())}), ROLES))


def test_parts_that_differ(tmp_path):
    (tmp_path / "a.csv").write_text("user,y\n1,0\n")
    (tmp_path / "b.csv").write_text("user,z\n1,0\n")
    with pytest.raises(DataError, match=r"b\.csv: its columns differ"):
        read([tmp_path / "a.csv", tmp_path / "b.csv"], ROLES)


@pytest.mark.parametrize(
    ("roles", "said"),
    [
        (Roles("user", "y", item="y"), "'y' is given as --item and as --label"),
        (Roles("user", "y", features=("y",)), "'y' is given as --label and as --features"),
        (Roles("user", "y", drop=("user",)), "'user' is given as --user and as --drop"),
        (Roles("user", "y", features=("x",), drop=("x",)), "'x' is given as --drop and as --features"),
        (Roles("user", positive="a").with_label("y>1"), "a rule and a positive value"),
        (Roles("user"), "give --label"),
    ],
)
def test_roles_that_contradict_each_other(roles, said):
    with pytest.raises(SettingsError, match=said):
        read(pa.table(GOOD), roles)


@pytest.mark.parametrize("memory", ["", "4", "-4GB", "0GB", "much", "4 gigs"])
def test_memory_is_a_size(memory):
    with pytest.raises(SettingsError, match="memory is a size such as 4GB"):
        read(pa.table(GOOD), ROLES, memory=memory)


def test_settings_of_reading():
    for given in ({"format": "xml"}, {"delimiter": "too long"}, {"delimiter": ""}, {"threads": 0}):
        with pytest.raises(SettingsError):
            read(pa.table(GOOD), ROLES, **given)


def test_too_little_memory_says_so():
    n = 2_000_000
    table = pa.table({"user": np.arange(n) % 977, "y": np.arange(n) % 2, "x": np.arange(n)})
    with pytest.raises(DataError, match=r"memory limit 2MB is too small.*--memory"):
        read(table, ROLES, memory="2MB")


def test_database_errors_are_data_errors():
    with connect() as db, pytest.raises(InputError, match="nothing"):
        db.table("SELECT nothing FROM nowhere", what="nothing")
