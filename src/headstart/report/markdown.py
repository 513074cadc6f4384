"""The report as Markdown: the first screen, every table, and what the pictures say in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from headstart.report.assemble import Report
from headstart.report.chapter import Chapter
from headstart.report.table import Table
from headstart.report.texts import markdown_text


def markdown(report: Report) -> str:
    """`report` as Markdown with tables of pipes. Single users are in the page's CSV files alone."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield from (f"# {markdown_text(report.title)}", "", markdown_text(report.lead), "")
    for chapter in report.chapters:
        if chapter.id:
            yield from (f"## {markdown_text(chapter.title)}", "")
        if chapter.lead:
            yield from (markdown_text(chapter.lead), "")
        yield from _chapter(chapter, "###" if chapter.id else "##")


def _chapter(chapter: Chapter, heading: str) -> Iterator[str]:
    yield from _first(chapter.said)
    for name, headline in chapter.headlines.items():
        yield from (f"{heading} {markdown_text(name)} against the global model", "")
        yield from _first(headline)
    for table in chapter.tables:
        yield from _table(table, heading)
    for picture in chapter.pictures:
        yield from (f"{heading} {markdown_text(picture.title)}", "")
        for said in picture.says.values():
            yield from (markdown_text(said), "")
        for table in picture.tables:
            yield from _table(table, f"{heading}#")


def _first(said: Mapping[str, Any]) -> Iterator[str]:
    """A sentence and tiles."""
    if said.get("sentence"):
        yield from (markdown_text(said["sentence"]), "")
    for tile in said.get("tiles", ()):
        text = markdown_text(f"{tile['label']}: {tile['value']}")
        yield f"- **{text}** {markdown_text(tile['note'])}"
    if said.get("tiles"):
        yield ""


def _table(table: Table, heading: str) -> Iterator[str]:
    """A table; numbers stand right."""
    plain = table.plain()
    yield from (f"{heading} {markdown_text(table.title)}", "")
    yield "| " + " | ".join(markdown_text(column["name"]) for column in plain["columns"]) + " |"
    yield "|" + "|".join(" ---: " if column["number"] else " --- " for column in plain["columns"]) + "|"
    for row in table.rows:
        yield "| " + " | ".join(markdown_text(cell.text) for cell in row) + " |"
    yield ""
    if table.note:
        yield from (markdown_text(table.note), "")
