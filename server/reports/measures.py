"""The names of the counted numbers, and the shares made of them: each with its numerator and its denominator.

"Terindikasi" is what cadres measured, "terkonfirmasi" what the health centre measured again. Neither is a survey: no page,
sheet or report may compare them with SSGI or SKI figures.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from server.translations import T_, Text

SKDN: Final = ("S", "K", "D", "N")
CODES: Final = ("N", "T", "O", "B")


@dataclass(frozen=True, slots=True)
class MeasureShare:
    """A share: the numbers in `over` add up to the denominator. `good`: 1 if more is better, -1 if worse, 0 if neither."""

    code: str
    part: str
    over: tuple[str, ...]
    text: Text
    good: int = 0


NUMBERS: Final[Mapping[str, Text]] = {
    "S": T_("S: under-fives in the area"),
    "K": T_("K: hold a KIA book or KMS"),
    "D": T_("D: weighed this month"),
    "N": T_("N: gained enough"),
    "T": T_("T: did not gain enough"),
    "O": T_("O: not weighed last month, or not to be judged"),
    "B": T_("B: weighed for the first time"),
    "OB": T_("O and B together"),
    "undecided": T_("of them with weights in conflict"),
    "two_t": T_("2T: no sufficient gain in two months running"),
    "krs": T_("Under-fives of families at risk (KRS)"),
    "posts": T_("Posyandu"),
    "posts.reporting": T_("Posyandu with measurements this month"),
    "sessions": T_("Posyandu days"),
    "visits": T_("Measurements by cadres"),
    "visits.staff": T_("Measurements by the health centre"),
    "visits.disputed": T_("Measurements in conflict"),
    "no_birth_date": T_("Under-fives without a birth date"),
    "no_sex": T_("Under-fives without a sex"),
    "funnel.flagged": T_("To be looked at (flagged)"),
    "funnel.taken": T_("In hand or planned"),
    "funnel.seen": T_("Seen by the health centre"),
    "funnel.helped": T_("Got PMT or aid"),
    "pmt": T_("Under-fives on a PMT course"),
    "aid": T_("Under-fives with aid"),
    "aid.food": T_("of them nutrition"),
    "aid.other": T_("of them other than nutrition"),
    "aid.needing": T_("Under-fives in need (flagged or KRS)"),
    "aid.reaching": T_("of them with aid"),
}

INDICES: Final[Mapping[str, tuple[Text, tuple[str, ...]]]] = {
    "haz": (T_("Length or height for age", "index"), ("stunted", "severely_stunted")),
    "waz": (T_("Weight for age", "index"), ("underweight", "severely_underweight", "above_orange")),
    "whz": (
        T_("Weight for length or height", "index"),
        ("wasted", "severely_wasted", "overweight"),
    ),
    "muac": (T_("Arm circumference (6–59 months)"), ("thin_arm", "very_thin_arm")),
}
"""Each index, and the numbers counted of it; the index itself is their denominator."""

FOUND: Final[Mapping[str, Text]] = {
    "stunted": T_("stunted, severely stunted among them"),
    "severely_stunted": T_("severely stunted", "finding"),
    "underweight": T_("underweight, severely underweight among them"),
    "severely_underweight": T_("severely underweight (BGM)"),
    "above_orange": T_("possible overweight", "finding"),
    "wasted": T_("wasted, severely wasted among them"),
    "severely_wasted": T_("severely wasted", "finding"),
    "overweight": T_("overweight and obese"),
    "thin_arm": T_("arm below 12.5 cm"),
    "very_thin_arm": T_("arm below 11.5 cm"),
}
KINDS: Final[Mapping[str, Text]] = {
    "indicated": T_("Indicated"),
    "confirmed": T_("Confirmed"),
}
KINDS_ABOUT: Final[Mapping[str, Text]] = {
    "indicated": T_("measured by cadres"),
    "confirmed": T_("measured again by the health centre"),
}


def _prevalences() -> dict[str, MeasureShare]:
    found = {}
    for kind, kind_name in KINDS.items():
        for index, (_, names) in INDICES.items():
            for name in names:
                code, of = f"{kind}.{name}", FOUND[name]
                text = T_("{kind}: {found}").format(kind=kind_name, found=of)
                found[code] = MeasureShare(code, code, (f"{kind}.{index}",), text, good=-1)
    return found


SHARES: Final[Mapping[str, MeasureShare]] = {
    "D/S": MeasureShare("D/S", "D", ("S",), T_("D/S: participation"), 1),
    "K/S": MeasureShare("K/S", "K", ("S",), T_("K/S: coverage of KIA book and KMS"), 1),
    "N/D": MeasureShare("N/D", "N", ("D",), T_("N/D: success of growth"), 1),
    "N/D'": MeasureShare(
        "N/D'",
        "N",
        ("N", "T"),
        T_("N/(D−O−B): gained, of those judged"),
        1,
    ),
    "N/S": MeasureShare("N/S", "N", ("S",), T_("N/S: effectiveness"), 1),
    "2T/D": MeasureShare("2T/D", "two_t", ("D",), T_("2T/D: twice without gain"), -1),
    "BGM/D": MeasureShare(
        "BGM/D",
        "indicated.severely_underweight",
        ("D",),
        T_("BGM/D: below the red line"),
        -1,
    ),
    **_prevalences(),
    "vitamin_a": MeasureShare(
        "vitamin_a",
        "given.vitamin_a",
        ("due.vitamin_a",),
        T_("Vitamin A (February and August, 6–59 months)"),
        1,
    ),
    "exclusive_breastfeeding": MeasureShare(
        "exclusive_breastfeeding",
        "given.exclusive_breastfeeding",
        ("asked.exclusive_breastfeeding",),
        T_("Exclusively breast-fed (0–5 months)"),
        1,
    ),
    "mbg": MeasureShare("mbg", "given.mbg", ("asked.mbg",), T_("MBG meals (6–59 months)"), 1),
    "mother_class": MeasureShare(
        "mother_class", "given.mother_class", ("asked.mother_class",), T_("Mothers’ class"), 1
    ),
    "deworming": MeasureShare(
        "deworming",
        "given.deworming",
        ("asked.deworming",),
        T_("Dewormed (12–59 months)"),
        1,
    ),
    "immunised": MeasureShare(
        "immunised",
        "given.immunised",
        ("asked.immunised",),
        T_("Immunised for the age"),
        1,
    ),
    "kpsp": MeasureShare("kpsp", "asked.kpsp", ("D",), T_("Development checked (KPSP), of D"), 1),
    "kpsp_doubt": MeasureShare("kpsp_doubt", "found.kpsp_doubt", ("asked.kpsp",), T_("KPSP: doubtful"), -1),
    "kpsp_deviation": MeasureShare(
        "kpsp_deviation", "found.kpsp_deviation", ("asked.kpsp",), T_("KPSP: deviation"), -1
    ),
    "pmt": MeasureShare("pmt", "pmt", ("S",), T_("On a PMT course"), 0),
    "flagged": MeasureShare(
        "flagged",
        "indicated.flagged",
        ("indicated.scored",),
        T_("Values beyond the WHO limits (in no prevalence)"),
        -1,
    ),
    "weight_05": MeasureShare(
        "weight_05",
        "visits.weight_05",
        ("visits.weight",),
        T_("Weights ending in 0 or 5 (20 % expected)"),
        -1,
    ),
    "length_05": MeasureShare(
        "length_05",
        "visits.length_05",
        ("visits.length",),
        T_("Lengths ending in 0 or 5 (20 % expected)"),
        -1,
    ),
    "no_position": MeasureShare(
        "no_position",
        "visits.no_position",
        ("visits.length",),
        T_("Lengths without a position"),
        -1,
    ),
    "disputed": MeasureShare("disputed", "visits.disputed", ("visits",), T_("Measurements in conflict"), -1),
    "no_birth_date": MeasureShare("no_birth_date", "no_birth_date", ("S",), T_("Without a birth date"), -1),
    "no_sex": MeasureShare("no_sex", "no_sex", ("S",), T_("Without a sex"), -1),
    "reporting": MeasureShare(
        "reporting",
        "posts.reporting",
        ("posts",),
        T_("Posyandu with measurements this month"),
        1,
    ),
    "aid_reach": MeasureShare(
        "aid_reach",
        "aid.reaching",
        ("aid.needing",),
        T_("Aid reaching those in need"),
        1,
    ),
    "after3": MeasureShare(
        "after3",
        "after3.waz.rose",
        ("after3.waz",),
        T_("Weight for age risen 3 months after aid"),
        1,
    ),
    "after6": MeasureShare(
        "after6",
        "after6.waz.rose",
        ("after6.waz",),
        T_("Weight for age risen 6 months after aid"),
        1,
    ),
    "after3_haz": MeasureShare(
        "after3_haz",
        "after3.haz.rose",
        ("after3.haz",),
        T_("Height for age risen 3 months after aid"),
        1,
    ),
    "after6_haz": MeasureShare(
        "after6_haz",
        "after6.haz.rose",
        ("after6.haz",),
        T_("Height for age risen 6 months after aid"),
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
SECTIONS: Final[Mapping[str, tuple[Text, tuple[str, ...]]]] = {
    "services": (
        T_("Coverage of services"),
        (
            *("vitamin_a", "exclusive_breastfeeding", "mbg", "mother_class", "deworming", "immunised"),
            *("kpsp", "kpsp_doubt", "kpsp_deviation", "pmt"),
        ),
    ),
    "quality": (
        T_("Quality of data"),
        ("flagged", "weight_05", "length_05", "no_position", "disputed", "no_birth_date", "no_sex"),
    ),
    "reporting": (T_("Completeness of reporting"), ("reporting",)),
    "aid": (
        T_("Reach and outcome of aid"),
        ("aid_reach", "after3", "after6", "after3_haz", "after6_haz"),
    ),
}
"""Shares shown as tables, by section."""
FUNNEL: Final = ("funnel.flagged", "funnel.taken", "funnel.seen", "funnel.helped")
NO_SURVEY: Final = T_("Figures of the posyandu, no survey (SSGI, SKI), and not to be compared with one.")
MOVES_ALONG: Final = T_("A child counts at its present posyandu; who moves takes the past months along.")
