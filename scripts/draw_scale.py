"""Draws what ``headstart bench newsportal --share S --json FILE`` measured at several shares.

Usage: ``python scripts/draw_scale.py docs/scale.svg FILE.json [FILE.json ...]``
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

WIDE, HIGH, LEFT, TOP, GAP = 330, 220, 60, 50, 110
STYLE = "font-family:sans-serif;font-size:12px;fill:#333"


def panel(at: int, title: str, unit: str, points: Sequence[tuple[float, float]]) -> list[str]:
    """One plot of points (million events, value), with the straight line from 0 through the largest."""
    most_x, most_y = (1.1 * max(values) for values in zip(*points, strict=True))

    def place(x: float, y: float) -> tuple[float, float]:
        return at + WIDE * x / most_x, TOP + HIGH * (1 - y / most_y)

    last = max(points)
    (x0, y0), (x1, y1) = place(0, 0), place(most_x / 1.1, last[1])
    drawn = [
        f'<text x="{at}" y="{TOP - 18}" style="{STYLE};font-weight:bold">{title}</text>',
        f'<path d="M{at},{TOP} V{TOP + HIGH} H{at + WIDE}" fill="none" stroke="#333"/>',
        f'<path d="M{x0:.1f},{y0:.1f} L{x1:.1f},{y1:.1f}" stroke="#999" stroke-dasharray="4 4"/>',
        f'<text x="{at + WIDE / 2}" y="{TOP + HIGH + 40}" text-anchor="middle" style="{STYLE}">million events</text>',
        f'<text x="{at - 8}" y="{TOP - 4}" text-anchor="end" style="{STYLE}">{unit}</text>',
    ]
    for x, y in points:
        px, py = place(x, y)
        drawn += [
            f'<circle cx="{px:.1f}" cy="{py:.1f}" r="4" fill="#1f6fb4"/>',
            f'<text x="{px - 8:.1f}" y="{py - 8:.1f}" text-anchor="end" style="{STYLE}">{y:,.3g}</text>',
            f'<text x="{px:.1f}" y="{TOP + HIGH + 18}" text-anchor="middle" style="{STYLE}">{x:.3g}</text>',
        ]
    return drawn


def picture(found: Sequence[dict[str, Any]]) -> str:
    """Processor seconds and peak memory side by side, as SVG."""
    events = [one["events"] / 1e6 for one in found]
    seconds = [(one["events"] / 1e6, one["processor"]) for one in found if "processor" in one]
    peaks = list(zip(events, (one["peak"] / 2**30 for one in found), strict=True))
    second = LEFT + WIDE + GAP
    body = panel(LEFT, "Processor time, read to judged (synthetic log)", "s", seconds)
    body += panel(second, "Peak memory, files that are mapped included", "GiB", peaks)
    size = f'width="{second + WIDE + 20}" height="{TOP + HIGH + 60}"'
    white = '<rect width="100%" height="100%" fill="#fff"/>'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size}>', white, *body, "</svg>\n"])


def main() -> int:
    """Write the picture."""
    target, *files = map(Path, sys.argv[1:])
    target.write_text(picture([json.loads(file.read_text("utf-8")) for file in files]), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
