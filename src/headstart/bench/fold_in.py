"""A new user's model from that user's ratings alone: seconds of a single call, beside implicit's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from headstart.bench.factors import Latency, factorisation, fit_branches, latency, log_of
from headstart.bench.peers.call import ABSENT, Rows, ask_calls, interpreter
from headstart.bench.ratings import NETFLIX, Drawn, Ratings, draw, resized
from headstart.bench.registry import Measured
from headstart.progress import Progress, silent
from headstart.scoring import Fitted
from headstart.training.newcomers import fold_in

STAGE = "bench fold-in"


@dataclass(frozen=True)
class Size:
    """How much there is to do: `calls` single users, each with the rows of one user of training."""

    ratings: Ratings = field(default_factory=lambda: resized(NETFLIX, 0.02))
    k: int = 32
    ticks: int = 20
    calls: int = 1000


def measure(progress: Progress = silent, size: Size | None = None) -> Measured:
    """Calls a second at the median latency, one thread each."""
    size = size or Size()
    drawn, fitted = trained(size, progress)
    users = some(drawn, size.calls)
    rows = [slice(int(drawn.train.start[user]), int(drawn.train.stop[user])) for user in users]
    events = [(drawn.train.item[part].tolist(), drawn.train.label[part]) for part in rows]
    found = latency(lambda event: fold_in(fitted, *event), events)
    peer, said = calls_of_peer("fold-in", drawn, users, size.k)
    notes = (
        f"{size.ratings}, k = {size.k}, {fitted.terms[0].path.planned} local steps, users of "
        f"{np.median(drawn.train.counts[users]):.0f} ratings (median, at most {drawn.train.counts[users].max()}); "
        f"ours: {found}; {said}"
    )
    return Measured(1 / found.p50, peer, "users/s", notes)


def trained(size: Any, progress: Progress) -> tuple[Drawn, Fitted]:
    """Ratings, and personal branches on them."""
    drawn = draw(size.ratings)
    return drawn, fit_branches(log_of(drawn.train), factorisation(size.k), size.ticks, progress=progress)


def some(drawn: Drawn, number: int) -> Any:
    """Positions of users, drawn without replacement."""
    return np.random.default_rng(1).permutation(len(drawn.train))[:number]


def calls_of_peer(what: str, drawn: Drawn, users: Any, k: int) -> tuple[float | None, str]:
    """Calls a second of the peer at its median latency, and what it was."""
    if interpreter() is None:
        return None, f"no peer, {ABSENT}"
    name, seconds = ask_calls(what, Rows.of(drawn.train, drawn.train.select(np.arange(0))), users, k=k)
    found = Latency(float(np.median(seconds)), float(np.percentile(seconds, 99)), len(seconds))
    return 1 / found.p50, f"peer: {name}, ALS with as many factors on the same users: {found}"
