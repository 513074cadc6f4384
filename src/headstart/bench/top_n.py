"""The 20 best of all items for one user, but for those already rated: seconds of a call, beside implicit's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.bench.factors import latency
from headstart.bench.fold_in import Size as Common
from headstart.bench.fold_in import calls_of_peer, some, trained
from headstart.bench.registry import Measured
from headstart.progress import Progress, silent
from headstart.scoring.recommend import Lister, Wish

STAGE = "bench top-n"


@dataclass(frozen=True)
class Size(Common):
    """How much there is to do."""

    most: int = 20


def measure(progress: Progress = silent, size: Size | None = None) -> Measured:
    """Lists a second at the median latency of a single user's, one thread; and of all users in one call."""
    size = size or Size()
    drawn, fitted = trained(size, progress)
    users, ids = some(drawn, size.calls), drawn.train.users
    lister = Lister(fitted, Wish(size.most))
    found = latency(lambda user: next(lister.lists(ids.slice(user, 1))), users.tolist())
    many = latency(lambda _: sum(len(lists.users) for lists in lister.lists(ids)), [None])
    peer, said = calls_of_peer("top-n", drawn, users, size.k)
    notes = (
        f"{size.ratings}, k = {size.k}, the {size.most} best of {drawn.items:,} items, what a user has rated left out; "
        f"ours: {found}; all {len(ids):,} users in one call {len(ids) / many.p50:,.0f} lists/s; personal models serve "
        f"{np.mean(fitted.terms[0].plan.personal):.0%} of the users; {said}"
    )
    return Measured(1 / found.p50, peer, "lists/s", notes)
