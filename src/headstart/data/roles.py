"""Which column of a log plays which part, and how features are to be made of the rest."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from headstart.errors import SettingsError

_RULE = re.compile(r"^(?P<column>.+?)\s*(?P<sign>>=|<=|==|>|<)\s*(?P<value>-?\d+(\.\d+)?([eE][-+]?\d+)?)$")


@dataclass(frozen=True)
class LabelRule:
    """A label made of a numeric column: 1 where ``column sign value`` holds, else 0."""

    sign: str
    value: float


@dataclass(frozen=True)
class Roles:
    """Names of the columns that play a part.

    Attributes
    ----------
    user : the entity whose events make a block
    label : outcome column; None when only scoring
    rule : turns a numeric column into a label of 0 and 1; None: the column is the label
    positive : value of a string label that counts as 1
    item, time, list, weight, offset : further parts; None: there is no such column
    features : the columns to use, None: every other one
    categorical : columns to treat as categories though they are numbers
    drop : columns to leave out
    """

    user: str
    label: str | None = None
    rule: LabelRule | None = None
    positive: str | None = None
    item: str | None = None
    time: str | None = None
    list: str | None = None
    weight: str | None = None
    offset: str | None = None
    features: tuple[str, ...] | None = None
    categorical: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()

    def with_label(self, text: str) -> Roles:
        """The same roles with the label of `text`: a column name or a rule such as ``rating>=4``."""
        match = _RULE.match(text)
        if match is None:
            if not text.strip():
                raise SettingsError("the label is empty; give a column name or a rule such as rating>=4")
            return replace(self, label=text, rule=None)
        rule = LabelRule(match["sign"], float(match["value"]))
        return replace(self, label=match["column"], rule=rule)

    @property
    def taken(self) -> tuple[str, ...]:
        """Columns that play a part other than feature, in a fixed order, no repeats."""
        named = (self.user, self.label, self.item, self.time, self.list, self.weight, self.offset)
        return tuple(dict.fromkeys(name for name in named if name is not None))


@dataclass(frozen=True)
class FeatureSettings:
    """How features are made.

    Attributes
    ----------
    max_onehot : categories of a column up to which it is one-hot encoded; above it is hashed
    hash_buckets : columns that a hashed one gets
    item_statistics : add each item's log count and smoothed mean label, out of fold by user (needs an item column)
    columns : whether the log's columns become features at all; False: items and users are all there is
    items : whether each event's item is coded, for families with parameters of items
    bags : named sets of columns, each ``(name, columns)``; the bag ``all`` always exists
    """

    max_onehot: int = 256
    hash_buckets: int = 1024
    item_statistics: bool = False
    columns: bool = True
    items: bool = False
    bags: tuple[tuple[str, tuple[str, ...]], ...] = ()
