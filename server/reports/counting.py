"""The figures of some children by post and calendar month, as whole numbers. Pure.

Rules kept here:
- S counts persons (linked records as one) who are on the register, not removed, and under five at the month's end, from the
  month in which they were first seen. Everything else is counted among them only, so no part exceeds its whole.
- D counts those weighed in the month, by anybody. Each has one code, N, T, O or B, from the month's last weighing; it is O
  if the weighings are in conflict or the gain cannot be judged. So D = N + T + O + B, always.
- *Terindikasi* (indicated) uses the month's newest value by a cadre, *terkonfirmasi* (confirmed) the newest by the health
  centre. They are never added. A value beyond the WHO's limits counts as flagged and is in no prevalence.
- Oedema is severe wasting and severe underweight whatever the weight (WHO).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from server.growth.measuring_quality import PLAUSIBLE
from server.growth.status import MUAC_FIRST_MONTH, MUAC_LAST_MONTH
from server.growth.weight_gain import months_completed

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Truths = npt.NDArray[np.bool_]
Days = npt.NDArray[np.datetime64]

UNDER_MONTHS: Final = 60
GROUPS: Final = tuple(f"{sex}{band}" for sex in "MF" for band in ("0-5", "6-11", "12-23", "24-59"))
"""Sex and completed months at the month's end, by which reports divide SKDN."""
BAND_STARTS: Final = (0, 6, 12, 24)
CODES: Final = ("N", "T", "O", "B")
CADRE, STAFF = 0, 1
KINDS: Final = {CADRE: "indicated", STAFF: "confirmed"}
BELOW: Final[Mapping[str, tuple[str, str]]] = {
    "haz": ("stunted", "severely_stunted"),
    "waz": ("underweight", "severely_underweight"),
    "whz": ("wasted", "severely_wasted"),
}
"""For each index the name of being below -2 (severe cases included) and of being below -3."""
SERVICES: Final[Mapping[str, tuple[int, int]]] = {
    "exclusive_breastfeeding": (0, 5),
    "mbg": (6, 59),
    "mother_class": (0, 59),
    "deworming": (12, 59),
    "immunised": (0, 59),
}
"""Services with a yes or no at a measurement: for which ages, in completed months (from, to)."""
VITAMIN_A_MONTHS: Final = (2, 8)
HELP_DAYS: Final = 92
"""How long after a month's end help for a child still counts as a response to that month's flags."""


@dataclass(frozen=True, slots=True)
class Persons:
    """The persons of some posts, as columns.

    Parameters
    ----------
    post : number of the post; sex : 1 male, 2 female, 0 unknown; born_on : NaT if unknown
    since : month (see `month_number`) of the person's first record or measurement
    registered : on the register and not removed
    book : has a KIA book or KMS; at_risk_until : last month as a KRS family, before any month if it is none
    """

    post: Integers
    sex: Integers
    born_on: Days
    since: Integers
    registered: Truths
    book: Truths
    at_risk_until: Integers


@dataclass(frozen=True, slots=True)
class Visits:
    """Measurements sorted by person, day and source (cadre first). Missing numbers are 0; `services` is by row."""

    person: Integers
    day: Days
    source: Integers
    weight_g: Integers
    length_mm: Integers
    muac_mm: Integers
    oedema: Truths
    position_known: Truths
    disputed: Truths
    services: Mapping[int, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Scores:
    """Assessments in the same order. `code`: index in CODES, -1 for none; `undecided`: the gain is in conflict."""

    person: Integers
    day: Days
    source: Integers
    z: Mapping[str, Floats]
    code: Integers
    undecided: Truths


@dataclass(frozen=True, slots=True)
class Helps:
    """Help for persons: its first and last day. `kind`: index in HELP_KINDS."""

    person: Integers
    first: Days
    last: Days
    kind: Integers


HELP_KINDS: Final = ("taken", "seen", "pmt", "aid_food", "aid_other")
"""Somebody took charge or planned a task; the health centre examined the child; a PMT course; aid by donors."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Whole numbers by name, each of shape (posts, months); a name whose numbers are all 0 may be missing."""

    first_month: int
    months: int
    numbers: Mapping[str, Integers]


def month_number(days: npt.ArrayLike) -> Integers:
    """Number calendar months: January 1970 is 0."""
    return np.asarray(days, "datetime64[D]").astype("datetime64[M]").astype(np.int64)


class _CountColumns:
    """A table of persons by months, from which numbers are added up by post."""

    def __init__(self, posts: int, persons: Persons, first_month: int, months: int) -> None:
        self.posts, self.persons, self.first, self.months = posts, persons, first_month, months
        self.cell = persons.post[:, None] * months + np.arange(months)
        self.numbers: dict[str, Integers] = {}
        self.month = first_month + np.arange(months)
        ends = (self.month + 1).astype("datetime64[M]").astype("datetime64[D]") - np.timedelta64(1, "D")
        known = ~np.isnat(persons.born_on)
        self.age = months_completed(persons.born_on[:, None], ends[None, :])
        young = ~known[:, None] | ((self.age >= 0) & (self.age < UNDER_MONTHS))
        began = self.month[None, :] >= persons.since[:, None]
        self.here: Truths = persons.registered[:, None] & young & began
        band = np.searchsorted(BAND_STARTS, self.age, side="right") - 1
        sexed = known & (persons.sex > 0)
        self.group = np.where(sexed[:, None] & (band >= 0), (persons.sex[:, None] - 1) * 4 + band, -1)

    def truths(self) -> Truths:
        return np.zeros(self.here.shape, np.bool_)

    def inside(self, month: Integers) -> Truths:
        """Say which rows are in the months of the table."""
        return (month >= self.first) & (month < self.first + self.months)

    def add(self, name: str, who: Truths, *, of_all: bool = False) -> Truths:
        """Count persons by post and month, among those in S (or all); give those counted."""
        chosen = who if of_all else who & self.here
        self._put(name, self.cell[chosen])
        return chosen

    def add_grouped(self, name: str, who: Truths) -> None:
        """Count persons by post and month, in all and by sex and age."""
        chosen = self.add(name, who)
        for number, group in enumerate(GROUPS):
            self._put(f"{name}.{group}", self.cell[chosen & (self.group == number)])

    def add_rows(self, name: str, person: Integers, month: Integers) -> None:
        """Count rows by the post of their person and month, without rows of persons not in S that month."""
        inside = self.inside(month)
        who, column = person[inside], month[inside] - self.first
        here = self.here[who, column]
        self._put(name, self.cell[who[here], column[here]])

    def add_sum(self, name: str, who: Truths, values: Integers) -> None:
        chosen = who & self.here
        size = self.posts * self.months
        sums = np.bincount(self.cell[chosen], values[chosen], minlength=size)
        self.numbers[name] = sums.round().astype(np.int64).reshape(self.posts, self.months)

    def _put(self, name: str, cells: Integers) -> None:
        if len(cells):
            found = np.bincount(cells, minlength=self.posts * self.months)
            self.numbers[name] = found.astype(np.int64).reshape(self.posts, self.months)


def count(
    posts: int,
    persons: Persons,
    visits: Visits,
    scores: Scores,
    helps: Helps,
    *,
    first_month: int,
    last_month: int,
) -> Counted:
    """Count all figures of some posts.

    Parameters
    ----------
    posts : their number; `persons.post` is below it
    first_month, last_month : by `month_number`, both included
    """
    sheet = _CountColumns(posts, persons, first_month, last_month - first_month + 1)
    visit_month, score_month = month_number(visits.day), month_number(scores.day)
    _register(sheet)
    two_t = _weighed(sheet, scores, score_month)
    low = _prevalence(sheet, visits, visit_month, scores, score_month)
    low |= _arms(sheet, visits, visit_month)
    _services(sheet, visits, visit_month)
    _quality(sheet, visits, visit_month)
    _sessions(sheet, visits, visit_month)
    _funnel(sheet, low | two_t, visits, helps)
    _after_aid(sheet, scores, helps)
    return Counted(first_month, sheet.months, sheet.numbers)


def _register(sheet: _CountColumns) -> None:
    every = np.ones(sheet.here.shape, np.bool_)
    sheet.add_grouped("S", every)
    sheet.add_grouped("K", every & sheet.persons.book[:, None])
    sheet.add("krs", sheet.month[None, :] <= sheet.persons.at_risk_until[:, None])
    sheet.add("no_birth_date", np.isnat(sheet.persons.born_on)[:, None] & every)
    sheet.add("no_sex", (sheet.persons.sex == 0)[:, None] & every)
    _posts(sheet)


def _posts(sheet: _CountColumns) -> None:
    """Count the post itself, from the first month in which anybody was on its register."""
    register = sheet.numbers.get("S", np.zeros((sheet.posts, sheet.months), np.int64))
    sheet.numbers["posts"] = (np.cumsum(register, axis=1) > 0).astype(np.int64)


def _weighed(sheet: _CountColumns, scores: Scores, month: Integers) -> Truths:
    """Count D and its codes; give those with T in two consecutive months."""
    inside = sheet.inside(month)
    code = np.full(sheet.here.shape, -1, np.int64)
    unsure = inside & scores.undecided
    code[scores.person[unsure], month[unsure] - sheet.first] = CODES.index("O")
    undecided = code >= 0
    judged = inside & (scores.code >= 0)
    code[scores.person[judged], month[judged] - sheet.first] = scores.code[judged]
    undecided[scores.person[judged], month[judged] - sheet.first] = False
    sheet.add_grouped("D", code >= 0)
    for number, letter in enumerate(CODES):
        sheet.add_grouped(letter, code == number)
    sheet.add("undecided", undecided)
    fell_short = code == CODES.index("T")
    two_t = sheet.truths()
    two_t[:, 1:] = fell_short[:, 1:] & fell_short[:, :-1]
    sheet.add("two_t", two_t)
    return two_t


def _prevalence(
    sheet: _CountColumns, visits: Visits, visit_month: Integers, scores: Scores, score_month: Integers
) -> Truths:
    """Count those who are low by each index, indicated and confirmed separately; give those who are low by any."""
    low = sheet.truths()
    for source, kind in KINDS.items():
        scored = sheet.inside(score_month) & (scores.source == source)
        swollen = sheet.truths()
        seen = sheet.inside(visit_month) & (visits.source == source) & ((visits.weight_g > 0) | visits.oedema)
        swollen[visits.person[seen], visit_month[seen] - sheet.first] = visits.oedema[seen]
        flagged_any, scored_any = sheet.truths(), sheet.truths()
        for index, (name, severe) in BELOW.items():
            z = np.full(sheet.here.shape, np.nan)
            rows = scored & ~np.isnan(scores.z[index])
            z[scores.person[rows], score_month[rows] - sheet.first] = scores.z[index][rows]
            least, most = PLAUSIBLE[index]
            flagged = (z < least) | (z > most)
            counts = ~np.isnan(z) & ~flagged
            is_low, is_severe = counts & (z < -2), counts & (z < -3)
            if index != "haz":
                flagged, counts = flagged & ~swollen, counts | swollen
                is_low, is_severe = is_low | swollen, is_severe | swollen
            sheet.add(f"{kind}.{index}", counts)
            sheet.add(f"{kind}.{name}", is_low)
            sheet.add(f"{kind}.{severe}", is_severe)
            if index == "waz":
                sheet.add(f"{kind}.above_orange", counts & (z > 1))
            if index == "whz":
                sheet.add(f"{kind}.overweight", counts & (z > 2))
            flagged_any |= flagged
            scored_any |= counts | flagged
            low |= is_low
            if source == CADRE:
                has_z = counts & ~np.isnan(z)
                hundredths = np.where(has_z, np.round(np.nan_to_num(z) * 100), 0).astype(np.int64)
                sheet.add(f"spread.{index}", has_z)
                sheet.add_sum(f"spread.{index}.sum", has_z, hundredths)
                sheet.add_sum(f"spread.{index}.squares", has_z, hundredths**2)
        sheet.add(f"{kind}.scored", scored_any)
        sheet.add(f"{kind}.flagged", flagged_any)
    return low


def _arms(sheet: _CountColumns, visits: Visits, month: Integers) -> Truths:
    low = sheet.truths()
    age = months_completed(sheet.persons.born_on[visits.person], visits.day)
    fits = sheet.inside(month) & (visits.muac_mm > 0) & (age >= MUAC_FIRST_MONTH) & (age <= MUAC_LAST_MONTH)
    for source, kind in KINDS.items():
        rows = fits & (visits.source == source)
        arm = np.zeros(sheet.here.shape, np.int64)
        arm[visits.person[rows], month[rows] - sheet.first] = visits.muac_mm[rows]
        sheet.add(f"{kind}.muac", arm > 0)
        thin = (arm > 0) & (arm < 125)
        sheet.add(f"{kind}.thin_arm", thin)
        sheet.add(f"{kind}.very_thin_arm", thin & (arm < 115))
        low |= thin
    return low


def _services(sheet: _CountColumns, visits: Visits, month: Integers) -> None:
    rows: dict[tuple[str, object], list[int]] = {}
    for row, services in visits.services.items():
        for answered in services.items():
            rows.setdefault(answered, []).append(row)

    def who(name: str, *answers: object) -> Truths:
        """Give those for whom a service has one of the answers in a month; without answers, those with any answer."""
        found = sheet.truths()
        for (service, answer), several in rows.items():
            if service == name and answer is not None and (not answers or answer in answers):
                column = month[several] - sheet.first
                inside = (column >= 0) & (column < sheet.months)
                found[visits.person[several][inside], column[inside]] = True
        return found

    answered_any = {name: who(name) for name in (*SERVICES, "kpsp")}
    given = {name: who(name, True) for name in SERVICES}
    given["vitamin_a"] = who("vitamin_a")
    given["kpsp_doubt"], given["kpsp_deviation"] = who("kpsp", "M"), who("kpsp", "P")
    for name, (youngest, oldest) in SERVICES.items():
        fits = (sheet.age >= youngest) & (sheet.age <= oldest)
        sheet.add(f"asked.{name}", answered_any[name] & fits)
        sheet.add(f"given.{name}", given[name] & fits)
    season = np.isin(sheet.month % 12 + 1, VITAMIN_A_MONTHS)[None, :]
    due = season & (sheet.age >= 6)
    sheet.add("due.vitamin_a", due)
    sheet.add("given.vitamin_a", due & given["vitamin_a"])
    sheet.add("asked.kpsp", answered_any["kpsp"])
    sheet.add("found.kpsp_doubt", given["kpsp_doubt"])
    sheet.add("found.kpsp_deviation", given["kpsp_deviation"])


def _quality(sheet: _CountColumns, visits: Visits, month: Integers) -> None:
    """Count the quality of cadres' measurements: rows, not persons."""
    cadre = visits.source == CADRE
    weighed, measured = cadre & (visits.weight_g > 0), cadre & (visits.length_mm > 0)
    tenth_kg, millimetres = (visits.weight_g // 100) % 10, visits.length_mm % 10
    for name, rows in (
        ("visits", cadre),
        ("visits.weight", weighed),
        ("visits.weight_05", weighed & (tenth_kg % 5 == 0)),
        ("visits.length", measured),
        ("visits.length_05", measured & (millimetres % 5 == 0)),
        ("visits.no_position", measured & ~visits.position_known),
        ("visits.disputed", visits.disputed),
        ("visits.staff", visits.source == STAFF),
    ):
        sheet.add_rows(name, visits.person[rows], month[rows])


def _sessions(sheet: _CountColumns, visits: Visits, month: Integers) -> None:
    """Count the days on which a cadre measured anybody, and the posts that reported at all."""
    rows = (visits.source == CADRE) & sheet.inside(month)
    rows[rows] = sheet.here[visits.person[rows], month[rows] - sheet.first]
    posts, days = sheet.persons.post[visits.person[rows]], visits.day[rows].astype(np.int64)
    held = np.unique(np.stack((posts, days), axis=1), axis=0) if len(posts) else np.zeros((0, 2), np.int64)
    column = month_number(held[:, 1].astype("datetime64[D]")) - sheet.first
    found = np.bincount(held[:, 0] * sheet.months + column, minlength=sheet.posts * sheet.months)
    sheet.numbers["sessions"] = found.astype(np.int64).reshape(sheet.posts, sheet.months)
    sheet.numbers["posts.reporting"] = (sheet.numbers["sessions"] > 0).astype(np.int64)


def _funnel(sheet: _CountColumns, flagged: Truths, visits: Visits, helps: Helps) -> None:
    """Count those flagged in a month, and those of them who got help within three months after it; count aid and PMT."""
    reach = {name: _reached(sheet, helps, helps.kind == kind) for kind, name in enumerate(HELP_KINDS)}
    by_staff = visits.source == STAFF
    person, day = visits.person[by_staff], visits.day[by_staff]
    examined = Helps(person, day, day, np.zeros(len(person), np.int64))
    seen = reach["seen"] | _reached(sheet, examined, np.ones(len(person), np.bool_))
    aided = reach["aid_food"] | reach["aid_other"]
    helped = reach["pmt"] | aided
    needy = flagged & sheet.here
    sheet.add("funnel.flagged", needy)
    sheet.add("funnel.taken", needy & (reach["taken"] | seen | helped))
    sheet.add("funnel.seen", needy & seen)
    sheet.add("funnel.helped", needy & helped)
    at_risk = sheet.month[None, :] <= sheet.persons.at_risk_until[:, None]
    during = {name: _during(sheet, helps, helps.kind == kind) for kind, name in enumerate(HELP_KINDS)}
    any_aid = during["aid_food"] | during["aid_other"]
    sheet.add("pmt", during["pmt"])
    sheet.add("aid", any_aid)
    sheet.add("aid.food", during["aid_food"])
    sheet.add("aid.other", during["aid_other"])
    needs = flagged | at_risk
    sheet.add("aid.needing", needs)
    sheet.add("aid.reaching", needs & any_aid)
    sheet.add("aid.reaching_or_pmt", needs & (any_aid | during["pmt"]))


def _reached(sheet: _CountColumns, helps: Helps, rows: Truths) -> Truths:
    """Give those with help between a month's beginning and HELP_DAYS after its end."""
    found = sheet.truths()
    person, first, last = helps.person[rows], helps.first[rows], helps.last[rows]
    months = sheet.month.astype("datetime64[M]").astype("datetime64[D]")
    ends = (sheet.month + 1).astype("datetime64[M]").astype("datetime64[D]") + np.timedelta64(HELP_DAYS, "D")
    for row, begun, ended in zip(person.tolist(), first, last, strict=True):
        found[row] |= (begun < ends) & (ended >= months)
    return found


def _during(sheet: _CountColumns, helps: Helps, rows: Truths) -> Truths:
    """Give those with help during a month."""
    found = sheet.truths()
    begun, ended = month_number(helps.first[rows]), month_number(helps.last[rows])
    for row, first, last in zip(helps.person[rows].tolist(), begun, ended, strict=True):
        found[row] |= (sheet.month >= first) & (sheet.month <= last)
    return found


AFTER_MONTHS: Final = (3, 6)
NEAR_MONTHS: Final = 1
"""Growth AFTER_MONTHS after aid began is read from the nearest measurement, at most NEAR_MONTHS from it."""


def _after_aid(sheet: _CountColumns, scores: Scores, helps: Helps) -> None:
    """Compare the score when aid began with those AFTER_MONTHS later; counted in the month in which aid began.

    Scores of cadres and of the health centre count alike; see `_near` for which one is taken.
    """
    aid = np.isin(helps.kind, (HELP_KINDS.index("aid_food"), HELP_KINDS.index("aid_other")))
    began = np.full(len(sheet.persons.post), np.iinfo(np.int64).max)
    np.minimum.at(began, helps.person[aid], month_number(helps.first[aid]))
    month = month_number(scores.day)
    for index in ("haz", "waz"):
        least, most = PLAUSIBLE[index]
        z = np.full(sheet.here.shape, np.nan)
        fits = sheet.inside(month) & (scores.z[index] >= least) & (scores.z[index] <= most)
        z[scores.person[fits], month[fits] - sheet.first] = scores.z[index][fits]
        for later in AFTER_MONTHS:
            compared, rose, change = sheet.truths(), sheet.truths(), np.zeros(sheet.here.shape, np.int64)
            for who in np.flatnonzero(began < sheet.first + sheet.months).tolist():
                start = int(began[who]) - sheet.first
                before, after = _near(z[who], start), _near(z[who], start + later)
                if start < 0 or before is None or after is None:
                    continue
                compared[who, start] = True
                change[who, start] = round((after - before) * 100)
                rose[who, start] = change[who, start] > 0
            sheet.add(f"after{later}.{index}", compared)
            sheet.add(f"after{later}.{index}.rose", rose)
            sheet.add_sum(f"after{later}.{index}.change", compared, change)


def _near(z: Floats, column: int) -> float | None:
    """Give the score of a month, else of the month before it, else of the one after."""
    for month in (column, column - NEAR_MONTHS, column + NEAR_MONTHS):
        if 0 <= month < len(z) and not np.isnan(z[month]):
            return float(z[month])
    return None


def as_rows(counted: Counted) -> Sequence[Mapping[int, dict[str, int]]]:
    """Give for each post, by month number, the names and numbers that are not 0."""
    posts = len(next(iter(counted.numbers.values()))) if counted.numbers else 0
    found: list[dict[int, dict[str, int]]] = [{} for _ in range(posts)]
    for name in sorted(counted.numbers):
        numbers = counted.numbers[name]
        where = np.nonzero(numbers)
        for post, month, value in zip(
            *(axis.tolist() for axis in where), numbers[where].tolist(), strict=True
        ):
            found[post].setdefault(counted.first_month + month, {})[name] = value
    return found
