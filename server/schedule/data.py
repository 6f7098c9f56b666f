"""The schedule, read from a file that an installation can replace, and checked as it is read."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

SHIPPED: Final = Path(__file__).parent / "schedule.toml"
CODE: Final = re.compile(r"[A-Z][A-Z0-9-]{1,15}")
JE: Final = "je"
"""The only value of `where`: a dose for districts where Japanese encephalitis is endemic."""
SERVICES: Final = ("vitamin_a", "deworming")
"""Fields of the register `services` that are given in rounds."""
KPSP: Final = "KPSP"
"""The code of the KPSP in a calendar."""
LAST_MONTH: Final = 84
_AGE: Final = re.compile(r"(?:([0-9]{1,3})m)?(?:([0-9]{1,3})d)?")


@dataclass(frozen=True, slots=True)
class Age:
    """An age or an interval: calendar months, and days on top."""

    months: int
    days: int

    @classmethod
    def read(cls, text: object, where: str) -> "Age":
        """Read "24m", "28d" or "6m29d"."""
        found = _AGE.fullmatch(text) if isinstance(text, str) and text else None
        if found is None:
            raise ValueError(f"{where} is {text!r}: give months, days or both, such as 24m, 28d, 6m29d")
        return cls(int(found[1] or 0), int(found[2] or 0))

    def after(self, day: date) -> date:
        """Return the day on which so much time has passed since a day: a month ends on the same day of the month, or on
        its last day where it has no such day.
        """
        month = day.month - 1 + self.months
        year, month = day.year + month // 12, month % 12 + 1
        return date(year, month, min(day.day, days_in(year, month))) + timedelta(days=self.days)


def days_in(year: int, month: int) -> int:
    """Count the days of a month."""
    return (date(year + month // 12, month % 12 + 1, 1) - date(year, month, 1)).days


@dataclass(frozen=True, slots=True)
class Words:
    """A name in the languages of the protocol."""

    id: str
    en: str

    def in_(self, language: str) -> str:
        """Return the name in a language; Indonesian where it is neither."""
        return self.en if language == "en" else self.id


@dataclass(frozen=True, slots=True)
class Dose:
    """A dose of a vaccine. `offered` is False for one that the district has not chosen: it is shown if it was given."""

    code: str
    series: str
    words: Words
    begins: Age
    late: Age
    until: Age
    after: Age | None
    offered: bool


@dataclass(frozen=True, slots=True)
class ForAge:
    """What a round gives at some ages: its value in the register `services`."""

    value: str | bool
    words: Words
    begins: Age
    until: Age


@dataclass(frozen=True, slots=True)
class Round:
    """A service that is given in some months of the year."""

    service: str
    words: Words
    months: Sequence[int]
    sweep_months: int
    after: Age
    ages: Sequence[ForAge]


@dataclass(frozen=True, slots=True)
class Kpsp:
    """The ages of the KPSP in months, and when a result is late or to be repeated."""

    words: Words
    ages: Sequence[int]
    until: Age
    late: Age
    again: Age


@dataclass(frozen=True, slots=True)
class Choices:
    """What a district chooses. `deworming_months`: None for those of the schedule; () where nobody is dewormed in rounds."""

    je_endemic: bool = False
    deworming_months: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule with the choices of a district."""

    version: str
    sources: Sequence[str]
    unverified: Sequence[str]
    doses: Sequence[Dose]
    rounds: Sequence[Round]
    kpsp: Kpsp

    def name(self, code: str, value: object) -> Words:
        """Return the name of a line of the calendar: of a dose or of a service; of a code that is not in it, the code."""
        for one in self.rounds:
            if one.service == code:
                return next((of.words for of in one.ages if of.value == value), one.words)
        if code == KPSP:
            return Words(*(text.format(months=value) for text in (self.kpsp.words.id, self.kpsp.words.en)))
        return next((dose.words for dose in self.doses if dose.code == code), Words(code, code))


@cache
def schedule(path: Path = SHIPPED, choices: Choices = Choices()) -> Schedule:
    """Read a schedule.

    Raises
    ------
    ValueError
        The file cannot be used; the message says what is wrong and where.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        made = Schedule(
            _text(raw["version"], "version"),
            tuple(_text(each, "sources") for each in raw["sources"]),
            tuple(_text(each, "unverified") for each in raw["unverified"]),
            tuple(_dose(one, choices) for one in raw["doses"]),
            tuple(_round(one, choices) for one in raw["rounds"]),
            _kpsp(raw["kpsp"]),
        )
    except OSError as error:
        raise ValueError(f"the schedule {path} cannot be read: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"the schedule {path} is not TOML: {error}") from error
    except KeyError as error:
        raise ValueError(
            f"the schedule {path} lacks {error.args[0]!r}: compare it with {SHIPPED.name}"
        ) from error
    except (TypeError, AttributeError) as error:
        raise ValueError(f"the schedule {path} is not of the form of {SHIPPED.name}: {error}") from error
    except ValueError as error:
        raise ValueError(f"the schedule {path}: {error}") from error
    _check(made)
    return made


def wire(made: Schedule) -> dict[str, Any]:
    """Write a schedule as the tablet reads it: an age is [months, days]."""
    return {
        "version": made.version,
        "doses": [
            {
                "code": dose.code,
                "series": dose.series,
                "words": _spoken(dose.words),
                "begins": _pair(dose.begins),
                "late": _pair(dose.late),
                "until": _pair(dose.until),
                "after": _pair(dose.after) if dose.after else None,
                "offered": dose.offered,
            }
            for dose in made.doses
        ],
        "rounds": [
            {
                "service": one.service,
                "words": _spoken(one.words),
                "months": list(one.months),
                "sweep_months": one.sweep_months,
                "after": _pair(one.after),
                "ages": [
                    {
                        "value": of.value,
                        "words": _spoken(of.words),
                        "begins": _pair(of.begins),
                        "until": _pair(of.until),
                    }
                    for of in one.ages
                ],
            }
            for one in made.rounds
        ],
        "kpsp": {
            "words": _spoken(made.kpsp.words),
            "ages": list(made.kpsp.ages),
            "until": _pair(made.kpsp.until),
            "late": _pair(made.kpsp.late),
            "again": _pair(made.kpsp.again),
        },
    }


def _pair(age: Age) -> list[int]:
    return [age.months, age.days]


def _spoken(words: Words) -> dict[str, str]:
    return {"id": words.id, "en": words.en}


# -- reading ---------------------------------------------------------------------------------------


def _dose(raw: Mapping[str, Any], choices: Choices) -> Dose:
    code = _text(raw["code"], "code")
    if not CODE.fullmatch(code):
        raise ValueError(f"code is {code!r}: give capital letters, digits and hyphens, such as OPV1")
    where = raw.get("where")
    if where not in (None, JE):
        raise ValueError(f"{code}.where is {where!r}: leave it out, or give {JE!r}")
    after = raw.get("after")
    return Dose(
        code,
        _text(raw["series"], f"{code}.series"),
        _words(raw, code),
        Age.read(raw["from"], f"{code}.from"),
        Age.read(raw["late"], f"{code}.late"),
        Age.read(raw["until"], f"{code}.until"),
        None if after is None else Age.read(after, f"{code}.after"),
        where is None or choices.je_endemic,
    )


def _round(raw: Mapping[str, Any], choices: Choices) -> Round:
    service = _text(raw["service"], "service")
    if service not in SERVICES:
        raise ValueError(f"service is {service!r}: give {' or '.join(SERVICES)}")
    months = tuple(_whole(month, f"{service}.months", 1, 12) for month in raw["months"])
    if service == "deworming" and choices.deworming_months is not None:
        months = choices.deworming_months
    return Round(
        service,
        _words(raw, service),
        tuple(sorted(set(months))),
        _whole(raw["sweep_months"], f"{service}.sweep_months", 0, 11),
        Age.read(raw["after"], f"{service}.after"),
        tuple(_for_age(one, service) for one in raw["ages"]),
    )


def _for_age(raw: Mapping[str, Any], service: str) -> ForAge:
    value = raw["value"]
    if value is not True and value not in ("blue", "red"):
        raise ValueError(f"{service}.value is {value!r}: give true, blue or red, as the register has it")
    ages = (Age.read(raw[name], f"{service}.{name}") for name in ("from", "until"))
    return ForAge(value, _words(raw, service), *ages)


def _kpsp(raw: Mapping[str, Any]) -> Kpsp:
    ages = tuple(_whole(age, "kpsp.ages", 1, LAST_MONTH) for age in raw["ages"])
    if not ages or list(ages) != sorted(set(ages)):
        raise ValueError(f"kpsp.ages are {list(ages)}: give ages in months, the youngest first")
    until, late, again = (Age.read(raw[name], f"kpsp.{name}") for name in ("until", "late", "again"))
    return Kpsp(_words(raw, "kpsp"), ages, until, late, again)


def _words(raw: Mapping[str, Any], where: str) -> Words:
    return Words(_text(raw["id"], f"{where}.id"), _text(raw["en"], f"{where}.en"))


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{where} is {value!r}: give text")
    return value


def _whole(value: object, where: str, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"{where} is {value!r}: give a whole number from {least} to {most}")
    return value


def _check(made: Schedule) -> None:
    """Refuse what no calendar can be made of: a code twice, ages out of order, a later dose without an interval."""
    day = date(2024, 1, 1)
    codes = [dose.code for dose in made.doses]
    for code in codes:
        if codes.count(code) > 1:
            raise ValueError(f"the schedule has {code} twice")
    begun: set[str] = set()
    for dose in made.doses:
        if not dose.begins.after(day) < dose.late.after(day) <= dose.until.after(day):
            raise ValueError(f"{dose.code} of the schedule: give from before late, and late not after until")
        if dose.series in begun and dose.after is None:
            raise ValueError(f"{dose.code} of the schedule lacks 'after', the interval to the dose before")
        begun.add(dose.series)
    for one in made.rounds:
        for of in one.ages:
            if not of.begins.after(day) < of.until.after(day):
                raise ValueError(f"{one.service} of the schedule: give from before until")
