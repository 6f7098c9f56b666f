"""The figures once more, slowly: one child and one month at a time, in plain Python from the rows. An oracle for tests, and
the baseline that the benchmark measures against. It shares no code with `server.reports` but the count of completed months.
"""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.context import AppContext
from server.database.models import Assessment, Child, HealthPost, Measurement, table
from server.growth.weight_gain import months_completed

Key = tuple[str, str, str]
"""Area's kind, area, month such as 2026-03."""
LIMITS = {"haz": (-6.0, 6.0), "waz": (-6.0, 5.0), "whz": (-5.0, 5.0)}
CALLED = {"haz": "stunted", "waz": "underweight", "whz": "wasted"}
SAYS = {"cadre": "indicated", "staff": "confirmed"}


def recount(
    session: Session, hub: AppContext, now: datetime, only_month: str | None = None
) -> dict[Key, Counter[str]]:
    """Count SKDN, the codes, prevalences and arms of every area and month (or of one month) from the rows."""
    rows = session.connection().execute(select(table(Child)).where(Child.district == hub.district)).all()
    heads = {row.id: row for row in rows if row.id == row.person_id}
    members: dict[str, list[Any]] = {}
    for row in rows:
        members.setdefault(row.person_id, []).append(row)
    person_of = {row.id: row.person_id for row in rows}
    visits: dict[str, list[Any]] = {}
    for row in session.connection().execute(
        select(table(Measurement)).where(Measurement.district == hub.district, ~Measurement.removed)
    ):
        visits.setdefault(person_of[row.child_id], []).append(row)
    scores: dict[str, list[Any]] = {}
    for row in session.connection().execute(
        select(table(Assessment)).where(Assessment.district == hub.district)
    ):
        scores.setdefault(row.child_id, []).append(row)
    posts = {
        row.id: row
        for row in session.connection().execute(
            select(table(HealthPost)).where(HealthPost.district == hub.district)
        )
    }
    found: dict[Key, Counter[str]] = {}
    for head in heads.values():
        if not head.registered or head.removed or head.restricted_at or not head.wrapped_key:
            continue
        mine = visits.get(head.id, [])
        began = min(hub.settings.today(_aware(member.first_seen_at)) for member in members[head.id])
        began = min([began, *(visit.measured_on for visit in mine)])
        for month in _months(began, hub.settings.today(now)):
            if only_month is not None and month.isoformat()[:7] != only_month:
                continue
            counts = _of(head, month, mine, scores.get(head.id, []))
            if counts is not None:
                for area in _areas(posts[head.post_id]):
                    found.setdefault((*area, month.isoformat()[:7]), Counter()).update(counts)
    return found


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _areas(post: Any) -> list[tuple[str, str]]:
    village = post.village_code or ""
    return [
        ("post", post.id),
        ("village", village),
        ("subdistrict", ".".join(village.split(".")[:3])),
        ("district", ""),
        ("health_centre", post.health_centre_id),
    ]


def _months(first: date, last: date) -> list[date]:
    month, found = first.replace(day=1), []
    while month <= last:
        found.append(month)
        month = (month + timedelta(days=32)).replace(day=1)
    return found[-120:]


def _of(head: Any, month: date, visits: list[Any], scores: list[Any]) -> Counter[str] | None:
    """Count one person in one month; None for who is not under five at its end."""
    end = (month + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    if head.born_on is not None:
        if head.born_on > end:
            return None
        if int(months_completed([head.born_on], [end])[0]) >= 60:
            return None
    counts = Counter({"S": 1})
    mine = sorted(
        (score for score in scores if month <= score.measured_on <= end),
        key=lambda score: (score.measured_on, score.source),
    )
    code = next((score.gain_code for score in reversed(mine) if score.gain_code), None)
    if code is None and any('"gain":"conflict"' in (score.reasons or "") for score in mine):
        code = "O"
    if code:
        counts.update(["D", code])
    seen = sorted(
        (visit for visit in visits if month <= visit.measured_on <= end),
        key=lambda visit: visit.measured_on,
    )
    for source, says in SAYS.items():
        swollen = False
        for visit in seen:
            oedema = visit.oedema is not None and visit.oedema != "n"
            if visit.source == source and (visit.weight_g or oedema):
                swollen = oedema
        for index, called in CALLED.items():
            values = [getattr(s, index) for s in mine if s.source == source and getattr(s, index) is not None]
            newest = values[-1] if values else None
            if swollen and index != "haz":
                counts.update([f"{says}.{index}", f"{says}.{called}", f"{says}.severely_{called}"])
            elif newest is not None and LIMITS[index][0] <= newest <= LIMITS[index][1]:
                counts[f"{says}.{index}"] += 1
                counts[f"{says}.{called}"] += newest < -2
                counts[f"{says}.severely_{called}"] += newest < -3
        arms = []
        for visit in seen:
            age = int(months_completed([head.born_on], [visit.measured_on])[0]) if head.born_on else -1
            if visit.source == source and visit.muac_mm and 6 <= age <= 59:
                arms.append(visit.muac_mm)
        if arms:
            counts[f"{says}.muac"] += 1
            counts[f"{says}.thin_arm"] += arms[-1] < 125
            counts[f"{says}.very_thin_arm"] += arms[-1] < 115
    return counts
