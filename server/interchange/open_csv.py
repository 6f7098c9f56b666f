"""Export measurements for analysis: one CSV, and a codebook that describes its columns.

Rules kept here:
- No name, NIK or address. The child is a pseudonym derived from our id and the installation key, the same in every export.
  The birth date is exported only for users who may see names: the age in days is enough for analysis.
- A blank cell is a value that was not measured or is not known; it is never 0.
- Codebook and data are made from the same list of columns, so they always agree.
"""

from collections.abc import Callable
from typing import IO, Final, NamedTuple

from sqlalchemy.orm import Session

from server.context import AppContext
from server.interchange.child_matching import made_id
from server.interchange.export_rows import ExportQuery, ExportVisit, visits
from server.interchange.sheets.writer import Value, write_csv


class Column(NamedTuple):
    """A column: name, unit, range, meaning in both languages, source, and the function that gives its value."""

    name: str
    unit: str
    range: str
    meaning_id: str
    meaning_en: str
    source: str
    value: Callable[[AppContext, ExportVisit], Value]


def _z(index: str, meaning_id: str, meaning_en: str) -> Column:
    return Column(
        index,
        "SD",
        "2 decimals; beyond WHO's limits see implausible",
        meaning_id,
        meaning_en,
        "WHO Child Growth Standards 2006; domain.md 1.4",
        lambda _, visit: visit.z[index],
    )


COLUMNS: Final = (
    Column(
        "child",
        "",
        "UUID",
        "nama samaran anak, tetap",
        "the child's pseudonym, always the same",
        "this system",
        lambda hub, v: made_id(hub, "export/child", v.child.person_id),
    ),
    Column("post", "", "", "posyandu", "health post", "this system", lambda _, v: v.child.place.name),
    Column(
        "village_code",
        "",
        "PP.KK.CC.DDDD",
        "kode desa/kelurahan",
        "village code",
        "Kepmendagri",
        lambda _, v: v.child.place.village_code,
    ),
    Column("sex", "", "M, F", "jenis kelamin", "sex", "registration", lambda _, v: v.child.sex),
    Column(
        "born_on",
        "",
        "ISO date",
        "tanggal lahir; kosong bila tidak berhak",
        "birth date; blank for who may not see it",
        "registration",
        lambda _, v: v.child.born_on if v.child.shows_names else None,
    ),
    Column(
        "age_days",
        "days",
        "0 to 1856 scored",
        "umur saat diukur",
        "age at measurement",
        "computed",
        lambda _, v: v.age_days,
    ),
    Column(
        "measured_on",
        "",
        "ISO date",
        "tanggal ukur",
        "day of measuring",
        "measurement",
        lambda _, v: v.measured_on,
    ),
    Column(
        "source",
        "",
        "cadre, staff",
        "pengukur: kader (terindikasi), petugas (terkonfirmasi)",
        "who measured: cadre (indicated), staff (confirmed)",
        "measurement",
        lambda _, v: v.source,
    ),
    Column(
        "weight_g", "g", "500 to 40000", "berat badan", "body weight", "measurement", lambda _, v: v.weight_g
    ),
    Column(
        "oedema",
        "",
        "n, 1, 2, 3",
        "edema kedua kaki, derajat",
        "oedema of both feet, grade",
        "measurement",
        lambda _, v: v.oedema,
    ),
    Column(
        "length_mm",
        "mm",
        "300 to 1400",
        "panjang/tinggi badan seperti diukur",
        "length or height as measured",
        "measurement",
        lambda _, v: v.length_mm,
    ),
    Column(
        "position", "", "lying, standing", "cara ukur", "position", "measurement", lambda _, v: v.position
    ),
    Column(
        "muac_mm",
        "mm",
        "50 to 300",
        "lingkar lengan atas",
        "mid-upper-arm circumference",
        "measurement",
        lambda _, v: v.muac_mm,
    ),
    Column(
        "head_mm",
        "mm",
        "250 to 650",
        "lingkar kepala",
        "head circumference",
        "measurement",
        lambda _, v: v.head_mm,
    ),
    _z("waz", "skor-z BB/U", "weight-for-age z-score"),
    _z("haz", "skor-z PB/U atau TB/U", "length/height-for-age z-score"),
    _z("whz", "skor-z BB/PB atau BB/TB", "weight-for-length/height z-score"),
    _z("baz", "skor-z IMT/U", "BMI-for-age z-score"),
    _z("hcz", "skor-z LK/U", "head-circumference-for-age z-score"),
    _z("acz", "skor-z LiLA/U", "arm-circumference-for-age z-score"),
    Column(
        "implausible",
        "",
        "names of indices",
        "indeks di luar batas kewajaran WHO",
        "indices beyond WHO's limits",
        "domain.md 1.5",
        lambda _, v: " ".join(sorted(v.implausible)),
    ),
    Column(
        "gain",
        "",
        "N, T, O, B",
        "kenaikan berat bulanan",
        "monthly weight gain",
        "KBM, domain.md 2.1 and 2.2",
        lambda _, v: v.gain,
    ),
    Column(
        "gain_g",
        "g",
        "",
        "selisih berat dari bulan lalu",
        "difference to last month's weight",
        "computed",
        lambda _, v: v.gain_g,
    ),
)
CODEBOOK: Final = ("name", "unit", "range", "meaning_id", "meaning_en", "source")


def write_data(target: IO[bytes], session: Session, hub: AppContext, wanted: ExportQuery) -> int:
    """Write the measurements; return their number."""
    rows = ([column.value(hub, visit) for column in COLUMNS] for visit in visits(session, hub, wanted))
    return write_csv(target, [column.name for column in COLUMNS], rows)


def write_codebook(target: IO[bytes]) -> int:
    """Write the description of each column, in the order of the data; return their number."""
    return write_csv(target, CODEBOOK, ([getattr(column, name) for name in CODEBOOK] for column in COLUMNS))
