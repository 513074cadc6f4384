"""What metrics are called, which way they are better, and how their numbers are printed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from headstart.evaluation.metrics import HIGHER_IS_BETTER

NAMES: Mapping[str, str] = {
    "map": "MAP",
    "mrr": "MRR",
    "auc": "AUC",
    "ndcg": "nDCG",
    "logloss": "log-loss",
    "brier": "Brier score",
    "pooled_rmse": "pooled RMSE",
    "pooled_mae": "pooled MAE",
    "rmse": "RMSE",
    "mae": "MAE",
}

REFERENCE = "global"
MINUS = "\N{MINUS SIGN}"
NOTHING = "\N{EN DASH}"


def name_of(metric: str) -> str:
    """The name of a metric."""
    return NAMES.get(metric, metric)


def higher(metric: str) -> bool:
    """Whether more of it is better."""
    return metric in HIGHER_IS_BETTER


def number(value: float | None, digits: int = 4) -> str:
    """A number with so many digits after the point."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", MINUS)


def signed(value: float | None, digits: int = 4) -> str:
    """A number with its sign."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{round(value, digits) + 0.0:+.{digits}f}".replace("-", MINUS)


def percent(share: float | None) -> str:
    """A share of 1 as per cent."""
    return NOTHING if share is None else f"{100 * share:.1f} %"


def count(value: float | None) -> str:
    """A whole number with commas."""
    return NOTHING if value is None else f"{value:,.0f}".replace("-", MINUS)


def plural(number: int, word: str) -> str:
    """A count with its noun."""
    return f"{number:,} {word if number == 1 else f'{word}s'}"


def seconds(value: float | None) -> str:
    """A time."""
    if value is None:
        return NOTHING
    if value < 1:
        return f"{1000 * value:.0f} ms"
    return f"{value / 60:.1f} min" if value >= 120 else f"{value:.1f} s"


def size(value: float | None) -> str:
    """So many bytes, in units of 1000."""
    if value is None:
        return NOTHING
    unit = min(int(math.log10(max(value, 1)) // 3), 4)
    return f"{value / 1000**unit:.{1 if unit else 0}f} {('B', 'kB', 'MB', 'GB', 'TB')[unit]}"


def interval(values: Mapping[str, Any], digits: int = 4) -> str:
    """A mean and its interval."""
    if values.get("mean") is None:
        return NOTHING
    return f"{number(values['mean'], digits)} [{number(values['lo'], digits)}, {number(values['hi'], digits)}]"
