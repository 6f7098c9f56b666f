"""Which aid a person has in a period, delivered or promised, and who gets the same menu from several sources."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
from sqlalchemy import Text, case, cast, func, literal, literal_column, or_, select, union_all
from sqlalchemy.orm import Session

from server.aid.area import AidArea
from server.aid.need.columns import (
    DAY,
    ID,
    Ids,
    Numbers,
    fixed_width,
    is_first,
    iso_bytes,
    locate,
    split_texts,
)
from server.aid.need.model import PeriodAid, Twice
from server.aid.need.places import Places
from server.aid.words import STATE
from server.context import AppContext
from server.database.engine import column_texts
from server.database.models import CalendarDay, Child, Delivery, FollowUp
from server.review.scope import rows_within

BUILT: Final = frozenset({"latrine", "water", "housing"})

"""Menus that last without end."""

ONCE: Final = timedelta(30)
"""How long aid counts that was given on one day and is used up."""


def load_aid(
    session: Session, hub: AppContext, area: AidArea, places: Places, first: date, last: date, today: date
) -> PeriodAid:
    """Load which aid lasts in a period or is promised for later, and what was given in it."""
    columns = _aid_columns(session, hub, area, first, last, today)
    people = _person_ids(session, hub, fixed_width(columns["child_id"], ID))
    villages = places.of(fixed_width(columns["post_id"], ID))
    # ISO dates compare the same as text
    begins, ends = fixed_width(columns["begins"], DAY), fixed_width(columns["ends"], DAY)
    given, once = fixed_width(columns["given"], 1) == b"1", fixed_width(columns["once"], 1) == b"1"

    def lasts(day: date) -> Any:
        return ends >= np.where(once, iso_bytes(day - ONCE), iso_bytes(day))

    in_period = (begins <= iso_bytes(last)) & lasts(first)
    later = ~in_period & ~given & lasts(today)
    by_person = np.argsort(people, kind="stable")
    rows = by_person[(in_period | later)[by_person]]
    first_of = np.flatnonzero(is_first(people[rows]))
    return PeriodAid(
        people[rows[first_of]],
        np.logical_or.reduceat((in_period & given)[rows], first_of) if len(first_of) else np.zeros(0, bool),
        places.count(villages, np.fromstring(columns["value_rp"], np.int64, sep=";")),
        _find_overlaps(people, by_person[in_period[by_person]], columns, places.codes, villages),
    )


def _person_ids(session: Session, hub: AppContext, children: Ids) -> Ids:
    """Give the person of each child: for a linked record the canonical one, else the child itself."""
    rows = session.connection().execute(
        select(Child.id, Child.person_id).where(Child.district == hub.district, Child.person_id != Child.id)
    )
    linked = np.array(sorted((child_id, person_id) for child_id, person_id in rows.all()), f"S{ID}")
    if not len(linked):
        return children
    at, found = locate(children, np.ascontiguousarray(linked[:, 0]))
    return np.where(found, linked[at, 1], children)


def _aid_columns(
    session: Session, hub: AppContext, area: AidArea, first: date, last: date, today: date
) -> dict[str, str]:
    """Load aid that lasts in a period or later, or was given in it, as columns. `once` is 1 where `ends` is the day on which
    aid was given that lasts for ONCE. Aid found "not received" is left out."""
    d, f, since = Delivery, FollowUp, min(first, today) - ONCE
    built = d.menu.in_(sorted(BUILT))
    begins = case((d.given_on < d.starts_on, d.given_on), else_=func.coalesce(d.starts_on, d.given_on))
    ends = func.coalesce(d.ends_on, case((built, literal(date.max, CalendarDay()))), d.given_on, d.starts_on)
    donor = func.coalesce(cast(d.donor_id, Text()), d.funds, "?")
    in_period = d.given_on.between(first, last)
    given = select(
        *(d.child_id, d.post_id, func.coalesce(d.menu, "other").label("menu")),
        *(case((d.funds.in_(sorted(STATE)), "state"), else_=donor).label("source"), d.given),
        *(begins.label("begins"), ends.label("ends")),
        case((d.ends_on.is_not(None), 0), (built, 0), else_=1).label("once"),
        case((in_period, func.coalesce(d.value_rp, 0)), else_=0).label("value_rp"),
    ).where(
        *(rows_within(hub, area.scope, d), ~d.removed, func.coalesce(d.outcome, "") != "not_received"),
        *(or_(ends >= since, in_period), or_(d.starts_on.is_not(None), d.given_on.is_not(None))),
    )
    # an open PMT course of the state counts as food until its result is reported
    courses = select(
        *(f.child_id, f.post_id, literal("food"), literal("pmt"), literal(1)),
        *(literal(date.min, CalendarDay()), literal(date.max, CalendarDay()), literal(0), literal(0)),
    ).where(
        # a literal, not a parameter: the partial index of open follow-ups needs it
        *(rows_within(hub, area.scope, f), f.has_result == literal_column("0")),
        *(f.action == "pmt", ~f.removed),
    )
    names = given.selected_columns.keys()
    return dict(zip(names, column_texts(session, union_all(given, courses), names), strict=True))


def _find_overlaps(
    people: Ids, current: Numbers, columns: Mapping[str, str], codes: Sequence[str], villages: Numbers
) -> list[Twice]:
    """Find people who get the same menu from several sources at the same time.

    Parameters
    ----------
    people, villages : the person and the village of each row of `columns`
    current : the rows of aid that lasts in the period, ordered by person
    """
    first = is_first(people[current])
    alone = first & np.append(first[1:], True)
    rows = current[~alone].tolist()
    if not rows:
        return []
    texts = [split_texts(columns[name]) for name in ("menu", "source", "begins", "ends", "once")]
    by_menu: defaultdict[tuple[str, str], list[tuple[str, str, str, int]]] = defaultdict(list)
    for row in rows:
        menu, source, begins, ends, once = (column[row] for column in texts)
        ends = (min(date.fromisoformat(ends), date.max - ONCE) + ONCE).isoformat() if once == "1" else ends
        by_menu[people[row].decode(), menu].append((source, begins, ends, row))
    found = []
    for (person_id, menu), aids in sorted(item for item in by_menu.items() if len(item[1]) > 1):
        sources = {
            source
            for n, (source_1, begins_1, ends_1, _) in enumerate(aids)
            for source_2, begins_2, ends_2, _ in aids[n + 1 :]
            if source_1 != source_2 and begins_1 <= ends_2 and begins_2 <= ends_1
            for source in (source_1, source_2)
        }
        if sources:
            village = codes[villages[aids[0][-1]]]
            found.append(Twice(person_id, village or None, menu, tuple(sorted(sources))))
    return found
