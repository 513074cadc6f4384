"""Scaled matrices, and equal rows made one."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.preprocessing import StandardScaler

from headstart.data.log import read
from headstart.data.matrix import MatrixMap, Sample, blocks_by_user
from headstart.data.roles import Roles
from headstart.errors import ModelError

NAMES = ("a", "b", "c")


@pytest.fixture
def matrix():
    return np.random.default_rng(0).normal(size=(500, 3)) * [1, 1e-9, 1e6] + [0, 1e-7, -1e7]


@pytest.fixture
def weight():
    return np.random.default_rng(1).integers(0, 4, 500).astype(float)


def test_dense_columns_are_standardised_as_scikit_learn_does_it(matrix, weight):
    peer = StandardScaler().fit(matrix, sample_weight=weight)
    found = MatrixMap.fit(matrix, weight, NAMES)
    np.testing.assert_allclose(found.mean, peer.mean_, rtol=1e-12)
    np.testing.assert_allclose(found.scale, peer.scale_, rtol=1e-9)
    np.testing.assert_allclose(found.apply(matrix), peer.transform(matrix), rtol=1e-5, atol=1e-5)


def test_portions_of_rows_make_no_difference_but_rounding(matrix, weight, monkeypatch):
    whole = MatrixMap.fit(matrix, weight, NAMES)
    monkeypatch.setattr("headstart.data.matrix._AT_ONCE", 100)
    cut = MatrixMap.fit(matrix, weight, NAMES)
    np.testing.assert_allclose(cut.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(cut.scale, whole.scale, rtol=1e-12)
    one_by_one = np.vstack([whole.apply(matrix[k : k + 1]) for k in range(len(matrix))])
    assert np.array_equal(whole.apply(matrix), one_by_one)


def test_sparse_columns_keep_their_zeros_and_indicators(weight):
    dense = np.zeros((500, 3))
    dense[::2, 0], dense[::5, 1] = 1.0, np.arange(100) - 20.0
    found = MatrixMap.fit(csr_array(dense), weight, NAMES)
    filled = dense[:, 1] != 0
    spread = np.sqrt(np.average(dense[filled, 1] ** 2, weights=weight[filled]))
    np.testing.assert_allclose(found.scale, [1.0, spread, 1.0], rtol=1e-12)
    features = found.apply(csr_array(dense))
    assert (features.data.dtype, features.indices.dtype, features.indptr.dtype) == (np.float32, np.int32, np.int64)
    np.testing.assert_allclose(features.toarray(), dense / found.scale, rtol=1e-6)
    assert np.array_equal(found.apply(dense).toarray(), features.toarray())


@pytest.mark.parametrize("sparse", [False, True])
def test_columns_without_spread_and_extreme_numbers(sparse):
    X = np.column_stack([np.full(4, 0.1), np.zeros(4), [1e300, -1e300, 1e300, 1e300]])
    found = MatrixMap.fit(csr_array(X) if sparse else X, np.ones(4), NAMES)
    assert np.isfinite(found.scale).all()
    assert (found.scale > 0).all()
    features = found.apply(np.array([[1e308, 1e308, -1e308]]))
    features = features.toarray() if sparse else features
    assert np.isfinite(features).all()


@pytest.mark.parametrize("sparse", [False, True])
def test_json_gives_the_same_map_to_the_last_bit(matrix, weight, sparse):
    made = MatrixMap.fit(csr_array(matrix) if sparse else matrix, weight, NAMES)
    again = MatrixMap.from_json(json.loads(json.dumps(made.to_json())))
    assert again.columns == NAMES
    assert again.sparse == sparse
    assert np.array_equal(again.mean, made.mean)
    assert np.array_equal(again.scale, made.scale)


@pytest.mark.parametrize(
    "change", [{"version": 2}, {"format": "other"}, {"mean": [0.0]}, {"scale": ["x", "y", "z"]}, {"columns": None}]
)
def test_damaged_json_is_told(matrix, weight, change):
    fields = MatrixMap.fit(matrix, weight, NAMES).to_json() | change
    with pytest.raises(ModelError, match="train the model again"):
        MatrixMap.from_json(fields)


@pytest.mark.parametrize("sparse", [False, True])
def test_the_columns_of_a_log_give_the_same_features(matrix, weight, sparse):
    made = MatrixMap.fit(csr_array(matrix) if sparse else matrix, weight, NAMES)
    table = pa.table({"user": np.arange(500) % 7, **{name: matrix[:, k] for k, name in enumerate(NAMES)}})
    log = read(table, Roles(user="user"), labelled=False)
    features, report = made.transform(log)
    want = made.apply(matrix)
    if sparse:
        features, want = features.toarray(), want.toarray()
    assert np.array_equal(features, want[log.row])
    assert made.names() == list(NAMES)
    lacking = read(table.drop_columns("b"), Roles(user="user"), labelled=False)
    assert made.transform(lacking)[1].absent == {"b": 500}
    assert report.counts() == {}


ROWS = st.lists(st.tuples(*[st.integers(0, 1)] * 4, st.integers(0, 3)), min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, sparse=st.booleans(), turn=st.randoms())
def test_weights_are_repetition_and_order_is_nothing(rows, sparse, turn):
    table = np.array(rows, float)
    again = table.repeat(table[:, 4].astype(int), axis=0)
    turn.shuffle(order := list(range(len(again))))

    def sample(table, weight):
        X = csr_array(table[:, :2]) if sparse else table[:, :2]
        made = Sample.of(X, pa.array(table[:, 2].astype(int)), table[:, 3].astype(np.float32), weight)
        return made, (X.toarray() if sparse else X)[made.rows]

    (one, X_one), (two, X_two) = sample(table, table[:, 4]), sample(again[order], np.ones(len(again)))
    assert np.array_equal(X_one, X_two)
    assert np.array_equal(one.label, two.label)
    assert np.array_equal(one.weight, two.weight)
    present = one.users.filter(pa.array(one.events > 0))
    assert present.equals(two.users)
    assert np.array_equal(one.stop[one.events > 0], two.stop)
    user = np.repeat(np.arange(len(one.users)), one.stop - one.start)
    assert len(np.unique(np.c_[X_one, user, one.label], axis=0)) == len(X_one)
    assert one.weight.sum() == len(again) == two.events.sum()


def test_rows_with_one_hash_that_differ_stay_apart(monkeypatch):
    monkeypatch.setattr("headstart.data.matrix.absorb", lambda state, values: state.fill(0))
    X = np.arange(6.0).reshape(6, 1) // 2
    made = Sample.of(X, pa.array([0] * 6), np.zeros(6, np.float32), np.ones(6))
    assert made.weight.tolist() == [2, 2, 2]


@pytest.mark.parametrize("sparse", [False, True])
def test_rows_for_scoring_keep_their_place(matrix, sparse):
    users = pa.array((np.arange(500) * 7919 % 13).astype(str))
    features = MatrixMap.fit(csr_array(matrix) if sparse else matrix, np.ones(500), NAMES).apply(matrix)
    blocks, order = blocks_by_user(features, users)
    assert users.take(pa.array(order)).equals(blocks.users.take(pa.array(np.repeat(np.arange(13), blocks.counts))))
    found = blocks.features.toarray() if sparse else blocks.features
    assert np.array_equal(found, (features.toarray() if sparse else features)[order])
