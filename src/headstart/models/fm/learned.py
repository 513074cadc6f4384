"""What a factorisation machine learns of how users differ: a prior of all that is a user's, with variances by moments.

What is a user's are a bias, factors, and weights of features. Margins are linear in these, and their variances are
estimated from everybody (`headstart.kernels.moments`) as they stand out from the mean user, so that a bias and a factor
each move by as much as users differ in it. Candidates are the modes of posteriors, around the user's own place at the
end of the path, or around the mean user: the second kind takes nothing of what global training made of the user. They
differ in how firmly they are held too. A user whom training did not see has no place, and is held to the mean user.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from headstart.data.blocks import Blocks, frozen
from headstart.data.vocab import entity_keys
from headstart.kernels import effects
from headstart.kernels.dtypes import COLUMN, REAL, ROW, SUM
from headstart.kernels.machines_users import score_users, sum_rows
from headstart.kernels.moments import Moments, some_users, varying
from headstart.models.family import MIX, USER_KEY, State
from headstart.models.fm.own import Ground, Own, nothing
from headstart.models.fm.rows import Rows
from headstart.progress import Progress, silent

PULLS = (1.0, 3.0, 10.0, 30.0)
"""Of the candidates around the users' own places: what prior variances are divided by."""

AFRESH = (0.3, 1.0, 3.0, 10.0)
"""Of those around the mean user."""

MOST_FEATURES = 63
"""Features that users have weights of their own for, at most: those on which they differ most surely."""

MOMENT_ROWS = 100_000
"""Rows that moments are taken of, about: those of 1,000 users at most."""

STAGE = "learning how users differ"


@dataclass(frozen=True)
class Part:
    """Rows of some users on the global model.

    Attributes
    ----------
    rows : labels are in the model's unit
    matrix : their features, CSR (n, d)
    margin : float64 (n,), in that unit, offsets included
    sums : float32 (n, k), what a user's factors are multiplied by
    squared : whether the loss is squared error
    """

    rows: Rows
    matrix: Any
    margin: NDArray[np.float64]
    sums: NDArray[np.float32]
    squared: bool

    @classmethod
    def of(cls, ground: Ground, own: Own, targets: tuple[Any, Any], squared: bool) -> Part:
        """The rows of `ground`, whose users are `own`; targets: labels, and what margins start from."""
        (label, fixed), rows, size = targets, ground.rows, len(ground.rows.rows)
        margin, constant = np.empty(size, REAL), np.empty(size, REAL)
        read: list[NDArray[Any]] = [*rows.matrix, rows.rows, rows.indptr, rows.item, fixed]
        given: tuple[Any, ...] = (*map(frozen, [*read, *ground.parameters, *own.arrays]), margin)
        score_users(*given)
        _, factors, _, item_factors = ground.parameters
        pointers = rows.matrix[2]
        matrix: Any = csr_array(rows.matrix, (len(pointers) - 1, len(factors)))[rows.rows]
        taken = matrix.data, matrix.indices.astype(COLUMN, copy=False), matrix.indptr.astype(ROW, copy=False)
        sums = np.empty((size, factors.shape[1]), REAL)
        asked: tuple[Any, ...] = (*map(frozen, [*taken, rows.item, factors, item_factors]), sums, constant)
        sum_rows(*asked)
        return cls(replace(rows, label=frozen(label)), matrix, margin.astype(SUM), sums, squared)

    @property
    def curvature(self) -> float:
        """Mean curvature of a row's loss."""
        said = 1.0 / (1.0 + np.exp(-self.margin))
        return 1.0 if self.squared else float((said * (1.0 - said)).mean())

    def columns(self, features: NDArray[np.int32]) -> NDArray[np.float32]:
        """Ones, the values of `features`, and what factors are multiplied by, float32 (n, 1 + m + k)."""
        return np.column_stack([np.ones(len(self.margin), REAL), self.matrix[:, features].toarray(), self.sums])

    def moments(self, features: NDArray[np.int32]) -> Moments:
        """Of users' levels, weights of `features` and factors."""
        rows = self.rows
        return Moments.of(self.columns(features), rows.indptr, rows.label, rows.weight, self.margin, self.squared)


def is_taught(start: State) -> bool:
    """Whether `start` says how users differ."""
    return MIX in start


class Learns:
    """What makes a factorisation machine a `headstart.models.family.Learner`."""

    _part: Callable[[State, Blocks, Own], Part]

    def candidates(
        self, at: Callable[[int], State], last: int, data: Blocks, threads: int = 1, progress: Progress = silent
    ) -> State:
        """The end of the path, what is known of users, and a mix that is the global model; see `Learner`."""
        progress(STAGE, 0, 1)
        end = at(last)
        known = {**end, "shared.user_mean": np.append(end["user.weight"].mean(), end["user.factors"].mean(axis=0))}
        some = data.select(some_users(data.counts, MOMENT_ROWS))
        part = self._part(end, some, mean_users(known, len(some)))
        features = _varying(part, np.arange(len(end["weights"]), dtype=COLUMN))
        if len(features) > MOST_FEATURES:
            features = _surest(part, features)
        variance, _ = part.moments(features).variances()
        progress(STAGE, 1, 1)
        return {
            **known,
            "shared.own_features": features,
            "shared.own_variance": variance,
            "shared.curvature": np.array([part.curvature]),
            MIX: np.eye(1 + len(PULLS) + len(AFRESH))[0],
        }

    def lesson(self, state: State, names: Sequence[str], counts: NDArray[np.int64]) -> Sequence[str]:
        """What was learned, in sentences; `counts` are the users' rows (U,)."""
        mix, features = state[MIX], state["shared.own_features"]
        deviation = np.sqrt(state["shared.own_variance"])
        own, factors = deviation[1 : len(features) + 1], deviation[len(features) + 1 :]
        found = [
            f"users differ by {deviation[0]:.2f} in their level (standard deviation of the margin),"
            f" by {np.median(factors):.2f} in a factor"
        ]
        if len(own):
            first = ", ".join(names[features[place]] for place in np.argsort(-own, kind="stable")[:3])
            found.append(f"by {np.median(own):.2f} in the weight of a feature, most of {first}")
        if mix[0] >= 1:
            return [*found, "held-out rows did not gain by it: every user keeps the global model"]
        around, afresh = mix[1 : len(PULLS) + 1].sum(), mix[len(PULLS) + 1 :].sum()
        found.append(
            f"{mix[0]:.0%} of a model is the global one, {around:.0%} moves on from it by the user's own events"
        )
        found.append(f"{afresh:.0%} is made of the user's own events alone, held to the mean user")
        return found


def fit_users(
    part_of: Callable[[Own], Part], start: State, shard: Blocks, steps: NDArray[np.int32]
) -> tuple[Own, NDArray[np.bool_]]:
    """The mix of candidates for every user with rows and `steps` (U,); whose numbers ran away, bool (U,).

    Parameters
    ----------
    part_of : the rows of the shard, users being as given
    """
    mix, features, place = start[MIX], start["shared.own_features"], Own.of_start(start, shard)
    middle = mean_users(start, len(shard))
    new = ~np.isin(entity_keys(shard.users), start[USER_KEY])
    failed = np.zeros(len(shard), np.bool_)
    theta = np.zeros((len(shard), len(start["shared.own_variance"])))
    share = np.full(len(shard), mix[0])
    kinds = ((place, PULLS, mix[1 : len(PULLS) + 1]), (middle, AFRESH, mix[len(PULLS) + 1 :]))
    for own, pulls, shares in kinds:
        if shares.any():
            part = part_of(_where(new, middle, own))
            columns = frozen(part.columns(features))
        for pull, weight in zip(pulls, shares, strict=True):
            if weight > 0:
                theta += weight * _modes(part, columns, pull / start["shared.own_variance"], failed)
        share = share + (shares.sum() if own is place else 0.0)
    theta[(steps == 0) | (shard.counts == 0)] = 0.0
    share[(steps == 0) | (shard.counts == 0)] = 1.0
    place = _where(new & (shard.counts > 0) & (steps > 0), middle, place)
    bias = share * place.bias + (1 - share) * middle.bias + theta[:, 0]
    factors = share[:, None] * place.factors + (1 - share[:, None]) * middle.factors + theta[:, len(features) + 1 :]
    weights = start["weights"][features] + theta[:, 1 : len(features) + 1]
    return _owned(bias, factors, features, weights), failed


def _modes(
    part: Part, columns: NDArray[np.float32], precision: NDArray[np.float64], failed: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Effects of each user, float64 (U, 1 + m + k); marks those whose numbers ran away."""
    rows, users = part.rows, len(part.rows.indptr) - 1
    own, gain, ran_away = (
        np.empty((users, len(precision))),
        np.empty((users, len(precision))),
        np.zeros(users, np.bool_),
    )
    given = columns, rows.indptr, rows.label, rows.weight, frozen(part.margin), frozen(np.tile(precision, (users, 1)))
    effects.fit_users(*given, part.squared, own, gain, ran_away)
    failed |= ran_away
    return own


def mean_users(start: State, users: int) -> Own:
    """So many mean users."""
    mean = start["shared.user_mean"].astype(REAL)
    return Own(np.full(users, mean[0]), np.tile(mean[1:], (users, 1)), *nothing(users, len(mean) - 1))


def _where(who: NDArray[np.bool_], one: Own, other: Own) -> Own:
    """The bias and factors of `one` for the users of a mask (U,), else those of `other`."""
    bias, factors = np.where(who, one.bias, other.bias), np.where(who[:, None], one.factors, other.factors)
    return replace(other, bias=bias, factors=factors)


def _owned(
    bias: NDArray[np.float64], factors: NDArray[np.float64], features: NDArray[np.int32], weights: NDArray[np.float64]
) -> Own:
    users, width = weights.shape
    begin = np.arange(users + 1, dtype=ROW) * width
    none = np.empty((0, factors.shape[1]), REAL)
    own = bias.astype(REAL), factors.astype(REAL)
    return Own(*own, np.tile(features, users), begin, weights.astype(REAL).reshape(-1), none)


def _varying(part: Part, features: NDArray[np.int32]) -> NDArray[np.int32]:
    """Those of `features` that differ between the rows of a user."""
    some = (features[low : low + MOST_FEATURES] for low in range(0, len(features), MOST_FEATURES))
    kept = [few[varying(part.columns(few)[:, 1 : len(few) + 1], part.rows.indptr)] for few in some]
    return np.concatenate([np.empty(0, COLUMN), *kept])


def _surest(part: Part, features: NDArray[np.int32]) -> NDArray[np.int32]:
    """The `MOST_FEATURES` features whose moments stand out of their noise most, ascending."""
    sure = np.empty(len(features))
    for low in range(0, len(features), MOST_FEATURES):
        some = slice(low, low + MOST_FEATURES)
        found = part.moments(features[some])
        sure[some] = (found.excess / np.maximum(found.spread, np.finfo(SUM).tiny))[1 : len(features[some]) + 1]
    return features[np.sort(np.argsort(-sure, kind="stable")[:MOST_FEATURES])]
