"""From a comparison's document to a report; a report is chapters, of which a comparison is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from headstart.report.chapter import Chapter, chapter

Plain = Mapping[str, Any]


@dataclass(frozen=True)
class Report:
    """What a page and Markdown show.

    Attributes
    ----------
    title, lead : what was done, and on which data
    chapters : in the order of the page; one without an id is the whole report
    version : of the program
    """

    title: str
    lead: str
    chapters: Sequence[Chapter]
    version: str = field(default="")

    def plain(self) -> dict[str, Any]:
        """As plain values: all that the page's script reads."""
        return {
            "title": self.title,
            "lead": self.lead,
            "chapters": [one.plain() for one in self.chapters],
            "version": self.version,
        }


def assemble(document: Plain, details: Plain, more: Plain | None = None, version: str = "") -> Report:
    """Lay out the report of one comparison.

    Parameters
    ----------
    document : what ``headstart compare --json`` writes
    details : users, plans, weights and segments, see `headstart.experiments.details`
    more : documents of further experiments, ``curves``, ``trees`` and ``shares``, see `headstart.report.extras`; those
        that are missing are not drawn
    version : of the program, said at the foot
    """
    only = chapter("", "", document, details, more)
    return Report(f"Headstart: {only.document['dataset']}", only.lead, [replace(only, lead="")], version)
