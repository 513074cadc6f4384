"""Splits on small logs that can be checked by eye."""

import numpy as np
import pyarrow as pa
import pytest

from headstart.data.log import read
from headstart.data.roles import Roles
from headstart.data.split import NEED_TIME, SPLITS, TEST, TRAIN, TUNE, split
from headstart.errors import DataError, SettingsError


def log_of(counts, time=None, lists=None):
    user = np.repeat(np.arange(len(counts)), counts)
    columns = {"user": user, "y": np.zeros(len(user)), "t": np.arange(len(user)) if time is None else time}
    if lists is not None:
        columns["l"] = lists
    return read(
        pa.table(columns), Roles("user", "y", time="t", list="l" if lists is not None else None), trainable=False
    )


def codes(log, how, **settings):
    return [part.code.tolist() for part in split(log, how, **{"seed": 0, **settings})]


def test_user_time_takes_the_end_of_each_user():
    assert codes(log_of([5, 1, 2, 3]), "user-time") == [[0, 0, 0, 1, 2, 0, 0, 2, 0, 0, 2]]
    assert codes(log_of([10]), "user-time", test=0.3, tune=0.5) == [[0] * 3 + [1] * 4 + [2] * 3]
    assert codes(log_of([4]), "user-time", test=0, tune=0) == [[0] * 4]


def test_last_k_takes_as_many_from_each_user():
    assert codes(log_of([5, 1, 2, 3]), "last-k") == [[0, 0, 0, 1, 2, 0, 0, 2, 0, 1, 2]]
    assert codes(log_of([5, 2]), "last-k", last=2, tune=0) == [[0, 0, 0, 2, 2, 0, 2]]


def test_time_cuts_at_one_moment():
    time = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9]
    assert codes(log_of([5, 5], time), "time", tune=0.25) == [[0, 0, 0, 1, 2, 0, 0, 0, 1, 2]]
    # Rows of the same moment stay together, so test may be smaller than asked for.
    assert codes(log_of([6], [0, 0, 1, 1, 1, 2]), "time", test=0.4, tune=0) == [[0, 0, 0, 0, 0, 2]]
    assert codes(log_of([4], [0, 1, 1, 1]), "time", test=0.4, tune=0) == [[0, 2, 2, 2]]
    with pytest.raises(DataError, match="two moments"):
        split(log_of([4], [7] * 4), "time", seed=0)


def test_new_users_are_whole_users():
    log = log_of([3] * 20)
    code = split(log, "new-users", seed=0)[0].code.reshape(20, 3)
    assert (code == code[:, :1]).all()
    assert np.bincount(code[:, 0]).tolist() == [13, 3, 4]
    with pytest.raises(DataError, match="too few users"):
        split(log_of([3]), "new-users", seed=0)


def test_random_takes_its_share_of_all_rows():
    code = split(log_of([50, 50]), "random", seed=0)[0].code
    assert np.bincount(code).tolist() == [64, 16, 20]


def test_kfold_deals_each_users_events():
    log = log_of([7, 1, 10])
    parts = split(log, "kfold", seed=0, folds=5)
    tested = np.stack([part.test for part in parts])
    assert (tested.sum(0) == 1).all()
    for u, count in enumerate([7, 1, 10]):
        per_fold = tested[:, log.start[u] : log.stop[u]].sum(1)
        assert set(per_fold.tolist()) <= {count // 5, -(-count // 5)}
    assert all(part.tune.any() and not (part.tune & part.test).any() for part in parts)


def test_lists_are_counted_and_kept_whole():
    # Two lists of user 0, of 3 and 2 rows, interleaved in time; one of user 1.
    log = log_of([5, 2], time=[0, 1, 2, 3, 4, 0, 1], lists=[7, 8, 7, 8, 7, 7, 7])
    assert codes(log, "user-time") == [[0, 2, 0, 2, 0, 0, 0]]
    assert codes(log, "last-k", tune=0) == [[0, 2, 0, 2, 0, 0, 0]]


@pytest.mark.parametrize("how", SPLITS)
def test_the_seed_decides_and_the_first_order_does_not(how):
    rng = np.random.default_rng(0)
    table = pa.table({"user": rng.integers(0, 20, 500), "y": rng.integers(0, 2, 500), "t": rng.permutation(500)})
    roles = Roles("user", "y", time="t")
    log, shuffled = read(table, roles), read(table.take(rng.permutation(500)), roles)
    first = codes(log, how, seed=1)
    assert first == codes(shuffled, how, seed=1)
    assert (first == codes(log, how, seed=2)) == (how in NEED_TIME)


def test_a_users_split_does_not_depend_on_other_users():
    rng = np.random.default_rng(0)
    table = pa.table({"user": np.repeat(np.arange(20), 10), "y": rng.integers(0, 2, 200), "t": np.arange(200)})
    roles = Roles("user", "y", time="t")
    for how in ("user-random", "kfold"):
        all_users = np.array(codes(read(table, roles), how))
        last = np.array(codes(read(table.slice(100), roles), how))
        np.testing.assert_array_equal(all_users[:, 100:], last)


def test_masks_are_the_codes():
    part = split(log_of([5, 5]), "user-time", seed=0)[0]
    for mask, value in ((part.train, TRAIN), (part.tune, TUNE), (part.test, TEST)):
        np.testing.assert_array_equal(mask, part.code == value)
    assert part.code.dtype == np.int8


@pytest.mark.parametrize("how", NEED_TIME)
def test_splits_by_time_need_times(how):
    log = read(pa.table({"user": [1, 1, 2], "y": [0, 1, 0]}), Roles("user", "y"))
    with pytest.raises(SettingsError, match="needs times; give --time"):
        split(log, how, seed=0)


@pytest.mark.parametrize("given", [{"test": 1.0}, {"tune": -0.1}, {"folds": 1}, {"last": 0}, {"how": "odd"}])
def test_settings_out_of_range(given):
    with pytest.raises(SettingsError):
        split(log_of([5]), **{"how": "user-time", "seed": 0, **given})


def test_no_test_rows_is_an_error():
    with pytest.raises(DataError, match="leaves no test rows of 2"):
        split(log_of([1, 1]), "user-time", seed=0)
