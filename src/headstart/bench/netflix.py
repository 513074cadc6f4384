"""Everything at the size of the Netflix data, on synthetic ratings: load, train, branch for every user, evaluate."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from headstart.bench.factors import ITEMS_ONLY, ROLES, factorisation, rmse
from headstart.bench.peers.run import peak_mb
from headstart.bench.ratings import NETFLIX, NETFLIX_STRESS, Ratings, draw
from headstart.bench.registry import Measured
from headstart.data.blocks import Blocks
from headstart.data.features import FeatureMap
from headstart.data.log import read
from headstart.engines.threads import Threads
from headstart.errors import WorkError
from headstart.methods.branch import BranchSettings, branch
from headstart.methods.method import Task
from headstart.progress import Progress, silent
from headstart.scoring import Scorer

STAGE = "bench netflix"
BATCH = 1 << 20
NAMES = ("global", "personal", "posterior")
"""What is judged: personal models are those of by-abundance, and the posterior's."""

TRAIN, TEST, ANSWER = "train.parquet", "test.parquet", "found.json"


@dataclass(frozen=True)
class Size:
    """How much there is to do; `memory` limits the sort of the log.

    The hyper-parameters were the best of a dozen on the test rows of another draw, of a tenth of the users.
    """

    ratings: Ratings = NETFLIX
    k: int = 8
    ticks: int = 20
    threads: int = 2
    memory: str = "2GB"
    learning_rate: float = 0.06
    decay: float = 0.5
    l2: float = 2.0
    row_l2: float = 0.01
    rounds: int = 8


def measure(progress: Progress = silent, size: Size | None = None) -> Measured:
    """Ratings a second from the files to the figures, in a process of its own, so that its memory is known."""
    size = size or Size()
    with TemporaryDirectory(prefix="headstart-netflix-") as folder:
        progress(STAGE, 0, 2)
        floor = _write(Path(folder), size.ratings)
        progress(STAGE, 1, 2)
        settings = {name: value for name, value in vars(size).items() if name != "ratings"}
        command = [sys.executable, "-m", "headstart.bench.netflix", folder, json.dumps(settings)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise WorkError("bench netflix", "its process", RuntimeError((done.stderr.splitlines() or ["died"])[-1]))
        found = json.loads((Path(folder) / ANSWER).read_text(encoding="utf-8"))
        progress(STAGE, 2, 2)
    seconds = found["seconds"]
    total = sum(seconds.values())
    above = ", ".join(f"{name} {found[name]:.4f} ({found[name] / floor - 1:+.2%})" for name in NAMES)
    stages = ", ".join(f"{name} {value:.0f}" for name, value in seconds.items())
    notes = (
        f"{size.ratings}; k = {size.k}, {size.ticks} epochs, {size.threads} threads; {total:.0f} s in all ({stages}), "
        f"{found['cpu']:.0f} s of processor time, {found['peak_mb'] / 1024:.2f} GiB at most; test RMSE: noise floor "
        f"{floor:.4f}, {above}, overall mean {found['mean']:.4f}; {found['served']:.0%} of the users have a model of "
        "their own"
    )
    return Measured(size.ratings.ratings / total, None, "ratings/s", notes)


def measure_stress(progress: Progress = silent, size: Size | None = None) -> Measured:
    """The same on as many ratings as the whole Netflix Prize training set has."""
    return measure(progress, size or Size(NETFLIX_STRESS))


def _write(folder: Path, shape: Ratings) -> float:
    """Two Parquet files, item by item as the Netflix Prize came; the noise floor of the test ratings."""
    drawn = draw(shape)
    for name, data in ((TRAIN, drawn.train), (TEST, drawn.test)):
        user = np.repeat(np.arange(len(data), dtype=np.int32), data.counts)
        order = np.argsort(data.item, kind="stable")
        schema = pa.schema({"user": pa.int32(), "item": pa.int32(), "rating": pa.float32()})
        with pq.ParquetWriter(folder / name, schema) as file:
            for low in range(0, len(order), BATCH):
                rows = order[low : low + BATCH]
                file.write_table(pa.table([user[rows], data.item[rows], data.label[rows]], schema=schema))
    return drawn.floor


def walk(folder: Path, k: int, ticks: int, threads: int, memory: str, **settings: float) -> dict[str, Any]:
    """The whole walk on the files in `folder`: seconds of each stage, errors on the test rows, memory."""
    seconds: dict[str, float] = {}
    begun = perf_counter()

    def lap(name: str) -> None:
        nonlocal begun
        seconds[name], begun = perf_counter() - begun, perf_counter()

    log = read(folder / TRAIN, ROLES, memory=memory, threads=threads, binary=False)
    test = read(folder / TEST, ROLES, memory=memory, threads=threads, binary=False)
    family = factorisation(k, **settings)
    task = Task(log, FeatureMap.fit(log, ITEMS_ONLY), family, ticks, Threads(threads))
    mean = float(task.blocks().label.mean(dtype=np.float64))
    lap("load")
    task.path()
    lap("global training")
    fitted = branch("by-abundance", BranchSettings(ticks=ticks, rate=family.habits.rate)).fit(task)
    lap("personal training")
    refitted = branch("posterior", BranchSettings(ticks=ticks)).fit(task)
    lap("posterior")
    scorers = dict(zip(NAMES, (Scorer(fitted), Scorer(fitted), Scorer(refitted)), strict=True))
    (blocks,), _ = scorers["personal"].blocks(test)
    errors = {
        name: _pooled(scorer.score_blocks([blocks], name == "global").margin, blocks)
        for name, scorer in scorers.items()
    }
    lap("evaluation")
    errors["mean"] = _pooled(np.full(len(blocks.label), mean, np.float32), blocks)
    served = float(np.mean(fitted.terms[0].plan.personal))
    return {"seconds": seconds, "peak_mb": peak_mb(), "cpu": process_time(), "served": served, **errors}


def _pooled(margin: Any, data: Blocks) -> float:
    return rmse(margin, data.label)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    (place / ANSWER).write_text(json.dumps(walk(place, **json.loads(sys.argv[2]))), encoding="utf-8")
