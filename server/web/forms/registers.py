"""Registers as form fields: values are shown in kilograms and centimetres, input is read back into whole grams and
millimetres, and errors are shown beside the field.

Rules kept here:
- A number may have a comma or a point and is never rounded: what is no whole number of grams or millimetres is an error.
- Input is kept as it was typed, right or wrong.
- A field that is left empty sets nothing; a register of which all fields are empty is left out.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from server.aid.words import EVIDENCE, FUNDS, MENUS, REACHES, UNITS, VERDICTS
from server.review.follow_ups import ACTIONS, OUTCOMES
from server.translations import N_, Text
from server.web.formatting import (
    OEDEMA,
    POSITIONS,
    SEXES,
    centimetres,
    day,
    decimal,
    kilograms,
    label,
    language,
    sent_text,
    translate,
)
from sync_protocol import Json

YES_NO: Final = {"true": N_("Yes"), "false": N_("No")}
SCALES: Final = {"kg": 1000, "cm": 10}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a register.

    Parameters
    ----------
    name : in the register
    kind : kg, cm, whole, text, lines, day, choice, yes_no or post
    label : message id, unless `words` has the label in both languages
    choices : value -> message id, or text
    low, high : for a number what the schema takes, in grams, millimetres or as it is
    """

    name: str
    kind: str
    label: str
    choices: Mapping[str, Any] | None = None
    low: int = 0
    high: int = 0


FIELDS: Final[Mapping[str, tuple[Field, ...]]] = {
    "weight": (
        Field("weight_g", "kg", N_("Weight (kg)"), low=500, high=40_000),
        Field("oedema", "choice", N_("Oedema"), OEDEMA),
    ),
    "length": (
        Field("length_mm", "cm", N_("Length or height (cm)"), low=300, high=1400),
        Field("position", "choice", N_("How it was measured"), POSITIONS),
    ),
    "muac": (Field("muac_mm", "cm", N_("Arm, MUAC (cm)"), low=50, high=300),),
    "head": (Field("head_mm", "cm", N_("Head circumference (cm)"), low=250, high=650),),
    "services": (
        Field("vitamin_a", "choice", N_("Vitamin A"), {"blue": N_("blue capsule"), "red": N_("red capsule")}),
        Field("exclusive_breastfeeding", "yes_no", N_("Exclusively breast-fed")),
        Field("mbg", "yes_no", N_("Received MBG food")),
        Field("mother_class", "yes_no", N_("Mother came to the class")),
        Field("kpsp", "choice", N_("Development (KPSP)"), {"S": "S", "M": "M", "P": "P"}),
        Field("deworming", "yes_no", N_("Deworming medicine")),
        Field("immunised", "yes_no", N_("Immunised")),
    ),
    "note": (Field("text", "lines", N_("Note")),),
    "identity": (
        Field("name", "text", N_("The child’s name")),
        Field("sex", "choice", N_("Sex"), SEXES),
        Field("born_on", "day", N_("Date of birth")),
        Field("birth_order", "whole", N_("Which child of the family"), low=1, high=20),
    ),
    "nik": (Field("nik", "text", N_("NIK, 16 digits")),),
    "parents": (
        Field("mother", "text", N_("Mother’s name")),
        Field("father", "text", N_("Father’s name")),
        Field("phone", "text", N_("Phone")),
    ),
    "home": (
        Field("address", "text", N_("Address")),
        Field("rt", "text", N_("RT")),
        Field("rw", "text", N_("RW")),
        Field("village", "text", N_("Code of the village, such as 64.02.06.1001")),
    ),
    "post": (Field("post", "post", N_("Belongs to the posyandu")),),
    "birth": (
        Field("weight_g", "kg", N_("Weight at birth (kg)"), low=300, high=7000),
        Field("length_mm", "cm", N_("Length at birth (cm)"), low=200, high=650),
        Field("gestation_weeks", "whole", N_("Weeks of pregnancy"), low=22, high=44),
    ),
    "books": (
        Field("kia", "yes_no", N_("Has a KIA book")),
        Field("kms", "yes_no", N_("Has a KMS card")),
    ),
    "family": (
        Field("krs", "yes_no", N_("Family at risk of stunting")),
        Field("source", "text", N_("Who says so")),
        Field("valid_until", "day", N_("Holds until")),
    ),
    "consent": (
        Field("given", "yes_no", N_("Parent agreed to the data being kept")),
        Field("by", "text", N_("Who agreed")),
        Field("relation", "text", N_("Relation to the child")),
        Field("on", "day", N_("When")),
        Field("method", "text", N_("How")),
    ),
    "removed": (Field("reason", "text", N_("Why it was removed")),),
    "task": (
        Field("action", "choice", N_("What is to be done"), ACTIONS),
        Field("due_on", "day", N_("Due on")),
    ),
    "result": (
        Field("done_on", "day", N_("Done on")),
        Field("outcome", "choice", N_("Outcome"), OUTCOMES),
        Field("days_eaten", "whole", N_("Days on which the food was eaten"), low=0, high=7),
    ),
    "aid": (
        Field("menu", "choice", N_("What is given"), MENUS),
        Field("funds", "choice", N_("Who pays"), FUNDS),
        Field("reaches", "choice", N_("For whom"), REACHES),
        Field("starts_on", "day", N_("From")),
        Field("ends_on", "day", N_("Until")),
    ),
    "delivered": (
        Field("given_on", "day", N_("Given on")),
        Field("quantity", "whole", N_("How much"), low=1, high=100_000),
        Field("unit", "choice", N_("Unit"), UNITS),
        Field("value_rp", "whole", N_("Value (Rp)"), low=0, high=10**12),
    ),
    "evidence": (
        Field("what", "choice", N_("Evidence"), EVIDENCE),
        Field("where", "text", N_("Where it is kept")),
    ),
    "verified": (
        Field("verified_on", "day", N_("Verified on")),
        Field("outcome", "choice", N_("What was found"), VERDICTS),
    ),
}
"""In the order of a form. Registers that are not here (a link, the person in charge of a task) are kept as they came."""

KEY_FIELDS: Final = (
    Field("measured_on", "day", N_("Day of measuring")),
    Field(
        "source",
        "choice",
        N_("Who measured"),
        {"cadre": N_("the cadre, at the posyandu"), "staff": N_("the health centre, again")},
    ),
)
KEPT: Final[Mapping[str, frozenset[str]]] = {
    "task": frozenset({"reason", "assigned_to", "course", "week", "funds"}),
    "result": frozenset({"covers"}),
}
"""Fields that a form does not show and must keep, by register."""
NULLS: Final[Mapping[str, Json]] = {
    "weight": {"weight_g": None, "oedema": None},
    "length": {"length_mm": None, "position": None},
    "muac": {"muac_mm": None},
    "head": {"head_mm": None},
    "identity": {"sex": None, "born_on": None, "birth_order": None},
    "nik": {"nik": None},
    "task": {"reason": None, "due_on": None, "assigned_to": None},
    "removed": {"reason": None},
}
"""Fields that a register always has, null if unknown."""


@dataclass(frozen=True, slots=True)
class Input:
    """A field as it is drawn: `key` is its name in the form, `text` its content, `errors` what is wrong, in words."""

    field: Field
    key: str
    text: str
    errors: tuple[str, ...] = ()


def written(field: Field, value: object) -> str:
    """Return the text of a field for a value; a value of another kind as it is."""
    if value is None or isinstance(value, Mapping | list):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and field.kind in SCALES:
        return _number(value, SCALES[field.kind])
    return str(value)


def _number(value: int, scale: int) -> str:
    digits = len(str(scale)) - 1
    text = decimal(value / scale, digits)
    sign = "." if language() == "en" else ","
    return text.rstrip("0").rstrip(sign) if sign in text else text


def typed(field: Field, text: str) -> Any:
    """Read what was typed: a number in grams or millimetres, true or false, or text. Anything else stays text, which the
    schemas refuse. None if nothing was typed."""
    text = text.replace("\r\n", "\n") if field.kind == "lines" else text.strip()
    if not text.strip():
        return None
    if field.kind == "yes_no":
        return {"true": True, "false": False}.get(text, text)
    if field.kind in (*SCALES, "whole"):
        return _whole(text, SCALES.get(field.kind, 1))
    return text


def _whole(text: str, scale: int) -> int | str:
    plain = re.fullmatch(r"([0-9]{1,6})(?:[.,]([0-9]{1,6}))?", text)
    if plain is None:
        return text
    exact = Decimal(f"{plain[1]}.{plain[2] or 0}") * scale
    return int(exact) if exact == int(exact) else text


def value_of(register: str, texts: Mapping[str, str], came: object = None) -> Json | None:
    """Return the value of a register as it was typed; None if all its fields are empty.

    Parameters
    ----------
    texts : what was typed, by field
    came : the register as it came; fields of it that the form does not show are kept
    """
    given = {field.name: typed(field, texts.get(field.name, "")) for field in FIELDS[register]}
    filled = {name: value for name, value in given.items() if value is not None}
    if not filled:
        return None
    kept = (
        {name: value for name, value in came.items() if name in KEPT.get(register, ())}
        if isinstance(came, Mapping)
        else {}
    )
    return {**NULLS.get(register, {}), **kept, **filled}


def inputs(
    register: str,
    texts: Mapping[str, str],
    prefix: str,
    reasons: Sequence[Mapping[str, Any]] = (),
) -> tuple[Input, ...]:
    """Draw the fields of a register.

    Parameters
    ----------
    texts : content of the fields, by field
    prefix : of the fields' names in the form
    reasons : what is wrong, as the use cases say it: those with the path `set.<register>.<field>` are put beside the field
    """
    return tuple(
        drawn(field, texts, prefix, f"set.{register}.{field.name}", reasons) for field in FIELDS[register]
    )


def drawn(
    field: Field,
    texts: Mapping[str, str],
    prefix: str,
    path: str,
    reasons: Sequence[Mapping[str, Any]] = (),
) -> Input:
    """Draw one field, with what is wrong at its path."""
    wrong = tuple(dict.fromkeys(words_of(field, why) for why in reasons if why["path"] == path))
    return Input(field, f"{prefix}{field.name}", texts.get(field.name, ""), wrong)


def words_of(field: Field, why: Mapping[str, Any]) -> str:
    """Say what is wrong with a field, in the form's units: the schemas speak of grams and millimetres, the form of kilograms
    and centimetres."""
    if field.kind in (*SCALES, "whole") and why["code"] in ("out-of-range", "not-whole-number", "not-null"):
        return _of_number(field, why)
    return reason_text(why)


def _of_number(field: Field, why: Mapping[str, Any]) -> str:
    scale, unit = SCALES.get(field.kind, 1), field.kind if field.kind in SCALES else ""
    low, high, value = _number(field.low, scale), _number(field.high, scale), why.get("value")
    limits = translate("Write a number from %(low)s to %(high)s.", low=low, high=f"{high} {unit}".strip())
    if not isinstance(value, int) or isinstance(value, bool):
        return limits
    meant = value * scale if field.low <= value * scale <= field.high else None
    slip = translate("Perhaps %(value)s was meant.", value=f"{_number(meant, scale)} {unit}") if meant else ""
    came = translate("%(value)s cannot be true.", value=f"{_number(value, scale)} {unit}".strip())
    return " ".join(part for part in (came, limits, slip) if part)


def full_reason(why: Mapping[str, Any]) -> str:
    """Say what is wrong where the message does not stand beside its field: with the field's name, a weight in kilograms."""
    parts = str(why["path"]).split(".")
    register = parts[1] if parts[0] == "set" and len(parts) == 3 else ""
    field = next((f for f in FIELDS.get(register, ()) if f.name == parts[-1]), None)
    if field is None or field.kind not in SCALES or why["code"] != "out-of-range":
        return reason_text(why)
    return f"{translate(field.label)}: {words_of(field, why)}"


def reason_text(why: Mapping[str, Any]) -> str:
    """Return a reason's sentence in the reader's language."""
    return sent_text(why)


def texts_of(register: str, value: object) -> dict[str, str]:
    """Write a register's value into its fields."""
    fields = value if isinstance(value, Mapping) else {}
    return {field.name: written(field, fields.get(field.name)) for field in FIELDS[register]}


LABELLED: Final = frozenset(
    {"services", "parents", "home", "birth", "books", "family", "consent", "task", "result"}
)
"""Registers with several fields, each of which needs its label."""


def format_value(register: str, value: object, places: Mapping[str, str] | None = None) -> str:
    """Put a register's value into words: 9,90 kg; Nama ibu: Ibu Contoh.

    Parameters
    ----------
    value : as it is stored, or as it came: any JSON value
    places : names of posts by id
    """
    if not isinstance(value, Mapping):
        return "–"
    if register == "removed":
        reason = value.get("reason")
        return translate("removed: %(reason)s", reason=reason) if reason else translate("not removed")
    if register == "same_as":
        child = value.get("child")
        return (
            translate("child %(code)s", code=str(child)[-6:].upper()) if child else translate("nobody else")
        )
    if register in ("doses", "book_doses"):
        return doses(value) or "–"
    if register == "extra":
        return foreign_ids(value) or "–"
    told_parts = []
    for field in FIELDS.get(register, ()):
        text = in_words(field, value.get(field.name), places)
        if text and register in LABELLED:
            text = f"{translate(field.label)}: {text}"
        told_parts.append(text)
    return ", ".join(part for part in told_parts if part) or "–"


def doses(value: Mapping[str, Any]) -> str:
    """Write doses of vaccines, each with its day or batch number if it has one: BCG, OPV1 A-123."""
    given = value.get("given")
    named = given.items() if isinstance(given, Mapping) else ()
    return ", ".join(f"{code} {_day(str(more))}" if more else str(code) for code, more in sorted(named))


def foreign_ids(value: Mapping[str, Any]) -> str:
    """Write what other systems call a record: simpus:patient 0012."""
    ids = value.get("ids")
    return ", ".join(f"{name} {id_}" for name, id_ in sorted(ids.items())) if isinstance(ids, Mapping) else ""


def in_words(field: Field, value: object, places: Mapping[str, str] | None = None) -> str:
    """Put one field's value into words; "" for none."""
    if value is None or isinstance(value, Mapping | list):
        return ""
    if isinstance(value, int) and not isinstance(value, bool) and field.kind in SCALES:
        return kilograms(value) if field.kind == "kg" else centimetres(value)
    text = written(field, value)
    if field.choices is not None or field.kind == "yes_no":
        return chosen(field, text)
    if field.kind == "day":
        return _day(text)
    return (places or {}).get(text, text) if field.kind == "post" else text


def _day(text: str) -> str:
    try:
        return day(date.fromisoformat(text))
    except ValueError:
        return text


def chosen(field: Field, text: str) -> str:
    """Return the words of a choice; any other text as it is."""
    choices: Mapping[str, Any] = YES_NO if field.kind == "yes_no" else field.choices or {}
    words = choices.get(text, text)
    return label(words) if isinstance(words, Text) else translate(words)


def options(field: Field) -> list[tuple[str, str]]:
    """Return the choices of a field as (value, words)."""
    choices: Mapping[str, Any] = YES_NO if field.kind == "yes_no" else field.choices or {}
    return [(value, chosen(field, value)) for value in choices]


def sent_texts(fields: Sequence[Field], form: Mapping[str, str], prefix: str) -> dict[str, str]:
    """Return what was typed into some fields, by field."""
    return {field.name: form.get(f"{prefix}{field.name}", "") for field in fields}
