"""What a fitted method says of its users: their place in the plan, and the weights of their models by feature name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from headstart.data.vocab import Vocabulary
from headstart.errors import SettingsError
from headstart.models.family import Moved, take_users
from headstart.schedules import Reason
from headstart.scoring.fitted import Fitted, Term


def explain(fitted: Fitted, user: int | str, most: int = 10) -> dict[str, Any]:
    """What is known of one user: in each term events, group, t_u, steps, reason, the `most` weights that moved most.

    Raises
    ------
    SettingsError
        where no term knows the user
    """
    terms = [found for term in fitted.terms if (found := _explain_term(fitted, term, user, most)) is not None]
    if not terms:
        raise SettingsError(f"the model knows no user {user!r}; it would be served the global model")
    return {"user": str(user), "method": fitted.method, "terms": terms}


def weights(fitted: Fitted) -> Iterator[pa.Table]:
    """Every weight of every personal model, a shard at a time: tables with columns term, user, feature, weight."""
    for term in fitted.terms:
        names = fitted.features.names(term.bag)
        places = Vocabulary(term.plan.users)
        for users, personal in term.store.scan():
            ticks = term.plan.ticks[places.index(users)]
            for tick in np.unique(ticks):
                members = np.flatnonzero(ticks == tick)
                features, values = term.family.weights(term.path.at(int(tick)), take_users(personal, members), names)
                yield pa.table(
                    {
                        "term": pa.DictionaryArray.from_arrays(
                            pa.array(np.zeros(values.size, np.int32)), pa.array([term.entity])
                        ),
                        "user": users.take(pa.array(np.repeat(members, len(features)))),
                        "feature": pa.DictionaryArray.from_arrays(
                            pa.array(np.tile(np.arange(len(features), dtype=np.int32), len(members))),
                            pa.array(features),
                        ),
                        "weight": values.ravel(),
                    }
                )


def global_text(fitted: Fitted) -> str:
    """The global model as the text of the library that it came from.

    Raises
    ------
    SettingsError
        where its family has none
    """
    term = fitted.terms[0]
    write = getattr(term.family, "to_lightgbm", None)
    if write is None:
        raise SettingsError(f"{term.family.name} is no model of LightGBM's; only gbdt has its text")
    text: str = write(term.path.end(), fitted.features.names(term.bag))
    return text


def _explain_term(fitted: Fitted, term: Term, user: int | str, most: int) -> dict[str, Any] | None:
    plan, place = term.plan, term.plan.place(user)
    if place < 0:
        return None
    personal = term.store.get(plan.users[place].as_py()) if plan.personal[place] else None
    start, end = term.path.at(int(plan.ticks[place])), term.path.end()
    names = fitted.features.names(term.bag)
    moved = None if personal is None else term.family.moved(start, end, personal, names)
    return {
        "entity": term.entity,
        "events": int(plan.events[place]),
        "group": int(plan.group[place]),
        "t_u": int(plan.ticks[place]),
        "ticks": term.path.planned,
        "steps": int(plan.steps[place]),
        "pull": float(plan.pull[place]),
        "serve": "global" if personal is None else "personal",
        "reason": Reason(int(plan.reason[place])).label,
        "facts": {} if moved is None else dict(moved.facts),
        "moved": [] if moved is None else _moved(moved, most),
    }


def _moved(moved: Moved, most: int) -> list[dict[str, Any]]:
    """The features that moved furthest from the global model, furthest first; those that did not move are left out."""
    furthest = np.argsort(-np.abs(moved.change), kind="stable")[:most]
    return [
        {
            "feature": moved.names[place],
            "global": float(moved.shared[place]),
            "personal": float(moved.own[place]),
            "moved": float(moved.change[place]),
        }
        for place in furthest
        if moved.change[place]
    ]
