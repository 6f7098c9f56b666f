"""Which Sigizi sheet a file is, and which column holds what.

Columns are found by their headings, never by position: title rows stand above the headings, the real file spells
`Pukesmas` so, and versions of the export differ. Sources: reference/domain.md section 3.1 (the export "Daftar Balita") and
3.2 (the import templates).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import Final

from server.interchange.sheets import Cell, Cells, SheetUnreadable
from server.translations import T_

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
"""The headings are searched in the first 15 rows: title rows may stand above them."""

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
"""Heading in plain form -> our name of the column. Other columns are kept with the raw row and not read."""


@lru_cache(maxsize=4096)  # a file repeats few place names
def plain(heading: Cell) -> str:
    """Give a heading or place name in plain form: lower-case letters and digits only."""
    return re.sub(r"[^a-z0-9]", "", str(heading).casefold())


@dataclass(frozen=True, slots=True)
class Layout:
    """Which sheet a file is, and where each column is.

    Parameters
    ----------
    kind : "export" (Daftar Balita), "measurement" or "identity" (import templates)
    row : number of the heading row
    headings : as the file spells them; `at` : index in a row, by our name of the column
    """

    kind: str
    row: int
    headings: tuple[str, ...]
    at: Mapping[str, int]

    def heading(self, what: str) -> str:
        """Give the heading of a column as the file spells it; "" if the file has no such column."""
        at = self.at.get(what)
        return self.headings[at] if at is not None else ""

    def cell(self, row: Cells, what: str) -> Cell:
        """Give a row's cell; "" if there is none."""
        at = self.at.get(what)
        return row[at] if at is not None and at < len(row) else ""

    def picker(self, *whats: str) -> Callable[[Cells], tuple[Cell, ...]]:
        """Return a function that picks these cells (two or more) from a row; "" for a cell that the row lacks."""
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
    """Read rows up to the heading row and find out which sheet it is.

    Raises
    ------
    SheetUnreadable
        There is no heading row among the first HEADER_WITHIN rows, or it belongs to a sheet that is not imported.
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
        T_("no heading row with a NIK column among the first {header_within} rows: is this a file of Sigizi?")
        .format(header_within=HEADER_WITHIN)
        .both()
    )


def layout_of(kind: str, headings: Sequence[str]) -> Layout:
    """Rebuild a layout from its kind and headings."""
    return Layout(kind, 0, tuple(headings), _places(headings))


def _places(headings: Cells) -> dict[str, int]:
    """Find the index of each known column by its heading."""
    at: dict[str, int] = {}
    for place, heading in enumerate(headings):
        what = _COLUMNS.get(plain(heading))
        if what is not None and what in at:
            raise SheetUnreadable(T_("the column {heading} is there twice").format(heading=heading).both())
        if what is not None:
            at[what] = place
    return at


def _missing(names: Sequence[str], at: Mapping[str, int]) -> str:
    if "tanggalpemberianpertama" in names or "tglmonitoring" in names:
        return T_("the PMT and MP-ASI templates are written here, not imported").both()
    words = {
        "sex": "JK",
        "born_on": "Tgl Lahir",
        "name": "Nama",
        "measured_on": "Tanggal Pengukuran",
        "weight": "Berat",
    }
    missing = ", ".join(word for what, word in words.items() if what not in at)
    return T_("missing columns: {missing}").format(missing=missing).both()
