"""What is to be done for a child, by whom and by when, and what came of it: follow-ups, as staff decide and tablets answer.

Rules kept here:
- Every decision is an ordinary change by the hub, with the context of what was on the screen. A conflict blocks none, and of
  two people who decide at once neither loses what they wrote.
- A task's id is made where its form is shown, so that a form sent twice is one task.
- Whoever closes a case says which flags they had on the screen; one that is raised later opens it again (`attention`).
- What must be done by when is proposed by the guideline (`guideline`), never forced.
- Free text is a register of its own, sealed under the child's key; the log has codes, ids and days.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import orjson
from sqlalchemy import Text, and_, cast, select
from sqlalchemy.orm import Session

from schemas import Reason
from schemas.words import reason
from server import audit
from server.children import ledger, record_linkage, review_queue
from server.context import AppContext
from server.database.ids import UUID_TEXT, new_id
from server.database.models import Account, ChangeRow, Child, Flag, FollowUp, HealthPost, Tablet
from server.errors import Problem
from server.review.scope import Scope, name_of, within
from server.sync import server_edits
from server.sync.server_edits import Edit
from sync_protocol import (
    NOTHING_SEEN,
    TAG_LENGTH,
    Dot,
    Json,
    Outcome,
    RecordState,
    VersionVector,
    follow_up_id,
)

CADRE: Final = "cadre"
"""Stands for whoever is at the posyandu, where somebody is to be charged with a task."""

ACTIONS: Final[Mapping[str, tuple[str, str]]] = {
    "take": ("Ditangani", "In charge"),
    "remeasure": ("Ukur ulang", "Measure again"),
    "refer_puskesmas": ("Rujuk ke dokter puskesmas", "Refer to the health centre's doctor"),
    "refer_hospital": ("Rujuk ke rumah sakit", "Refer to hospital"),
    "pmt": ("Paket PMT", "PMT course"),
    "pmt_week": ("Pemantauan PMT mingguan", "Weekly PMT check"),
    "home_visit": ("Kunjungan rumah", "Home visit"),
    "counsel": ("Konseling orang tua", "Counsel the parents"),
    "ask": ("Tanyakan kepada kader", "Ask the cadre"),
}
"""What may be to do: code -> Indonesian, English."""

PLANNED: Final = ("remeasure", "refer_puskesmas", "refer_hospital", "home_visit", "counsel", "ask")
"""What is planned with one form; charge, course and weeks have their own."""

OUTCOMES: Final[Mapping[str, tuple[str, str]]] = {
    "done": ("Selesai", "Done"),
    "confirmed": ("Terkonfirmasi", "Confirmed"),
    "cleared": ("Tidak terkonfirmasi", "Not confirmed"),
    "not_reached": ("Tidak bertemu keluarga", "Family not reached"),
    "refused": ("Keluarga menolak", "Family declined"),
    "better": ("Membaik", "Better"),
    "same": ("Belum berubah", "No change"),
    "worse": ("Memburuk", "Worse"),
    "continue": ("PMT dilanjutkan", "Course goes on"),
    "finished": ("PMT selesai", "Course finished"),
    "to_hospital": ("Dirujuk ke rumah sakit", "Sent to hospital"),
    "cancelled": ("Dibatalkan", "Cancelled"),
    "recovered": ("Sudah pulih", "Recovered"),
    "followed_elsewhere": ("Ditangani fasilitas lain", "Followed elsewhere"),
    "moved_away": ("Pindah dari wilayah", "Moved away"),
    "died": ("Meninggal dunia", "Died"),
    "wrong_value": ("Nilai yang dicatat salah", "The recorded value was wrong"),
    "not_needed": ("Tidak perlu tindakan", "No action needed"),
}
"""What may have come of it: code -> Indonesian, English."""

CLOSINGS: Final = ("recovered", "followed_elsewhere", "moved_away", "died", "wrong_value", "not_needed")
_COMMON: Final = ("done", "not_reached", "refused")
FITTING: Final[Mapping[str, tuple[str, ...]]] = {
    "take": CLOSINGS,
    "remeasure": ("confirmed", "cleared", "not_reached", "refused"),
    "refer_puskesmas": (*_COMMON, "better", "same", "worse", "to_hospital"),
    "refer_hospital": (*_COMMON, "better", "same", "worse"),
    "pmt": ("finished", "to_hospital", "cancelled"),
    "pmt_week": ("continue", "finished", "to_hospital", "not_reached", "refused"),
    "home_visit": (*_COMMON, "better", "same", "worse"),
    "counsel": _COMMON,
    "ask": _COMMON,
}
"""Which outcomes are offered and taken for which action; `cancelled` fits all."""

FUNDS: Final[Mapping[str, tuple[str, str]]] = {
    "dak": ("DAK nonfisik", "State grant (DAK)"),
    "apbd": ("APBD", "Regency budget (APBD)"),
    "village": ("Dana desa", "Village fund"),
    "partner": ("Mitra", "Partner"),
}
"""Who pays for a PMT course: code -> Indonesian, English (Sigizi PMT template)."""

GROWTH: Final = frozenset(
    {
        *("oedema", "severely_wasted", "wasted", "muac_severe", "muac_moderate"),
        *("below_red_line", "underweight", "severely_stunted", "stunted"),
    }
)
"""Flags that a second measurement confirms or clears."""


@dataclass(frozen=True, slots=True)
class Authorship:
    """Who wrote something, on which tablet (None: at the health centre), and when by their clock."""

    author: str
    author_name: str | None
    tablet_name: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class TaskResult:
    """A result: several of one task are what people told without having seen each other's."""

    done_on: str
    outcome: str
    days_eaten: int | None
    by: tuple[Authorship, ...]


@dataclass(frozen=True, slots=True)
class Work:
    """A follow-up of a child, to be shown.

    Parameters
    ----------
    task : its id beside the child's
    action, reason : codes; `action` "" while in conflict
    assigned_to : an author or "cadre"; `assigned_name` where an account has a name
    results : none while it is open
    notes : free text, each with who wrote it; none for who may not know names
    context : the record's vector, as JSON, to be passed back by whoever answers it
    """

    child_id: str
    task: str
    action: str
    reason: str | None
    due_on: date | None
    assigned_to: str | None
    assigned_name: str | None
    course: str | None
    week: int | None
    funds: str | None
    planned: tuple[Authorship, ...]
    results: tuple[TaskResult, ...]
    notes: tuple[tuple[str, tuple[Authorship, ...]], ...]
    context: str

    @property
    def open(self) -> bool:
        return not self.results

    def overdue(self, today: date) -> bool:
        """Say whether its day has passed and nobody has told what came of it."""
        return self.open and self.due_on is not None and self.due_on < today

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {
            "child": self.child_id,
            "task": self.task,
            "action": self.action or None,
            "reason": self.reason,
            "due_on": self.due_on.isoformat() if self.due_on else None,
            "assigned_to": self.assigned_to,
            "course": self.course,
            "week": self.week,
            "funds": self.funds,
            "open": self.open,
            "results": [
                {"done_on": told.done_on, "outcome": told.outcome, "days_eaten": told.days_eaten}
                for told in self.results
            ],
            "notes": [text for text, _ in self.notes],
            "context": orjson.loads(self.context),
        }


@dataclass(frozen=True, slots=True)
class Decided:
    """What came of a decision: the hub's changes, and for a second measurement whether it confirmed what was flagged."""

    task: str
    dots: tuple[Dot, ...]
    outcomes: tuple[Outcome, ...]
    found: str | None = None

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {
            "task": self.task,
            "dots": [list(dot) for dot in self.dots],
            "outcomes": [outcome.value for outcome in self.outcomes],
            "found": self.found,
        }


@dataclass(frozen=True, slots=True)
class DecidedChild:
    """A child that somebody decides about: its post, and all who are one person with it."""

    child_id: str
    post_id: str
    person_id: str
    group: tuple[str, ...]


# -- reading --------------------------------------------------------------------------------------


def find(session: Session, hub: AppContext, scope: Scope, child_id: str) -> DecidedChild:
    """Find a child in scope.

    Raises
    ------
    Problem
        `record-unknown`: there is none, or the person was erased.
    """
    if not UUID_TEXT.fullmatch(child_id):
        raise Problem("record-unknown")
    query = select(Child.id, Child.post_id, Child.person_id).where(
        Child.id == child_id, Child.wrapped_key.is_not(None), within(hub, scope)
    )
    row = session.execute(query).one_or_none()
    if row is None:
        raise Problem("record-unknown")
    return DecidedChild(
        child_id,
        row.post_id,
        row.person_id,
        tuple(record_linkage.group_of(session, hub.district, [child_id])),
    )


def work_of(session: Session, hub: AppContext, scope: Scope, child_ids: Sequence[str]) -> tuple[Work, ...]:
    """Load the follow-ups of children who are one person, the open ones first, by due date; then the answered, newest first.

    Who may not know names is given no notes.
    """
    rows = session.execute(
        select(FollowUp.child_id, FollowUp.task, FollowUp.state, FollowUp.sealed).where(
            FollowUp.district == hub.district, FollowUp.child_id.in_(child_ids), FollowUp.removed.is_(False)
        )
    ).all()
    if not rows:
        return ()
    subjects = ledger.subjects(session, hub.vault, hub.district, sorted({row.child_id for row in rows}))
    states = [_state(hub, subjects, row) for row in rows if subjects[row.child_id].wrapped_key is not None]
    written = _written(session, hub, states)
    names = _names(session, hub, states)
    shown = [_work(state, written, names, scope.shows_names) for state in states]
    later = date.max
    open_ = sorted((w for w in shown if w.open), key=lambda w: (w.due_on or later, w.task))
    done = sorted(
        (w for w in shown if not w.open), key=lambda w: (w.results[0].done_on, w.task), reverse=True
    )
    return (*open_, *done)


def _state(hub: AppContext, subjects: Mapping[str, ledger.Subject], row: Any) -> RecordState:
    key = {"child": row.child_id, "task": row.task}
    record_id = follow_up_id(row.child_id, row.task)
    stored = ledger.read_keyed(hub.district, "follow_up", record_id, row, subjects[row.child_id].key)
    return RecordState.from_wire("follow_up", record_id, key, orjson.loads(stored))


def _written(session: Session, hub: AppContext, states: Sequence[RecordState]) -> dict[Dot, Authorship]:
    """Say of every change of some follow-ups who wrote it; headers are plain, so nothing is unsealed."""
    rows = session.execute(
        select(ChangeRow.actor, ChangeRow.counter, ChangeRow.header, Tablet.name)
        .outerjoin(
            Tablet, and_(Tablet.district == ChangeRow.district, cast(Tablet.id, Text) == ChangeRow.actor)
        )
        .where(
            ChangeRow.district == hub.district,
            ChangeRow.child_id.in_({state.key["child"] for state in states}),
            ChangeRow.record_id.in_([state.record_id for state in states]),
            ChangeRow.kind.is_not(None),
        )
    ).all()
    headers = {Dot(row.actor, row.counter): (orjson.loads(row.header), row.name) for row in rows}
    named = people(session, hub, (header["author"] for header, _ in headers.values()))
    return {
        dot: Authorship(
            header["author"],
            named.get(header["author"]),
            tablet,
            datetime.fromisoformat(header["recorded_at"]),
        )
        for dot, (header, tablet) in headers.items()
    }


def _names(session: Session, hub: AppContext, states: Sequence[RecordState]) -> dict[str, str]:
    charged = (sibling.value["assigned_to"] for s in states for sibling in s.registers.get("task", ()))
    return people(session, hub, (author for author in charged if author))


def people(session: Session, hub: AppContext, authors: Iterable[str | None]) -> dict[str, str]:
    """Give the names of accounts, by author ("account:<id>")."""
    ids = {a.removeprefix("account:") for a in authors if a is not None and a.startswith("account:")}
    rows = session.execute(
        select(Account.id, Account.display_name).where(
            Account.district == hub.district,
            Account.id.in_({id_ for id_ in ids if UUID_TEXT.fullmatch(id_)}),
        )
    )
    return {f"account:{row.id}": row.display_name for row in rows}


def _work(
    state: RecordState, written: Mapping[Dot, Authorship], names: Mapping[str, str], shows_names: bool
) -> Work:
    def by(dots: Iterable[Dot]) -> tuple[Authorship, ...]:
        return tuple(written[dot] for dot in dots if dot in written)

    task = state.value("task") or {}
    charged = task.get("assigned_to")
    return Work(
        state.key["child"],
        state.key["task"],
        task.get("action", ""),
        task.get("reason"),
        date.fromisoformat(task["due_on"]) if task.get("due_on") else None,
        charged,
        names.get(charged or ""),
        task.get("course"),
        task.get("week"),
        task.get("funds"),
        tuple(each for s in state.registers.get("task", ()) for each in by(s.dots)),
        tuple(
            TaskResult(s.value["done_on"], s.value["outcome"], s.value.get("days_eaten"), by(s.dots))
            for s in state.registers.get("result", ())
        ),
        tuple((s.value["text"], by(s.dots)) for s in state.registers.get("note", ()) if shows_names),
        orjson.dumps(state.vector.wire()).decode(),
    )


def staff_of(session: Session, hub: AppContext, post_id: str) -> list[tuple[str, str]]:
    """List who may be charged with a child of a post: ("account:<id>", name) of the staff whose scope holds it."""
    post = session.get_one(HealthPost, (hub.district, post_id))
    village = post.village_code or ""
    scopes = {
        ("post", post_id),
        ("health_centre", post.health_centre_id),
        ("village", village),
        ("subdistrict", village.rpartition(".")[0]),
        ("district", hub.district),
    }
    rows = session.execute(
        select(Account.id, Account.display_name, Account.scope_kind, Account.scope)
        .where(Account.district == hub.district, Account.role == "staff", Account.disabled_at.is_(None))
        .order_by(Account.display_name, Account.id)
    )
    return [(f"account:{row.id}", row.display_name) for row in rows if (row.scope_kind, row.scope) in scopes]


# -- deciding -------------------------------------------------------------------------------------


def take(
    session: Session, hub: AppContext, scope: Scope, child_id: str, asked: Json, *, author: str, now: datetime
) -> Decided:
    """Take charge of a child, or give the charge to somebody.

    Parameters
    ----------
    asked : `task` (UUID, made where the form is shown), `assigned_to` (left out: who decides), `due_on`, `reason`, `note`
    """
    asked = {"assigned_to": author, **asked, "action": review_queue.TAKE}
    return _plan(session, hub, scope, child_id, asked, author=author, now=now)


def plan(
    session: Session, hub: AppContext, scope: Scope, child_id: str, asked: Json, *, author: str, now: datetime
) -> Decided:
    """Plan something to be done for a child.

    Parameters
    ----------
    asked : `task` (UUID), `action` (of PLANNED), `due_on`, `assigned_to` (an account, "cadre" or null), `reason`, `note`

    Raises
    ------
    Problem
        `record-unknown`, or `change-invalid` with every reason.
    """
    action = asked.get("action")
    if action not in PLANNED:
        raise _invalid(reason("action", _absent(action), action, ", ".join(PLANNED)))
    return _plan(session, hub, scope, child_id, asked, author=author, now=now)


def _plan(
    session: Session, hub: AppContext, scope: Scope, child_id: str, asked: Json, *, author: str, now: datetime
) -> Decided:
    subject = find(session, hub, scope, child_id)
    task = _task_id(asked)
    edit = Edit.of_follow_up(child_id, task, {"task": _task(asked)} | _note(asked))
    return _write(session, hub, subject, [edit], f"task.{asked['action']}", task, author=author, now=now)


def course(
    session: Session, hub: AppContext, scope: Scope, child_id: str, asked: Json, *, author: str, now: datetime
) -> Decided:
    """Begin a PMT course: a follow-up for the whole and one for each week's check.

    Parameters
    ----------
    asked : `task` (UUID), `starts_on` (ISO date), `weeks` (1 to 26), `reason` (the flag that it is for), `funds`,
        `assigned_to`, `note`
    """
    subject = find(session, hub, scope, child_id)
    task, weeks = _task_id(asked), asked.get("weeks")
    if not isinstance(weeks, int) or isinstance(weeks, bool) or not 1 <= weeks <= MOST_WEEKS:
        raise _invalid(reason("weeks", _absent(weeks, "out-of-range"), weeks, "1", str(MOST_WEEKS)))
    starts_on = _day(asked.get("starts_on"), "starts_on")
    ends = [(starts_on + timedelta(days=7 * n - 1)).isoformat() for n in range(1, weeks + 1)]
    whole = {**asked, "action": "pmt", "due_on": ends[-1]}
    edits = [Edit.of_follow_up(child_id, task, {"task": _task(whole)} | _note(asked))]
    for week, due_on in enumerate(ends, 1):
        each = {**asked, "action": "pmt_week", "due_on": due_on, "course": task, "week": week}
        week_id = _week_id(task, week)
        edits.append(Edit.of_follow_up(child_id, week_id, {"task": _task(each)}))
    return _write(session, hub, subject, edits, "task.pmt", task, author=author, now=now)


MOST_WEEKS: Final = 26


def _week_id(task: str, week: int) -> str:
    """Give the id of a week of a course, the same however often the form is sent."""
    return follow_up_id(task, f"week/{week}")


def answer(
    session: Session,
    hub: AppContext,
    scope: Scope,
    child_id: str,
    task: str,
    asked: Json,
    *,
    author: str,
    now: datetime,
) -> Decided:
    """Tell what came of a task.

    Parameters
    ----------
    asked : `outcome` (of FITTING for the action, or "cancelled"), `done_on` (left out: today), `days_eaten` (of a PMT week),
        `note`, and `context` as the task was shown. With a course that ends, its open weeks end too

    Raises
    ------
    Problem
        `record-unknown`; `change-invalid` with every reason: an outcome that does not fit, a day that has not come, a
        context that was on no screen.
    """
    subject = find(session, hub, scope, child_id)
    shown = work_of(session, hub, scope, subject.group)
    found = next((work for work in shown if work.task == task), None)
    if found is None:
        raise Problem("record-unknown")
    outcome, fitting = asked.get("outcome"), (*FITTING.get(found.action, OUTCOMES), "cancelled")
    if outcome not in fitting:
        raise _invalid(reason("outcome", _absent(outcome), outcome, ", ".join(fitting)))
    context = _context(asked, session, hub, found)
    edits = [
        Edit.of_follow_up(found.child_id, task, {"result": _result(asked, hub, now)} | _note(asked), context)
    ]
    edits += _ended_with(found, shown, str(outcome), _result(asked, hub, now))
    return _write(session, hub, subject, edits, "task.answered", task, author=author, now=now)


def _ended_with(found: Work, shown: Sequence[Work], outcome: str, result: Json) -> list[Edit]:
    """End what hangs on a course that ends: told of the course, its open weeks; told of a week, the course and the rest."""
    if outcome not in ("finished", "to_hospital", "cancelled"):
        return []
    if found.action not in ("pmt", "pmt_week") or (found.action == "pmt_week" and outcome == "cancelled"):
        return []
    whole = found.task if found.action == "pmt" else found.course
    edits = []
    for work in shown:
        if not work.open or work.task == found.task or whole not in (work.task, work.course):
            continue
        ended = {"done_on": result["done_on"], "outcome": outcome if work.action == "pmt" else "cancelled"}
        seen = VersionVector.from_wire(orjson.loads(work.context))
        edits.append(Edit.of_follow_up(work.child_id, work.task, {"result": ended}, seen))
    return edits


def close(
    session: Session, hub: AppContext, scope: Scope, child_id: str, asked: Json, *, author: str, now: datetime
) -> Decided:
    """Close a child's case with a reason. Whoever has charge is done; flags that were on the screen ask no more.

    Parameters
    ----------
    asked : `task` (UUID, used where nobody has charge), `outcome` (of CLOSINGS), `covers` (the flags on the screen, as
        `attention.flag_seen` names them), `contexts` (by task, of each charge that was shown open), `note`
    """
    subject = find(session, hub, scope, child_id)
    outcome = asked.get("outcome")
    if outcome not in CLOSINGS:
        raise _invalid(reason("outcome", _absent(outcome), outcome, ", ".join(CLOSINGS)))
    covers = asked.get("covers")
    if not isinstance(covers, list):
        raise _invalid(reason("covers", _absent(covers, "not-list"), None))
    result = {**_result(asked, hub, now), "covers": covers}
    contexts = asked.get("contexts", {})
    if not isinstance(contexts, Mapping):
        raise _invalid(reason("contexts", "not-object", None))
    shown = {work.task: work for work in work_of(session, hub, scope, subject.group)}
    edits = []
    for task, context in contexts.items():
        if task not in shown or shown[task].action != review_queue.TAKE:
            raise Problem("record-unknown")
        seen = _context({"context": context}, session, hub, shown[task])
        edits.append(Edit.of_follow_up(shown[task].child_id, task, {"result": result} | _note(asked), seen))
    task = next(iter(contexts), None) or _task_id(asked)
    if not edits:
        taken = {"action": review_queue.TAKE, "assigned_to": author}
        registers = {"task": _task(taken), "result": result} | _note(asked)
        edits.append(Edit.of_follow_up(child_id, task, registers))
    details = {"outcome": outcome, "flags": len(covers)}
    return _write(session, hub, subject, edits, "case.closed", task, author=author, now=now, details=details)


def remeasure(
    session: Session, hub: AppContext, scope: Scope, child_id: str, asked: Json, *, author: str, now: datetime
) -> Decided:
    """Write down what the health centre measured itself: it confirms or clears what the cadre's figures indicated, and
    answers every open task to measure again.

    Parameters
    ----------
    asked : `measured_on` (ISO date), `set` (registers of a measurement), `context` (of the staff's measurement of that day,
        as shown; left out where there was none), `note`

    Returns
    -------
    Decided : `found` is "confirmed" if growth is flagged still, "cleared" if it is no more, "done" if it never was
    """
    subject = find(session, hub, scope, child_id)
    measured_on = _day(asked.get("measured_on"), "measured_on").isoformat()
    registers = asked.get("set")
    if not isinstance(registers, Mapping) or not registers:
        raise _invalid(reason("set", "missing", None))
    before = _flagged(session, hub, subject.person_id)
    seen = _vector(asked.get("context"))
    note = _note(asked)
    edit = Edit.of_measurement(child_id, measured_on, "staff", {**registers, **note}, seen)
    details = {"day": measured_on}
    (measured,) = server_edits.write(
        session, hub, [edit], "child.remeasured", author=author, now=now, details=details
    )
    after = _flagged(session, hub, subject.person_id)
    found = "done" if not before else "confirmed" if after else "cleared"
    result = {"done_on": measured_on, "outcome": found if before else "cleared"}
    edits = [
        Edit.of_follow_up(
            work.child_id,
            work.task,
            {"result": result},
            VersionVector.from_wire(orjson.loads(work.context)),
        )
        for work in work_of(session, hub, scope, subject.group)
        if work.open and work.action == "remeasure"
    ]
    written = [measured]
    if edits:
        written += server_edits.write(session, hub, edits, "task.answered", author=author, now=now)
    return Decided(measured_on, tuple(w.dot for w in written), tuple(w.outcome for w in written), found)


def _flagged(session: Session, hub: AppContext, person_id: str) -> frozenset[str]:
    """Give the growth flags of a person."""
    rules = session.scalars(
        select(Flag.rule).where(Flag.district == hub.district, Flag.child_id == person_id)
    )
    return GROWTH.intersection(rules)


def flags_seen(session: Session, hub: AppContext, person_id: str) -> list[str]:
    """Name the flags of a person as they are on the screen now, to be passed back by whoever closes the case."""
    rows = session.execute(
        select(Flag.rule, Flag.subject, Flag.details)
        .where(Flag.district == hub.district, Flag.child_id == person_id)
        .order_by(Flag.rule, Flag.subject)
    )
    return [review_queue.flag_seen(*row) for row in rows]


# -- from what was asked to a change --------------------------------------------------------------


def _write(
    session: Session,
    hub: AppContext,
    subject: DecidedChild,
    edits: Sequence[Edit],
    action: str,
    task: str,
    *,
    author: str,
    now: datetime,
    details: Mapping[str, Any] | None = None,
) -> Decided:
    told = {"child": subject.child_id, "task": task, **(details or {})}
    written = server_edits.write(session, hub, edits, action, author=author, now=now, details=told)
    return Decided(task, tuple(w.dot for w in written), tuple(w.outcome for w in written))


def _task(asked: Json) -> dict[str, Any]:
    """Give the register `task`: what is missing is null, and whether it is right is for the schemas to say."""
    made = {name: asked.get(name) for name in ("action", "reason", "due_on", "assigned_to")}
    return made | {name: asked[name] for name in ("course", "week", "funds") if asked.get(name) is not None}


def _result(asked: Json, hub: AppContext, now: datetime) -> dict[str, Any]:
    made = {
        "done_on": asked.get("done_on") or hub.settings.today(now).isoformat(),
        "outcome": asked.get("outcome"),
    }
    return made | ({"days_eaten": asked["days_eaten"]} if asked.get("days_eaten") is not None else {})


def _note(asked: Json) -> dict[str, Any]:
    return {"note": {"text": asked["note"]}} if asked.get("note") else {}


def _task_id(asked: Json) -> str:
    """Give the task's id: the one that the form was shown with, else a new one."""
    given = asked.get("task")
    if given is None:
        return new_id()
    if not isinstance(given, str) or not UUID_TEXT.fullmatch(given):
        raise _invalid(reason("task", "not-uuid", None))
    return given


def _context(asked: Json, session: Session, hub: AppContext, work: Work) -> VersionVector:
    """Read the context that was on the screen; what it names must be held."""
    seen = _vector(asked.get("context"))
    record_id = follow_up_id(work.child_id, work.task)
    rows = session.execute(
        select(ChangeRow.actor, ChangeRow.counter, ChangeRow.hash).where(
            ChangeRow.district == hub.district,
            ChangeRow.child_id == work.child_id,
            ChangeRow.record_id == record_id,
        )
    )
    held = {(row.actor, row.counter): row.hash[:TAG_LENGTH] for row in rows}
    if any(held.get((actor, entry.counter)) != entry.tag for actor, entry in seen.items()):
        raise _invalid(reason("context", "not-on-screen", None))
    return seen


def _vector(given: object) -> VersionVector:
    if given is None:
        return NOTHING_SEEN
    try:
        wire = {str(actor): (int(n), str(tag)) for actor, (n, tag) in dict(given).items()}  # type: ignore[call-overload]
        return VersionVector.from_wire(wire)
    except (TypeError, ValueError):
        raise _invalid(reason("context", "not-object", None)) from None


def _day(given: object, name: str) -> date:
    try:
        return date.fromisoformat(str(given))
    except ValueError:
        raise _invalid(reason(name, _absent(given, "not-date"), None)) from None


def _absent(given: object, otherwise: str = "not-choice") -> str:
    return "missing" if given in (None, "") else otherwise


def _invalid(*reasons: Reason) -> Problem:
    return Problem("change-invalid", reasons=[each.wire() for each in reasons])


# -- who looked -----------------------------------------------------------------------------------


def child_name(session: Session, hub: AppContext, scope: Scope, child_id: str) -> str | None:
    """Give a child's name, for the head of a form; None where the reader may not know it or nobody does."""
    if not scope.shows_names:
        return None
    row = session.execute(
        select(Child.id.label("child_id"), Child.state, Child.wrapped_key, Child.key_version).where(
            Child.id == child_id, within(hub, scope)
        )
    ).one()
    return name_of(hub, row)


def log_viewed(session: Session, hub: AppContext, actor: str, subject: DecidedChild, now: datetime) -> None:
    """Log at the post that somebody read what is done for a child, notes and all."""
    stream, details = audit.post_stream(subject.post_id), {"child": subject.child_id}
    audit.append(session, hub.district, stream, "follow-ups.viewed", actor=actor, now=now, details=details)
