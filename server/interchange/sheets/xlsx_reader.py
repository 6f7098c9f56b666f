"""Read the rows of an XLSX file while it is unpacked: the part of ECMA-376 that values need. Standard library only.

Why our own reader: the fast libraries hold a whole sheet in memory as a full rectangle (python-calamine: 370 MB for 100,000
rows of 39 cells; two cells in opposite corners cost gigabytes). This one holds the shared strings and one block of rows, and
refuses every DOCTYPE.

expat parses the file and alone decides whether it is well-formed. Rows written the way spreadsheet programs write them
(plain rows) are read from the bytes directly (`_PlainRows`), several times as fast; all other rows are left to expat.
"""

import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from datetime import datetime
from io import BytesIO
from math import isfinite
from typing import IO, Any, Final
from xml.parsers import expat

from server.interchange.sheets.excel_dates import moment_of
from server.translations import T_

BLOCK: Final = 1 << 18
MOST_STRINGS: Final = 4_000_000
_DATE_FORMATS: Final = frozenset((*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)))
"""Built-in number formats that show a date or time (ECMA-376 part 1, 18.8.30)."""
_NO_DATE: Final = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]|_.|\*.')
_PREFIXED: Final = re.compile(rb"<[A-Za-z0-9_]+:(?:worksheet|sst|styleSheet|workbook|Relationships)[\s>]")
"""A file whose elements have a namespace prefix, which is rare; checking each name would take a third of the time."""
_REFERENCE: Final = re.compile(r"([A-Z]{1,3})([0-9]{1,7})\Z")
_DATA: Final = b"<sheetData>"
_ROW_END: Final = b"</row>"
_TEXT: Final = r"([^<&\x00-\x08\x0b-\x1f\ufffe\uffff]*+)"
"""Characters that stand for themselves in XML; a carriage return does not."""
_PLAIN_ROW: Final = re.compile(r'\s*<row(?: r="([0-9]{1,7})")?(?: [^<>&]*)?(?<!/)>')
_PLAIN_CELL: Final = re.compile(
    r'(<c(?: r="([A-Z]{1,3}+)[0-9]{1,7}+")?+(?: s="([0-9]{1,9}+)")?+(?: t="([A-Za-z]{1,9}+)")?+'
    rf'(?:><(?:(v)>{_TEXT}</v|is><(t)(?: xml:space="preserve")?+>{_TEXT}</t></is)></c>|/>|></c>))'
)
"""Groups: the whole cell; column, style, type; `v` and its value; `t` and its text. Possessive (`+`): no backtracking."""
_MOST_HELD: Final = 4 * BLOCK
"""Most bytes of an incomplete row that are held back; expat gets a longer row piece by piece."""

Refusal = type[ValueError]


def read_xlsx(
    content: bytes, most_unpacked: int, most_columns: int, refusal: Refusal
) -> Iterator[tuple[int, list[Any]]]:
    """Give the rows of the first sheet with their numbers.

    Parameters
    ----------
    most_unpacked : most bytes of all read parts together, unpacked
    most_columns : most columns of a row
    refusal : class of the exception that is raised for a file that cannot be read or exceeds a limit
    """
    try:
        with zipfile.ZipFile(BytesIO(content)) as parts:
            yield from _Workbook(parts, most_unpacked, most_columns, refusal).rows()
    except refusal:
        raise
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise refusal(
            "berkas .xlsx rusak, terkunci sandi, atau terpotong: simpan ulang tanpa sandi"
            f" / a broken, password-protected or cut off .xlsx: save it again without a password ({type(error).__name__})"
        ) from error
    except expat.ExpatError as error:
        why = expat.ErrorString(error.code)  # its line numbers are wrong: it does not get plain rows
        raise refusal(
            f"isi .xlsx rusak (XML): simpan ulang / the .xlsx is broken (XML): save it again ({why})"
        ) from error
    except KeyError as error:
        raise refusal(T_("not an .xlsx sheet: a part is missing").both()) from error


class _Workbook:
    """An opened file: finds the first sheet, the shared strings and the date styles, and parses the sheet."""

    def __init__(
        self, parts: zipfile.ZipFile, most_unpacked: int, most_columns: int, refusal: Refusal
    ) -> None:
        self._parts, self._left, self._columns, self._refusal = parts, most_unpacked, most_columns, refusal
        self._names = set(parts.namelist())

    def rows(self) -> Iterator[tuple[int, list[Any]]]:
        sheet, since_1904 = self._first_sheet()
        strings = self._strings()
        dates = self._date_styles()
        reading = _Sheet(strings, dates, since_1904, self._columns, self._refusal)
        for _ in self._parse(sheet, reading.start, reading.end, reading.text, reading):
            yield from reading.taken()
        yield from reading.taken()

    def _first_sheet(self) -> tuple[str, bool]:
        """Find the part of the first sheet, and whether dates are counted from 1904."""
        found: dict[str, Any] = {"sheet": None, "since_1904": False}
        targets: dict[str, str] = {}

        def workbook(name: str, given: dict[str, str]) -> None:
            if name == "sheet" and found["sheet"] is None:
                found["sheet"] = next(
                    (v for k, v in given.items() if k.rpartition(":")[2] == "id" and ":" in k), ""
                )
            elif name == "workbookPr":
                found["since_1904"] = given.get("date1904") in ("1", "true")

        def relations(name: str, given: dict[str, str]) -> None:
            if name == "Relationship" and "Id" in given and given.get("TargetMode") != "External":
                targets[given["Id"]] = given.get("Target", "")

        for _ in self._parse("xl/workbook.xml", workbook):
            pass
        for _ in self._parse("xl/_rels/workbook.xml.rels", relations):
            pass
        target = targets.get(found["sheet"] or "", "worksheets/sheet1.xml")
        return (target[1:] if target.startswith("/") else f"xl/{target}"), bool(found["since_1904"])

    def _strings(self) -> list[str]:
        """Read the shared strings, without phonetic hints."""
        if "xl/sharedStrings.xml" not in self._names:
            return []
        strings: list[str] = []
        parts: list[str] = []
        state = {"in_text": False, "phonetic": 0}

        def start(name: str, _given: dict[str, str]) -> None:
            if name == "si":
                parts.clear()
                if len(strings) >= MOST_STRINGS:
                    raise self._refusal(T_("too many strings in the .xlsx").both())
            elif name in ("rPh", "phoneticPr"):
                state["phonetic"] += 1
            elif name == "t":
                state["in_text"] = not state["phonetic"]

        def end(name: str) -> None:
            if name == "si":
                strings.append("".join(parts).strip())
            elif name in ("rPh", "phoneticPr"):
                state["phonetic"] -= 1
            elif name == "t":
                state["in_text"] = False

        def text(data: str) -> None:
            if state["in_text"]:
                parts.append(data)

        for _ in self._parse("xl/sharedStrings.xml", start, end, text):
            pass
        return strings

    def _date_styles(self) -> list[bool]:
        """Find out for each cell style whether it shows a date or time."""
        if "xl/styles.xml" not in self._names:
            return []
        custom: dict[int, bool] = {}
        styles: list[bool] = []
        in_styles = [False]

        def start(name: str, given: dict[str, str]) -> None:
            if name == "numFmt":
                shown = _NO_DATE.sub("", given.get("formatCode", "")).lower()
                custom[_whole(given.get("numFmtId"))] = bool(re.search("[dmyhs]", shown))
            elif name == "cellXfs":
                in_styles[0] = True
            elif name == "xf" and in_styles[0]:
                kind = _whole(given.get("numFmtId"))
                styles.append(custom.get(kind, kind in _DATE_FORMATS))

        def end(name: str) -> None:
            if name == "cellXfs":
                in_styles[0] = False

        for _ in self._parse("xl/styles.xml", start, end):
            pass
        return styles

    def _parse(
        self,
        part: str,
        start: Callable[[str, dict[str, str]], None],
        end: Callable[[str], None] | None = None,
        text: Callable[[str], None] | None = None,
        sheet: "_Sheet | None" = None,
    ) -> Iterator[None]:
        """Parse a part block by block, and yield after each block. `sheet` gets its plain rows without expat."""
        parser = expat.ParserCreate(namespace_separator=None)
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler = start, end
        parser.CharacterDataHandler = text
        parser.StartDoctypeDeclHandler = self._doctype
        if self._parts.getinfo(part).compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            # other methods unpack without a limit, and no spreadsheet program uses them
            raise zipfile.BadZipFile(part)
        plain = _PlainRows(parser, sheet) if sheet else None
        with self._parts.open(part) as opened:
            first, held = True, b""
            while block := self._block(opened):
                if first and _PREFIXED.search(block):
                    parser.StartElementHandler = _local(start)
                    parser.EndElementHandler = _local_end(end) if end else None
                first = False
                if plain:
                    held = plain.feed(held + block)
                else:
                    parser.Parse(block, False)
                yield
        parser.Parse(held, True)

    def _block(self, opened: IO[bytes]) -> bytes:
        block = opened.read(BLOCK)
        self._left -= len(block)
        if self._left < 0:
            raise self._refusal(T_("the .xlsx unpacks to far more than it is: not opened").both())
        return block

    def _doctype(self, *_: Any) -> None:
        raise self._refusal(T_("the .xlsx holds a DOCTYPE, which no ordinary one has: not opened").both())


def _local(start: Callable[[str, dict[str, str]], None]) -> Callable[[str, dict[str, str]], None]:
    """Wrap a handler: remove the prefix from names."""
    return lambda name, given: start(name.rpartition(":")[2] if ":" in name else name, given)


def _local_end(end: Callable[[str], None]) -> Callable[[str], None]:
    return lambda name: end(name.rpartition(":")[2] if ":" in name else name)


def _whole(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else -1


class _PlainRows:
    """Feeds a sheet's bytes to expat, except for plain rows, which it reads itself.

    It may do so only while expat is between two rows: the last tag that expat was fed must be the last tag that expat has
    reported. Inside a comment with text like rows this is not so.
    """

    def __init__(self, parser: Any, sheet: "_Sheet") -> None:
        self._parser, self._sheet = parser, sheet
        self._fed = 0
        self._reported, self._readable = -1, True
        sheet.on_row = self._on_row
        parser.XmlDeclHandler = self._declared

    def feed(self, data: bytes) -> bytes:
        """Read as much as possible; return the bytes to be put before the next block."""
        at = 0
        tag = _ROW_END if self._fed else _DATA
        while True:
            if self._between(tag):
                at = self._take(data, at)
                tag = _ROW_END
                if len(data) - at < _MOST_HELD and data.find(tag, at) < 0:
                    return data[at:]
            end = data.find(tag, at)
            end = len(data) if end < 0 else end + len(tag)
            self._parser.Parse(data[at:end], False)
            self._fed += end - at
            at = end
            if at == len(data):
                return b""

    def _between(self, tag: bytes) -> bool:
        return self._readable and self._reported >= 0 and self._reported == self._fed - len(tag)

    def _take(self, data: bytes, at: int) -> int:
        """Read rows as long as they are plain; return the position of the first that is not."""
        while (end := data.find(_ROW_END, at)) >= 0 and self._sheet.plain_row(data[at:end].decode()):
            at = end + len(_ROW_END)
        return at

    def _on_row(self) -> None:
        self._reported = self._parser.CurrentByteIndex

    def _declared(self, _version: str, encoding: str | None, _standalone: int) -> None:
        self._readable = encoding is None or encoding.lower() in ("utf-8", "us-ascii")


class _Sheet:
    """Collects the rows of a sheet from expat's events, or from the text of plain rows."""

    def __init__(
        self, strings: list[str], dates: list[bool], since_1904: bool, columns: int, refusal: Refusal
    ) -> None:
        self._strings, self._dates, self._columns, self._refusal = strings, dates, columns, refusal
        self._zero = datetime(1904, 1, 1) if since_1904 else datetime(1899, 12, 30)  # noqa: DTZ001  # a sheet has no time zone
        self._done: list[tuple[int, list[Any]]] = []
        self._number, self._row = 0, list[Any]()
        self._kind, self._style, self._at = "n", "0", 0
        self._parts: list[str] | None = None
        self._letters: dict[str, int] = {}
        self.on_row: Callable[[], None] = lambda: None
        """Called wherever a row may follow: before the first row and after each row."""

    def taken(self) -> list[tuple[int, list[Any]]]:
        """Return the complete rows, each only once."""
        done, self._done = self._done, []
        return done

    def start(self, name: str, given: dict[str, str]) -> None:
        if name == "c":
            self._kind, self._style = given.get("t", "n"), given.get("s", "0")
            self._at = self._place(given.get("r"))
        elif name in ("v", "t"):
            self._parts = []
        elif name == "row":
            number = _whole(given.get("r"))
            self._number = number if number > 0 else self._number + 1
            self._row = []
        elif name == "sheetData":
            self.on_row()

    def text(self, data: str) -> None:
        if self._parts is not None:
            self._parts.append(data)

    def end(self, name: str) -> None:
        if name in ("v", "t"):
            if self._parts is not None:
                text, of_inline = "".join(self._parts), name == "t"
                cell = text.strip() if of_inline else self._value(text, self._kind, self._style)
                _put(self._row, self._at, cell, of_inline=of_inline)
            self._parts = None
        elif name == "row":
            self._done.append((self._number, self._row))
            self._row = []
            self.on_row()

    def plain_row(self, text: str) -> bool:
        """Read the text of a row without its end tag if it is a plain row; say whether it is."""
        opening = _PLAIN_ROW.match(text)
        if opening is None:
            return False
        cells = _PLAIN_CELL.findall(text, opening.end())
        if opening.end() + sum([len(cell[0]) for cell in cells]) != len(text):
            return False  # there is something between the cells
        number = int(opening[1] or 0)
        self._number = number if number > 0 else self._number + 1
        row: list[Any] = []
        columns, value_of = self._letters, self._value
        for _, letters, style, kind, has_value, value, has_text, inline in cells:
            at = columns.get(letters)
            if at is None:
                at = self._column(letters) if letters else len(row)
            if has_text:
                cell = inline.strip()
            elif has_value:
                cell = value_of(value, kind or "n", style or "0")
            else:
                continue
            if at == len(row):
                row.append(cell)
            else:
                _put(row, at, cell, of_inline=bool(has_text))
        self._done.append((self._number, row))
        return True

    def _place(self, reference: str | None) -> int:
        """Give the column index of a cell; a cell without a reference follows the cell before it."""
        if reference is None:
            return len(self._row)
        letters = reference.rstrip("0123456789")
        at = self._letters.get(letters)
        if at is None:
            found = _REFERENCE.match(reference)
            if not found:
                raise self._refusal(T_("a cell of the .xlsx has no proper address").both())
            at = self._column(letters)
        return at

    def _column(self, letters: str) -> int:
        """Convert column letters to an index, and remember it."""
        at = 0
        for letter in letters:
            at = at * 26 + ord(letter) - 64
        if at > self._columns:
            raise self._refusal(
                T_("more than {columns} columns: delete what is far on the right")
                .format(columns=self._columns)
                .both()
            )
        at = self._letters[letters] = at - 1
        return at

    def _value(self, text: str, kind: str, style: str) -> Any:
        if kind == "s":
            number = _whole(text)
            if not 0 <= number < len(self._strings):
                raise self._refusal(T_("a string of the .xlsx is missing: save it again").both())
            return self._strings[number]
        if kind == "n":
            try:
                number_ = float(text)
            except ValueError:
                return text.strip()
            if not isfinite(number_):
                return text.strip()
            shown = _whole(style)
            shown_as_date = 0 <= shown < len(self._dates) and self._dates[shown]
            return moment_of(number_, self._zero) if shown_as_date else number_
        if kind == "b":
            return "ya" if text == "1" else "tidak"
        return text.strip()  # "str": text of a formula; "e": an error such as #N/A; "d": ISO date as text


def _put(row: list[Any], at: int, cell: Any, *, of_inline: bool) -> None:
    """Put a cell at its index; an inline text may come in several parts."""
    if len(row) <= at:
        row.extend([""] * (at + 1 - len(row)))
    row[at] = row[at] + cell if of_inline and isinstance(row[at], str) else cell
