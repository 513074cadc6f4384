"""Laws of personal logistic models, for any small log."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from headstart.data.blocks import Blocks
from headstart.models.family import Orders
from headstart.models.logistic import LogisticRegression, expand


@st.composite
def users(draw):
    """One user's dense rows, of any scale, sparsity and rank, with weights and offsets."""
    n, d = draw(st.integers(1, 40)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    rank, share, spread = (draw(s) for s in (st.integers(1, d), st.sampled_from([0.1, 0.5, 1]), st.integers(0, 2)))
    x = rng.standard_normal((n, rank)) @ rng.standard_normal((rank, d))
    x = x * (rng.random((n, d)) < share) * np.exp(rng.normal(0, spread, d))
    label = (rng.random(n) < 0.5).astype(np.float32)
    weight, offset = rng.uniform(0, 3, n).astype(np.float32), rng.normal(0, 2, n).astype(np.float32)
    ends = np.array([n])
    data = Blocks(np.ascontiguousarray(x, np.float32), pa.array(["u"]), ends - n, ends, label, weight, offset)
    start = {"coef": rng.standard_normal(d).astype(np.float32), "intercept": rng.standard_normal(1).astype(np.float32)}
    return data, start


def objective(family, data, start, personal, pull):
    """The user's own objective, in float64."""
    coef, intercept = expand(start, personal)[0].astype(float), float(personal["intercept"][0])
    margin = data.features.astype(float) @ coef + intercept + data.offset
    loss = data.weight.astype(float) @ (np.logaddexp(0, margin) - data.label * margin)
    moved = np.append(coef - start["coef"], intercept - start["intercept"][0])
    return loss + family.l2 / 2 * coef @ coef + pull / 2 * moved @ moved


def fit(family, data, start, steps, pull, rate):
    kinds = ((steps, np.int32), (pull, np.float32), (rate, np.float32), (0, np.uint64))
    return family.fit_users(start, data, Orders(*(np.full(len(data), value, kind) for value, kind in kinds)))


@pytest.mark.parametrize("rate", [0.25, 1.0])
@given(user=users(), l2=st.sampled_from([0.0, 0.1, 5.0]), pull=st.sampled_from([0.0, 1.0, 50.0]))
@settings(max_examples=60, deadline=None)
def test_every_step_lowers_the_objective(rate, user, l2, pull):
    data, start = user
    family = LogisticRegression(l2=l2)
    before = np.inf
    for steps in (0, 1, 2, 3, 5, 10, 30):
        trained = fit(family, data, start, steps, pull, rate)
        assert not trained.failed.any()
        now = objective(family, data, start, trained.personal, pull)
        assert now <= before + 1e-5 * (1 + abs(now))
        before = now


@given(user=users(), steps=st.integers(0, 40), pull=st.sampled_from([0.0, 2.0]))
@settings(max_examples=60, deadline=None)
def test_dense_and_csr_rows_train_the_same_model(user, steps, pull):
    data, start = user
    family = LogisticRegression(l2=0.5)
    sparse = Blocks(csr_array(data.features), data.users, data.start, data.stop, data.label, data.weight, data.offset)
    one, other = fit(family, data, start, steps, pull, 1.0), fit(family, sparse, start, steps, pull, 1.0)
    np.testing.assert_allclose(expand(start, one.personal), expand(start, other.personal), rtol=1e-3, atol=2e-4)
    np.testing.assert_allclose(one.personal["intercept"], other.personal["intercept"], rtol=1e-3, atol=2e-4)


@given(user=users(), pull=st.floats(0, 100))
@settings(max_examples=40, deadline=None)
def test_a_stronger_pull_stays_nearer_to_the_start(user, pull):
    data, start = user
    family = LogisticRegression(l2=0.5)

    def distance(strength):
        personal = fit(family, data, start, 2000, strength, 1.0).personal
        return np.linalg.norm(
            np.append(expand(start, personal)[0] - start["coef"], personal["intercept"] - start["intercept"])
        )

    assert distance(pull + 10) <= distance(pull) * (1 + 1e-3) + 1e-4
