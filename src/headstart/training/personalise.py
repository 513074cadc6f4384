"""Personal training: plan -> shards of users that leave at one tick -> engine -> store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headstart.data.blocks import Blocks
from headstart.data.vocab import keys
from headstart.engines import Engine
from headstart.models.family import ModelFamily, Orders, Trained, take_users
from headstart.path import GlobalPath
from headstart.progress import Progress, silent
from headstart.schedules import Plan, Reason
from headstart.store import PersonalStore

ROWS_PER_SHARD = 1 << 17


@dataclass(frozen=True)
class Shard:
    """Users that leave the path at one tick and are trained in one call.

    Attributes
    ----------
    number : of the shard, from 0
    tick : t_u of all of them
    positions : int64, where they stand in the plan and in the blocks
    """

    number: int
    tick: int
    positions: NDArray[np.int64]

    def __str__(self) -> str:
        return f"shard {self.number} ({len(self.positions)} users that leave at tick {self.tick})"


@dataclass(frozen=True)
class _Work:
    """What every shard needs."""

    family: ModelFamily
    path: GlobalPath
    plan: Plan
    blocks: Blocks
    orders: Orders


def shards(plan: Plan, events: NDArray[np.int64], rows: int = ROWS_PER_SHARD) -> Iterator[Shard]:
    """Cut the users with a personal model into shards of one tick and about `rows` events (U,) each.

    Users with as many events or more have a shard to themselves. Theirs come first, the heaviest at the beginning, so
    that none is left to run alone at the end; the other shards are of a size.
    """
    heavy = np.flatnonzero(plan.personal & (events >= rows))
    parts = [heavy[[k]] for k in np.argsort(-events[heavy], kind="stable")]
    light = plan.personal & (events < rows)
    for tick in np.unique(plan.ticks[light]):
        members = np.flatnonzero(light & (plan.ticks == tick))
        piece = (np.cumsum(events[members]) - events[members]) // rows
        parts += np.split(members, np.flatnonzero(np.diff(piece)) + 1)
    for number, part in enumerate(parts):
        yield Shard(number, int(plan.ticks[part[0]]), part)


def personalise(
    family: ModelFamily,
    path: GlobalPath,
    plan: Plan,
    blocks: Blocks,
    *,
    engine: Engine,
    store: PersonalStore,
    rate: float,
    seed: int = 0,
    rows_per_shard: int = ROWS_PER_SHARD,
    progress: Progress = silent,
) -> Plan:
    """Train every user that the plan gives a personal model, and put the models into `store`.

    Parameters
    ----------
    plan, blocks : of the same users in the same order
    rate : step size as a share of 1 / (the user's own curvature bound)
    rows_per_shard : about how many events a shard holds; the models do not depend on it

    Returns
    -------
    Plan
        in which users whose training failed are served the global model, with the reason
    """
    orders = Orders(
        steps=plan.steps,
        pull=plan.pull,
        rate=np.full(len(plan.steps), rate, np.float32),
        seed=keys(plan.users) ^ np.uint64(seed % 2**64),
    )
    work = _Work(family, path, plan, blocks, orders)
    total, done = int(plan.personal.sum()), 0
    failed = np.zeros(len(plan.steps), np.bool_)
    for shard, trained in engine.map(personal_training, work, shards(plan, blocks.counts, rows_per_shard)):
        good = np.flatnonzero(~trained.failed)
        failed[shard.positions[trained.failed]] = True
        if len(good):
            personal = trained.personal if len(good) == len(shard.positions) else take_users(trained.personal, good)
            store.put(plan.users.take(pa.array(shard.positions[good])), personal)
        done += len(shard.positions)
        progress("personal training", done, total)
    return plan.because(failed, Reason.DIVERGED)


def personal_training(work: _Work, shard: Shard) -> Trained:
    """Train one shard."""
    orders = Orders(
        steps=work.orders.steps[shard.positions],
        pull=work.orders.pull[shard.positions],
        rate=work.orders.rate[shard.positions],
        seed=work.orders.seed[shard.positions],
    )
    return work.family.fit_users(work.path.at(shard.tick), work.blocks.select(shard.positions), orders)
