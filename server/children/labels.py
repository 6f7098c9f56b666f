"""Texts for the codes of `server.growth`: classes, each with a sentence for parents, and why a score or a gain is missing.

The labels of classes are in the words of the regulation, Permenkes 2/2020.
"""

from collections.abc import Mapping
from typing import Final

from server.growth.weight_gain import GainReason
from server.growth.zscores import Reason
from server.translations import T_, Text

LABELS: Final[Mapping[str, Text]] = {
    "bb_sangat_kurang": T_("severely underweight"),
    "bb_kurang": T_("underweight"),
    "bb_normal": T_("normal weight"),
    "bb_risiko_lebih": T_("possible overweight"),
    "sangat_pendek": T_("severely stunted"),
    "pendek": T_("stunted"),
    "normal": T_("normal"),
    "tinggi": T_("tall"),
    "gizi_buruk": T_("severely wasted"),
    "gizi_kurang": T_("wasted"),
    "gizi_baik": T_("normal", "status"),
    "berisiko_gizi_lebih": T_("possible risk of overweight"),
    "gizi_lebih": T_("overweight"),
    "obesitas": T_("obese"),
}

# What a class means, as a midwife would say it to parents: by index, then by code. Weight for length and BMI have the same
# codes with different sentences. "oedema" is gizi buruk because of oedema, not of a score.
SENTENCES: Final[Mapping[str, Mapping[str, Text]]] = {
    "haz": {
        "sangat_pendek": T_("Much shorter than children of this age."),
        "pendek": T_("Shorter than children of this age."),
        "normal": T_("As tall as children of this age."),
        "tinggi": T_("Much taller than children of this age; seldom a problem."),
    },
    "waz": {
        "bb_sangat_kurang": T_("Much lighter than children of this age: below the red line of the KMS."),
        "bb_kurang": T_("Lighter than children of this age."),
        "bb_normal": T_("As heavy as children of this age."),
        "bb_risiko_lebih": T_(
            "Heavier than children of this age: above the orange line of the KMS; see weight for height."
        ),
    },
    "whz": {
        "gizi_buruk": T_("Very thin for the length or height; to be seen at the health centre today."),
        "gizi_kurang": T_("Thin for the length or height."),
        "gizi_baik": T_("The weight fits the length or height."),
        "berisiko_gizi_lebih": T_("Somewhat heavy for the length or height; watch next month."),
        "gizi_lebih": T_("Too heavy for the length or height."),
        "obesitas": T_("Far too heavy for the length or height."),
        "oedema": T_(
            "Both feet are swollen: counted as severely wasted whatever the weight; to be seen today."
        ),
    },
    "baz": {
        "gizi_buruk": T_("Very thin for the age."),
        "gizi_kurang": T_("Thin for the age."),
        "gizi_baik": T_("Neither thin nor fat for the age."),
        "berisiko_gizi_lebih": T_("Somewhat fat for the age; watch next month."),
        "gizi_lebih": T_("Fat for the age."),
        "obesitas": T_("Very fat for the age."),
        "oedema": T_("Both feet are swollen: the weight says nothing."),
    },
    "muac": {
        "gizi_buruk": T_("A very thin arm: below 11.5 cm; to be seen today."),
        "gizi_kurang": T_("A thin arm: 11.5 to below 12.5 cm."),
        "normal": T_("The arm is thick enough: 12.5 cm or more."),
    },
}

# Text of each reason why there is no score; DEFINED has none.
REASON_LABELS: Final[Mapping[Reason, Text]] = {
    Reason.VALUE_MISSING: T_("not measured"),
    Reason.NO_SEX: T_("sex not known"),
    Reason.NO_AGE: T_("age not known"),
    Reason.AGE_OUT_OF_RANGE: T_("age out of range"),
    Reason.LENGTH_OUT_OF_RANGE: T_("length or height out of range"),
    Reason.OEDEMA: T_("oedema: the weight cannot be judged"),
    Reason.VALUE_REFUSED: T_("impossible value, measure again"),
    Reason.NOT_ASKED: T_("not computed"),
}

# Text of each reason why a weighing has its N/T/O/B code, or none; COMPARED (N, T) has none.
GAIN_REASON_LABELS: Final[Mapping[GainReason, Text]] = {
    GainReason.NOT_WEIGHED: T_("not weighed"),
    GainReason.LATER_IN_MONTH: T_("weighed again later this month"),
    GainReason.FIRST_WEIGHING: T_("weighed for the first time"),
    GainReason.NO_WEIGHING_LAST_MONTH: T_("not weighed last month"),
    GainReason.NO_BIRTH_DATE: T_("birth date not known"),
    GainReason.NO_SEX: T_("sex not known"),
    GainReason.UNDER_ONE_MONTH: T_("not yet one month old"),
    GainReason.NO_KBM_FOR_AGE: T_("no KBM for this age"),
}

# Shown on every page, sheet and answer with a status.
SCREENING_NOTE: Final = T_(
    "Screening result, not a diagnosis. To be confirmed by re-measuring by a health worker."
)
