"""The cells of a CSR sheet as values, or reasons why they cannot be read. Pure; `interchange.cells` knows how people write.

Rules kept here:
- A person chooses what each column means; `guess` proposes it from the headers.
- Every row is returned, with its values or with reason codes (`words.REASONS`). Nothing is corrected silently.
"""

import calendar
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Final

from server.aid.words import FIELDS
from server.interchange import cells
from server.interchange.sheets import Cell, Limits, SheetUnreadable, read_rows
from server.translations import T_

LIMITS: Final = Limits(bytes=8 * 1024 * 1024, unpacked_bytes=128 * 1024 * 1024, rows=5_000, columns=64)
HEADER_WITHIN: Final = 15
MOST_RP: Final = 10**13
_HINTS: Final[Mapping[str, tuple[str, ...]]] = {
    "title": ("kegiatan", "program", "uraian", "activity"),
    "sector": ("bidang", "pilar", "sektor", "kategori"),
    "company": ("perusahaan", "nama pt", "company", "mitra"),
    "village": ("desa", "kelurahan", "lokasi"),
    "subdistrict": ("kecamatan", "kec"),
    "starts": ("tanggal mulai", "mulai", "tanggal", "tgl", "waktu", "bulan", "periode"),
    "ends": ("tanggal selesai", "selesai", "sampai", "berakhir"),
    "value": ("nilai", "anggaran", "biaya", "realisasi", "rupiah", "rp", "jumlah dana"),
    "reached": ("jumlah penerima", "penerima manfaat", "sasaran", "jumlah"),
    "beneficiary": ("nama penerima", "nama anak", "nama balita"),
    "nik": ("nik",),
    "evidence": ("bukti", "dokumentasi", "keterangan"),
}
_ORDER: Final = (
    *("nik", "beneficiary", "reached", "subdistrict", "village", "company", "value"),
    *("ends", "starts", "title", "sector", "evidence"),
)
"""The order in which fields take their column, specific ones first, so that "nama penerima" is not taken for an activity."""
_THOUSANDS: Final = re.compile(
    r"([0-9]{1,3}(?:\.[0-9]{3})+)(?:,[0-9]{1,2})?\Z|([0-9]{1,3}(?:,[0-9]{3})+)(?:\.[0-9]{1,2})?\Z"
)
_SCALES: Final = {
    "ribu": 10**3,
    "rb": 10**3,
    "juta": 10**6,
    "jt": 10**6,
    "miliar": 10**9,
    "milyar": 10**9,
    "m": 10**9,
}
_SCALED: Final = re.compile(r"([0-9]{1,6}(?:[.,][0-9]{1,3})?) ?(ribu|rb|juta|jt|miliar|milyar|m)\Z")
_MONTH: Final = re.compile(r"([a-z]{3,9})[ -/]+([0-9]{4})\Z")


@dataclass(frozen=True, slots=True)
class CsrSheet:
    """The headers of a sheet, and the rows below them with their row numbers."""

    headers: tuple[str, ...]
    rows: tuple[tuple[int, tuple[Cell, ...]], ...]


def open_sheet(content: bytes) -> CsrSheet:
    """Read a file and find its header: among the first rows, the first one with at least three cells of text.

    Raises
    ------
    SheetUnreadable
        It is not a sheet, is too large, or has no header.
    """
    rows = [(number, tuple(row)) for number, row in read_rows(content, LIMITS)]
    for place, (_, row) in enumerate(rows[:HEADER_WITHIN]):
        named = [cell for cell in row if isinstance(cell, str) and any(map(str.isalpha, cell))]
        if len(named) >= 3:
            headers = tuple(cells.text(cell) or f"({number})" for number, cell in enumerate(row, 1))
            return CsrSheet(headers, tuple(rows[place + 1 :]))
    raise SheetUnreadable(T_("no row of headers: give every column one").both())


def guess(headers: Sequence[str], remembered: Mapping[str, str]) -> dict[str, str]:
    """Propose which header means what: as chosen the last time, else by its words."""
    chosen = {name: header for name, header in remembered.items() if name in FIELDS and header in headers}
    for name in _ORDER:
        if name in chosen or name in remembered:
            continue
        free = [header for header in headers if header not in chosen.values()]
        found = next((h for hint in _HINTS[name] for h in free if _is_in(hint, h)), None)
        if found is not None:
            chosen[name] = found
    return {name: chosen[name] for name in FIELDS if name in chosen}


def _is_in(hint: str, header: str) -> bool:
    return re.search(rf"(?<![a-z]){re.escape(hint)}(?![a-z])", header.casefold()) is not None


@dataclass(frozen=True, slots=True)
class ParsedRow:
    """The values of a row. `reasons` are the codes of REASONS why it cannot be used; empty if it can."""

    number: int
    raw: Mapping[str, str]
    title: str = ""
    sector: str = ""
    company: str = ""
    village: str = ""
    subdistrict: str = ""
    starts_on: date | None = None
    ends_on: date | None = None
    value_rp: int | None = None
    reached: int | None = None
    beneficiary: str = ""
    nik: str = ""
    evidence: str = ""
    reasons: tuple[str, ...] = field(default=())

    @property
    def refused(self) -> bool:
        return bool(self.reasons)


def read(sheet: CsrSheet, mapping: Mapping[str, str]) -> list[ParsedRow]:
    """Read every row of a sheet except totals, which have no activity, place or date.

    Parameters
    ----------
    mapping : field -> header
    """
    index = {name: sheet.headers.index(header) for name, header in mapping.items() if header in sheet.headers}
    parsed = []
    for number, row in sheet.rows:
        by_field = {name: row[n] if n < len(row) else "" for name, n in index.items()}
        if all(cells.is_blank(by_field.get(name, "")) for name in ("title", "village", "starts")):
            continue
        raw = {h: cells.text(c) for h, c in zip(sheet.headers, row, strict=False) if cells.text(c)}
        parsed.append(_parse_row(number, raw, by_field))
    return parsed


def _parse_row(number: int, raw: Mapping[str, str], by_field: Mapping[str, Cell]) -> ParsedRow:
    def text(name: str) -> str:
        return cells.text(by_field.get(name, ""))[:200]

    reasons: list[str] = []
    if not text("title"):
        reasons.append("no-title")
    starts = ends = value = reached = None
    try:
        starts = period(by_field.get("starts", ""))
        ends = period(by_field.get("ends", ""))
    except cells.CellError:
        reasons.append("not-date")
    else:
        if starts is None:
            reasons.append("no-date")
    last = ends[1] if ends else starts[1] if starts else None
    if starts and last and last < starts[0]:
        reasons.append("ends-before-start")
    try:
        value = rupiah(by_field.get("value", ""))
    except cells.CellError:
        reasons.append("not-rupiah")
    try:
        found = cells.number(by_field.get("reached", ""))
        reached = _count(found)
    except cells.CellError:
        reasons.append("not-count")
    nik = re.sub(r"[^0-9]", "", text("nik"))
    return ParsedRow(
        number,
        raw,
        title=text("title"),
        sector=text("sector"),
        company=text("company"),
        village=text("village"),
        subdistrict=text("subdistrict"),
        starts_on=starts[0] if starts else None,
        ends_on=last,
        value_rp=value,
        reached=reached,
        beneficiary=text("beneficiary"),
        nik=nik if len(nik) == 16 else "",
        evidence=text("evidence"),
        reasons=tuple(reasons),
    )


def _count(found: Decimal | None) -> int | None:
    if found is None:
        return None
    if found != int(found) or not 0 <= found <= 1_000_000:
        raise cells.CellError("not-count")
    return int(found)


def period(cell: Cell) -> tuple[date, date] | None:
    """Read a date, or a month with its year ("Maret 2026"), as its first and last day; None if blank.

    Raises
    ------
    cells.CellError
        `not-date`.
    """
    plain = cells.text(cell).casefold() if isinstance(cell, str) else ""
    if found := _MONTH.match(plain):
        first = cells.day(f"1 {found[1]} {found[2]}")
        assert first is not None  # noqa: S101  # the text is never blank here
        day = first.day
        return day, day.replace(day=calendar.monthrange(day.year, day.month)[1])
    single = cells.day(cell)
    return None if single is None else (single.day, single.day)


def rupiah(cell: Cell) -> int | None:
    """Read a sum of money: "Rp 2.700.000,00", "2,700,000", "2,7 juta", 2700000.0; None if blank.

    Raises
    ------
    cells.CellError
        `not-rupiah`: not a number, below zero or above ten trillion.
    """
    if isinstance(cell, float):
        value = Decimal(repr(round(cell, 2)))
    elif isinstance(cell, str):
        plain = (
            cells.text(cell).casefold().removeprefix("rp").lstrip(". ").removesuffix(",-").removesuffix(".-")
        )
        if not plain:
            return None
        value = _sum(plain)
    else:
        raise cells.CellError("not-rupiah")
    if not 0 <= value <= MOST_RP:
        raise cells.CellError("not-rupiah")
    return int(value.to_integral_value())


def _sum(plain: str) -> Decimal:
    if scaled := _SCALED.match(plain):
        return Decimal(scaled[1].replace(",", ".")) * _SCALES[scaled[2]]
    if grouped := _THOUSANDS.match(plain):
        return Decimal((grouped[1] or grouped[2]).replace(".", "").replace(",", ""))
    if re.fullmatch(r"[0-9]{1,14}(?:[.,][0-9]{1,2})?", plain):
        return Decimal(plain.replace(",", "."))
    raise cells.CellError("not-rupiah")
