"""Names of implementations, loaded by import path when asked for; other packages add theirs by entry points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

import msgspec

from headstart.errors import SettingsError


@dataclass(frozen=True)
class Catalogue:
    """What can be chosen by name.

    Parameters
    ----------
    kind : what the things are, in the singular, for messages
    own : name -> ``module:attribute`` of those in this package
    reserved : names that no plugin may take, with the reason that is shown
    """

    kind: str
    own: Mapping[str, str]
    reserved: Mapping[str, str] = field(default_factory=dict)

    @property
    def group(self) -> str:
        """The entry-point group that other packages register in: ``headstart.models``."""
        return f"headstart.{self.kind}s"

    def paths(self) -> dict[str, str]:
        """Every name with its import path; the package's own win over plugins of the same name."""
        found = {point.name: point.value for point in entry_points(group=self.group) if point.name not in self.reserved}
        return found | dict(self.own)

    def load(self, name: str) -> Any:
        """The class or function called `name`.

        Raises
        ------
        SettingsError
            where the name is unknown or reserved, or its module cannot be imported
        """
        if name in self.reserved:
            raise SettingsError(f"{self.kind} {name!r} {self.reserved[name]}; known: {', '.join(sorted(self.paths()))}")
        paths = self.paths()
        if name not in paths:
            raise SettingsError(f"no {self.kind} is called {name!r}; known: {', '.join(sorted(paths))}")
        module, _, attribute = paths[name].partition(":")
        try:
            return getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise SettingsError(f"{self.kind} {name!r} cannot be loaded from {paths[name]}: {error}") from error

    def describe(self, thing: Any) -> dict[str, Any]:
        """``{"name", "settings"}`` of a frozen dataclass that this catalogue made: plain values, fit for JSON."""
        settings = msgspec.to_builtins(thing)
        settings.pop("name", None)
        return {"name": thing.name, "settings": settings}

    def build(self, description: Mapping[str, Any]) -> Any:
        """The inverse of `describe`. Nothing is imported but what the catalogue names."""
        kind = self.load(description["name"])
        try:
            return msgspec.convert(dict(description["settings"]), kind)
        except msgspec.ValidationError as error:
            raise SettingsError(f"settings of {self.kind} {description['name']!r}: {error}") from error
