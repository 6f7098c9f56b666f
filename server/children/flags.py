"""The flags: every reason to look at a child again, with urgency and text. Data only; `assessment` finds who they apply to.

- Urgency 1: to the health centre today. 2: this week. 3: at the next posyandu day, or when staff have time. 4: for
  information.
- RULES is in order of seriousness: the review queue sorts by it.
- Flags are the result of screening, never a diagnosis.

Sources: Permenkes 2/2020; Buku KIA 2023 (T, and weights beyond the red and orange lines, are referred); the national
stunting guideline KMK 1928/2022; WHO limits for data quality.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The text of a rule after the health centre has measured the child itself."""

    id: str
    en: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule's urgency (1 to 4) and its text in Indonesian and English; `confirmed` where the text changes once the health
    centre has measured again."""

    urgency: int
    id: str
    en: str
    confirmed: Confirmed | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that applies: `child` is an index into `Timelines.children`, `subject` the measurement or ""."""

    child: int
    rule: str
    subject: str
    details: Mapping[str, Any]


RULES: Final[dict[str, Rule]] = {
    "oedema": Rule(1, "Bengkak (edema) pada kedua kaki", "Oedema of both feet"),
    "severely_wasted": Rule(
        1,
        "Terindikasi gizi buruk (BB/TB < -3 SD)",
        "Indicated severely wasted (WHZ < -3)",
        Confirmed("Terkonfirmasi gizi buruk (BB/TB < -3 SD)", "Confirmed severely wasted (WHZ < -3)"),
    ),
    "muac_severe": Rule(1, "LiLA di bawah 11,5 cm", "MUAC below 11.5 cm"),
    "below_red_line": Rule(1, "Di bawah garis merah (BB/U < -3 SD)", "Below the red line (WAZ < -3)"),
    "severely_stunted": Rule(
        1,
        "Terindikasi sangat pendek (TB/U < -3 SD)",
        "Indicated severely stunted (HAZ < -3)",
        Confirmed("Terkonfirmasi sangat pendek (TB/U < -3 SD)", "Confirmed severely stunted (HAZ < -3)"),
    ),
    "stunted": Rule(
        2,
        "Terindikasi pendek (TB/U < -2 SD)",
        "Indicated stunted (HAZ < -2)",
        Confirmed("Terkonfirmasi pendek (TB/U < -2 SD)", "Confirmed stunted (HAZ < -2)"),
    ),
    "wasted": Rule(
        2,
        "Terindikasi gizi kurang (BB/TB < -2 SD)",
        "Indicated wasted (WHZ < -2)",
        Confirmed("Terkonfirmasi gizi kurang (BB/TB < -2 SD)", "Confirmed wasted (WHZ < -2)"),
    ),
    "muac_moderate": Rule(2, "LiLA 11,5 sampai di bawah 12,5 cm", "MUAC 11.5 to below 12.5 cm"),
    "underweight": Rule(2, "Berat badan kurang (BB/U < -2 SD)", "Underweight (WAZ < -2)"),
    "two_t": Rule(
        2,
        "Berat badan tidak naik dua bulan berturut-turut (2T)",
        "No adequate gain in two months running (2T)",
    ),
    "conflict": Rule(
        3,
        "Dua tablet mencatat nilai berbeda; pilih salah satu",
        "Two tablets recorded different values; choose one",
    ),
    "removal_contested": Rule(
        3,
        "Data dihapus di satu tablet dan diubah di tablet lain",
        "Removed on one tablet and edited on another",
    ),
    "implausible": Rule(
        3,
        "Nilai di luar batas kewajaran WHO; ukur ulang",
        "Beyond the WHO's limits of plausibility; measure again",
    ),
    "measured_before_birth": Rule(
        3,
        "Tanggal ukur sebelum tanggal lahir; periksa tanggal lahir",
        "Measured before birth; check the birth date",
    ),
    "possible_duplicate": Rule(
        3,
        "Mungkin terdaftar dua kali; periksa apakah sama dengan anak lain",
        "May be registered twice; see whether it is the same as another child",
    ),
    "date_doubtful": Rule(
        3,
        "Jam tablet salah saat mencatat; periksa tanggal ukur dan tanggal lahir",
        "Recorded while the tablet's clock was wrong; check the dates of measuring and of birth",
    ),
    "length_shrank": Rule(
        3, "Panjang/tinggi berkurang; ukur ulang", "Length or height has shrunk; measure again"
    ),
    "weight_jumped": Rule(
        3,
        "Berat berubah lebih dari 2 kg dalam sebulan; timbang ulang",
        "Weight changed by over 2 kg in a month; weigh again",
    ),
    "copied": Rule(
        3,
        "Berat dan tinggi sama persis dengan bulan lalu; ukur ulang",
        "Weight and length the same as last month; measure again",
    ),
    "position_unlikely": Rule(
        3,
        "Bayi di bawah 9 bulan dicatat diukur berdiri",
        "An infant under 9 months recorded as measured standing",
    ),
    "not_gaining": Rule(3, "Berat badan tidak naik (T)", "No adequate weight gain this month (T)"),
    "overweight": Rule(
        3,
        "Terindikasi gizi lebih (BB/TB > +2 SD)",
        "Indicated overweight (WHZ > +2)",
        Confirmed("Terkonfirmasi gizi lebih (BB/TB > +2 SD)", "Confirmed overweight (WHZ > +2)"),
    ),
    "birth_date_unknown": Rule(
        3,
        "Tanggal lahir belum diketahui; hanya BB/PB yang dapat dinilai",
        "Birth date unknown; only WHZ can be scored",
    ),
    "sex_unknown": Rule(
        3, "Jenis kelamin belum diketahui; tidak ada nilai z", "Sex unknown; nothing can be scored"
    ),
    "not_registered": Rule(
        3, "Diukur tetapi pendaftarannya belum terkirim", "Measured, but the registration has not arrived"
    ),
    "incomplete": Rule(4, "Menunggu kiriman ulang dari sebuah tablet", "Waiting for a tablet to send again"),
    "above_orange_line": Rule(3, "Di atas garis oranye (BB/U > +1 SD)", "Above the orange line (WAZ > +1)"),
    "not_seen": Rule(4, "Belum diukur bulan ini dan bulan lalu", "Not measured this month or last"),
}
