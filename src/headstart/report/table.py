"""A table as a page and Markdown show it: what is read, and what is sorted by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from headstart.report import names
from headstart.report.texts import visible


@dataclass(frozen=True)
class Cell:
    """What is read, and the number or text that sorting goes by; `tone`, good, bad, even or open, colour and sign."""

    text: str
    key: float | str | None
    tone: str = ""

    def plain(self) -> list[Any]:
        """As plain values."""
        return [self.text, self.key, self.tone] if self.tone else [self.text, self.key]


@dataclass(frozen=True)
class Table:
    """Rows under headings.

    Attributes
    ----------
    id : of the table in the page and of its CSV file
    columns : headings
    rows : cells, as many as headings
    note : a line on how to read it
    method : what the table is of, where it is of one method; the page shows it beside that method alone
    """

    id: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    method: str = ""

    def plain(self) -> dict[str, Any]:
        """As plain values; a column of numbers is one whose keys are."""
        right = [
            all(not isinstance(row[k].key, str) for row in self.rows) and bool(self.rows)
            for k in range(len(self.columns))
        ]
        return {
            "id": self.id,
            "title": self.title,
            "note": self.note,
            "method": self.method,
            "columns": [{"name": visible(name), "number": ok} for name, ok in zip(self.columns, right, strict=True)],
            "rows": [[cell.plain() for cell in row] for row in self.rows],
        }


@dataclass(frozen=True)
class Frame:
    """Columns of numbers and text that a picture is drawn from, and that its CSV file holds."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """As plain values."""
        return {"name": self.name, "columns": list(self.columns), "rows": [list(row) for row in self.rows]}


def words(text: Any, tone: str = "", longest: int = 200) -> Cell:
    """A name or a sentence."""
    shown = visible(str(text), longest)
    return Cell(shown, shown, tone)


def value(number: float | None, digits: int = 4) -> Cell:
    """A number."""
    return Cell(names.number(number, digits), number)


def signed(number: float | None, digits: int = 4) -> Cell:
    """A difference."""
    return Cell(names.signed(number, digits), number)


def percent(share: float | None) -> Cell:
    """A share."""
    return Cell(names.percent(share), share)


def count(number: float | None) -> Cell:
    """A whole number."""
    return Cell(names.count(number), number)


def seconds(number: float | None) -> Cell:
    """A time."""
    return Cell(names.seconds(number), number)


def size(number: float | None) -> Cell:
    """Bytes."""
    return Cell(names.size(number), number)


def interval(values: dict[str, Any] | None, digits: int = 4) -> Cell:
    """A mean with its interval, sorted by the mean."""
    return Cell(names.interval(values or {}, digits), (values or {}).get("mean"))


def bounds(lo: float | None, hi: float | None, digits: int = 4) -> Cell:
    """An interval, sorted by its lower end."""
    if lo is None or hi is None:
        return Cell(names.NOTHING, None)
    return Cell(f"[{names.signed(lo, digits)}, {names.signed(hi, digits)}]", lo)
