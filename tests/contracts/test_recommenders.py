"""Families that score every item before there is an event keep the contract of recommenders."""

from dataclasses import replace

import numpy as np

from headstart.models.fm import FactorizationMachine
from headstart.models.mf import MatrixFactorization
from headstart.testing.recommender import RecommenderContract
from headstart.testing.toys import toy_blocks


def ratings():
    """The toy's rows without features, rated from 1 to 5."""
    blocks, rng = toy_blocks(), np.random.default_rng(5)
    rating = np.clip(3 + rng.normal(0, 1.2, len(blocks.label)), 1, 5).astype(np.float32)
    return replace(blocks, features=np.zeros((len(rating), 0), np.float32), label=rating)


class TestMatrixFactorization(RecommenderContract):
    def make(self):
        return MatrixFactorization(factors=6)

    def data(self):
        return ratings()


class TestSquaredMachine(RecommenderContract):
    def make(self):
        return FactorizationMachine("squared", factors=5)

    def data(self):
        return ratings()


class TestOwnItems(TestSquaredMachine):
    def make(self):
        return FactorizationMachine("squared", factors=5, personal_items=True)


class TestOwnFactors(TestSquaredMachine):
    def make(self):
        return FactorizationMachine("squared", factors=5, personal_items=True, personal_factors=True)


class TestLogisticMachine(RecommenderContract):
    def make(self):
        return FactorizationMachine()

    def data(self):
        blocks = toy_blocks()
        return replace(blocks, features=blocks.features[:, :0].copy())
