"""Write Sigizi sheets: the export and the four import templates (domain.md sections 3.1 and 3.2).

Headings are spelled exactly as in Sigizi, `Pukesmas` included. Unknown values are "-" in the export, as Sigizi writes them,
and blank in a template. The seven days of a PMT week are filled in only if all or none were eaten, because the single days
are not stored here; the first day of a course is not stored either.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import IO, Any, Final, NamedTuple

import numpy as np
from sqlalchemy.orm import Session

from server.children.labels import LABELS
from server.context import AppContext
from server.growth.status import (
    LENGTH_FOR_AGE_CODES,
    WASTING_CODES,
    WEIGHT_FOR_AGE_CODES,
    length_for_age_status,
    wasting_status,
    weight_for_age_status,
)
from server.interchange.cells import age_on
from server.interchange.export_rows import (
    ExportChild,
    ExportQuery,
    ExportVisit,
    children_of,
    places_of,
    visits,
    weeks,
)
from server.interchange.sheets.writer import Value, write_csv, write_xlsx
from server.interchange.sigizi import EXPORT, IDENTITY, MEASUREMENT, MPASI, PMT

POSITIONS: Final = {"lying": "Terlentang", "standing": "Berdiri", None: ""}
SEXES: Final = {"M": "L", "F": "P", None: ""}
FUNDS: Final = {"dak": "1", "apbd": "2", "partner": "3", "village": "4"}
"""`sumber_anggaran`: 1 DAK NF, 2 APBD, 3 mitra, 4 dana desa."""
REASONS: Final = {
    **dict.fromkeys(("severely_wasted", "wasted", "muac_severe", "muac_moderate"), "1"),
    **dict.fromkeys(("below_red_line", "underweight"), "2"),
    **dict.fromkeys(("not_gaining", "two_t"), "3"),
}
"""`alasan_pemberian`: 1 wasting, 2 underweight, 3 tidak naik."""
NEXT: Final = {"continue": "1", "finished": "2", "recovered": "2", "done": "1", "to_hospital": "3"}
"""`tindak_lanjut`: 1 lanjut, 2 selesai, 3 rujuk RS."""

Cells = Mapping[str, Value]


class ExportSheet(NamedTuple):
    """A sheet: its headings, the function that gives its rows, and the text of a blank cell."""

    headings: tuple[str, ...]
    rows: Callable[[Session, AppContext, ExportQuery], Iterator[Cells]]
    blank: str = ""


def write(
    target: IO[bytes], session: Session, hub: AppContext, wanted: ExportQuery, *, sheet: str, form: str
) -> int:
    """Write a sheet; return the number of rows.

    Parameters
    ----------
    sheet : a key of SHEETS
    form : xlsx or csv
    """
    chosen = SHEETS[sheet]
    rows = (
        [_or_blank(row.get(heading), chosen.blank) for heading in chosen.headings]
        for row in _numbered(chosen.rows(session, hub, wanted))
    )
    if form == "csv":
        return write_csv(target, chosen.headings, rows)
    return write_xlsx(target, chosen.headings, rows, sheet=sheet)


def _or_blank(value: Value, blank: str) -> Value:
    return blank if value is None or value == "" else value


def _numbered(rows: Iterator[Cells]) -> Iterator[Cells]:
    for number, row in enumerate(rows, 1):
        yield {"No": str(number), **row}


def _decimal(whole: int | None, unit: int, places: int) -> str:
    """Write small units as a decimal number without trailing zeros."""
    if whole is None:
        return ""
    text = f"{whole // unit}.{whole % unit:0{places}d}".rstrip("0")
    return text.removesuffix(".")


def _yes(value: bool | None) -> str:
    return "" if value is None else "ya" if value else "tidak"


def _parents(child: ExportChild) -> str:
    father, mother = child.get("parents", "father") or "-", child.get("parents", "mother") or "-"
    return f"{father} / {mother}" if child.shows_names and (father, mother) != ("-", "-") else ""


# -- the export -----------------------------------------------------------------------------------


def _export(session: Session, hub: AppContext, wanted: ExportQuery) -> Iterator[Cells]:
    for visit in visits(session, hub, wanted):
        yield {**_who(visit.child), **_measured(visit), **_scored(visit), **_services(visit)}


def _who(child: ExportChild) -> Cells:
    place, shown = child.place, child.shows_names
    return {
        "NIK": child.nik,
        "Nama": child.name,
        "JK": SEXES[child.sex],
        "Tgl Lahir": child.born_on,
        "BB Lahir": _decimal(child.get("birth", "weight_g"), 1000, 3),
        "TB Lahir": _decimal(child.get("birth", "length_mm"), 10, 1),
        "Nama Ortu": _parents(child),
        "Prov": place.province.upper(),
        "Kab/Kota": place.regency.upper(),
        "Kec": place.subdistrict.upper(),
        "Pukesmas": place.centre,
        "Desa/Kel": place.village.upper(),
        "Posyandu": place.name,
        "RT": child.get("home", "rt") if shown else "",
        "RW": child.get("home", "rw") if shown else "",
        "Alamat": child.get("home", "address") if shown else "",
        "KIA": _yes(child.get("books", "kia")),
    }


def _measured(visit: ExportVisit) -> Cells:
    born_on = visit.child.born_on
    return {
        "Usia Saat Ukur": _age(born_on, visit.measured_on) if born_on else "",
        "Tanggal Pengukuran": visit.measured_on,
        "Berat": _decimal(visit.weight_g, 1000, 3),
        "Tinggi": _decimal(visit.length_mm, 10, 1),
        "Cara Ukur": POSITIONS[visit.position],
        "LiLA": _decimal(visit.muac_mm, 10, 1),
    }


def _age(born_on: date, on: date) -> str:
    months, days = age_on(born_on, on)
    return f"{months // 12} Tahun - {months % 12} Bulan - {days} Hari" if months >= 0 else ""


_CODES: Final = {
    "waz": ("BB/U", WEIGHT_FOR_AGE_CODES),
    "haz": ("TB/U", LENGTH_FOR_AGE_CODES),
    "whz": ("BB/TB", WASTING_CODES),
}


def _scored(visit: ExportVisit) -> Cells:
    oedema = np.array([visit.oedema not in (None, "n")])
    found: dict[str, Value] = {"Naik Berat Badan": visit.gain}
    for index, (heading, codes) in _CODES.items():
        z = visit.z[index]
        score = np.array([np.nan if z is None else z])
        code = int(
            weight_for_age_status(score)[0]
            if index == "waz"
            else length_for_age_status(score)[0]
            if index == "haz"
            else wasting_status(score, oedema)[0]
        )
        found[heading] = LABELS[codes[code]].id if code >= 0 else ""
        found[f"ZS {heading}"] = "Outlier" if index in visit.implausible else "" if z is None else f"{z:.2f}"
    return found


def _services(visit: ExportVisit) -> Cells:
    given = visit.services
    return {
        "Jml Vit A": "1" if given.get("vitamin_a") else "",
        "KPSP": given.get("kpsp") or "",
        "Kelas Ibu Balita": _yes(given.get("mother_class")),
        "MBG": _yes(given.get("mbg")),
    }


# -- the import templates -------------------------------------------------------------------------


def _measurements(session: Session, hub: AppContext, wanted: ExportQuery) -> Iterator[Cells]:
    for visit in visits(session, hub, wanted):
        row: dict[str, Value] = {
            "NIK": visit.child.nik,
            "nama_anak": visit.child.name,
            "TANGGALUKUR": visit.measured_on,
            "BERAT": _decimal(visit.weight_g, 1000, 3),
            "TINGGI": _decimal(visit.length_mm, 10, 1),
            "LILA": _decimal(visit.muac_mm, 10, 1),
            "lingkar_kepala": _decimal(visit.head_mm, 10, 1),
            "Pitting_edema": {"n": "tidak", None: ""}.get(visit.oedema, visit.oedema),
            "CARAUKUR": POSITIONS[visit.position],
            "vita": "ya" if visit.services.get("vitamin_a") else "",
            "kelas_ibu_balita": _yes(visit.services.get("mother_class")),
            "mbg": _yes(visit.services.get("mbg")),
        }
        fed, born_on = visit.services.get("exclusive_breastfeeding"), visit.child.born_on
        if fed is not None and born_on:
            months = age_on(born_on, visit.measured_on)[0]
            if 0 <= months <= 6:
                row[f"asi_bulan_{months}"] = _yes(fed)
        yield row


def _identities(session: Session, hub: AppContext, wanted: ExportQuery) -> Iterator[Cells]:
    for place in places_of(session, hub, wanted):
        for child in children_of(session, hub, wanted, place):
            order, weeks_ = child.get("identity", "birth_order"), child.get("birth", "gestation_weeks")
            shown = child.shows_names
            yield {
                "anak_ke": None if order is None else str(order),
                "tgl_lahir": child.born_on,
                "jenis_kelamin": SEXES[child.sex],
                "NIK": child.nik,
                "nama_anak": child.name,
                "usia_hamil": None if weeks_ is None else str(weeks_),
                "berat_lahir": _decimal(child.get("birth", "weight_g"), 1000, 3),
                "panjang_lahir": _decimal(child.get("birth", "length_mm"), 10, 1),
                "kia": _yes(child.get("books", "kia")),
                "nama_ortu": _parents(child),
                "hp_ortu": child.get("parents", "phone") if shown else "",
                "alamat": child.get("home", "address") if shown else "",
                "rt": child.get("home", "rt") if shown else "",
                "rw": child.get("home", "rw") if shown else "",
            }


def _pmt(session: Session, hub: AppContext, wanted: ExportQuery) -> Iterator[Cells]:
    for week in weeks(session, hub, wanted):
        eaten, reason = week.result.get("days_eaten"), str(week.course.get("reason") or "")
        daily = {7: "1", 0: "0"}.get(eaten) if eaten is not None else None
        yield {
            "nik": week.child.nik,
            "nama": week.child.name,
            "siklus_ke": "1",
            "jenis_pmt": "2",
            "sumber_anggaran": FUNDS.get(week.course.get("funds") or ""),
            "alasan_pemberian": REASONS.get(reason, ""),
            "minggu_ke": str(week.task.get("week") or ""),
            "tanggal_pemantauan": week.result.get("done_on"),
            **{f"hari_{day}": daily for day in range(1, 8)},
            "tindak_lanjut": NEXT.get(week.result.get("outcome") or ""),
        }


def _feeding(session: Session, hub: AppContext, wanted: ExportQuery) -> Iterator[Cells]:
    for visit in visits(session, hub, wanted):
        fed: Any = visit.services.get("exclusive_breastfeeding")
        if fed is not None:
            yield {
                "NIK": visit.child.nik,
                "Nama": visit.child.name,
                "tgl_monitoring": visit.measured_on,
                "asi": _yes(fed),
            }


SHEETS: Final[Mapping[str, ExportSheet]] = {
    "export": ExportSheet(EXPORT, _export, "-"),
    "measurement": ExportSheet(MEASUREMENT, _measurements),
    "identity": ExportSheet(IDENTITY, _identities),
    "pmt": ExportSheet(PMT, _pmt),
    "mpasi": ExportSheet(MPASI, _feeding),
}
