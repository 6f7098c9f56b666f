"""The sentences of every refusal, by code.

A sentence names the field, what was written, the rule, and the remedy, for a cadre with a tablet.

What was written is repeated only if it cannot be personal, for reasons are stored and logged unencrypted. So a value is
shown only for a field that is not `personal`, and only if it is a number of at most nine digits, a date or time, a UUID,
true, false, or at most two letters: somebody may have typed a NIK into the field of a weight.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

from schemas.catalogue import T_, Text

MAX_REASONS: Final = 20
"""Most reasons given for one change, so that a receipt stays small."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a value cannot be accepted.

    `path` is the path of the field within the change (or batch), with dots; "" is the whole. `code` is a word that
    programs may rely on. `value` is what was written, null unless it is short and surely not personal. `id` and `en` are
    sentences.
    """

    path: str
    code: str
    value: str | int | float | bool | None
    id: str
    en: str

    def wire(self) -> dict[str, Any]:
        """Write it as it is sent in a receipt."""
        return asdict(self)


class Words(NamedTuple):
    """A rule and its remedy. `{0}` and `{1}` are the rule's limits, `{unit}` the field's unit.

    Without a remedy, or for a field that no person fills in, the sentence says that it is a fault of the app.
    """

    rule: Text
    remedy: Text | None = None


class Label(NamedTuple):
    """What a field is called on the screen, whether a person fills it in, and whether it is personal."""

    text: Text
    typed: bool = True
    personal: bool = False


class Unit(NamedTuple):
    """The unit of a field, the factor to the unit usually confused with it, and that unit."""

    name: Text
    factor: int = 1
    other: Text | None = None


APP_FAULT: Final = T_(
    "This is a fault of the app, not yours: update the app, and call the health centre if it comes again."
)

WORDS: Final[Mapping[str, Words]] = {
    # of any field
    "missing": Words(T_("is missing"), T_("Fill it in.")),
    "not-null": Words(T_("must not be empty"), T_("Fill it in.")),
    "unknown-field": Words(T_("is not known")),
    "not-object": Words(T_("must be a JSON object")),
    "not-list": Words(T_("must be a list")),
    "not-pair": Words(T_("must be a list of two")),
    "list-length": Words(T_("must have {0} to {1} members")),
    "not-whole-number": Words(
        T_("must be a whole number"),
        T_("Write digits only, without a decimal point."),
    ),
    "not-yes-no": Words(
        T_("must be yes or no"), T_("Choose yes or no.")
    ),
    "not-text": Words(T_("must be text"), T_("Write it in letters.")),
    "out-of-range": Words(
        T_("must be between {0} and {1}{unit}"),
        T_("Check the number and write it again."),
    ),
    "text-length": Words(
        T_("must have {0} to {1} characters"),
        T_("Fill it in, or shorten it."),
    ),
    "edge-space": Words(
        T_("begins or ends with a blank"),
        T_("Delete the blanks at the beginning and the end."),
    ),
    "invisible-character": Words(
        T_("contains an invisible character"),
        T_("Delete it and type it anew; do not paste it."),
    ),
    "not-choice": Words(
        T_("must be one of: {0}"),
        T_("Choose one of the list."),
    ),
    "not-date": Words(
        T_("is not a date that exists"),
        T_("Choose a date from the calendar."),
    ),
    "date-too-early": Words(
        T_("is before {0}"),
        T_("Check the year."),
    ),
    "date-too-late": Words(
        T_("is after {0}"),
        T_("Check the year."),
    ),
    "date-in-future": Words(
        T_("is after today ({0})"),
        T_("Check the date, and the tablet's own date."),
    ),
    # of a child
    "not-phone": Words(
        T_("must have 8 to 16 digits, with or without + before them"),
        T_("Write the number without blanks or hyphens."),
    ),
    "not-rt": Words(
        T_("must have 1 to 3 digits"), T_("Write digits only.")
    ),
    "not-village": Words(
        T_("must look like 64.02.06.1001"),
        T_("Choose the village from the list."),
    ),
    "nik-digits": Words(
        T_("must have exactly 16 digits"),
        T_("Copy the NIK from the family card, or leave it empty if there is none yet."),
    ),
    "nik-same-digits": Words(
        T_("must not be one digit repeated"),
        T_("Copy the NIK from the family card, or leave it empty if there is none yet."),
    ),
    "nik-day": Words(
        T_("digits 7 and 8 must be 01–31, or 41–71 for a girl"),
        T_("Compare it with the family card."),
    ),
    "nik-month": Words(
        T_("digits 9 and 10 must be a month, 01–12"),
        T_("Compare it with the family card."),
    ),
    "nik-serial": Words(
        T_("the last four digits must not be 0000"),
        T_("Compare it with the family card."),
    ),
    "same-as-itself": Words(
        T_("names this child itself"),
        T_("Choose the other child."),
    ),
    "not-foreign-id": Words(
        T_("must be a system and a name, like simpus:patient, in small letters, digits, _ or -")
    ),
    # of a measurement
    "not-dose": Words(
        T_("must be a dose of the schedule, like OPV1: capital letters, digits and -"),
    ),
    "not-vaccine-batch": Words(
        T_("must be a batch number: at most 20 capital letters, digits, / . or -"),
        T_("Copy it from the vial, or leave it out."),
    ),
    "nothing-measured": Words(
        T_("must hold a weight or an oedema"),
        T_("Fill in the weight, or the oedema if the child is swollen."),
    ),
    # of an aid
    "ends-before-start": Words(
        T_("ends before it begins"),
        T_("Check both dates."),
    ),
    "before-birth": Words(
        T_("is before the date of birth ({0})"),
        T_("Check the date of measuring and the date of birth."),
    ),
    # of what only the server can know
    "post-unknown": Words(
        T_("is not a post that the server knows"),
        T_("Choose the post from the list."),
    ),
    "post-out-of-scope": Words(
        T_("is of a post that this tablet does not have"),
        T_("Your data is safe and waits for staff to judge it: call the health centre."),
    ),
    "post-stays": Words(
        T_("leaves out the post of the tablet's code, which cannot be taken"),
        T_("Revoke the tablet and enrol it with a new code instead."),
    ),
    "one-post-only": Words(
        T_("cannot be changed: this tablet has one post"),
        T_("Make a code for a tablet of staff instead."),
    ),
    "post-closed": Words(
        T_("is a post that is closed"),
        T_("Choose another post."),
    ),
    "child-erased": Words(
        T_("is a child whose data was erased at a parent's request"),
        T_("Nothing of it is kept. If the child comes again and the parents agree, register a new child."),
    ),
    "child-restricted": Words(
        T_("is a child whose data may not be processed for now, at a parent's request"),
        T_("Do not measure or write for now: call the health centre."),
    ),
    "record-unreadable": Words(
        T_("is of a record that the server cannot read, because its stored data is damaged"),
        T_("Your data is safe and waits until the record is mended: call the health centre."),
    ),
    "tablet-revoked": Words(
        T_("was sent by a tablet that has been revoked"),
        T_("Your data is safe and waits for staff to judge it: call the health centre."),
    ),
    # of what the office decides
    "not-on-screen": Words(
        T_("names a change that the server does not hold"),
        T_("Open the record again and decide from what it shows."),
    ),
    "not-in-conflict": Words(
        T_("is not in conflict"),
        T_("It may be settled already: open the record again."),
    ),
    "not-one-of-them": Words(
        T_("is none of the values in conflict"),
        T_("Choose one of those shown, or give a new value."),
    ),
    "in-conflict": Words(
        T_("is in conflict"),
        T_("Settle that conflict first."),
    ),
    "same-post": Words(
        T_("is the child's post already"),
        T_("Choose another post."),
    ),
    "moved-meanwhile": Words(
        T_("is no longer the child's post"),
        T_("Open the child's page again, then decide."),
    ),
    "not-registered": Words(
        T_("is not registered yet"),
        T_("Wait until the tablet that registers it has sent."),
    ),
    # of what the app itself writes
    "nothing-set": Words(T_("changes nothing")),
    "schema-too-new": Words(
        T_("was written by an app newer than the server (the server knows up to {0})"),
        T_("Your data is safe and will be read when the server is updated: tell the health centre."),
    ),
    "protocol-unsupported": Words(
        T_("is not served; this server speaks {0}"),
    ),
    "id-mismatch": Words(
        T_("does not fit its child, date, source or task")
    ),
    "not-rule": Words(
        T_("must be 1 to 40 small letters or _")
    ),
    "not-flag": Words(
        T_("must look like stunted/2026-01-05/cadre")
    ),
    "not-uuid": Words(T_("is not a UUID in lower case")),
    "not-actor": Words(T_("is not the name of a tablet or of the hub")),
    "not-tag": Words(T_("is not 16 characters of base64url")),
    "not-nonce": Words(T_("is not 22 characters of base64url")),
    "not-author": Words(
        T_("must be 1 to 64 letters, digits, or _ . : @ -")
    ),
    "author-of-server": Words(T_("may only be used by the server")),
    "not-time": Words(
        T_("is not a UTC time like 2026-01-05T02:15:00Z"),
    ),
    "time-out-of-range": Words(
        T_("must be between {0} and {1}"),
        T_("Set the tablet's date and time right, then write it again."),
    ),
    "number-not-exact": Words(
        T_("is not a whole number from -{0} to {0}, as RFC 8785 needs to write it exactly"),
    ),
    "not-hash": Words(T_("is not 43 characters of base64url")),
    "not-signature": Words(
        T_("is not 86 characters of base64url (64 bytes)")
    ),
    "not-key-id": Words(T_("is not 11 characters of base64url")),
    "not-letter": Words(T_("is not 22 characters of base64url")),
    "not-reply-key": Words(
        T_("is not 22 characters of base64url (16 bytes)")
    ),
    "not-encapsulated-key": Words(
        T_("is not 87 characters of base64url (65 bytes)")
    ),
    "not-ciphertext": Words(
        T_("is not the base64url of a whole ciphertext")
    ),
    "not-district": Words(T_("must look like 64.02")),
    "not-enrolment-code": Words(
        T_("must look like ABCD-EFGH-JKMNP, or ABCD-EFGH-JK for a forgotten PIN"),
        T_("Copy the code from the health centre once more, in capital letters."),
    ),
    "private-key-sent": Words(
        T_("holds the private key, which must never leave the tablet"),
    ),
    "answer-incoherent": Words(T_("does not fit the other parts")),
    "more-reasons": Words(T_("has {0} more errors")),
}  # fmt: skip

WHOLE: Final = Label(T_("This entry"), typed=False)

LABELS: Final[Mapping[str, Label]] = {
    "name": Label(T_("Name"), personal=True),
    "sex": Label(T_("Sex")),
    "born_on": Label(T_("Date of birth")),
    "birth_order": Label(T_("Birth order")),
    "nik.nik": Label(T_("NIK"), personal=True),
    "mother": Label(T_("Mother's name"), personal=True),
    "father": Label(T_("Father's name"), personal=True),
    "phone": Label(T_("Phone number"), personal=True),
    "address": Label(T_("Address"), personal=True),
    "rt": Label(T_("RT"), personal=True),
    "rw": Label(T_("RW"), personal=True),
    "village": Label(T_("Village")),
    "post.post": Label(T_("Health post"), typed=False),
    "weight_g": Label(T_("Weight")),
    "birth.weight_g": Label(T_("Birth weight")),
    "length_mm": Label(T_("Length or height")),
    "birth.length_mm": Label(T_("Birth length")),
    "gestation_weeks": Label(T_("Gestation at birth")),
    "kia": Label(T_("KIA book")),
    "kms": Label(T_("KMS")),
    "krs": Label(T_("Family at risk of stunting")),
    "family.source": Label(T_("Source of the family's data"), personal=True),
    "valid_until": Label(T_("Valid until")),
    "given": Label(T_("Consent")),
    "by": Label(T_("Who gave consent"), personal=True),
    "relation": Label(T_("Relation to the child"), personal=True),
    "on": Label(T_("Date of consent")),
    "method": Label(T_("How consent was given"), personal=True),
    "same_as.child": Label(T_("The same child")),
    "extra.ids": Label(T_("Identifiers in other systems"), typed=False, personal=True),
    "ids.*": Label(T_("Identifier in another system"), typed=False, personal=True),
    "reason": Label(T_("Reason"), personal=True),
    "weight": Label(T_("Weighing")),
    "oedema": Label(T_("Oedema")),
    "position": Label(T_("Position")),
    "muac_mm": Label(T_("Mid-upper-arm circumference")),
    "head_mm": Label(T_("Head circumference")),
    "vitamin_a": Label(T_("Vitamin A")),
    "exclusive_breastfeeding": Label(T_("Exclusive breastfeeding")),
    "mbg": Label(T_("MBG")),
    "mother_class": Label(T_("Mothers' class")),
    "kpsp": Label(T_("KPSP")),
    "deworming": Label(T_("Deworming")),
    "immunised": Label(T_("Immunisation")),
    "book_doses.given": Label(T_("Vaccines given elsewhere"), typed=False),
    "doses.given": Label(T_("Vaccines given"), typed=False),
    "given.*": Label(T_("Dose of a vaccine"), typed=False),
    "text": Label(T_("Note"), personal=True),
    "measured_on": Label(T_("Date of measuring")),
    "action": Label(T_("What is to be done")),
    "task.reason": Label(T_("What the task is for")),
    "due_on": Label(T_("Due date")),
    "assigned_to": Label(T_("Who is to do it"), personal=True),
    "course": Label(T_("PMT course"), typed=False),
    "week": Label(T_("Week")),
    "funds": Label(T_("Source of funds")),
    "done_on": Label(T_("Date done")),
    "outcome": Label(T_("Outcome")),
    "days_eaten": Label(T_("Days on which the food was eaten")),
    "menu": Label(T_("What is given")),
    "reaches": Label(T_("For whom")),
    "starts_on": Label(T_("From")),
    "ends_on": Label(T_("Until")),
    "aid": Label(T_("Aid")),
    "aid.donor": Label(T_("Donor"), typed=False),
    "donor": Label(T_("Donor"), personal=True),
    "commitment": Label(T_("Commitment"), typed=False),
    "given_on": Label(T_("Date given")),
    "quantity": Label(T_("Quantity")),
    "unit": Label(T_("Unit")),
    "value_rp": Label(T_("Value")),
    "what": Label(T_("Evidence")),
    "where": Label(T_("Where the evidence is"), personal=True),
    "verified_on": Label(T_("Date verified")),
    "delivery": Label(T_("Aid"), typed=False),
    "covers": Label(T_("The flags that were shown"), typed=False),
    "task": Label(T_("Task"), typed=False),
    "author": Label(T_("Author"), typed=False, personal=True),
    "code": Label(T_("Enrolment code"), personal=True),
    "device": Label(T_("Name of the tablet"), personal=True),
    "public_key.d": Label(T_("The tablet's key"), typed=False, personal=True),
    "public_key.x": Label(T_("The tablet's key"), typed=False, personal=True),
    "public_key.y": Label(T_("The tablet's key"), typed=False, personal=True),
    "signature": Label(T_("Signature"), typed=False, personal=True),
    "child": Label(T_("The child")),
    "dots": Label(T_("The chosen value")),
    "removal": Label(T_("The decision on the removal")),
    "view": Label(T_("Name of the view")),
    "from": Label(T_("The post it is at")),
    "to": Label(T_("The post to move to")),
    "protocol": Label(T_("Protocol version"), typed=False),
    "schema": Label(T_("Data version"), typed=False),
}

UNITS: Final[Mapping[str, Unit]] = {
    "g": Unit(T_("grams"), 1000, T_("kilograms")),
    "mm": Unit(T_("millimetres"), 10, T_("centimetres")),
    "weeks": Unit(T_("weeks")),
}
"""By the ending of a field's name."""

UNIT_REMEDIES: Final[Mapping[str, Text]] = {
    "g": T_("Write it in whole grams: 9.5 kg is written 9500."),
    "mm": T_("Write it in whole millimetres: 85 cm is written 850."),
}

_SENTENCE: Final = T_("{field} {rule}. {slip}{remedy}")
_SENTENCE_WITH_VALUE: Final = T_("{field} (given as {value}) {rule}. {slip}{remedy}")
_UNIT: Final = T_(" {unit}")

_NOT_PERSONAL: Final = re.compile(
    r"(?!.*[0-9]{9})[0-9.,+-]{1,10}\Z|\w{1,2}\Z"  # a number or a date; a letter such as L or P
    r"|[0-9-]{10}T[0-9:]{8}(?:\.[0-9]{1,6})?Z\Z"
    r"|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\Z"
).match
_NAME: Final = re.compile(r"(?!.*[0-9]{9})[a-z][a-z0-9_]{0,31}\Z|[0-9]{1,3}\Z").match
_UUID: Final = re.compile(r"(?:hub:)?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\Z").match


def reason(path: str, code: str, value: object, *limits: str) -> Reason:
    """Make the sentences of a refusal.

    Parameters
    ----------
    path : of the field, with dots; parts that are not names of ours are replaced by "?"
    code : a key of WORDS
    value : what was written there; shown only if it cannot be personal
    limits : of the rule, for {0} and {1}
    """
    path = ".".join(map(_safe_name, path.split("."))) if path else ""
    label = _label(path)
    shown = None if label.personal or code == "unknown-field" else _unless_personal(value)
    words, ending = WORDS[code], path.rpartition("_")[2]
    unit = UNITS.get(ending)
    sentence = (_SENTENCE if shown is None else _SENTENCE_WITH_VALUE).format(
        field=label.text,
        value=None if shown is None else _text(shown),
        rule=words.rule.format(*limits, unit=_UNIT.format(unit=unit.name) if unit else ""),
        slip=_slip(unit, value, limits) if code == "out-of-range" and unit and unit.other else "",
        remedy=_remedy(words, label, code, ending),
    )
    return Reason(path, code, shown, *sentence)


def reasons_of(messages: Mapping[Any, Any], value: object) -> list[Reason]:
    """Make the reasons of a schema's errors.

    Parameters
    ----------
    messages : as `Schema.validate` returns them; each a code and its limits
    value : what was validated

    Returns
    -------
    list of Reason, sorted by path and code; at most MAX_REASONS, the last saying how many more there are
    """
    found = sorted({(path, message) for path, message in _flat(messages, ())})
    shown = found if len(found) <= MAX_REASONS else found[: MAX_REASONS - 1]
    reasons = [_worded(path, message, value) for path, message in shown]
    if len(shown) < len(found):
        reasons.append(reason("", "more-reasons", None, str(len(found) - len(shown))))
    return reasons


def _flat(messages: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(messages, dict):
        for name, inner in messages.items():
            yield from _flat(inner, path if name == "_schema" else (*path, str(name)))
    elif isinstance(messages, list):
        for inner in messages:
            yield from _flat(inner, path)
    else:
        yield path, messages


def _worded(path: tuple[str, ...], message: str, value: Any) -> Reason:
    for name in path:
        value = _inside(value, name)
    code, _, limits = message.partition(" ")
    return reason(".".join(path), code, value, *([limits] if code == "not-choice" else limits.split()))


def _inside(value: Any, name: str) -> Any:
    if isinstance(value, list):
        return value[int(name)]
    return value.get(name) if isinstance(value, dict) else None


def _label(path: str) -> Label:
    """Return a field's label: by its parent's and its own name, by its parent's, by its own, else by its path."""
    parts = path.split(".")
    names = (".".join(parts[-2:]), f"{parts[-2]}.*" if len(parts) > 1 else "", parts[-1])
    known = next((LABELS[name] for name in names if name in LABELS), None)
    if known or not path:
        return known or WHOLE
    return Label(T_("The part “{path}”").format(path=path), typed=False)


NOT_THE_APPS_FAULT: Final = frozenset(
    {
        *(
            "schema-too-new",
            "post-unknown",
            "post-closed",
            "post-out-of-scope",
            "post-stays",
            "one-post-only",
            "tablet-revoked",
            "child-erased",
            "child-restricted",
            "record-unreadable",
        ),
        *("not-on-screen", "not-in-conflict", "in-conflict", "time-out-of-range"),
    }
)
"""Refusals that are not the app's fault though no person filled the field in: their own remedy is given."""


def _remedy(words: Words, label: Label, code: str, unit: str) -> Text:
    if code in ("out-of-range", "not-whole-number") and unit in UNIT_REMEDIES:
        return UNIT_REMEDIES[unit]
    wrong_kind = code in ("not-object", "not-list", "not-text", "not-yes-no")
    if words.remedy and (code in NOT_THE_APPS_FAULT or label.typed) and not wrong_kind:
        return words.remedy
    return APP_FAULT


def _slip(unit: Unit, value: Any, limits: tuple[str, ...]) -> Text | str:
    """Return a sentence about the unit that was probably meant, if the number is in range in that unit."""
    low, high = map(int, limits)
    if low <= (meant := value * unit.factor) <= high:
        text = T_("It looks like {other}: {value} {other} are {meant} {unit}. ")
        return text.format(other=unit.other, value=value, meant=meant, unit=unit.name)
    if value % unit.factor == 0 and low <= (meant := value // unit.factor) <= high:
        text = T_("It is {factor} times too large: perhaps {meant} {unit} were meant. ")
        return text.format(factor=unit.factor, meant=meant, unit=unit.name)
    return ""


def _safe_name(name: str) -> str:
    return name if _NAME(name) or _UUID(name) else "?"


def _unless_personal(value: object) -> str | int | float | bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value if abs(value) < 1_000_000_000 else None  # false for NaN too
    return value if isinstance(value, str) and _NOT_PERSONAL(value) else None


def _text(value: str | int | float | bool) -> str:
    return value if isinstance(value, str) else json.dumps(value)
