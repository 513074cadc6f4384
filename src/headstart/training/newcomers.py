"""Models for users who came after training: from the saved path and borders, without the others' events."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from headstart.data.log import EventLog
from headstart.engines import Engine
from headstart.errors import DataError
from headstart.progress import Progress, silent
from headstart.schedules import Plan, UserTable
from headstart.scoring import Fitted, load_model
from headstart.scoring.files import change_users
from headstart.store import PersonalStore
from headstart.training.personalise import personalise


def personalise_model(path: str | Path, log: EventLog, *, engine: Engine, progress: Progress = silent) -> Plan:
    """Give every user of `log`, which holds all of their events, a model in the folder `path`; the global one stays.

    Returns
    -------
    Plan
        the rows of these users in the first term
    """
    fitted = load_model(path)
    plans: list[Plan] = []

    def train(term: int, store: PersonalStore) -> Plan:
        plans.append(personalise_later(fitted, log, term, engine=engine, store=store, progress=progress))
        store.seal()
        return plans[-1]

    change_users(path, train)
    return plans[0]


def personalise_later(
    fitted: Fitted, log: EventLog, term: int, *, engine: Engine, store: PersonalStore, progress: Progress = silent
) -> Plan:
    """Train a personal model of term number `term` for every user of `log`, which holds all of their events.

    Returns
    -------
    Plan
        the rows of these users: their groups follow from the saved borders
    """
    part = fitted.terms[term]
    if log.roles.user != part.entity:
        raise DataError(f"term {term} has models of {part.entity!r}; read the events with --user {part.entity}")
    blocks = log.blocks(fitted.features.transform(log, part.bag)[0])
    recipe = part.recipe
    table = UserTable(blocks.users, blocks.counts.astype(np.int64))
    plan = recipe.schedule.plan(table, part.path.planned, borders=recipe.borders)
    return personalise(
        part.family,
        part.path,
        plan,
        blocks,
        engine=engine,
        store=store,
        rate=recipe.rate,
        seed=recipe.seed,
        progress=progress,
    )
