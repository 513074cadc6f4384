"""The laws of mergeable statistics: zero is neutral, merging is associative and commutative, parts tell the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.evaluation.statistics import Mean, Moments, Sum

values = st.lists(st.floats(-1e6, 1e6), max_size=8)
weighted = st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0.0, 100.0)), max_size=8)


def sums(data):
    return Sum.of(data)


def means(data):
    return Mean.of([value for value, _ in data], [weight for _, weight in data])


def moments(data):
    return Moments.of(data)


CASES = [(sums, values), (means, weighted), (moments, values)]


def close(a, b, scale=1e-6):
    """Equal up to rounding; m2 is of the order of squares."""
    for name in vars(a):
        assert getattr(a, name) == pytest.approx(getattr(b, name), rel=1e-9, abs=1e3 if name == "m2" else scale)


@pytest.mark.parametrize(("of", "observations"), CASES)
@given(data=st.data())
def test_laws(of, observations, data):
    a, b, c = (data.draw(observations) for _ in range(3))
    x, y, z = of(a), of(b), of(c)
    zero = type(x).zero()
    close(zero.merge(x), x)
    close(x.merge(zero), x)
    close(x.merge(y), y.merge(x))
    close(x.merge(y).merge(z), x.merge(y.merge(z)))
    close(x.merge(y), of(a + b))


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=12), st.integers(0, 12))
def test_moments_of_parts(data, cut):
    merged = Moments.of(data[:cut]).merge(Moments.of(data[cut:]))
    assert merged.result() == pytest.approx(np.mean(data), abs=1e-12)
    expected = np.var(data, ddof=1) if len(data) > 1 else np.nan
    assert merged.variance() == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_results_of_nothing():
    assert Sum.zero().result() == 0
    assert np.isnan(Mean.zero().result())
    assert np.isnan(Moments.zero().result())
    assert np.isnan(Moments.of([3.0]).variance())


def test_nan_has_no_weight():
    assert Mean.of([1.0, np.nan, 4.0], [1.0, 5.0, 2.0]).result() == 3.0


def test_arrays_merge_entry_by_entry():
    codes, data = np.array([0, 2, 2, -1, 0]), np.array([1.0, 2.0, 4.0, 9.0, np.nan])
    whole = Mean.by(codes, data, 3)
    parts = Mean.by(codes[:2], data[:2], 3).merge(Mean.by(codes[2:], data[2:], 3))
    np.testing.assert_array_equal(whole.result(), [1.0, np.nan, 3.0])
    np.testing.assert_array_equal(parts.result(), whole.result())
    left = Moments(np.array([2.0, 0.0]), np.array([1.0, 0.0]), np.array([2.0, 0.0]))
    right = Moments(np.array([1.0, 1.0]), np.array([4.0, 5.0]), np.array([0.0, 0.0]))
    both = left.merge(right)
    np.testing.assert_allclose(both.result(), [2.0, 5.0])
    np.testing.assert_allclose(both.variance(), [4.0, np.nan])
