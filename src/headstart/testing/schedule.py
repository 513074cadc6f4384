"""What every schedule promises."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import pyarrow as pa

from headstart.schedules import Borders, Plan, Reason, Schedule, UserTable


class ScheduleContract(ABC):
    """Subclass, and give `make`.

    Attributes
    ----------
    TICKS : T that plans are made for
    """

    TICKS = 100

    @abstractmethod
    def make(self) -> Schedule:
        """A schedule with its default settings."""

    def plan(self, events: list[int], ticks: int | None = None, borders: Borders | None = None) -> Plan:
        """The plan for users 0, 1, ... with so many training rows."""
        table = UserTable(pa.array(range(len(events))), np.asarray(events, np.int64))
        return self.make().plan(table, self.TICKS if ticks is None else ticks, borders=borders)

    def test_it_is_settings_only(self) -> None:
        """Two of the same settings are equal and hash alike."""
        assert self.make() == self.make()
        assert hash(self.make()) == hash(self.make())
        assert self.make().name

    def test_ticks_and_steps_are_in_range(self) -> None:
        """0 <= t_u <= T, and steps are not negative."""
        for ticks in (1, 7, 100):
            plan = self.plan([1, 2, 3, 10, 50, 50, 1000], ticks)
            assert plan.ticks.min() >= 0
            assert plan.ticks.max() <= ticks
            assert plan.steps.min() >= 0

    def test_row_order_makes_no_difference(self) -> None:
        """A user's row depends on its events, not on where it stands."""
        events = [5, 1, 30, 2, 2, 700, 9]
        forward, backward = self.plan(events), self.plan(events[::-1])
        assert np.array_equal(forward.ticks, backward.ticks[::-1])
        assert np.array_equal(forward.steps, backward.steps[::-1])

    def test_equal_events_get_equal_plans(self) -> None:
        """Ties are never broken."""
        plan = self.plan([3, 8, 3, 8, 100])
        assert plan.ticks[0] == plan.ticks[2]
        assert plan.ticks[1] == plan.ticks[3]

    def test_users_without_rows_are_served_the_global_model(self) -> None:
        """And do not move the others' borders."""
        plan = self.plan([0, 4, 40, 400])
        assert plan.reason[0] == Reason.NO_TRAINING_ROWS
        assert plan.ticks[0] == self.TICKS
        assert plan.steps[0] == 0
        assert not plan.personal[0]
        assert np.array_equal(plan.ticks[1:], self.plan([4, 40, 400]).ticks)

    def test_all_counts_equal(self) -> None:
        """One group, no division by zero."""
        plan = self.plan([6, 6, 6])
        assert len(np.unique(plan.ticks)) == 1

    def test_nobody_and_one(self) -> None:
        """An empty table gives an empty plan."""
        assert len(self.plan([]).ticks) == 0
        assert len(self.plan([1]).ticks) == 1

    def test_saved_borders_place_new_users_alike(self) -> None:
        """A later user with as many events gets the same plan; one outside the range is moved to its nearest end."""
        events = [2, 9, 60, 300]
        borders = Borders.of(np.asarray(events, np.int64))
        first = self.plan(events)
        assert np.array_equal(self.plan([60], borders=borders).ticks, first.ticks[2:3])
        assert np.array_equal(self.plan([1, 9999], borders=borders).ticks, first.ticks[[0, 3]])

    def test_the_plan_survives_its_table(self) -> None:
        """As stored and read back."""
        plan = self.plan([0, 4, 40, 400])
        again = Plan.from_table(plan.table())
        assert again.users.equals(plan.users)
        for name in ("events", "group", "ticks", "steps", "pull", "reason"):
            assert np.array_equal(getattr(again, name), getattr(plan, name)), name
