"""The lists of review as text for the operator. Lists with names are logged, as for everybody."""

from datetime import datetime
from typing import Final

import orjson

from server.context import AppContext
from server.csv_writer import cell, csv_text, text_table
from server.review import conflicts, duplicate_pairs, manage_posts, quarantine, tablets
from server.review.scope import Scope

OPERATOR: Final = "operator"
CASE_COLUMNS: Final = (
    "actor",
    "counter",
    "state",
    "received_at",
    "post",
    "tablet",
    "kind",
    "name",
    "measured_on",
    "source",
    "reasons",
)
CONFLICT_COLUMNS: Final = (
    "kind",
    "record",
    "post",
    "name",
    "measured_on",
    "source",
    "registers",
    "incomplete",
)
TABLET_COLUMNS: Final = (
    "tablet",
    "post",
    "name",
    "taken",
    "last_sync_at",
    "clock_offset_ms",
    "state",
    "announced",
    "missing",
    "quarantined",
    "replaces",
    "posts",
)
"""New columns go after the first seven, which scripts read by position."""
POST_COLUMNS: Final = (
    "post",
    "name",
    "village",
    "health_centre",
    "children",
    "tablets",
    "last_sync_at",
    "closed_at",
)


def list_cases(hub: AppContext, form: str, *, state: str, post_id: str | None, now: datetime) -> str:
    """Write the quarantined changes: `form` is table, csv or json (as in the API)."""
    scope = Scope.whole_district(hub, shows_names=True)
    with hub.database.reading() as session:
        found, _ = quarantine.cases(session, hub, scope, state=state, post_id=post_id)
    with hub.database.transaction() as session:
        quarantine.log_listed(session, hub, OPERATOR, len(found), 0, now)
    if form == "json":
        return _json([case.wire() for case in found])
    rows = [
        {
            "actor": case.tablet_id,
            "counter": case.counter,
            "state": case.state,
            "received_at": case.received_at.isoformat(timespec="seconds"),
            "post": case.post_name,
            "tablet": case.tablet_name,
            "kind": case.kind,
            "name": case.name,
            "measured_on": case.measured_on,
            "source": case.source,
            "reasons": "; ".join(f"{why['path']} {why['code']}".strip() for why in case.reasons),
        }
        for case in found
    ]
    return csv_text(CASE_COLUMNS, rows) if form == "csv" else text_table(CASE_COLUMNS, rows)


def show_case(hub: AppContext, actor: str, counter: int, now: datetime) -> str:
    """Write one quarantined change as JSON: as it came, why it is quarantined, and its record as it is now."""
    scope = Scope.whole_district(hub, shows_names=True)
    with hub.database.reading() as session:
        shown = quarantine.case_file(session, hub, scope, actor, counter)
    with hub.database.transaction() as session:
        quarantine.log_viewed(session, hub, OPERATOR, shown, now)
    return _json(shown.wire())


def list_conflicts(hub: AppContext, form: str, *, post_id: str | None, now: datetime) -> str:
    """Write the records in conflict: `form` is table, csv or json (as in the API)."""
    scope = Scope.whole_district(hub, shows_names=True)
    with hub.database.reading() as session:
        found, _ = conflicts.conflicts(session, hub, scope, post_id=post_id)
    with hub.database.transaction() as session:
        conflicts.log_listed(session, hub, OPERATOR, len(found), 0, now)
    if form == "json":
        return _json([record.wire() for record in found])
    rows = [
        {
            "kind": record.kind,
            "record": record.record_id,
            "post": record.post_name,
            "name": record.name,
            "measured_on": record.measured_on.isoformat() if record.measured_on else None,
            "source": record.source,
            "registers": " ".join(record.registers),
            "incomplete": "yes" if record.incomplete else "",
        }
        for record in found
    ]
    return csv_text(CONFLICT_COLUMNS, rows) if form == "csv" else text_table(CONFLICT_COLUMNS, rows)


def list_posts(hub: AppContext, form: str, *, scope: Scope, now: datetime) -> str:
    """Write the posts in scope, closed ones too: `form` is table, csv or json. No names of people, so it is not logged."""
    with hub.database.reading() as session:
        found, _ = manage_posts.listed(session, hub, scope, now)
    rows = [
        {
            "post": row.id,
            "name": row.name,
            "village": row.village,
            "health_centre": row.centre_name,
            "children": row.children,
            "tablets": row.tablets,
            "last_sync_at": row.last_sync_at.isoformat(timespec="seconds") if row.last_sync_at else None,
            "closed_at": row.closed_at.isoformat(timespec="seconds") if row.closed_at else None,
        }
        for row in found
    ]
    if form == "json":
        return _json(rows)
    return csv_text(POST_COLUMNS, rows) if form == "csv" else text_table(POST_COLUMNS, rows)


def show_conflict(hub: AppContext, kind: str, record_id: str, now: datetime) -> str:
    """Write one record in conflict as JSON: every value, who gave it, and the context for settling it."""
    scope = Scope.whole_district(hub, shows_names=True)
    with hub.database.reading() as session:
        shown = conflicts.dispute(session, hub, scope, kind, record_id)
    with hub.database.transaction() as session:
        conflicts.log_viewed(session, hub, OPERATOR, shown, now)
    return _json(shown.wire())


def list_duplicates(hub: AppContext, form: str, *, status: str, now: datetime) -> str:
    """Write the pairs of children who may be one: `form` is table, csv or json (as in the API)."""
    scope = Scope.whole_district(hub, shows_names=True)
    with hub.database.reading() as session:
        found, _ = duplicate_pairs.pairs(session, hub, scope, status=status, limit=MOST_PAIRS)
    with hub.database.transaction() as session:
        duplicate_pairs.log_listed(session, hub, OPERATOR, len(found), 0, now)
    if form == "json":
        return _json([pair.wire() for pair in found])
    rows = [
        {
            "score": pair.score,
            "why": " ".join(f"{code}={percent}" for code, percent in pair.why.items()),
            "name": pair.one.name,
            "post": pair.one.post_name,
            "child": pair.one.child_id,
            "other_name": pair.other.name,
            "other_post": pair.other.post_name,
            "other": pair.other.child_id,
        }
        for pair in found
    ]
    return csv_text(DUPLICATE_COLUMNS, rows) if form == "csv" else text_table(DUPLICATE_COLUMNS, rows)


def show_duplicate(hub: AppContext, one: str, other: str, now: datetime) -> str:
    """Write two children side by side as JSON (as in the API), and log the view at both posts."""
    with hub.database.reading() as session:
        shown = duplicate_pairs.pair(session, hub, Scope.whole_district(hub, shows_names=True), one, other)
    with hub.database.transaction() as session:
        duplicate_pairs.log_viewed(session, hub, OPERATOR, shown, now)
    return _json(shown.wire())


MOST_PAIRS: Final = 10_000
DUPLICATE_COLUMNS: Final = (
    *("score", "why", "name", "post", "child"),
    *("other_name", "other_post", "other"),
)


def list_tablets(hub: AppContext, form: str) -> str:
    """Write the tablets with their state: `form` is table (tab-separated), csv or json (as in the API)."""
    with hub.database.reading() as session:
        found = tablets.tablets(session, hub, Scope.whole_district(hub, shows_names=False))
    if form == "json":
        return _json([tablet.wire() for tablet in found])
    rows = [
        {
            **tablet.wire(),
            **{"tablet": tablet.id, "post": tablet.post_name, "name": tablet.name},
            "posts": None if tablet.posts is None else "; ".join(one.name for one in tablet.posts),
        }
        for tablet in found
    ]
    if form == "csv":
        return csv_text(TABLET_COLUMNS, rows)
    lines = [TABLET_COLUMNS, *([cell(row[name], nothing="-") for name in TABLET_COLUMNS] for row in rows)]
    return "\n".join("\t".join(line) for line in lines)


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
