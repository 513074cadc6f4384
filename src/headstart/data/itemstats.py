"""How often an item occurs and how its label was on average, from other users' training rows only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headstart.data.encoders import Encoded
from headstart.data.events import EventLog
from headstart.data.vocab import Vocabulary, is_text, keys
from headstart.errors import SettingsError
from headstart.kernels.dtypes import REAL

FOLDS = 5
# Events at the overall mean that every item is given: few real ones do not outweigh them.
_PSEUDO = 10.0


@dataclass(frozen=True, eq=False)
class ItemStatistics:
    """Two features, the log of an item's count and its smoothed mean label, standardised.

    Users fall into five folds by the hash of their id. A row's statistics, with the overall mean and the
    standardisation, come from training rows of users of the other four folds: no label of a user, of training or test,
    reaches a feature of that user, and training and test rows are made alike.

    Attributes
    ----------
    column : the item column
    items : Vocabulary of the I items in training
    counts, sums : float64 (I, 5), training events and their summed labels by item and fold
    """

    kind: ClassVar[str] = "item"
    column: str
    items: Vocabulary
    counts: NDArray[np.float64]
    sums: NDArray[np.float64]

    @classmethod
    def fit(cls, log: EventLog) -> ItemStatistics:
        """Count on all rows of `log`."""
        if log.item is None or log.roles.item is None:
            raise SettingsError("item statistics need an item column; give --item")
        if not len(log.label):
            raise SettingsError("item statistics need labels; give --label")
        items = Vocabulary.of(log.item)
        codes = items.index(log.item)
        known = codes >= 0
        cell = (codes * FOLDS + _folds(log))[known]
        size = len(items) * FOLDS
        counts = np.bincount(cell, minlength=size).reshape(-1, FOLDS).astype(np.float64)
        sums = np.bincount(cell, log.label[known], size).astype(np.float64).reshape(-1, FOLDS)
        return cls(log.roles.item, items, counts, sums)

    @property
    def names(self) -> tuple[str, ...]:
        return ("item:log_count", "item:mean")

    def encode(self, log: EventLog) -> Encoded:
        fold = _folds(log)
        absent = log.item is None
        codes = np.full(len(log), -1) if log.item is None else self.items.index(log.item)
        unseen = int((codes < 0).sum())
        # The last row of the table is for unknown items, where -1 leads.
        strips = tuple((k, self._table[k][fold, codes]) for k in range(2))
        return Encoded(strips, unseen=0 if absent else unseen, absent=absent)

    @cached_property
    def _table(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Standardised log count and mean label, each float32 (5, I + 1), for rows of users in each fold."""
        counts = self.counts.sum(1, keepdims=True) - self.counts
        sums = self.sums.sum(1, keepdims=True) - self.sums
        overall = sums.sum(0) / np.maximum(counts.sum(0), 1.0)
        counts, sums = (np.vstack([part, np.zeros((1, FOLDS))]) for part in (counts, sums))
        mean = (sums + _PSEUDO * overall) / (counts + _PSEUDO)
        return _standard(np.log1p(counts), counts), _standard(mean, counts)

    def to_json(self) -> dict[str, Any]:
        return {
            "column": self.column,
            "type": "string" if is_text(self.items.ids.type) else str(self.items.ids.type),
            "items": self.items.ids.to_pylist(),
            "counts": self.counts.tolist(),
            "sums": self.sums.tolist(),
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> ItemStatistics:
        """What `to_json` gave."""
        items = Vocabulary(pa.array(fields["items"], pa.type_for_alias(fields["type"])))
        shape = (len(items), FOLDS)
        counts, sums = (np.array(fields[name], np.float64).reshape(shape) for name in ("counts", "sums"))
        return cls(fields["column"], items, counts, sums)


def _folds(log: EventLog) -> NDArray[np.int64]:
    fold = (keys(log.users) % np.uint64(FOLDS)).astype(np.int64)
    return np.repeat(fold, log.counts)


def _standard(values: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float32]:
    """Each fold's column of (I + 1, 5) to mean 0 and deviation 1 over its events; turned to (5, I + 1)."""
    share = counts / np.maximum(counts.sum(0), 1.0)
    centred = values - (share * values).sum(0)
    sd = np.sqrt((share * centred**2).sum(0))
    return np.ascontiguousarray((centred / np.where(sd > 1e-9, sd, 1.0)).T, REAL)
