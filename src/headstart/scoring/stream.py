"""Predictions for a stream of events of any length."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from headstart.data.log import EventLog
from headstart.scoring.scorer import Scorer

SERVED = pa.array(["global", "personal"])


@dataclass
class Counts:
    """What a stream of predictions met on its way."""

    events: int = 0
    personal: int = 0
    odd: Counter[str] = field(default_factory=Counter)

    def oddities(self) -> list[str]:
        """A line for each thing that the model had not seen in training."""
        return [f"{what}: {count:,}" for what, count in sorted(self.odd.items())]


def predictions(scorer: Scorer, logs: Iterable[EventLog], counts: Counts) -> Iterator[pa.Table]:
    """Tables with the columns user, score, model and t_u, in the original order; `counts` is kept up to date."""
    for log in logs:
        blocks, odd = scorer.blocks(log)
        scores = scorer.score_blocks(blocks)
        order = np.argsort(log.row, kind="stable")
        users = log.users.take(pa.array(np.repeat(np.arange(len(log.users)), log.counts)))
        counts.events += len(log)
        counts.personal += int(scores.personal.sum())
        counts.odd.update(odd)
        yield pa.table(
            {
                "user": users.take(pa.array(order)),
                "score": scorer.fitted.respond(scores.margin)[order],
                "model": pa.DictionaryArray.from_arrays(pa.array(scores.personal[order].astype(np.int8)), SERVED),
                "t_u": scores.ticks[order],
            }
        )
