"""The desk's lists as text, for who operates the installation: what is shown with names is logged, as for anybody."""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import orjson

from server.hub import Hub
from server.review import conflicts, duplicates, quarantine, tablets
from server.review.flagged import spreadsheet_safe
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
)
"""The first seven are older than the others: scripts read them by place."""


def list_cases(hub: Hub, form: str, *, state: str, post_id: str | None, now: datetime) -> str:
    """Write the changes that were set aside: `form` is table, csv or json (as the API has them)."""
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
    return _csv(CASE_COLUMNS, rows) if form == "csv" else _table(CASE_COLUMNS, rows)


def show_case(hub: Hub, actor: str, counter: int, now: datetime) -> str:
    """Write one change that was set aside, as JSON: as it came, why, and its record as it stands."""
    scope = Scope.whole_district(hub, shows_names=True)
    with hub.database.reading() as session:
        shown = quarantine.case_file(session, hub, scope, actor, counter)
    with hub.database.transaction() as session:
        quarantine.log_viewed(session, hub, OPERATOR, shown, now)
    return _json(shown.wire())


def list_conflicts(hub: Hub, form: str, *, post_id: str | None, now: datetime) -> str:
    """Write the records on which tablets disagree: `form` is table, csv or json (as the API has them)."""
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
    return _csv(CONFLICT_COLUMNS, rows) if form == "csv" else _table(CONFLICT_COLUMNS, rows)


def show_conflict(hub: Hub, kind: str, record_id: str, now: datetime) -> str:
    """Write one record in conflict, as JSON: every value, who gave it, and the context to pass back."""
    scope = Scope.whole_district(hub, shows_names=True)
    with hub.database.reading() as session:
        shown = conflicts.dispute(session, hub, scope, kind, record_id)
    with hub.database.transaction() as session:
        conflicts.log_viewed(session, hub, OPERATOR, shown, now)
    return _json(shown.wire())


def list_duplicates(hub: Hub, form: str, *, status: str, now: datetime) -> str:
    """Write the pairs of children who may be one: `form` is table, csv or json (as the API has them)."""
    scope = Scope.whole_district(hub, shows_names=True)
    with hub.database.reading() as session:
        found, _ = duplicates.pairs(session, hub, scope, status=status, limit=MOST_PAIRS)
    with hub.database.transaction() as session:
        duplicates.log_listed(session, hub, OPERATOR, len(found), 0, now)
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
    return _csv(DUPLICATE_COLUMNS, rows) if form == "csv" else _table(DUPLICATE_COLUMNS, rows)


def show_duplicate(hub: Hub, one: str, other: str, now: datetime) -> str:
    """Write two children side by side, as the API gives them, and log at both posts that somebody looked."""
    with hub.database.reading() as session:
        shown = duplicates.pair(session, hub, Scope.whole_district(hub, shows_names=True), one, other)
    with hub.database.transaction() as session:
        duplicates.log_viewed(session, hub, OPERATOR, shown, now)
    return _json(shown.wire())


MOST_PAIRS: Final = 10_000
DUPLICATE_COLUMNS: Final = (
    *("score", "why", "name", "post", "child"),
    *("other_name", "other_post", "other"),
)


def list_tablets(hub: Hub, form: str) -> str:
    """Write the tablets with what became of each: `form` is table (with tabs), csv or json (as the API has them)."""
    with hub.database.reading() as session:
        found = tablets.tablets(session, hub, Scope.whole_district(hub, shows_names=False))
    if form == "json":
        return _json([tablet.wire() for tablet in found])
    rows = [
        {**tablet.wire(), "tablet": tablet.id, "post": tablet.post_name, "name": tablet.name}
        for tablet in found
    ]
    if form == "csv":
        return _csv(TABLET_COLUMNS, rows)
    lines = [TABLET_COLUMNS, *([_cell(row[name], "-") for name in TABLET_COLUMNS] for row in rows)]
    return "\n".join("\t".join(line) for line in lines)


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([spreadsheet_safe(row[name]) for name in columns] for row in rows)
    return text.getvalue()


def _table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    cells = [list(columns), *([_cell(row[name], "–") for name in columns] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(columns))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def _cell(value: Any, nothing: str) -> str:
    """Write a value on one line; what could move the cursor becomes a question mark."""
    if value is None:
        return nothing
    return "".join(letter if letter.isprintable() else "?" for letter in str(value))
