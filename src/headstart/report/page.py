"""The report as one HTML file that needs nothing beside it.

Everything that comes from data is in one block of JSON, in which no markup can begin, and reaches the page as text
alone. A content security policy lets the file's own scripts run, by their hashes, and nothing be fetched.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from importlib.resources import files
from typing import Any

from headstart.report.assemble import Report

SCRIPTS = ("echarts.min.js", "dom.js", "theme.js", "draw_users.js", "draw_spreads.js", "draw_lines.js", "page.js")


def page(report: Report) -> str:
    """`report` as HTML."""
    scripts = [_asset(name) for name in SCRIPTS]
    policy = "; ".join(
        (
            "default-src 'none'",
            "script-src " + " ".join(f"'sha256-{_digest(script)}'" for script in scripts),
            "style-src 'unsafe-inline'",
            "img-src data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    body = _asset("page.html").replace("{{data}}", inert_json(report.plain()))
    head = (
        f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">\n'
        f"<title>{html.escape(report.title)}</title>\n<style>\n{_asset('page.css')}</style>"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"{head}\n</head>\n{body}\n"
        + "\n".join(f"<script>{script}</script>" for script in scripts)
        + "\n</body>\n</html>\n"
    )


def inert_json(value: Any) -> str:
    """`value` as JSON in which no markup can begin: ASCII, without ``<``, ``>`` and ``&``."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _asset(name: str) -> str:
    return files("headstart.report").joinpath("assets", name).read_text("utf-8")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
