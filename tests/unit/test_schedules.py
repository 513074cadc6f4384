"""The coordinator's table, against Algorithm 3.1 written down naively in rational arithmetic."""

from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.errors import SettingsError
from headstart.schedules import AsPrinted, ByAbundance, Fixed, Last, Reason, UserTable
from headstart.schedules.abundance import _floor_root


def plan(schedule, events, ticks=100):
    return schedule.plan(UserTable(pa.array(range(len(events))), np.asarray(events, np.int64)), ticks)


def at_least(n, k, low, high, groups):
    """log n >= log low + k (log high - log low) / groups, in whole numbers."""
    return Fraction(n, low) ** groups >= Fraction(high, low) ** k


def naive_printed(n, low, high, groups, ticks):
    """The loop of the listing."""
    for i in range(1, groups + 1):
        above = at_least(n, i, low, high, groups)
        below = not at_least(n, i + 1, low, high, groups) or Fraction(n, low) ** groups == Fraction(high, low) ** (
            i + 1
        )
        if above and below:
            return ticks * i // groups
    return 0


def naive_abundance(n, low, high, groups, ticks):
    if low == high:
        return ticks
    index = max(k for k in range(groups + 1) if at_least(n, k, low, high, groups))
    return ticks * (groups - min(index, groups - 1)) // groups


counts = st.lists(st.integers(1, 5000), min_size=1, max_size=12)


@settings(deadline=None)
@given(counts, st.integers(1, 12), st.integers(1, 200))
def test_as_printed_is_the_listing(events, groups, ticks):
    low, high = min(events), max(events)
    expected = [naive_printed(n, low, high, groups, ticks) for n in events]
    assert plan(AsPrinted(groups), events, ticks).ticks.tolist() == expected


@settings(deadline=None)
@given(counts, st.integers(1, 12), st.integers(1, 200))
def test_by_abundance_is_the_stated_rule(events, groups, ticks):
    low, high = min(events), max(events)
    expected = [naive_abundance(n, low, high, groups, ticks) for n in events]
    assert plan(ByAbundance(groups), events, ticks).ticks.tolist() == expected


def test_borders_are_exact_where_logarithms_round():
    # 1, 10, 100, 1000 stand exactly on the borders of three groups.
    assert plan(ByAbundance(3), [1, 9, 10, 99, 100, 1000], 90).ticks.tolist() == [90, 90, 60, 60, 30, 30]
    assert plan(AsPrinted(3), [1, 9, 10, 99, 100, 101, 1000], 90).ticks.tolist() == [0, 0, 30, 30, 30, 60, 60]


def test_least_data_takes_the_whole_path_and_most_data_the_least_of_it():
    made = plan(ByAbundance(10), [1, 10, 100, 1000])
    assert made.ticks.tolist() == [100, 70, 40, 10]
    assert made.steps.tolist() == [0, 30, 60, 90]
    assert made.group.tolist() == [1, 4, 7, 10]
    assert made.reason[0] == Reason.WHOLE_PATH


def test_as_printed_does_the_opposite():
    made = plan(AsPrinted(10), [1, 10, 100, 1000])
    assert made.ticks.tolist() == [0, 30, 60, 90]


def test_equal_counts():
    assert plan(ByAbundance(5), [7, 7, 7]).group.tolist() == [1, 1, 1]
    assert plan(AsPrinted(5), [7, 7, 7]).ticks.tolist() == [20, 20, 20]


def test_fixed_takes_a_tick_or_a_share():
    assert plan(Fixed(30), [1, 2]).ticks.tolist() == [30, 30]
    assert plan(Fixed(0.3), [1, 2], 10).ticks.tolist() == [3, 3]
    assert plan(Fixed(0, steps=4), [1, 2]).steps.tolist() == [4, 4]


def test_last_is_global_and_with_steps_fine_tuning():
    assert plan(Last(), [1, 2]).reasons() == {"whole-path": 2}
    assert plan(Last(steps=3), [1, 0]).reasons() == {"personal": 1, "no-training-rows": 1}


@pytest.mark.parametrize(
    "schedule", [Fixed(101), Fixed(1.5), Fixed(-1), ByAbundance(0), AsPrinted(0), Last(-1), Fixed(0, pull=-1.0)]
)
def test_impossible_settings_are_refused(schedule):
    with pytest.raises(SettingsError):
        plan(schedule, [1, 2])


@given(st.integers(0, 10**40), st.integers(1, 20))
def test_floor_root(value, degree):
    root = _floor_root(value, degree)
    assert root**degree <= value < (root + 1) ** degree
