"""Matrix factorisation: edge cases, errors, and what results may not depend on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

import headstart
from headstart.data.blocks import Blocks
from headstart.data.vocab import entity_keys
from headstart.errors import DataError, SettingsError
from headstart.models import FAMILIES
from headstart.models.family import Orders, take_users
from headstart.models.mf import MatrixFactorization, descent, strata
from headstart.training import train_path

FAMILY = MatrixFactorization(factors=4)


def log_of(triples, users=None, **more):
    """Blocks from (user, item, rating); `users` are all there are."""
    ids = pa.array(sorted({user for user, _, _ in triples}) if users is None else users)
    place = {user: number for number, user in enumerate(ids.to_pylist())}
    triples = sorted(triples, key=lambda row: place[row[0]])
    counts = np.bincount([place[user] for user, _, _ in triples], minlength=len(ids)).astype(np.int64)
    stop = np.cumsum(counts)
    label = np.array([rating for _, _, rating in triples], np.float32)
    item = np.array([item for _, item, _ in triples], np.int32)
    return Blocks(np.zeros((len(label), 0), np.float32), ids, stop - counts, stop, label, item=item, **more)


def many(users=300, items=40, rows=6000, seed=0):
    rng = np.random.default_rng(seed)
    owner, item = np.sort(rng.integers(0, users, rows)), rng.integers(0, items, rows)
    taste = (rng.normal(0, 1, (users, 2))[owner] * rng.normal(0, 1, (items, 2))[item]).sum(axis=1)
    label = 3 + rng.normal(0, 0.5, users)[owner] + taste + rng.normal(0, 0.3, rows)
    return log_of(list(zip(owner.tolist(), item.tolist(), label.tolist(), strict=True)))


def orders_for(users, steps=10, pull=0.5, rate=0.5):
    kinds = ((steps, np.int32), (pull, np.float32), (rate, np.float32), (0, np.uint64))
    return Orders(*(np.full(users, value, kind) for value, kind in kinds))


def margins(data, family=FAMILY, ticks=5):
    """Of the global model, then of personal ones."""
    end = train_path(family, data, ticks).end()
    trained = family.fit_users(end, data, orders_for(len(data)))
    assert not trained.failed.any()
    return family.score(end, None, data), family.score(end, trained.personal, data)


def test_it_is_there():
    assert FAMILIES.load("mf") is MatrixFactorization is headstart.MatrixFactorization
    habits = MatrixFactorization.habits
    assert (habits.columns, habits.items, habits.joint, habits.alone) == (False, True, "joint", "alone")


@pytest.mark.parametrize("threads", [2, 3, 5])
@pytest.mark.parametrize("joint", [0.0, 0.02])
def test_results_do_not_depend_on_threads(threads, joint, monkeypatch):
    monkeypatch.setattr(descent, "WORTH_THREADS", 0)
    data, family = many(), replace(FAMILY, joint=joint)
    one, some = (train_path(family, data, 4, threads=count).states for count in (1, threads))
    assert all(one[name].tobytes() == some[name].tobytes() for name in one)


def test_few_ratings_are_not_worth_threads():
    prep = FAMILY.prepare(many(), 0, threads=4)
    assert (len(prep.strata), prep.workers) == (6000, 1)


def test_another_seed_is_another_model():
    data = many()
    one, two = (train_path(FAMILY, data, 2, seed=seed).states["user.factors"] for seed in (0, 1))
    assert not np.array_equal(one, two)
    assert train_path(FAMILY, data, 2, seed=-1).end()["user.factors"].any()


def test_it_recovers_planted_factors():
    """Held-out ratings of users and items that were seen: far better than biases, near the noise."""
    data = many(users=200, items=50, rows=12000)
    hidden = np.random.default_rng(1).random(12000) < 0.1
    train = replace(data, weight=(~hidden).astype(np.float32))
    squares = []
    for factors, l2 in ((4, 1.0), (1, 1e9)):
        family = MatrixFactorization(factors=factors, l2=l2, row_l2=0.01)
        loss = family.loss(family.score(train_path(family, train, 80).end(), None, data), data.label)
        squares.append(loss[hidden].mean())
    assert squares[0] < 0.2 < 1.5 < squares[1]


@pytest.mark.parametrize("rating", [3.7, 0.0, -2.0])
@pytest.mark.parametrize("rows", [[(1, 0)], [(1, 0), (1, 1), (1, 2)], [(1, 0), (2, 0)], [(1, 0), (1, 0), (2, 1)]])
def test_constant_ratings_are_predicted(rows, rating):
    """One user, one item, one rating; several of one; the same item twice."""
    for found in margins(log_of([(*row, rating) for row in rows])):
        np.testing.assert_array_equal(found, np.full(len(rows), rating, np.float32))


def test_one_rating_far_from_another_is_learned():
    data = log_of([(1, 0, 1.0), (2, 1, 5.0)])
    shared, own = margins(data, replace(FAMILY, l2=0.1, bias_l2=0.1), 30)
    assert shared[0] < 3 < shared[1]
    assert abs(own - data.label).sum() < abs(shared - data.label).sum()
    assert (own >= 1).all()
    assert (own <= 5).all()


def test_margins_keep_to_the_range_of_ratings():
    data = log_of([(1, 0, 1.0), (1, 1, 5.0), (2, 0, 1.0), (2, 1, 5.0)])
    end = dict(train_path(FAMILY, data, 3).end())
    end["shared.item_bias"] = np.array([-90, 90], np.float32)
    assert FAMILY.score(end, None, data).tolist() == [1, 5, 1, 5]
    shifted = replace(data, offset=np.full(4, 0.25, np.float32))
    assert FAMILY.score(end, None, shifted).tolist() == [1.25, 5.25, 1.25, 5.25]


def test_unknown_items_and_users():
    """An unknown item has no bias and no factors, whatever its code; users of such rows only are not in the path."""
    data = log_of([(1, 0, 2.0), (1, 2, 5.0), (2, -1, 5.0), (3, 0, 1.0), (3, 2, 4.0)])
    path = train_path(FAMILY, data, 10)
    end = path.end()
    assert end["user.key"].tolist() == sorted(entity_keys(pa.array([1, 3])).tolist())
    assert path.knows(data.users).tolist() == [True, False, True]
    assert not end["shared.item_factors"][1].any()
    asked = log_of([(1, 1, 0.0), (1, -1, 0.0), (1, 99, 0.0), (2, 0, 0.0), (9, 0, 0.0), (9, 99, 0.0)])
    scores = FAMILY.score(end, None, asked)
    one = end["user.bias"][end["user.key"] == entity_keys(pa.array([1]))]
    assert scores[0] == scores[1] == scores[2] == end["mu"][0] + one[0]
    assert scores[3] == scores[4] == end["mu"] + end["shared.item_bias"][0]
    assert scores[5] == end["mu"]
    own = FAMILY.fit_users(end, data.select(np.array([1])), orders_for(1)).personal
    assert own["bias"][0] > 0
    assert not own["factors"].values.any()


def test_data_without_any_rating_that_counts():
    """Nothing to learn from: the mean is 0, and there is no range."""
    for data in (
        log_of([], users=[1, 2]),
        log_of([(1, -1, 4.0)]),
        log_of([(1, 0, 4.0)], weight=np.zeros(1, np.float32)),
    ):
        state = train_path(FAMILY, data, 2).end()
        assert len(state["user.key"]) == 0
        assert state["mu"].tolist() == [0]
        assert FAMILY.score(state, None, data).tolist() == [0] * len(data.label)


def test_rows_of_weight_0_are_as_if_they_were_not_there():
    triples = [(1, 0, 2.0), (1, 1, 3.0), (2, 0, 4.0), (3, 2, 900.0)]
    weight = np.array([1, 1, 1, 0], np.float32)
    with_it, without = log_of(triples, weight=weight), log_of(triples[:3], users=[1, 2, 3])
    one, two = (train_path(FAMILY, data, 4).end() for data in (with_it, without))
    for name in one:
        assert one[name].tobytes() == two[name].tobytes(), name
    kept = FAMILY.fit_users(one, with_it, orders_for(3)).personal
    assert kept["bias"][2] == 0


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64(), pa.string()])
def test_ids_of_any_size(kind):
    """Up to 2^63 and beyond; a number and its text are one user."""
    ids = [0, 2**31, 2**63 - 1] if kind == pa.int64() else [0, 2**31, 2**64 - 1]
    data = log_of([(0, 0, 1.0), (1, 1, 2.0), (2, 0, 5.0), (2, 1, 4.0)])
    users = pa.array([str(number) for number in ids]) if kind == pa.string() else pa.array(ids, kind)
    end = train_path(FAMILY, replace(data, users=users), 5).end()
    assert FAMILY.score(end, None, replace(data, users=users))[3] != end["mu"]
    text = replace(data, users=pa.array([str(number) for number in ids]))
    assert FAMILY.score(end, None, text).tobytes() == FAMILY.score(end, None, replace(data, users=users)).tobytes()


def test_users_who_learn_nothing_keep_the_start_exactly():
    data = many(users=20)
    end = train_path(FAMILY, data, 5).end()
    orders = orders_for(20)
    orders.steps[7] = 0
    for family in (FAMILY, replace(FAMILY, alone=True)):
        personal = family.fit_users(end, data, orders).personal
        one = data.select(np.array([7]))
        own = take_users(personal, np.array([7]))
        assert family.score(end, own, one).tobytes() == family.score(end, None, one).tobytes()
        other = data.select(np.array([8]))
        assert (family.score(end, take_users(personal, np.array([8])), other) != family.score(end, None, other)).any()


def test_alone_reads_nothing_that_is_shared():
    data, family = many(users=20), replace(FAMILY, alone=True)
    end = train_path(family, data, 5).end()
    other = {name: array if name == "user.key" else array * 3 - 1 for name, array in end.items()}
    found = []
    for state in (end, other):
        personal = family.fit_users(state, data, orders_for(20)).personal
        found.append(family.score(state, personal, data))
    assert found[0].tobytes() == found[1].tobytes()
    elsewhere = replace(data, item=np.full(len(data.item), 1000, np.int32))
    means = np.array([data.label[a:b].mean() for a, b in zip(data.start, data.stop, strict=True)])
    np.testing.assert_allclose(family.score(end, personal, elsewhere), np.repeat(means, data.counts), rtol=1e-6)


def test_weights_name_the_bias_and_the_factors():
    data = many(users=5)
    end = train_path(FAMILY, data, 5).end()
    for family in (FAMILY, replace(FAMILY, alone=True)):
        personal = family.fit_users(end, data, orders_for(5)).personal
        names, values = family.weights(end, personal, [])
        assert list(names) == ["(bias)", "(factor 1)", "(factor 2)", "(factor 3)", "(factor 4)"]
        alone = family.alone
        np.testing.assert_array_equal(values[:, 0], personal["bias"] - (end["mu"] if alone else 0))
        assert bool(values[:, 1:].any()) is not alone
    assert not FAMILY.weights(end, None, [])[1].any()


def test_training_that_runs_away_says_so():
    data = many()
    with pytest.raises(SettingsError, match=r"ran away in epoch \d+.*--set learning_rate, now 1$"):
        train_path(MatrixFactorization(learning_rate=1.0, decay=0.0, l2=0, row_l2=0, bias_l2=0), data, 200)


def test_a_user_who_runs_away_fails_alone():
    data = many(users=6)
    end = train_path(FAMILY, data, 5).end()
    orders = orders_for(6, steps=3000)
    orders.rate[2] = 1000.0
    trained = FAMILY.fit_users(end, data, orders)
    assert trained.failed.tolist() == [False, False, True, False, False, False]
    one = data.select(np.array([2]))
    own = take_users(trained.personal, np.array([2]))
    assert FAMILY.score(end, own, one).tobytes() == FAMILY.score(end, None, one).tobytes()


def test_bad_rows_are_refused():
    data = log_of([(1, 0, 2.0), (2, 1, 4.0)])
    end = train_path(FAMILY, data, 2).end()
    for lacking, why in (("item", "have no items.*--item"), ("label", "have no label.*--label")):
        bare = replace(data, **{lacking: getattr(data, lacking)[:0]})
        with pytest.raises(DataError, match=why):
            FAMILY.prepare(bare, 0)
        with pytest.raises(DataError, match=why):
            FAMILY.fit_users(end, bare, orders_for(2))
    for value in (np.nan, np.inf):
        with pytest.raises(DataError, match="no finite number"):
            FAMILY.prepare(replace(data, label=np.array([1, value], np.float32)), 0)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("factors", 0),
        ("learning_rate", 0.0),
        ("learning_rate", 2.0),
        ("decay", np.nan),
        ("bias_row_l2", np.inf),
        *((name, -1.0) for name in ("l2", "row_l2", "bias_l2", "deviation", "joint")),
    ],
)
def test_bad_settings_are_refused(setting, value):
    with pytest.raises(SettingsError, match=f"^{setting} is {value}; give a"):
        MatrixFactorization(**{setting: value})


def test_strata_are_even():
    """Of users and items of any popularity, each block has its share of the ratings."""
    rng = np.random.default_rng(0)
    owner, item = np.sort((1000 * rng.random(40_000) ** 2).astype(int)), (400 * rng.random(40_000) ** 3).astype(int)
    cells = strata.Strata.of(log_of(list(zip(owner.tolist(), item.tolist(), [1.0] * 40_000, strict=True)))).cells
    assert cells.sum() == 40_000
    assert cells.sum(axis=1).max() <= 1.5 * 40_000 / strata.BLOCKS
