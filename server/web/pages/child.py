"""A child's page, the same for printing and as JSON, and its unmasked NIK. Its routes are on the blueprints of `pages` and
`staff_api`.

Rules kept here:
- Every look is logged in the log of the child's post before anything is sent; an unmasked NIK has its own entry.
- An address holds the choice of charts and timeline, and the child only as an id.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any, Final

from babel.dates import format_date
from flask import Response, jsonify, render_template, url_for

from server import isolation, review
from server.children.labels import SENTENCES
from server.review import ChildView, RaisedFlag, Scope, follow_ups
from server.review.child import KINDS, Event, child_calendar, child_json, log_nik_unmasked, timeline_json
from server.review.child.confirmation import ABOUT, CLEARED, CONFIRMED, LOW
from server.review.conflicts import SETTLEMENTS
from server.review.follow_ups import Work
from server.review.quarantine import DISMISSALS
from server.schedule import DUE, GIVEN, LATER, MISSED, OVERDUE, UNRECORDED, Item
from server.translations import N_, Text
from server.web import formatting
from server.web.api.staff import bp as api
from server.web.auth import permitted
from server.web.charts.growth import growth_charts
from server.web.current import hub, person, scope, utc_now
from server.web.pages.frame import bp
from server.web.request_schemas import children as schemas
from server.web.request_schemas.children import CHARTS, FILTERS
from server.web.request_schemas.schema import Asked, takes, takes_empty_json
from server.web.response_schemas import children as answer_schemas
from server.web.response_schemas.schema import answers

SHOWN_VISITS: Final = 6
"""Measurements shown at first; `semua=1` shows all."""
STATES: Final = (OVERDUE, DUE, LATER, GIVEN, UNRECORDED, MISSED)
"""States of the calendar, in the order in which they are shown."""
EVENTS: Final = 20
"""Events on a page of the timeline."""

FILTER_WORDS: Final[Mapping[str, str]] = {
    "": N_("Everything"),
    "ukur": N_("Measurements"),
    "tindak": N_("Follow-up"),
    "beda": N_("Differences"),
    "data": N_("The child’s data"),
    "pindah": N_("Moves and links"),
    "tanda": N_("Flags now"),
    "dilihat": N_("Who looked"),
}
"""The filters of the timeline, by what `riwayat` asks for."""
OUTCOMES: Final[Mapping[str, str]] = {
    "applied": N_("accepted"),
    "merged": N_("merged"),
    "conflict": N_("differs from another tablet’s"),
    "superseded": N_("already overwritten"),
    "quarantined": N_("set aside"),
}
"""Outcomes of a change."""
LOOKS: Final[Mapping[str, str]] = {
    "child.viewed": N_("Opened this page"),
    "nik.unmasked": N_("Saw the NIK unmasked"),
    "conflict.viewed": N_("Looked at a difference"),
    "quarantine.viewed": N_("Looked at what was set aside"),
    "duplicate.viewed": N_("Looked for a double registration"),
}
ASIDE: Final[Mapping[str, str]] = {
    "open": N_("waits for the health centre"),
    "answered": N_("sent again correctly by the tablet"),
    "released": N_("corrected and taken"),
    "dismissed": N_("put away"),
    "reopened": N_("opened again, waits for the health centre"),
}
"""States of a quarantined change."""
NEXT: Final[Mapping[str, str]] = {
    "removed": N_("Nothing: the record was removed."),
    "settle": N_("Choose the right value: see “Recorded differently” below."),
    "again-1": N_("Today: see the child and measure again."),
    "again-2": N_("This week: see the child and measure again."),
    "again-3": N_("Next posyandu day: measure again and check."),
    "decide": N_("Confirmed: decide on a follow-up."),
    "check": N_("When there is time: look at the reasons below."),
    "watch": N_("Go on weighing every month."),
    "measure": N_("Measure for the first time."),
}
"""What to do next if no task is open, by `next_step`."""


@dataclass(frozen=True, slots=True)
class Glance:
    """A child's summary: to be understood in five seconds.

    Parameters
    ----------
    wrong : (index, status code) of each class below normal, the worst first
    rule : the most urgent flag's rule, if no status says it
    since, times : since when the child has been low, and in how many measurements; None if it is not
    done : the newest answered follow-up, and `remeasured_on` the health centre's newest measurement, each None where the
        other is newer; task : the open follow-up that is due first
    step : key of NEXT where no task is open
    """

    wrong: tuple[tuple[str, str], ...]
    rule: str | None
    since: date | None
    times: int
    done: Work | None
    remeasured_on: date | None
    task: Work | None
    step: str

    def overdue(self, today: date) -> bool:
        """Say whether the task's day has passed."""
        return self.task is not None and self.task.overdue(today)


def glance(view: ChildView) -> Glance:
    """Summarise a child: what is wrong, since when, what was done, what to do. Pure."""
    wrong = _wrong(view)
    runs = sorted(view.runs.values(), key=lambda run: run.since)
    done = next((work for work in view.work if work.results), None)
    done_on = date.fromisoformat(done.results[0].done_on) if done else date.min
    again = next((v.measured_on for v in view.visits if v.candidates and v.source == "staff"), None)
    tasks = [work for work in view.work if work.open and work.action != "take"]
    return Glance(
        wrong,
        view.flags[0].rule if view.flags else None,
        runs[0].since if runs else None,
        runs[0].times if runs else 0,
        done if again is None or done_on >= again else None,
        again if again is not None and done_on < again else None,
        tasks[0] if tasks else None,
        next_step(view),
    )


def _wrong(view: ChildView) -> tuple[tuple[str, str], ...]:
    """Return every class below -2 SD at the newest measurement, of any candidate."""
    newest = view.newest
    found: dict[tuple[str, str], int] = {}
    for candidate in newest.candidates if newest else ():
        classes = [(index, candidate.scores[index].status) for index in ("whz", "haz", "waz")]
        for index, code in (*classes, ("muac", candidate.muac_status)):
            if code is not None and code in LOW:
                found[index, code] = LOW[code]
    return tuple(sorted(found, key=lambda pair: -found[pair]))


def next_step(view: ChildView) -> str:
    """Return what to do if nothing is planned: a key of NEXT."""
    if view.removed:
        return "removed"
    if view.newest is None:
        return "measure"
    if not view.flags:
        return "watch"
    urgency = view.flags[0].urgency
    if urgency > 1 and view.disputes:
        return "settle"
    indices = {ABOUT.get(raised.rule) for raised in view.flags if raised.urgency == urgency} - {None}
    states = {view.confirmations[index].state for index in indices if index}
    if states == {CONFIRMED}:
        return "decide"
    return f"again-{urgency}" if urgency <= 3 else "check"


@bp.app_template_filter("month")
def month(first: date) -> str:
    """Write a month: March 2026."""
    return format_date(first, "MMMM y", locale=formatting.language())


# -- the page -------------------------------------------------------------------------------------


@bp.get("/anak/<child_id>")
@permitted("see_children")
@takes(schemas.CHILD)
def child(asked: Asked, child_id: str) -> str:
    """Show a child: what is wrong and what to do, growth charts, every measurement, the record, and the timeline."""
    return _or_broken(child_id, lambda: _shown(asked, _load(child_id)))


def _shown(asked: Asked, view: ChildView) -> str:
    return _on_paper(asked, view) if asked.query["cetak"] == "1" else _page(asked, view)


def _or_broken(child_id: str, page: Callable[[], str]) -> str:
    """Return a child's page; of a record that cannot be read a plain sentence. Who may not see it is refused before that."""
    shown, error = isolation.attempt(page, "page of a child")
    if shown is None:
        return render_template("child_broken.html", child_id=child_id, error=error)
    return shown


@bp.post("/anak/<child_id>/nik")
@permitted("see_names")
@takes(schemas.NIK)
def nik(asked: Asked, child_id: str) -> str:
    """Show the same page with the unmasked NIK. Logged."""
    return _or_broken(child_id, lambda: _page(asked, _load(child_id, whole_nik=True), whole_nik=True))


def _load(child_id: str, *, whole_nik: bool = False) -> ChildView:
    """Load a child and log the look."""
    who, now = person(), utc_now()
    today = hub().settings.today(now)
    with hub().database.reading() as session:
        view = review.child_view(session, hub(), Scope.of(who), child_id, today, whole_nik=whole_nik)
    log = log_nik_unmasked if whole_nik else review.log_child_viewed
    with hub().database.transaction() as session:
        log(session, hub(), who, view, now)
    return view


def _page(asked: Asked, view: ChildView, *, whole_nik: bool = False) -> str:
    chosen = {name: asked.query[name] for name in ("grafik", "riwayat")}
    kind, number = FILTERS[chosen["riwayat"]], asked.query["hal"]
    events = [event for event in view.events if event.is_of(kind)]
    shown = events[(number - 1) * EVENTS : number * EVENTS]
    return render_template(
        "child.html",
        **_common(view, chosen["grafik"]),
        whole_nik=whole_nik,
        months=_by_month(shown),
        number=number,
        pages=max(1, -(-len(events) // EVENTS)),
        filters={
            name: (FILTER_WORDS[name], sum(event.is_of(what) for event in view.events))
            for name, what in FILTERS.items()
        },
        chosen=chosen,
        address=lambda **changes: _address(view, chosen, **changes),
        shown_visits=len(view.visits) if asked.query["semua"] == "1" else SHOWN_VISITS,
    )


def _on_paper(asked: Asked, view: ChildView) -> str:
    return render_template(
        "child_print.html",
        **_common(view, asked.query["grafik"]),
        printed_at=utc_now(),
        printed_by=person().display_name,
    )


def _common(view: ChildView, grafik: str) -> dict[str, Any]:
    """Return what the page and its print both show."""
    near, zones = CHARTS[grafik]
    return {
        "child": view,
        "newest": view.newest,
        "glance": glance(view),
        "charts": growth_charts(view.sex, view.visits, near=near, zones=zones) if view.sex else (),
        "near": near,
        "zones": zones,
        "calendar_lines": _calendar_lines(view),
        "schedule_version": hub().settings.schedule().version,
        "shows_names": scope().shows_names,
        "child_words": {"outcome": OUTCOMES, "look": LOOKS, "aside": ASIDE, "next": NEXT},
        "about": ABOUT,
        "confirmed": (CONFIRMED, CLEARED),
        "sentence": _sentence,
        "flagged": _flagged,
        "action": lambda code: _either(follow_ups.ACTIONS, code),
        "came_of_it": lambda code: _either(follow_ups.OUTCOMES, code),
        "why": lambda code: _either({**SETTLEMENTS, **DISMISSALS}, code),
        "funds": lambda code: _either(follow_ups.FUNDS, code),
    }


@dataclass(frozen=True, slots=True)
class CalendarLine:
    """A line of the calendar, with its name in the reader's language."""

    item: Item
    name: str


def _calendar_lines(view: ChildView) -> list[CalendarLine]:
    """Return the child's calendar, what is overdue first; in the order of the schedule within a state."""
    plan = hub().settings.schedule()
    items = sorted(child_calendar(view, plan), key=lambda item: STATES.index(item.state))
    return [CalendarLine(item, plan.name(item.code, item.value).in_(formatting.language())) for item in items]


def _sentence(index: str, key: str | None) -> str:
    """Return the plain sentence for a class of an index; "" where there is none."""
    found = SENTENCES[index].get(key or "")
    return formatting.label(found) if found else ""


def _flagged(event: Event) -> str:
    """Return the words of a flag for the timeline."""
    details = event.details
    return formatting.flag_words(
        RaisedFlag(event.what, details["urgency"], details["subject"], details, event.at)
    )


def _either(table: Mapping[str, Text], code: str | None) -> str:
    """Return a code's words in the reader's language; an unknown code (of a newer server) as it is."""
    found = table.get(code or "")
    return formatting.label(found) if found else code or ""


def _address(view: ChildView, chosen: Mapping[str, str], **changes: Any) -> str:
    """Return the page's address with a choice changed."""
    now = {**chosen, **changes}
    return url_for(
        "pages.child", child_id=view.child_id, **{name: value for name, value in now.items() if value}
    )


def _by_month(events: list[Event]) -> list[tuple[date, list[Event]]]:
    """Group events by month, in the district's time zone."""
    day_of = hub().settings.today

    def month(event: Event) -> date:
        return day_of(event.at).replace(day=1)

    return [(first, list(several)) for first, several in groupby(events, key=month)]


# -- as JSON --------------------------------------------------------------------------------------


@api.get("/children/<child_id>")
@permitted("see_children")
@answers(answer_schemas.CHILD)
def child_as_json(child_id: str) -> Response:
    """Return all that the page shows except the timeline. Logged."""
    return jsonify(child_json(_load(child_id)))


@api.get("/children/<child_id>/timeline")
@permitted("see_children")
@answers(answer_schemas.TIMELINE)
@takes(schemas.TIMELINE)
def timeline_as_json(asked: Asked, child_id: str) -> Response:
    """Return events, newest first: `kind` (if left out, all), `limit` (1 to 200), `offset`. Logged."""
    kind, limit, offset = (asked.query[name] for name in ("kind", "limit", "offset"))
    view = _load(child_id)
    events = [event for event in view.events if not kind or event.is_of(kind)]
    return jsonify(
        total=len(events),
        limit=limit,
        offset=offset,
        by_kind={name: sum(event.is_of(name) for event in view.events) for name in KINDS},
        events=timeline_json(events[offset : offset + limit]),
    )


@api.post("/children/<child_id>/nik")
@permitted("see_names")
@answers(answer_schemas.NIK)
@takes_empty_json
def nik_as_json(child_id: str) -> Response:
    """Return a child's unmasked NIK: all values if it is in conflict. Logged."""
    view = _load(child_id, whole_nik=True)
    return jsonify(id=view.child_id, nik=[value.fields.get("nik") for value in view.values.get("nik", ())])
