"""The lists that a fitted model recommends, beside what users turned to later and beside those of its global model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headstart.data.log import EventLog
from headstart.data.vocab import Vocabulary
from headstart.engines import Engine, Serial
from headstart.errors import DataError, SettingsError
from headstart.evaluation import bootstrap, pair_summary
from headstart.evaluation.recommendation import Relevant, coverage, list_metrics
from headstart.evaluation.summary import interval_summary
from headstart.kernels.dtypes import ROW
from headstart.models.family import Ragged
from headstart.scoring import Fitted
from headstart.scoring.recommend import Lister, Wish, why_not
from headstart.scoring.seen import seen_by

CLICKED = 0.5
"""Between the labels 0 and 1."""


def judges_lists(fitted: Fitted, log: EventLog) -> bool:
    """Whether there are lists of `fitted` to be judged on `log`."""
    return why_not(fitted) is None and fitted.terms[0].seen is not None and log.item is not None


def judge_lists(
    fitted: Fitted,
    log: EventLog,
    most: int = 20,
    *,
    least: float | None = None,
    seed: int = 0,
    resamples: int = 1000,
    engine: Engine | None = None,
) -> dict[str, Any]:
    """Metrics of lists of `most` items for every user with relevant items in `log`, held-out events.

    Lists are made of all items but those that training had of the user. Relevant are the distinct items of the user's
    held-out events but those; items that training had of nobody are among them, and missed.

    Parameters
    ----------
    least : the label from which an event makes its item relevant; None: any of ratings, 1 of labels 0 and 1

    Raises
    ------
    SettingsError
        where the model cannot recommend

    Returns
    -------
    Plain values; no methods where no user has a relevant item
    """
    if least is not None and not np.isfinite(least):
        raise SettingsError(f"items are relevant from a label of {least} on; give a finite number")
    engine = engine or Serial()
    listers = {
        "global": Lister(fitted, Wish(most, only_global=True), engine),
        fitted.method: Lister(fitted, Wish(most), engine),
    }
    if fitted.terms[0].family.objective == "logistic" and least is None:
        least = CLICKED
    relevant, notes = relevant_items(fitted, listers["global"].items, log, least)
    members = np.flatnonzero(relevant.counts > 0)
    users, choice = log.users.take(pa.array(members)), listers["global"].choice
    judged = Relevant(relevant.item, np.append(relevant.indptr[members], relevant.indptr[-1]))  # the others have none
    made = {name: _made(lister, users) for name, lister in listers.items()} if len(users) else {}
    metrics = {name: list_metrics(item, judged, most) for name, item in made.items()}
    found = bootstrap(metrics, seed=seed, resamples=resamples)
    return {
        "n": most,
        "least_label": least,
        "n_users": len(users),
        "n_items": choice,
        "n_relevant": int(judged.counts.sum()),
        "methods": [
            {"name": name, "metrics": interval_summary(found.metrics[name]), "coverage": coverage(item, choice)}
            for name, item in made.items()
        ],
        "pairs": [pair_summary(pair) for pair in found.pairs],
        "notes": dict(notes),
    }


def _made(lister: Lister, users: pa.Array) -> NDArray[np.int32]:
    """Codes of the items in the lists of `users`, (U, m)."""
    return np.concatenate([part.item for part in lister.lists(users)])


def relevant_items(
    fitted: Fitted, items: Vocabulary, log: EventLog, least: float | None
) -> tuple[Relevant, Mapping[str, int]]:
    """The distinct items of each user's events but those of its training events; counts of what was odd.

    Codes are those of `items`; items that it has not are numbered -1, -2, ...
    """
    if log.item is None:
        raise DataError("the held-out events name no items; give events with the item column")
    every = Vocabulary.of(log.item)
    place = every.index(log.item)
    wanted = (place >= 0) & (True if least is None else log.label >= least)
    code = items.index(every.ids)
    strange = code < 0
    code[strange] = -1 - np.arange(strange.sum())
    pairs = np.unique(log.user_of_row[wanted] * len(every) + place[wanted])
    user, item = pairs // len(every), code[pairs % len(every)]
    again = np.zeros(len(pairs), np.bool_)
    if fitted.terms[0].seen is not None:
        again = _among(user, item, seen_by(fitted.terms[0].seen, log.users), len(items))
    user, item = user[~again], item[~again]
    counts = np.bincount(user, minlength=len(log.users))
    notes = {
        "relevant_items_that_no_list_can_hold": int((item < 0).sum()),
        "items_left_out_as_seen_in_training": int(again.sum()),
    }
    return Relevant(item, np.concatenate([np.zeros(1, ROW), np.cumsum(counts)])), notes


def _among(user: NDArray[np.int64], item: NDArray[np.int64], seen: Ragged, size: int) -> NDArray[np.bool_]:
    """Which pairs of a user's position and an item's code are in `seen`."""
    owner = np.repeat(np.arange(len(seen), dtype=ROW), np.diff(seen.indptr))
    found: NDArray[np.bool_] = np.isin(user * size + item, owner * size + seen.values) & (item >= 0)
    return found
