"""``headstart compare --report --more``: pictures that train again."""

from __future__ import annotations

import json

import pytest

from headstart.experiments.curves import TICKS
from headstart.experiments.shares import SHARES

QUICK = ("--bootstrap", 20, "--threads", 1, "--methods", "global,mtl,by-abundance,learned")


def test_curves_and_shares_are_in_every_form_of_the_report(headstart, logs, tmp_path):
    files = [tmp_path / f"r.{ending}" for ending in ("json", "md", "html")]
    flags = [part for file in files for part in ("--report", file)]
    headstart("compare", logs.all, *logs.flags, *QUICK, *flags, "--more", "curves,shares")
    numbers, text, page = (file.read_text("utf-8") for file in files)
    more, document = json.loads(numbers)["more"], json.loads(numbers)["document"]
    assert {point["ticks"] for point in more["curves"]["points"]} == set(TICKS)
    # What has no ticks is in no curve.
    assert {point["method"] for point in more["curves"]["points"]} == {"global", "mtl", "by-abundance"}
    assert [point["share"] for point in more["shares"]["points"][::2]] == list(SHARES)
    means = {row["name"]: row["metrics"]["auc"]["mean"] for row in document["methods"]}
    for point in more["shares"]["points"][-2:]:
        assert point["metrics"]["auc"]["mean"] == means[point["method"]]
    for said in ("Against training epochs", "Against the share of training data"):
        assert said in text
        assert said in page


def test_trees_over_seeds(headstart, logs, tmp_path):
    file = tmp_path / "r.json"
    flags = ("--model", "gbdt", "--ticks", 5, "--rate", 0.1, "--methods", "global,local", "--seeds", 2)
    headstart("compare", logs.all, *logs.flags, *QUICK[:4], *flags, "--report", file, "--more", "trees,shares,curves")
    more = json.loads(file.read_text())["more"]
    assert more["trees"]["seeds"] == 2
    assert {point["family"] for point in more["shares"]["points"]} == {"gbdt"}
    assert max(point["ticks"] for point in more["curves"]["points"]) == 200


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--more", "curves"), "--more is of pictures in a report; give --report F.html too"),
        (("--more", "spirals", "--report", "r.html"), "--more spirals: there are curves, shares, trees"),
        (("--more", "trees", "--report", "r.html"), "a table of trees, and logistic has none; give --model gbdt"),
        (("--more", "curves", "--report", "r.html", "--methods", "global"), "--more sets methods beside the global"),
        (("--more", "shares", "--report", "r.html", "--methods", "learned"), "--more shares draws global, local, by"),
        (("--more", "curves", "--report", "r.html", "--split", "kfold"), "--more is of one split"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_training(headstart, logs, tmp_path, monkeypatch, flags, said):
    monkeypatch.chdir(tmp_path)
    assert said in headstart("compare", logs.all, *logs.flags, *flags, code=2).err
    assert not list(tmp_path.iterdir())
