"""Who needs aid, by need, and who of them has none."""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from typing import Final

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from server.aid.area import AidArea
from server.aid.need.columns import ID, Ids, fixed_width, is_first, locate, split_texts
from server.aid.need.model import Needing, PeriodAid
from server.aid.need.places import Places
from server.aid.words import NEEDS
from server.children.review_queue import NO_FLAG
from server.context import AppContext
from server.database.engine import column_texts
from server.database.models import Attention, Child
from server.review.scope import queue_within, within

NEED_OF: Final = {
    "severely_stunted": "stunted",
    "stunted": "stunted",
    "oedema": "wasted",
    "severely_wasted": "wasted",
    "wasted": "wasted",
    "muac_severe": "wasted",
    "muac_moderate": "wasted",
    "two_t": "two_t",
}
"""Flags that call for aid -> the need."""

OLDEST: Final = timedelta(1826)
"""Age up to which a child of a family at risk needs aid: five years."""

_RANK: Final = {need: rank for rank, need in enumerate(NEEDS)}


def find_needing(
    session: Session, hub: AppContext, area: AidArea, places: Places, aid: PeriodAid, today: date
) -> Needing:
    """Find everybody who needs aid, and who of them has some."""
    helped, promised = np.zeros(len(places.codes), np.intp), np.zeros(len(places.codes), np.intp)
    lacking = {}
    for need, ids, posts in _ids_in_need(session, hub, area, today):
        villages, (index, has) = places.of(posts), locate(ids, aid.people)
        delivered = has.copy()
        delivered[has] = aid.delivered[index[has]]
        helped += places.count(villages[delivered])
        promised += places.count(villages[has & ~delivered])
        lacking[need] = ids[~has], villages[~has]
    return Needing(helped, promised, lacking)


def _ids_in_need(
    session: Session, hub: AppContext, area: AidArea, today: date
) -> Iterator[tuple[str, Ids, Ids]]:
    """Give by need everybody who needs aid, those in greatest need first: (need, ids, posts).

    First those with a flag that calls for aid; a row of the queue names the rules of all its flags, so the flags need not be
    loaded. Then children of families at risk without such a flag; of linked records, the first.
    """
    a = Attention
    query = select(a.child_id, a.post_id, a.rules, a.sort_key)
    query = query.where(queue_within(hub, area.scope), a.urgency < NO_FLAG)
    names = ("child_id", "post_id", "rules")
    flagged, posts_text, rules_text = column_texts(session, query, names, "sort_key", "child_id")
    ids, posts = fixed_width(flagged, ID), fixed_width(posts_text, ID)
    needs = np.fromiter(map(_need_of, split_texts(rules_text)), np.intp, len(ids))
    for rank, need in enumerate(NEEDS):
        if need != "krs":
            yield need, ids[needs == rank], posts[needs == rank]
    risks = select(Child.person_id, Child.post_id, Child.id).where(
        *(~Child.removed, within(hub, area.scope), Child.krs_until >= today),
        (Child.born_on.is_(None)) | (Child.born_on > today - OLDEST),
    )
    columns = column_texts(session, risks, ("person_id", "post_id"), "person_id", "id")
    people, posts = (fixed_width(column, ID) for column in columns)
    once = is_first(people)
    people, posts = people[once], posts[once]
    index, found = locate(ids[needs >= 0], people)
    unflagged = np.ones(len(people), bool)
    unflagged[index[found]] = False
    yield "krs", people[unflagged], posts[unflagged]


@cache
def _need_of(rules_text: str) -> int:
    """Give the rank of the greatest need that a person's flags call for, -1 for none. Cached, as sets of rules are few."""
    return min((_RANK[NEED_OF[rule]] for rule in rules_text.split() if rule in NEED_OF), default=-1)
