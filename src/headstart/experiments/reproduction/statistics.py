"""The table of data sets."""

from __future__ import annotations

from typing import Any

import pyarrow.compute as pc

from headstart.data.events import EventLog


def statistics(name: str, log: EventLog, features: int | None) -> dict[str, Any]:
    """Counts of a log, as the paper tells them of its data.

    Parameters
    ----------
    features : of an event; None: ids of users and items alone, so labels are ratings
    """
    users, events = len(log.users), len(log)
    items = None if log.item is None else int(pc.count_distinct(log.item).as_py())
    positives = int((log.label > 0).sum()) if features is not None else None
    return {
        "name": name,
        "published": False,
        "users": users,
        "items": items,
        "features": features,
        "events": events,
        "positives": positives,
        "events_per_user": events / users,
        "positives_per_user": None if positives is None else positives / users,
        "sparsity": events / (users * items) if items and features is None else None,
    }
