"""Reports: numbers in, one HTML file, Markdown or JSON out. Knows plain values alone, nothing of how they were made."""

from headstart.report.assemble import Report, assemble
from headstart.report.chapter import Chapter
from headstart.report.markdown import markdown
from headstart.report.page import page
from headstart.report.reproduction import reproduction

__all__ = ["Chapter", "Report", "assemble", "markdown", "page", "reproduction"]
