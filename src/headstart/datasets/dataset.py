"""What every builder of a ready data set returns."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa

from headstart.data.roles import FeatureSettings, Roles


@dataclass(frozen=True)
class Dataset:
    """A log that is ready to be read, with its default roles.

    Attributes
    ----------
    name : as the command line calls it
    title : one line that says what an event is
    table : the events, in any order
    roles, features : defaults; a caller may give another label
    """

    name: str
    title: str
    table: pa.Table
    roles: Roles
    features: FeatureSettings = field(default_factory=FeatureSettings)
