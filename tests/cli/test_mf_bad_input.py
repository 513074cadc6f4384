"""Ratings as nobody should give them: one clear line and status 2, or a sensible result; and what forget leaves."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from headstart.data.vocab import entity_keys
from headstart.scoring import load_model

FLAGS = ("--user", "user", "--item", "film", "--label", "stars")
FEW = ("--set", "factors=3", "--ticks", 4, "--rate", 0.25, "--threads", 1)
MF = (*FLAGS, "--model", "mf", *FEW)
FM = ("--model", "fm", "--set", "objective=squared", *FEW)
METHODS = "global,local,by-abundance,fine-tune,anchored,mtl"


def ratings(users=14, films=12, seed=0):
    """User 1000 + k rates k + 2 films of 500 and more, each once, on days 0, 1, ..."""
    rng = np.random.default_rng(seed)
    counts = np.minimum(np.arange(users) + 2, films)
    owner = np.repeat(np.arange(users), counts)
    film = np.concatenate([rng.permutation(films)[:count] for count in counts])
    taste, kind = rng.normal(size=(users, 2)), rng.normal(size=(films, 2))
    stars = np.clip(np.round(3 + (taste[owner] * kind[film]).sum(axis=1)), 1, 5)
    day = np.concatenate([np.arange(count) for count in counts])
    return pa.table({"user": owner + 1000, "film": film + 500, "stars": stars, "day": day})


LOG = ratings()
SIZE = len(LOG)


def put(table, **columns):
    """The table with columns in the place of its own, or beside them."""
    for name, values in columns.items():
        values = values if isinstance(values, pa.Array) else pa.array(values)
        place = table.column_names.index(name) if name in table.column_names else None
        table = table.append_column(name, values) if place is None else table.set_column(place, name, values)
    return table


def but(place, value, name="stars"):
    values = LOG[name].to_pylist()
    values[place] = value
    return {name: values}


@pytest.fixture(scope="module")
def model(headstart, tmp_path_factory):
    """A model of the log in the folder where the log is; not to be changed."""
    folder = tmp_path_factory.mktemp("rated")
    pq.write_table(LOG, folder / "log.parquet")
    headstart("fit", folder / "log.parquet", *MF, "--out", folder / "model")
    return folder / "model"


@pytest.fixture
def own(model, tmp_path):
    shutil.copytree(model, tmp_path / "own")
    return tmp_path / "own"


@pytest.fixture
def write(tmp_path):
    def file(table, name="e.parquet"):
        pq.write_table(table, tmp_path / name)
        return tmp_path / name

    return file


NEW = {"user": [5] * 4, "film": [501, 502, 503, 504], "stars": [1.0, 5.0, 2.0, 4.0]}
REFUSED = {
    "one rating": (LOG.slice(0, 1), (), "user column 'user' holds one user only"),
    "one user": (put(LOG, user=[7] * SIZE), (), "user column 'user' holds one user only"),
    "NaN": (put(LOG, **but(4, np.nan)), (), "label column 'stars' holds nan in row 5; it must be a finite number"),
    "infinite": (put(LOG, **but(4, np.inf)), (), "label column 'stars' holds inf in row 5"),
    "more than float32": (put(LOG, **but(4, 1e39)), (), "label column 'stars' holds 1e+39 in row 5"),
    "missing": (put(LOG, **but(4, None)), (), "label column 'stars' is empty in row 5"),
    "text": (put(LOG, stars=["good"] * SIZE), (), "holds text, 'good' in row .*; ratings are numbers: convert it"),
    "no item": (LOG, ("--item", "movie"), "there is no column 'movie' among user, film, stars, day"),
    "item is user": (LOG, ("--item", "user"), "column 'user' is given as --user and as --item"),
    "item is label": (LOG, ("--item", "stars"), "column 'stars' is given as --item and as --label"),
    "fractions as ids": (put(LOG, film=[0.5] * SIZE), (), "item column 'film' holds double; ids are whole numbers"),
    "nobody is left": (LOG, ("--min-events", 99), "no user has 99 events or more; give a lower --min-events"),
    "no weight": (put(LOG, w=[0.0] * SIZE), ("--weight", "w"), "weight column 'w' is 0 in every row"),
    "negative weight": (put(LOG, w=[-1.0] * SIZE), ("--weight", "w"), "'w' holds -1 in row 1"),
    "auc": (LOG, ("--select", "auc"), "cannot be chosen by auc: the objective of the model is squared"),
    "runs away": (LOG, ("--set", "learning_rate=1", "--ticks", 60), "ran away in epoch .*a lower --set learning_rate"),
    "no factors": (LOG, ("--set", "factors=0"), "factors is 0; give a whole number of at least 1"),
    "factors of text": (LOG, ("--set", "factors=many"), "hyper-parameters of mf: Expected `int`, got `str`"),
    "rounds": (LOG, ("--set", "rounds=-1"), "rounds is -1; give a whole number that is 0 or more"),
    "rate of nothing": (LOG, ("--rate", "nan"), "nan is not a number from 0 to 1e+38"),
    "rate without end": (LOG, ("--rate", "inf"), "inf is not a number from 0 to 1e+38"),
    "pull of nothing": (LOG, ("--pull", "nan"), "nan is not a number from 0 to 1e+38"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_log_that_cannot_be_learned(case, headstart, write, tmp_path):
    table, more, said = REFUSED[case]
    found = headstart("fit", write(table), *MF, *more, "--out", tmp_path / "model", code=2)
    assert found.err.count("\n") == 1
    assert re.search(said.replace("+", r"\+"), found.err), found.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["e.parquet"]


@pytest.mark.parametrize("command", [("compare",), ("fit", "--out", "model")])
def test_a_factorisation_wants_items(command, headstart, write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = ("--user", "user", "--label", "stars", "--model", "mf")
    found = headstart(command[0], write(LOG), *flags, *command[1:], code=2)
    assert found.err.endswith("which column names the item? give --item COLUMN\n")


@pytest.mark.parametrize("command", ["predict", "evaluate", "personalise"])
def test_events_without_an_item_column(command, headstart, own, write, tmp_path):
    more = ("--out", tmp_path / "p.csv") if command == "predict" else ()
    found = headstart(command, own, write(LOG.drop_columns(["film"])), *more, code=2)
    assert "there is no column 'film' among user, stars, day" in found.err


LEARNED = {
    "twice the same": (pa.concat_tables([LOG, LOG]), (), "an item that have another event; each counts"),
    "constant": (put(LOG, stars=[3.5] * SIZE), (), ""),
    "one item": (put(LOG, film=[1] * SIZE), (), ""),
    "huge": (put(LOG, stars=LOG["stars"].to_numpy() * 1e30), (), ""),
    "small": (put(LOG, stars=LOG["stars"].to_numpy() * 1e-30), (), ""),
    "negative": (put(LOG, stars=LOG["stars"].to_numpy() - 10), (), ""),
    "weights of 0": (put(LOG, w=np.arange(SIZE) % 2.0), ("--weight", "w"), ""),
    "huge weights": (put(LOG, w=np.where(np.arange(SIZE) % 2, 1e30, 1.0)), ("--weight", "w"), ""),
    "a rule": (LOG, ("--label", "stars>=4"), ""),
    "an empty item": (put(LOG, **but(3, None, "film")), (), "note: events without an item: 1"),
    "a list column": (put(LOG, shown=LOG["day"].to_numpy() // 3), ("--list", "shown"), ""),
    "one tick": (LOG, ("--ticks", 1), ""),
    "far too long steps": (LOG, ("--rate", 1e9), "diverged"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", LEARNED)
def test_a_log_that_is_odd(case, headstart, write, tmp_path):
    """Every method gives finite errors, without a warning of numpy's."""
    table, more, said = LEARNED[case]
    file = tmp_path / "c.json"
    given = (*MF, "--time", "day", "--methods", METHODS, "--bootstrap", 10, *more)
    assert said in headstart("compare", write(table), *given, "--json", file).out
    rows = json.loads(file.read_text())["methods"]
    assert len(rows) == METHODS.count(",") + 1
    assert all(np.isfinite(value) for row in rows for value in row["pooled"].values())


def test_an_empty_item_is_no_repeated_pair(headstart, write, tmp_path):
    """The last item of the user before is another thing than no item."""
    table = pa.table({"user": [1, 1, 2, 2], "film": [1, 9, None, 1], "stars": [1.0, 2.0, 3.0, 4.0]})
    headstart("fit", write(table), *MF, "--out", tmp_path / "m")
    notes = load_model(tmp_path / "m").about["notes"]
    assert (notes["events_without_item"], notes["repeated_pairs_of_user_and_item"]) == (1, 0)


@pytest.mark.parametrize("case", ["constant", "one item", "small", "weights of 0"])
def test_posteriors_of_odd_logs(case, headstart, write, tmp_path):
    table, more, _ = LEARNED[case]
    for rounds in (0, 2):
        set_rounds = ("--set", f"rounds={rounds}", "--method", "posterior", "--out", tmp_path / str(rounds))
        said = headstart("fit", write(table), *MF, *more, *set_rounds).out
        assert "T = 4;" in said  # nobody takes steps of a size
        headstart("predict", tmp_path / str(rounds), write(LOG), "--out", tmp_path / f"{rounds}.csv")
        assert np.isfinite(pacsv.read_csv(tmp_path / f"{rounds}.csv")["score"].to_numpy()).all()


def test_ratings_too_large_for_posteriors(headstart, write, tmp_path):
    table = LEARNED["huge"][0]
    found = headstart("fit", write(table), *MF, "--method", "posterior", "--out", tmp_path / "m", code=2)
    assert found.err.endswith("ratings or weights are too large or differ too much; scale them\n")


@pytest.mark.parametrize("split", [("new-users",), ("last-k", "--last", 1), ("time",), ("kfold", "--folds", 2)])
def test_splits(split, headstart, write):
    given = (*MF, "--time", "day", "--methods", "global,by-abundance,posterior", "--bootstrap", 10, "--split", *split)
    single = put(LOG.slice(0, 1), user=[9999])
    assert "by-abundance" in headstart("compare", write(pa.concat_tables([LOG, single])), *given).out


@pytest.mark.parametrize("model", [MF, (*FLAGS, *FM)], ids=["mf", "fm"])
def test_too_long_steps_are_counted(model, headstart, write, tmp_path):
    """Numbers that fit into a model may not fit into its scores."""
    for rate in (1e9, 1e37):
        said = headstart("fit", write(LOG), *model, "--rate", rate, "--out", tmp_path / f"{rate}").out
        assert "diverged" in said
        headstart("evaluate", tmp_path / f"{rate}", write(LOG), "--bootstrap", 10)


# Ids of users and films of training, and of the same ones later; what is said where they are not the same.
WIDE = 2**64 - 1
IDS = {
    "2^63 and more": (pa.uint64(), lambda n: WIDE - n, pa.string(), str),
    "below 2^63": (pa.int64(), lambda n: 2**63 - 1 - n, pa.uint64(), int),
    "negative": (pa.int64(), lambda n: -n, pa.string(), str),
    "numbers, then text": (pa.int64(), int, pa.string(), str),
    "text, then numbers": (pa.string(), str, pa.int64(), int),
    "narrow, then wide": (pa.int16(), int, pa.int64(), int),
}


@pytest.mark.parametrize("case", IDS)
def test_ids_that_change_their_type(case, headstart, write, tmp_path):
    first, name, later, again = IDS[case]
    made = {column: pa.array([name(n) for n in LOG[column].to_pylist()], first) for column in ("user", "film")}
    same = {column: pa.array([again(n) for n in made[column].to_pylist()], later) for column in made}
    path, scores = tmp_path / "m", tmp_path / "p.parquet"
    headstart("fit", write(put(LOG, **made)), *MF, "--out", path)
    events = write(put(LOG, **same), "later.parquet")
    headstart("predict", path, events, "--out", scores)
    assert pq.read_table(scores)["model"].to_pylist().count("personal") > SIZE / 2
    assert f"{len(LOG['user'].unique())} users from" in headstart("personalise", path, events).out
    model = load_model(path)
    assert len(model.terms[0].plan.users) == 14  # nobody is there twice
    user = same["user"][SIZE - 1].as_py()
    assert "not known" not in headstart("recommend", path, "--keep-seen", "--", user).out
    headstart("forget", path, "--", user)
    assert len(load_model(path).terms[0].plan.users) == 13


@pytest.mark.parametrize(
    ("users", "said"),
    [
        (["u5"] * 4, "'u5' in row 1"),
        (["5", "05", "5", "5"], "'05' in row 2"),
        (pa.array([WIDE] * 4, pa.uint64()), f"'{WIDE}' in row 1"),
    ],
)
def test_ids_that_cannot_be_those_of_the_model(users, said, headstart, own, write):
    found = headstart("personalise", own, write(put(pa.table(NEW), user=users)), code=2)
    assert f"user column 'user' holds {said}; ids of the model are of the type int64: convert it\n" in found.err


def test_items_that_training_had_not(headstart, own, write, tmp_path):
    strange = write(put(LOG, film=np.arange(SIZE) + 90_000))
    note = f"note: values of 'film' that training had not: {SIZE}"
    assert note in headstart("predict", own, strange, "--out", tmp_path / "p.csv").out
    assert np.isfinite(pacsv.read_csv(tmp_path / "p.csv")["score"].to_numpy()).all()
    assert note in headstart("evaluate", own, strange, "--bootstrap", 10).out
    assert note in headstart("personalise", own, strange).out


def test_evaluation_of_one_user(headstart, own, write, tmp_path):
    file = tmp_path / "e.json"
    headstart("evaluate", own, write(pa.table(NEW)), "--bootstrap", 10, "--json", file)
    document = json.loads(file.read_text())
    assert (document["n_users"], document["n_test_events"]) == (1, 4)
    assert 0 < document["methods"][0]["pooled"]["rmse"] < 4


def test_a_newcomer_comes_and_goes(headstart, own, write, tmp_path):
    headstart("personalise", own, write(pa.table(NEW)))
    assert "user 5: by the personal model" in headstart("recommend", own, 5).out
    headstart("predict", own, write(pa.table(NEW)), "--out", tmp_path / "p.csv")
    assert set(pacsv.read_csv(tmp_path / "p.csv")["model"].to_pylist()) == {"personal"}
    headstart("forget", own, 5)
    assert "user 5: not known" in headstart("recommend", own, 5).out
    assert "knows no user '5'" in headstart("inspect", own, 5, code=2).err
    assert "knows no user '5'; nothing was changed" in headstart("forget", own, 5, code=2).err
    headstart("predict", own, write(pa.table(NEW)), "--out", tmp_path / "p.csv", "--overwrite")
    assert set(pacsv.read_csv(tmp_path / "p.csv")["model"].to_pylist()) == {"global"}
    for command in (("evaluate", own, tmp_path / "e.parquet"), ("inspect", own), ("recommend", own, 1009)):
        headstart(*command)


def test_inspect_says_which_items_a_user_likes(headstart, model, tmp_path):
    said = headstart("inspect", model, 1009, "--most", 4, "--json", tmp_path / "i.json").out
    assert "The 4 scores of items that moved most" in said
    assert "factor" not in said
    found = json.loads((tmp_path / "i.json").read_text())["terms"][0]["items"]
    moves = [abs(row["moved"]) for row in found]
    assert moves == sorted(moves, reverse=True)
    headstart("recommend", model, 1009, "--keep-seen", "--json", tmp_path / "r.json")
    score = {row["item"]: row["score"] for row in json.loads((tmp_path / "r.json").read_text())["lists"][0]["items"]}
    for row in found:
        assert row["personal"] == score[row["item"]]
        assert row["moved"] == pytest.approx(row["personal"] - row["global"], abs=1e-6)


@pytest.mark.parametrize("how", [MF, (*MF, "--method", "posterior"), (*FLAGS, *FM)], ids=["mf", "posterior", "fm"])
def test_no_byte_of_a_forgotten_user_is_left(how, headstart, write, tmp_path):
    """Neither id, nor the key that stands for it in states, nor numbers of the user's on the path or apart from it."""
    user = 7_234_567_890_123_456_789
    users = np.where(LOG["user"].to_numpy() == 1009, user, LOG["user"].to_numpy())
    path = tmp_path / "m"
    headstart("fit", write(put(LOG, user=users)), *how, "--out", path)
    (term,) = load_model(path).terms
    wanted = {"id": np.int64(user).tobytes(), "key": entity_keys(pa.array([user])).tobytes()}
    wanted |= {name: np.asarray(getattr(c, "values", c)).tobytes() for name, c in term.store.get(user).items()}
    wanted["seen"] = term.seen.get(user)["item"].values.tobytes()
    states = [] if "posterior" in how else [term.path.at(tick) for tick in range(1, term.path.stopped + 1)]
    for tick, state in enumerate(states):
        place = np.searchsorted(state["user.key"], entity_keys(pa.array([user]))[0])
        wanted[f"factors at {tick}"] = state["user.factors"][place].tobytes()
    wanted = {name: value for name, value in wanted.items() if len(value) >= 8}
    assert {"id", "key", "factors", "seen"} <= wanted.keys()

    def left():
        content = b"".join(file.read_bytes() for file in path.rglob("*") if file.is_file())
        return {name for name, value in wanted.items() if value in content}

    assert left() >= wanted.keys() - ({"key"} if not states else set())
    headstart("forget", path, user)
    assert left() == set()


def test_a_machine_without_items_or_features(headstart, write, tmp_path):
    bare = LOG.select(["user", "stars"])
    flags = ("--user", "user", "--label", "stars", *FM)
    headstart("fit", write(bare), *flags, "--out", tmp_path / "m")
    headstart("predict", tmp_path / "m", write(bare), "--out", tmp_path / "p.csv")
    found = headstart("recommend", tmp_path / "m", 1009, code=2)
    assert "this fm model was trained without an item column" in found.err
    flat = write(put(bare, x=[2.0] * len(bare)))
    assert "column 'x' is no feature: the same in every" in headstart("fit", flat, *flags, "--out", tmp_path / "n").out


def test_a_configuration_and_what_has_no_text(headstart, model, tmp_path):
    (tmp_path / "c.toml").write_text(
        'user = "user"\nitem = "film"\nlabel = "stars"\nmodel = "mf"\nset = ["factors=3"]\n'
    )
    more = ("--ticks", 4, "--rate", 0.25, "--out", tmp_path / "m", "--threads", 1)
    headstart("fit", model.parent / "log.parquet", "--config", tmp_path / "c.toml", *more)
    assert load_model(tmp_path / "m").terms[0].family == load_model(model).terms[0].family
    found = headstart("inspect", model, "--export-lightgbm", tmp_path / "t.txt", code=2)
    assert "mf is no model of LightGBM's" in found.err
    headstart("inspect", model, "--coefficients", tmp_path / "w.csv")
    assert set(pacsv.read_csv(tmp_path / "w.csv")["feature"].to_pylist()) >= {"(bias)", "(factor 1)"}
