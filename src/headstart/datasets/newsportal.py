"""A click log of the size of the paper's news portal, drawn from a planted model; synthetic, for measures of scale.

The counts are the paper's: 54,845 users, 29.3 million events, 351 features once columns are encoded, 8 % clicks. Users
are heavy-tailed and their events lie in the order of time, each user's scattered over the whole file.

Log-odds of a click = intercept + w . x + (sum of an effect of each category's value) + own_u . x + effect_u +
effect of user u and the event's `TASTE`. The last three are personal: independent normals of deviation `OWN`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.special import expit

from headstart.data.roles import Roles
from headstart.errors import SettingsError
from headstart.progress import Progress, silent

USERS, EVENTS, FEATURES, CLICKS = 54_845, 29_300_000, 351, 0.08

NUMBERS = tuple(f"x{k}" for k in range(15))
CATEGORIES = {
    "app": 2, "device": 3, "slot": 5, "weekday": 7, "referrer": 9, "layout": 12, "region": 16, "format": 24,
    "section": 36, "source": 48, "city": 64, "topic": 110,
}  # fmt: skip
"""Number of values of each category; with `NUMBERS` they make 351 features."""

TEXTS = ("device", "referrer", "section")
"""Categories that are written as text; the others are codes."""

TASTE = "section"
OWN = 0.25
COMMON = 0.3
PLANTED = ("planted_global", "planted")
"""Columns with the planted log-odds, without and with what is personal: to judge by, never a feature."""

ROLES = Roles(
    user="user",
    label="click",
    time="time",
    categorical=tuple(name for name in CATEGORIES if name not in TEXTS),
    drop=PLANTED,
)

_AT_ONCE = 1 << 19
_LEAST, _TAIL, _MOST = 0.03, 1.05, 400.0
_STEPS = 1 << 16


@dataclass(frozen=True)
class _Model:
    """The planted weights.

    Attributes
    ----------
    common : float32 (15,), of the numbers; effects : for each category float32 (its values,)
    own : float32 (U, 16), each user's weights of the numbers, then the user's effect
    taste : float32 (U, values of `TASTE`)
    codes : for each category int16 (65536,), a table that turns a uniform 16-bit number into a value, Zipf-distributed
    """

    common: NDArray[np.float32]
    effects: dict[str, NDArray[np.float32]]
    own: NDArray[np.float32]
    taste: NDArray[np.float32]
    codes: dict[str, NDArray[np.int16]]


def write(path: Path, share: float = 1.0, seed: int = 0, progress: Progress = silent) -> None:
    """Write `share` of the log as Parquet to `path`: that share of the users, each with as many events as ever.

    Columns: user (int32), time (int64 seconds), click (int8), x0 to x14 (float32), the categories (int16 or text) and
    the two of `PLANTED` (float32). The same file for the same share and seed.

    Raises
    ------
    SettingsError
        where the share leaves fewer than two users, or is above 1
    """
    users, events = round(USERS * share), round(EVENTS * share)
    if not 2 <= users <= USERS:
        raise SettingsError(f"the share of the news portal is above 0 and at most 1; got {share:g}")
    rng = np.random.default_rng(seed)
    model = _plant(rng, users)
    user = rng.permutation(np.repeat(np.arange(users, dtype=np.int32), counts(users, events)))
    intercept = _intercept(rng, model, users)
    with pq.ParquetWriter(path, _schema()) as writer:
        for first in range(0, events, _AT_ONCE):
            own = user[first : first + _AT_ONCE]
            writer.write_table(pa.table(_draw(rng, model, own, first, intercept), schema=_schema()))
            progress("writing the synthetic news portal", first + len(own), events)


def counts(users: int, events: int) -> NDArray[np.int64]:
    """Events of each user, int64 (U,), `events` in all: quantiles of a Pareto law, cut off far out, in random order."""
    rank = (np.arange(users) + 0.5) / users
    shape = _LEAST + np.minimum((1 - rank) ** (-1 / _TAIL) - 1, _MOST)
    exact = shape * (events / shape.sum())
    whole = np.maximum(np.floor(exact), 1).astype(np.int64)
    whole[-1] += events - whole.sum()
    return np.random.default_rng(1).permutation(whole)


def learnable(train: NDArray[np.int64], test: NDArray[np.int64], curvature: float) -> float:
    """Share of what the planted personal part is worth that models of users with so many events can reach.

    Of coordinate j of the personal part, with variance s^2 = `OWN`^2 and mean square m_j of its feature, a user with n
    training events can tell the share k / (1 + k), k = n q s^2 m_j: a normal prior and the loss as a quadratic of
    curvature q. The coordinates weigh by m_j, the users by their test events.

    Parameters
    ----------
    train, test : int64 (U,), events of each user
    curvature : q = E p (1 - p), p the planted chance of a click
    """
    moments = np.concatenate([np.ones(len(NUMBERS) + 1), _zipf(CATEGORIES[TASTE])])
    known = train[:, None] * (curvature * OWN**2 * moments)
    share = (known / (1 + known)) @ moments / moments.sum()
    return float(share @ test / test.sum())


def _zipf(values: int) -> NDArray[np.float64]:
    chance = 1.0 / (np.arange(values) + 2.0)
    return np.asarray(chance / chance.sum(), np.float64)


def _plant(rng: np.random.Generator, users: int) -> _Model:
    effects = {name: rng.normal(0, COMMON, size).astype(np.float32) for name, size in CATEGORIES.items()}
    tables = {}
    for name, size in CATEGORIES.items():
        upper = np.cumsum(_zipf(size)) * _STEPS
        tables[name] = np.minimum(np.searchsorted(upper, np.arange(_STEPS) + 0.5), size - 1).astype(np.int16)
    own = rng.normal(0, OWN, (users, len(NUMBERS) + 1)).astype(np.float32)
    taste = rng.normal(0, OWN, (users, CATEGORIES[TASTE])).astype(np.float32)
    return _Model(rng.normal(0, COMMON, len(NUMBERS)).astype(np.float32), effects, own, taste, tables)


def _margins(
    rng: np.random.Generator, model: _Model, user: NDArray[np.int32]
) -> tuple[NDArray[np.float32], dict[str, NDArray[np.int16]], NDArray[np.float32], NDArray[np.float32]]:
    """Numbers (n, 15) and codes of events, and their log-odds (n,) without and with what is personal."""
    x = rng.standard_normal((len(user), len(NUMBERS)), dtype=np.float32)
    codes = {name: model.codes[name][rng.integers(0, _STEPS, len(user), np.uint16)] for name in CATEGORIES}
    common = x @ model.common
    for name, code in codes.items():
        common += model.effects[name][code]
    own = model.own[user]
    personal = np.einsum("nd,nd->n", x, own[:, :-1]) + own[:, -1] + model.taste[user, codes[TASTE]]
    return x, codes, common, common + personal


def _intercept(rng: np.random.Generator, model: _Model, users: int) -> np.float32:
    """What makes `CLICKS` of the events clicks, by bisection on a sample."""
    *_, margin = _margins(rng, model, rng.integers(0, users, 200_000).astype(np.int32))
    low, high = -20.0, 20.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if expit(margin + middle).mean() > CLICKS else (middle, high)
    return np.float32(low)


def _schema() -> pa.Schema:
    numbers = [(name, pa.float32()) for name in NUMBERS]
    categories = [
        (name, pa.dictionary(pa.int16(), pa.string()) if name in TEXTS else pa.int16()) for name in CATEGORIES
    ]
    planted = [(name, pa.float32()) for name in PLANTED]
    return pa.schema(
        [("user", pa.int32()), ("time", pa.int64()), ("click", pa.int8()), *numbers, *categories, *planted]
    )


def _draw(
    rng: np.random.Generator, model: _Model, user: NDArray[np.int32], first: int, intercept: np.float32
) -> dict[str, pa.Array]:
    """Columns of the events from number `first` on."""
    x, codes, common, full = _margins(rng, model, user)
    click = rng.random(len(user), np.float32) < expit(full + intercept)
    return {
        "user": pa.array(user),
        "time": pa.array(1_600_000_000 + (first + np.arange(len(user))) // 8),
        "click": pa.array(click.astype(np.int8)),
        **{name: pa.array(x[:, k]) for k, name in enumerate(NUMBERS)},
        **dict(_categories(codes)),
        PLANTED[0]: pa.array(common + intercept),
        PLANTED[1]: pa.array(full + intercept),
    }


def _categories(codes: dict[str, NDArray[np.int16]]) -> Iterator[tuple[str, pa.Array]]:
    for name, code in codes.items():
        values = pa.array(code)
        if name in TEXTS:
            values = pa.DictionaryArray.from_arrays(values, pa.array([f"{name}{k}" for k in range(CATEGORIES[name])]))
        yield name, values
