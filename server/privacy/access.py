"""Everything that is held of a child, and who read it (UU 27/2022, articles 7 and 32): as JSON, and as a PDF."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson
import typst
from babel.dates import format_date, format_datetime
from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from schemas.words import LABELS
from server import audit
from server.context import AppContext
from server.database.models import Account, AuditEntry, HealthPost, table
from server.privacy import requests
from server.review import Scope
from server.review.child import ChildView, child_json, child_view, timeline_json
from server.translations import T_, Text

TEMPLATE: Final = Path(__file__).with_name("access.typ")
WORDS: Final[Mapping[str, Text]] = {
    "title": T_("Copy of a child's personal data"),
    "law": T_(
        "Given at the request of a parent or guardian under Law 27/2022 (Personal Data Protection),"
        " articles 7 and 32."
    ),
    "made": T_("Made"),
    "by": T_("By"),
    "record": T_("What is held"),
    "visits": T_("Measurements", "copy of data"),
    "events": T_("What was written and changed"),
    "readers": T_("Who saw or received these data"),
    "lists": T_("Lists and files about the child's posyandu, in which the child may be"),
    "requests": T_("What parents asked"),
    "none": T_("none"),
    "screening": T_(
        "Results of screening, not a diagnosis. What is wrong can be asked to be corrected within 3×24 hours."
    ),
}
LISTS: Final = (
    "queue.exported",
    "data.exported",
    "post.list-viewed",
    "post.stickers-viewed",
    "tablet.exposure-viewed",
    "tablet.exposure-exported",
)
MOST_LISTS: Final = 300
YES_NO: Final = {True: T_("yes"), False: T_("no")}


@dataclass(frozen=True, slots=True)
class AccessReport:
    """What is held of a child at a moment. `readers` and `lists` are entries of the log: at, who, action, how."""

    view: ChildView
    readers: Sequence[Mapping[str, Any]]
    lists: Sequence[Mapping[str, Any]]
    requests: Sequence[requests.ShownRequest]
    made_at: datetime
    district: str

    def wire(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "format": "posyandu-sync/access/1",
            "district": self.district,
            "made_at": self.made_at.isoformat(timespec="seconds"),
            "child": child_json(self.view),
            "history": timeline_json(self.view.events),
            "readers": [dict(entry) for entry in self.readers],
            "lists": [dict(entry) for entry in self.lists],
            "requests": [asked.wire(self.made_at) for asked in self.requests],
        }


def gather(session: Session, hub: AppContext, scope: Scope, child_id: str, now: datetime) -> AccessReport:
    """Collect everything of a child in scope, restricted or not; with the full NIK.

    Raises
    ------
    Problem
        `record-unknown`; `not-allowed` for a scope without names.
    """
    today = hub.settings.today(now)
    view = child_view(session, hub, scope, child_id, today, whole_nik=True, restricted=True)
    asked = requests.of_child(session, hub, scope, child_id)
    c = table(AuditEntry).c
    named = or_(*(c.details.contains(one) for one in (child_id, *view.linked)))
    readers = _entries(session, hub, named)
    streams = c.stream.in_((audit.OFFICE, audit.post_stream(view.post_id)))
    lists = _entries(session, hub, and_(c.action.in_(LISTS), streams))[-MOST_LISTS:]
    return AccessReport(view, readers, lists, asked, now, hub.district)


def _entries(session: Session, hub: AppContext, chosen: ColumnElement[bool]) -> list[dict[str, Any]]:
    """List entries of the log in order: who read, exported, wrote or decided, and when."""
    c, a, p = table(AuditEntry).c, table(Account).c, table(HealthPost).c
    rows = session.execute(
        select(c.at, c.actor, c.action, c.stream)
        .where(c.district == hub.district, chosen)
        .order_by(c.at, c.stream)
    ).all()
    people = {
        f"account:{row.id}": f"{row.display_name} ({row.role})"
        for row in session.execute(select(a.id, a.display_name, a.role).where(a.district == hub.district))
    }
    posts = {
        audit.post_stream(row.id): row.name
        for row in session.execute(select(p.id, p.name).where(p.district == hub.district))
    }
    return [
        {
            "at": row.at.isoformat(timespec="seconds"),
            "who": people.get(row.actor, row.actor),
            "action": row.action,
            "where": posts.get(row.stream, row.stream),
        }
        for row in rows
    ]


def as_pdf(report: AccessReport, hub: AppContext, writer: str, language: str) -> bytes:
    """Typeset a report."""
    zone = ZoneInfo(hub.settings.time_zone)

    def day(value: Any) -> str:
        return format_date(value, "d MMM y", locale=language)

    def moment(value: datetime) -> str:
        return format_datetime(value.astimezone(zone), "d MMM y HH:mm", locale=language)

    def entries(found: Sequence[Mapping[str, Any]]) -> list[list[str]]:
        return [[moment(datetime.fromisoformat(e["at"])), e["who"], e["action"], e["where"]] for e in found]

    view = report.view
    record = [
        [register, _text({register: held.fields}, language)]
        for register, several in view.values.items()
        for held in several
    ]
    visits = [
        [
            day(visit.measured_on),
            visit.source,
            _text({r: v.fields for r, held in visit.values.items() for v in held}, language),
        ]
        for visit in view.visits
    ]
    events = [
        [moment(event.at), event.by or "", event.what, _text(event.values, language)] for event in view.events
    ]
    data = {
        "language": language,
        "words": {name: text.in_(language) for name, text in WORDS.items()},
        "name": view.name or view.child_id,
        "about": [view.child_id, view.post_name, view.health_centre_name],
        "made": moment(report.made_at),
        "writer": writer,
        "record": record,
        "visits": visits,
        "events": events,
        "readers": entries(report.readers),
        "lists": entries(report.lists),
        "requests": [
            [day(asked.asked_at), requests.KINDS[asked.kind].in_(language), asked.status, asked.by or ""]
            for asked in report.requests
        ],
    }
    return typst.compile(
        TEMPLATE.read_bytes(),
        sys_inputs={"report": orjson.dumps(data).decode()},
        timestamp=int(report.made_at.timestamp()),
    )


def _text(values: Mapping[str, Mapping[str, Any] | None], language: str) -> str:
    """Write registers as one line: every known field, by its name in the reader's language."""
    return "; ".join(
        f"{_named(register, name, language)}: {_plain(name, value, language)}"
        for register, fields in values.items()
        for name, value in (fields or {}).items()
        if value is not None
    )


def _named(register: str, name: str, language: str) -> str:
    found = LABELS.get(f"{register}.{name}") or LABELS.get(name)
    return found.text.in_(language) if found else f"{register}.{name}"


def _plain(name: str, value: Any, language: str) -> str:
    if isinstance(value, bool):
        return YES_NO[value].in_(language)
    if isinstance(value, Mapping):
        return ", ".join(f"{inner} {one}" for inner, one in sorted(value.items()))
    unit = {"g": " g", "mm": " mm"}.get(name.rpartition("_")[2], "")
    return f"{value}{unit}"


def log_given(
    session: Session, hub: AppContext, actor: str, report: AccessReport, form: str, now: datetime
) -> None:
    """Log at the post that everything held of a child was handed out, with the full NIK."""
    details = {"child": report.view.child_id, "form": form, "unmasked": True}
    stream = audit.post_stream(report.view.post_id)
    audit.append(session, hub.district, stream, "rights.access-given", actor=actor, now=now, details=details)
