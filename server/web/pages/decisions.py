"""What the pages share on which staff decide what nobody else can: conflicts, duplicates, quarantined changes, moves. Their
routes stand in `conflicts`, `duplicates`, `quarantine` and `moves`, on the blueprint here.

Rules that all of them keep:
- Each page works by itself: the record's context that was on the screen travels in a hidden field and comes back with the
  decision, so that a value which arrived meanwhile survives it.
- Nothing typed is lost: a refused form is shown again as it was typed, with each error beside its field. If somebody else
  decided first, the page says who decided what and when, and shows what was typed.
- Every decision can be taken back on the page that shows it.
- Names are only for people who may decide. Each look is logged before the page is sent, and no address holds a name.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

import orjson
from flask import Blueprint, url_for
from sqlalchemy.orm import Session

from server.errors import Problem
from server.review import (
    ChildView,
    OpenConflict as Disagreement,
    moves,
)
from server.review.authors import people
from server.translations import N_
from server.web.current import hub, person, utc_now
from server.web.forms import registers as register_forms
from server.web.forms.registers import FIELDS
from server.web.request_schemas.schema import Asked
from sync_protocol import measurement_id

bp = Blueprint("decisions", __name__)

MOST_POSTS: Final = 10_000
"""More than any regency has."""
KINDS: Final[Mapping[str, str]] = {
    "child": N_("Registration"),
    "measurement": N_("Measurement"),
    "follow_up": N_("Follow-up"),
    "delivery": N_("Aid"),
}


Found = TypeVar("Found")
Page = str | tuple[str, int]


@bp.context_processor
def _in_every_page() -> dict[str, Any]:
    return {
        "format_value": register_forms.format_value,
        "options": register_forms.options,
        "full_reason": register_forms.full_reason,
        "kinds": KINDS,
    }


@bp.app_template_global()
def conflict_address(child: ChildView, disputed: Disagreement) -> str | None:
    """Return the address where a conflict on a child's page can be settled; None for people who may not.

    If several linked children were measured on that day, no single record is in conflict: then the list of conflicts."""
    if not person().may("decide"):
        return None
    if disputed.visit is None:
        return url_for("decisions.dispute", kind="child", record_id=child.child_id)
    if child.linked:
        return url_for("decisions.disputes")
    visit = disputed.visit
    record_id = measurement_id(child.child_id, visit.measured_on.isoformat(), visit.source)
    return url_for("decisions.dispute", kind="measurement", record_id=record_id)


def look(read: Callable[[Session], Found], log: Callable[[Session, Found, datetime], None]) -> Found:
    """Read something and log that it was seen, before it is shown."""
    with hub().database.reading() as session:
        found = read(session)
    with hub().database.transaction() as session:
        log(session, found, utc_now())
    return found


def people_names(authors: Sequence[str | None]) -> dict[str, str]:
    """Return the names of people who decided something, by author."""
    with hub().database.reading() as session:
        return people(session, hub(), [author for author in authors if author])


def hidden_json(asked: Asked, name: str) -> Any:
    """Read the JSON that a hidden field brought back.

    Raises
    ------
    Problem
        `request-malformed`, naming the field.
    """
    try:
        return orjson.loads(asked.form.get(name, ""))
    except orjson.JSONDecodeError:
        raise Problem("request-malformed", reason=name) from None


def to_json(value: Any) -> str:
    """Write what a hidden field holds."""
    return orjson.dumps(value).decode()


def all_posts(session: Session) -> list[moves.TargetPost]:
    """Return every post to which a child may be moved."""
    return moves.places(session, hub(), limit=MOST_POSTS)[0]


def post_names(session: Session, registers: Mapping[str, Any]) -> dict[str, str]:
    """Return the names of posts by id, if a register names a post."""
    return {place.post_id: place.post_name for place in all_posts(session)} if "post" in registers else {}


def texts_typed(form: Mapping[str, str], registers: Iterable[str]) -> list[tuple[str, str]]:
    """Return what was typed into the form as (message id of the label, text), so that it can be used elsewhere."""
    return [
        (field.label, text)
        for register in registers
        for field in FIELDS[register]
        if field.kind in ("kg", "cm", "whole", "text", "lines", "day")
        and (text := form.get(f"{register}-{field.name}", "").strip())
    ]
