"""The names of the counted numbers, and the shares made of them: each with its numerator and its denominator.

"Terindikasi" is what cadres measured, "terkonfirmasi" what the health centre measured again. Neither is a survey: no page,
sheet or report may compare them with SSGI or SKI figures.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

SKDN: Final = ("S", "K", "D", "N")
CODES: Final = ("N", "T", "O", "B")


@dataclass(frozen=True, slots=True)
class Named:
    """A name: Indonesian, English."""

    id: str
    en: str


@dataclass(frozen=True, slots=True)
class MeasureShare:
    """A share: the numbers in `over` add up to the denominator. `good`: 1 if more is better, -1 if worse, 0 if neither."""

    code: str
    part: str
    over: tuple[str, ...]
    id: str
    en: str
    good: int = 0


NUMBERS: Final[Mapping[str, Named]] = {
    "S": Named("S: balita di wilayah", "S: under-fives in the area"),
    "K": Named("K: punya Buku KIA/KMS", "K: hold a KIA book or KMS"),
    "D": Named("D: ditimbang bulan ini", "D: weighed this month"),
    "N": Named("N: naik", "N: gained enough"),
    "T": Named("T: tidak naik", "T: did not gain enough"),
    "O": Named(
        "O: bulan lalu tidak ditimbang, atau belum dapat dinilai",
        "O: not weighed last month, or not to be judged",
    ),
    "B": Named("B: pertama kali ditimbang", "B: weighed for the first time"),
    "OB": Named("O dan B bersama", "O and B together"),
    "undecided": Named("di antaranya berat berselisih", "of them with weights in conflict"),
    "two_t": Named("2T: tidak naik dua bulan berturut-turut", "2T: no sufficient gain in two months running"),
    "krs": Named("Balita keluarga berisiko stunting (KRS)", "Under-fives of families at risk (KRS)"),
    "posts": Named("Posyandu", "Posyandu"),
    "posts.reporting": Named("Posyandu dengan hasil ukur bulan ini", "Posyandu with measurements this month"),
    "sessions": Named("Hari posyandu", "Posyandu days"),
    "visits": Named("Pengukuran kader", "Measurements by cadres"),
    "visits.staff": Named("Pengukuran ulang puskesmas", "Measurements by the health centre"),
    "visits.disputed": Named("Pengukuran berselisih", "Measurements in conflict"),
    "no_birth_date": Named("Balita tanpa tanggal lahir", "Under-fives without a birth date"),
    "no_sex": Named("Balita tanpa jenis kelamin", "Under-fives without a sex"),
    "funnel.flagged": Named("Perlu dilihat (ditandai)", "To be looked at (flagged)"),
    "funnel.taken": Named("Ditangani atau direncanakan", "In hand or planned"),
    "funnel.seen": Named("Diperiksa puskesmas", "Seen by the health centre"),
    "funnel.helped": Named("Mendapat PMT atau bantuan", "Got PMT or aid"),
    "pmt": Named("Balita dalam paket PMT", "Under-fives on a PMT course"),
    "aid": Named("Balita menerima bantuan", "Under-fives with aid"),
    "aid.food": Named("di antaranya gizi", "of them nutrition"),
    "aid.other": Named("di antaranya nongizi", "of them other than nutrition"),
    "aid.needing": Named("Balita yang perlu (ditandai atau KRS)", "Under-fives in need (flagged or KRS)"),
    "aid.reaching": Named("di antaranya menerima bantuan", "of them with aid"),
}

INDICES: Final[Mapping[str, tuple[Named, tuple[str, ...]]]] = {
    "haz": (Named("PB/U atau TB/U", "Length or height for age"), ("stunted", "severely_stunted")),
    "waz": (Named("BB/U", "Weight for age"), ("underweight", "severely_underweight", "above_orange")),
    "whz": (
        Named("BB/PB atau BB/TB", "Weight for length or height"),
        ("wasted", "severely_wasted", "overweight"),
    ),
    "muac": (Named("LiLA (6–59 bulan)", "Arm circumference (6–59 months)"), ("thin_arm", "very_thin_arm")),
}
"""Each index, and the numbers counted of it; the index itself is their denominator."""

FOUND: Final[Mapping[str, Named]] = {
    "stunted": Named("pendek dan sangat pendek (stunting)", "stunted, severely stunted among them"),
    "severely_stunted": Named("sangat pendek", "severely stunted"),
    "underweight": Named(
        "berat badan kurang dan sangat kurang", "underweight, severely underweight among them"
    ),
    "severely_underweight": Named(
        "berat badan sangat kurang (di bawah garis merah, BGM)", "severely underweight (BGM)"
    ),
    "above_orange": Named("risiko berat badan lebih", "possible overweight"),
    "wasted": Named("gizi kurang dan gizi buruk", "wasted, severely wasted among them"),
    "severely_wasted": Named("gizi buruk", "severely wasted"),
    "overweight": Named("gizi lebih dan obesitas", "overweight and obese"),
    "thin_arm": Named("LiLA di bawah 12,5 cm", "arm below 12.5 cm"),
    "very_thin_arm": Named("LiLA di bawah 11,5 cm", "arm below 11.5 cm"),
}
KINDS: Final[Mapping[str, Named]] = {
    "indicated": Named("Terindikasi", "Indicated"),
    "confirmed": Named("Terkonfirmasi", "Confirmed"),
}
KINDS_ABOUT: Final[Mapping[str, Named]] = {
    "indicated": Named("hasil ukur kader", "measured by cadres"),
    "confirmed": Named("diukur ulang puskesmas", "measured again by the health centre"),
}


def _prevalences() -> dict[str, MeasureShare]:
    found = {}
    for kind, kind_name in KINDS.items():
        for index, (_, names) in INDICES.items():
            for name in names:
                code, of = f"{kind}.{name}", FOUND[name]
                words = f"{kind_name.id}: {of.id}", f"{kind_name.en}: {of.en}"
                found[code] = MeasureShare(code, code, (f"{kind}.{index}",), *words, good=-1)
    return found


SHARES: Final[Mapping[str, MeasureShare]] = {
    "D/S": MeasureShare("D/S", "D", ("S",), "D/S: partisipasi", "D/S: participation", 1),
    "K/S": MeasureShare(
        "K/S", "K", ("S",), "K/S: cakupan Buku KIA/KMS", "K/S: coverage of KIA book and KMS", 1
    ),
    "N/D": MeasureShare("N/D", "N", ("D",), "N/D: keberhasilan penimbangan", "N/D: success of growth", 1),
    "N/D'": MeasureShare(
        "N/D'",
        "N",
        ("N", "T"),
        "N/(D−O−B): naik dari yang dapat dinilai",
        "N/(D−O−B): gained, of those judged",
        1,
    ),
    "N/S": MeasureShare("N/S", "N", ("S",), "N/S: efektivitas program", "N/S: effectiveness", 1),
    "2T/D": MeasureShare(
        "2T/D", "two_t", ("D",), "2T/D: dua kali tidak naik", "2T/D: twice without gain", -1
    ),
    "BGM/D": MeasureShare(
        "BGM/D",
        "indicated.severely_underweight",
        ("D",),
        "BGM/D: di bawah garis merah",
        "BGM/D: below the red line",
        -1,
    ),
    **_prevalences(),
    "vitamin_a": MeasureShare(
        "vitamin_a",
        "given.vitamin_a",
        ("due.vitamin_a",),
        "Vitamin A (Februari dan Agustus, 6–59 bulan)",
        "Vitamin A (February and August, 6–59 months)",
        1,
    ),
    "exclusive_breastfeeding": MeasureShare(
        "exclusive_breastfeeding",
        "given.exclusive_breastfeeding",
        ("asked.exclusive_breastfeeding",),
        "ASI eksklusif (0–5 bulan)",
        "Exclusively breast-fed (0–5 months)",
        1,
    ),
    "mbg": MeasureShare("mbg", "given.mbg", ("asked.mbg",), "MBG (6–59 bulan)", "MBG meals (6–59 months)", 1),
    "mother_class": MeasureShare(
        "mother_class", "given.mother_class", ("asked.mother_class",), "Kelas ibu balita", "Mothers’ class", 1
    ),
    "deworming": MeasureShare(
        "deworming",
        "given.deworming",
        ("asked.deworming",),
        "Obat cacing (12–59 bulan)",
        "Dewormed (12–59 months)",
        1,
    ),
    "immunised": MeasureShare(
        "immunised",
        "given.immunised",
        ("asked.immunised",),
        "Imunisasi sesuai umur",
        "Immunised for the age",
        1,
    ),
    "kpsp": MeasureShare(
        "kpsp", "asked.kpsp", ("D",), "KPSP diperiksa (dari D)", "Development checked (KPSP), of D", 1
    ),
    "kpsp_doubt": MeasureShare(
        "kpsp_doubt", "found.kpsp_doubt", ("asked.kpsp",), "KPSP meragukan", "KPSP: doubtful", -1
    ),
    "kpsp_deviation": MeasureShare(
        "kpsp_deviation", "found.kpsp_deviation", ("asked.kpsp",), "KPSP penyimpangan", "KPSP: deviation", -1
    ),
    "pmt": MeasureShare("pmt", "pmt", ("S",), "Dalam paket PMT", "On a PMT course", 0),
    "flagged": MeasureShare(
        "flagged",
        "indicated.flagged",
        ("indicated.scored",),
        "Nilai di luar batas WHO (tidak dihitung dalam prevalensi)",
        "Values beyond the WHO limits (in no prevalence)",
        -1,
    ),
    "weight_05": MeasureShare(
        "weight_05",
        "visits.weight_05",
        ("visits.weight",),
        "Berat berakhir 0 atau 5 (wajar 20 %)",
        "Weights ending in 0 or 5 (20 % expected)",
        -1,
    ),
    "length_05": MeasureShare(
        "length_05",
        "visits.length_05",
        ("visits.length",),
        "Panjang/tinggi berakhir 0 atau 5 (wajar 20 %)",
        "Lengths ending in 0 or 5 (20 % expected)",
        -1,
    ),
    "no_position": MeasureShare(
        "no_position",
        "visits.no_position",
        ("visits.length",),
        "Panjang/tinggi tanpa posisi ukur",
        "Lengths without a position",
        -1,
    ),
    "disputed": MeasureShare(
        "disputed", "visits.disputed", ("visits",), "Pengukuran berselisih", "Measurements in conflict", -1
    ),
    "no_birth_date": MeasureShare(
        "no_birth_date", "no_birth_date", ("S",), "Tanpa tanggal lahir", "Without a birth date", -1
    ),
    "no_sex": MeasureShare("no_sex", "no_sex", ("S",), "Tanpa jenis kelamin", "Without a sex", -1),
    "reporting": MeasureShare(
        "reporting",
        "posts.reporting",
        ("posts",),
        "Posyandu dengan hasil ukur bulan ini",
        "Posyandu with measurements this month",
        1,
    ),
    "aid_reach": MeasureShare(
        "aid_reach",
        "aid.reaching",
        ("aid.needing",),
        "Bantuan menjangkau balita yang perlu",
        "Aid reaching those in need",
        1,
    ),
    "after3": MeasureShare(
        "after3",
        "after3.waz.rose",
        ("after3.waz",),
        "BB/U naik 3 bulan setelah bantuan",
        "Weight for age risen 3 months after aid",
        1,
    ),
    "after6": MeasureShare(
        "after6",
        "after6.waz.rose",
        ("after6.waz",),
        "BB/U naik 6 bulan setelah bantuan",
        "Weight for age risen 6 months after aid",
        1,
    ),
    "after3_haz": MeasureShare(
        "after3_haz",
        "after3.haz.rose",
        ("after3.haz",),
        "TB/U naik 3 bulan setelah bantuan",
        "Height for age risen 3 months after aid",
        1,
    ),
    "after6_haz": MeasureShare(
        "after6_haz",
        "after6.haz.rose",
        ("after6.haz",),
        "TB/U naik 6 bulan setelah bantuan",
        "Height for age risen 6 months after aid",
        1,
    ),
}

CHARTED: Final = (
    *("D/S", "N/D", "K/S", "2T/D", "BGM/D"),
    *(
        "indicated.stunted",
        "confirmed.stunted",
        "indicated.wasted",
        "confirmed.wasted",
        "indicated.underweight",
    ),
    *("reporting", "flagged", "aid_reach"),
)
"""The shares that a page draws over time, and compares between areas."""
SECTIONS: Final[Mapping[str, tuple[Named, tuple[str, ...]]]] = {
    "services": (
        Named("Cakupan layanan", "Coverage of services"),
        (
            *("vitamin_a", "exclusive_breastfeeding", "mbg", "mother_class", "deworming", "immunised"),
            *("kpsp", "kpsp_doubt", "kpsp_deviation", "pmt"),
        ),
    ),
    "quality": (
        Named("Mutu data", "Quality of data"),
        ("flagged", "weight_05", "length_05", "no_position", "disputed", "no_birth_date", "no_sex"),
    ),
    "reporting": (Named("Kelengkapan laporan", "Completeness of reporting"), ("reporting",)),
    "aid": (
        Named("Jangkauan dan hasil bantuan", "Reach and outcome of aid"),
        ("aid_reach", "after3", "after6", "after3_haz", "after6_haz"),
    ),
}
"""Shares shown as tables, by section."""
FUNNEL: Final = ("funnel.flagged", "funnel.taken", "funnel.seen", "funnel.helped")
NO_SURVEY: Final = Named(
    "Angka dari posyandu, bukan hasil survei (SSGI/SKI), dan tidak dapat dibandingkan dengannya.",
    "Figures of the posyandu, no survey (SSGI, SKI), and not to be compared with one.",
)
MOVES_ALONG: Final = Named(
    "Anak dihitung di posyandunya yang sekarang; anak yang pindah membawa bulan-bulan lalunya.",
    "A child counts at its present posyandu; who moves takes the past months along.",
)
