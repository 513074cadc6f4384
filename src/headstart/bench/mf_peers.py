"""Time to the RMSE that other libraries' alternating least squares reach on the same ratings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.bench.factors import ITEMS_ONLY, epochs, factorisation, rmse
from headstart.bench.peers.call import Found, Rows, ask
from headstart.bench.ratings import ML_10M, Ratings, draw, resized
from headstart.bench.registry import Measured
from headstart.data.blocks import Blocks
from headstart.data.features import FeatureMap
from headstart.data.log import read
from headstart.data.roles import Roles
from headstart.data.split import split
from headstart.datasets.registry import build
from headstart.errors import InputError
from headstart.progress import Progress, silent

STAGE = "bench mf-peers"
GRIDS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "lenskit-als": [{"embedding_size": k, "regularization": l2} for k in (16, 50) for l2 in (0.1, 0.2)],
    "implicit-als": [
        {"factors": k, "alpha": alpha, "regularization": 1.0, "signed": True} for k in (8, 16) for alpha in (5.0, 10.0)
    ],
}
"""Settings tried for each peer; LensKit's own, 50 factors and .1, are among them."""


@dataclass(frozen=True)
class Size:
    """How much there is to do: peers are tuned on `tune_share` of the users of the generated ratings."""

    ratings: Ratings = ML_10M
    tune_share: float = 0.02
    epochs: int = 60
    threads: int = 2
    real: bool = True
    grids: Mapping[str, Sequence[Mapping[str, Any]]] | None = None


@dataclass(frozen=True)
class Race:
    """One set and one peer: the RMSE to reach, the seconds of both; ours None where it was not reached."""

    data: str
    peer: str
    goal: float
    theirs: float
    ours: float | None
    best: float

    @property
    def ratio(self) -> float:
        """How many times as long the peer takes."""
        return self.theirs / self.ours if self.ours else 0.0

    def __str__(self) -> str:
        ours = f"{self.ours:.2f} s" if self.ours else f"not reached, our best is {self.best:.4f}"
        return f"{self.data}: RMSE {self.goal:.4f} by {self.peer} in {self.theirs:.2f} s, ours {ours}"


def measure(progress: Progress = silent, size: Size | None = None) -> Measured:
    """The slowest race of all sets and peers, in fits a minute; the notes have every one."""
    size = size or Size()
    sets, left_out = _sets(size)
    races: list[Race] = []
    for name, train, test, tuned_on in sets:
        rows, small = Rows.of(train, test), _with_tune(Rows.of(*tuned_on))
        curve = None
        for peer, grid in (size.grids or GRIDS).items():
            progress(STAGE, len(races), len(sets) * len(GRIDS))
            chosen = ask(peer, small, grid=grid, threads=size.threads).settings
            found = ask(peer, rows, settings=chosen, threads=size.threads)
            if curve is None:
                curve = _ours(train, test, size)
            races.append(_race(name, found, curve))
    progress(STAGE, len(races), len(races))
    worst = min(races, key=lambda race: race.ratio)
    notes = (
        f"the slowest race of {len(races)}; {'; '.join(map(str, races))}; {left_out}the peer's seconds are those of "
        f"the epoch with its lowest test RMSE, ours of the first epoch that is no worse, preparation included, "
        f"{size.threads} threads each; peers tuned on tune rows, ours with its defaults"
    )
    return Measured(60 / worst.ours if worst.ours else 0.0, 60 / worst.theirs, "fits/min", notes)


def _sets(size: Size) -> tuple[list[tuple[str, Blocks, Blocks, tuple[Blocks, Blocks]]], str]:
    """Name, training and test rows, and the rows that peers are tuned on; what was left out and why."""
    drawn, small = draw(size.ratings), draw(resized(size.ratings, size.tune_share))
    sets = [(str(size.ratings), drawn.train, drawn.test, (small.train, small.train))]
    if not size.real:
        return sets, ""
    try:
        train, test = ml_100k()
    except InputError as error:
        return sets, f"ml-100k left out ({error}); "
    return [("ml-100k", train, test, (train, train)), *sets], ""


def ml_100k() -> tuple[Blocks, Blocks]:
    """Training and test rows of the first of five random folds, from the folder in HEADSTART_DATA."""
    table = build("ml-100k").table
    log = read(table, Roles(user="user_id", item="item_id", label="rating", features=()), binary=False)
    part = split(log, "kfold", seed=0, tune=0.0)[0]
    train, test = log.take(~part.test), log.take(part.test)
    features = FeatureMap.fit(log, ITEMS_ONLY)
    return features.blocks(train)[0], features.blocks(test)[0]


def _with_tune(rows: Rows) -> Rows:
    """Training rows alone, a fifth of them to tune on."""
    kept = rows.code == 0
    code = np.where(np.random.default_rng(0).random(int(kept.sum())) < 0.2, 1, 0).astype(np.int8)
    code[:: max(1, len(code) // 100)] = 2  # a peer is always asked for predictions of test rows
    return Rows(rows.user[kept], rows.item[kept], rows.rating[kept], code)


def _ours(train: Blocks, test: Blocks, size: Size) -> list[tuple[float, float]]:
    """Seconds so far and RMSE after each epoch; one epoch before the clock starts loads the kernels."""
    family, label = factorisation(), test.label[test.rows()]
    next(epochs(family, train.select(np.arange(min(len(train), 10))), 1, size.threads))
    curve: list[tuple[float, float]] = []
    for seconds, state in epochs(family, train, size.epochs, size.threads):
        curve.append((seconds, rmse(family.score(state, None, test), label)))
    return curve


def _race(name: str, found: Found, curve: Sequence[tuple[float, float]]) -> Race:
    at = min(found.curve, key=lambda point: point["rmse"])
    ours = next((seconds for seconds, reached in curve if reached <= at["rmse"]), None)
    settings = ", ".join(f"{key} {value}" for key, value in found.settings.items())
    return Race(name, f"{found.peer} ({settings})", at["rmse"], at["seconds"], ours, min(found for _, found in curve))
