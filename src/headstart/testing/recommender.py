"""What a family promises that scores every item before there is an event."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headstart.data.blocks import EMPTY, Blocks
from headstart.kernels.dtypes import COLUMN, REAL
from headstart.models.family import ModelFamily, Orders, Personal, Recommender, State, take_users
from headstart.training import train_path


class RecommenderContract(ABC):
    """Subclass, and give `make` and `data`.

    Attributes
    ----------
    TICKS, STEPS : of global training, and local steps
    NEAR : how far scores may be from those of events: a sum may be taken in another order
    """

    TICKS = 10
    STEPS = 5
    NEAR = 1e-5

    @abstractmethod
    def make(self) -> ModelFamily:
        """A family with its default hyper-parameters."""

    @abstractmethod
    def data(self) -> Blocks:
        """Labelled events of users and items, without features."""

    def trained(self, data: Blocks) -> tuple[State, Personal]:
        """The end of the path, and models of all users."""
        start = train_path(self.make(), data, self.TICKS).end()
        users = len(data)
        steps, pull, rate = np.full(users, self.STEPS, np.int32), np.zeros(users, REAL), np.full(users, 0.25, REAL)
        return start, self.make().fit_users(
            start, data, Orders(steps, pull, rate, np.arange(users, dtype=np.uint64))
        ).personal

    def items(self, data: Blocks) -> NDArray[np.int32]:
        """All items, and two that training did not see."""
        return np.arange(data.item.max() + 3, dtype=COLUMN)

    def score(
        self, start: State, personal: Personal | None, data: Blocks, items: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """What `score_items` says of the users of `data`."""
        family = self.make()
        assert isinstance(family, Recommender)
        return family.score_items(start, personal, data.users, family.catalogue(start, items))

    def test_items_are_scored_as_their_events_are_but_not_clipped(self) -> None:
        """With and without personal models; unknown users and items among them."""
        data = self.data()
        start, personal = self.trained(data)
        strangers = replace(data, users=pa.array([f"stranger {number:03d}" for number in range(len(data))]))
        for models, asked in ((personal, data), (None, data), (None, strangers)):
            items = self.items(data)
            scores = self.score(start, models, asked, items)
            assert scores.shape == (len(data), len(items))
            assert scores.dtype == REAL
            events = every_event(asked, items)
            margins = self.make().score(start, models, events).reshape(scores.shape)
            np.testing.assert_allclose(np.clip(scores, margins.min(), margins.max()), margins, atol=self.NEAR)

    def test_a_row_depends_on_its_user_alone(self) -> None:
        """Bit for bit; and on no other item."""
        data = self.data()
        start, personal = self.trained(data)
        items = self.items(data)
        for stride, models in ((2, None), (3, personal)):
            whole = self.score(start, models, data, items)
            some = np.arange(0, len(data), stride)[::-1]
            part = None if models is None else take_users(models, some)
            assert self.score(start, part, data.select(some), items).tobytes() == whole[some].tobytes()
            assert self.score(start, models, data, items[1::2]).tobytes() == whole[:, 1::2].tobytes()


def every_event(data: Blocks, items: NDArray[np.int32]) -> Blocks:
    """An event of each user of `data` with each of `items`."""
    users = len(data)
    stop = np.arange(1, users + 1) * len(items)
    return Blocks(
        np.zeros((users * len(items), 0), REAL), data.users, stop - len(items), stop, EMPTY, item=np.tile(items, users)
    )
