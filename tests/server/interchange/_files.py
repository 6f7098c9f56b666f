"""Files as they come from Sigizi, made for tests: XLSX, HTML that calls itself .xls, CSV. All children are made up."""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from html import escape
from typing import Any

from server.interchange.sheets.writer import Value, write_xlsx
from server.interchange.sigizi import EXPORT

ROW: Mapping[str, Any] = {
    "No": "1",
    "NIK": "6402061001250001",
    "Nama": "Anak Contoh Satu",
    "JK": "L",
    "Tgl Lahir": "2025-01-10",
    "BB Lahir": "3.1",
    "TB Lahir": "49",
    "Nama Ortu": "Bapak Contoh / Ibu Contoh",
    "Prov": "KALIMANTAN TIMUR",
    "Kab/Kota": "KUTAI KARTANEGARA",
    "Kec": "TENGGARONG",
    "Pukesmas": "PUSKESMAS CONTOH",
    "Desa/Kel": "JAHAB",
    "Posyandu": "MELATI 1",
    "RT": "03",
    "RW": "-",
    "Alamat": "Jalan Contoh 1",
    "Usia Saat Ukur": "1 Tahun - 1 Bulan - 23 Hari",
    "Tanggal Pengukuran": "2026-03-05",
    "Berat": "9.6",
    "Tinggi": "76.5",
    "Cara Ukur": "Terlentang",
    "LiLA": "14.5",
    "Naik Berat Badan": "-",
    "Jml Vit A": "-",
    "KPSP": "-",
    "KIA": "ya",
    "Kelas Ibu Balita": "-",
    "MBG": "-",
}
TITLES = (("DAFTAR BALITA",), ("data tanggal: 05-03-2026",), ())


def row(**cells: Any) -> dict[str, Any]:
    """Give a good row with some cells overridden, by their headings; spaces and slashes of headings as underscores."""
    names = {heading.replace(" ", "_").replace("/", "_"): heading for heading in EXPORT}
    return {**ROW, **{names[name]: value for name, value in cells.items()}}


def cells(rows: Sequence[Mapping[str, Any]], headings: Sequence[str] = EXPORT) -> list[list[Any]]:
    """Give rows as lists in the order of the headings."""
    return [[row.get(heading, "") for heading in headings] for row in rows]


def xlsx(
    rows: Sequence[Mapping[str, Any]],
    headings: Sequence[str] = EXPORT,
    titles: Sequence[Sequence[str]] = TITLES,
) -> bytes:
    """Write a workbook with title rows above the headings. Dates and numbers stay what they are."""
    target = io.BytesIO()
    width = len(headings)
    above: list[list[Value]] = [[*title, *[""] * (width - len(title))] for title in titles]
    lines: list[list[Value]] = [*above, list(headings), *cells(rows, headings)]
    write_xlsx(target, [str(cell) for cell in lines[0]], lines[1:])
    return target.getvalue()


def html(rows: Sequence[Mapping[str, Any]], headings: Sequence[str] = EXPORT) -> bytes:
    """Write HTML as the ministry's system does, which browsers save as .xls."""

    def line(tag: str, values: Sequence[Any]) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(_text(value))}</{tag}>" for value in values) + "</tr>"

    body = "\n".join(line("td", values) for values in cells(rows, headings))
    title = f'<tr><td colspan="{len(headings)}">DAFTAR BALITA &amp; GIZI</td></tr>'
    head = '<html xmlns:x="urn:schemas-microsoft-com:office:excel"><head><style>td {mso: "x"}</style></head><body>'
    return f"{head}<table>{title}{line('th', headings)}{body}</table></body></html>".encode()


def text(
    rows: Sequence[Mapping[str, Any]],
    headings: Sequence[str] = EXPORT,
    *,
    delimiter: str = ";",
    mark: bool = True,
) -> bytes:
    """Write CSV, with a byte order mark or without."""
    target = io.StringIO()
    writer = csv.writer(target, delimiter=delimiter)
    writer.writerow(headings)
    writer.writerows([_text(value) for value in values] for values in cells(rows, headings))
    return target.getvalue().encode("utf-8-sig" if mark else "utf-8")


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, date | datetime | time) else str(value)
