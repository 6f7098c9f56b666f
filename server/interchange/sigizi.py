"""Sigizi/e-PPGBM's sheets, both ways: which columns there are, what a row says, and how a row is written.

Sources: reference/domain.md section 3.1 (the export "Daftar Balita") and 3.2 (the import templates). Columns are found by
their headings, never by place: title rows stand above them, `Pukesmas` is spelled so in the real file, and versions differ.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import Any, Final

from schemas import check_against_birth, check_registers
from server.interchange import cells
from server.interchange.refusals import RowRefusal, refusal, shown
from server.interchange.sheets import Cell, Cells, SheetUnreadable

EXPORT: Final = (
    *("No", "NIK", "Nama", "JK", "Tgl Lahir", "BB Lahir", "TB Lahir", "Nama Ortu", "Prov", "Kab/Kota", "Kec"),
    *("Pukesmas", "Desa/Kel", "Posyandu", "RT", "RW", "Alamat", "Usia Saat Ukur", "Tanggal Pengukuran"),
    *("Berat", "Tinggi", "Cara Ukur", "LiLA", "BB/U", "ZS BB/U", "TB/U", "ZS TB/U", "BB/TB", "ZS BB/TB"),
    *(
        "Naik Berat Badan",
        "PMT Diterima (kg)",
        "Jml Vit A",
        "KPSP",
        "KIA",
        "Kelas Ibu Balita",
        "MBG",
        "Detail",
    ),
)
MEASUREMENT: Final = (
    *("No", "NIK", "nama_anak", "TANGGALUKUR", "BERAT", "TINGGI", "LILA", "lingkar_kepala", "Pitting_edema"),
    *("CARAUKUR", "vita", *(f"asi_bulan_{month}" for month in range(7)), "kelas_ibu_balita", "mbg"),
)
IDENTITY: Final = (
    *(
        "No",
        "anak_ke",
        "tgl_lahir",
        "jenis_kelamin",
        "nomor_KK",
        "NIK",
        "nama_anak",
        "usia_hamil",
        "berat_lahir",
    ),
    *(
        "panjang_lahir",
        "lingkar_kepala_lahir",
        "kia",
        "kia_bayi_kecil",
        "imd",
        "nama_ortu",
        "nik_ortu",
        "hp_ortu",
    ),
    *("alamat", "rt", "rw", "hapus", "pindah"),
)
PMT: Final = (
    *(
        "nik",
        "nama",
        "tanggal_pemberian_pertama",
        "siklus_ke",
        "jenis_pmt",
        "sumber_anggaran",
        "mitra",
        "mitra_lain",
    ),
    *("pmt_sesuai_juknis", "alasan_pemberian", "minggu_ke", "tanggal_pemantauan"),
    *(
        *(f"hari_{day}" for day in range(1, 8)),
        "bb",
        "tb",
        "cara_ukur",
        "pemantauan_kesehatan",
        "tindak_lanjut",
    ),
)
MPASI: Final = (
    *("NIK", "Nama", "tgl_monitoring", "asi", "sereal", "kacang", "susu", "daging/unggas", "telur"),
    *("buah_sayur_vita", "buah_sayur_lain", "dapat_intervensi"),
)
HEADER_WITHIN: Final = 15
"""Title rows may stand above the headings; among so many rows they are looked for."""

_COLUMNS: Final[Mapping[str, str]] = {
    "nik": "nik",
    "nama": "name",
    "namaanak": "name",
    "namabalita": "name",
    "jk": "sex",
    "jeniskelamin": "sex",
    "tgllahir": "born_on",
    "tanggallahir": "born_on",
    "anakke": "birth_order",
    "bblahir": "birth_weight",
    "beratlahir": "birth_weight",
    "tblahir": "birth_length",
    "pblahir": "birth_length",
    "panjanglahir": "birth_length",
    "usiahamil": "gestation",
    "namaortu": "parents",
    "namaorangtua": "parents",
    "hportu": "phone",
    "prov": "province",
    "provinsi": "province",
    "kabkota": "regency",
    "kec": "subdistrict",
    "kecamatan": "subdistrict",
    "pukesmas": "centre",
    "puskesmas": "centre",
    "desakel": "village",
    "desakelurahan": "village",
    "posyandu": "post",
    "rt": "rt",
    "rw": "rw",
    "alamat": "address",
    "usiasaatukur": "age",
    "tanggalpengukuran": "measured_on",
    "tanggalukur": "measured_on",
    "tglukur": "measured_on",
    "berat": "weight",
    "tinggi": "length",
    "caraukur": "position",
    "lila": "muac",
    "lingkarkepala": "head",
    "pittingedema": "oedema",
    "bbu": "waz_status",
    "zsbbu": "waz",
    "tbu": "haz_status",
    "zstbu": "haz",
    "bbtb": "whz_status",
    "zsbbtb": "whz",
    "jmlvita": "vitamin_a_count",
    "vita": "vitamin_a",
    "kpsp": "kpsp",
    "kia": "kia",
    "kelasibubalita": "mother_class",
    "mbg": "mbg",
    **{f"asibulan{month}": f"breastfed_{month}" for month in range(7)},
}
"""Heading in its plain form -> what it is; a heading that is not here is kept with the raw row and otherwise left alone."""

PERSONAL: Final = frozenset(("nik", "name", "parents", "phone", "address"))
_HIDDEN: Final = re.compile(r"[^0-9]")
_NO_DIGIT_OF_A_PHONE: Final = re.compile(r"[\s().-]")
_MASKED: Final = re.compile(r"[0-9]{2,}[*xX#•.]{2,}[0-9]*\Z")
_SCIENTIFIC: Final = re.compile(r"([0-9])[.,]([0-9]{1,14})[eE]\+?15\Z")


@lru_cache(maxsize=4096)  # a file names few places, row after row
def plain(heading: Cell) -> str:
    """Give a heading, or a place's name, in its plain form: small letters and digits alone."""
    return re.sub(r"[^a-z0-9]", "", str(heading).casefold())


@dataclass(frozen=True, slots=True)
class Layout:
    """Which sheet it is, and what stands where.

    Parameters
    ----------
    kind : "export" (Daftar Balita), "measurement" or "identity" (import templates)
    row : number of the heading row
    headings : as they are written; `at` : what is where in a row
    """

    kind: str
    row: int
    headings: tuple[str, ...]
    at: Mapping[str, int]

    def heading(self, what: str) -> str:
        """Give the heading of a column as the file spells it; "" for one that it lacks."""
        at = self.at.get(what)
        return self.headings[at] if at is not None else ""

    def cell(self, row: Cells, what: str) -> Cell:
        """Give a row's cell; "" where there is none."""
        at = self.at.get(what)
        return row[at] if at is not None and at < len(row) else ""

    def picker(self, *whats: str) -> Callable[[Cells], tuple[Cell, ...]]:
        """Give what picks these cells, two or more, of row after row; "" where there is none."""
        width = len(self.headings)
        pick = itemgetter(*(self.at.get(what, width) for what in whats))
        blanks = [""] * (width + 1)
        return lambda row: pick([*row[:width], *blanks[min(len(row), width) :]])


_KINDS: Final[tuple[tuple[str, frozenset[str]], ...]] = (
    ("export", frozenset(("nik", "name", "sex", "born_on", "measured_on", "weight"))),
    ("measurement", frozenset(("nik", "name", "measured_on", "weight"))),
    ("identity", frozenset(("nik", "name", "sex", "born_on"))),
)


def find_layout(rows: Iterator[tuple[int, Cells]]) -> Layout:
    """Take rows up to the heading row and say what sheet it is.

    Raises
    ------
    Unreadable
        There is no heading row among the first HEADER_WITHIN, or it is of a sheet that is not imported.
    """
    for number, row in islice(rows, HEADER_WITHIN):
        names = [plain(cell) for cell in row]
        if "nik" not in names:
            continue
        at = _places(row)
        for kind, wanted in _KINDS:
            if wanted <= at.keys():
                return Layout(kind, number, tuple(str(cell) for cell in row), at)
        raise SheetUnreadable(_missing(names, at))
    raise SheetUnreadable(
        f"tidak ada baris judul dengan kolom NIK dalam {HEADER_WITHIN} baris pertama: apakah ini berkas Sigizi?"
        f" / no heading row with a NIK column among the first {HEADER_WITHIN} rows: is this a file of Sigizi?"
    )


def layout_of(kind: str, headings: Sequence[str]) -> Layout:
    """Give a layout that was found before back, of its headings."""
    return Layout(kind, 0, tuple(headings), _places(headings))


def _places(headings: Cells) -> dict[str, int]:
    """Say what is where, by the headings."""
    at: dict[str, int] = {}
    for place, heading in enumerate(headings):
        what = _COLUMNS.get(plain(heading))
        if what is not None and what in at:
            raise SheetUnreadable(f"kolom {heading} ada dua kali / the column {heading} is there twice")
        if what is not None:
            at[what] = place
    return at


def _missing(names: Sequence[str], at: Mapping[str, int]) -> str:
    if "tanggalpemberianpertama" in names or "tglmonitoring" in names:
        return (
            "templat PMT dan MP-ASI hanya dibuat di sini, tidak diimpor"
            " / the PMT and MP-ASI templates are written here, not imported"
        )
    words = {
        "sex": "JK",
        "born_on": "Tgl Lahir",
        "name": "Nama",
        "measured_on": "Tanggal Pengukuran",
        "weight": "Berat",
    }
    missing = ", ".join(word for what, word in words.items() if what not in at)
    return f"kolom tidak ada: {missing} / missing columns: {missing}"


@dataclass(slots=True)
class SigiziRow:
    """What a row says, as far as it could be read.

    `refusals` are why it cannot be taken, `notes` what is worth knowing. Of what names places only text is here. `nik` is
    whole and valid, or ""; `nik_known` are the digits of a masked one, "?" for each that is hidden. `scores` are theirs: a
    number, "outlier" or None; `apart` are those that differ from ours: (index, theirs, ours).
    """

    number: int
    kind: str
    raw: Cells = ()
    name: str = ""
    nik: str = ""
    nik_known: str = ""
    sex: str | None = None
    born_on: date | None = None
    birth_order: int | None = None
    mother: str = ""
    father: str = ""
    village: str = ""
    subdistrict: str = ""
    centre: str = ""
    post: str = ""
    measured_on: date | None = None
    child: dict[str, dict[str, Any]] = field(default_factory=dict)
    measured: dict[str, dict[str, Any]] = field(default_factory=dict)
    scores: dict[str, float | str | None] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    refusals: list[RowRefusal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    apart: list[tuple[str, float, float]] = field(default_factory=list)

    @property
    def day(self) -> str:
        return self.measured_on.isoformat() if self.measured_on else ""


class SigiziReader:
    """Reads rows of one sheet.

    Parameters
    ----------
    today : the day it is in the district; what is dated after it cannot have happened
    regency : its name in plain form, None not to ask
    """

    def __init__(self, layout: Layout, today: date, regency: str | None = None) -> None:
        self._layout, self._today, self._regency = layout, today, regency
        self._said: Mapping[str, Cell] = {}
        """The cells of the row that is read, by what they are, without the blank ones: half of all."""

    def read(self, number: int, raw: Cells) -> SigiziRow:
        """Read a row; what is wrong with it is told in its refusals."""
        row, end = SigiziRow(number, self._layout.kind, raw), len(raw)
        self._said = {
            what: raw[at] for what, at in self._layout.at.items() if at < end and raw[at] not in cells.BLANK
        }
        self._places(row)
        self._person(row)
        if self._layout.kind != "identity":
            self._measurement(row)
            self._theirs(row)
        if self._layout.kind != "measurement":
            self._dates(row)
        if not row.refusals:
            self._checked(row)
        return row

    # -- cells ------------------------------------------------------------------------------------

    def _cell(self, what: str) -> Cell:
        return self._said.get(what, "")

    def _text(self, what: str) -> str:
        return cells.text(self._said[what]) if what in self._said else ""

    def _refuse(self, row: SigiziRow, what: str, rule: str) -> None:
        cell = self._layout.cell(row.raw, what)
        row.refusals.append(refusal(self._layout.heading(what), cell, rule, personal=what in PERSONAL))

    def _number(self, row: SigiziRow, what: str, read: Callable[[Cell], cells.Number | None]) -> int | None:
        """Read a number in small units; a slip is refused."""
        if what not in self._said:
            return None
        try:
            found = read(self._said[what])
        except cells.Wrong as wrong:
            self._refuse(row, what, wrong.rule)
            return None
        if found is None:
            return None
        if found.note:
            row.notes.append(found.note)
        return found.whole

    def _choice(self, row: SigiziRow, what: str, words: Mapping[str, Any], rule: str) -> Any:
        if what not in self._said:
            return None
        try:
            return cells.choice(self._said[what], words, rule)
        except cells.Wrong as wrong:
            self._refuse(row, what, wrong.rule)
            return None

    def _aside(self, row: SigiziRow, what: str, words: Mapping[str, Any]) -> Any:
        """Read one of some words in a column that nothing hangs on: what is not known is left out, and noted."""
        if what not in self._said:
            return None
        try:
            return cells.choice(self._said[what], words, "ignored")
        except cells.Wrong:
            row.notes.append("ignored")
            return None

    def _day(self, row: SigiziRow, what: str) -> cells.CellDate | None:
        try:
            found = cells.day(self._cell(what))
        except cells.Wrong as wrong:
            self._refuse(row, what, wrong.rule)
            return None
        if found is None:
            self._refuse(row, what, "missing")
        elif found.note:
            row.notes.append(found.note)
        return found

    # -- places and persons -----------------------------------------------------------------------

    def _places(self, row: SigiziRow) -> None:
        row.village = self._text("village")
        row.subdistrict = self._text("subdistrict")
        row.centre = self._text("centre")
        row.post = self._text("post")
        regency = plain(self._text("regency"))
        if self._regency and regency and self._regency not in regency:
            self._refuse(row, "regency", "other-district")

    def _person(self, row: SigiziRow) -> None:
        row.name = self._text("name")
        if not row.name:
            self._refuse(row, "name", "missing")
        self._nik(row)
        if self._layout.kind == "measurement":
            return
        row.sex = self._choice(row, "sex", cells.SEXES, "not-sex")
        if row.sex is None and cells.is_blank(self._cell("sex")):
            self._refuse(row, "sex", "missing")
        order = self._number(row, "birth_order", _whole)
        row.birth_order = order
        self._parents(row)
        self._birth(row)
        self._home(row)
        kia = self._aside(row, "kia", cells.ANSWERS)
        if kia is not None:  # the Buku KIA holds the KMS, so who has the one has the other
            row.child["books"] = {"kia": kia, "kms": kia}

    def _nik(self, row: SigiziRow) -> None:
        """Read a NIK: whole, masked, or rounded by Excel to 15 digits."""
        cell = self._cell("nik")
        if isinstance(cell, float):
            digits = f"{cell:.0f}"
            if len(digits) == 16:
                row.nik_known, note = digits[:15] + "?", "nik-rounded"
            else:
                note = "nik-unusable"
            row.notes.append(note)
            return
        text = cells.text(cell).replace(" ", "")
        if not text:
            return
        if len(text) == 16 and text.isascii() and text.isdigit():
            row.nik = text  # the schemas say whether it can be one
        elif scientific := _SCIENTIFIC.match(text):
            row.nik_known = (scientific[1] + scientific[2]).ljust(16, "?")
            row.notes.append("nik-rounded")
        elif _MASKED.match(text):
            known = _HIDDEN.sub("?", text)
            row.nik_known = known if len(known) == 16 else known.partition("?")[0].ljust(16, "?")
            row.notes.append("nik-masked")
        else:
            row.notes.append("nik-unusable")

    def _parents(self, row: SigiziRow) -> None:
        """Read `AYAH / IBU`, in this order."""
        father, slash, mother = (part.strip() for part in self._text("parents").partition("/"))
        named = {"father": father, "mother": mother} if slash else {"mother": father}
        named = {role: name for role, name in named.items() if name and name not in cells.BLANK}
        if not slash and named:
            row.notes.append("one-parent")
        row.mother, row.father = named.get("mother", ""), named.get("father", "")
        phone = _NO_DIGIT_OF_A_PHONE.sub("", self._text("phone"))
        if re.fullmatch(r"\+?[0-9]{8,16}", phone):
            named["phone"] = phone
        if named:
            row.child["parents"] = named

    def _birth(self, row: SigiziRow) -> None:
        weight = self._number(row, "birth_weight", _birth_weight)
        length = self._number(row, "birth_length", cells.millimetres)
        weeks = self._number(row, "gestation", _whole)
        given = {"weight_g": weight, "length_mm": length, "gestation_weeks": weeks}
        # 0 stands for "not known" in many files; no child was ever born so
        given = {name: value for name, value in given.items() if value}
        if given:
            row.child["birth"] = given

    def _home(self, row: SigiziRow) -> None:
        home = {}
        address = self._text("address")
        if address:
            home["address"] = address[:200].strip()
        for what in ("rt", "rw"):
            text = self._text(what)
            if len(text) <= 3 and text.isascii() and text.isdigit():
                home[what] = text
            elif text:
                row.notes.append("home-unknown")
        if home:
            row.child["home"] = home

    # -- measurement ------------------------------------------------------------------------------

    def _measurement(self, row: SigiziRow) -> None:
        weight = self._number(row, "weight", cells.grams)
        oedema = self._choice(row, "oedema", _OEDEMA, "not-oedema")
        length = self._number(row, "length", cells.millimetres)
        position = self._choice(row, "position", cells.POSITIONS, "not-position")
        muac = self._number(row, "muac", cells.millimetres)
        head = self._number(row, "head", cells.millimetres)
        # 0 stands for "not measured" in many files
        if weight or oedema:
            row.measured["weight"] = {"weight_g": weight or None, "oedema": oedema}
        if length:
            row.measured["length"] = {"length_mm": length, "position": position}
        if muac:
            row.measured["muac"] = {"muac_mm": muac}
        if head:
            row.measured["head"] = {"head_mm": head}
        if not row.measured and not row.refusals:
            self._refuse(row, "weight", "nothing-measured")

    def _services(self, row: SigiziRow) -> None:
        """Read what was given on the day; the capsule's colour follows from the age (domain.md: February and August)."""
        given: dict[str, Any] = {
            "mother_class": self._aside(row, "mother_class", cells.ANSWERS),
            "mbg": self._aside(row, "mbg", cells.ANSWERS),
            "kpsp": self._aside(row, "kpsp", _KPSP),
        }
        on, born_on = row.measured_on, row.born_on
        if on is not None and born_on is not None:
            months = cells.age_on(born_on, on)[0]
            capsule = self._aside(row, "vitamin_a", cells.ANSWERS) or (
                on.month in (2, 8) and self._text("vitamin_a_count") == "1"
            )
            if capsule and months >= 6:
                given["vitamin_a"] = "blue" if months < 12 else "red"
            if 0 <= months <= 6:
                given["exclusive_breastfeeding"] = self._aside(row, f"breastfed_{months}", cells.ANSWERS)
        given = {name: value for name, value in given.items() if value is not None}
        if given:
            row.measured["services"] = given

    def _theirs(self, row: SigiziRow) -> None:
        """Read their z-scores and categories, to be held beside ours; nothing of them is stored as ours."""
        for index in ("waz", "haz", "whz"):
            text = self._text(index)
            if text.casefold() == "outlier":
                row.scores[index] = "outlier"
                continue
            try:
                value = cells.number(self._said[index]) if text else None
            except cells.Wrong:
                row.notes.append("ignored")
                continue
            row.scores[index] = None if value is None else float(value)
            row.statuses[index] = self._text(f"{index}_status")

    # -- what only the row as a whole can tell ----------------------------------------------------

    def _dates(self, row: SigiziRow) -> None:
        """Read the dates; where day and month of one were changed over by Excel, the age in the file tells."""
        born = self._day(row, "born_on")
        row.born_on = born.day if born else None
        if self._layout.kind == "export":
            measured = self._day(row, "measured_on")
            row.measured_on = measured.day if measured else None
            if born and measured:
                self._by_age(row, born, measured)
        if row.born_on:
            row.child["identity"] = {
                "name": row.name[:120].strip(),
                "sex": row.sex,
                "born_on": row.born_on.isoformat(),
                "birth_order": row.birth_order,
            }
            if row.nik and not _encodes(row.nik, row.born_on):
                row.notes.append("nik-other-date")
        if row.nik:
            row.child["nik"] = {"nik": row.nik}
        if self._layout.kind == "export":
            self._services(row)

    def _by_age(self, row: SigiziRow, born: cells.CellDate, measured: cells.CellDate) -> None:
        told = cells.age(self._cell("age"))
        if told is None or _fits(told, born.day, measured.day):
            return
        others = [
            (b, m)
            for b in (born.day, born.other)
            for m in (measured.day, measured.other)
            if b and m and (b, m) != (born.day, measured.day) and m <= self._today and _fits(told, b, m)
        ]
        if len(others) == 1:
            row.born_on, row.measured_on = others[0]
            row.notes.append("days-changed-over")
        else:
            row.notes.append("age-differs")

    def _checked(self, row: SigiziRow) -> None:
        """Ask the schemas, which alone say what is valid; their reasons name our columns. The change that comes of a row is
        checked as a whole where it is made, as every change is (`office`)."""
        if self._layout.kind == "measurement":
            measured = self._day(row, "measured_on")
            row.measured_on = measured.day if measured else None
            self._services(row)
        for kind, registers in (("child", row.child), ("measurement", row.measured)):
            if not registers or row.refusals:
                continue
            found = check_registers(kind, registers, today=self._today)
            for reason in found:
                what = _COLUMN_OF.get(reason.path, "")
                if reason.path.startswith("set.nik"):
                    row.nik = ""
                    registers.pop("nik", None)
                    row.notes.append("nik-unusable")
                    continue
                # an aside of a row is no reason to refuse it
                if reason.path.startswith(("set.parents", "set.home", "set.birth", "set.services")):
                    registers.pop(reason.path.split(".")[1], None)
                    row.notes.append("ignored")
                    continue
                personal = what in PERSONAL
                value = None if personal else shown(self._layout.cell(row.raw, what))
                row.refusals.append(
                    RowRefusal(
                        self._layout.heading(what) or reason.path, value, reason.code, reason.id, reason.en
                    )
                )
        if row.measured_on and row.measured_on > self._today and not row.refusals:
            self._refuse(row, "measured_on", "date-in-future")
        if row.measured_on and row.born_on and not row.refusals:
            early = check_against_birth(row.day, row.born_on.isoformat())
            if early:
                self._refuse(row, "measured_on", "born-after")


_COLUMN_OF: Final[Mapping[str, str]] = {
    "set.identity.name": "name",
    "set.identity.born_on": "born_on",
    "set.identity.birth_order": "birth_order",
    "set.weight.weight_g": "weight",
    "set.weight.oedema": "oedema",
    "set.length.length_mm": "length",
    "set.length.position": "position",
    "set.muac.muac_mm": "muac",
    "set.head.head_mm": "head",
}
_OEDEMA: Final = {
    "tidak": "n",
    "0": "n",
    "n": "n",
    "1": "1",
    "2": "2",
    "3": "3",
    "+1": "1",
    "+2": "2",
    "+3": "3",
}
_KPSP: Final = {"s": "S", "sesuai": "S", "m": "M", "meragukan": "M", "p": "P", "penyimpangan": "P"}


def _encodes(nik: str, born_on: date) -> bool:
    """Say whether a NIK holds a birth date (the day of girls 40 higher); years have two digits."""
    day = int(nik[6:8])
    return (day - 40 if day > 40 else day, int(nik[8:10]), int(nik[10:12])) == (
        born_on.day,
        born_on.month,
        born_on.year % 100,
    )


def _fits(told: tuple[int, int], born_on: date, on: date) -> bool:
    """Say whether an age is that of two dates, give or take two days: how the ministry counts days is not published."""
    months, days = cells.age_on(born_on, on)
    return abs((months - told[0]) * 30.4375 + days - told[1]) <= 2.5


def _whole(cell: Cell) -> cells.Number | None:
    value = cells.number(cell)
    if value is None:
        return None
    if value != int(value):
        raise cells.Wrong("not-whole")
    return cells.Number(int(value))


def _birth_weight(cell: Cell) -> cells.Number | None:
    return cells.grams(cell, 300, 7000)
