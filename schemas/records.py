"""The registers of child, measurement, follow-up and delivery: their fields, units and ranges, one schema for each register.

A register merges as a whole (docs/adr/0002), so a change that sets one sends all of it. A field marked OPTIONAL may be
absent or null; both mean that it is not known. Ranges are the hard limits of what is possible for a child under five
(e-PPGBM's own input limits): a number beyond them is a wrong unit or a typing error. What is only unlikely is accepted here
and flagged later, by the assessment.
"""

from collections.abc import Mapping
from typing import Any, Final

from marshmallow import ValidationError

from schemas.strict import (
    Flag,
    ListOf,
    MapOf,
    Need,
    Part,
    Strict,
    Text,
    choice,
    day,
    shaped,
    uuid,
    whole,
    words,
)

NULLABLE, OPTIONAL, ABSENT = Need.NULLABLE, Need.OPTIONAL, Need.ABSENT


def _nik(value: str) -> None:
    """Check the form of a NIK: 16 digits, with a birth date. It has no check digit, and its region may be an old one."""
    if len(value) != 16 or not (value.isascii() and value.isdigit()):
        raise ValidationError("nik-digits")
    if len(set(value)) == 1:
        raise ValidationError("nik-same-digits")
    day_part, month = int(value[6:8]), int(value[8:10])
    problems = []
    if not (1 <= day_part <= 31 or 41 <= day_part <= 71):
        problems.append("nik-day")
    if not 1 <= month <= 12:
        problems.append("nik-month")
    if value[12:] == "0000":
        problems.append("nik-serial")
    if problems:
        raise ValidationError(list(problems))


# -- registers of a child --------------------------------------------------------------------------


class Identity(Strict):
    """Who the child is. An unknown birth date is null: then only weight-for-length is scored."""

    name = words(120)
    sex = choice("M", "F", need=NULLABLE)
    born_on = day(NULLABLE)
    birth_order = whole(1, 20, NULLABLE)


class Nik(Strict):
    """The national identity number; null if the child has none yet or a wrong one was withdrawn."""

    nik = Text(NULLABLE, _nik)


class Parents(Strict):
    """The parents, and a phone number."""

    mother = words(120, OPTIONAL)
    father = words(120, OPTIONAL)
    phone = shaped(r"\+?[0-9]{8,16}", "not-phone", OPTIONAL)


class Home(Strict):
    """Where the child lives; `village` is the Kemendagri code of a desa or kelurahan."""

    address = words(200, OPTIONAL, lines=True)
    rt = shaped("[0-9]{1,3}", "not-rt", OPTIONAL)
    rw = shaped("[0-9]{1,3}", "not-rt", OPTIONAL)
    village = shaped(r"[0-9]{2}\.[0-9]{2}\.[0-9]{2}\.[0-9]{4}", "not-village", OPTIONAL)


class Post(Strict):
    """The posyandu that the child belongs to."""

    post = uuid()


class Birth(Strict):
    """The child at birth: grams, millimetres, completed weeks of gestation."""

    weight_g = whole(300, 7000, OPTIONAL)
    length_mm = whole(200, 650, OPTIONAL)
    gestation_weeks = whole(22, 44, OPTIONAL)


class Books(Strict):
    """Whether the family holds a Buku KIA and a KMS."""

    kia = Flag()
    kms = Flag()


class Family(Strict):
    """Whether the family is at risk of stunting (KRS), who says so, and until when that holds."""

    krs = Flag()
    source = words(100, OPTIONAL)
    valid_until = day(OPTIONAL)


class Consent(Strict):
    """Whether a parent or guardian agreed to the processing of the data; who, when and how (UU PDP)."""

    given = Flag()
    by = words(120, OPTIONAL)
    relation = words(60, OPTIONAL)
    on = day(OPTIONAL)
    method = words(60, OPTIONAL)


class SameAs(Strict):
    """The child of which this one is a duplicate; null undoes the link."""

    child = uuid(NULLABLE)


MOST_DOSES: Final = 64
DOSE: Final = "[A-Z][A-Z0-9-]{1,15}"
"""A dose as the schedule of the server names it (`OPV1`); one that it does not know is kept and shown by its code."""


VACCINE_BATCH: Final = "[A-Z0-9][A-Z0-9/.-]{0,19}"


class BookDoses(Strict):
    """Doses of vaccines given elsewhere, as the Buku KIA shows them, each with its day: `{"BCG": "2026-01-05"}`."""

    given = MapOf(shaped(DOSE, "not-dose"), day(), MOST_DOSES)


MOST_FOREIGN_IDS: Final = 8
FOREIGN_ID: Final = "[a-z0-9_-]{1,32}:[a-z0-9_-]{1,32}"


class Extra(Strict):
    """What other systems call this record, by system and kind of id: `{"simpus:patient": "0012"}`. Nothing here reads it."""

    ids = MapOf(shaped(FOREIGN_ID, "not-foreign-id"), words(64), MOST_FOREIGN_IDS)


class Removed(Strict):
    """Why the record is removed; null restores it."""

    reason = words(200, NULLABLE)


# -- registers of a measurement --------------------------------------------------------------------


class Weight(Strict):
    """Grams, and oedema (none, +, ++, +++), which makes a weight meaningless and may be given without one. Both null: a
    weighing is taken back (`schemas/change.py` says where that is allowed)."""

    weight_g = whole(500, 40_000, NULLABLE)
    oedema = choice("n", "1", "2", "3", need=NULLABLE)


class Length(Strict):
    """Millimetres, and how the child was measured: lying (length) or standing (height, 7 mm less)."""

    length_mm = whole(300, 1400, NULLABLE)
    position = choice("lying", "standing", need=NULLABLE)


class Muac(Strict):
    """Mid-upper-arm circumference (LiLA), millimetres."""

    muac_mm = whole(50, 300, NULLABLE)


class Head(Strict):
    """Head circumference, millimetres."""

    head_mm = whole(250, 650, NULLABLE)


class Services(Strict):
    """What the child was given or found to need on that day; null or absent: not asked."""

    vitamin_a = choice("blue", "red", need=OPTIONAL)
    exclusive_breastfeeding = Flag(OPTIONAL)
    mbg = Flag(OPTIONAL)
    mother_class = Flag(OPTIONAL)
    kpsp = choice("S", "M", "P", need=OPTIONAL)
    deworming = Flag(OPTIONAL)
    immunised = Flag(OPTIONAL)


class Doses(Strict):
    """Doses of vaccines that were given on that day, each with the batch number of the vaccine if it is known."""

    given = MapOf(shaped(DOSE, "not-dose"), shaped(VACCINE_BATCH, "not-vaccine-batch", NULLABLE), MOST_DOSES)


class Note(Strict):
    """Free text; null takes it back."""

    text = words(500, NULLABLE, lines=True)


# -- registers of a follow-up ----------------------------------------------------------------------

ACTIONS: Final = (
    *("take", "remeasure", "refer_puskesmas", "refer_hospital"),
    *("pmt", "pmt_week", "home_visit", "counsel", "ask"),
)
"""What is to be done for a child. `take`: somebody takes charge of the case, and their result closes it."""
OUTCOMES: Final = (
    *("done", "confirmed", "cleared", "not_reached", "refused", "better", "same", "worse"),
    *("continue", "finished", "to_hospital", "cancelled"),
    *("recovered", "followed_elsewhere", "moved_away", "died", "wrong_value", "not_needed"),
)
"""Results of a follow-up; the last six close a case."""
MOST_COVERED: Final = 256
"""Most flags that the closing of a case may cover: more than five years of monthly measurements raise."""


class Task(Strict):
    """Something to do for a child, by when, and by whom (an author; null: anybody).

    `reason` is the rule of the flag that it is for. A PMT course (`pmt`) has weekly follow-ups (`pmt_week`), which name its
    task (`course`) and their number (`week`); `funds` says who pays: the state (DAK, APBD), the village, or a partner.
    """

    action = choice(*ACTIONS)
    reason = shaped("[a-z_]{1,40}", "not-rule", NULLABLE)
    due_on = day(NULLABLE)
    assigned_to = shaped("[A-Za-z0-9_.:@-]{1,64}", "not-author", NULLABLE)
    course = uuid(OPTIONAL)
    week = whole(1, 52, OPTIONAL)
    funds = choice("dak", "apbd", "village", "partner", need=OPTIONAL)


class Result(Strict):
    """The result. When a case is closed, `covers` lists the flags on the screen, each as "rule/subject": a flag raised
    later opens the case again. `days_eaten`: on how many days of a PMT week the food was eaten.
    """

    done_on = day()
    outcome = choice(*OUTCOMES)
    days_eaten = whole(0, 7, OPTIONAL)
    covers = ListOf(shaped("[a-z_]{1,40}/[a-z0-9/-]{0,40}", "not-flag"), 0, MOST_COVERED, OPTIONAL)


# -- registers of a delivery -----------------------------------------------------------------------

MENUS: Final = ("food", "insurance", "counselling", "latrine", "water", "housing", "other")
"""Kinds of aid: the menu of Genting, and `other`."""
FUNDS: Final = ("dak", "apbd", "village", "genting", "csr", "partner")
"""Who pays. Food of `dak`, `apbd` or `village` is PMT of the state; of `genting`, aid of a foster parent."""
MOST_RP: Final = 10**12


class Aid(Strict):
    """What a child, or its family, is to get: of which menu, paid by whom, from when until when.

    `donor` and `commitment` are ids of the office's list of donors; null if the author does not know them. `ends_on` null:
    it is given once.
    """

    menu = choice(*MENUS)
    funds = choice(*FUNDS)
    reaches = choice("child", "family")
    starts_on = day()
    ends_on = day(NULLABLE)
    donor = uuid(OPTIONAL)
    commitment = uuid(OPTIONAL)

    def agree(self, value: Mapping[str, Any]) -> None:
        """Refuse an aid that ends before it begins."""
        starts_on, ends_on = value.get("starts_on"), value.get("ends_on")
        if starts_on and ends_on and ends_on < starts_on:
            raise ValidationError("ends-before-start")


class Delivered(Strict):
    """The delivery: when, how much (portions, packets, sessions, pieces, months of contributions), and its value."""

    given_on = day()
    quantity = whole(1, 100_000, OPTIONAL)
    unit = choice("portion", "packet", "session", "piece", "month", need=OPTIONAL)
    value_rp = whole(0, MOST_RP, OPTIONAL)


class Evidence(Strict):
    """The evidence of the delivery: a photo, a signature, a receipt or a list, and where it is kept."""

    what = choice("photo", "signature", "receipt", "list", "seen")
    where = words(200, OPTIONAL)


class Verified(Strict):
    """What the author of the change found by a visit, or by asking the family."""

    verified_on = day()
    outcome = choice("received", "partly", "not_received")


# -- keys, and registers by record -----------------------------------------------------------------


class ChildKey(Strict):
    """A child has no key: its id is made by the device that first records the child."""


class MeasurementKey(Strict):
    """What a measurement's id is made from; two tablets that measure one child on one day write the same record."""

    child = uuid()
    measured_on = day()
    source = choice("cadre", "staff")


class FollowUpKey(Strict):
    """What a follow-up's id is made from: the child, and an id made by the device that first records it."""

    child = uuid()
    task = uuid()


class DeliveryKey(Strict):
    """What a delivery's id is made from: the child, and an id made by the device that first records it."""

    child = uuid()
    delivery = uuid()


class ChildRegisters(Strict):
    """The registers that a change of a child may set."""

    identity = Part(Identity, ABSENT)
    nik = Part(Nik, ABSENT)
    parents = Part(Parents, ABSENT)
    home = Part(Home, ABSENT)
    post = Part(Post, ABSENT)
    birth = Part(Birth, ABSENT)
    books = Part(Books, ABSENT)
    family = Part(Family, ABSENT)
    consent = Part(Consent, ABSENT)
    same_as = Part(SameAs, ABSENT)
    book_doses = Part(BookDoses, ABSENT)
    extra = Part(Extra, ABSENT)
    removed = Part(Removed, ABSENT)


class MeasurementRegisters(Strict):
    """The registers that a change of a measurement may set."""

    weight = Part(Weight, ABSENT)
    length = Part(Length, ABSENT)
    muac = Part(Muac, ABSENT)
    head = Part(Head, ABSENT)
    services = Part(Services, ABSENT)
    doses = Part(Doses, ABSENT)
    note = Part(Note, ABSENT)
    extra = Part(Extra, ABSENT)
    removed = Part(Removed, ABSENT)


class FollowUpRegisters(Strict):
    """The registers that a change of a follow-up may set."""

    task = Part(Task, ABSENT)
    result = Part(Result, ABSENT)
    note = Part(Note, ABSENT)
    removed = Part(Removed, ABSENT)


class DeliveryRegisters(Strict):
    """The registers that a change of a delivery may set."""

    aid = Part(Aid, ABSENT)
    delivered = Part(Delivered, ABSENT)
    evidence = Part(Evidence, ABSENT)
    verified = Part(Verified, ABSENT)
    note = Part(Note, ABSENT)
    removed = Part(Removed, ABSENT)
