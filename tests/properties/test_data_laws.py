"""Laws of the data door on generated logs."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.data.features import FeatureMap
from headstart.data.log import EventLog, read
from headstart.data.roles import FeatureSettings, Roles
from headstart.data.split import SPLITS, split
from headstart.data.vocab import Vocabulary, keys
from headstart.errors import DataError

INTS = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=30).map(lambda v: pa.array(v, pa.int64()))
UINTS = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=30).map(lambda v: pa.array(v, pa.uint64()))
TEXTS = st.lists(st.text(st.characters(codec="utf-8"), max_size=6), min_size=1, max_size=30).map(pa.array)
IDS = st.one_of(INTS, UINTS, TEXTS)


@given(IDS)
@settings(max_examples=40, deadline=None)
def test_users_of_all_types_are_sorted_once_and_found_again(ids):
    values = ids.to_pylist()
    table = pa.table({"user": ids, "y": [k % 2 for k in range(len(values))]})
    log = read(table, Roles("user", "y"), trainable=False, threads=1)
    expected = sorted(set(values), key=lambda v: v.encode() if isinstance(v, str) else v)
    assert log.users.to_pylist() == expected == Vocabulary.of(ids).ids.to_pylist()
    vocabulary = Vocabulary(log.users)
    np.testing.assert_array_equal(vocabulary.index(ids)[log.row], log.user_of_row)
    assert [vocabulary.index_one(v) for v in expected] == list(range(len(expected)))
    assert len(set(keys(log.users).tolist())) == len(expected)
    order = sorted(range(len(values)), key=lambda k: (expected.index(values[k]), k))
    assert log.row.tolist() == order


@st.composite
def logs(draw, lists=False):
    """A log as `read` makes it, but without a database: splits look at these fields only."""
    n = draw(st.integers(4, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    time = rng.integers(0, draw(st.sampled_from([2, 5, 1000])), n)
    user = rng.integers(0, draw(st.integers(2, 8)), n)
    order = np.lexsort((time, user))
    users, counts = np.unique(user, return_counts=True)
    stop = np.cumsum(counts)
    pairs = np.unique(user * 4 + rng.integers(0, 4, n), return_inverse=True)[1] if lists else np.empty(0, int)
    return EventLog(
        Roles("user", "y", time="t", list="l" if lists else None),
        pa.table({}),
        pa.array(users),
        stop - counts,
        stop,
        order,
        time=time[order],
        list=pairs[order] if lists else pairs,
    )


def divided(log, how, seed, test, tune):
    try:
        return split(log, how, seed=seed, test=test, tune=tune, folds=3)
    except DataError:
        return []  # too few users, moments or rows, said in words


@given(st.booleans().flatmap(lambda lists: logs(lists)), st.sampled_from(sorted(SPLITS)), st.integers(0, 99),
       st.sampled_from([0.1, 0.2, 0.5]), st.sampled_from([0.0, 0.2, 0.5]))  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_every_row_has_one_part_and_lists_are_whole(log, how, seed, test, tune):
    parts = divided(log, how, seed, test, tune)
    for part in parts:
        assert len(part.code) == len(log)
        assert (part.train.astype(int) + part.tune + part.test == 1).all()
        assert tune > 0 or how == "kfold" or not part.tune.any()
        if len(log.list):
            assert all(len(set(part.code[log.list == code])) == 1 for code in set(log.list))
        if how in ("user-time", "user-random", "last-k"):
            for first, last in zip(log.start, log.stop, strict=True):
                assert part.train[first:last].any()
    if how == "kfold" and parts:
        assert (np.sum([part.test for part in parts], 0) == 1).all()


@given(logs(), st.integers(0, 9), st.sampled_from([0.1, 0.3]), st.sampled_from([0.0, 0.3]))
@settings(max_examples=50, deadline=None)
def test_splits_by_time_never_train_on_what_comes_later(log, seed, test, tune):
    def ordered(part, rows):
        groups = [log.time[rows][mask[rows]] for mask in (part.train, part.tune, part.test)]
        groups = [times for times in groups if len(times)]
        return [(a.max(), b.min()) for a, b in pairwise(groups)]

    for part in divided(log, "time", seed, test, tune):
        assert all(before < after for before, after in ordered(part, slice(None)))
    for how in ("user-time", "last-k"):
        for part in divided(log, how, seed, test, tune):
            for first, last in zip(log.start, log.stop, strict=True):
                assert all(before <= after for before, after in ordered(part, slice(first, last)))


@given(st.integers(0, 10_000), st.integers(0, 59))
@settings(max_examples=40, deadline=None)
def test_no_label_of_a_user_and_no_test_label_reaches_a_feature(seed, changed):
    rng = np.random.default_rng(seed)
    columns = {
        "user": rng.integers(0, 8, 60),
        "t": rng.permutation(60),
        "item": rng.integers(0, 5, 60),
        "y": rng.integers(0, 2, 60),
    }
    roles, feature_settings = Roles("user", "y", time="t", item="item"), FeatureSettings(item_statistics=True)

    def features(table):
        log = read(pa.table(table), roles, trainable=False, threads=1)
        part = split(log, "user-time", seed=0)[0]
        return log, part, FeatureMap.fit(log.take(part.train), feature_settings).transform(log)[0]

    log, part, before = features(columns)
    label = columns["y"].copy()
    label[changed] = 1 - label[changed]
    after = features({**columns, "y": label})[2]
    own = columns["user"][log.row] == columns["user"][changed]
    np.testing.assert_array_equal(before[own], after[own])
    if not part.train[log.row == changed]:
        np.testing.assert_array_equal(before, after)
