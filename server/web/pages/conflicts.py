"""Pages of records on which tablets disagree: the list, the values side by side, and what was chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from flask import redirect, render_template, url_for
from werkzeug.wrappers import Response as AnyResponse

from schemas.words import reason
from server.errors import Problem
from server.review import (
    Visit,
    conflicts,
)
from server.review.conflicts import Conflict, LiveValue
from server.review.value_preview import Meaning, Meanings, meanings
from server.sync import server_edits
from server.web.auth import permitted
from server.web.charts.comparison import LETTERS, Lettered, of_conflict
from server.web.current import acting, hub, scope, utc_now
from server.web.forms import registers as register_forms
from server.web.forms.registers import FIELDS, Input
from server.web.pages.decisions import (
    Page,
    bp,
    hidden_json,
    look,
    post_names,
    texts_typed,
    to_json,
)
from server.web.paging import PAGE_ROWS, offset_of, paged
from server.web.request_schemas import decisions as schemas
from server.web.request_schemas.schema import Asked, takes
from sync_protocol import Json

NEW: Final = "baru"
"""What a form sends for a value that nobody has written yet."""
WITHOUT_NEW: Final = frozenset({"post", "same_as", "task", "result", "removed", "consent"})
"""Registers for which no new value can be typed here: that is a decision of another page."""


@bp.get("/selisih")
@permitted("decide")
@takes(schemas.CONFLICTS)
def disputes(asked: Asked) -> str:
    """List the records on which tablets disagree."""
    post_id, number = asked.query["pos"], asked.query["hal"]
    offset = offset_of(number)
    found, total = look(
        lambda s: conflicts.conflicts(s, hub(), scope(), post_id=post_id, limit=PAGE_ROWS, offset=offset),
        lambda s, shown, now: conflicts.log_listed(s, hub(), acting(), len(shown[0]), offset, now),
    )
    with hub().database.reading() as session:
        posts = conflicts.posts(session, hub(), scope())
    return render_template(
        "conflict_list.html", found=found, posts=posts, post_id=post_id, paged=paged(total, number)
    )


@dataclass(frozen=True, slots=True)
class Choice:
    """A value that can be chosen: its letter, what the form sends for it, and what it would mean."""

    letter: str
    sent: str
    candidate: LiveValue
    meaning: Meaning | None


@dataclass(frozen=True, slots=True)
class ConflictSection:
    """A register in conflict as the page draws it. `chosen` is what was sent for it, "" if nothing; `new` are the fields for
    a new value, empty if there can be none."""

    register: str
    choices: tuple[Choice, ...]
    charts: tuple[Lettered, ...]
    new: tuple[Input, ...]
    chosen: str
    errors: tuple[str, ...]

    @property
    def doubtful(self) -> list[str]:
        """Return the letters of the values that are doubtful."""
        return [c.letter for c in self.choices if c.meaning and c.meaning.doubts]


@bp.get("/selisih/<kind>/<uuid:record_id>")
@permitted("decide")
@takes(schemas.CONFLICT)
def dispute(asked: Asked, kind: str, record_id: object) -> Page:
    """Show a record in conflict; once it is settled, who settled it and how."""
    try:
        return _card(asked, kind, str(record_id))
    except Problem as problem:
        if problem.code != "conflict-unknown":
            raise
    return _settled(asked, kind, str(record_id))


def _card(asked: Asked, kind: str, record_id: str, reasons: Sequence[Json] = (), seen: Any = None) -> str:
    """Draw the conflict; after a refusal with what was typed and its errors.

    Parameters
    ----------
    seen : the context of the refused decision
    """
    shown = look(
        lambda s: conflicts.dispute(s, hub(), scope(), kind, record_id),
        lambda s, found, now: conflicts.log_viewed(s, hub(), acting(), found, now),
    )
    with hub().database.reading() as session:
        meant = meanings(session, hub(), shown)
        places = post_names(session, shown.candidates)
    context = shown.context.wire()
    return render_template(
        "conflict.html",
        shown=shown,
        record=shown.record,
        sections=[_section(asked.form, shown, meant, register, reasons) for register in shown.candidates],
        context=to_json(context),
        newer=seen is not None and seen != context,
        done=asked.query.get("selesai") == "1",
        age=next((v.age_months for v in meant.visits if _is_of(v, shown)), None),
        form=asked.form,
        reasons=conflicts.SETTLEMENTS,
        wrong={why["path"]: register_forms.reason_text(why) for why in reasons},
        places=places,
    )


def _is_of(visit: Visit, shown: Conflict) -> bool:
    return (visit.measured_on, visit.source) == (shown.record.measured_on, shown.record.source)


def _section(
    form: Mapping[str, str], shown: Conflict, meant: Meanings, register: str, reasons: Sequence[Json]
) -> ConflictSection:
    by_value = meant.by_register.get(register, ())
    choices = tuple(
        Choice(
            LETTERS[number % len(LETTERS)],
            to_json([list(dot) for dot in candidate.dots]),
            candidate,
            by_value[number] if number < len(by_value) else None,
        )
        for number, candidate in enumerate(shown.candidates[register])
    )
    new: tuple[Input, ...] = ()
    if register in FIELDS and register not in WITHOUT_NEW:
        texts = register_forms.sent_texts(FIELDS[register], form, f"{register}-")
        if not any(texts.values()) and register not in ("weight", "length", "muac", "head", "nik", "note"):
            texts = register_forms.texts_of(register, choices[0].candidate.value)
        new = register_forms.inputs(register, texts, f"{register}-", reasons)
    errors = tuple(register_forms.reason_text(why) for why in reasons if why["path"] == f"set.{register}")
    chosen = form.get(f"pilih-{register}", "")
    return ConflictSection(register, choices, of_conflict(meant, register), new, chosen, errors)


@bp.post("/selisih/<kind>/<uuid:record_id>")
@permitted("decide")
@takes(schemas.SETTLE)
def settle(asked: Asked, kind: str, record_id: object) -> AnyResponse | Page:
    """Settle a record as the form says."""
    record, wanted, now, who = str(record_id), _settlement(asked), utc_now(), acting()
    wrong = [
        reason(f"set.{name}.{FIELDS[name][0].name}", "missing", None).wire()
        for name, choice in wanted["set"].items()
        if choice == {"value": None}
    ]
    try:
        if wrong:
            raise Problem("change-invalid", reasons=wrong)
        server_edits.decide(
            hub(), lambda s: conflicts.settle(s, hub(), scope(), kind, record, wanted, author=who, now=now)
        )
    except Problem as problem:
        if problem.code == "change-invalid":
            return _refused(asked, kind, record, problem.details["reasons"], wanted["context"])
        if problem.code != "conflict-unknown":
            raise
        return _settled(asked, kind, record, late=True), 409
    return redirect(url_for("decisions.dispute", kind=kind, record_id=record, selesai=1), 303)


def _refused(asked: Asked, kind: str, record_id: str, reasons: Sequence[Json], seen: Any) -> Page:
    """Show the conflict again as it was filled in; if somebody settled it meanwhile, who did."""
    try:
        return _card(asked, kind, record_id, reasons, seen), 422
    except Problem as problem:
        if problem.code != "conflict-unknown":
            raise
    return _settled(asked, kind, record_id, late=True), 409


def _settlement(asked: Asked) -> dict[str, Any]:
    """Read the form: for each register a value that was shown or a new one, whether a removal holds, and why."""
    chosen: dict[str, Any] = {}
    for name, sent in asked.form.items():
        register = name.removeprefix("pilih-")
        if register == name or register == "removed":
            continue
        if sent == NEW and register in FIELDS:
            texts = register_forms.sent_texts(FIELDS[register], asked.form, f"{register}-")
            chosen[register] = {"value": register_forms.value_of(register, texts)}
        else:
            chosen[register] = {"dots": _dots(sent)}
    return {
        "context": hidden_json(asked, "konteks"),
        "set": chosen,
        "removal": asked.form.get("pilih-removed"),
        "reason": asked.form.get("alasan") or None,
    }


def _dots(sent: str) -> Any:
    try:
        return orjson.loads(sent)
    except orjson.JSONDecodeError:
        return []


def _settled(asked: Asked, kind: str, record_id: str, *, late: bool = False) -> str:
    """Show who settled a record and how; for a person who came too late also what they had typed."""
    after = look(
        lambda s: conflicts.aftermath(s, hub(), scope(), kind, record_id),
        lambda s, found, now: conflicts.log_viewed(s, hub(), acting(), found, now),
    )
    with hub().database.reading() as session:
        places = post_names(session, after.history)
    return render_template(
        "conflict_settled.html",
        after=after,
        places=places,
        late=late,
        done=asked.query.get("selesai") == "1",
        lost=texts_typed(asked.form, FIELDS) if late else (),
    )
