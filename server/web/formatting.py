"""Every word and number that a page shows, in the reader's language: catalogues, dates, decimal commas, units.

Messages are English in the code; `server.translations` has them in other languages. Indonesian is the default. The words of
flags, statuses and refusals stand beside their rules as texts; `label` picks the reader's language.
"""

import gettext
from collections.abc import Mapping
from datetime import date, datetime
from functools import cache, lru_cache
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

import flask_babel  # type: ignore[import-untyped]  # it ships no types
from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal
from flask import Flask, g, has_app_context, request

from server.children.flags import RULES
from server.children.labels import LABELS, SCREENING_NOTE
from server.errors import PROBLEMS
from server.review import AGES, RaisedFlag
from server.translations import CATALOGUES, LANGUAGE_NAME, N_, T_, Text, languages, translations
from server.web import current

DEFAULT_LANGUAGE: Final = "id"
LANGUAGE_COOKIE: Final = "bahasa"
MINUS: Final = "−"


URGENCIES: Final[Mapping[int, str]] = {
    1: N_("Today"),
    2: N_("This week"),
    3: N_("Next posyandu day"),
    4: N_("For information"),
    5: N_("Being followed"),
}
WORK_STATUSES: Final[Mapping[str, str]] = {
    "open": N_("Not closed"),
    "new": N_("New"),
    "taken": N_("Taken"),
    "waiting": N_("Task open"),
    "overdue": N_("Overdue"),
    "closed": N_("Closed"),
}
SEXES: Final = {"M": N_("Boy"), "F": N_("Girl")}
INDICES: Final[Mapping[str, str]] = {
    "haz": N_("Length or height for age"),
    "waz": N_("Weight for age"),
    "whz": N_("Weight for length or height"),
    "baz": N_("BMI for age"),
    "hcz": N_("Head circumference for age"),
    "acz": N_("Arm circumference for age"),
}
SHORT_INDICES: Final[Mapping[str, str]] = {
    "haz": N_("HAZ"),
    "waz": N_("WAZ"),
    "whz": N_("WHZ"),
    "baz": N_("BAZ"),
}
NO_SCORE: Final[Mapping[str, str]] = {
    "value_missing": N_("not measured"),
    "no_sex": N_("sex unknown"),
    "no_age": N_("birth date unknown"),
    "age_out_of_range": N_("outside the ages of the WHO standard"),
    "length_out_of_range": N_("length outside the WHO table"),
    "oedema": N_("not scored: oedema"),
    "value_refused": N_("value not usable"),
    "not_asked": N_("not scored"),
}
GAINS: Final[Mapping[str, str]] = {
    "N": N_("N: weight gain is adequate"),
    "T": N_("T: weight gain is not adequate"),
    "O": N_("O: cannot be judged this month"),
    "B": N_("B: first weighing"),
}
NO_GAIN_BECAUSE: Final[Mapping[str, str]] = {
    "no_weighing_last_month": N_("not weighed last month"),
    "no_birth_date": N_("birth date unknown"),
    "no_sex": N_("sex unknown"),
    "under_one_month": N_("under one month old"),
    "no_kbm_for_age": N_("no least gain is set for this age"),
    "later_in_month": N_("weighed again later that month"),
    "conflict": N_("waiting for the conflict to be settled"),
}
REGISTERS: Final[Mapping[str, str]] = {
    "identity": N_("Identity"),
    "nik": N_("NIK"),
    "parents": N_("Parents"),
    "home": N_("Home"),
    "post": N_("Posyandu"),
    "birth": N_("At birth"),
    "books": N_("Books"),
    "family": N_("Family at risk"),
    "consent": N_("Consent"),
    "same_as": N_("Same child as"),
    "book_doses": N_("Vaccines given elsewhere"),
    "extra": N_("In other systems"),
    "weight": N_("Weight"),
    "length": N_("Length or height"),
    "muac": N_("Arm (MUAC)"),
    "head": N_("Head"),
    "services": N_("Services"),
    "doses": N_("Vaccines given"),
    "aid": N_("Aid"),
    "delivered": N_("Brought"),
    "evidence": N_("Evidence"),
    "verified": N_("Verified"),
    "note": N_("Note"),
    "removed": N_("Removed"),
    "incomplete": N_("Waiting for a tablet to send again"),
}
SOURCES: Final = {"cadre": N_("Cadre at the posyandu"), "staff": N_("Re-measured by the health centre")}
POSITIONS: Final = {"lying": N_("lying"), "standing": N_("standing")}
OEDEMA: Final = {"n": N_("no oedema"), "1": N_("oedema +"), "2": N_("oedema ++"), "3": N_("oedema +++")}


class Labelled(Protocol):
    """Anything with a text: a role, a flag's rule, a share."""

    @property
    def text(self) -> Text: ...


@cache
def language_names() -> Mapping[str, str]:
    """Return each language's code and what it calls itself, Indonesian first."""
    codes = sorted(languages(CATALOGUES), key=lambda code: code != DEFAULT_LANGUAGE)
    return {code: LANGUAGE_NAME.in_(code) for code in codes}


def _catalogue(code: str) -> gettext.NullTranslations:
    return translations(CATALOGUES, code)


def init_app(app: Flask) -> None:
    """Register the catalogues and the filters below for templates."""
    flask_babel.Babel(app, default_locale=DEFAULT_LANGUAGE, locale_selector=_chosen)
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]  # of an extension, Flask-Babel's
        lambda message: _catalogue(language()).gettext(message),
        lambda one, several, count: _catalogue(language()).ngettext(one, several, count),
        newstyle=True,
    )
    app.jinja_env.filters.update(
        age=age,
        day=day,
        decimal=decimal,
        flag_words=flag_words,
        gain=gain,
        grams=kilograms,
        iso_day=iso_day,
        label=label,
        millimetres=centimetres,
        moment=moment,
        problem_text=problem_text,
        register=register,
        rule=rule,
        sent_text=sent_text,
        signed=signed,
        status=status,
        translate=translate,
    )
    app.context_processor(_in_every_template)


def _in_every_template() -> dict[str, Any]:
    return {
        "language": language(),
        "languages": language_names(),
        "screening_note": label(SCREENING_NOTE),
        "words": {
            "urgency": URGENCIES,
            "work_status": WORK_STATUSES,
            "ages": tuple(AGES),
            "sex": SEXES,
            "index": INDICES,
            "short_index": SHORT_INDICES,
            "no_score": NO_SCORE,
            "gain": GAINS,
            "no_gain": NO_GAIN_BECAUSE,
            "source": SOURCES,
            "position": POSITIONS,
            "oedema": OEDEMA,
        },
    }


def _chosen() -> str:
    hub = current.hub()
    chosen = request.cookies.get(hub.settings.cookie(LANGUAGE_COOKIE), DEFAULT_LANGUAGE)
    return chosen if chosen in languages(CATALOGUES) else DEFAULT_LANGUAGE


def language() -> str:
    """Return the code of the reader's language. Cached for the request: a page asks hundreds of times."""
    if not has_app_context():
        return DEFAULT_LANGUAGE
    if "language" not in g:
        g.language = str(flask_babel.get_locale().language)
    return str(g.language)


def translate(message: str, **values: Any) -> str:
    """Translate a message that was marked with N_."""
    text = _catalogue(language()).gettext(message)
    return text % values if values else text


def label(words: Text | Labelled) -> str:
    """Return a text, or the text of something that has one, in the reader's language."""
    text = words if isinstance(words, Text) else words.text
    return text.in_(language())


def problem_text(body: Mapping[str, Any]) -> str:
    """Return what a problem says, in the reader's language."""
    return label(PROBLEMS[body["code"]].text.format(**body))


def sent_text(words: Mapping[str, Any]) -> str:
    """Return a text that answers give in Indonesian and English, such as a reason: English for readers of others."""
    return str(words.get(language()) or words["en"])


def rule(name: str) -> str:
    """Return the words of a flag's rule; an unknown one (of a newer server) by its name."""
    return label(RULES[name]) if name in RULES else name


def flag_words(raised: RaisedFlag) -> str:
    """Return the words of a flag: "confirmed" instead of "indicated" where the health centre measured itself."""
    found = RULES.get(raised.rule)
    if found is None or found.confirmed is None or not raised.subject.endswith("/staff"):
        return rule(raised.rule)
    return label(found.confirmed)


def register(name: str) -> str:
    """Return the name of a record's register."""
    return translate(REGISTERS[name]) if name in REGISTERS else name


def status(code: str) -> str:
    """Return the words of a status code."""
    return label(LABELS[code])


def day(value: date) -> str:
    """Write a day: 5 Mar 2026."""
    return _day(value, language())


@lru_cache(maxsize=4096)
def _day(value: date, locale: str) -> str:
    """Cached: a child's page writes the same day ten times."""
    return format_date(value, "d MMM y", locale=locale)


def iso_day(value: str) -> str:
    """Write a day that is kept as ISO text."""
    return day(date.fromisoformat(value))


def moment(value: datetime) -> str:
    """Write a moment in the district's time: 5 Mar 2026 10.30."""
    hub = current.hub()
    pattern = "d MMM y HH:mm" if language() == "en" else "d MMM y HH.mm"
    return format_datetime(value, pattern, ZoneInfo(hub.settings.time_zone), language())


def decimal(value: float, digits: int = 0) -> str:
    """Write a number with so many decimals, and a comma or a point before them as the language has it."""
    return _decimal(value, digits, language())


@lru_cache(maxsize=8192)
def _decimal(value: float, digits: int, locale: str) -> str:
    """Cached: a child's page has a thousand numbers, most of them several times."""
    pattern = "0" if digits == 0 else f"0.{'0' * digits}"
    return format_decimal(value, pattern, locale=locale).replace("-", MINUS)


def signed(z: float, digits: int = 2) -> str:
    """Write a score with its sign: −2,35 or +1,00."""
    text = decimal(z, digits)
    return f"+{text}" if z > 0 else text


def kilograms(weight_g: int | None) -> str:
    """Write whole grams as kilograms: 7,45 kg; a dash for a value that was taken back."""
    return "–" if weight_g is None else f"{decimal(weight_g / 1000, 2)} kg"


def gain(gain_g: int) -> str:
    """Write a change of weight with its sign: +250 g."""
    return f"{signed(gain_g, 0)} g"


def centimetres(length_mm: int | None) -> str:
    """Write whole millimetres as centimetres: 74,1 cm; a dash for a value that was taken back."""
    return "–" if length_mm is None else f"{decimal(length_mm / 10, 1)} cm"


def age(months: int) -> str:
    """Write completed months as people say them: 7 months; from two years on 2 y 5 m."""
    if months < 24:
        return _catalogue(language()).ngettext("%(num)d month", "%(num)d months", months) % {"num": months}
    years, rest = divmod(months, 12)
    if not rest:
        return translate("%(years)d years", years=years)
    return translate("%(years)d y %(months)d m", years=years, months=rest)


def not_a_figure(field: str, text: str, unit: str) -> dict[str, Any]:
    """Return the reason that what was typed is no number, in the form of the schemas' reasons."""
    shown = text if len(text) <= 8 and text.isprintable() else "…"
    return _wrong(
        field,
        "not-a-figure",
        T_("“{shown}” is no figure in {unit}. Write it like 8.35 or 74.5, without the unit.").format(
            shown=shown, unit=unit
        ),
    )


def nothing_measured() -> dict[str, Any]:
    """Return the reason that nothing was measured."""
    return _wrong(
        "set",
        "nothing-measured",
        T_("Nothing was measured yet. Fill in weight, length, arm, head or oedema."),
    )


def _wrong(path: str, code: str, text: Text) -> dict[str, Any]:
    return {"path": path, "code": code, "value": None, **text.wire()}
