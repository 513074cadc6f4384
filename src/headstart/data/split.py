"""Splits of a log into training, tune and test rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.data.events import EventLog
from headstart.data.vocab import keys
from headstart.errors import DataError, SettingsError
from headstart.kernels.dtypes import ROW
from headstart.kernels.hashing import absorb
from headstart.kernels.order import rank_within

TRAIN, TUNE, TEST = np.int8(0), np.int8(1), np.int8(2)


@dataclass(frozen=True)
class Part:
    """One way to divide the rows of a log: ``code`` int8 (n,) of `TRAIN`, `TUNE`, `TEST`."""

    code: NDArray[np.int8]

    @property
    def train(self) -> NDArray[np.bool_]:
        """Training rows, bool (n,)."""
        return np.equal(self.code, TRAIN)

    @property
    def tune(self) -> NDArray[np.bool_]:
        """Rows that settings are chosen on, bool (n,)."""
        return np.equal(self.code, TUNE)

    @property
    def test(self) -> NDArray[np.bool_]:
        """Rows that nothing is fitted or chosen on, bool (n,)."""
        return np.equal(self.code, TEST)


@dataclass(frozen=True)
class Shares:
    """How much goes where: `test` of all, `tune` of the rest; or counts, `folds` and `last`."""

    test: float = 0.2
    tune: float = 0.2
    folds: int = 5
    last: int = 1

    def __post_init__(self) -> None:
        for name, share in (("test", self.test), ("tune", self.tune)):
            if not 0 <= share < 1:
                raise SettingsError(f"--{name} is a share from 0 to below 1; got {share:g}")
        if self.folds < 2:
            raise SettingsError(f"--folds must be at least 2; got {self.folds}")
        if self.last < 1:
            raise SettingsError(f"--last must be at least 1; got {self.last}")


@dataclass(frozen=True)
class _Units:
    """What is never cut in two: the lists where there are any, else the events; side by side for each user.

    Attributes
    ----------
    start, stop : int64 (U,), the units of user u are ``start[u]:stop[u]``
    of_row : int64 (n,), the unit of each row
    size : int64 (m,), rows of each unit
    time : (m,), of a unit's first event; empty without times
    place : int64 (m,), of a unit among its user's, in the log's order
    draw : uint64 (m,), a random number of the user's id, the unit's place and the seed alone
    user_draw : uint64 (U,), a random number of the user's id and the seed alone
    """

    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    of_row: NDArray[np.int64]
    size: NDArray[np.int64]
    time: NDArray[Any]
    place: NDArray[np.int64]
    draw: NDArray[np.uint64]
    user_draw: NDArray[np.uint64]

    @property
    def counts(self) -> NDArray[np.int64]:
        return self.stop - self.start

    def rank(self, key: NDArray[Any]) -> NDArray[np.int64]:
        """Place of each unit among its user's, int64 (m,), by `key` (m,)."""
        out = np.zeros(len(key), ROW)
        rank_within(self.start, self.stop, key, out)
        return out

    def each(self, of_user: NDArray[Any]) -> NDArray[Any]:
        """A value of each user for each of its units."""
        return np.repeat(of_user, self.counts)


def split(
    log: EventLog, how: str, *, seed: int, test: float = 0.2, tune: float = 0.2, folds: int = 5, last: int = 1
) -> list[Part]:
    """Divide the rows of `log`; one part, or one for each fold.

    - ``user-time``: test is the last share of each user's events, tune the last share of the rest.
    - ``last-k``: test is each user's `last` last events, tune the `last` before them (none where `tune` is 0).
    - ``user-random``: as user-time, in a random order.
    - ``time``: test is what comes after one moment, the same for all, that leaves at most the share after it; tune is
      cut from the rest in the same way.
    - ``new-users``: test is a share of the users with all their events, tune a share of the other users.
    - ``random``: a share of all rows, whoever's they are; tune a share of the rest.
    - ``kfold``: each user's events are dealt in random order to the folds, and every row is tested once; tune is
      a random share of each user's rest.

    Splits by user round a user's share to whole events, keep one training event at least, and test one at least of a
    user with two; a user with a single event trains only (but under kfold). With a list column a list is never cut
    and counts as one event, at the time of its first. The result depends on the seed and the sorted log only.

    Raises
    ------
    SettingsError : an unknown split, shares out of range, or no time column where one is needed
    DataError : there are too few users, moments or rows to divide
    """
    shares = Shares(test, tune, folds, last)
    if how not in SPLITS:
        raise SettingsError(f"unknown split {how!r}; there are {', '.join(SPLITS)}")
    if how in NEED_TIME and not len(log.time):
        raise SettingsError(f"the split {how} needs times; give --time COLUMN, or --split user-random")
    units = _units(log, seed)
    parts = [Part(code[units.of_row]) for code in SPLITS[how](units, shares)]
    if test > 0 and not all(part.test.any() for part in parts):
        raise DataError(f"the split {how} leaves no test rows of {len(log)}; give more events or a larger --test")
    return parts


def sample(log: EventLog, share: float, seed: int) -> NDArray[np.bool_]:
    """Which rows (n,) are among `share` of each user's events, or lists where there are any, drawn at random.

    Of n events of a user `share` * n are drawn, rounded up or down by chance so that they are as many in the mean, one
    at least; a smaller share is part of a larger one. The result depends on the seed and the sorted log only.
    """
    if share >= 1:
        return np.ones(len(log), np.bool_)
    units = _units(log, seed)
    wanted = np.floor(units.counts * share + units.user_draw / 2.0**64).astype(ROW)
    drawn = units.rank(units.draw) < units.each(np.maximum(wanted, 1))
    rows: NDArray[np.bool_] = drawn[units.of_row]
    return rows


def _units(log: EventLog, seed: int) -> _Units:
    if len(log.list):
        distinct, first, of_row, size = np.unique(log.list, return_index=True, return_inverse=True, return_counts=True)
        # Codes of lists are in the users' order, and the log is in each user's order of time.
        counts = np.bincount(log.user_of_row[first], minlength=len(log.users)).astype(ROW)
        stop = np.cumsum(counts)
        start = stop - counts
        time = log.time[first] if len(log.time) else log.time
        place = np.zeros(len(distinct), ROW)
        rank_within(start, stop, first, place)
    else:
        start, stop, of_row, size, time = log.start, log.stop, np.arange(len(log)), np.ones(len(log), ROW), log.time
        place = np.arange(len(log)) - np.repeat(start, log.counts)
    of_user = keys(log.users)
    absorb(of_user, np.full(len(of_user), seed % 2**64, np.uint64))
    draw = np.repeat(of_user, stop - start)
    absorb(draw, place.astype(np.uint64))
    return _Units(start, stop, of_row, size, time, place, draw, of_user)


def _share(counts: NDArray[np.int64], share: float, least: int) -> NDArray[np.int64]:
    """`share` of each count, rounded half up, at least `least` unless the share is 0, and never all of it."""
    wanted = np.maximum(np.floor(counts * share + 0.5), least if share > 0 else 0)
    return np.asarray(np.minimum(wanted, np.maximum(counts - 1, 0)), ROW)


def _from_the_end(
    units: _Units, rank: NDArray[np.int64], test: NDArray[np.int64], tune: NDArray[np.int64]
) -> NDArray[np.int8]:
    """The last `test` (U,) units of each user by `rank` (m,), and the `tune` (U,) before them."""
    from_end = units.each(units.counts) - rank
    is_test = from_end <= units.each(test)
    is_tune = from_end <= units.each(test + tune)
    return np.where(is_test, TEST, np.where(is_tune, TUNE, TRAIN))


def _by_user(units: _Units, shares: Shares, rank: NDArray[np.int64]) -> list[NDArray[np.int8]]:
    test = _share(units.counts, shares.test, 1)
    return [_from_the_end(units, rank, test, _share(units.counts - test, shares.tune, 0))]


def _user_time(units: _Units, shares: Shares) -> list[NDArray[np.int8]]:
    return _by_user(units, shares, units.place)


def _user_random(units: _Units, shares: Shares) -> list[NDArray[np.int8]]:
    return _by_user(units, shares, units.rank(units.draw))


def _last_k(units: _Units, shares: Shares) -> list[NDArray[np.int8]]:
    test = np.minimum(shares.last if shares.test > 0 else 0, np.maximum(units.counts - 1, 0))
    tune = np.minimum(shares.last if shares.tune > 0 else 0, np.maximum(units.counts - test - 1, 0))
    return [_from_the_end(units, units.place, test, tune)]


def _time(units: _Units, shares: Shares) -> list[NDArray[np.int8]]:
    code = np.full(len(units.size), TRAIN)
    for value, share in ((TEST, shares.test), (TUNE, shares.tune)):
        rest = np.flatnonzero(code == TRAIN)
        if share > 0 and len(rest):
            code[rest[_late(units.time[rest], units.size[rest], share)]] = value
    return [code]


def _late(times: NDArray[Any], sizes: NDArray[np.int64], share: float) -> NDArray[np.bool_]:
    """Which of the times come last and hold at most `share` of the rows; the very last, if that is more already."""
    rows = np.repeat(times, sizes)
    first = len(rows) - int(share * len(rows)) - 1
    late: NDArray[np.bool_] = np.greater(times, np.partition(rows, first)[first])
    if not late.any():
        late = np.equal(times, times.max())
    if late.all():
        raise DataError("the split time needs events at two moments in each part; give another --split")
    return late


def _new_users(units: _Units, shares: Shares) -> list[NDArray[np.int8]]:
    having = np.flatnonzero(units.counts > 0)
    code = np.full(len(units.counts), TRAIN)
    for value, share in ((TEST, shares.test), (TUNE, shares.tune)):
        rest = having[code[having] == TRAIN]
        if share > 0 and len(rest) < 2:
            raise DataError(f"the split new-users has too few users to divide, {len(having)}; give another --split")
        code[rest[_drawn(units.user_draw[rest], share)]] = value
    return [units.each(code)]


def _random(units: _Units, shares: Shares) -> list[NDArray[np.int8]]:
    code = np.full(len(units.draw), TRAIN)
    for value, share in ((TEST, shares.test), (TUNE, shares.tune)):
        rest = np.flatnonzero(code == TRAIN)
        code[rest[_drawn(units.draw[rest], share)]] = value
    return [code]


def _drawn(draw: NDArray[np.uint64], share: float) -> NDArray[np.bool_]:
    """Which of the draws are among the `share` of smallest ones."""
    count = int(_share(np.array([len(draw)], ROW), share, 1)[0])
    if count == 0:
        return np.zeros(len(draw), np.bool_)
    chosen: NDArray[np.bool_] = draw <= np.partition(draw, count - 1)[count - 1]
    return chosen


def _kfold(units: _Units, shares: Shares) -> list[NDArray[np.int8]]:
    rank, folds = units.rank(units.draw), shares.folds
    # Users begin with a fold of their own, else all the short ones would be tested in the first.
    begin = (units.user_draw % np.uint64(folds)).astype(ROW)
    codes = []
    for k in range(folds):
        first = (k - begin) % folds  # the lowest rank under test; every `folds`-th after it is too
        rest = units.counts - _multiples(units.counts - first, folds)
        tuning = units.each(rest - _share(rest, shares.tune, 0))
        since = rank - units.each(first)
        place = rank - _multiples(since, folds)
        codes.append(np.where(since % folds == 0, TEST, np.where(place >= tuning, TUNE, TRAIN)))
    return codes


def _multiples(below: NDArray[np.int64], of: int) -> NDArray[np.int64]:
    """How many of 0, `of`, 2 `of`, ... are below each number."""
    return np.maximum(-(-below // of), 0).astype(ROW)


SPLITS: Mapping[str, Callable[[_Units, Shares], list[NDArray[np.int8]]]] = {
    "user-time": _user_time,
    "time": _time,
    "user-random": _user_random,
    "last-k": _last_k,
    "new-users": _new_users,
    "random": _random,
    "kfold": _kfold,
}
NEED_TIME = ("user-time", "time", "last-k")
