"""Factorisation machines."""

from headstart.models.fm.machine import FactorizationMachine

__all__ = ["FactorizationMachine"]
