"""One child as its page shows it: found in scope, its record as far as the reader may see it, and all derived from it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from server import audit
from server.accounts import Person
from server.children import ledger, linked_records
from server.context import AppContext
from server.database.ids import UUID_TEXT
from server.database.models import Child, HealthCentre, HealthPost
from server.errors import Problem
from server.places.regions import regions
from server.review import follow_ups
from server.review.child.confirmation import JUDGED, Confirmation, Run, confirmation, run
from server.review.child.courses import Course, courses
from server.review.child.history import Recorded, Value, held, values_of
from server.review.child.timeline import HIDDEN, NAMELESS, Event, TimelineSource, masked, timeline
from server.review.child.visits import Visit, measured
from server.review.follow_ups import Work
from server.review.scope import RaisedFlag, Scope, age_in_months, flags_of, name_of, reach, state_of, within
from sync_protocol import Dot, Json, RecordState

RUNS: Final = ("haz", "waz", "whz")
"""Indices for which the page shows since when they have been low."""
PREMATURE_WEEKS: Final = 37
LOW_BIRTH_WEIGHT_G: Final = 2500


@dataclass(frozen=True, slots=True)
class OpenConflict:
    """A register with more than one live value; `visit` is None for the child's own record."""

    register: str
    visit: Visit | None
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class ChildView:
    """Everything known of one child. `values` are its registers, without names if the reader may not see them.

    Parameters
    ----------
    linked : the other records of the same person (`same_as`): visits are those of all, flags are the person's
    confirmations : of stunting and wasting, by index; runs : since when an index has been low, by index
    work : follow-ups with their results, as `follow_ups.work_of` gives them
    events : the timeline, newest first
    villages : code -> name of the villages in present and past values of `home`
    today : the district's date, which decides ages and validity
    """

    child_id: str
    post_id: str
    post_name: str
    health_centre_name: str
    name: str | None
    sex: str | None
    born_on: date | None
    age_months: int | None
    registered: bool
    removed: bool
    conflicts: tuple[str, ...]
    values: Mapping[str, tuple[Value, ...]]
    visits: tuple[Visit, ...]
    flags: tuple[RaisedFlag, ...]
    linked: tuple[str, ...]
    confirmations: Mapping[str, Confirmation]
    runs: Mapping[str, Run]
    work: tuple[Work, ...]
    events: tuple[Event, ...]
    villages: Mapping[str, str]
    today: date

    @property
    def urgency(self) -> int | None:
        """Give the most urgent flag's urgency; None without flags."""
        return self.flags[0].urgency if self.flags else None

    @property
    def newest(self) -> Visit | None:
        """Give the newest measurement that was not removed; of two on one day the health centre's."""
        return next((visit for visit in self.visits if visit.candidates), None)

    @property
    def courses(self) -> tuple[Course, ...]:
        """Give the child's PMT courses, open ones first."""
        return courses(self.work)

    @property
    def disputes(self) -> tuple[OpenConflict, ...]:
        """Give everything in conflict: the child's own registers, then its measurements', newest first."""
        own = [OpenConflict(register, None, values) for register, values in self.values.items()]
        measured_ = [
            OpenConflict(register, visit, values)
            for visit in self.visits
            if not visit.removed
            for register, values in visit.values.items()
        ]
        return tuple(dispute for dispute in (*own, *measured_) if len(dispute.values) > 1)

    @property
    def at_birth(self) -> tuple[str, ...]:
        """Give the risks at birth: "premature", "low_weight". Scores are not corrected for them."""
        births: list[Json] = [value.fields for value in self.values.get("birth", ())]
        weeks = [value["gestation_weeks"] for value in births if value.get("gestation_weeks")]
        grams = [value["weight_g"] for value in births if value.get("weight_g")]
        risks = (
            ("premature", any(n < PREMATURE_WEEKS for n in weeks)),
            ("low_weight", any(n < LOW_BIRTH_WEIGHT_G for n in grams)),
        )
        return tuple(name for name, applies in risks if applies)


def child_view(
    session: Session,
    hub: AppContext,
    scope: Scope,
    child_id: str,
    today: date,
    *,
    whole_nik: bool = False,
    restricted: bool = False,
) -> ChildView:
    """Load everything about a child: its record, conflicts with who wrote what, measurements (newest first), flags,
    follow-ups and timeline. The number of statements depends on which kinds of data there are, never on how much.

    Parameters
    ----------
    whole_nik : give the NIK unmasked; the caller must log it (`log_nik_unmasked`)
    restricted : also find a child whose processing is restricted (for `server.privacy` only)

    Raises
    ------
    Problem
        `record-unknown`: there is no such child in scope, or it was erased. `not-allowed`: a reader who may not see names
        asked for the whole NIK.
    """
    if whole_nik and not scope.shows_names:
        raise Problem("not-allowed")
    row = _find_child(session, reach(hub, scope) if restricted else within(hub, scope), child_id)
    state = state_of(hub, child_id, row) if row.state is not None else None
    group = linked_records.group_of(session, hub.district, [child_id])
    subjects = ledger.subjects(session, hub.vault, hub.district, group)
    changes = held(session, hub, group)
    visits = measured(session, hub, subjects, changes.recorded, shows_names=scope.shows_names)
    flags = tuple(flags_of(session, hub, [row.person_id]).get(row.person_id, ()))
    values = _child_values(state, changes.recorded, scope.shows_names, whole_nik) if state else {}
    runs = {index: run(index, visits) for index in RUNS}
    events = timeline(session, hub, TimelineSource(subjects, changes, visits, flags, scope.shows_names))
    return ChildView(
        child_id,
        row.post_id,
        row.post_name,
        row.centre_name,
        name_of(hub, row) if scope.shows_names else None,
        row.sex,
        row.born_on,
        age_in_months(row.born_on, today),
        bool(row.registered),
        bool(row.removed),
        tuple(row.conflicts.split()),
        values,
        visits,
        flags,
        tuple(linked_id for linked_id in group if linked_id != child_id),
        {index: confirmation(index, visits) for index in JUDGED},
        {index: found for index, found in runs.items() if found},
        follow_ups.work_of(session, hub, scope, group),
        events,
        _villages(values, events),
        today,
    )


def _find_child(session: Session, in_scope: ColumnElement[bool], child_id: str) -> Any:
    if not UUID_TEXT.fullmatch(child_id):
        raise Problem("record-unknown")
    row = session.execute(
        select(
            Child.id.label("child_id"),
            Child.post_id,
            Child.person_id,
            Child.registered,
            Child.removed,
            Child.conflicts,
            Child.sex,
            Child.born_on,
            Child.state,
            Child.wrapped_key,
            Child.key_version,
            HealthPost.name.label("post_name"),
            HealthCentre.name.label("centre_name"),
        )
        .join(HealthPost, and_(HealthPost.district == Child.district, HealthPost.id == Child.post_id))
        .join(
            HealthCentre,
            and_(HealthCentre.district == Child.district, HealthCentre.id == HealthPost.health_centre_id),
        )
        .where(Child.id == child_id, Child.wrapped_key.is_not(None), in_scope)
    ).one_or_none()
    if row is None:
        raise Problem("record-unknown")
    return row


def _child_values(
    state: RecordState, recorded: Mapping[Dot, Recorded], shows_names: bool, whole_nik: bool
) -> dict[str, tuple[Value, ...]]:
    shown = {}
    for register, values in values_of(state, recorded).items():
        if not shows_names and register not in NAMELESS:
            continue
        hidden = frozenset() if shows_names else HIDDEN
        shown[register] = tuple(
            Value(_shown(register, value.fields, hidden, whole_nik), value.recorded) for value in values
        )
    return shown


def _shown(register: str, fields: Json, hidden: frozenset[str], whole_nik: bool) -> Json:
    if register == "nik" and not whole_nik:
        return masked(fields)
    return {name: value for name, value in fields.items() if name not in hidden}


def _villages(values: Mapping[str, tuple[Value, ...]], events: Iterable[Event]) -> dict[str, str]:
    homes: list[Json | None] = [value.fields for value in values.get("home", ())]
    homes += [event.values.get("home") for event in events]
    codes = {home.get("village") for home in homes if home}
    return {region.code: region.name for region in regions() if region.code in codes}


def log_child_viewed(
    session: Session, hub: AppContext, person: Person, shown: ChildView, now: datetime
) -> None:
    """Log at the child's post that somebody opened its page."""
    _log(session, hub, person, shown, "child.viewed", now)


def log_nik_unmasked(
    session: Session, hub: AppContext, person: Person, shown: ChildView, now: datetime
) -> None:
    """Log at the child's post that somebody was shown its whole NIK."""
    _log(session, hub, person, shown, "nik.unmasked", now)


def _log(
    session: Session, hub: AppContext, person: Person, shown: ChildView, action: str, now: datetime
) -> None:
    details = {"child": shown.child_id, "names": Scope.of(person).shows_names}
    stream, actor = audit.post_stream(shown.post_id), f"account:{person.account_id}"
    audit.append(session, hub.district, stream, action, actor=actor, now=now, details=details)
