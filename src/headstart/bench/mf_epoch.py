"""An epoch of matrix factorisation: ratings a second, beside scikit-surprise's SVD with as many factors."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from time import perf_counter

from headstart.bench.factors import factorisation
from headstart.bench.peers.call import ABSENT, Rows, ask, interpreter
from headstart.bench.ratings import ML_10M, Ratings, draw, resized
from headstart.bench.registry import Measured
from headstart.data.blocks import Blocks
from headstart.progress import Progress, silent

STAGE = "bench mf-epoch"


@dataclass(frozen=True)
class Size:
    """How much there is to do; the peer, who takes dozens of times as long, gets a share of the users."""

    ratings: Ratings = ML_10M
    k: int = 32
    epochs: int = 7
    peer_share: float = 0.05
    peer_epochs: int = 3
    threads: int = 2


def measure(progress: Progress = silent, size: Size | None = None) -> Measured:
    """Median seconds of an epoch, preparation apart."""
    size = size or Size()
    data = draw(size.ratings).train
    progress(STAGE, 0, 3)
    preparing, times = _epochs(data, size, size.threads)
    progress(STAGE, 1, 3)
    _, single = _epochs(data, size, 1)
    progress(STAGE, 2, 3)
    peer, said = _peer(size) if interpreter() else (None, f"no peer, {ABSENT}")
    progress(STAGE, 3, 3)
    n = len(data.label)
    notes = (
        f"{size.ratings}, {n:,} of them trained on, k = {size.k}, {size.threads} threads, median of "
        f"{size.epochs} epochs (fastest {n / min(times) / 1e6:.1f}M ratings/s), preparing them takes {preparing:.2f} s "
        f"once; one thread {n / median(single) / 1e6:.1f}M ratings/s; {said}"
    )
    return Measured(n / median(times), peer, "ratings/s", notes)


def _peer(size: Size) -> tuple[float, str]:
    """Ratings a second of the peer, and what it was."""
    part = draw(resized(size.ratings, size.peer_share))
    settings = {"n_factors": size.k, "n_epochs": size.peer_epochs}
    found = ask("surprise-svd", Rows.of(part.train, part.test), settings=settings, threads=1)
    n = len(part.train.label)
    said = (
        f"peer: {found.peer}, SVD, which has one thread, on {n:,} ratings of the same law, "
        f"mean of {size.peer_epochs} epochs"
    )
    return n * size.peer_epochs / found.seconds_fit, said


def _epochs(data: Blocks, size: Size, threads: int) -> tuple[float, list[float]]:
    """Seconds of the preparation, and of each epoch after a first one that compiles."""
    family = factorisation(size.k)
    begun = perf_counter()
    prep = family.prepare(data, 0, threads)
    preparing = perf_counter() - begun
    run = family.step(family.init(prep), prep)
    times = []
    for _ in range(size.epochs):
        begun = perf_counter()
        run = family.step(run, prep)
        times.append(perf_counter() - begun)
    return preparing, times
