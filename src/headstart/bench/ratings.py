"""Made-up ratings with planted factors and heavy tails, and what is the best that anybody could do on them.

A rating is ``mean + b_u + b_i + q_u . p_i`` and Gaussian noise. Counts of a user are log-normal, of an item Zipf with a
flat head (Mandelbrot); nobody rates an item twice. Labelled synthetic wherever a figure is shown.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headstart.data.blocks import Blocks
from headstart.errors import SettingsError
from headstart.kernels import planted
from headstart.kernels.dtypes import COLUMN, REAL, ROW

Counts: TypeAlias = NDArray[np.int64]

draw_users: Any = planted.draw_users
CHUNK = 4096
STAR, LEVELS = 1.0, {0.5: 9, 1.0: 5}


@dataclass(frozen=True)
class Ratings:
    """How many there are, and what lies in them.

    Attributes
    ----------
    users, items, ratings : number of each; held-out ratings are among the last
    held : share of each user's ratings that is held out
    spread : standard deviation of the logarithm of a user's count
    zipf, head : an item of popularity rank r is drawn in proportion to (r + head)^-zipf
    rank : planted factors; `interaction` is the standard deviation of q_u . p_i
    user_bias, item_bias : standard deviations
    noise : standard deviation of the Gaussian noise
    step : 0: ratings stay as drawn; 0.5 or 1: rounded to (half) stars from 1 to 5
    threads : the draw does not depend on them
    """

    users: int
    items: int
    ratings: int
    held: float = 0.05
    spread: float = 1.2
    zipf: float = 1.0
    head: float = 60.0
    rank: int = 4
    mean: float = 3.6
    interaction: float = 0.45
    user_bias: float = 0.4
    item_bias: float = 0.45
    noise: float = 0.8
    step: float = 0.0
    seed: int = 0
    threads: int = 2

    def __post_init__(self) -> None:
        if self.ratings < 2 * self.users:
            raise SettingsError(f"{self.users} users need {2 * self.users} ratings at least; got {self.ratings}")
        if self.ratings > self.users * (self.items // 2):
            raise SettingsError(
                f"at most half of {self.items} items are drawn for a user, so {self.users} users have at most "
                f"{self.users * (self.items // 2)} ratings; got {self.ratings}"
            )
        if self.step and self.step not in LEVELS:
            raise SettingsError(f"step is 0, {' or '.join(map(str, LEVELS))}; got {self.step:g}")

    def __str__(self) -> str:
        grid = f"rounded to {self.step:g} stars" if self.step else "not rounded"
        return (
            f"synthetic: {self.users:,} users x {self.items:,} items x {self.ratings:,} ratings, {self.rank} planted "
            f"factors, noise {self.noise:g}, {grid}"
        )


@dataclass(frozen=True)
class Drawn:
    """The ratings.

    Attributes
    ----------
    train, test : of the same users; test rows are drawn without replacement from a user's ratings
    floor : root mean squared error on `test` of one who knows every planted number. Without rounding that is the
        noise as drawn (not its expectation); with rounding and clipping it is expected, the conditional
        standard deviation of the rounded rating given the planted mean, averaged over the test rows as a variance
    items : number of items
    """

    train: Blocks
    test: Blocks
    floor: float
    items: int


def draw(shape: Ratings) -> Drawn:
    """Draw ratings; equal for equal settings, whatever the number of threads."""
    rng = np.random.default_rng(shape.seed)
    counts = _counts(rng, shape)
    held = np.minimum((counts * shape.held + rng.random(shape.users)).astype(ROW), counts - 1)
    chance, other = _popularity(rng, shape)
    factors = _factors(rng, shape)
    train, test = _empty(shape, counts - held), _empty(shape, held)
    truth = np.empty(len(test.label), REAL)

    def part(low: int) -> None:
        high = min(low + CHUNK, shape.users)
        draw_users(
            low, high, np.uint64(shape.seed), train.start, train.stop, held, chance, other, *factors, shape.mean,
            shape.noise, train.item, train.label, truth[:0], test.start, test.item, test.label, truth,
        )  # fmt: skip

    with ThreadPoolExecutor(shape.threads) as pool:
        list(pool.map(part, range(0, shape.users, CHUNK)))
    return Drawn(train, test, _finish(shape, train, test, truth), shape.items)


def by_item(drawn: Blocks, items: int) -> Counts:
    """Ratings of each item, int64 (items,)."""
    return np.bincount(drawn.item, minlength=items).astype(ROW)


def _counts(rng: np.random.Generator, shape: Ratings) -> Counts:
    """Ratings of each user: log-normal, 2 at least, half of the items at most, `shape.ratings` in all."""
    weight = rng.lognormal(0.0, shape.spread, shape.users)
    most = shape.items // 2
    low, high = 0.0, float(shape.ratings)
    for _ in range(100):
        middle = (low + high) / 2
        counts = np.clip(middle * weight, 2, most).astype(ROW)
        low, high = (middle, high) if counts.sum() <= shape.ratings else (low, middle)
    counts = np.clip(low * weight, 2, most).astype(ROW)
    while missing := shape.ratings - int(counts.sum()):
        room = np.flatnonzero(counts < most)
        counts[rng.permutation(room)[:missing]] += 1
    return counts


def _popularity(rng: np.random.Generator, shape: Ratings) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    weight = (rng.permutation(shape.items) + shape.head) ** -shape.zipf
    chance, other = np.empty(shape.items, REAL), np.empty(shape.items, COLUMN)
    planted.alias_table(weight, chance, other)
    return chance, other


def _factors(rng: np.random.Generator, shape: Ratings) -> tuple[NDArray[np.float32], ...]:
    """Users' factors and biases, items' factors and biases."""
    size = (shape.interaction / sqrt(max(shape.rank, 1))) ** 0.5
    found: list[NDArray[np.float32]] = []
    for number, bias in ((shape.users, shape.user_bias), (shape.items, shape.item_bias)):
        found.append(rng.standard_normal((number, shape.rank), REAL) * REAL(size))
        found.append(rng.standard_normal(number, REAL) * REAL(bias))
    return tuple(found)


def _empty(shape: Ratings, counts: Counts) -> Blocks:
    stop = np.cumsum(counts)
    n = int(stop[-1])
    users = pa.array(np.arange(shape.users))
    return Blocks(np.empty((n, 0), REAL), users, stop - counts, stop, label=np.empty(n, REAL), item=np.empty(n, COLUMN))


def _finish(shape: Ratings, train: Blocks, test: Blocks, truth: NDArray[np.float32]) -> float:
    """Round the labels in place if need be; the floor."""
    if not shape.step:
        return float(np.sqrt(np.mean((test.label - truth) ** 2, dtype=np.float64)))
    levels = LEVELS[shape.step]
    for blocks in (train, test):
        planted.to_grid(blocks.label, STAR, shape.step, levels)
    return sqrt(planted.grid_floor(truth, shape.noise, STAR, shape.step, levels))


def resized(shape: Ratings, share: float) -> Ratings:
    """The same with a share of the users, each with as many ratings as before."""
    users = max(2, round(shape.users * share))
    return replace(shape, users=users, ratings=round(shape.ratings * users / shape.users))


ML_10M = Ratings(users=69_878, items=10_677, ratings=10_000_054)
"""The counts of MovieLens 10M."""
NETFLIX = Ratings(users=478_920, items=17_766, ratings=80_100_000)
"""The counts of the Netflix data in Ning et al. (RecSys 2017)."""
NETFLIX_STRESS = Ratings(users=480_189, items=17_770, ratings=100_480_507)
"""The counts of the whole Netflix Prize training set."""
