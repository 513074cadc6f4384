"""Logistic regression keeps the family contract, whatever its rows and settings."""

from headstart.models.logistic import LogisticRegression
from headstart.testing.family import FamilyContract
from headstart.testing.toys import toy_blocks


class TestDense(FamilyContract):
    def make(self):
        return LogisticRegression()


class TestSparse(FamilyContract):
    def make(self):
        return LogisticRegression()

    def data(self, users=12):
        return toy_blocks(users, width=20, sparse=True)


class TestMomentum(FamilyContract):
    def make(self):
        return LogisticRegression(momentum=True)


class TestNoPenalty(FamilyContract):
    """Without L2 a user of one event has no optimum; a given number of steps is finite all the same."""

    def make(self):
        return LogisticRegression(l2=0.0)


class TestNoPenaltySparse(FamilyContract):
    def make(self):
        return LogisticRegression(l2=0.0, momentum=True)

    def data(self, users=12):
        return toy_blocks(users, width=20, sparse=True)
