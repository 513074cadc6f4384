"""Margins for events, from the model that serves each user. Evaluation and service call this and nothing else."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headstart.data.blocks import Blocks
from headstart.data.log import EventLog
from headstart.data.vocab import Vocabulary
from headstart.kernels.dtypes import REAL
from headstart.models.family import Personal, take_users
from headstart.scoring.fitted import Fitted, Term


NOBODY = Vocabulary(pa.array([], pa.int64()))


@dataclass(frozen=True)
class Scores:
    """What a scorer says of n events, in the order of its input.

    Attributes
    ----------
    margin : float32 (n,), the sum of the terms' margins; for a click model the log-odds
    personal : bool (n,), whether a personal model of the user served; False: the global model
    ticks : int32 (n,), t_u of the model that served
    """

    margin: NDArray[np.float32]
    personal: NDArray[np.bool_]
    ticks: NDArray[np.int32]


class Scorer:
    """Scores events with a fitted method. Unknown users are served the global model."""

    def __init__(self, fitted: Fitted) -> None:
        self.fitted = fitted
        self._users = [Vocabulary(term.plan.users) for term in fitted.terms]

    def score(self, log: EventLog) -> Scores:
        """Score the events of `log`, in its order."""
        return self.score_blocks(self.blocks(log)[0])

    def blocks(self, log: EventLog) -> tuple[list[Blocks], Counter[str]]:
        """The events of `log` as features, for each term; and counts of what the feature map had not seen in training."""
        odd: Counter[str] = Counter()
        made: dict[str, Blocks] = {}
        for bag in dict.fromkeys(term.bag for term in self.fitted.terms):
            features, report = self.fitted.features.transform(log, bag)
            odd |= Counter(report.counts())
            made[bag] = log.blocks(features)
        return [made[term.bag] for term in self.fitted.terms], odd

    def score_blocks(self, blocks: list[Blocks], only_global: bool = False) -> Scores:
        """Score events that are features already: for each term the blocks of its bag, all with the same rows.

        Parameters
        ----------
        only_global : serve everybody the global model, to compare with
        """
        parts = [
            _score_term(term, NOBODY if only_global else users, data)
            for term, users, data in zip(self.fitted.terms, self._users, blocks, strict=True)
        ]
        margin = np.sum([part.margin for part in parts], axis=0, dtype=REAL) if len(parts) > 1 else parts[0].margin
        return Scores(margin, np.any([part.personal for part in parts], axis=0), parts[0].ticks)


def _score_term(term: Term, users: Vocabulary, data: Blocks) -> Scores:
    """Margins of one term; users are taken tick by tick, since those of one tick share a start."""
    place = users.index(data.users)
    known = place >= 0
    end = np.int32(term.path.planned)
    ticks = np.where(known, term.plan.ticks[place], end) if len(users) else np.full(len(place), end)
    wanted = np.flatnonzero(known & (term.plan.personal[place] if len(users) else False) & (data.counts > 0))
    found, personal = term.store.take(data.users.take(wanted))
    served = np.zeros(len(data), np.bool_)
    served[wanted[found >= 0]] = True
    ticks = np.where(served, ticks, end).astype(np.int32)
    size = len(data.label) or data.features.shape[0]
    scores = Scores(np.zeros(size, REAL), np.zeros(size, np.bool_), np.full(size, end, np.int32))
    position = np.cumsum(served) - 1
    for tick in np.unique(ticks):
        for own in (False, True):
            members = np.flatnonzero((ticks == tick) & (served == own) & (data.counts > 0))
            if len(members):
                _fill(scores, term, data, members, int(tick), take_users(personal, position[members]) if own else None)
    return scores


def _fill(
    scores: Scores, term: Term, data: Blocks, members: NDArray[np.int64], tick: int, personal: Personal | None
) -> None:
    """Score the entities at `members`, who all start at `tick`."""
    view = data.select(members)
    rows = view.rows()
    scores.margin[rows] = term.family.score(term.path.at(tick), personal, view)
    scores.personal[rows] = personal is not None
    scores.ticks[rows] = tick
