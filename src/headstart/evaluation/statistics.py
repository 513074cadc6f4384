"""Mergeable statistics: what is known of parts tells what holds of the whole.

Each has `zero` (of no observations), `of` (of some), `merge` and `result`; merging is associative and commutative with
`zero` as neutral element, up to rounding. Fields are numbers or arrays; arrays hold one statistic an entry and merge
entry by entry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Field: TypeAlias = Any
"""float, or float64 array of any shape."""


class Statistic(Protocol):
    """The laws' three verbs."""

    @classmethod
    def zero(cls) -> Self:
        """The statistic of no observations."""

    def merge(self, other: Self) -> Self:
        """The statistic of both sets of observations."""

    def result(self) -> Field:
        """Its value; NaN where it has none."""


def _ratio(a: Field, b: Field) -> Field:
    """``a / b``, NaN where b is 0."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return np.divide(a, b, out=np.full(np.broadcast_shapes(a.shape, b.shape), np.nan), where=b != 0)[()]


@dataclass(frozen=True)
class Sum:
    """A sum; with ones it counts."""

    total: Field

    @classmethod
    def zero(cls) -> Sum:
        """Nothing summed."""
        return cls(0.0)

    @classmethod
    def of(cls, values: ArrayLike) -> Sum:
        """Sum of `values`."""
        return cls(np.sum(np.asarray(values, np.float64)))

    def merge(self, other: Sum) -> Sum:
        """Sum of both."""
        return Sum(self.total + other.total)

    def result(self) -> Field:
        """The sum."""
        return self.total


@dataclass(frozen=True)
class Mean:
    """A weighted mean."""

    total: Field
    weight: Field

    @classmethod
    def zero(cls) -> Mean:
        """No weight."""
        return cls(0.0, 0.0)

    @classmethod
    def of(cls, values: ArrayLike, weights: ArrayLike = 1.0) -> Mean:
        """Mean of `values`; NaN values have no weight."""
        values = np.asarray(values, np.float64)
        weights = np.where(np.isnan(values), 0.0, weights)
        return cls(np.sum(np.nan_to_num(values) * weights), np.sum(weights))

    @classmethod
    def by(
        cls, codes: NDArray[np.int64], values: NDArray[np.float64], size: int, weights: NDArray[Any] | None = None
    ) -> Mean:
        """One mean for each code of 0..size-1, unweighted where no `weights` are given.

        NaN values and negative codes are left out.
        """
        here = ~np.isnan(values) & (codes >= 0)
        codes, values = codes[here], values[here]
        if weights is None:
            total = np.bincount(codes, values, minlength=size)
            return cls(total, np.bincount(codes, minlength=size).astype(np.float64))
        weights = np.asarray(weights[here], np.float64)
        return cls(np.bincount(codes, values * weights, minlength=size), np.bincount(codes, weights, minlength=size))

    def merge(self, other: Mean) -> Mean:
        """Mean of both."""
        return Mean(self.total + other.total, self.weight + other.weight)

    def result(self) -> Field:
        """The mean, NaN without weight."""
        return _ratio(self.total, self.weight)


@dataclass(frozen=True)
class Moments:
    """Count, mean and sum of squared deviations (Chan, Golub & LeVeque 1979)."""

    count: Field
    mean: Field
    m2: Field

    @classmethod
    def zero(cls) -> Moments:
        """Nothing counted."""
        return cls(0.0, 0.0, 0.0)

    @classmethod
    def of(cls, values: ArrayLike) -> Moments:
        """Moments of `values`."""
        values = np.asarray(values, np.float64)
        if values.size == 0:
            return cls.zero()
        return cls(float(values.size), np.mean(values), np.sum((values - np.mean(values)) ** 2))

    def merge(self, other: Moments) -> Moments:
        """Moments of both."""
        count, gap = self.count + other.count, other.mean - self.mean
        share = np.nan_to_num(_ratio(other.count, count))
        return Moments(count, self.mean + gap * share, self.m2 + other.m2 + gap * gap * self.count * share)

    def result(self) -> Field:
        """The mean, NaN of nothing."""
        return np.where(np.asarray(self.count) > 0, self.mean, np.nan)[()]

    def variance(self) -> Field:
        """Sample variance (n - 1), NaN below two observations."""
        return np.where(np.asarray(self.count) > 1, _ratio(self.m2, np.asarray(self.count) - 1.0), np.nan)[()]
