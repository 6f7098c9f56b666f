"""Pages of children who may be registered twice: the list, two children side by side, link and unlink."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from flask import redirect, render_template, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from server.children import ledger, linked_records
from server.children.name_similarity import likeness, words_of
from server.errors import Problem
from server.review import (
    Visit,
    duplicate_pairs,
)
from server.review.child.visits import measured
from server.review.duplicate_pairs import PairView
from server.sync import server_edits
from server.translations import N_
from server.web.auth import permitted
from server.web.charts.comparison import of_two
from server.web.current import acting, hub, scope, utc_now
from server.web.forms import registers as register_forms
from server.web.forms.registers import FIELDS
from server.web.pages.decisions import (
    Page,
    bp,
    hidden_json,
    look,
    people_names,
    to_json,
)
from server.web.paging import PAGE_ROWS, offset_of, paged
from server.web.request_schemas import decisions as schemas
from server.web.request_schemas.schema import Asked, takes
from sync_protocol import VersionVector

ALIKE: Final = 80
"""Percent from which two names are called alike, as in the search for duplicates."""
WHY: Final[Mapping[str, str]] = {
    "nik": N_("the same NIK"),
    "name": N_("names %(percent)s %% alike"),
    "parent": N_("parents’ names %(percent)s %% alike"),
    "born_same": N_("born on the same day"),
    "born_swapped": N_("day and month of birth swapped"),
    "born_near": N_("birth dates close to each other"),
    "by_hand": N_("marked by staff"),
    "more": N_("%(percent)s more children are as alike and are proposed after these"),
}
OUTER: Final[Mapping[str, str]] = {
    "open": N_("Waiting"),
    "linked": N_("One child"),
    "different": N_("Two children"),
}


@bp.get("/kembar")
@permitted("decide")
@takes(schemas.PAIRS)
def pairs(asked: Asked) -> str:
    """List children who may be registered twice, the most alike first."""
    status, number = asked.query["status"], asked.query["hal"]
    offset = offset_of(number)
    found, total = look(
        lambda s: duplicate_pairs.pairs(s, hub(), scope(), status=status, limit=PAGE_ROWS, offset=offset),
        lambda s, shown, now: duplicate_pairs.log_listed(s, hub(), acting(), len(shown[0]), offset, now),
    )
    return render_template(
        "duplicate_list.html",
        found=[(pair, _why(pair)) for pair in found],
        speaks=WHY,
        states=OUTER,
        status=status,
        paged=paged(total, number),
    )


def _why(pair: PairView) -> list[tuple[str, int]]:
    """Return why two records may be of one child, as (key of WHY, percent)."""
    spoken = []
    for code, percent in pair.why.items():
        if code == "born_on":
            code = {100: "born_same", 90: "born_swapped"}.get(percent, "born_near")
        if code in WHY:
            spoken.append((code, percent))
    return spoken


@bp.get("/kembar/<uuid:one>/<uuid:other>")
@permitted("decide")
@takes(schemas.PAIR)
def pair(asked: Asked, one: object, other: object) -> Page:
    """Show two children side by side."""
    return _pair_page(str(one), str(other), done=asked.query["selesai"])


def _pair_page(one: str, other: str, problem: Problem | None = None, done: str | None = None) -> str:
    shown = look(
        lambda s: duplicate_pairs.pair(s, hub(), scope(), one, other),
        lambda s, found, now: duplicate_pairs.log_viewed(s, hub(), acting(), found, now),
    )
    with hub().database.reading() as session:
        visits = [_visits_of(session, side.child_id) for side in (shown.one, shown.other)]
    sexes = {side.sex for side in (shown.one, shown.other) if side.sex}
    same_sex = sexes.pop() if len(sexes) == 1 else None
    linked = shown.status == "linked"
    return render_template(
        "duplicate_pair.html",
        pair=shown,
        why=[(WHY[code], percent) for code, percent in _why(shown)],
        rows=_compared(shown),
        days=_days(visits[0], [] if linked else visits[1]),
        charts=of_two(same_sex, visits[0], [] if linked else visits[1]) if same_sex else (),
        linked=linked,
        contexts=to_json({side.child_id: side.context.wire() for side in (shown.one, shown.other)}),
        names=people_names([shown.decided_by]),
        problem=problem.body() if problem else None,
        done=done,
    )


def _visits_of(session: Session, child_id: str) -> list[Visit]:
    """Return a child's measurements, newest first; of a linked child those of the whole group."""
    group = sorted(linked_records.group_of(session, hub().district, [child_id]))
    subjects = ledger.subjects(session, hub().vault, hub().district, group)
    return [v for v in measured(session, hub(), subjects, {}, shows_names=False) if not v.removed]


def _days(one: Sequence[Visit], other: Sequence[Visit]) -> list[tuple[Any, Visit | None, Visit | None]]:
    """Pair two children's measurements by day and source, newest first."""
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
            said = [[register_forms.in_words(field, value) for value in several] for several in (mine, yours)]
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
@takes(schemas.DECIDE_PAIR)
def decide_pair(asked: Asked, one: object, other: object) -> AnyResponse | Page:
    """Link two children, take the link back, call them different, or take that back."""
    first, second, what = str(one), str(other), asked.form["tindakan"]
    now, who = utc_now(), acting()
    plain = {"different": duplicate_pairs.different, "reopen": duplicate_pairs.reopen}
    linking = {"link": duplicate_pairs.link, "unlink": duplicate_pairs.unlink}
    contexts = _contexts(hidden_json(asked, "konteks")) if what in linking else {}

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
    return redirect(url_for("decisions.pair", one=first, other=second, selesai=what), 303)


def _contexts(given: Any) -> dict[str, VersionVector]:
    try:
        return schemas.vectors_of(given)
    except (AttributeError, TypeError, ValueError):
        raise Problem("request-malformed", reason="konteks") from None
