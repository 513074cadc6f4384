"""Matrix factorisation keeps the family contract, whatever its settings."""

from dataclasses import replace

import numpy as np
import pytest

from headstart.models.mf import MatrixFactorization, descent
from headstart.testing.family import FamilyContract
from headstart.testing.toys import toy_blocks


@pytest.fixture(autouse=True)
def threads_at_any_size(monkeypatch):
    """The contract's rows are too few for threads to be worth while; what they do is the same."""
    monkeypatch.setattr(descent, "WORTH_THREADS", 0)


def ratings(users=12):
    """The toy's rows with ratings from 1 to 5: planted biases and two factors, and tastes of each user."""
    blocks, rng = toy_blocks(users), np.random.default_rng(5)
    owner = np.repeat(np.arange(users), blocks.counts)
    side = rng.normal(0, 1, (users, 3)), rng.normal(0, 0.6, (9, 3))
    label = (
        3 + side[0][owner, 0] + side[1][blocks.item, 0] + (side[0][owner, 1:] * side[1][blocks.item, 1:]).sum(axis=1)
    )
    label = np.clip(label + rng.normal(0, 0.3, len(label)), 1, 5).astype(np.float32)
    return replace(blocks, features=np.zeros((len(label), 0), np.float32), label=label)


class TestDefaults(FamilyContract):
    """Global training has each user's own objective in it, so that little is left to gain at its end."""

    GLOBAL_GAIN = 0.3
    PERSONAL_GAIN = 0.001

    def make(self):
        return MatrixFactorization()

    def data(self, users=12):
        return ratings(users)


class TestJoint(TestDefaults):
    def make(self):
        return MatrixFactorization(joint=0.01)


class TestAlone(TestDefaults):
    def make(self):
        return MatrixFactorization(alone=True)

    def test_personal_training_learns_the_users_own_rows(self):
        """From nothing, as nothing shared is read: the loss to be below is that of the mean rating, not of the path."""
        family, data, end = self.make(), self.data(), self.path().end()
        trained = family.fit_users(end, data, self.orders(data))
        assert not trained.failed.any()
        losses = family.loss(end["mu"] + data.offset[data.rows()], data.label[data.rows()])
        mean = np.average(losses, weights=data.weight[data.rows()])
        assert self.loss(end, trained.personal, data) < 0.9 * mean


class TestNoPenalty(TestDefaults):
    def make(self):
        return MatrixFactorization(factors=5, l2=0.0, row_l2=0.0, bias_l2=0.0)
