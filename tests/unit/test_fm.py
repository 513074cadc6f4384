"""Factorisation machines: settings, odd data, what is shared and what is a user's own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import csr_array

from headstart.data.blocks import Blocks
from headstart.data.log import read
from headstart.data.roles import FeatureSettings, Roles
from headstart.errors import DataError, SettingsError
from headstart.methods.tuned import Trainer
from headstart.models import FAMILIES
from headstart.models.family import Orders, take_users
from headstart.models.fm import FactorizationMachine, sweep
from headstart.models.fm.strata import GROUPS, Strata
from headstart.scoring import Scorer, load_model, save_model
from headstart.testing.toys import toy_blocks
from headstart.training import train_path


def blocks_of(label, width=0, users=1, item=None, weight=None):
    """Rows dealt to `users` in turn; features are all zeros."""
    label = np.asarray(label, np.float32)
    stop = np.cumsum(np.bincount(np.arange(len(label)) * users // max(1, len(label)), minlength=users))
    start = np.append(0, stop[:-1])
    item = np.empty(0, np.int32) if item is None else np.asarray(item, np.int32)
    weight = np.empty(0, np.float32) if weight is None else np.asarray(weight, np.float32)
    ids = pa.array(np.arange(users))
    return Blocks(np.zeros((len(label), width), np.float32), ids, start, stop, label, weight, item=item)


def orders_of(users, steps=20, pull=0.1, rate=0.25):
    kinds = ((steps, np.int32), (pull, np.float32), (rate, np.float32), (0, np.uint64))
    return Orders(*(np.full(users, value, kind) for value, kind in kinds))


def trained(family, data, ticks=3):
    end = train_path(family, data, ticks).end()
    personal = family.fit_users(end, data, orders_of(len(data)))
    assert not personal.failed.any()
    return end, personal.personal


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"objective": "hinge"}, "objective is 'hinge'; there are logistic, squared"),
        ({"factors": 0}, "factors is 0; give a whole number"),
        ({"user_l2": -1.0}, "user_l2 is -1.0; give a number that is 0 or more"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"joint": float("inf")}, "joint is inf"),
    ],
)
def test_settings_are_checked(setting, said):
    with pytest.raises(SettingsError, match=said):
        FactorizationMachine(**setting)


ODD = {
    "one row": ([1.0], {}),
    "one class": ([1.0] * 9, {"users": 3}),
    "rows of zeros": ([1, 0, 1, 1, 0, 0], {"width": 4, "users": 2}),
    "one item": ([1, 0, 1, 1], {"users": 2, "item": [0] * 4}),
    "unknown items only": ([1, 0, 1, 1], {"users": 2, "item": [-1] * 4}),
    "some weights are 0": ([1, 0, 1, 1], {"users": 2, "item": [0, 1, 5, 2], "weight": [1, 1, 0, 1]}),
    "a heavy row": ([1, 0, 1, 1], {"users": 2, "item": [0, 1, 0, 2], "weight": [1, 1e6, 1, 1]}),
    "more users than rows": ([1, 0], {"users": 7}),
}


@pytest.mark.parametrize("objective", ["logistic", "squared"])
@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("own", [False, True])
def test_odd_data_are_learnt_without_ado(name, objective, own):
    label, rest = ODD[name]
    data = blocks_of(label, **rest)
    family = FactorizationMachine(objective, personal_factors=own, personal_items=own)
    end, personal = trained(family, data)
    for models in (None, personal):
        margins = family.score(end, models, data)
        assert margins.shape == (len(label),)
        assert np.isfinite(margins).all()
        assert objective == "logistic" or (margins.min() >= min(label) and margins.max() <= max(label))


def test_constant_ratings_are_predicted():
    data = blocks_of([3.5] * 8, users=2, item=[0, 1, 2, 3] * 2)
    family = FactorizationMachine("squared")
    end, personal = trained(family, data)
    assert (family.score(end, None, data) == 3.5).all()
    assert (family.score(end, personal, data) == 3.5).all()


def test_the_unit_of_ratings_makes_no_difference():
    blocks = toy_blocks()
    stars = replace(blocks, label=(1 + 4 * blocks.label + blocks.features[:, 0]).astype(np.float32))
    points = replace(stars, label=stars.label * 64 - 320, offset=stars.offset * 64)
    family = FactorizationMachine("squared")
    few, many = (trained(family, data) for data in (stars, points))
    for one, two in ((None, None), (few[1], many[1])):
        a, b = family.score(few[0], one, stars), family.score(many[0], two, points)
        np.testing.assert_allclose(b, a * 64 - 320, rtol=1e-3, atol=0.05)


def test_rows_without_weight_and_users_without_rows_are_unknown():
    data = blocks_of([1, 0, 1, 1, 0, 1], users=3, item=[0, 1, 2, 3, 4, 9], weight=[1, 1, 0, 0, 1, 0])
    path = train_path(FactorizationMachine(), data, 2)
    assert list(path.knows(data.users)) == [True, False, True]
    assert len(path.end()["shared.item_weight"]) == 5


def test_no_row_or_no_label_is_said():
    data = blocks_of([1, 0], weight=[0, 0])
    with pytest.raises(DataError, match="no row has a weight above 0"):
        train_path(FactorizationMachine(), data, 1)
    bare = replace(toy_blocks(), label=np.empty(0, np.float32))
    with pytest.raises(DataError, match="have no label; training needs one"):
        train_path(FactorizationMachine(), bare, 1)
    end = train_path(FactorizationMachine(), toy_blocks(), 1).end()
    with pytest.raises(DataError, match="have no label; personal training needs one"):
        FactorizationMachine().fit_users(end, bare, orders_of(len(bare)))
    with pytest.raises(DataError, match="have 4 features and the model 6"):
        FactorizationMachine().score(end, None, toy_blocks(width=4))


def test_running_away_is_said():
    data = toy_blocks()
    wild = replace(data, features=data.features * np.float32(1e25))
    with pytest.raises(SettingsError, match="ran away at tick 1; give a lower --set learning_rate or feature_rate"):
        train_path(FactorizationMachine(), wild, 2)


def test_large_steps_do_not_overshoot():
    """A step is divided as an implicit one is, so a rate far too large is slow, not wild."""
    data = toy_blocks(40)
    end = train_path(FactorizationMachine(learning_rate=50.0, feature_rate=0.01), data, 10).end()
    assert all(np.isfinite(array).all() for array in end.values())
    assert np.abs(end["user.weight"]).max() < 50


def test_a_user_whose_numbers_run_away_fails_and_keeps_the_start():
    data = toy_blocks()
    family = FactorizationMachine()
    end = train_path(family, data, 2).end()
    features = data.features.copy()
    features[data.start[4]] = 1e25
    result = family.fit_users(end, replace(data, features=features), orders_of(len(data)))
    assert list(np.flatnonzero(result.failed)) == [4]
    four = np.array([4])
    view = data.select(four)
    own = take_users(result.personal, four)
    assert family.score(end, own, view).tobytes() == family.score(end, None, view).tobytes()


def test_a_hundred_thousand_columns():
    rng = np.random.default_rng(0)
    n, width = 2000, 100_000
    signal = rng.integers(0, 50, n)
    columns = np.column_stack([signal, rng.integers(50, width, (n, 4))])
    matrix = csr_array(
        (np.ones(columns.size, np.float32), columns.ravel().astype(np.int32), np.arange(0, columns.size + 1, 5)),
        (n, width),
    )
    label = (signal < 25).astype(np.float32)
    stop = np.arange(100, n + 1, 100)
    data = Blocks(matrix, pa.array(np.arange(20)), stop - 100, stop, label)
    family = FactorizationMachine(factors=4)
    path = train_path(family, data, 10)
    losses = [family.loss(family.score(state, None, data), label).mean() for state in (path.at(0), path.end())]
    assert losses[1] < 0.5 * losses[0]
    personal = family.fit_users(path.end(), data, orders_of(20)).personal
    assert family.loss(family.score(path.end(), personal, data), label).mean() < losses[1]
    assert len(personal["columns"].values) <= columns.size


def test_strata_share_neither_users_nor_items():
    """Within a batch; and all rows are there once, each piece with its own columns."""
    data = toy_blocks(200, width=20, sparse=True)
    data = replace(data, item=np.where(data.item == 3, -1, data.item))
    strata = Strata.of(data, False, 1)
    _, columns, pointers, active, begin, bounds, user, item, label, *_ = strata.arrays
    assert bounds[-1] == len(data.rows()) == len(label)
    assert label.sum() == data.label.sum()
    for first in strata.batches:
        taken = [slice(bounds[p], bounds[p + 1]) for p in range(first, first + GROUPS)]
        for codes in (user, item):
            of_pieces = [set(codes[rows]) - {-1} for rows in taken]
            assert sum(map(len, of_pieces)) == len(set().union(*of_pieces))
    for p in range(len(begin) - 1):
        own = active[begin[p] : begin[p + 1]]
        assert len(set(own)) == len(own)
        assert set(columns[pointers[bounds[p]] : pointers[bounds[p + 1]]]) == set(range(len(own)))


def test_large_strata_are_cut_and_small_batches_are_not_threaded(monkeypatch):
    monkeypatch.setattr("headstart.models.fm.strata.BATCH", 10)
    data = toy_blocks(100)
    cut = Strata.of(data, False, 1)
    assert len(cut.batches) == GROUPS * (len(data.rows()) // (GROUPS * 10))
    assert cut.arrays[5][-1] == len(data.rows())
    one = train_path(FactorizationMachine(), data, 2, threads=1)
    monkeypatch.setattr(sweep, "WORTH_THREADS", 0)
    three = train_path(FactorizationMachine(), data, 2, threads=3)
    assert all(one.states[name].tobytes() == three.states[name].tobytes() for name in one.states)


def test_the_seed_makes_a_difference_and_the_order_of_users_in_a_log_does_not():
    data = toy_blocks(30)
    family = FactorizationMachine()
    one, same, other = (train_path(family, data, 2, seed=seed).end() for seed in (1, 1, 2))
    assert all(one[name].tobytes() == same[name].tobytes() for name in one)
    assert not np.allclose(one["shared.item_factors"], other["shared.item_factors"])


def test_alone_reads_nothing_of_others():
    """Two models of everybody, one user's rows: the same margins up to the unit, for known and unknown users."""
    data = toy_blocks(30)
    family = FactorizationMachine("squared", alone=True)
    rng = np.random.default_rng(0)
    ends = []
    for seed in (0, 1):
        noise = data.label + (3 * seed * rng.normal(size=len(data.label))).astype(np.float32)
        end = dict(train_path(family, replace(data, label=noise), 4, seed=seed).end())
        end |= {"scale": np.ones(1, np.float32), "range": np.array([-9, 9], np.float32)}
        ends.append(end)
    margins = [family.score(end, family.fit_users(end, data, orders_of(30)).personal, data) for end in ends]
    np.testing.assert_allclose(margins[0], margins[1], rtol=1e-5, atol=1e-5)
    untaught = family.fit_users(ends[0], data, orders_of(30, rate=0.0)).personal
    means = [data.label[a:b] - data.offset[a:b] for a, b in zip(data.start, data.stop, strict=True) if b > a]
    expected = np.concatenate(
        [
            np.full(len(m), np.average(m, weights=w))
            for m, w in zip(means, np.split(data.weight, data.stop[1:-1]), strict=True)
        ]
    )
    np.testing.assert_allclose(
        family.score(ends[0], untaught, data) - data.offset[data.rows()], expected, rtol=1e-4, atol=1e-4
    )


def test_joint_training_holds_users_together():
    data = toy_blocks(40)
    apart, joint = (train_path(FactorizationMachine(joint=j), data, 20).end() for j in (0.0, 5.0))
    for name in ("user.weight", "user.factors", "shared.item_weight"):
        assert joint[name].std(axis=0).max() < 0.7 * apart[name].std(axis=0).max()


@pytest.mark.parametrize("settings", [{}, {"personal_factors": True, "personal_items": True}, {"alone": True}])
def test_weights_are_slopes_of_margins(settings):
    """What a one in a feature adds to the margin of a user's row that has nothing else."""
    data = toy_blocks(12)
    family = FactorizationMachine("squared", **settings)
    end, personal = trained(family, data)
    end = {**end, "range": np.array([-99, 99], np.float32)}
    rows = np.vstack([np.zeros((1, 6)), np.eye(6)]).astype(np.float32)
    probe = Blocks(np.tile(rows, (12, 1)), data.users, np.arange(0, 84, 7), np.arange(7, 85, 7))
    names, values = family.weights(end, personal, [f"x{j}" for j in range(6)])
    assert names == ["x0", "x1", "x2", "x3", "x4", "x5", "(intercept)"]
    margins = family.score(end, personal, probe).reshape(12, 7)
    np.testing.assert_allclose(values[:, 6], margins[:, 0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(values[:, :6], margins[:, 1:] - margins[:, :1], rtol=1e-3, atol=1e-4)
    unknown = replace(probe, users=pa.array([f"nobody {k}" for k in range(12)]))
    margins = family.score(end, None, unknown).reshape(12, 7)
    _, everybody = family.weights(end, None, names[:-1])
    np.testing.assert_allclose(everybody[0, :6], margins[0, 1:] - margins[0, 0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("item", ["item", None])
def test_the_walk_with_and_without_items(tmp_path, item):
    """From a log to a stored model that scores the same; mf would refuse a log without items."""
    rng = np.random.default_rng(0)
    table = pa.table(
        {
            "user": np.repeat(np.arange(30), 20),
            "item": rng.integers(0, 15, 600),
            "x": rng.normal(size=600),
            "kind": rng.choice(["a", "b", "c"], 600),
            "y": rng.integers(0, 2, 600),
        }
    )
    log = read(table, Roles(user="user", label="y", item=item, drop=() if item else ("item",)))
    trainer = Trainer(FAMILIES.load("fm")(factors=4), FeatureSettings())
    names = ["global", "local", "by-abundance", "mtl"]
    stop, choices = trainer.choose(log, np.zeros(len(log), np.bool_), names)
    for method in trainer.train(log, stop, choices):
        fitted = method.fitted
        assert (fitted.features.items is None) == (item is None)
        scores = Scorer(fitted).score(log)
        assert np.isfinite(scores.margin).all()
        folder = tmp_path / fitted.method
        save_model(fitted, folder)
        assert Scorer(load_model(folder)).score(log).margin.tobytes() == scores.margin.tobytes()
