"""What a figure was measured on."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

from headstart.engines.threads import cores


def machine() -> str:
    """One line: processor, cores that this process may use, SIMD, versions."""
    facts = _processor()
    flags = set(facts.get("flags", "").split())
    simd = [name for name in ("sse4_2", "avx2", "fma", "avx512f") if name in flags]
    name = facts.get("model name") or platform.processor() or platform.machine()
    versions = ", ".join(f"{package} {version(package)}" for package in ("numpy", "numba"))
    return (
        f"{name}, {cores()} cores, {' '.join(simd) or 'SIMD unknown'}, Python {platform.python_version()}, {versions}"
    )


def _processor() -> dict[str, str]:
    """What Linux says of the first processor; nothing on other systems."""
    try:
        block = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0]
    except OSError:
        return {}
    lines = (line.partition(":") for line in block.splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}
