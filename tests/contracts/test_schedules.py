"""Every schedule keeps the contract."""

import pytest

from headstart.schedules import SCHEDULES, AsPrinted, ByAbundance, Fixed, Last
from headstart.testing.schedule import ScheduleContract


class TestByAbundance(ScheduleContract):
    def make(self):
        return ByAbundance(groups=4)


class TestAsPrinted(ScheduleContract):
    def make(self):
        return AsPrinted(groups=4)


class TestFixed(ScheduleContract):
    def make(self):
        return Fixed(0.5)


class TestLocal(ScheduleContract):
    def make(self):
        return Fixed(0)


class TestFineTune(ScheduleContract):
    def make(self):
        return Last(steps=5)


@pytest.mark.parametrize("schedule", [ByAbundance(3, 4, 0.5), AsPrinted(2), Fixed(0.25, 9), Fixed(3), Last(7)])
def test_settings_survive_their_description(schedule):
    assert SCHEDULES.build(SCHEDULES.describe(schedule)) == schedule
