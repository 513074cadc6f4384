"""A small synthetic click log with planted structure, for tests and examples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headstart.data.roles import FeatureSettings, Roles
from headstart.datasets.dataset import Dataset
from headstart.errors import SettingsError
from headstart.progress import Progress, silent

NAME = "toy"
KINDS = ("book", "film", "game", "song", "tool")
# What all users like: weights of x0 to x3, of log price, and of each kind.
WEIGHTS = np.array([1.0, -0.7, 0.4, 0.0])
PRICE_WEIGHT = -0.5
KIND_WEIGHTS = np.array([0.6, 0.0, -0.5, 0.3, -0.4])
INTERCEPT = -1.0
MAX_LISTS = 200


def toy(
    n_users: int = 300,
    seed: int = 0,
    *,
    n_items: int = 60,
    list_size: int = 6,
    tail: float = 1.1,
    personal: float = 0.8,
    missing: float = 0.1,
) -> Dataset:
    """Draw lists of items shown to users, and which of them were clicked; the same for the same arguments.

    Log-odds of a click = INTERCEPT + (WEIGHTS + personal * w_u) . x + weight of the item's kind + PRICE_WEIGHT * log
    price + a normal effect of the user, with w_u standard normal: a user's own model is worth having, the more so the
    larger `personal` is.

    Parameters
    ----------
    n_users, n_items, list_size : how many; an item is in a list at most once
    tail : Pareto exponent of the number of lists a user has (1 to MAX_LISTS); smaller is heavier
    personal : standard deviation of the users' own weights
    missing : share of prices that are null

    Returns
    -------
    Dataset with columns user (string), list, time (int64 seconds), item, click (0 or 1), x0 to x3 (of the event), price
    (of the item, null at random), kind (of the item).
    """
    if n_users < 1 or not 1 <= list_size <= n_items or tail <= 0 or not 0 <= missing <= 1:
        raise SettingsError(
            f"toy needs n_users >= 1, 1 <= list_size <= n_items, tail > 0 and missing in [0, 1]; got {n_users=}, "
            f"{list_size=}, {n_items=}, {tail=}, {missing=}"
        )
    rng = np.random.default_rng(seed)
    lists = np.minimum(1 + rng.pareto(tail, n_users), MAX_LISTS).astype(np.int64)
    list_user = np.repeat(np.arange(n_users), lists)
    list_time = 1_600_000_000 + rng.integers(0, 10_000_000, len(list_user))
    item = np.argsort(rng.random((len(list_user), n_items)), axis=1)[:, :list_size].ravel()
    list_of = np.repeat(np.arange(len(list_user)), list_size)
    user = list_user[list_of]

    x = rng.standard_normal((len(item), len(WEIGHTS))).astype(np.float32)
    price = np.exp(rng.normal(1.0, 0.5, n_items))
    kind = rng.integers(0, len(KINDS), n_items)
    weights = WEIGHTS + personal * rng.standard_normal((n_users, len(WEIGHTS)))
    effect = INTERCEPT + 0.5 * rng.standard_normal(n_users)
    log_odds = np.einsum("nd,nd->n", x, weights[user]) + KIND_WEIGHTS[kind[item]] + effect[user]
    log_odds += PRICE_WEIGHT * (np.log(price[item]) - 1.0)
    click = rng.random(len(item)) < 1.0 / (1.0 + np.exp(-log_odds))
    unknown = rng.random(len(item)) < missing

    columns = {
        "user": _names("u", n_users, user),
        "list": pa.array(list_of),
        "time": pa.array(list_time[list_of]),
        "item": _names("i", n_items, item),
        "click": pa.array(click.astype(np.int8)),
        **{f"x{k}": pa.array(x[:, k]) for k in range(len(WEIGHTS))},
        "price": pa.array(price[item].astype(np.float32), mask=unknown),
        "kind": pa.DictionaryArray.from_arrays(pa.array(kind[item].astype(np.int8)), pa.array(KINDS)),
    }
    roles = Roles(user="user", label="click", item="item", time="time", list="list")
    bags = (("item", ("price", "kind")),)
    return Dataset(
        NAME,
        "one item shown to a user, clicked or not (synthetic)",
        pa.table(columns),
        roles,
        FeatureSettings(bags=bags),
    )


def build(data_dir: Path | None = None, memory: str | None = None, progress: Progress = silent) -> Dataset:
    """The toy log with its default arguments; nothing is read."""
    return toy()


def _names(prefix: str, count: int, codes: NDArray[np.int64]) -> pa.Array:
    width = len(str(count - 1))
    return pa.array([f"{prefix}{number:0{width}d}" for number in range(count)]).take(pa.array(codes))
