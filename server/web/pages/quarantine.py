"""Pages of quarantined changes: the list, and one change with a form to correct, dismiss or reopen it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from flask import redirect, render_template, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from server.errors import Problem
from server.review import (
    quarantine,
)
from server.review.quarantine import CaseFile
from server.sync import server_edits
from server.translations import N_
from server.web.auth import permitted
from server.web.current import acting, hub, scope, utc_now
from server.web.forms import registers as register_forms
from server.web.forms.registers import FIELDS, KEY_FIELDS, Input
from server.web.pages.decisions import (
    Page,
    all_posts,
    bp,
    look,
    people_names,
    texts_typed,
)
from server.web.paging import PAGE_ROWS, offset_of, paged
from server.web.request_schemas import decisions as schemas
from server.web.request_schemas.schema import Asked, takes
from sync_protocol import REGISTERS, Json, RecordState

STATES: Final[Mapping[str, str]] = {
    "open": N_("Waiting"),
    "answered": N_("Corrected by the cadre"),
    "decided": N_("Decided"),
}


@bp.get("/karantina")
@permitted("decide")
@takes(schemas.CHANGES)
def cases(asked: Asked) -> str:
    """List the quarantined changes."""
    state, number = asked.query["keadaan"], asked.query["hal"]
    offset = offset_of(number)
    found, total = look(
        lambda s: quarantine.cases(s, hub(), scope(), state=state, limit=PAGE_ROWS, offset=offset),
        lambda s, shown, now: quarantine.log_listed(s, hub(), acting(), len(shown[0]), offset, now),
    )
    return render_template(
        "quarantine_list.html",
        found=found,
        states=STATES,
        state=state,
        paged=paged(total, number),
        names=people_names([case.decision.by for case in found if case.decision]),
        dismissals=quarantine.DISMISSALS,
    )


@dataclass(frozen=True, slots=True)
class RegisterForm:
    """A register of a quarantined change: its form fields, and errors that concern the whole register."""

    register: str
    inputs: tuple[Input, ...]
    errors: tuple[str, ...]


@bp.get("/karantina/<uuid:actor>/<int:counter>")
@permitted("decide")
@takes(schemas.CHANGE)
def case(asked: Asked, actor: object, counter: int) -> Page:
    """Show a quarantined change: as it came, why it was quarantined, and a form to correct it."""
    return _case_page(asked, str(actor), counter)


def _case_page(
    asked: Asked,
    actor: str,
    counter: int,
    *,
    reasons: Sequence[Json] | None = None,
    problem: Problem | None = None,
    typed: bool = False,
) -> str:
    """Draw a quarantined change.

    Parameters
    ----------
    reasons : why what was typed is refused; None: show why the change was quarantined
    problem : why nothing could be decided
    typed : fill the form with what was typed
    """
    shown = look(
        lambda s: quarantine.case_file(s, hub(), scope(), actor, counter),
        lambda s, found, now: quarantine.log_viewed(s, hub(), acting(), found, now),
    )
    case_ = shown.case
    why_wrong = case_.reasons if reasons is None else reasons
    came = _came(shown)
    parts = [
        _part(name, came.get(name), why_wrong, asked.form if typed else None) for name in _registers(shown)
    ]
    key = _key_inputs(shown, why_wrong, asked.form if typed else None)
    with hub().database.reading() as session:
        posts = all_posts(session) if {"post"} & {*came, *dict(_stored(shown))} else []
    placed = {path for part in parts for path in (f"set.{part.register}", *_paths(part))} | {
        f"key.{i.field.name}" for i in key
    }
    deciders = [d.by for d in (case_.decision, case_.reopened) if d]
    written_by = shown.change.get("author")
    return render_template(
        "quarantine_change.html",
        shown=shown,
        case=case_,
        parts=parts,
        key=key,
        general=list(
            dict.fromkeys(register_forms.reason_text(why) for why in why_wrong if why["path"] not in placed)
        ),
        refused=reasons is not None,
        registers=_stored(shown),
        unknown=sorted(set(came) - REGISTERS.get(case_.kind or "", frozenset())),
        author=written_by if isinstance(written_by, str) else None,
        raw=orjson.dumps(shown.change, option=orjson.OPT_INDENT_2).decode(),
        posts=posts,
        places={p.post_id: p.post_name for p in posts},
        names=people_names(deciders),
        dismissals=quarantine.DISMISSALS,
        problem=problem.body() if problem else None,
        lost=texts_typed(asked.form, [part.register for part in parts]) if problem else (),
        form=asked.form,
        done=asked.query.get("selesai"),
    )


def _paths(part: RegisterForm) -> list[str]:
    return [f"set.{part.register}.{i.field.name}" for i in part.inputs]


def _came(shown: CaseFile) -> Json:
    registers = shown.change.get("set")
    return registers if isinstance(registers, Mapping) else {}


def _registers(shown: CaseFile) -> list[str]:
    """Return the registers that the form shows: those that came, or at least the basic ones of the kind."""
    kind = shown.case.kind
    if kind is None:
        return []
    least = {"measurement": ("weight", "length"), "child": ("identity",)}.get(kind, ())
    came = [name for name in FIELDS if name in _came(shown) and name in REGISTERS[kind]]
    return came or list(least)


def _part(
    register: str, came: object, reasons: Sequence[Json], form: Mapping[str, str] | None
) -> RegisterForm:
    texts = register_forms.texts_of(register, came)
    if form is not None:
        texts = register_forms.sent_texts(FIELDS[register], form, f"{register}-")
    drawn = register_forms.inputs(register, texts, f"{register}-", reasons)
    errors = tuple(register_forms.reason_text(why) for why in reasons if why["path"] == f"set.{register}")
    return RegisterForm(register, drawn, errors)


def _key_inputs(
    shown: CaseFile, reasons: Sequence[Json], form: Mapping[str, str] | None
) -> tuple[Input, ...]:
    """Return the fields for day and source of a measurement."""
    if shown.case.kind != "measurement":
        return ()
    key = shown.change.get("key")
    came = key if isinstance(key, Mapping) else {}
    texts = {field.name: register_forms.written(field, came.get(field.name)) for field in KEY_FIELDS}
    if form is not None:
        texts = register_forms.sent_texts(KEY_FIELDS, form, "key-")
    return tuple(
        register_forms.drawn(field, texts, "key-", f"key.{field.name}", reasons) for field in KEY_FIELDS
    )


def _stored(shown: CaseFile) -> list[tuple[str, list[Json]]]:
    """Return the record's values now, by register."""
    if shown.record is None or shown.case.kind is None:
        return []
    state = RecordState.from_wire(shown.case.kind, shown.case.record_id or "", {}, shown.record)
    return [
        (name, [sibling.value for sibling in state.registers[name]])
        for name in FIELDS
        if name in state.registers and name != "removed"
    ]


@bp.post("/karantina/<uuid:actor>/<int:counter>")
@permitted("decide")
@takes(schemas.DECIDE_CHANGE)
def decide_case(asked: Asked, actor: object, counter: int) -> AnyResponse | Page:
    """Release a change as corrected, dismiss it, or take either back."""
    id_, what, now, who = str(actor), asked.form["tindakan"], utc_now(), acting()
    wanted = _correction(asked.form, id_, counter) if what == "release" else {}

    def work(session: Session) -> object:
        place = (session, hub(), scope(), id_, counter)
        match what:
            case "release":
                return quarantine.release(*place, wanted, author=who, now=now)
            case "dismiss":
                why = {"reason": asked.form.get("alasan") or None}
                return quarantine.dismiss(*place, why, author=who, now=now)
            case "reopen":
                return quarantine.reopen(*place, author=who, now=now)
        return quarantine.undo(*place, author=who, now=now)

    try:
        server_edits.decide(hub(), work)
    except Problem as problem:
        if problem.code == "change-invalid":
            found = problem.details["reasons"]
            return _case_page(asked, id_, counter, reasons=found, typed=what == "release"), 422
        if problem.kind.status != 409:
            raise
        return _case_page(asked, id_, counter, problem=problem, typed=what == "release"), 409
    return redirect(url_for("decisions.case", actor=id_, counter=counter, selesai=what), 303)


def _correction(form: Mapping[str, str], actor: str, counter: int) -> dict[str, Any]:
    """Read the corrected registers from the form; only what differs from what came."""
    with hub().database.reading() as session:
        shown = quarantine.case_file(session, hub(), scope(), actor, counter)
    came, known = _came(shown), REGISTERS.get(shown.case.kind or "", frozenset())
    registers = {
        name: value
        for name in _registers(shown)
        if (value := _typed_register(form, name, came.get(name))) is not None
    }
    registers |= {name: came[name] for name in came if name in known and name not in FIELDS}
    wanted: dict[str, Any] = {} if _plain(registers) == _plain(came) else {"set": registers}
    key = shown.change.get("key")
    if shown.case.kind == "measurement" and isinstance(key, Mapping):
        texts = register_forms.sent_texts(KEY_FIELDS, form, "key-")
        mended = {**key, **{field.name: texts[field.name] for field in KEY_FIELDS if texts[field.name]}}
        wanted |= {} if mended == key else {"key": mended}
    return wanted


def _typed_register(form: Mapping[str, str], name: str, came: object) -> Json | None:
    texts = register_forms.sent_texts(FIELDS[name], form, f"{name}-")
    return register_forms.value_of(name, texts, came)


def _plain(registers: Json) -> dict[str, Any]:
    """Leave out null fields, so that a register with an empty field equals one without it."""
    return {
        name: {k: v for k, v in value.items() if v is not None} if isinstance(value, Mapping) else value
        for name, value in registers.items()
    }
