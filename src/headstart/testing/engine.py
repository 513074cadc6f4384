"""What every engine promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import pytest

from headstart.engines import Engine
from headstart.errors import DataError, WorkError


def _scale(shared: int, item: int) -> int:
    return shared * item


def _explode_at_three(shared: int, item: int) -> int:
    if item == 3:
        raise ZeroDivisionError("three")
    return item


def _refuse(shared: int, item: int) -> int:
    raise DataError("column 'x' is missing")


class EngineContract(ABC):
    """Subclass, and give `make`."""

    @abstractmethod
    def make(self) -> Engine:
        """An engine, ready to work."""

    def test_every_item_comes_back_once_with_its_result(self) -> None:
        """In any order."""
        results = dict(self.make().map(_scale, 10, range(100)))
        assert results == {item: 10 * item for item in range(100)}

    def test_nothing_to_do(self) -> None:
        """No items, no results."""
        assert list(self.make().map(_scale, 1, [])) == []

    def test_it_can_be_used_again(self) -> None:
        """Also after a failure."""
        engine = self.make()
        with pytest.raises(WorkError):
            list(engine.map(_explode_at_three, 0, range(5)))
        assert dict(engine.map(_scale, 2, [1])) == {1: 2}

    def test_a_failure_says_who_which_stage_and_what(self) -> None:
        """And carries its cause."""
        with pytest.raises(WorkError, match=r"explode at three failed at 3: ZeroDivisionError: three") as caught:
            list(self.make().map(_explode_at_three, 0, range(1000)))
        assert isinstance(caught.value.__cause__, ZeroDivisionError)

    def test_bad_input_is_reported_as_such(self) -> None:
        """A user's mistake is not dressed up as a failure of the work."""
        with pytest.raises(DataError, match="column 'x' is missing"):
            list(self.make().map(_refuse, 0, [1]))

    def test_items_are_taken_as_they_are_needed(self) -> None:
        """An endless stream of items may be abandoned."""
        engine = self.make()
        taken = []

        def endless() -> Iterator[int]:
            item = 0
            while True:
                taken.append(item)
                yield item
                item += 1

        results = engine.map(_scale, 1, endless())
        next(results)
        results.close()  # type: ignore[attr-defined]
        assert len(taken) <= 8 * engine.width

    def test_width_is_positive(self) -> None:
        """At least one item at once."""
        assert self.make().width >= 1
