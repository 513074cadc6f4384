"""Gradient boosting keeps the family contract, whatever its rows and settings."""

from dataclasses import replace

import numpy as np

from headstart.models.gbdt import GradientBoosting
from headstart.testing.family import FamilyContract
from headstart.testing.toys import toy_blocks


class TestDense(FamilyContract):
    PERSONAL_GAIN = 0.01

    def make(self):
        return GradientBoosting()


class TestSparse(FamilyContract):
    PERSONAL_GAIN = 0.01

    def make(self):
        return GradientBoosting()

    def data(self, users=12):
        return toy_blocks(users, width=20, sparse=True)


class TestFewFeatures(FamilyContract):
    """Each tree draws its features anew."""

    PERSONAL_GAIN = 0.01

    def make(self):
        return GradientBoosting(feature_fraction=0.5, own_leaves=3, l2=1.0)


class TestSquared(FamilyContract):
    PERSONAL_GAIN = 0.01

    def make(self):
        return GradientBoosting(objective="squared")

    def data(self, users=12):
        blocks = toy_blocks(users)
        return replace(blocks, label=(4 * blocks.label + blocks.features[:, 0]).astype(np.float32))
