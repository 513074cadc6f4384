"""Factorisation machines keep the family contract, whatever their rows and settings."""

from dataclasses import replace

import numpy as np

from headstart.models.fm import FactorizationMachine
from headstart.testing.family import FamilyContract
from headstart.testing.toys import toy_blocks


class TestDense(FamilyContract):
    def make(self):
        return FactorizationMachine()


class TestSparse(FamilyContract):
    def make(self):
        return FactorizationMachine()

    def data(self, users=12):
        return toy_blocks(users, width=20, sparse=True)


class TestWithoutItems(FamilyContract):
    def make(self):
        return FactorizationMachine(factors=3)

    def data(self, users=12):
        return replace(toy_blocks(users), item=np.empty(0, np.int32))


class TestWithoutFeatures(FamilyContract):
    """Users and items are all there is."""

    GLOBAL_GAIN = 0.01
    PERSONAL_GAIN = 0.01

    def make(self):
        return FactorizationMachine(joint=0.01)

    def data(self, users=12):
        return toy_blocks(users, width=0)


class TestEverythingIsPersonal(FamilyContract):
    def make(self):
        return FactorizationMachine(personal_factors=True, personal_items=True)

    def data(self, users=12):
        return toy_blocks(users, width=20, sparse=True)


class TestSquared(FamilyContract):
    """Ratings of any scale; one that is lifted out of the range of training is cut there."""

    def make(self):
        return FactorizationMachine(objective="squared")

    def data(self, users=12):
        blocks = toy_blocks(users)
        return replace(blocks, label=(4 * blocks.label + blocks.features[:, 0]).astype(np.float32))


class TestSquaredPersonalFactors(FamilyContract):
    def make(self):
        return FactorizationMachine(objective="squared", personal_factors=True, own_l2=0.1)

    def data(self, users=12):
        blocks = toy_blocks(users)
        return replace(blocks, label=(4 * blocks.label + blocks.features[:, 0]).astype(np.float32))
