"""What every model family promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from headstart.data.blocks import Blocks
from headstart.models.family import ModelFamily, Orders, Personal, State, take_users
from headstart.path import GlobalPath
from headstart.testing.toys import toy_blocks
from headstart.training import train_path


class FamilyContract(ABC):
    """Subclass, and give `make`.

    Attributes
    ----------
    TICKS : ticks of global training
    STEPS : local steps
    GLOBAL_GAIN : share of the untrained model's loss that global training takes away on `data`, at least
    PERSONAL_GAIN : share of the global model's loss that personal training takes away on the users' own rows, at least
    """

    TICKS = 40
    STEPS = 20
    GLOBAL_GAIN = 0.05
    PERSONAL_GAIN = 0.05

    @abstractmethod
    def make(self) -> ModelFamily:
        """A family with its default hyper-parameters."""

    def data(self) -> Blocks:
        """Events to train on; the first user has none."""
        return toy_blocks()

    def path(self) -> GlobalPath:
        """The path of global training on `data`."""
        return train_path(self.make(), self.data(), self.TICKS)

    def orders(self, data: Blocks, steps: int | None = None) -> Orders:
        """The same orders for every user; seeds of their own."""
        users = len(data)
        return Orders(
            steps=np.full(users, self.STEPS if steps is None else steps, np.int32),
            pull=np.full(users, 0.1, np.float32),
            rate=np.full(users, 0.25, np.float32),
            seed=np.array([hash(user) & 0xFFFFFFFF for user in range(users)], np.uint64),
        )

    def loss(self, start: State, personal: Personal | None, data: Blocks) -> float:
        """Weighted mean loss."""
        family = self.make()
        losses = family.loss(family.score(start, personal, data), data.label[data.rows()])
        return float(np.average(losses, weights=data.weight[data.rows()]))

    def test_it_is_hyper_parameters_only(self) -> None:
        """Two with the same settings are equal, hash alike and survive as plain values."""
        family = self.make()
        assert family == self.make()
        assert hash(family) == hash(self.make())
        assert family.name
        assert family.objective in ("logistic", "squared")
        assert msgspec.convert(msgspec.to_builtins(family), type(family)) == family

    def test_global_training_learns(self) -> None:
        """And leaves the family as it was."""
        family, path, data = self.make(), self.path(), self.data()
        assert self.loss(path.end(), None, data) < (1 - self.GLOBAL_GAIN) * self.loss(path.at(0), None, data)
        assert family == self.make()

    def test_states_are_arrays_of_their_own(self) -> None:
        """Later ticks do not change what was kept."""
        family, data = self.make(), self.data()
        prep = family.prepare(data, 0, 1)
        run = family.init(prep)
        kept = [family.state(run)]
        for _ in range(3):
            run = family.step(run, prep)
            kept.append(family.state(run))
        path = train_path(family, data, 3)
        for tick, state in enumerate(kept):
            for name, array in state.items():
                assert np.array_equal(array, path.at(tick)[name]), (tick, name)

    def test_global_training_is_the_same_for_any_number_of_threads(self) -> None:
        """Bit for bit."""
        one = train_path(self.make(), self.data(), 5, threads=1)
        three = train_path(self.make(), self.data(), 5, threads=3)
        for name, array in one.states.items():
            assert array.tobytes() == three.states[name].tobytes(), name

    def test_no_steps_is_the_start(self) -> None:
        """Exactly."""
        family, data, path = self.make(), self.data(), self.path()
        start = path.at(self.TICKS // 2)
        trained = family.fit_users(start, data, self.orders(data, steps=0))
        assert not trained.failed.any()
        assert np.array_equal(family.score(start, trained.personal, data), family.score(start, None, data))

    def test_personal_training_learns_the_users_own_rows(self) -> None:
        """From the end of the path."""
        family, data, end = self.make(), self.data(), self.path().end()
        trained = family.fit_users(end, data, self.orders(data))
        assert not trained.failed.any()
        before, after = self.loss(end, None, data), self.loss(end, trained.personal, data)
        assert after < (1 - self.PERSONAL_GAIN) * before

    def test_a_model_does_not_depend_on_who_else_is_in_the_shard(self) -> None:
        """Bit for bit: alone, in any order, all together."""
        family, data, end = self.make(), self.data(), self.path().end()
        orders = self.orders(data)
        together = family.fit_users(end, data, orders).personal
        for positions in (np.array([4]), np.array([7, 2, 9]), np.arange(len(data))[::-1].copy()):
            view = data.select(positions)
            some = family.fit_users(end, view, _select(orders, positions)).personal
            expected = family.score(end, take_users(together, positions), view)
            assert np.array_equal(family.score(end, some, view), expected)

    def test_other_users_labels_make_no_difference(self) -> None:
        """A personal model sees its user's rows only."""
        family, data, end = self.make(), self.data(), self.path().end()
        label = data.label.copy()
        own = slice(data.start[5], data.stop[5])
        label[: own.start], label[own.stop :] = 1 - label[: own.start], 1 - label[own.stop :]
        five = np.array([5])
        orders = self.orders(data)
        one = take_users(family.fit_users(end, data, orders).personal, five)
        two = take_users(family.fit_users(end, replace(data, label=label), orders).personal, five)
        view = data.select(five)
        assert np.array_equal(family.score(end, one, view), family.score(end, two, view))

    def test_a_score_does_not_depend_on_the_batch(self) -> None:
        """Bit for bit."""
        family, data, end = self.make(), self.data(), self.path().end()
        personal = family.fit_users(end, data, self.orders(data)).personal
        every = np.zeros(len(data.label), np.float32)
        every[data.rows()] = family.score(end, personal, data)
        for user in range(len(data)):
            one = np.array([user])
            view = data.select(one)
            assert np.array_equal(family.score(end, take_users(personal, one), view), every[view.rows()])

    def test_users_without_rows_keep_the_start(self) -> None:
        """And do not fail."""
        family, data, end = self.make(), self.data(), self.path().end()
        trained = family.fit_users(end, data, self.orders(data))
        empty = int(np.flatnonzero(data.counts == 0)[0])
        assert not trained.failed[empty]

    def test_weights_have_names(self) -> None:
        """One value a name, for the global model and for each user."""
        family, data, end = self.make(), self.data(), self.path().end()
        names = [f"x{column}" for column in range(data.width)]
        shown, shared = family.weights(end, None, names)
        assert shared.shape == (1, len(shown))
        personal = family.fit_users(end, data, self.orders(data)).personal
        shown, own = family.weights(end, personal, names)
        assert own.shape == (len(data), len(shown))


def _select(orders: Orders, positions: NDArray[np.int64]) -> Orders:
    return Orders(
        steps=orders.steps[positions],
        pull=orders.pull[positions],
        rate=orders.rate[positions],
        seed=orders.seed[positions],
    )
