"""What every model family promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from headstart.data.blocks import EMPTY, Blocks
from headstart.models.family import SHARED, ModelFamily, Orders, Personal, Ragged, State, take_users
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
    MANY : users for the comparison of threads: as many as make threads worth while
    """

    TICKS = 40
    STEPS = 20
    MANY = 3000
    GLOBAL_GAIN = 0.05
    PERSONAL_GAIN = 0.05

    @abstractmethod
    def make(self) -> ModelFamily:
        """A family with its default hyper-parameters."""

    def data(self, users: int = 12) -> Blocks:
        """Labelled events of `users` users with weights and offsets; the first has none. Override for other rows."""
        return toy_blocks(users)

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
            seed=np.arange(users, dtype=np.uint64),
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
        copies = [{name: array.copy() for name, array in kept[0].items()}]
        for _ in range(3):
            run = family.step(run, prep)
            kept.append(family.state(run))
            copies.append({name: array.copy() for name, array in kept[-1].items()})
        path = train_path(family, data, 3)
        for tick, (state, copy) in enumerate(zip(kept, copies, strict=True)):
            assert _same(state, copy), tick
            assert _same(_own(state), _own(path.at(tick))), tick
            assert _same(_shared(path.at(tick)), _shared(path.end())), tick

    def test_a_longer_training_begins_with_the_shorter_one(self) -> None:
        """Bit for bit: what a tick does is not a matter of how many are planned."""
        family, data = self.make(), self.data()
        short, long = train_path(family, data, 3), train_path(family, data, 8)
        assert all(_same(_own(short.at(tick)), _own(long.at(tick))) for tick in range(4))
        assert _same(_shared(short.end()), _shared(long.until(3, 3).end()))

    def test_global_training_is_the_same_for_any_number_of_threads(self) -> None:
        """Bit for bit, on enough rows for threads to be worth while."""
        family, data = self.make(), self.data(self.MANY)
        one = train_path(family, data, 3, threads=1)
        for threads in (2, 3):
            assert _same(one.states, train_path(family, data, 3, threads=threads).states), threads

    def test_global_training_sees_rows_that_somebody_owns(self) -> None:
        """Labels of other rows, and of rows of weight 0, make no difference; those of its own rows do."""
        family, data = self.make(), self.data()
        half = data.select(np.arange(0, len(data), 2))
        hidden = np.ones(len(data.label), np.bool_)
        hidden[half.rows()] = False
        weight = np.where(np.arange(len(data.label)) % 5 == 0, np.float32(0), data.weight)
        paths = [
            train_path(family, replace(half, label=_flip(data.label, where), weight=weight), 5).states
            for where in (np.zeros_like(hidden), hidden | (weight == 0), ~hidden & (weight > 0))
        ]
        assert _same(paths[0], paths[1])
        assert not _same(paths[0], paths[2])

    def test_no_steps_is_the_start(self) -> None:
        """Exactly."""
        family, data, path = self.make(), self.data(), self.path()
        start = path.at(self.TICKS // 2)
        trained = family.fit_users(start, data, self.orders(data, steps=0))
        assert not trained.failed.any()
        assert family.score(start, trained.personal, data).tobytes() == family.score(start, None, data).tobytes()

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
            some = family.fit_users(end, data.select(positions), _select(orders, positions)).personal
            assert _same(some, take_users(together, positions)), positions

    def test_orders_are_of_one_user_each(self) -> None:
        """Other users' steps, pull, rate and seed make no difference; one's own steps do."""
        family, data, end = self.make(), self.data(), self.path().end()
        orders, five = self.orders(data), np.array([5])
        others = replace(orders, **{name: value + value.dtype.type(1) for name, value in vars(orders).items()})
        for name, value in vars(others).items():
            value[5] = getattr(orders, name)[5]
        one, two = (take_users(family.fit_users(end, data, given).personal, five) for given in (orders, others))
        assert _same(one, two)
        fewer = family.fit_users(end, data, self.orders(data, steps=1)).personal
        assert not _same(one, take_users(fewer, five))

    def test_a_personal_model_sees_its_users_rows_only(self) -> None:
        """Labels of others, and of own rows of weight 0, make no difference; those of its own rows do."""
        family, data, end = self.make(), self.data(), self.path().end()
        own = np.zeros(len(data.label), np.bool_)
        own[data.start[5] : data.stop[5]] = True
        weight = np.where(np.arange(len(own)) % 5 == 0, np.float32(0), data.weight)
        models = []
        for where in (np.zeros_like(own), ~own | (weight == 0), own & (weight > 0)):
            shard = replace(data, label=_flip(data.label, where), weight=weight)
            models.append(take_users(family.fit_users(end, shard, self.orders(data)).personal, np.array([5])))
        assert _same(models[0], models[1])
        assert not _same(models[0], models[2])

    def test_a_score_does_not_depend_on_the_batch(self) -> None:
        """Bit for bit."""
        family, data, end = self.make(), self.data(), self.path().end()
        personal = family.fit_users(end, data, self.orders(data)).personal
        for models in (personal, None):
            every = np.zeros(len(data.label), np.float32)
            every[data.rows()] = family.score(end, models, data)
            for user in range(len(data)):
                view = data.select(np.array([user]))
                own = None if models is None else take_users(models, np.array([user]))
                assert family.score(end, own, view).tobytes() == every[view.rows()].tobytes()

    def test_scores_need_no_labels_and_add_offsets(self) -> None:
        """As when events are still to come; an offset shifts a margin by as much."""
        family, data, end = self.make(), self.data(), self.path().end()
        personal = family.fit_users(end, data, self.orders(data)).personal
        bare = replace(data, label=EMPTY, weight=EMPTY, offset=EMPTY)
        for models in (personal, None):
            margins = family.score(end, models, data)
            assert margins.dtype == np.float32
            shift = margins - family.score(end, models, bare)
            assert np.allclose(shift, data.offset[data.rows()], rtol=0, atol=1e-5)

    def test_users_without_rows_keep_the_start(self) -> None:
        """And do not fail: their scores are the global model's."""
        family, data, end = self.make(), self.data(), self.path().end()
        trained = family.fit_users(end, data, self.orders(data))
        empty = np.flatnonzero(data.counts == 0)
        assert len(empty)
        assert not trained.failed[empty].any()
        view = replace(data.select(empty[:1]), start=data.start[5:6], stop=data.stop[5:6])
        alike = family.score(end, take_users(trained.personal, empty[:1]), view)
        assert np.allclose(alike, family.score(end, None, view), rtol=0, atol=1e-6)

    def test_weights_have_names(self) -> None:
        """One value a name, for the global model and for each user."""
        family, data, end = self.make(), self.data(), self.path().end()
        names = [f"x{column}" for column in range(data.width)]
        shown, shared = family.weights(end, None, names)
        assert shared.shape == (1, len(shown))
        personal = family.fit_users(end, data, self.orders(data)).personal
        shown, own = family.weights(end, personal, names)
        assert own.shape == (len(data), len(shown))


def _own(state: State) -> State:
    """What is of the tick."""
    return {name: array for name, array in state.items() if not name.startswith(SHARED)}


def _shared(state: State) -> State:
    """What is of the end of the path."""
    return {name: array for name, array in state.items() if name.startswith(SHARED)}


def _flip(label: NDArray[np.float32], where: NDArray[np.bool_]) -> NDArray[np.float32]:
    return np.where(where, 1 - label, label).astype(np.float32)


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two states, or two sets of personal models, are equal bit for bit."""
    return one.keys() == other.keys() and all(_bits(one[name]) == _bits(other[name]) for name in one)


def _bits(column: NDArray[Any] | Ragged) -> tuple[bytes, ...]:
    parts = (column.values, column.indptr) if isinstance(column, Ragged) else (column,)
    return tuple(part.tobytes() for part in parts)


def _select(orders: Orders, positions: NDArray[np.int64]) -> Orders:
    return Orders(
        steps=orders.steps[positions],
        pull=orders.pull[positions],
        rate=orders.rate[positions],
        seed=orders.seed[positions],
    )
