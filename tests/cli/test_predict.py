"""``headstart predict`` and ``evaluate``: rows in their order, who served whom, what training had not seen."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from headstart.data.log import BATCH, read
from headstart.scoring import Scorer, load_model


@pytest.fixture
def predict(headstart, fitted, tmp_path):
    """The table of predictions and what was said."""

    def run(table, *arguments, model=fitted, out="p.parquet"):
        pq.write_table(table, tmp_path / "events.parquet")
        said = headstart("predict", model, tmp_path / "events.parquet", "--out", tmp_path / out, *arguments).out
        return said, pq.read_table(tmp_path / out) if out.endswith("parquet") else (tmp_path / out)

    return run


def test_rows_keep_their_order_and_agree_with_the_scorer(predict, fitted, logs):
    order = np.random.default_rng(0).permutation(len(logs.table))
    shuffled = logs.table.take(pa.array(order))
    said, found = predict(shuffled)
    assert found.column_names == ["user", "score", "model", "t_u"]
    assert found["user"].to_pylist() == shuffled["user"].to_pylist()
    model = load_model(fitted)
    log = read(shuffled, model.roles, labelled=False)
    scores = Scorer(model).score(log)
    expected = np.empty(len(log), np.float32)
    expected[log.row] = 1 / (1 + np.exp(-scores.margin.astype(np.float64)))
    assert np.allclose(found["score"].to_numpy(), expected, atol=1e-6)
    personal = pc.equal(found["model"].cast(pa.string()), "personal")
    assert f"{len(log):,} events scored, {pc.sum(personal).as_py():,} of them with a personal model" in said
    assert 0 < pc.sum(personal).as_py() < len(log)
    plan = model.terms[0].plan
    left = dict(zip(plan.users.to_pylist(), plan.ticks.tolist(), strict=True))
    for row in found.to_pylist():
        assert row["t_u"] == (left[row["user"]] if row["model"] == "personal" else 10)


def test_unknown_users_are_served_the_global_model(predict, logs):
    known = logs.table.slice(0, 50)
    strangers = known.set_column(0, "user", pa.array([f"{user} " for user in known["user"].to_pylist()]))
    _, found = predict(pa.concat_tables([known, strangers]))
    assert set(found["model"].slice(50).to_pylist()) == {"global"}
    assert set(found["t_u"].slice(50).to_pylist()) == {10}
    assert found["user"].slice(50).to_pylist() == strangers["user"].to_pylist()


def test_no_label_time_or_list_is_needed(predict, logs):
    _, whole = predict(logs.table)
    _, found = predict(logs.table.drop_columns(["click", "time", "list"]), "--overwrite")
    assert found.equals(whole)


def test_csv(predict, headstart, fitted, logs, tmp_path):
    table = logs.table.slice(0, 300)
    _, parquet = predict(table)
    _, file = predict(table, out="p.csv")
    written = pacsv.read_csv(file)
    assert written.column_names == parquet.column_names
    for name in ("user", "model", "t_u"):
        assert written[name].to_pylist() == parquet[name].to_pylist()
    assert np.allclose(written["score"].to_numpy(), parquet["score"].to_numpy(), atol=1e-6)
    before = file.read_bytes()
    headstart("predict", fitted, tmp_path / "events.parquet", "--out", file, code=2)
    assert file.read_bytes() == before
    predict(table.slice(0, 10), "--overwrite", out="p.csv")
    assert len(file.read_text().splitlines()) == 11
    assert file.stat().st_mode & 0o044


def test_what_training_had_not_is_counted(predict, logs):
    table = logs.table.slice(0, 200).drop_columns(["x1"])
    kind = pa.array(["hat"] * 7 + table["kind"].cast(pa.string()).to_pylist()[7:])
    said, found = predict(table.set_column(table.column_names.index("kind"), "kind", kind))
    lines = said.splitlines()
    assert "note: values of 'kind' that training had not: 7" in lines
    assert "note: rows without a column 'x1': 200" in lines
    assert f"note: missing values of 'price': {table['price'].null_count}" in lines
    assert len(found) == 200


def test_integer_ids_and_several_batches(headstart, tmp_path):
    rng = np.random.default_rng(0)
    n = BATCH + 40_000
    user = rng.integers(0, 90, n) + 2**40
    x = rng.standard_normal(n).astype(np.float32)
    label = (rng.random(n) < 1 / (1 + np.exp(-x * np.sign(user % 3 - 1)))).astype(np.int8)
    table = pa.table({"user": user, "x": x, "y": label})
    pq.write_table(table, tmp_path / "all.parquet")
    pq.write_table(
        table.slice(0, 3000).filter(pc.less(table["user"].slice(0, 3000), 2**40 + 80)), tmp_path / "a.parquet"
    )
    quick = ("--user", "user", "--label", "y", "--ticks", 5, "--rate", 0.2)
    headstart("fit", tmp_path / "a.parquet", *quick, "--out", tmp_path / "model")
    said = headstart("predict", tmp_path / "model", tmp_path / "all.parquet", "--out", tmp_path / "p.parquet").out
    found = pq.read_table(tmp_path / "p.parquet")
    assert f"{n:,} events scored" in said
    assert found["user"].type == pa.int64()
    assert np.array_equal(found["user"].to_numpy(), user)
    last = table.slice(n - 1000)
    pq.write_table(last, tmp_path / "last.parquet")
    headstart("predict", tmp_path / "model", tmp_path / "last.parquet", "--out", tmp_path / "q.csv")
    tail = found.slice(n - 1000)
    rows = [line.split(",") for line in (tmp_path / "q.csv").read_text().splitlines()[1:]]
    assert [int(row[0]) for row in rows] == tail["user"].to_pylist()
    assert np.allclose([float(row[1]) for row in rows], tail["score"].to_numpy(), atol=1e-6)
    unknown = user >= 2**40 + 80
    assert np.array_equal(np.array(found["model"].to_pylist())[unknown], np.full(unknown.sum(), "global"))


def test_evaluate_agrees_with_the_predictions(headstart, predict, fitted, logs, tmp_path):
    late = pq.read_table(logs.late)
    _, found = predict(late)
    said = headstart("evaluate", fitted, logs.late, "--bootstrap", 50, "--json", tmp_path / "e.json").out
    document = json.loads((tmp_path / "e.json").read_text())
    both, personal = document["methods"]
    assert (both["name"], personal["name"]) == ("global", "by-abundance")
    label, score = late["click"].to_numpy(), found["score"].to_numpy()
    assert personal["pooled"]["auc"] == pytest.approx(roc_auc_score(label, score), abs=1e-9)
    assert personal["pooled"]["logloss"] == pytest.approx(log_loss(label, score.astype(np.float64)), abs=1e-6)
    assert document["n_test_events"] == len(late)
    served = np.mean(np.array(found["model"].to_pylist()) == "personal")
    assert document["served_personally"] == pytest.approx(served)
    assert f"{100 * served:.1f} % of the events got a personal model" in said
    assert "Difference from global" in said
    assert "seconds" not in said
    assert "note: missing values of 'price'" in said
