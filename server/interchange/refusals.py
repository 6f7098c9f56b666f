"""Texts for refused, questioned and noted cells and rows: rule -> Indonesian and English, with the remedy.

The content of a cell is repeated only if it cannot be personal: names, parents, addresses, NIKs and phone numbers are not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any, Final, NamedTuple

from server.interchange.sheets import Cell

MOST_SHOWN: Final = 40


class RefusalText(NamedTuple):
    """A sentence in both languages."""

    id: str
    en: str


RULES: Final[Mapping[str, RefusalText]] = {
    # of a cell
    "missing": RefusalText("kosong: isi kolom ini", "is empty: fill it in"),
    "not-number": RefusalText(
        "bukan angka: tulis angkanya saja, tanpa satuan; kosongkan bila tidak diukur",
        "not a number: write the number alone, without its unit; leave empty what was not measured",
    ),
    "excel-date": RefusalText(
        "Excel mengubah angka menjadi tanggal (9.5 dibaca 9 Mei): ubah format sel menjadi Teks, tulis lagi angkanya",
        "Excel turned the number into a date (9.5 read as 9 May): set the cell to Text and write the number again",
    ),
    "excel-time": RefusalText(
        "Excel mengubah angka menjadi jam (9.5 dibaca 09:05): ubah format sel menjadi Teks, tulis lagi angkanya",
        "Excel turned the number into a time (9.5 read as 09:05): set the cell to Text and write the number again",
    ),
    "not-date": RefusalText(
        "bukan tanggal: tulis seperti 2026-03-05 atau 05/03/2026",
        "not a date: write it like 2026-03-05 or 05/03/2026 (day first)",
    ),
    "not-sex": RefusalText("jenis kelamin: L atau P", "sex: L (male) or P (female)"),
    "not-position": RefusalText(
        "cara ukur: Terlentang atau Berdiri", "position: Terlentang (lying) or Berdiri (standing)"
    ),
    "not-yes-no": RefusalText("isi dengan ya atau tidak", "write ya (yes) or tidak (no)"),
    "not-oedema": RefusalText("edema: tidak, 1, 2, atau 3", "oedema: tidak (none), 1, 2 or 3"),
    "not-whole": RefusalText("harus bilangan bulat", "must be a whole number"),
    "out-of-range": RefusalText("di luar batas", "out of range"),
    # of a row
    "born-after": RefusalText(
        "diukur sebelum lahir: periksa tanggal lahir dan tanggal ukur",
        "measured before birth: check the birth date and the date of measurement",
    ),
    "date-in-future": RefusalText(
        "tanggal sesudah hari ini: periksa tanggalnya", "the date is after today: check it"
    ),
    "nothing-measured": RefusalText(
        "tidak ada berat, tinggi, LiLA, atau lingkar kepala pada baris ini",
        "no weight, length, arm or head circumference in this row",
    ),
    "post-unknown": RefusalText(
        "posyandu ini belum ada di sini: tambahkan dahulu, atau impor lagi dengan pilihan menambahkan posyandu",
        "this posyandu is not here yet: add it first, or import again with posyandu added",
    ),
    "post-unclear": RefusalText(
        "posyandu tidak dapat ditentukan: nama ini ada di beberapa desa, atau desa di baris ini tidak dikenal",
        "which posyandu is meant is not clear: several villages have one of this name, or the row's village is unknown",
    ),
    "out-of-scope": RefusalText(
        "posyandu ini di luar wilayah Anda: minta petugas wilayah itu mengimpornya",
        "this posyandu is beyond your area: ask whoever is in charge there to import it",
    ),
    "child-restricted": RefusalText(
        "data anak ini sedang tidak boleh diolah atas permintaan orang tua: lihat halaman Hak orang tua",
        "this child's data may not be processed for now, at a parent's request: see the page of parents' rights",
    ),
    "child-unknown": RefusalText(
        "anak ini belum ada di sini, dan baris ini tidak memuat tanggal lahir: impor templat identitas dahulu",
        "this child is not here yet, and the row has no birth date: import the identity template first",
    ),
    "other-district": RefusalText(
        "kabupaten/kota pada baris ini bukan wilayah server ini",
        "the row is of another regency than this server serves",
    ),
}
"""Why a row is refused."""

QUESTIONS: Final[Mapping[str, RefusalText]] = {
    "several": RefusalText(
        "beberapa anak di sini cocok dengan baris ini: pilih anaknya, atau nyatakan anak baru",
        "several children here fit this row: choose which, or say that it is a new child",
    ),
    "alike": RefusalText(
        "seorang anak di sini mirip, tetapi tidak cukup untuk dipastikan: apakah anak yang sama?",
        "a child here is alike, but not enough to be sure: is it the same child?",
    ),
    "identity-differs": RefusalText(
        "NIK sama, tetapi nama, tanggal lahir, atau jenis kelamin berbeda: periksa kartu keluarga",
        "the same NIK, but name, birth date or sex differ: check the family card",
    ),
    "nik-shared": RefusalText(
        "satu NIK dipakai beberapa anak di berkas ini (mungkin NIK ibu): periksa kartu keluarga",
        "one NIK is given to several children in this file (perhaps the mother's): check the family card",
    ),
    "values-differ": RefusalText(
        "pada hari itu sudah ada nilai lain di sini: pilih nilai yang benar",
        "other values of that day are here already: choose the right ones",
    ),
    "removed": RefusalText(
        "anak ini pernah dihapus di sini: kembalikan dahulu, atau lewati baris ini",
        "this child was removed here: restore it first, or skip the row",
    ),
}
"""Why a person must decide about a row."""

NOTES: Final[Mapping[str, RefusalText]] = {
    "read-as-grams": RefusalText("berat dibaca dalam gram", "the weight was read as grams"),
    "date-from-serial": RefusalText(
        "tanggal dibaca dari nomor seri Excel", "a date was read from Excel's serial number"
    ),
    "two-digit-year": RefusalText("tahun dua angka dibaca 20xx", "a year of two digits was read as 20xx"),
    "month-first": RefusalText("tanggal dibaca bulan/hari/tahun", "a date was read month/day/year"),
    "days-changed-over": RefusalText(
        "hari dan bulan tertukar oleh Excel; dibetulkan menurut “Usia Saat Ukur”",
        "Excel had changed day and month over; put right by “Usia Saat Ukur”",
    ),
    "age-differs": RefusalText(
        "“Usia Saat Ukur” tidak cocok dengan tanggalnya", "“Usia Saat Ukur” does not fit the dates"
    ),
    "nik-masked": RefusalText("NIK disamarkan: tidak disimpan", "the NIK is masked: it is not kept"),
    "nik-rounded": RefusalText(
        "NIK dibulatkan Excel: tidak disimpan", "the NIK was rounded by Excel: it is not kept"
    ),
    "nik-unusable": RefusalText("NIK tidak sah: tidak disimpan", "the NIK is not valid: it is not kept"),
    "nik-other-date": RefusalText(
        "NIK memuat tanggal lahir lain: mungkin NIK orang tua",
        "the NIK holds another birth date: perhaps a parent's",
    ),
    "one-parent": RefusalText(
        "hanya satu nama orang tua: disimpan sebagai ibu", "one parent's name only: kept as the mother's"
    ),
    "name-differs": RefusalText("ejaan nama berbeda dari yang di sini", "the name is spelled otherwise here"),
    "other-post": RefusalText(
        "di sini anak ini terdaftar di posyandu lain", "here the child belongs to another posyandu"
    ),
    "score-differs": RefusalText(
        "skor-z berkas berbeda dari hitungan di sini", "the file's z-score differs from ours"
    ),
    "repeated": RefusalText("sama dengan baris sebelumnya", "the same as an earlier row"),
    "home-unknown": RefusalText(
        "RT/RW atau alamat tidak terbaca: dilewati", "RT/RW or address unreadable: left out"
    ),
    "ignored": RefusalText(
        "isi satu kolom tidak dikenal: dilewati", "a column's value is not known: left out"
    ),
}
"""What is worth knowing about a row that is imported."""


@dataclass(frozen=True, slots=True)
class RowRefusal:
    """One reason why a row was refused: the column, its content (None if it may be personal), the rule, and the texts."""

    column: str
    value: str | None
    rule: str
    id: str
    en: str

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {"column": self.column, "value": self.value, "rule": self.rule, "id": self.id, "en": self.en}


def refusal(column: str, cell: Cell, rule: str, *, personal: bool) -> RowRefusal:
    """Make a refusal with its texts."""
    words = RULES[rule]
    return RowRefusal(column, None if personal else shown(cell), rule, words.id, words.en)


def shown(cell: Cell) -> str | None:
    """Give the content of a cell, shortened; None if blank, or if it has more than 10 digits and may be a NIK."""
    if isinstance(cell, datetime | time):
        return cell.isoformat()
    text = f"{cell:g}" if isinstance(cell, float) else cell
    if sum(character.isdigit() for character in text) > 10:
        return None
    return text[:MOST_SHOWN] or None


def words_of(code: str) -> RefusalText:
    """Give the texts of any rule, question or note."""
    return RULES.get(code) or QUESTIONS.get(code) or NOTES[code]


def codes(found: Sequence[RowRefusal]) -> list[str]:
    """List the broken rules."""
    return [one.rule for one in found]
