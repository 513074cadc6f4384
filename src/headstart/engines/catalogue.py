"""Engines by name."""

from __future__ import annotations

from headstart.plugins import Catalogue

ENGINES = Catalogue(
    kind="engine",
    own={"serial": "headstart.engines.serial:Serial", "threads": "headstart.engines.threads:Threads"},
)
