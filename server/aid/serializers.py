"""Need, overlap, donors and commitments as JSON, CSV and tables, for programs and the operator.

Rules kept here:
- A reader who sees no children (TPPS) gets what its page shows: exact numbers of those without aid, numbers of helped and
  promised from five on (null: 1 to 4), and only the number of those who get the same menu twice. Proposals name no child.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from server.aid.deliveries import Given
from server.aid.donor_view import Own
from server.aid.need import NeedSummary, Proposal
from server.aid.register import DONOR, Promise
from server.aid.sheets import Look
from server.aid.typed_text import TextReader
from server.aid.words import NEEDS
from server.csv_writer import csv_text, text_table
from server.database.models import AidActivity, CsrSheet, Donor
from server.reports.small_number_suppression import FEWEST

GAP: Final = ("code", "village", "lacking", *NEEDS, "promised", "helped", "value_rp", "activities")
DONORS: Final = ("id", *DONOR)
ROWS: Final = (
    *("row", "status", "category", "by", "menu", "village", "value_rp", "same", "reasons", "id", "en"),
)
ACTIVITIES: Final = (
    *("id", "sheet", "row", "status", "category", "menu", "funds", "title", "village", "starts_on"),
    *("ends_on", "value_rp", "reached", "same_by", "verified"),
)
OF_CHILD: Final = (
    *("delivery", "menu", "funds", "donor", "starts_on", "ends_on", "given_on", "quantity", "unit"),
    *("value_rp", "outcome", "conflicts"),
)
SHEETS: Final = ("id", "donor", "reported_to", "name", "state", "brought_at")
COMMITMENTS: Final = (
    *("id", "donor", "menu", "funds", "region", "places", "assigned", "delivered", "left", "value_rp"),
    *("starts_on", "months", "closed"),
)

OWN_COMMITMENT: Final = (
    *("id", "menu", "funds", "region", "places", "value_rp", "starts_on", "months", "closed"),
)
"""Columns of a commitment that its donor may see; numbers of assigned and delivered could be below five."""
PROPOSALS: Final = ("commitment", "donor", "menu", "village", "need", "count", "near", "seen")


def villages_of(shown: NeedSummary, names: Mapping[str, str], *, sees_children: bool) -> list[dict[str, Any]]:
    """Write one row for each village, the largest gap first."""

    def few(count: int) -> int | None:
        return count if sees_children or not 0 < count < FEWEST else None

    return [
        {
            "code": village.code,
            "village": names.get(village.code, ""),
            "lacking": village.lacking,
            **{need: village.gap[need] for need in NEEDS},
            "promised": few(village.promised),
            "helped": few(village.helped),
            "value_rp": village.value_rp,
            "activities": village.activities,
        }
        for village in shown.villages
    ]


def gap(
    shown: NeedSummary,
    names: Mapping[str, str],
    reader: TextReader,
    *,
    sees_children: bool,
    part: slice = slice(None),
) -> dict[str, Any]:
    """Write need, overlap and proposals (`part` of these, and how many there are) as JSON."""
    twice = len(shown.twice)
    return {
        "lacking": shown.lacking,
        "by_need": {need: shown.gap[need] for need in NEEDS},
        "villages": villages_of(shown, names, sees_children=sees_children),
        "nobody_there": [village.code for village in shown.nobody_there],
        "twice": twice if sees_children or not 0 < twice < FEWEST else None,
        "twice_children": [
            {"child": each.child_id, "village": each.village, "menu": each.menu, "sources": each.sources}
            for each in shown.twice
            if sees_children
        ],
        "reported_twice": [activity(row, reader) for row in shown.reported],
        "authorities": [{"company": name, "authorities": several} for name, several in shown.authorities],
        "relief": {"activities": shown.relief[0], "value_rp": shown.relief[1]},
        "other": {"activities": shown.other[0], "value_rp": shown.other[1]},
        "proposals_in_all": len(shown.proposals),
        "proposals": proposals(shown.proposals[part]),
    }


def proposals(several: Iterable[Proposal]) -> list[dict[str, Any]]:
    """Write proposals; `seen` must come back when one is assigned."""
    return [
        {
            "commitment": proposal.promise.id,
            "donor": proposal.promise.donor,
            "menu": proposal.promise.menu,
            "village": proposal.village,
            "need": proposal.need,
            "count": proposal.count,
            "near": proposal.near,
            "seen": proposal.seen,
        }
        for proposal in several
    ]


def donor(row: Donor) -> dict[str, Any]:
    """Write a donor without its contact."""
    return {name: getattr(row, name) for name in DONORS}


def commitment(promise: Promise) -> dict[str, Any]:
    """Write a commitment with how much of it is used."""
    same = {name: getattr(promise, name) for name in COMMITMENTS if name not in ("region", "starts_on")}
    return {
        **same,
        "donor_id": promise.donor_id,
        "region": promise.region_code,
        "starts_on": promise.starts_on.isoformat(),
    }


def own(mine: Own, reader: TextReader) -> dict[str, Any]:
    """Write a donor's page: it has no child, no date of a delivery and no number of 1 to 4."""
    return {
        "donor": donor(mine.donor),
        "commitments": [
            {
                **{name: columns[name] for name in OWN_COMMITMENT},
                "reached": each.reached,
                "verified": each.verified,
                "given_rp": each.value_rp,
            }
            for each in mine.progress
            for columns in (commitment(each.promise),)
        ],
        "growth": [
            {"months": each.months, "of": each.of, "measured": each.measured, "not_fallen": each.better}
            for each in mine.growth
        ],
        "activities": [
            {
                "title": reader.title(row),
                "category": row.category,
                "village": row.village_code,
                "value_rp": row.value_rp,
                "told_elsewhere": row.same_as is not None,
            }
            for row in mine.activities
        ],
    }


def given(delivery: Given) -> dict[str, Any]:
    """Write a delivery to a child, for a reader who may decide about the child."""
    return {
        "child": delivery.child_id,
        "delivery": delivery.delivery,
        "aid": delivery.aid,
        "delivered": delivery.delivered,
        "evidence": delivery.evidence,
        "verified": delivery.verified,
        "note": delivery.note,
        "donor": delivery.donor,
        "conflicts": delivery.conflicts,
        "context": orjson.loads(delivery.context),
    }


def of_child(delivery: Given) -> dict[str, Any]:
    """Write a delivery to a child as one row of a table."""
    aid, delivered, verified = delivery.aid or {}, delivery.delivered or {}, delivery.verified or {}
    columns = {
        "delivery": delivery.delivery,
        **{name: aid.get(name) for name in ("menu", "funds", "starts_on", "ends_on")},
        "donor": delivery.donor,
        **{name: delivered.get(name) for name in ("given_on", "quantity", "unit", "value_rp")},
        "outcome": verified.get("outcome"),
        "conflicts": " ".join(delivery.conflicts),
    }
    return {name: columns[name] for name in OF_CHILD}


def activity(row: AidActivity, reader: TextReader) -> dict[str, Any]:
    """Write an activity for a village, without the original row and without a child; `title` is "" where it is not shown."""
    return {
        "id": row.id,
        "donor": row.donor_id,
        "sheet": row.sheet_id,
        "row": row.row,
        "status": row.status,
        "category": row.category,
        "menu": row.menu,
        "funds": row.funds,
        "title": reader.title(row),
        "village": row.village_code,
        "starts_on": row.starts_on.isoformat() if row.starts_on else None,
        "ends_on": row.ends_on.isoformat() if row.ends_on else None,
        "value_rp": row.value_rp,
        "reached": row.reached,
        "same_by": row.same_by if row.same_as else None,
        "reasons": orjson.loads(row.reasons),
        "verified": row.verified_at is not None,
    }


def sheet(row: CsrSheet, reader: TextReader) -> dict[str, Any]:
    """Write a sheet of a company or an agency; `name` is "" where it is not shown."""
    return {
        "id": row.id,
        "donor": row.donor_id,
        "reported_to": row.reported_to,
        "name": reader.name(row),
        "state": row.state,
        "counts": orjson.loads(row.counts),
        "brought_at": row.brought_at.isoformat(),
    }


def look(shown: Look, *, titles: bool) -> dict[str, Any]:
    """Write a preview of a sheet, without the beneficiaries; without `titles` these are "" too."""
    return {
        "headers": shown.headers,
        "columns": shown.mapping,
        "counts": shown.counts,
        "rows": [
            {
                "row": parsed.number,
                "title": parsed.title if titles else "",
                "category": found.category,
                "menu": found.menu,
                "village": village or None,
                "starts_on": parsed.starts_on.isoformat() if parsed.starts_on else None,
                "ends_on": parsed.ends_on.isoformat() if parsed.ends_on else None,
                "value_rp": parsed.value_rp,
                "reached": parsed.reached,
                "reasons": [*parsed.reasons, *why],
            }
            for parsed, found, village, why in shown.rows
        ],
    }


def listed(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], form: str) -> str:
    """Write rows as JSON with all their values, or as CSV or a table of some columns."""
    return json_of(rows) if form == "json" else text_of(columns, rows, form)


def text_of(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], form: str) -> str:
    """Write rows as CSV (spreadsheets do not read any text as a formula) or as a text table."""
    return csv_text(columns, rows) if form == "csv" else text_table(columns, rows)


def json_of(value: object) -> str:
    """Write indented JSON."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
