"""Read the rows of a spreadsheet of any format, one after another. Hides the file formats.

Rules kept here:
- The first bytes of a file decide its format, not its name: an `.xls` from Sigizi is usually HTML.
- Nothing in a file is trusted: neither the sizes that a zip states, nor references out of the sheet, nor entities. The cost
  of a file is limited (`Limits`) and checked while it is read, so a small file cannot unpack to a huge one.
- A cell keeps its type: a number that the sheet shows as a date is given as a datetime, so that a 9.5 that Excel turned into
  9 May can be told from a number.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from html.parser import HTMLParser
from typing import Final

from server.interchange.sheets.xlsx_reader import read_xlsx
from server.translations import T_

Cell = str | float | datetime | time
"""A cell as in the sheet; "" if empty. Numbers are finite floats, as in a spreadsheet, whole numbers too."""
Cells = Sequence[Cell]

DELIMITERS: Final = ";,\t"
_BOMS: Final = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


class SheetUnreadable(ValueError):
    """A file is not a sheet, or exceeds the limits. The text says why and what to do, in both languages."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest file that is read.

    Parameters
    ----------
    bytes : of the file; `unpacked_bytes` : of all parts of a zip together
    rows, columns : of the sheet; `cell` : characters in one cell
    """

    bytes: int = 128 * 1024 * 1024
    unpacked_bytes: int = 1024 * 1024 * 1024
    rows: int = 500_000
    columns: int = 256
    cell: int = 4_096


def read_rows(content: bytes, limits: Limits | None = None) -> Iterator[tuple[int, Cells]]:
    """Give the rows of the first sheet with their numbers, counted from 1 as in a spreadsheet; empty rows are left out.

    Parameters
    ----------
    content : a file: XLSX, HTML (as many `.xls` are), or text with `;`, `,` or tabs between the cells

    Raises
    ------
    SheetUnreadable
        It is not a sheet, is broken, or exceeds the limits; raised while rows are read, too.
    """
    limits = limits or Limits()
    if len(content) > limits.bytes:
        raise SheetUnreadable(
            T_("the file is larger than {bytes} MiB: split it").format(bytes=limits.bytes >> 20).both()
        )
    return _bounded(_rows(content, limits), limits)


def _rows(content: bytes, limits: Limits) -> Iterator[tuple[int, Cells]]:
    if content.startswith(b"PK\x03\x04"):
        return read_xlsx(content, limits.unpacked_bytes, limits.columns, SheetUnreadable)
    if content.startswith(b"\xd0\xcf\x11\xe0"):
        raise SheetUnreadable(
            T_("an old binary .xls: open it in a spreadsheet program and save it as .xlsx").both()
        )
    text = _text(content)
    start = text[:512].lstrip().lower()
    if start.startswith("<?xml") and "<workbook" in text[:4096].lower():
        raise SheetUnreadable(T_("an “XML Spreadsheet 2003” file: save it as .xlsx").both())
    if start.startswith("<"):
        return _html(text)
    return _delimited(text, limits)


def _bounded(rows: Iterable[tuple[int, Cells]], limits: Limits) -> Iterator[tuple[int, Cells]]:
    """Pass rows on without blank cells at the end and without empty rows; raise SheetUnreadable beyond the limits."""
    count = 0
    for number, cells in rows:
        width = len(cells)
        while width and cells[width - 1] == "":
            width -= 1
        if not width:
            continue
        cells = cells[:width]
        count += 1
        if count > limits.rows or width > limits.columns:
            raise SheetUnreadable(
                T_("more than {rows:,} rows or {columns} columns: split the file")
                .format(rows=limits.rows, columns=limits.columns)
                .both()
            )
        if [cell for cell in cells if isinstance(cell, str) and len(cell) > limits.cell]:
            raise SheetUnreadable(
                T_("row {number}: a cell of more than {cell:,} characters")
                .format(number=number, cell=limits.cell)
                .both()
            )
        yield number, cells


# -- text -----------------------------------------------------------------------------------------


def _text(content: bytes) -> str:
    """Decode by the byte order mark, else as UTF-8, else as Windows-1252 (used by Windows in Indonesia)."""
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, errors="replace")
    if b"\x00" in content[:4096]:
        raise SheetUnreadable(T_("not a sheet: a binary file").both())
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _delimited(text: str, limits: Limits) -> Iterator[tuple[int, Cells]]:
    """Read rows of text; the delimiter is the one that is most frequent in the first lines."""
    head = "\n".join(text[:20_000].splitlines()[:20])
    hinted = re.match(r"sep=(.)\r?\n", text)  # Excel may name the delimiter in the first line
    delimiter = hinted[1] if hinted else max(DELIMITERS, key=head.count)
    csv.field_size_limit(max(csv.field_size_limit(), limits.cell + 1))
    reader = csv.reader(_lines(text), delimiter=delimiter)
    number = 0
    try:
        for number, cells in enumerate(reader, 1):
            if not (hinted and number == 1):
                yield number, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise SheetUnreadable(
            f"setelah baris {number}: tanda kutip tidak ditutup, atau sel terlalu panjang"
            f" / after row {number}: a quotation mark that is never closed, or a cell too long ({error})"
        ) from error


def _lines(text: str) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        yield text[start:end]
        start = end


# -- HTML -----------------------------------------------------------------------------------------


class _TableParser(HTMLParser):
    """Collects the rows of HTML tables as they end; a table within a cell is part of the cell's text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.done: list[list[str]] = []
        self._row: list[str] | None = None
        self._cell: list[str] | None = None
        self._span, self._hidden = 1, 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style"):
            self._hidden += 1
        elif tag == "tr":
            self._close_row()
            self._row = []
        elif tag in ("td", "th"):
            self._close_cell()
            if self._row is None:
                self._row = []
            span = dict(attrs).get("colspan") or "1"
            self._cell, self._span = [], min(int(span), 256) if span.isascii() and span.isdigit() else 1
        elif tag == "br" and self._cell is not None:
            self._cell.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._hidden = max(0, self._hidden - 1)
        elif tag in ("td", "th"):
            self._close_cell()
        elif tag in ("tr", "table"):
            self._close_row()

    def handle_data(self, data: str) -> None:
        if self._cell is not None and not self._hidden:
            self._cell.append(data)

    def end(self) -> None:
        """Close a row that the file left open."""
        self._close_row()

    def _close_cell(self) -> None:
        if self._cell is not None and self._row is not None:
            self._row.append(" ".join("".join(self._cell).split()))
            self._row += [""] * (self._span - 1)
        self._cell = None

    def _close_row(self) -> None:
        self._close_cell()
        if self._row is not None:
            self.done.append(self._row)
        self._row = None


def _html(text: str) -> Iterator[tuple[int, Cells]]:
    table, number = _TableParser(), 0
    for start in range(0, len(text), 65_536):
        table.feed(text[start : start + 65_536])
        for row in table.done:
            number += 1
            yield number, row
        table.done = []
    table.close()
    table.end()
    for row in table.done:
        number += 1
        yield number, row
    if not number:
        raise SheetUnreadable(T_("there is no table in this HTML file").both())
