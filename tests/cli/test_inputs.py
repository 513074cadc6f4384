"""Formats of a log and types of ids, through the whole walk."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

FLAGS = ("--user", "user", "--label", "y", "--ticks", 5, "--rate", 0.2)


def events(ids):
    """Forty events of each of some users, of whom the last ones have more; features are short in decimal."""
    rng = np.random.default_rng(1)
    place = np.concatenate([np.full(10 + 5 * k, k) for k in range(len(ids))])
    x = rng.integers(-40, 40, len(place)) / 8
    y = (rng.random(len(place)) < 1 / (1 + np.exp(-x * np.where(place % 2, 1, -1)))).astype(int)
    return pa.table({"user": ids.take(pa.array(place)), "x": x, "word": np.array(["a", "b", "c"])[place % 3], "y": y})


def as_text(table, delimiter):
    rows = [table.column_names, *([str(value) for value in row.values()] for row in table.to_pylist())]
    return "".join(delimiter.join(row) + "\n" for row in rows)


def write_parts(table, folder):
    (folder / "deep").mkdir(parents=True)
    pq.write_table(table.slice(0, 50), folder / "a.parquet")
    pq.write_table(table.slice(50), folder / "deep" / "b.parquet")


def write_arrow(table, path, new=pa.ipc.new_file):
    with new(path, table.schema) as writer:
        writer.write_table(table)


WRITERS = {
    "e.parquet": pq.write_table,
    "e.csv": lambda table, path: path.write_text(as_text(table, ",")),
    "bom.csv": lambda table, path: path.write_text(as_text(table, ",").replace("\n", "\r\n"), "utf-8-sig", newline=""),
    "semicolon.csv": lambda table, path: path.write_text(as_text(table, ";")),
    "e.tsv": lambda table, path: path.write_text(as_text(table, "\t")),
    "e.csv.gz": lambda table, path: path.write_bytes(gzip.compress(as_text(table, ",").encode())),
    "e.arrow": write_arrow,
    "stream.arrow": lambda table, path: write_arrow(table, path, pa.ipc.new_stream),
    "parts": write_parts,
}


def test_every_format_is_the_same_log(headstart, tmp_path):
    table = events(pa.array(range(12)))
    prints = {}
    for name, write in WRITERS.items():
        write(table, tmp_path / name)
        headstart("fit", tmp_path / name, *FLAGS, "--out", tmp_path / "m", "--overwrite", "--json", tmp_path / "f.json")
        about = json.loads((tmp_path / "f.json").read_text())["about"]
        assert about["data"] == name
        prints[name] = about["fingerprint"]
    assert len(set(prints.values())) == 1, prints


def test_flags_of_text_files(headstart, tmp_path):
    table = events(pa.array(range(12)))
    (tmp_path / "e.dat").write_text(as_text(table, "|").split("\n", 1)[1])
    told = ("--format", "csv", "--delimiter", "|", "--no-header", "--user", "column0", "--label", "column3")
    said = headstart("fit", tmp_path / "e.dat", *told, "--ticks", 5, "--rate", 0.2, "--out", tmp_path / "m").out
    assert "logistic for each column0: 4 features" in said


IDS = {
    "int32": pa.array([5, -7, 11, 0, 2**30], pa.int32()),
    "int64": pa.array([-(2**63), 2**63 - 1, 0, 7, 8]),
    "uint64": pa.array([2**64 - 1, 2**63, 0, 7, 8], pa.uint64()),
    "text": pa.array(["Zoë", "日本", "a,b", ' "q" ', "👩‍👩‍👧"]),
    "digits": pa.array(["007", "7", "07", "-1", "1e3"]),
    "large text": pa.array(["a\tb", "ß", "e\u0301", "é", "Ａ"], pa.large_string()),
    "dictionary": pa.array(["x", "y", "z", "é", "w"]).dictionary_encode(),
}


@pytest.mark.parametrize("kind", IDS)
def test_users_of_every_kind(kind, headstart, tmp_path):
    ids = IDS[kind]
    table = events(ids)
    pq.write_table(table, tmp_path / "e.parquet")
    headstart("fit", tmp_path / "e.parquet", *FLAGS, "--groups", 3, "--out", tmp_path / "m")
    headstart("predict", tmp_path / "m", tmp_path / "e.parquet", "--out", tmp_path / "p.parquet")
    found = pq.read_table(tmp_path / "p.parquet")
    assert found["user"].to_pylist() == table["user"].to_pylist()
    assert found["user"].type == ids.type if pa.types.is_integer(ids.type) else pa.types.is_string(found["user"].type)
    served = dict(zip(found["user"].to_pylist(), found["model"].to_pylist(), strict=True))
    personal = [user for user, model in served.items() if model == "personal"]
    assert personal
    headstart("inspect", tmp_path / "m", "--json", tmp_path / "i.json", "--", personal[0])
    assert json.loads((tmp_path / "i.json").read_text())["terms"][0]["serve"] == "personal"
    headstart("forget", "--", tmp_path / "m", personal[0])
    headstart("inspect", "--", tmp_path / "m", personal[0], code=2)
    headstart("inspect", "--", tmp_path / "m", personal[-1], code=0 if len(personal) > 1 else 2)


def test_a_number_trained_on_is_found_as_text_and_back(headstart, tmp_path):
    table = events(pa.array([3, 4, 5, 6, 7]))
    pq.write_table(table, tmp_path / "e.parquet")
    headstart("fit", tmp_path / "e.parquet", *FLAGS, "--groups", 3, "--out", tmp_path / "m")
    text = table.set_column(0, "user", table["user"].cast(pa.string()))
    pq.write_table(text, tmp_path / "t.parquet")
    for name in ("e", "t"):
        headstart("predict", tmp_path / "m", tmp_path / f"{name}.parquet", "--out", tmp_path / f"{name}.csv")
    plain = [line.replace('"', "") for line in (tmp_path / "t.csv").read_text().splitlines()]
    assert plain == [line.replace('"', "") for line in (tmp_path / "e.csv").read_text().splitlines()]
