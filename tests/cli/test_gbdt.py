"""Gradient boosting from the command line."""

from __future__ import annotations

import json

import lightgbm
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headstart.datasets.toy import toy
from headstart.scoring import Scorer, load_model

MODEL = ("--model", "gbdt", "--rate", "0.1")


@pytest.fixture(scope="module")
def clicks(tmp_path_factory):
    """A small log of clicks."""
    file = tmp_path_factory.mktemp("clicks") / "clicks.parquet"
    pq.write_table(toy(60, seed=2).table, file)
    return file


@pytest.fixture(scope="module")
def model(headstart, logs, clicks, tmp_path_factory):
    """A model of twenty ticks."""
    out = tmp_path_factory.mktemp("model") / "model"
    headstart("fit", clicks, *logs.flags, *MODEL, "--ticks", "20", "--out", out)
    return out


def test_compare_has_the_papers_counts_and_says_what_does_not_exist(headstart, logs, clicks, tmp_path):
    counts = ("--global-trees", "5", "--personal-trees", "7")
    methods = ("--methods", "global,anchored,mtl")
    file = tmp_path / "found.json"
    said = headstart("compare", clicks, *logs.flags, *MODEL, "--ticks", "10", *methods, *counts, "--json", file)
    found = json.loads(file.read_text())
    assert [row["name"] for row in found["methods"]] == ["global", "anchored", "fixed-5+7"]
    assert list(found["not_defined"]) == ["mtl"]
    assert "mtl: not defined for this model: the paper has no multi-task form" in " ".join(said.out.split())


def test_a_method_that_does_not_exist_for_trees_is_refused_alone(headstart, logs, clicks, tmp_path):
    said = headstart("fit", clicks, *logs.flags, *MODEL, "--method", "mtl", "--out", tmp_path / "model", code=2)
    assert "method 'mtl' does not exist for gbdt" in said.err
    said = headstart("compare", clicks, *logs.flags, *MODEL, "--global-trees", "5", code=2)
    assert "give both --global-trees and --personal-trees" in said.err


def test_the_grid_of_trees(headstart, logs, clicks, tmp_path):
    file = tmp_path / "grid.json"
    headstart("compare", clicks, *logs.flags, *MODEL, "--grid", "trees", "--seeds", "2", "--json", file)
    found = json.loads(file.read_text())
    names = [row["name"] for row in found["rows"]]
    assert names[0] == "global 20"
    assert names[4:8] == ["local 20", "local 50", "local 100", "local 200"]
    assert names[8:] == ["adaptive 20+50", "adaptive 50+50", "adaptive 10+100"]
    assert found["settings"]["feature_fraction"] == 0.8
    for row in found["rows"]:
        assert set(row["metrics"]) >= {"map", "mrr", "auc", "ndcg"}
        assert all(spread["mean"] > 0 and spread["sd"] >= 0 for spread in row["metrics"].values())
    # Two seeds are two splits.
    assert any(row["metrics"]["auc"]["sd"] > 0 for row in found["rows"])
    said = headstart("compare", clicks, *logs.flags, "--grid", "trees", code=2)
    assert "give --model gbdt" in said.err


def test_the_global_model_leaves_as_lightgbms_text(headstart, logs, clicks, model, tmp_path):
    file = tmp_path / "global.txt"
    headstart("inspect", model, "--export-lightgbm", file)
    fitted = load_model(model)
    booster = lightgbm.Booster(model_file=str(file))
    from headstart.data.log import read

    log = read(clicks, fitted.roles)
    blocks = Scorer(fitted).blocks(log)[0]
    ours = Scorer(fitted).score_blocks(blocks, only_global=True).margin
    assert np.abs(ours - booster.predict(blocks[0].features, raw_score=True)).max() < 1e-6
    assert "give --overwrite" in headstart("inspect", model, "--export-lightgbm", file, code=2).err


def test_inspect_shows_own_trees_and_the_features_they_use(headstart, model, tmp_path):
    plan = load_model(model).terms[0].plan
    user = plan.users.filter(pa.array(plan.personal & (plan.events == plan.events.max())))[0].as_py()
    file = tmp_path / "user.json"
    said = headstart("inspect", model, user, "--json", file)
    term = json.loads(file.read_text())["terms"][0]
    assert term["facts"]["own trees"] > 0
    assert term["facts"]["gain of own trees"] > 0
    assert term["moved"][0]["personal"] > 0
    assert "own trees" in said.out


def test_a_logistic_model_has_no_such_text(headstart, logs, clicks, tmp_path):
    out = tmp_path / "model"
    headstart("fit", clicks, *logs.flags, *logs.quick, "--out", out)
    said = headstart("inspect", out, "--export-lightgbm", tmp_path / "x.txt", code=2)
    assert "only gbdt has its text" in said.err


@pytest.mark.parametrize(
    ("given", "said"),
    [("leafs=3", "gbdt has the hyper-parameters"), ("own_leaves=many", "own_leaves"), ("l2=-1", "l2 is -1")],
)
def test_hyper_parameters_that_cannot_be(headstart, logs, clicks, given, said):
    found = headstart("compare", clicks, *logs.flags, *MODEL, "--set", given, code=2)
    assert said in found.err
