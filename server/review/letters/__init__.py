"""The referral letter: what a doctor must know about a child, as a PDF of one page.

Hides the typesetting by Typst; its template is beside this file. The contents are passed as data, never as markup, so typed
text cannot be read as an instruction. The letter shows the whole NIK, so who had it made is logged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import orjson
import typst
from babel.dates import format_date
from babel.numbers import format_decimal
from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from server import audit
from server.accounts import Person
from server.children.flags import RULES
from server.children.labels import LABELS, SCREENING_NOTE
from server.context import AppContext
from server.database.models import Child, HealthCentre, HealthPost, Region
from server.errors import Problem
from server.review import follow_ups
from server.review.child import ChildView, ScoredCandidate, Visit, child_view
from server.review.scope import Scope, state_of
from server.translations import T_, Text

TEMPLATE: Final = Path(__file__).parent / "referral.typ"
MOST_VISITS: Final = 8
TO: Final[Mapping[str, Text]] = {
    "refer_puskesmas": T_("The doctor of the health centre"),
    "refer_hospital": T_("Paediatrician, referral hospital"),
}
"""The recipient of each kind of referral: Indonesian, English."""
INDICES: Final = ("haz", "waz", "whz", "baz")
NAMES: Final[Mapping[str, Text]] = {
    "haz": T_("HAZ"),
    "waz": T_("WAZ"),
    "whz": T_("WHZ"),
    "baz": T_("BAZ"),
}
WORDS: Final[Mapping[str, Text]] = {
    "title": T_("Referral Letter"),
    "to": T_("To"),
    "from": T_("From"),
    "date": T_("Date"),
    "child": T_("Child"),
    "name": T_("Name"),
    "sex": T_("Sex"),
    "M": T_("Boy"),
    "F": T_("Girl"),
    "born": T_("Date of birth"),
    "age": T_("Age"),
    "months": T_("months"),
    "nik": T_("NIK"),
    "mother": T_("Mother"),
    "father": T_("Father"),
    "phone": T_("Phone"),
    "address": T_("Address"),
    "post": T_("Posyandu"),
    "birth": T_("At birth"),
    "weeks": T_("weeks"),
    "reasons": T_("Reasons for referral"),
    "measurements": T_("Measurements"),
    "weight": T_("Weight (kg)", "letter"),
    "length": T_("Length (cm)", "letter"),
    "muac": T_("MUAC (cm)"),
    "by": T_("Measured by"),
    "cadre": T_("cadre"),
    "staff": T_("health centre"),
    "status": T_("Nutritional status at the newest measurement"),
    "done": T_("What was done"),
    "note": T_("Note"),
    "none": T_("none"),
    "conflict": T_("differs", "letter"),
    "reply": T_("Reply to the referral"),
    "findings": T_("Findings and plan"),
    "sender": T_("Referred by"),
    "doctor": T_("Received by"),
}
"""The fixed texts of the letter: Indonesian, English."""


@dataclass(frozen=True, slots=True)
class ReferralLetter:
    """A letter: the PDF, and the child, post and task it is about."""

    pdf: bytes
    child_id: str
    post_id: str
    task: str


def referral(
    session: Session,
    hub: AppContext,
    scope: Scope,
    child_id: str,
    task: str,
    *,
    language: str,
    writer: Person,
    now: datetime,
) -> ReferralLetter:
    """Make the letter for a follow-up that is a referral.

    Parameters
    ----------
    task : the follow-up's id within the child
    language : "id" or "en"
    writer : who refers the child, named under the letter

    Raises
    ------
    Problem
        `record-unknown`: no such child in scope, or no such referral; `not-allowed` for a reader who sees no names.
    """
    if not scope.shows_names:
        raise Problem("not-allowed")
    subject = follow_ups.find(session, hub, scope, child_id)
    work = follow_ups.work_of(session, hub, scope, subject.group)
    found = next((each for each in work if each.task == task and each.action in TO), None)
    if found is None:
        raise Problem("record-unknown")
    today = hub.settings.today(now)
    view = child_view(session, hub, scope, child_id, today)
    nik, village = _whole_nik(session, hub, child_id), _village(session, hub, view)
    data = _data(view, nik, found, work, _Language(language), today, village)
    data["from"] = _sender(session, hub, subject.post_id)
    data["writer"] = writer.display_name
    pdf = typst.compile(
        TEMPLATE.read_bytes(),
        sys_inputs={"letter": orjson.dumps(data).decode()},
        timestamp=int(now.timestamp()),
    )
    return ReferralLetter(pdf, child_id, subject.post_id, task)


def log_written(
    session: Session, hub: AppContext, writer: Person, letter: ReferralLetter, now: datetime
) -> None:
    """Log at the post that somebody had a letter made, which shows the whole NIK."""
    details = {"child": letter.child_id, "task": letter.task, "unmasked": True}
    stream, actor = audit.post_stream(letter.post_id), f"account:{writer.account_id}"
    audit.append(session, hub.district, stream, "letter.written", actor=actor, now=now, details=details)


def _sender(session: Session, hub: AppContext, post_id: str) -> str:
    row = session.execute(
        select(HealthCentre.name, HealthPost.name.label("post"))
        .join(
            HealthPost,
            and_(
                HealthPost.district == HealthCentre.district, HealthPost.health_centre_id == HealthCentre.id
            ),
        )
        .where(HealthPost.district == hub.district, HealthPost.id == post_id)
    ).one()
    return f"{row.name} ({row.post})"


def _whole_nik(session: Session, hub: AppContext, child_id: str) -> str | None:
    row = session.execute(
        select(Child.state, Child.wrapped_key, Child.key_version).where(
            Child.district == hub.district, Child.id == child_id
        )
    ).one()
    if row.state is None:
        return None
    values = [s.value.get("nik") for s in state_of(hub, child_id, row).registers.get("nik", ())]
    return " / ".join(value for value in values if value) or None


@dataclass(frozen=True, slots=True)
class _Language:
    """Writes texts, dates and numbers in one language: "id" or "en"."""

    code: str

    def text(self, name: str) -> str:
        return self.label(WORDS[name])

    def day(self, value: date, form: str = "d MMMM y") -> str:
        return format_date(value, form, locale=self.code)

    def number(self, value: float | None, digits: int) -> str:
        return "–" if value is None else format_decimal(value, f"0.{'0' * digits}", locale=self.code)

    def label(self, label: Text) -> str:
        return label.in_(self.code)


def _data(
    view: ChildView,
    nik: str | None,
    found: follow_ups.Work,
    work: tuple[follow_ups.Work, ...],
    language: _Language,
    today: date,
    village: str | None,
) -> dict[str, Any]:
    """Give the data of the template: fixed texts and rows, all as text."""
    visits = [visit for visit in view.visits if visit.candidates][:MOST_VISITS]
    reasons = [language.label(RULES[raised.rule].text) for raised in view.flags]
    return {
        "words": {name: language.text(name) for name in WORDS},
        "to": language.label(TO[found.action]),
        "date": language.day(today),
        "about": [[language.text(name), text or "–"] for name, text in _about(view, nik, village, language)],
        "reasons": list(dict.fromkeys(reasons)),
        "visits": [_visit_cells(visit, language) for visit in visits],
        "heads": [
            *(language.text(name) for name in ("date", "weight", "length", "muac")),
            *(language.label(NAMES[index]) for index in INDICES[:3]),
            language.text("by"),
        ],
        "differs": any(len(visit.candidates) > 1 for visit in visits),
        "statuses": _statuses(visits[0].candidates if visits else (), language),
        "done": _done(work, language),
        "note": "\n".join(text for text, _ in found.notes),
        "screening": language.label(SCREENING_NOTE),
        "language": language.code,
    }


def _about(
    view: ChildView, nik: str | None, village: str | None, language: _Language
) -> list[tuple[str, str | None]]:
    """Give the rows about the child: (key of WORDS, text)."""
    months = f"{view.age_months} {language.text('months')}" if view.age_months is not None else None
    return [
        ("name", view.name),
        ("sex", language.text(view.sex) if view.sex in ("M", "F") else None),
        ("born", language.day(view.born_on) if view.born_on else None),
        ("age", months),
        ("nik", nik),
        *((parent, _parent(view, parent)) for parent in ("mother", "father", "phone")),
        ("address", _address(view, village)),
        ("birth", _at_birth(view, language)),
    ]


def _parent(view: ChildView, field: str) -> str | None:
    """Write one field of the register `parents`; if in conflict, all values."""
    values = [str(value.fields[field]) for value in view.values.get("parents", ()) if value.fields.get(field)]
    return "; ".join(dict.fromkeys(values)) or None


def _at_birth(view: ChildView, language: _Language) -> str | None:
    birth = next(iter(view.values.get("birth", ())), None)
    fields = birth.fields if birth else {}
    parts = [
        f"{fields['weight_g']} g" if fields.get("weight_g") else None,
        f"{language.number(fields['length_mm'] / 10, 1)} cm" if fields.get("length_mm") else None,
        f"{fields['gestation_weeks']} {language.text('weeks')}" if fields.get("gestation_weeks") else None,
    ]
    return ", ".join(part for part in parts if part) or None


def _visit_cells(visit: Visit, language: _Language) -> list[str]:
    """Give a row of the table of measurements; a star marks one with values in conflict."""
    first, mark = visit.candidates[0], " *" if len(visit.candidates) > 1 else ""
    return [
        language.day(visit.measured_on, "d MMM y"),
        language.number(first.weight_g / 1000 if first.weight_g else None, 2),
        language.number(first.length_mm / 10 if first.length_mm else None, 1),
        language.number(first.muac_mm / 10 if first.muac_mm else None, 1),
        *(language.number(first.scores[index].z, 2) for index in INDICES[:3]),
        f"{language.text(visit.source)}{mark}",
    ]


def _statuses(candidates: Sequence[ScoredCandidate], language: _Language) -> list[list[str]]:
    """Give (index, statuses of all candidates) for each index that has one."""
    rows = []
    for index in INDICES:
        codes = dict.fromkeys(status for c in candidates if (status := c.scores[index].status))
        if codes:
            texts = " / ".join(language.label(LABELS[code]) for code in codes)
            rows.append([language.label(NAMES[index]), texts])
    return rows


def _done(work: Sequence[follow_ups.Work], language: _Language) -> list[str]:
    """Write the results of all follow-ups."""
    return [
        f"{language.day(date.fromisoformat(result.done_on))}: "
        f"{language.label(follow_ups.ACTIONS[task.action])}, "
        f"{language.label(follow_ups.OUTCOMES[result.outcome])}"
        for task in work
        if task.action in follow_ups.ACTIONS
        for result in task.results
    ]


def _address(view: ChildView, village: str | None) -> str | None:
    """Write the child's address; if in conflict, all of them."""
    written = []
    for value in view.values.get("home", ()):
        home = value.fields
        parts = [
            home.get("address"),
            f"RT {home['rt']}" if home.get("rt") else None,
            f"RW {home['rw']}" if home.get("rw") else None,
            village or home.get("village"),
        ]
        written.append(", ".join(part for part in parts if part))
    return "; ".join(dict.fromkeys(text for text in written if text)) or None


def _village(session: Session, hub: AppContext, view: ChildView) -> str | None:
    """Give the name of the village of a child's home, if it has one that is known."""
    codes = {value.fields.get("village") for value in view.values.get("home", ())} - {None}
    region = session.get(Region, (hub.district, codes.pop())) if len(codes) == 1 else None
    return region.name if region else None
