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

from server.translations import T_, Text


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule's urgency (1 to 4) and its text; `confirmed`: its text once the health centre has measured again."""

    urgency: int
    text: Text
    confirmed: Text | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that applies: `child` is an index into `Timelines.children`, `subject` the measurement or ""."""

    child: int
    rule: str
    subject: str
    details: Mapping[str, Any]


RULES: Final[dict[str, Rule]] = {
    "oedema": Rule(1, T_("Oedema of both feet", "flag")),
    "severely_wasted": Rule(
        1,
        T_("Indicated severely wasted (WHZ < -3)"),
        T_("Confirmed severely wasted (WHZ < -3)"),
    ),
    "muac_severe": Rule(1, T_("MUAC below 11.5 cm")),
    "infant_not_gaining": Rule(1, T_("Infant under 6 months without adequate weight gain")),
    "below_red_line": Rule(1, T_("Below the red line (WAZ < -3)")),
    "severely_stunted": Rule(
        1,
        T_("Indicated severely stunted (HAZ < -3)"),
        T_("Confirmed severely stunted (HAZ < -3)"),
    ),
    "stunted": Rule(
        2,
        T_("Indicated stunted (HAZ < -2)"),
        T_("Confirmed stunted (HAZ < -2)"),
    ),
    "wasted": Rule(
        2,
        T_("Indicated wasted (WHZ < -2)"),
        T_("Confirmed wasted (WHZ < -2)"),
    ),
    "muac_moderate": Rule(2, T_("MUAC 11.5 to below 12.5 cm")),
    "muac_for_age_severe": Rule(2, T_("MUAC very small for the age (ACZ < -3)")),
    "underweight": Rule(2, T_("Underweight (WAZ < -2)")),
    "two_t": Rule(
        2,
        T_("No adequate gain in two months running (2T)"),
    ),
    "head_very_large": Rule(2, T_("Head very large for the age (HCZ > +3)")),
    "head_very_small": Rule(2, T_("Head very small for the age (HCZ < -3)")),
    "conflict": Rule(
        3,
        T_("Two tablets recorded different values; choose one"),
    ),
    "removal_contested": Rule(
        3,
        T_("Removed on one tablet and edited on another"),
    ),
    "implausible": Rule(
        3,
        T_("Beyond the WHO's limits of plausibility; measure again"),
    ),
    "measured_before_birth": Rule(
        3,
        T_("Measured before birth; check the birth date"),
    ),
    "possible_duplicate": Rule(
        3,
        T_("May be registered twice; see whether it is the same as another child"),
    ),
    "date_doubtful": Rule(
        3,
        T_("Recorded while the tablet's clock was wrong; check the dates of measuring and of birth"),
    ),
    "length_shrank": Rule(3, T_("Length or height has shrunk; measure again")),
    "length_jumped": Rule(3, T_("Length or height has grown more than is possible; measure again")),
    "head_jumped": Rule(3, T_("Head has grown more than is possible; measure again")),
    "weight_jumped": Rule(
        3,
        T_("Weight changed by over 2 kg in a month; weigh again"),
    ),
    "copied": Rule(
        3,
        T_("Weight and length the same as last month; measure again"),
    ),
    "position_unlikely": Rule(
        3,
        T_("An infant under 9 months recorded as measured standing"),
    ),
    "not_gaining": Rule(3, T_("No adequate weight gain this month (T)")),
    "muac_for_age_moderate": Rule(3, T_("MUAC small for the age (ACZ < -2)")),
    "head_large": Rule(3, T_("Head large for the age (HCZ > +2)")),
    "head_small": Rule(3, T_("Head small for the age (HCZ < -2)")),
    "overweight": Rule(
        3,
        T_("Indicated overweight (WHZ > +2)"),
        T_("Confirmed overweight (WHZ > +2)"),
    ),
    "birth_date_unknown": Rule(
        3,
        T_("Birth date unknown; only WHZ can be scored"),
    ),
    "sex_unknown": Rule(3, T_("Sex unknown; nothing can be scored")),
    "not_registered": Rule(3, T_("Measured, but the registration has not arrived")),
    "incomplete": Rule(4, T_("Waiting for a tablet to send again", "flag")),
    "above_orange_line": Rule(3, T_("Above the orange line (WAZ > +1)")),
    "not_seen": Rule(4, T_("Not measured this month or last")),
}
