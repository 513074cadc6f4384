"""What a booster learns of how users differ: effects of users on cuts that all share, with variances by moments.

Every user's model is the whole path plus leaf values of the user's own on `headstart.models.gbdt.cuts.Cuts`, the mode
of a posterior whose prior variances are estimated from everybody (`headstart.kernels.moments`). Candidates differ in
how firmly these are held to 0; the last one also grows trees of the user's own upon them. All stand on the end of the
path, so that a mix of candidates is one forest again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from headstart.data.blocks import Blocks, frozen
from headstart.kernels import effects
from headstart.kernels.dtypes import REAL, ROW, SUM
from headstart.kernels.moments import Moments, some_users, varying
from headstart.models.family import MIX, Objective, Orders, Ragged, State, Trained
from headstart.models.gbdt.bins import Bins
from headstart.models.gbdt.cuts import Cuts, joined
from headstart.models.gbdt.rows import Rows, margins
from headstart.progress import Progress, silent

PULLS = (0.3, 1.0, 3.0, 10.0)
"""Of the candidates: what prior variances are divided by. Training rows were seen by the global trees, which leaves too
little of users in their errors, so that more than the estimate is tried too."""

BENEATH, TREES, RATE = 1, 50, 0.05
"""Of the last candidate: which of `PULLS` its effects have, how many trees it grows upon them, and their shrinkage."""

MOST_CUTS = 63
"""Cuts at most: those on which users differ most surely."""

MOMENT_ROWS = 100_000
"""Rows that moments are taken of, about: those of 1,000 users at most."""

WORTH_TREES = 0.05
"""Of the last candidate in the mix: trees take long, and a lesser share goes to the effects beneath them."""

STAGE = "learning how users differ"


Grow: TypeAlias = Callable[[State, Blocks, Orders], Trained]
"""Trees of every user's own, upon the trees of a state."""


class Learns:
    """What makes a booster a `headstart.models.family.Learner`."""

    objective: Objective

    def candidates(
        self,
        at: Callable[[int], State],
        last: int,
        data: Blocks,
        threads: int = 1,
        progress: Progress = silent,
    ) -> State:
        """The end of the path, what is known of users, and a mix that is the global model; see `Learner`."""
        progress(STAGE, 0, 1)
        end = at(last)
        cuts = Cuts.choose(Bins(end["upper"], end["upper_ptr"]), Rows.of(data))
        known = _prior(end, data, cuts, self.objective)
        progress(STAGE, 1, 1)
        return {**end, **known, MIX: np.eye(len(PULLS) + 2)[0]}

    def lesson(self, state: State, names: Sequence[str], counts: NDArray[np.int64]) -> Sequence[str]:
        """What was learned, in sentences; `counts` are the users' rows (U,)."""
        mix, deviation = _mix(state), np.sqrt(state["shared.cut_variance"])
        feature = Cuts.of_state(state).feature
        most = dict.fromkeys(names[feature[place]] for place in np.argsort(-deviation[1:], kind="stable"))
        found = [f"users differ by {deviation[0]:.2f} in their level (standard deviation of the margin)"]
        if most:
            first = ", ".join(list(most)[:3])
            typical = float(np.median(deviation[1:]))
            found.append(f"by {typical:.2f} in what a cut of a feature means to them, most in {first}")
        if mix[0] >= 1:
            return [*found, "held-out rows did not gain by it: every user keeps the global model"]
        effects_share = float(mix[1:].sum())
        pull = float(np.exp(mix[1:] @ np.log([*PULLS, PULLS[BENEATH]]) / effects_share))
        half = pull / (state["shared.cut_variance"][0] * state["shared.curvature"][0])
        found.append(
            f"a user with {half:.0f} events is moved half of the way to the user's own level, one with more further"
        )
        found.append(
            f"{effects_share:.0%} of what users' own events say is believed, {mix[-1]:.0%} with trees of their own"
        )
        return found


def is_taught(start: State) -> bool:
    """Whether `start` is one of the candidates, or a mix of them."""
    return MIX in start


def fit_users(grow: Grow, objective: Objective, start: State, shard: Blocks, orders: Orders) -> Trained:
    """The mix of candidates for every user of the shard; users without rows or steps keep the start."""
    mix, cuts, rows = _mix(start), Cuts.of_state(start), Rows.of(shard)
    columns, margin = frozen(cuts.columns(rows)), margins(start, rows)
    shares = mix[1:-1].copy()
    shares[BENEATH] += mix[-1]
    theta, gain = np.zeros((2, len(shard), len(cuts) + 1))
    failed, beneath = np.zeros(len(shard), np.bool_), theta
    for k, share in enumerate(shares):
        if share == 0:
            continue
        own, theirs, ran_away = _modes(start, rows, columns, margin, PULLS[k], objective)
        theta += share * own
        gain += share * theirs
        failed |= ran_away
        beneath = own if k == BENEATH else beneath
    theta[(orders.steps == 0) | (shard.counts == 0)] = 0.0
    personal = cuts.trees(theta, gain)
    if mix[-1] > 0:
        moved = (columns * beneath[rows.owner]).sum(axis=1)
        grown = grow(start, _shifted(shard, rows, moved), _trees(orders))
        failed |= grown.failed
        value = cast(Ragged, grown.personal["value"])
        scaled: Any = {**grown.personal, "value": replace(value, values=(value.values * REAL(mix[-1])).astype(REAL))}
        personal = joined(personal, scaled)
    return Trained(personal, failed)


def _mix(start: State) -> NDArray[np.float64]:
    """Shares of the candidates."""
    mix: NDArray[np.float64] = start[MIX].copy()
    if mix[-1] < WORTH_TREES:
        mix[1 + BENEATH], mix[-1] = mix[1 + BENEATH] + mix[-1], 0.0
    return mix


def _modes(
    start: State,
    rows: Rows,
    columns: NDArray[np.float32],
    margin: NDArray[np.float64],
    pull: float,
    objective: Objective,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Effects of each user (U, m + 1), what they gain, and whose numbers ran away."""
    users = len(rows.indptr) - 1
    theta, gain, failed = (
        np.empty((users, columns.shape[1])),
        np.empty((users, columns.shape[1])),
        np.zeros(users, np.bool_),
    )
    precision = np.tile(pull / start["shared.cut_variance"], (users, 1))
    given = columns, rows.indptr, rows.label, rows.weight, frozen(margin), frozen(precision)
    effects.fit_users(*given, objective == "squared", theta, gain, failed)
    return theta, gain, failed


def _trees(orders: Orders) -> Orders:
    """Those of the last candidate's trees."""
    users = len(orders.steps)
    steps = np.where(orders.steps > 0, TREES, 0).astype(np.int32)
    return Orders(steps, np.zeros(users, REAL), np.full(users, RATE, REAL), orders.seed)


def _shifted(shard: Blocks, rows: Rows, by: NDArray[np.float64]) -> Blocks:
    """The shard with `by` added to its offsets."""
    offset = np.zeros(shard.features.shape[0], REAL)
    offset[rows.rows] = rows.offset + by
    return replace(shard, offset=offset)


def _prior(end: State, data: Blocks, cuts: Cuts, objective: Objective) -> Mapping[str, NDArray[Any]]:
    """Cuts, the variances of effects on them, and the mean curvature of a row."""
    rows = Rows.of(data.select(some_users(data.counts, MOMENT_ROWS)))
    margin = margins(end, rows)
    cuts = cuts.take(_varying(cuts, rows))
    if len(cuts) > MOST_CUTS:
        cuts = cuts.take(_surest(cuts, rows, margin, objective))
    variance, _ = _moments(cuts, rows, margin, objective).variances()
    said = 1.0 / (1.0 + np.exp(-margin))
    bend = 1.0 if objective == "squared" else float((said * (1.0 - said)).mean())
    return {**cuts.arrays, "shared.cut_variance": variance, "shared.curvature": np.array([bend])}


def _moments(cuts: Cuts, rows: Rows, margin: NDArray[np.float64], objective: Objective) -> Moments:
    return Moments.of(cuts.columns(rows), rows.indptr, rows.label, rows.weight, margin, objective == "squared")


def _varying(cuts: Cuts, rows: Rows) -> NDArray[np.int64]:
    """Places of the cuts that part the rows of a user."""
    some = (np.arange(low, min(low + MOST_CUTS, len(cuts))) for low in range(0, len(cuts), MOST_CUTS))
    kept = [places[varying(cuts.take(places).columns(rows)[:, 1:], rows.indptr)] for places in some]
    return np.concatenate([np.empty(0, ROW), *kept])


def _surest(cuts: Cuts, rows: Rows, margin: NDArray[np.float64], objective: Objective) -> NDArray[np.int64]:
    """Places of the `MOST_CUTS` cuts whose moments stand out of their noise most, ascending."""
    sure = np.empty(len(cuts))
    for low in range(0, len(cuts), MOST_CUTS):
        places = np.arange(low, min(low + MOST_CUTS, len(cuts)))
        found = _moments(cuts.take(places), rows, margin, objective)
        sure[places] = (found.excess / np.maximum(found.spread, np.finfo(SUM).tiny))[1:]
    return np.sort(np.argsort(-sure, kind="stable")[:MOST_CUTS])
