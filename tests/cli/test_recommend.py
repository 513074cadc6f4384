"""``headstart recommend``, and the lists of ``headstart evaluate``, from a model in its folder."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from headstart.scoring import load_model, save_model
from headstart.scoring.files import forget_user
from headstart.scoring.seen import seen_by

RATINGS = ("--user", "user", "--item", "item", "--label", "rating")
QUICK = ("--model", "mf", "--set", "factors=3", "--ticks", 6, "--rate", 0.25, "--groups", 3, "--threads", 1)


def ratings(users=50, items=40, seed=0):
    """Ratings of items 100 to 139; user k has rated about k of them."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), np.minimum(np.arange(users) + 1, items))
    item = np.concatenate([rng.choice(items, min(k + 1, items), replace=False) for k in range(users)])
    taste, kind = rng.normal(size=(users, 3)), rng.normal(size=(items, 3))
    rating = 3 + (taste[user] * kind[item]).sum(axis=1) + 0.3 * rng.normal(size=len(user))
    return pa.table({"user": user + 1000, "item": item + 100, "rating": np.clip(np.round(rating), 1, 5)})


@pytest.fixture(scope="module")
def rated(headstart, tmp_path_factory):
    """Ratings in two files and a model of the first."""
    folder, table = tmp_path_factory.mktemp("rated"), ratings()
    test = pa.array(np.random.default_rng(1).random(len(table)) < 0.2)
    pq.write_table(table.filter(pc.invert(test)), folder / "train.parquet")
    pq.write_table(table.filter(test), folder / "test.parquet")
    headstart("fit", folder / "train.parquet", *RATINGS, *QUICK, "--out", folder / "model")
    return folder


@pytest.fixture
def own(rated, tmp_path):
    """A copy of the model, to be changed."""
    save_model(load_model(rated / "model"), tmp_path / "own")
    return tmp_path / "own"


def seen_items(table, user):
    return set(table.filter(pc.equal(table["user"], user))["item"].to_pylist())


def test_a_table_for_a_user_agrees_with_predict(headstart, rated, tmp_path):
    train = pq.read_table(rated / "train.parquet")
    said = headstart("recommend", rated / "model", 1030, "-n", 5, "--json", tmp_path / "r.json").out
    document = json.loads((tmp_path / "r.json").read_text())
    (found,) = document["lists"]
    assert (found["user"], found["known"], found["model"], document["n"]) == ("1030", True, "personal", 5)
    assert [row["rank"] for row in found["items"]] == [1, 2, 3, 4, 5]
    assert "user 1030: by the personal model" in said
    for row in found["items"]:
        assert [str(row["rank"]), str(row["item"]), f"{row['score']:.4f}"] in [
            line.split() for line in said.splitlines()
        ]
    fresh = sorted(set(range(100, 140)) - seen_items(train, 1030))
    pq.write_table(pa.table({"user": [1030] * len(fresh), "item": fresh}), tmp_path / "fresh.parquet")
    headstart("predict", rated / "model", tmp_path / "fresh.parquet", "--out", tmp_path / "p.parquet")
    score = dict(zip(fresh, pq.read_table(tmp_path / "p.parquet")["score"].to_pylist(), strict=True))
    best = sorted(fresh, key=lambda item: -score[item])
    assert {row["item"] for row in found["items"][:2]} <= {item for item in fresh if score[item] >= score[best[1]]}
    for row in found["items"]:
        assert np.clip(row["score"], 1, 5) == pytest.approx(score[row["item"]], abs=1e-5)


def test_a_file_for_many_users(headstart, rated, tmp_path):
    train = pq.read_table(rated / "train.parquet")
    said = headstart("recommend", rated / "model", "--out", tmp_path / "all.parquet", "-n", 7).out
    every = pq.read_table(tmp_path / "all.parquet")
    assert every.column_names == ["user", "rank", "item", "score", "model"]
    users = pc.unique(train["user"]).to_pylist()
    assert f"lists of {len(users)} users, each of up to 7 out of 40 items" in said
    for user in users:
        mine = every.filter(pc.equal(every["user"], user))
        rest = 40 - len(seen_items(train, user))
        assert mine["rank"].to_pylist() == list(range(1, min(7, rest) + 1))
        assert not seen_items(train, user) & set(mine["item"].to_pylist())
        assert (np.diff(mine["score"].to_numpy()) <= 0).all()
    assert set(every["model"].to_pylist()) == {"personal", "global"}
    (tmp_path / "some.csv").write_text("user\n1049\n7\n1003\n1049\n")
    arguments = ("--users", tmp_path / "some.csv", "-n", 7, "--threads", 1, "--out")
    said = headstart("recommend", rated / "model", *arguments, tmp_path / "some.out.csv").out
    assert "note: users that the model does not know, served the global model: 1" in said
    some = pacsv.read_csv(tmp_path / "some.out.csv")
    assert list(dict.fromkeys(some["user"].to_pylist())) == [1049, 7, 1003]
    for user in (1049, 1003):
        names = [table.filter(pc.equal(table["user"], user))["item"].to_pylist() for table in (some, every)]
        assert names[0] == names[1]


def test_seen_items_and_candidates(headstart, rated, tmp_path):
    train = pq.read_table(rated / "train.parquet")

    def items(*arguments):
        headstart("recommend", rated / "model", 1045, *arguments, "--json", tmp_path / "r.json")
        document = json.loads((tmp_path / "r.json").read_text())
        return [row["item"] for row in document["lists"][0]["items"]], document

    kept, document = items("--keep-seen", "-n", 1000)
    assert sorted(kept) == list(range(100, 140))
    seen = seen_items(train, 1045)
    left, _ = items("-n", 1000)
    assert left == [item for item in kept if item not in seen]
    for name, text in (("a.txt", "105\n139\n7\n101\n"), ("b.csv", "item,price\n105,1\n139,2\n7,1\n101,1\n")):
        (tmp_path / name).write_text(text)
        found, document = items("--keep-seen", "--candidates", tmp_path / name)
        assert found == [item for item in kept if item in (105, 139, 101)]
        assert document["notes"] == {"candidates that are no item of training": 1}
    pq.write_table(pa.table({"any": sorted(seen)}), tmp_path / "seen.parquet")
    found, document = items("--candidates", tmp_path / "seen.parquet")
    assert found == []
    assert document["notes"] == {"users who have seen all items to choose from; --keep-seen lists them": 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "whose list? name a USER"),
        ((1001, "-n", 0), "0 is not in the range"),
        ((1001, "--candidates", "nothing.csv"), "nothing.csv: No such file"),
        ((1001, "--candidates", "empty.csv"), "empty.csv: the file is empty"),
        ((1001, "--candidates", "header.csv"), "header.csv: there are no ids"),
        ((1001, "--candidates", "wide.csv"), "the columns are a, b; call the one of ids 'item'"),
        ((1001, "--candidates", "far.csv"), "none of the 2 candidates was an item of training (8 for one)"),
        ((1001, "--candidates", "real.parquet"), "real.parquet: column 'item': ids are whole numbers or text"),
        ((1001, "--users", "far.csv"), "give either USER or --users"),
        (("--users", "many.csv"), "30 lists are too many to print; give --out FILE"),
        ((1001, "--out", "lists.txt"), "must end in .parquet or .csv"),
    ],
)
def test_bad_input_is_one_line(headstart, rated, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    texts = {"empty.csv": "", "header.csv": "item\n", "wide.csv": "a,b\n1,2\n", "far.csv": "8\n9\n"}
    texts["many.csv"] = "\n".join(map(str, range(30)))
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    pq.write_table(pa.table({"item": [1.5]}), tmp_path / "real.parquet")
    said = headstart("recommend", rated / "model", *arguments, code=2).err
    assert message in said
    assert len(said.splitlines()) == 1


def test_what_cannot_recommend_says_why(headstart, rated, fitted, tmp_path):
    said = headstart("recommend", fitted, "u1", code=2).err
    assert "a logistic model scores events by their features" in said
    assert "there is no model" in headstart("recommend", tmp_path / "none", "u1", code=2).err
    own = tmp_path / "local"
    headstart("fit", rated / "train.parquet", *RATINGS, *QUICK, "--method", "local", "--out", own)
    assert "says nothing of items that its user has no event of" in headstart("recommend", own, 1030, code=2).err
    headstart("evaluate", own, rated / "test.parquet", "--bootstrap", 10, "--json", tmp_path / "e.json")
    assert "recommendation" not in json.loads((tmp_path / "e.json").read_text())


def test_evaluate_judges_lists(headstart, rated, tmp_path):
    arguments = (rated / "model", rated / "test.parquet", "--bootstrap", 50, "--top", 4, "--json", tmp_path / "e.json")
    said = headstart("evaluate", *arguments, "--relevant", 4).out
    document = json.loads((tmp_path / "e.json").read_text())["recommendation"]
    held = pq.read_table(rated / "test.parquet")
    held = held.filter(pc.greater_equal(held["rating"], 4))
    assert (document["n"], document["n_items"], document["n_relevant"]) == (4, 40, len(held))
    headstart("recommend", rated / "model", "--out", tmp_path / "lists.parquet", "-n", 4)
    lists = pq.read_table(tmp_path / "lists.parquet")
    hits = []
    for user in pc.unique(held["user"]).to_pylist():
        hits.append(len(seen_items(held, user) & seen_items(lists, user)))
    assert document["n_users"] == len(hits)
    both, personal = document["methods"]
    assert (both["name"], personal["name"]) == ("global", "by-abundance")
    assert personal["metrics"]["precision"]["mean"] == pytest.approx(np.mean(hits) / 4)
    assert personal["metrics"]["hit"]["mean"] == pytest.approx(np.mean(np.array(hits) > 0))
    assert "Lists of 4 out of 40 items" in said
    assert "precision@4" in said
    same = headstart("evaluate", rated / "model", rated / "train.parquet", "--bootstrap", 10).out
    assert "no lists are judged: no user has a held-out item that is new to the user" in same


def test_seen_items_live_with_the_model(headstart, own, tmp_path):
    """Newcomers bring theirs, a user's new events replace the old ones, and who is forgotten leaves none."""
    before = load_model(own).terms[0].seen
    plan = load_model(own).terms[0].plan
    assert len(before) == len(plan.users)
    events = pa.table({"user": [5, 5, 5, 1040, 1040], "item": [101, 102, 999, 103, 104], "rating": [5.0, 1, 3, 2, 4]})
    pq.write_table(events, tmp_path / "new.parquet")
    headstart("personalise", own, tmp_path / "new.parquet")
    ids = load_model(own).features.items.ids.to_pylist()

    def seen(user):
        return sorted(ids[code] for code in seen_by(load_model(own).terms[0].seen, pa.array([user])).values)

    assert (seen(5), seen(1040)) == ([101, 102], [103, 104])
    assert len(seen(1039)) > 2
    said = headstart("recommend", own, 5, "-n", 99, "--json", tmp_path / "r.json").out
    assert "user 5: by the personal model" in said
    listed = {row["item"] for row in json.loads((tmp_path / "r.json").read_text())["lists"][0]["items"]}
    assert listed == set(range(100, 140)) - {101, 102}
    assert "items in its training events, left out of recommendations: 2" in headstart("inspect", own, 5).out
    forget_user(own, "5")
    assert seen(5) == []
    assert "user 5: not known, by the global model" in headstart("recommend", own, 5).out
    forget_user(own, 1000)  # one event: served the global model, and seen items all the same
    assert len(load_model(own).terms[0].seen) == len(before) - 1


def test_a_model_without_seen_items_still_opens(headstart, own, tmp_path):
    from dataclasses import replace

    whole = load_model(own)
    save_model(replace(whole, terms=(replace(whole.terms[0], seen=None),)), tmp_path / "old")
    assert load_model(tmp_path / "old").terms[0].seen is None
    assert "train it again, or keep them all" in headstart("recommend", tmp_path / "old", 1030, code=2).err
    headstart("recommend", tmp_path / "old", 1030, "--keep-seen")
    pq.write_table(pa.table({"user": [1030], "item": [101], "rating": [5.0]}), tmp_path / "new.parquet")
    headstart("personalise", tmp_path / "old", tmp_path / "new.parquet")
    forget_user(tmp_path / "old", 1030)
    assert load_model(tmp_path / "old").terms[0].seen is None
