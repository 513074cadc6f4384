"""Contracts that every family, schedule, engine and store keeps, to be subclassed by those who add one."""
