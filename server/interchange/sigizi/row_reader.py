"""Read a row of a Sigizi sheet: cells -> registers of a child and a measurement, or the reasons why it is refused."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from schemas import check_against_birth, check_registers
from server.interchange import cells
from server.interchange.refusals import RowRefusal, refusal, shown
from server.interchange.sheets import Cell, Cells
from server.interchange.sigizi.layout import Layout, plain

PERSONAL: Final = frozenset(("nik", "name", "parents", "phone", "address"))
_HIDDEN: Final = re.compile(r"[^0-9]")
_PHONE_SEPARATORS: Final = re.compile(r"[\s().-]")
_MASKED: Final = re.compile(r"[0-9]{2,}[*xX#•.]{2,}[0-9]*\Z")
_SCIENTIFIC: Final = re.compile(r"([0-9])[.,]([0-9]{1,14})[eE]\+?15\Z")


@dataclass(slots=True)
class SigiziRow:
    """The content of a row, as far as it could be read.

    `refusals` say why it cannot be imported, `notes` what is worth knowing. Place names are text as in the file. `nik` is
    complete and valid, or ""; `nik_known` holds the digits of a masked NIK, with "?" for each hidden one. `child` and
    `measured` are registers by name. `scores` are the file's z-scores: a number, "outlier" or None; `apart` lists those
    that differ from ours: (index, theirs, ours).
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
    """Reads the rows of one sheet.

    Parameters
    ----------
    today : today's date in the district; later dates are refused
    regency : name of the district in plain form, to refuse rows of others; None to skip this check
    """

    def __init__(self, layout: Layout, today: date, regency: str | None = None) -> None:
        self._layout, self._today, self._regency = layout, today, regency
        self._cells: Mapping[str, Cell] = {}
        """The cells of the current row by column, without blank ones (about half)."""

    def read(self, number: int, raw: Cells) -> SigiziRow:
        """Read a row; what is wrong with it is in its `refusals`."""
        row, end = SigiziRow(number, self._layout.kind, raw), len(raw)
        self._cells = {
            what: raw[at] for what, at in self._layout.at.items() if at < end and raw[at] not in cells.BLANK
        }
        self._places(row)
        self._person(row)
        if self._layout.kind != "identity":
            self._measurement(row)
            self._file_scores(row)
        if self._layout.kind != "measurement":
            self._dates(row)
        if not row.refusals:
            self._check(row)
        return row

    # -- cells ------------------------------------------------------------------------------------

    def _cell(self, what: str) -> Cell:
        return self._cells.get(what, "")

    def _text(self, what: str) -> str:
        return cells.text(self._cells[what]) if what in self._cells else ""

    def _refuse(self, row: SigiziRow, what: str, rule: str) -> None:
        cell = self._layout.cell(row.raw, what)
        row.refusals.append(refusal(self._layout.heading(what), cell, rule, personal=what in PERSONAL))

    def _number(self, row: SigiziRow, what: str, read: Callable[[Cell], cells.Number | None]) -> int | None:
        """Read a number in small units; refuse the row if it cannot be read."""
        if what not in self._cells:
            return None
        try:
            found = read(self._cells[what])
        except cells.CellError as error:
            self._refuse(row, what, error.rule)
            return None
        if found is None:
            return None
        if found.note:
            row.notes.append(found.note)
        return found.whole

    def _choice(self, row: SigiziRow, what: str, words: Mapping[str, Any], rule: str) -> Any:
        if what not in self._cells:
            return None
        try:
            return cells.choice(self._cells[what], words, rule)
        except cells.CellError as error:
            self._refuse(row, what, error.rule)
            return None

    def _optional_choice(self, row: SigiziRow, what: str, words: Mapping[str, Any]) -> Any:
        """Read one of some words in a minor column: an unknown word is left out and noted, and the row is not refused."""
        if what not in self._cells:
            return None
        try:
            return cells.choice(self._cells[what], words, "ignored")
        except cells.CellError:
            row.notes.append("ignored")
            return None

    def _day(self, row: SigiziRow, what: str) -> cells.CellDate | None:
        try:
            found = cells.day(self._cell(what))
        except cells.CellError as error:
            self._refuse(row, what, error.rule)
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
        kia = self._optional_choice(row, "kia", cells.ANSWERS)
        if kia is not None:  # the Buku KIA contains the KMS: a child with one has both
            row.child["books"] = {"kia": kia, "kms": kia}

    def _nik(self, row: SigiziRow) -> None:
        """Read a NIK: whole, masked, or rounded to 15 digits by Excel."""
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
            row.nik = text  # the schemas check whether it is valid
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
        """Read `AYAH / IBU`: father first, then mother."""
        father, slash, mother = (part.strip() for part in self._text("parents").partition("/"))
        named = {"father": father, "mother": mother} if slash else {"mother": father}
        named = {role: name for role, name in named.items() if name and name not in cells.BLANK}
        if not slash and named:
            row.notes.append("one-parent")
        row.mother, row.father = named.get("mother", ""), named.get("father", "")
        phone = _PHONE_SEPARATORS.sub("", self._text("phone"))
        if re.fullmatch(r"\+?[0-9]{8,16}", phone):
            named["phone"] = phone
        if named:
            row.child["parents"] = named

    def _birth(self, row: SigiziRow) -> None:
        weight = self._number(row, "birth_weight", _birth_weight)
        length = self._number(row, "birth_length", cells.millimetres)
        weeks = self._number(row, "gestation", _whole)
        given = {"weight_g": weight, "length_mm": length, "gestation_weeks": weeks}
        # 0 means "not known" in many files
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
        # 0 means "not measured" in many files
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
        """Read the services of the day. The age gives the colour of the vitamin A capsule; they are given in February and
        August (domain.md)."""
        given: dict[str, Any] = {
            "mother_class": self._optional_choice(row, "mother_class", cells.ANSWERS),
            "mbg": self._optional_choice(row, "mbg", cells.ANSWERS),
            "kpsp": self._optional_choice(row, "kpsp", _KPSP),
        }
        on, born_on = row.measured_on, row.born_on
        if on is not None and born_on is not None:
            months = cells.age_on(born_on, on)[0]
            capsule = self._optional_choice(row, "vitamin_a", cells.ANSWERS) or (
                on.month in (2, 8) and self._text("vitamin_a_count") == "1"
            )
            if capsule and months >= 6:
                given["vitamin_a"] = "blue" if months < 12 else "red"
            if 0 <= months <= 6:
                given["exclusive_breastfeeding"] = self._optional_choice(
                    row, f"breastfed_{months}", cells.ANSWERS
                )
        given = {name: value for name, value in given.items() if value is not None}
        if given:
            row.measured["services"] = given

    def _file_scores(self, row: SigiziRow) -> None:
        """Read the file's z-scores and categories, to compare them with ours; they are never stored as ours."""
        for index in ("waz", "haz", "whz"):
            text = self._text(index)
            if text.casefold() == "outlier":
                row.scores[index] = "outlier"
                continue
            try:
                value = cells.number(self._cells[index]) if text else None
            except cells.CellError:
                row.notes.append("ignored")
                continue
            row.scores[index] = None if value is None else float(value)
            row.statuses[index] = self._text(f"{index}_status")

    # -- the row as a whole -----------------------------------------------------------------------

    def _dates(self, row: SigiziRow) -> None:
        """Read the dates; if Excel swapped day and month of one, the age in the file shows it."""
        born = self._day(row, "born_on")
        row.born_on = born.day if born else None
        if self._layout.kind == "export":
            measured = self._day(row, "measured_on")
            row.measured_on = measured.day if measured else None
            if born and measured:
                self._correct_by_age(row, born, measured)
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

    def _correct_by_age(self, row: SigiziRow, born: cells.CellDate, measured: cells.CellDate) -> None:
        """Swap day and month of a date if exactly one swap fits the age in the file; note it, or that the age differs."""
        age = cells.age(self._cell("age"))
        if age is None or _fits(age, born.day, measured.day):
            return
        others = [
            (b, m)
            for b in (born.day, born.other)
            for m in (measured.day, measured.other)
            if b and m and (b, m) != (born.day, measured.day) and m <= self._today and _fits(age, b, m)
        ]
        if len(others) == 1:
            row.born_on, row.measured_on = others[0]
            row.notes.append("days-changed-over")
        else:
            row.notes.append("age-differs")

    def _check(self, row: SigiziRow) -> None:
        """Check the registers with the schemas, which alone say what is valid, and refuse the row by the file's columns. The
        change made from a row is checked again as a whole, as every change is (`server_edits`)."""
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
                # minor registers are left out; the row is not refused for them
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
    """Say whether a NIK contains a birth date: DDMMYY, with 40 added to the day for girls."""
    day = int(nik[6:8])
    return (day - 40 if day > 40 else day, int(nik[8:10]), int(nik[10:12])) == (
        born_on.day,
        born_on.month,
        born_on.year % 100,
    )


def _fits(age: tuple[int, int], born_on: date, on: date) -> bool:
    """Say whether an age (months, days) fits two dates within 2.5 days: the ministry's rule of counting is not published."""
    months, days = cells.age_on(born_on, on)
    return abs((months - age[0]) * 30.4375 + days - age[1]) <= 2.5


def _whole(cell: Cell) -> cells.Number | None:
    value = cells.number(cell)
    if value is None:
        return None
    if value != int(value):
        raise cells.CellError("not-whole")
    return cells.Number(int(value))


def _birth_weight(cell: Cell) -> cells.Number | None:
    return cells.grams(cell, 300, 7000)
