"""The referral letter: what a doctor must know about a child, as a PDF of one page.

Hides the typesetting by Typst; its template is beside this file. The contents are passed as data, never as markup, so typed
text cannot be read as an instruction. The letter shows the whole NIK, so who had it made is logged.
"""

from collections.abc import Mapping
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
from server.context import AppContext
from server.database.models import Child, HealthCentre, HealthPost, Region
from server.errors import Problem
from server.growth.status import LABELS, SCREENING_NOTE
from server.review import follow_ups
from server.review.child import ChildView, child_view
from server.review.scope import Scope, state_of

TEMPLATE: Final = Path(__file__).parent / "referral.typ"
MOST_VISITS: Final = 8
TO: Final[Mapping[str, tuple[str, str]]] = {
    "refer_puskesmas": ("Dokter puskesmas", "The doctor of the health centre"),
    "refer_hospital": ("Dokter spesialis anak, rumah sakit rujukan", "Paediatrician, referral hospital"),
}
"""The recipient of each kind of referral: Indonesian, English."""
INDICES: Final = ("haz", "waz", "whz", "baz")
NAMES: Final[Mapping[str, tuple[str, str]]] = {
    "haz": ("TB/U", "HAZ"),
    "waz": ("BB/U", "WAZ"),
    "whz": ("BB/TB", "WHZ"),
    "baz": ("IMT/U", "BAZ"),
}
WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "title": ("Surat Rujukan Balita", "Referral Letter"),
    "to": ("Kepada", "To"),
    "from": ("Dari", "From"),
    "date": ("Tanggal", "Date"),
    "child": ("Anak", "Child"),
    "name": ("Nama", "Name"),
    "sex": ("Jenis kelamin", "Sex"),
    "M": ("Laki-laki", "Boy"),
    "F": ("Perempuan", "Girl"),
    "born": ("Tanggal lahir", "Date of birth"),
    "age": ("Umur", "Age"),
    "months": ("bulan", "months"),
    "nik": ("NIK", "NIK"),
    "mother": ("Nama ibu", "Mother"),
    "father": ("Nama ayah", "Father"),
    "phone": ("Telepon", "Phone"),
    "address": ("Alamat", "Address"),
    "post": ("Posyandu", "Posyandu"),
    "birth": ("Saat lahir", "At birth"),
    "weeks": ("minggu", "weeks"),
    "reasons": ("Alasan dirujuk", "Reasons for referral"),
    "measurements": ("Hasil pengukuran", "Measurements"),
    "weight": ("BB (kg)", "Weight (kg)"),
    "length": ("PB/TB (cm)", "Length (cm)"),
    "muac": ("LiLA (cm)", "MUAC (cm)"),
    "by": ("Diukur oleh", "Measured by"),
    "cadre": ("kader", "cadre"),
    "staff": ("puskesmas", "health centre"),
    "status": ("Status gizi pada pengukuran terakhir", "Nutritional status at the newest measurement"),
    "done": ("Yang sudah dilakukan", "What was done"),
    "note": ("Catatan", "Note"),
    "none": ("tidak ada", "none"),
    "conflict": ("berbeda", "differs"),
    "reply": ("Jawaban rujukan", "Reply to the referral"),
    "findings": ("Hasil pemeriksaan dan rencana", "Findings and plan"),
    "sender": ("Petugas yang merujuk", "Referred by"),
    "doctor": ("Dokter yang menerima", "Received by"),
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
    data = _data(
        view, _whole_nik(session, hub, child_id), found, work, language, today, _village(session, hub, view)
    )
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


def _data(
    view: ChildView,
    nik: str | None,
    found: follow_ups.Work,
    work: tuple[follow_ups.Work, ...],
    language: str,
    today: date,
    village: str | None,
) -> dict[str, Any]:
    """Give the data of the template: fixed texts and rows, all as text."""
    column = int(language == "en")
    texts = {name: both[column] for name, both in WORDS.items()}

    def day(value: date) -> str:
        return format_date(value, "d MMMM y", locale=language)

    def number(value: float | None, digits: int) -> str:
        return "–" if value is None else format_decimal(value, f"0.{'0' * digits}", locale=language)

    def each(register: str, *names: str) -> str | None:
        values = view.values.get(register, ())
        written = [" / ".join(str(v.fields[n]) for n in names if v.fields.get(n)) for v in values]
        return "; ".join(dict.fromkeys(text for text in written if text)) or None

    birth = next(iter(view.values.get("birth", ())), None)
    at_birth = birth.fields if birth else {}
    born = [
        f"{at_birth['weight_g']} g" if at_birth.get("weight_g") else None,
        f"{number(at_birth['length_mm'] / 10, 1)} cm" if at_birth.get("length_mm") else None,
        f"{at_birth['gestation_weeks']} {texts['weeks']}" if at_birth.get("gestation_weeks") else None,
    ]
    rows = [
        [texts["name"], view.name],
        [texts["sex"], texts.get(view.sex or "")],
        [texts["born"], day(view.born_on) if view.born_on else None],
        [texts["age"], f"{view.age_months} {texts['months']}" if view.age_months is not None else None],
        [texts["nik"], nik],
        [texts["mother"], each("parents", "mother")],
        [texts["father"], each("parents", "father")],
        [texts["phone"], each("parents", "phone")],
        [texts["address"], _address(view, village)],
        [texts["birth"], ", ".join(part for part in born if part) or None],
    ]
    visits = [visit for visit in view.visits if visit.candidates][:MOST_VISITS]
    table = []
    for visit in visits:
        first, differs = visit.candidates[0], len(visit.candidates) > 1
        table.append(
            [
                format_date(visit.measured_on, "d MMM y", locale=language),
                number(first.weight_g / 1000 if first.weight_g else None, 2),
                number(first.length_mm / 10 if first.length_mm else None, 1),
                number(first.muac_mm / 10 if first.muac_mm else None, 1),
                *(number(first.scores[index].z, 2) for index in ("haz", "waz", "whz")),
                f"{texts[visit.source]}{' *' if differs else ''}",
            ]
        )
    newest = visits[0].candidates if visits else ()
    statuses = [
        [NAMES[index][column], " / ".join(_statuses(newest, index, language))]
        for index in INDICES
        if _statuses(newest, index, language)
    ]
    reasons = [(RULES[raised.rule].en if column else RULES[raised.rule].id) for raised in view.flags]
    done = [
        f"{day(date.fromisoformat(result.done_on))}: {follow_ups.ACTIONS[task.action][column]}, "
        f"{follow_ups.OUTCOMES[result.outcome][column]}"
        for task in work
        if task.action in follow_ups.ACTIONS
        for result in task.results
    ]
    return {
        "words": texts,
        "to": TO[found.action][column],
        "date": day(today),
        "about": [[name, text or "–"] for name, text in rows],
        "reasons": list(dict.fromkeys(reasons)),
        "visits": table,
        "heads": [
            *(texts[name] for name in ("date", "weight", "length", "muac")),
            *(NAMES[index][column] for index in INDICES[:3]),
            texts["by"],
        ],
        "differs": any(len(visit.candidates) > 1 for visit in visits),
        "statuses": statuses,
        "done": done,
        "note": "\n".join(text for text, _ in found.notes),
        "screening": SCREENING_NOTE.en if column else SCREENING_NOTE.id,
        "language": language,
    }


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


def _statuses(candidates: tuple[Any, ...], index: str, language: str) -> list[str]:
    codes = dict.fromkeys(c.scores[index].status for c in candidates if c.scores[index].status)
    return [LABELS[code].en if language == "en" else LABELS[code].id for code in codes]
