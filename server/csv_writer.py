"""Rows as CSV or as a text table: one way for every file and every command.

- In CSV a text that a spreadsheet would run as a formula (it starts with = + - @, also after blanks, or a tab or carriage
  return) gets an apostrophe in front (OWASP, "CSV injection"). A number such as -2.31 and a lone "-" stay as they are.
- In a text table unprintable characters, which a terminal might obey, become question marks.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

_FORMULA: Final = re.compile(r"\s*[=+\-@]|[\t\r]")
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?\Z", re.ASCII)


def spreadsheet_safe(value: Any) -> Any:
    """Put an apostrophe before text that a spreadsheet would run as a formula; return other values unchanged."""
    if not isinstance(value, str) or not _FORMULA.match(value) or value == "-" or _NUMBER.match(value):
        return value
    return f"'{value}"


def csv_line(values: Iterable[Any], *, end: str = "\r\n") -> str:
    """Write one line of CSV (RFC 4180 ends lines with CR LF); None is empty."""
    line = io.StringIO()
    csv.writer(line, lineterminator=end).writerow([spreadsheet_safe(value) for value in values])
    return line.getvalue()


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Write rows as CSV for standard output, the header first; lines end with LF."""
    lines = (csv_line([row[name] for name in columns], end="\n") for row in rows)
    return "".join([csv_line(columns, end="\n"), *lines])


def cell(value: Any, *, nothing: str = "–") -> str:
    """Write a value for a text table; None is `nothing`."""
    return printable(nothing if value is None else value)


def printable(value: object) -> str:
    """Write a value without control characters: each becomes a question mark."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(value))


def text_table(
    columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, cell: Callable[[Any], str] = cell
) -> str:
    """Write rows in columns as wide as their widest cell, the header first."""
    lines = [list(columns), *([cell(row[name]) for name in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
