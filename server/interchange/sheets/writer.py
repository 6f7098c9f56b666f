"""Write rows as XLSX or CSV, one row at a time. Hides the formats. Text is never run as a formula.

Rules kept here:
- In XLSX, text is written as text, never as a formula, whatever it starts with. Numbers and dates keep their type.
- In CSV, text that a spreadsheet would run as a formula is made safe by `server.csv_writer`.
- Memory does not grow with the number of rows. Standard library only: XlsxWriter takes about 19 s for 100,000 rows of 39
  cells (two busy cores), and its other features are not needed.
"""

import codecs
import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import IO, Final
from xml.sax.saxutils import escape

from server.csv_writer import csv_line

Value = str | int | float | Decimal | date | None

_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ZERO: Final = date(1899, 12, 30)
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_KINDS: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_HEAD: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_STYLES: Final = (
    f'{_HEAD}<styleSheet xmlns="{_MAIN}"><numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd"/></numFmts>'
    '<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts><fills count="2">'
    '<fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="6"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/>'
    '<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1" applyAlignment="1">'
    '<alignment vertical="top" wrapText="1"/></xf>'
    '<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1" applyAlignment="1">'
    '<alignment vertical="top" wrapText="1"/></xf></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
)
_DAY, _BOLD, _TEXT, _BOLD_LINES, _LINES = 1, 2, 3, 4, 5
"""Indices in the list of cell styles above."""
_PRINTED: Final = '<pageSetup paperSize="9" orientation="landscape" fitToWidth="1" fitToHeight="0"/>'
"""A4 landscape, one page wide, any number of pages long."""


def write_csv(target: IO[bytes], headings: Sequence[str], rows: Iterable[Sequence[Value]]) -> int:
    """Write CSV: UTF-8 with a byte order mark (or Excel guesses 1252), commas, decimal points; return the number of rows."""
    target.write(codecs.BOM_UTF8 + csv_line(headings).encode())
    count = 0
    for row in rows:
        target.write(csv_line(row).encode())
        count += 1
    return count


@dataclass(frozen=True, slots=True)
class WorkbookSheet:
    """One sheet of a workbook: bold, frozen headings, and rows. `widths` in characters; the last is for all further columns.

    A sheet `to_read` by people wraps long texts and prints one page wide; other sheets are for programs.
    """

    title: str
    headings: Sequence[str]
    rows: Iterable[Sequence[Value]]
    widths: Sequence[int] = (16,)
    to_read: bool = False


def write_xlsx(
    target: IO[bytes], headings: Sequence[str], rows: Iterable[Sequence[Value]], *, sheet: str = "Sheet1"
) -> int:
    """Write a workbook of one sheet (ECMA-376, transitional) with bold, frozen headings; return the number of rows."""
    return write_workbook(target, [WorkbookSheet(sheet, headings, rows)])


def write_workbook(target: IO[bytes], sheets: Sequence[WorkbookSheet]) -> int:
    """Write a workbook of several sheets, each with its own title; return the number of all rows."""
    total = 0
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=4) as parts:
        for name, content in _parts([sheet.title for sheet in sheets]):
            parts.writestr(_entry(name), content)
        for number, sheet in enumerate(sheets, 1):
            letters, count = [_letters(column) for column in range(max(len(sheet.headings), 1))], 0
            with parts.open(_entry(f"xl/worksheets/sheet{number}.xml"), "w", force_zip64=True) as part:
                bold, plain = (_BOLD_LINES, _LINES) if sheet.to_read else (_BOLD, _TEXT)
                part.write(_sheet_head(len(letters), sheet).encode())
                part.write(_row(1, letters, sheet.headings, bold))
                for count, row in enumerate(sheet.rows, 1):
                    part.write(_row(count + 1, letters, row, plain))
                part.write(f"</sheetData>{_PRINTED if sheet.to_read else ''}</worksheet>".encode())
            total += count
    return total


def _sheet_head(columns: int, sheet: WorkbookSheet) -> str:
    widths = sheet.widths
    fits = '<sheetPr><pageSetUpPr fitToPage="1"/></sheetPr>' if sheet.to_read else ""
    pane = '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>'
    each = [
        f'<col min="{number}" max="{number}" width="{width}" customWidth="1"/>'
        for number, width in enumerate(widths[:-1][: columns - 1], 1)
    ]
    last = widths[min(len(each), len(widths) - 1)]
    rest = f'<col min="{len(each) + 1}" max="{columns}" width="{last}" customWidth="1"/>'
    return (
        f'{_HEAD}<worksheet xmlns="{_MAIN}">{fits}'
        f'<sheetViews><sheetView workbookViewId="0">{pane}</sheetView></sheetViews>'
        '<sheetFormatPr defaultRowHeight="15"/>'
        f"<cols>{''.join(each)}{rest}</cols><sheetData>"
    )


def _row(number: int, letters: Sequence[str], values: Sequence[Value], style: int) -> bytes:
    cells = [
        _cell(f"{letter}{number}", value, style)
        for letter, value in zip(letters, values, strict=True)
        if value is not None and value != ""
    ]
    return f'<row r="{number}">{"".join(cells)}</row>'.encode()


def _cell(at: str, value: Value, style: int) -> str:
    if isinstance(value, date):
        return f'<c r="{at}" s="{_DAY}"><v>{(value - _ZERO).days}</v></c>'
    if isinstance(value, str):
        text = escape(_NOT_XML.sub("�", value))
        return f'<c r="{at}" s="{style}" t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'
    return f'<c r="{at}"><v>{value}</v></c>'


def _letters(column: int) -> str:
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _entry(name: str) -> zipfile.ZipInfo:
    """Make the zip entry of a part, with a fixed time: equal rows give equal bytes."""
    entry = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _parts(titles: Sequence[str]) -> Iterable[tuple[str, str]]:
    numbers = range(1, len(titles) + 1)
    sheets = "".join(
        f'<sheet name="{escape(title[:31], {chr(34): "&quot;"})}" sheetId="{number}" r:id="rId{number}"/>'
        for number, title in zip(numbers, titles, strict=True)
    )
    kinds = "".join(
        f'<Override PartName="/xl/worksheets/sheet{number}.xml" ContentType="{_KINDS}.worksheet+xml"/>'
        for number in numbers
    )
    relations = "".join(
        f'<Relationship Id="rId{number}" Type="{_RELATIONS}/worksheet" Target="worksheets/sheet{number}.xml"/>'
        for number in numbers
    )
    yield (
        "[Content_Types].xml",
        f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_KINDS}.sheet.main+xml"/>{kinds}'
        f'<Override PartName="/xl/styles.xml" ContentType="{_KINDS}.styles+xml"/></Types>',
    )
    yield (
        "_rels/.rels",
        f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
        f'Type="{_RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    )
    yield (
        "xl/workbook.xml",
        f'{_HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_RELATIONS}"><sheets>{sheets}</sheets></workbook>',
    )
    yield (
        "xl/_rels/workbook.xml.rels",
        f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">{relations}'
        f'<Relationship Id="rId{len(titles) + 1}" Type="{_RELATIONS}/styles" Target="styles.xml"/></Relationships>',
    )
    yield "xl/styles.xml", _STYLES
