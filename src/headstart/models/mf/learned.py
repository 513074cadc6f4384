"""What a matrix factorisation learns: several item sides fitted once more, and how much each has to say.

Beside the global model, each part is the item side of `headstart.models.mf.posterior` with the users' moments, from a
path with a number of factors of its own; a user's model is a mix of the user's place at the end of the path and of
posterior means. A sum of factorisations is one factorisation: the factors and item biases of all stand side by side,
and a user's factors carry the shares. A user whom training did not see has no place; its share goes to the first part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from headstart.data.blocks import Blocks
from headstart.data.vocab import entity_keys
from headstart.kernels.dtypes import REAL, ROW
from headstart.models.family import MIX, USER_KEY, State
from headstart.models.mf import posterior
from headstart.progress import Progress, silent

WIDTHS = (1.0, 0.5)
"""Factors of each part, as a share of the family's. The first part is the method `posterior`."""

KEPT = ("mu", "user_mean", "user_precision", "noise", "item_variance")
"""What a part keeps of its own, beside its items."""


class Learns:
    """What makes matrix factorisation a `headstart.models.family.Learner`."""

    factors: int
    rounds: int

    def candidates(
        self, at: Callable[[int], State], last: int, data: Blocks, threads: int = 1, progress: Progress = silent
    ) -> State:
        """The end of the path and item sides fitted once more, side by side, and a mix that is the first of these."""
        end = at(last)
        ends = [end, *self._other_ends(last, data, threads, progress)]
        parts = [posterior.refit(one, data, self.rounds, threads, progress) for one in ends]
        items = [np.column_stack([p["shared.item_factors"], p["shared.item_bias"]]) for p in (end, *parts)]
        own = {f"shared.part{c}.{name}": _of(part, name) for c, part in enumerate(parts) for name in KEPT}
        return {
            **{name: end[name] for name in ("mu", "range", USER_KEY, "user.bias", "user.factors")},
            "shared.item_bias": np.zeros(len(items[0]), REAL),
            "shared.item_factors": np.ascontiguousarray(np.hstack(items)),
            "shared.ends": np.cumsum([side.shape[1] for side in items]).astype(ROW),
            **own,
            MIX: np.eye(len(parts) + 1)[1],
        }

    def lesson(self, state: State, names: Sequence[str], counts: NDArray[np.int64]) -> Sequence[str]:
        """What was learned, in sentences; `counts` are the users' ratings (U,)."""
        first, mix = _part(state, 0), state[MIX]
        spread = np.linalg.inv(first["shared.user_precision"])
        noise, level = float(first["shared.noise"][0]), float(spread[-1, -1])
        widths = np.diff(state["shared.ends"]) - 1
        says = ", ".join(f"{share:.0%} by {width} factors" for share, width in zip(mix[1:], widths, strict=True))
        return [
            f"ratings differ by {noise**0.5:.2f} from what is known, users by {level**0.5:.2f} in their level"
            " (standard deviations)",
            f"a user with {noise / level:.1f} ratings is moved half of the way to their level",
            f"a user's model is made {mix[0]:.0%} by the global one, and item sides fitted once more: {says}",
        ]

    def _other_ends(self, last: int, data: Blocks, threads: int, progress: Progress) -> Iterator[State]:
        """The ends of paths with other numbers of factors."""
        for share in WIDTHS[1:]:
            family: Any = replace(cast(Any, self), factors=max(1, round(share * self.factors)))
            prep = family.prepare(data, 0, threads)
            run = family.init(prep)
            for tick in range(last):
                run = family.step(run, prep)
                progress(f"global training with {family.factors} factors", tick + 1, last)
            yield family.state(run)


def is_taught(start: State) -> bool:
    """Whether `start` has parts side by side."""
    return MIX in start


def user_side(
    start: State, known: NDArray[np.bool_], bias: NDArray[np.float32], factors: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Biases and factors for the items of all parts, of users who are not personalised: float32 (U,), (U, k).

    Parameters
    ----------
    known : whether the path has a place for the user, (U,); others are taken for the mean user
    bias, factors : at that place
    """
    mix = start[MIX][1:]
    shares = mix / mix.sum() if mix.any() else np.eye(len(mix))[0]
    sides = [_part(start, c)["shared.user_mean"][None, :] for c in range(len(shares))]
    means = _mixed(start, [np.zeros((1, factors.shape[1] + 1)), *sides], np.append(0.0, shares)[:, None])
    out = np.tile(means.astype(REAL), (len(bias), 1))
    out[known] = 0.0
    out[known, : factors.shape[1]], out[known, factors.shape[1]], out[known, -1] = factors[known], 1.0, bias[known]
    return out[:, -1].copy(), np.ascontiguousarray(out[:, :-1])


def fit_users(
    start: State, places: NDArray[np.float32], shard: Blocks, asked: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The mix for the users who are `asked` (U,), float32 (U, k + 1), factors then bias; and whose numbers ran away.

    Parameters
    ----------
    places : what `user_side` says of them, float32 (U, k + 1)
    """
    users, failed = len(shard), np.zeros(len(shard), np.bool_)
    shares: NDArray[np.float64] = np.tile(start[MIX][:, None], (1, users))
    known = np.isin(entity_keys(shard.users), start[USER_KEY])
    shares[1, ~known] += shares[0, ~known]
    shares[0, ~known] = 0.0
    width = int(start["shared.ends"][0])
    own = np.column_stack([places[:, : width - 1], places[:, -1]])
    sides: list[NDArray[Any]] = [np.where(known[:, None], own, 0.0)]
    for number, share in enumerate(shares[1:]):
        part = _part(start, number)
        side, ran_away = posterior.fit_users(part, shard, asked & (share > 0))
        failed |= ran_away
        sides.append(side)
    out: NDArray[np.float32] = _mixed(start, sides, shares).astype(REAL)
    out[~asked] = places[~asked]
    return out, failed


def _mixed(start: State, sides: Sequence[NDArray[Any]], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Users of the path and of each part (U, k_c + 1), mixed by `shares` (1 + C, U), for the items side by side."""
    columns, bias = [], np.zeros(shares.shape[1])
    for number, (side, share) in enumerate(zip(sides, shares, strict=True)):
        columns += [share[:, None] * side[:, :-1], share[:, None]]
        mean = float(start[f"shared.part{number - 1}.mu"][0] - start["mu"][0]) if number else 0.0
        bias += share * (side[:, -1] + mean)
    return np.column_stack([*columns, bias])


def _part(start: State, number: int) -> State:
    """Part `number`, from 0, as `posterior.refit` gave it."""
    begin, end = start["shared.ends"][number : number + 2]
    items = start["shared.item_factors"][:, begin:end]
    own = {f"shared.{name}": start[f"shared.part{number}.{name}"] for name in KEPT[1:]}
    factors, bias = np.ascontiguousarray(items[:, :-1]), np.ascontiguousarray(items[:, -1])
    return {"mu": start[f"shared.part{number}.mu"], "shared.item_factors": factors, "shared.item_bias": bias, **own}


def _of(part: State, name: str) -> NDArray[Any]:
    return part[name if name == "mu" else f"shared.{name}"]
