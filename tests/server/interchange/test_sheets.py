"""Files of any kind become the same rows; hostile ones cost little and are refused in words."""

import io
import resource
import zipfile
from datetime import date, time
from unittest.mock import patch

import pytest
from hypothesis import given, strategies as st

from server.interchange.sheets import Limits, SheetUnreadable, read_rows, xlsx_reader
from server.interchange.sheets.excel_dates import moment_of
from server.interchange.sheets.writer import write_csv, write_xlsx
from tests.server.interchange import _files

HEADINGS = ("NIK", "Nama", "Berat")


def rows_of(content: bytes, **limits: int) -> list[list[object]]:
    return [list(cells) for _, cells in read_rows(content, Limits(**limits) if limits else None)]


def workbook(sheet: str | bytes, **parts: str) -> bytes:
    """Give a workbook with a sheet of one's own making, and other parts by path."""
    base = io.BytesIO()
    write_xlsx(base, HEADINGS, [])
    target = io.BytesIO()
    with zipfile.ZipFile(base) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if name != "xl/worksheets/sheet1.xml" and name not in parts:
                new.writestr(name, old.read(name))
        new.writestr("xl/worksheets/sheet1.xml", sheet)
        for name, content in parts.items():
            new.writestr(name, content)
    return target.getvalue()


def sheet(rows: str, before: str = "") -> str:
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    return f'<?xml version="1.0"?>{before}<worksheet xmlns="{main}"><sheetData>{rows}</sheetData></worksheet>'


def test_xlsx_gives_text_numbers_and_days_back() -> None:
    target = io.BytesIO()
    write_xlsx(target, HEADINGS, [["0123", 'Ñ <&> "', 9.5], [None, date(2026, 3, 5), -2]])
    assert rows_of(target.getvalue()) == [
        list(HEADINGS),
        ["0123", 'Ñ <&> "', 9.5],
        ["", moment_of(46086), -2.0],
    ]


def test_numbers_that_the_sheet_shows_as_time_come_as_time() -> None:
    content = workbook(
        sheet(
            '<row r="1"><c r="A1" s="1"><v>0.375</v></c><c r="B1" s="1"><v>46151.0</v></c><c r="C1"><v>9.5</v></c></row>'
        )
    )
    assert rows_of(content) == [[time(9, 0), moment_of(46151), 9.5]]


def test_number_that_is_none_is_text() -> None:
    cells = "".join(f"<c><v>{text}</v></c>" for text in ("1e999", "NaN", "-inf", "1e3"))
    assert rows_of(workbook(sheet(f"<row>{cells}</row>"))) == [["1e999", "NaN", "-inf", 1000.0]]


def test_shared_strings_prefixes_and_rows_without_references_are_read() -> None:
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    content = workbook(
        f'<x:worksheet xmlns:x="{main}"><x:sheetData><x:row><x:c t="s"><x:v>1</x:v></x:c><x:c t="s"><x:v>0</x:v></x:c>'
        "</x:row></x:sheetData></x:worksheet>",
        **{
            "xl/sharedStrings.xml": f'<sst xmlns="{main}"><si><t>dua</t></si><si><r><t>sa</t></r><r><t>tu</t></r></si></sst>'
        },
    )
    assert rows_of(content) == [["satu", "dua"]]


TEXTS = st.one_of(
    st.sampled_from(
        [
            "",
            " ",
            "0",
            "1",
            "-3.5",
            "1e3",
            "satu",
            "a > b",
            "dua\n tiga",
            "Ñ ü",
            "&amp;",
            "&#65;",
            "<![CDATA[</row>]]>",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="<&"), max_size=5),
)
CELLS = st.builds(
    "<c{}{}{}>{}</c>".format,
    st.sampled_from(["", ' r="A1"', ' r="C1"', ' r="AA7"']),
    st.sampled_from(["", ' s="1"', ' s="99"']),
    st.sampled_from(["", ' t="n"', ' t="str"', ' t="b"', ' t="s"', " t='s'", ' t="inlineStr" x="1"']),
    st.one_of(
        TEXTS.map("<v>{}</v>".format),
        TEXTS.map("<f>A1+1</f><v>{}</v>".format),
        TEXTS.map('<is><t xml:space="preserve">{}</t></is>'.format),
        TEXTS.map("<is><r><t>{}</t></r><r><t>b</t></r></is>".format),
        st.sampled_from(["", "<v/>", "<!-- <v>1</v> -->"]),
    ),
)
ROWS = st.one_of(
    st.builds(
        "{}<row{}>{}</row>".format,
        st.sampled_from(["", "\n", " "]),
        st.sampled_from(["", ' r="2"', ' r="9" spans="1:3"', " r='4'", ' ht="15" r="5"']),
        st.lists(st.one_of(CELLS, st.just('<c r="B1" s="1"/>')), max_size=4).map("".join),
    ),
    st.sampled_from(
        [
            '<row r="7"/>',
            "<row/>",
            "<!-- <row><c><v>1</v></c></row> -->",
            "<row",
            "</row>",
            "<row><c></row>",
            "x",
            "&",
        ]
    ),
)


@given(rows=st.lists(ROWS, max_size=6).map("".join), block=st.sampled_from([7, 64, 1 << 18]))
def test_rows_taken_out_before_expat_sees_them_are_what_it_would_have_read(rows: str, block: int) -> None:
    strings = {"xl/sharedStrings.xml": "<sst><si><t>satu</t></si><si><t>dua</t></si></sst>"}

    def read(content: bytes) -> object:
        try:
            return list(read_rows(content))
        except SheetUnreadable as refused:
            return str(refused)

    with patch.object(xlsx_reader, "BLOCK", block):
        # of UTF-16 nothing can be taken out: expat reads it alone
        alone = read(workbook(sheet(rows).encode("utf-16"), **strings))
        assert read(workbook(sheet(rows), **strings)) == alone


def test_text_in_the_place_of_a_number_takes_its_place() -> None:
    twice = '<c r="A1"><v>9.5</v></c><c r="A1"><is><t>a</t></is></c>'
    parted = '<c r="B1"><is><r><t>b</t></r><r><t>c</t></r></is></c>'
    assert rows_of(workbook(sheet(f"<row>{twice}</row>"))) == [["a"]]
    assert rows_of(workbook(sheet(f"<row>{twice}{parted}</row>"))) == [["a", "bc"]]


def test_sheet_that_says_it_is_not_utf_8_is_read_as_it_says() -> None:
    text = sheet('<row r="1"><c r="A1" t="str"><v>Ñ</v></c></row>' * 2)
    declared = text.replace('version="1.0"', 'version="1.0" encoding="iso-8859-1"')
    assert rows_of(workbook(declared.encode("iso-8859-1"))) == [["Ñ"], ["Ñ"]]


def test_row_longer_than_is_waited_for_is_read() -> None:
    row = '<row><c t="str"><v>' + "<!-- " + "a" * (2 << 20) + " -->b</v></c></row>"
    plain = '<row><c t="str"><v>c</v></c></row>'
    assert rows_of(workbook(sheet(plain + row + plain))) == [["c"], ["b"], ["c"]]


@pytest.mark.parametrize("delimiter", [";", ",", "\t"])
@pytest.mark.parametrize("mark", [True, False])
def test_text_is_read_with_any_delimiter_and_byte_order_mark(delimiter: str, mark: bool) -> None:
    content = _files.text(
        [{"NIK": "1", "Nama": 'a "b"; c', "Berat": "9,5"}], HEADINGS, delimiter=delimiter, mark=mark
    )
    assert rows_of(content) == [list(HEADINGS), ["1", 'a "b"; c', "9,5"]]


def test_unicode_text_of_excel_and_windows_bytes_are_read() -> None:
    assert rows_of("NIK\tNama\n1\té".encode("utf-16")) == [["NIK", "Nama"], ["1", "é"]]
    assert rows_of("NIK;Nama\n1;é".encode("cp1252")) == [["NIK", "Nama"], ["1", "é"]]


def test_html_that_calls_itself_xls_is_read_with_spans_and_entities() -> None:
    content = _files.html([{"NIK": "1", "Nama": "A & B <c>", "Berat": ""}], HEADINGS)
    assert rows_of(content) == [["DAFTAR BALITA & GIZI"], list(HEADINGS), ["1", "A & B <c>"]]
    assert rows_of(b"<table><tr><td>a<td>b<tr><td>c</table>") == [["a", "b"], ["c"]]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xd0\xcf\x11\xe0" + bytes(600), "old binary .xls"),
        (b"PK\x03\x04" + bytes(100), "broken"),
        (b'<?xml version="1.0"?><Workbook xmlns="x"></Workbook>', "XML Spreadsheet 2003"),
        (b"\x00\x01\x02" * 50, "binary"),
        (b"<html><p>Sesi habis</p></html>", "no table"),
    ],
)
def test_what_is_no_sheet_is_refused_in_words(content: bytes, says: str) -> None:
    with pytest.raises(SheetUnreadable, match=says):
        rows_of(content)


def test_doctype_is_refused_whatever_it_holds() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    outside = '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>'
    for before in (bomb, outside):
        content = workbook(sheet('<row r="1"><c r="A1" t="str"><v>&a;</v></c></row>', before))
        with pytest.raises(SheetUnreadable, match="DOCTYPE"):
            rows_of(content)


def test_zip_bomb_is_given_up_before_it_unpacks() -> None:
    content = workbook(sheet(f'<row r="1"><c r="A1" t="str"><v>{"a" * 50_000_000}</v></c></row>'))
    assert len(content) < 200_000
    with pytest.raises(SheetUnreadable, match="unpacks to far more"):
        rows_of(content, unpacked_bytes=10_000_000)


def test_cell_in_the_far_corner_costs_no_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    far_down = workbook(
        sheet('<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="A1048576"><v>2</v></c></row>')
    )
    assert [number for number, _ in read_rows(far_down)] == [1, 1048576]
    far_right = workbook(sheet('<row r="1"><c r="A1"><v>1</v></c><c r="XFD1"><v>2</v></c></row>'))
    with pytest.raises(SheetUnreadable, match="columns"):
        rows_of(far_right)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_too_many_rows_and_a_huge_cell_are_refused() -> None:
    with pytest.raises(SheetUnreadable, match="more than 3 rows"):
        rows_of(b"NIK;Nama\n1;a\n2;b\n3;c\n", rows=3)
    with pytest.raises(SheetUnreadable, match="row 2"):
        rows_of(b"NIK;Nama\n1;" + b"a" * 5000)
    with pytest.raises(SheetUnreadable, match="larger than"):
        rows_of(b"NIK;Nama\n1;a", bytes=4)


def test_unclosed_quotation_mark_is_refused_with_its_row() -> None:
    with pytest.raises(SheetUnreadable, match=r"cell of more than|never closed"):
        rows_of(b'NIK;Nama\n1;"a' + b"\nb;c" * 3000)


def test_formula_in_xlsx_is_text_and_in_csv_has_an_apostrophe() -> None:
    book, text = io.BytesIO(), io.BytesIO()
    for target, write in ((book, write_xlsx), (text, write_csv)):
        write(target, HEADINGS, [["=1+1", "-2.31", -2.31]])
    with zipfile.ZipFile(book) as parts:
        assert b"<f>" not in parts.read("xl/worksheets/sheet1.xml")
    assert rows_of(book.getvalue())[1] == ["=1+1", "-2.31", -2.31]
    assert text.getvalue().decode("utf-8-sig").splitlines()[1] == "'=1+1,-2.31,-2.31"
