"""Where staff decide what nobody else can: values in conflict, children who may be one, changes that were set aside, moves.

Rules kept here:
- Each page works by itself: what was on the screen (a record's context) travels in a hidden field and comes back with the
  decision, so that a value which arrived meanwhile survives it.
- Nothing typed is lost: what is refused is shown again as it was typed, with what is wrong beside the field; whoever comes
  second is told who decided what and when, and sees what they had typed.
- Every decision can be taken back on the page that shows it.
- Names are for who may decide. Each look is logged before the page is sent, and no address holds a name.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import orjson
from flask import Blueprint, redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from schemas.words import reason
from server.children import ledger, record_linkage
from server.children.name_similarity import likeness, words_of
from server.database.ids import UUID_TEXT
from server.errors import Problem
from server.review import (
    ChildView,
    OpenConflict as Disagreement,
    Scope,
    Visit,
    conflicts,
    duplicate_pairs,
    moves,
    quarantine,
)
from server.review.authors import people
from server.review.child.visits import measured
from server.review.conflicts import Conflict, LiveValue
from server.review.duplicate_pairs import PairView
from server.review.quarantine import CaseFile
from server.review.value_preview import Meaning, Meanings, meanings
from server.sync import server_edits
from server.web.auth import hub, permitted, person
from server.web.charts.comparison import LETTERS, Lettered, of_conflict, of_two
from server.web.formatting import N_
from server.web.forms import registers as desk_forms
from server.web.forms.registers import FIELDS, KEY_FIELDS, Input
from sync_protocol import REGISTERS, Json, RecordState, VersionVector, measurement_id

bp = Blueprint("desk", __name__)

PAGE_ROWS: Final = 50
MOST_POSTS: Final = 10_000
"""More than any regency has."""
ALIKE: Final = 80
"""Percent from which on two names are called alike: what the search for pairs takes, too."""
NEW: Final = "baru"
"""What a form sends for a value that nobody has written yet."""
WITHOUT_NEW: Final = frozenset({"post", "same_as", "task", "result", "removed", "consent"})
"""Registers of which one of the values is taken: a new one is a decision of its own, made on another page."""
WHY: Final[Mapping[str, str]] = {
    "nik": N_("the same NIK"),
    "name": N_("names %(percent)s %% alike"),
    "parent": N_("parents’ names %(percent)s %% alike"),
    "born_same": N_("born on the same day"),
    "born_swapped": N_("day and month of birth swapped"),
    "born_near": N_("birth dates close to each other"),
    "by_hand": N_("marked by staff"),
}
OUTER: Final[Mapping[str, str]] = {
    "open": N_("Waiting"),
    "linked": N_("One child"),
    "different": N_("Two children"),
}
STATES: Final[Mapping[str, str]] = {
    "open": N_("Waiting"),
    "answered": N_("Corrected by the cadre"),
    "decided": N_("Decided"),
}
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
        "said": desk_forms.format_value,
        "options": desk_forms.options,
        "told_in_full": desk_forms.told_in_full,
        "kinds": KINDS,
    }


@bp.app_template_global()
def card_of(child: ChildView, disputed: Disagreement) -> str | None:
    """Give the address where a difference that a child's page shows can be settled, for who may; where linked children hold
    one day, no single record is in conflict, and the list tells which are."""
    if not person().may("decide"):
        return None
    if disputed.visit is None:
        return url_for("desk.dispute", kind="child", record_id=child.child_id)
    if child.linked:
        return url_for("desk.disputes")
    visit = disputed.visit
    record_id = measurement_id(child.child_id, visit.measured_on.isoformat(), visit.source)
    return url_for("desk.dispute", kind="measurement", record_id=record_id)


def scope() -> Scope:
    """Give what the asking person may see."""
    return Scope.of(person())


def acting() -> str:
    """Give who asks as the log and the changes name them."""
    return f"account:{person().account_id}"


def _look(read: Callable[[Session], Found], log: Callable[[Session, Found, datetime], None]) -> Found:
    """Read something and log that it was seen, before it is shown."""
    with hub().database.reading() as session:
        found = read(session)
    with hub().database.transaction() as session:
        log(session, found, datetime.now(UTC))
    return found


def _names(authors: Sequence[str | None]) -> dict[str, str]:
    """Give what people are called who decided something."""
    with hub().database.reading() as session:
        return people(session, hub(), [author for author in authors if author])


def _page_number() -> int:
    text = request.args.get("hal", "")
    if not text:
        return 1
    if not re.fullmatch(r"[0-9]{1,6}", text) or int(text) < 1:
        raise Problem("request-malformed", reason="hal")
    return int(text)


def _post() -> str | None:
    given = request.args.get("pos") or None
    if given is not None and not UUID_TEXT.fullmatch(given):
        raise Problem("request-malformed", reason="pos")
    return given


def _one_of(name: str, choices: Mapping[str, str], default: str) -> str:
    given = request.args.get(name) or default
    if given not in choices:
        raise Problem("request-malformed", reason=name)
    return given


def paged(total: int, number: int) -> dict[str, int]:
    """Give what the foot of a list shows."""
    first = (number - 1) * PAGE_ROWS
    return {
        "number": number,
        "pages": max(1, -(-total // PAGE_ROWS)),
        "total": total,
        "first": first + 1,
        "last": min(total, first + PAGE_ROWS),
    }


def _sent(name: str) -> Any:
    """Read what a hidden field brought back.

    Raises
    ------
    Problem
        `request-malformed`, naming the field.
    """
    try:
        return orjson.loads(request.form.get(name, ""))
    except orjson.JSONDecodeError:
        raise Problem("request-malformed", reason=name) from None


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


# -- conflicts ------------------------------------------------------------------------------------


@bp.get("/selisih")
@permitted("decide")
def disputes() -> str:
    """List the records on which tablets disagree."""
    post_id, number = _post(), _page_number()
    offset = (number - 1) * PAGE_ROWS
    found, total = _look(
        lambda s: conflicts.conflicts(s, hub(), scope(), post_id=post_id, limit=PAGE_ROWS, offset=offset),
        lambda s, shown, now: conflicts.log_listed(s, hub(), acting(), len(shown[0]), offset, now),
    )
    with hub().database.reading() as session:
        posts = conflicts.posts(session, hub(), scope())
    return render_template(
        "desk_disputes.html", found=found, posts=posts, post_id=post_id, paged=paged(total, number)
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
    """A register in conflict as the card draws it. `chosen` is what was sent for it, "" if nothing; `new` are the fields of
    a new value, none where there can be no new one."""

    register: str
    choices: tuple[Choice, ...]
    charts: tuple[Lettered, ...]
    new: tuple[Input, ...]
    chosen: str
    errors: tuple[str, ...]

    @property
    def doubtful(self) -> list[str]:
        """Give the letters of the values that something speaks against."""
        return [c.letter for c in self.choices if c.meaning and c.meaning.doubts]


@bp.get("/selisih/<kind>/<uuid:record_id>")
@permitted("decide")
def dispute(kind: str, record_id: object) -> Page:
    """Show a record in conflict; once it is settled, who settled it and how."""
    try:
        return _card(kind, str(record_id))
    except Problem as problem:
        if problem.code != "conflict-unknown":
            raise
    return _settled(kind, str(record_id))


def _card(kind: str, record_id: str, reasons: Sequence[Json] = (), seen: Any = None) -> str:
    """Draw the card; with what was typed and what is wrong with it, if there is any.

    Parameters
    ----------
    seen : the context with which somebody decided, that was refused
    """
    shown = _look(
        lambda s: conflicts.dispute(s, hub(), scope(), kind, record_id),
        lambda s, found, now: conflicts.log_viewed(s, hub(), acting(), found, now),
    )
    with hub().database.reading() as session:
        meant = meanings(session, hub(), shown)
        places = _post_names(session, shown.candidates)
    context = shown.context.wire()
    return render_template(
        "desk_dispute.html",
        shown=shown,
        record=shown.record,
        sections=[_section(shown, meant, register, reasons) for register in shown.candidates],
        context=_json(context),
        newer=seen is not None and seen != context,
        done=request.args.get("selesai") == "1",
        age=next((v.age_months for v in meant.visits if _is_of(v, shown)), None),
        form=request.form,
        reasons=conflicts.SETTLEMENTS,
        wrong={why["path"]: desk_forms.told_reason(why) for why in reasons},
        places=places,
    )


def _posts(session: Session) -> list[moves.TargetPost]:
    return moves.places(session, hub(), limit=MOST_POSTS)[0]


def _post_names(session: Session, registers: Mapping[str, Any]) -> dict[str, str]:
    """Give the names of posts by id, where one is to be named."""
    return {place.post_id: place.post_name for place in _posts(session)} if "post" in registers else {}


def _is_of(visit: Visit, shown: Conflict) -> bool:
    return (visit.measured_on, visit.source) == (shown.record.measured_on, shown.record.source)


def _section(shown: Conflict, meant: Meanings, register: str, reasons: Sequence[Json]) -> ConflictSection:
    by_value = meant.by_register.get(register, ())
    choices = tuple(
        Choice(
            LETTERS[number % len(LETTERS)],
            _json([list(dot) for dot in candidate.dots]),
            candidate,
            by_value[number] if number < len(by_value) else None,
        )
        for number, candidate in enumerate(shown.candidates[register])
    )
    new: tuple[Input, ...] = ()
    if register in FIELDS and register not in WITHOUT_NEW:
        texts = desk_forms.sent_texts(FIELDS[register], request.form, f"{register}-")
        if not any(texts.values()) and register not in ("weight", "length", "muac", "head", "nik", "note"):
            texts = desk_forms.texts_of(register, choices[0].candidate.value)
        new = desk_forms.inputs(register, texts, f"{register}-", reasons)
    errors = tuple(desk_forms.told_reason(why) for why in reasons if why["path"] == f"set.{register}")
    chosen = request.form.get(f"pilih-{register}", "")
    return ConflictSection(register, choices, of_conflict(meant, register), new, chosen, errors)


@bp.post("/selisih/<kind>/<uuid:record_id>")
@permitted("decide")
def settle(kind: str, record_id: object) -> AnyResponse | Page:
    """Settle a record as the form says."""
    record, asked, now, who = str(record_id), _settlement(), datetime.now(UTC), acting()
    wrong = [
        reason(f"set.{name}.{FIELDS[name][0].name}", "missing", None).wire()
        for name, choice in asked["set"].items()
        if choice == {"value": None}
    ]
    try:
        if wrong:
            raise Problem("change-invalid", reasons=wrong)
        server_edits.decide(
            hub(), lambda s: conflicts.settle(s, hub(), scope(), kind, record, asked, author=who, now=now)
        )
    except Problem as problem:
        if problem.code == "change-invalid":
            return _refused(kind, record, problem.details["reasons"], asked["context"])
        if problem.code != "conflict-unknown":
            raise
        return _settled(kind, record, late=True), 409
    return redirect(url_for("desk.dispute", kind=kind, record_id=record, selesai=1), 303)


def _refused(kind: str, record_id: str, reasons: Sequence[Json], seen: Any) -> Page:
    """Show the card again as it was filled in; where somebody settled the record meanwhile, who."""
    try:
        return _card(kind, record_id, reasons, seen), 422
    except Problem as problem:
        if problem.code != "conflict-unknown":
            raise
    return _settled(kind, record_id, late=True), 409


def _settlement() -> dict[str, Any]:
    """Read the form: for each register a value that was shown or a new one, whether a removal holds, and why."""
    chosen: dict[str, Any] = {}
    for name, sent in request.form.items():
        register = name.removeprefix("pilih-")
        if register == name or register == "removed":
            continue
        if sent == NEW and register in FIELDS:
            texts = desk_forms.sent_texts(FIELDS[register], request.form, f"{register}-")
            chosen[register] = {"value": desk_forms.value_of(register, texts)}
        else:
            chosen[register] = {"dots": _dots(sent)}
    return {
        "context": _sent("konteks"),
        "set": chosen,
        "removal": request.form.get("pilih-removed"),
        "reason": request.form.get("alasan") or None,
    }


def _dots(sent: str) -> Any:
    try:
        return orjson.loads(sent)
    except orjson.JSONDecodeError:
        return []


def _settled(kind: str, record_id: str, *, late: bool = False) -> str:
    """Show who settled a record and how; to whoever came too late, with what they had typed."""
    after = _look(
        lambda s: conflicts.aftermath(s, hub(), scope(), kind, record_id),
        lambda s, found, now: conflicts.log_viewed(s, hub(), acting(), found, now),
    )
    with hub().database.reading() as session:
        places = _post_names(session, after.history)
    return render_template(
        "desk_settled.html",
        after=after,
        places=places,
        late=late,
        done=request.args.get("selesai") == "1",
        lost=_typed_into(FIELDS) if late else (),
    )


def _typed_into(registers: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Give what was typed into the form as (message id of the label, text), for who may want to write it elsewhere."""
    return [
        (field.label, text)
        for register in registers
        for field in FIELDS[register]
        if field.kind in ("kg", "cm", "whole", "text", "lines", "day")
        and (text := request.form.get(f"{register}-{field.name}", "").strip())
    ]


# -- the same child twice -------------------------------------------------------------------------


@bp.get("/kembar")
@permitted("decide")
def pairs() -> str:
    """List children who may be registered twice, those for whom most speaks first."""
    status, number = _one_of("status", OUTER, "open"), _page_number()
    offset = (number - 1) * PAGE_ROWS
    found, total = _look(
        lambda s: duplicate_pairs.pairs(s, hub(), scope(), status=status, limit=PAGE_ROWS, offset=offset),
        lambda s, shown, now: duplicate_pairs.log_listed(s, hub(), acting(), len(shown[0]), offset, now),
    )
    return render_template(
        "desk_pairs.html",
        found=[(pair, _why(pair)) for pair in found],
        speaks=WHY,
        states=OUTER,
        status=status,
        paged=paged(total, number),
    )


def _why(pair: PairView) -> list[tuple[str, int]]:
    """Give what speaks for one child, as (key of WHY, percent)."""
    spoken = []
    for code, percent in pair.why.items():
        if code == "born_on":
            code = {100: "born_same", 90: "born_swapped"}.get(percent, "born_near")
        if code in WHY:
            spoken.append((code, percent))
    return spoken


@bp.get("/kembar/<uuid:one>/<uuid:other>")
@permitted("decide")
def pair(one: object, other: object) -> Page:
    """Show two children side by side."""
    return _pair_page(str(one), str(other))


def _pair_page(one: str, other: str, problem: Problem | None = None) -> str:
    shown = _look(
        lambda s: duplicate_pairs.pair(s, hub(), scope(), one, other),
        lambda s, found, now: duplicate_pairs.log_viewed(s, hub(), acting(), found, now),
    )
    with hub().database.reading() as session:
        visits = [_visits_of(session, side.child_id) for side in (shown.one, shown.other)]
    sexes = {side.sex for side in (shown.one, shown.other) if side.sex}
    same_sex = sexes.pop() if len(sexes) == 1 else None
    linked = shown.status == "linked"
    return render_template(
        "desk_pair.html",
        pair=shown,
        why=[(WHY[code], percent) for code, percent in _why(shown)],
        rows=_compared(shown),
        days=_days(visits[0], [] if linked else visits[1]),
        charts=of_two(same_sex, visits[0], [] if linked else visits[1]) if same_sex else (),
        linked=linked,
        contexts=_json({side.child_id: side.context.wire() for side in (shown.one, shown.other)}),
        names=_names([shown.decided_by]),
        problem=problem.body() if problem else None,
        done=request.args.get("selesai"),
    )


def _visits_of(session: Session, child_id: str) -> list[Visit]:
    """Give a child's measurements, newest first; of a linked one those of the whole person."""
    group = sorted(record_linkage.group_of(session, hub().district, [child_id]))
    subjects = ledger.subjects(session, hub().vault, hub().district, group)
    return [v for v in measured(session, hub(), subjects, {}, shows_names=False) if not v.removed]


def _days(one: Sequence[Visit], other: Sequence[Visit]) -> list[tuple[Any, Visit | None, Visit | None]]:
    """Put two children's measurements beside each other by day and source, newest first."""
    sides = [{(v.measured_on, v.source): v for v in visits} for visits in (one, other)]
    keys = sorted(sides[0].keys() | sides[1].keys(), reverse=True)
    return [(key, sides[0].get(key), sides[1].get(key)) for key in keys]


def _compared(shown: PairView) -> list[tuple[str, list[str], list[str], str]]:
    """Compare two children field by field: label, the values of either (several where tablets disagree), and "same",
    "alike" (names written otherwise), "differs", or "" where one side is not known."""
    rows = []
    for register in ("identity", "nik", "parents", "home"):
        for field in FIELDS[register]:
            mine, yours = (_values_of(side, register, field.name) for side in (shown.one, shown.other))
            if not mine and not yours:
                continue
            named = field.name in ("name", "mother", "father")
            label = field.label if field.name != "village" else N_("Village")
            said = [[desk_forms.in_words(field, value) for value in several] for several in (mine, yours)]
            rows.append((label, said[0], said[1], _verdict(mine, yours, named=named)))
    return rows


def _values_of(side: duplicate_pairs.Side, register: str, field: str) -> list[str]:
    several = (side.values or {}).get(register, [])
    found = [value.get(field) for value in several]
    return list(dict.fromkeys(str(value) for value in found if value not in (None, "")))


def _verdict(mine: Sequence[str], yours: Sequence[str], *, named: bool) -> str:
    if not mine or not yours:
        return ""
    if {value.casefold() for value in mine} & {value.casefold() for value in yours}:
        return "same"
    percents = [likeness(words_of(one), words_of(other)) for one in mine for other in yours] if named else []
    return "alike" if max(percents, default=0) >= ALIKE else "differs"


@bp.post("/kembar/<uuid:one>/<uuid:other>")
@permitted("decide")
def decide_pair(one: object, other: object) -> AnyResponse | Page:
    """Link two children, take the link back, call them different, or take that back."""
    first, second, what = str(one), str(other), request.form.get("tindakan", "")
    now, who = datetime.now(UTC), acting()
    plain = {"different": duplicate_pairs.different, "reopen": duplicate_pairs.reopen}
    linking = {"link": duplicate_pairs.link, "unlink": duplicate_pairs.unlink}
    if what not in plain and what not in linking:
        raise Problem("request-malformed", reason="tindakan")
    contexts = _contexts(_sent("konteks")) if what in linking else {}

    def work(session: Session) -> PairView:
        if what in plain:
            return plain[what](session, hub(), scope(), first, second, author=who, now=now)
        return linking[what](session, hub(), scope(), first, second, contexts, author=who, now=now)

    try:
        server_edits.decide(hub(), work)
    except Problem as problem:
        if problem.kind.status != 409:
            raise
        return _pair_page(first, second, problem), 409
    return redirect(url_for("desk.pair", one=first, other=second, selesai=what), 303)


def _contexts(given: Any) -> dict[str, VersionVector]:
    try:
        return {
            str(record): VersionVector.from_wire({str(a): (int(n), str(t)) for a, (n, t) in vector.items()})
            for record, vector in given.items()
        }
    except (AttributeError, TypeError, ValueError):
        raise Problem("request-malformed", reason="konteks") from None


# -- what was set aside ---------------------------------------------------------------------------


@bp.get("/karantina")
@permitted("decide")
def cases() -> str:
    """List the changes that were set aside."""
    state, number = _one_of("keadaan", STATES, quarantine.OPEN), _page_number()
    offset = (number - 1) * PAGE_ROWS
    found, total = _look(
        lambda s: quarantine.cases(s, hub(), scope(), state=state, limit=PAGE_ROWS, offset=offset),
        lambda s, shown, now: quarantine.log_listed(s, hub(), acting(), len(shown[0]), offset, now),
    )
    return render_template(
        "desk_cases.html",
        found=found,
        states=STATES,
        state=state,
        paged=paged(total, number),
        names=_names([case.decision.by for case in found if case.decision]),
        dismissals=quarantine.DISMISSALS,
    )


@dataclass(frozen=True, slots=True)
class RegisterForm:
    """A register of a change that was set aside: its fields as they stand in the form, and what is wrong with all of it."""

    register: str
    inputs: tuple[Input, ...]
    errors: tuple[str, ...]


@bp.get("/karantina/<uuid:actor>/<int:counter>")
@permitted("decide")
def case(actor: object, counter: int) -> Page:
    """Show a change that was set aside: as it came, why, and a form to correct it."""
    return _case_page(str(actor), counter)


def _case_page(
    actor: str,
    counter: int,
    *,
    reasons: Sequence[Json] | None = None,
    problem: Problem | None = None,
    typed: bool = False,
) -> str:
    """Draw a case.

    Parameters
    ----------
    reasons : why what was typed is refused; None for why the change was set aside
    problem : why nothing could be decided
    typed : fill the form with what was typed
    """
    shown = _look(
        lambda s: quarantine.case_file(s, hub(), scope(), actor, counter),
        lambda s, found, now: quarantine.log_viewed(s, hub(), acting(), found, now),
    )
    case_ = shown.case
    told = case_.reasons if reasons is None else reasons
    came = _came(shown)
    parts = [_part(name, came.get(name), told, typed) for name in _registers(shown)]
    key = _key_inputs(shown, told, typed)
    with hub().database.reading() as session:
        posts = _posts(session) if {"post"} & {*came, *dict(_stored(shown))} else []
    placed = {path for part in parts for path in (f"set.{part.register}", *_paths(part))} | {
        f"key.{i.field.name}" for i in key
    }
    deciders = [d.by for d in (case_.decision, case_.reopened) if d]
    written_by = shown.change.get("author")
    return render_template(
        "desk_case.html",
        shown=shown,
        case=case_,
        parts=parts,
        key=key,
        general=list(dict.fromkeys(desk_forms.told_reason(why) for why in told if why["path"] not in placed)),
        refused=reasons is not None,
        registers=_stored(shown),
        unknown=sorted(set(came) - REGISTERS.get(case_.kind or "", frozenset())),
        author=written_by if isinstance(written_by, str) else None,
        raw=orjson.dumps(shown.change, option=orjson.OPT_INDENT_2).decode(),
        posts=posts,
        places={p.post_id: p.post_name for p in posts},
        names=_names(deciders),
        dismissals=quarantine.DISMISSALS,
        problem=problem.body() if problem else None,
        lost=_typed_into({part.register: None for part in parts}) if problem else (),
        form=request.form,
        done=request.args.get("selesai"),
    )


def _paths(part: RegisterForm) -> list[str]:
    return [f"set.{part.register}.{i.field.name}" for i in part.inputs]


def _came(shown: CaseFile) -> Json:
    registers = shown.change.get("set")
    return registers if isinstance(registers, Mapping) else {}


def _registers(shown: CaseFile) -> list[str]:
    """Give the registers of which the form has fields: those that came, and the least that a record of the kind has."""
    kind = shown.case.kind
    if kind is None:
        return []
    least = {"measurement": ("weight", "length"), "child": ("identity",)}.get(kind, ())
    came = [name for name in FIELDS if name in _came(shown) and name in REGISTERS[kind]]
    return came or list(least)


def _part(register: str, came: object, reasons: Sequence[Json], typed: bool) -> RegisterForm:
    texts = desk_forms.texts_of(register, came)
    if typed:
        texts = desk_forms.sent_texts(FIELDS[register], request.form, f"{register}-")
    drawn = desk_forms.inputs(register, texts, f"{register}-", reasons)
    errors = tuple(desk_forms.told_reason(why) for why in reasons if why["path"] == f"set.{register}")
    return RegisterForm(register, drawn, errors)


def _key_inputs(shown: CaseFile, reasons: Sequence[Json], typed: bool) -> tuple[Input, ...]:
    """Draw day and source of a measurement."""
    if shown.case.kind != "measurement":
        return ()
    key = shown.change.get("key")
    came = key if isinstance(key, Mapping) else {}
    texts = {field.name: desk_forms.written(field, came.get(field.name)) for field in KEY_FIELDS}
    if typed:
        texts = desk_forms.sent_texts(KEY_FIELDS, request.form, "key-")
    return tuple(desk_forms.drawn(field, texts, "key-", f"key.{field.name}", reasons) for field in KEY_FIELDS)


def _stored(shown: CaseFile) -> list[tuple[str, list[Json]]]:
    """Give what the record holds now, register by register."""
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
def decide_case(actor: object, counter: int) -> AnyResponse | Page:
    """Release a change as corrected, dismiss it, or take either back."""
    id_, what, now, who = str(actor), request.form.get("tindakan", ""), datetime.now(UTC), acting()
    if what not in ("release", "dismiss", "reopen", "undo"):
        raise Problem("request-malformed", reason="tindakan")
    asked = _correction(id_, counter) if what == "release" else {}

    def work(session: Session) -> object:
        place = (session, hub(), scope(), id_, counter)
        match what:
            case "release":
                return quarantine.release(*place, asked, author=who, now=now)
            case "dismiss":
                why = {"reason": request.form.get("alasan") or None}
                return quarantine.dismiss(*place, why, author=who, now=now)
            case "reopen":
                return quarantine.reopen(*place, author=who, now=now)
        return quarantine.undo(*place, author=who, now=now)

    try:
        server_edits.decide(hub(), work)
    except Problem as problem:
        if problem.code == "change-invalid":
            found = problem.details["reasons"]
            return _case_page(id_, counter, reasons=found, typed=what == "release"), 422
        if problem.kind.status != 409:
            raise
        return _case_page(id_, counter, problem=problem, typed=what == "release"), 409
    return redirect(url_for("desk.case", actor=id_, counter=counter, selesai=what), 303)


def _correction(actor: str, counter: int) -> dict[str, Any]:
    """Read the corrected registers from the form; nothing where they are as they came."""
    with hub().database.reading() as session:
        shown = quarantine.case_file(session, hub(), scope(), actor, counter)
    came, known = _came(shown), REGISTERS.get(shown.case.kind or "", frozenset())
    registers = {
        name: value
        for name in _registers(shown)
        if (value := _typed_register(name, came.get(name))) is not None
    }
    registers |= {name: came[name] for name in came if name in known and name not in FIELDS}
    asked: dict[str, Any] = {} if _plain(registers) == _plain(came) else {"set": registers}
    key = shown.change.get("key")
    if shown.case.kind == "measurement" and isinstance(key, Mapping):
        texts = desk_forms.sent_texts(KEY_FIELDS, request.form, "key-")
        mended = {**key, **{field.name: texts[field.name] for field in KEY_FIELDS if texts[field.name]}}
        asked |= {} if mended == key else {"key": mended}
    return asked


def _typed_register(name: str, came: object) -> Json | None:
    texts = desk_forms.sent_texts(FIELDS[name], request.form, f"{name}-")
    return desk_forms.value_of(name, texts, came)


def _plain(registers: Json) -> dict[str, Any]:
    """Leave out what says nothing, so that a register with an empty field is the same as one without it."""
    return {
        name: {k: v for k, v in value.items() if v is not None} if isinstance(value, Mapping) else value
        for name, value in registers.items()
    }


# -- moving ---------------------------------------------------------------------------------------


@bp.get("/anak/<uuid:child_id>/pindah")
@permitted("decide")
def move(child_id: object) -> Page:
    """Offer the posts that a child may go to; after a move, the way back."""
    return _move_page(str(child_id))


def _move_page(child_id: str, reasons: Sequence[Json] = ()) -> str:
    search, who = request.args.get("cari", "").strip()[:80], acting()
    with hub().database.reading() as session:
        shown = moves.whereabouts(session, hub(), scope(), child_id, who)
        near = None if search else shown.here.centre_id
        places, total = moves.places(session, hub(), centre_id=near, search=search)
        elsewhere = moves.places(session, hub(), limit=0)[1] - total if not search else 0
        came_from = _place(session, request.args.get("dari"))
    if shown.name is not None:
        with hub().database.transaction() as session:
            moves.log_viewed(session, hub(), who, shown, datetime.now(UTC))
    return render_template(
        "desk_move.html",
        shown=shown,
        groups=_grouped(places, shown.here.post_id),
        found=len(places),
        total=total,
        elsewhere=elsewhere,
        search=search,
        came_from=came_from,
        chosen=request.form.get("ke", ""),
        reasons=[desk_forms.told_reason(why) for why in reasons],
        late=any(why["code"] == "moved-meanwhile" for why in reasons),
    )


def _place(session: Session, post_id: str | None) -> moves.TargetPost | None:
    if post_id is None or not UUID_TEXT.fullmatch(post_id):
        return None
    return next((place for place in _posts(session) if place.post_id == post_id), None)


def _grouped(
    places: Sequence[moves.TargetPost], here: str
) -> list[tuple[str, str | None, list[moves.TargetPost]]]:
    """Put posts together by health centre and village; the child's own is left out."""
    groups: dict[tuple[str, str | None], list[moves.TargetPost]] = {}
    for place in places:
        if place.post_id != here:
            groups.setdefault((place.centre_name, place.village), []).append(place)
    return [(centre, village, several) for (centre, village), several in groups.items()]


@bp.post("/anak/<uuid:child_id>/pindah")
@permitted("decide")
def send_away(child_id: object) -> AnyResponse | Page:
    """Move a child."""
    id_, now, who = str(child_id), datetime.now(UTC), acting()
    asked = {"from": request.form.get("dari") or None, "to": request.form.get("ke") or None}
    try:
        moved = server_edits.decide(
            hub(), lambda s: moves.move(s, hub(), scope(), id_, asked, author=who, now=now)
        )
    except Problem as problem:
        if problem.code != "change-invalid":
            raise
        return _move_page(id_, problem.details["reasons"]), 422
    return redirect(url_for("desk.move", child_id=id_, dari=moved.from_post), 303)
