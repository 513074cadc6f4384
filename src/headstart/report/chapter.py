"""A part of a report: a comparison or another experiment, with its first screen, pictures and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from headstart.report import extras, spreads, users
from headstart.report.headline import chosen_method, headline
from headstart.report.names import REFERENCE, plural
from headstart.report.picture import Picture
from headstart.report.table import Table
from headstart.report.tables import tables
from headstart.report.texts import cleaned, visible

Plain = Mapping[str, Any]


@dataclass(frozen=True)
class Chapter:
    """What stands under one heading.

    Attributes
    ----------
    id : of its heading in the page, before ids of its pictures and tables; empty where it is the only one of a report,
        which then has its title and lead
    title, lead : what is shown, and of which data
    document : the numbers it was made of, as JSON has them
    chosen : the method of the first screen, None where there is none to choose
    methods : that were compared
    headlines : by method its sentence and tiles
    said : sentence and tiles of a chapter that compares no methods; may be empty
    pictures, tables : in the order of the page
    """

    id: str
    title: str
    lead: str
    document: Plain
    chosen: str | None = None
    methods: Sequence[str] = ()
    headlines: Mapping[str, Plain] = field(default_factory=dict)
    said: Plain = field(default_factory=dict)
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()

    def plain(self) -> dict[str, Any]:
        """As plain values: all that the page's script reads."""
        return {
            "id": self.id,
            "title": self.title,
            "lead": self.lead,
            "chosen": self.chosen,
            "methods": list(self.methods),
            "headlines": dict(self.headlines),
            "said": dict(self.said),
            "pictures": [picture.plain() for picture in self.pictures],
            "tables": [table.plain() for table in self.tables],
            "document": dict(self.document),
        }

    def among_others(self) -> Chapter:
        """Itself with ids that differ from those of other chapters."""
        return replace(
            self,
            pictures=[_picture_of(self.id, one) for one in self.pictures],
            tables=[_table_of(self.id, one) for one in self.tables],
        )


def chapter(
    id: str, title: str, document: Plain, details: Plain, more: Plain | None = None, first: Sequence[str] = ()
) -> Chapter:
    """A comparison's chapter.

    Parameters
    ----------
    document, details, more : see `headstart.report.assemble.assemble`
    first : methods for the first screen, in order of preference, before the usual ones
    """
    document, details, more = cleaned(document), cleaned(details), cleaned(more or {})
    chosen, known = chosen_method(document, first), REFERENCE in details["methods"]
    others = [row["name"] for row in document["methods"] if row["name"] != REFERENCE]
    return Chapter(
        id=id,
        title=title,
        lead=_lead(document),
        document=document,
        chosen=chosen,
        methods=[visible(row["name"]) for row in document["methods"]],
        headlines={name: headline(document, details, name) for name in others} if known else {},
        pictures=_pictures(document, details, more) if chosen is not None and known else [],
        tables=tables(document, details),
    )


def _pictures(document: Plain, details: Plain, more: Plain) -> list[Picture]:
    """Those that there are numbers for."""
    every = [
        users.scatter(document, details),
        extras.curves(more["curves"]) if _known(more.get("curves"), "points") else None,
        extras.trees(more["trees"]) if _known(more.get("trees"), "rows") else None,
        spreads.groups(document, details) if details["sevenths"] else None,
        extras.shares(more["shares"]) if _known(more.get("shares"), "points") else None,
        spreads.boxes(document, details) if document["objective"] == "squared" else None,
        users.tail(details),
        users.gains(document, details),
        spreads.learned(details),
        spreads.segments(details),
    ]
    return [picture for picture in every if picture is not None]


def _known(document: Plain | None, rows: str) -> bool:
    """Whether there is a number to draw: of ranking metrics there is none where no user has events of both classes."""
    return document is not None and any(
        metric["mean"] is not None for row in document[rows] for metric in row["metrics"].values()
    )


def _lead(document: Plain) -> str:
    families = sorted({row["family"] for row in document["methods"]})
    return (
        f"{plural(len(document['methods']), 'method')}, model {', '.join(families)}, on {document['n_events']:,} events"
        f" of {document['n_users']:,} users; {document['n_test_events']:,} test events of {document['n_test_users']:,}"
        f" users (split {document['split']}, seed {document['seed']})."
    )


def _picture_of(chapter: str, picture: Picture) -> Picture:
    tables = [_table_of(chapter, one) for one in picture.tables]
    return replace(picture, id=f"{chapter}-{picture.id}", tables=tables)


def _table_of(chapter: str, table: Table) -> Table:
    return replace(table, id=f"{chapter}-{table.id}")
