"""Gap, overlap, donors and what they promised, written for programs and for who operates the installation.

Rules kept here:
- Who sees no child (TPPS) is told what its page tells: exact numbers of who has nothing, the helped and promised from
  five on (null: one to four), and of whom the same comes twice how many alone. Proposals never name a child.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from server.aid.deliveries import Given
from server.aid.need import NeedSummary, Proposal
from server.aid.progress import Own
from server.aid.register import DONOR, Promise
from server.aid.sheets import Look
from server.aid.words import NEEDS
from server.database.models import AidActivity, CsrSheet, Donor
from server.reports.small_number_suppression import FEWEST
from server.tabular import csv_text, text_table

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
"""What a donor is told of its commitment: how many are assigned and delivered could be of fewer than five."""
PROPOSALS: Final = ("commitment", "donor", "menu", "village", "need", "count", "near", "seen")


def villages_of(shown: NeedSummary, names: Mapping[str, str], *, sees_children: bool) -> list[dict[str, Any]]:
    """Give one row for each village, the widest gap first."""

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
    shown: NeedSummary, names: Mapping[str, str], *, sees_children: bool, part: slice = slice(None)
) -> dict[str, Any]:
    """Give gap, overlap and proposals (`part` of them, and how many there are), as JSON has them."""
    twice = len(shown.twice)
    return {
        "lacking": shown.lacking,
        "by_need": {need: shown.gap[need] for need in NEEDS},
        "villages": villages_of(shown, names, sees_children=sees_children),
        "nobody_there": [village.code for village in shown.nobody_there],
        "twice": twice if sees_children or not 0 < twice < FEWEST else None,
        "twice_children": [
            {"child": one.child_id, "village": one.village, "menu": one.menu, "sources": one.sources}
            for one in shown.twice
            if sees_children
        ],
        "reported_twice": [activity(row) for row in shown.reported],
        "authorities": [{"company": name, "authorities": several} for name, several in shown.authorities],
        "relief": {"activities": shown.relief[0], "value_rp": shown.relief[1]},
        "other": {"activities": shown.other[0], "value_rp": shown.other[1]},
        "proposals_in_all": len(shown.proposals),
        "proposals": proposals(shown.proposals[part]),
    }


def proposals(several: Iterable[Proposal]) -> list[dict[str, Any]]:
    """Give what could close the gap; `seen` is what assigning one asks for."""
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
    """Give a donor without how it is reached."""
    return {name: getattr(row, name) for name in DONORS}


def commitment(promise: Promise) -> dict[str, Any]:
    """Give a commitment with how much of it is used."""
    told = {name: getattr(promise, name) for name in COMMITMENTS if name not in ("region", "starts_on")}
    return {
        **told,
        "donor_id": promise.donor_id,
        "region": promise.region_code,
        "starts_on": promise.starts_on.isoformat(),
    }


def own(mine: Own) -> dict[str, Any]:
    """Give a donor's page: never a child, a day of a delivery or a number of one to four."""
    return {
        "donor": donor(mine.donor),
        "commitments": [
            {
                **{name: told[name] for name in OWN_COMMITMENT},
                "reached": one.reached,
                "verified": one.verified,
                "given_rp": one.value_rp,
            }
            for one in mine.progress
            for told in (commitment(one.promise),)
        ],
        "growth": [
            {"months": one.months, "of": one.of, "measured": one.measured, "not_fallen": one.better}
            for one in mine.growth
        ],
        "activities": [
            {
                "title": row.title,
                "category": row.category,
                "village": row.village_code,
                "value_rp": row.value_rp,
                "told_elsewhere": row.same_as is not None,
            }
            for row in mine.activities
        ],
    }


def given(one: Given) -> dict[str, Any]:
    """Give an aid of a child, for who may decide about the child."""
    return {
        "child": one.child_id,
        "delivery": one.delivery,
        "aid": one.aid,
        "delivered": one.delivered,
        "evidence": one.evidence,
        "verified": one.verified,
        "note": one.note,
        "donor": one.donor,
        "conflicts": one.conflicts,
        "context": orjson.loads(one.context),
    }


def of_child(one: Given) -> dict[str, Any]:
    """Give an aid of a child as one row of a table."""
    aid, came, verified = one.aid or {}, one.delivered or {}, one.verified or {}
    told = {
        "delivery": one.delivery,
        **{name: aid.get(name) for name in ("menu", "funds", "starts_on", "ends_on")},
        "donor": one.donor,
        **{name: came.get(name) for name in ("given_on", "quantity", "unit", "value_rp")},
        "outcome": verified.get("outcome"),
        "conflicts": " ".join(one.conflicts),
    }
    return {name: told[name] for name in OF_CHILD}


def activity(row: AidActivity) -> dict[str, Any]:
    """Give what was done for a village; nothing of the row as it came, and no child."""
    return {
        "id": row.id,
        "donor": row.donor_id,
        "sheet": row.sheet_id,
        "row": row.row,
        "status": row.status,
        "category": row.category,
        "menu": row.menu,
        "funds": row.funds,
        "title": row.title,
        "village": row.village_code,
        "starts_on": row.starts_on.isoformat() if row.starts_on else None,
        "ends_on": row.ends_on.isoformat() if row.ends_on else None,
        "value_rp": row.value_rp,
        "reached": row.reached,
        "same_by": row.same_by if row.same_as else None,
        "reasons": orjson.loads(row.reasons),
        "verified": row.verified_at is not None,
    }


def sheet(row: CsrSheet) -> dict[str, Any]:
    """Give a sheet of a company or an agency."""
    return {
        "id": row.id,
        "donor": row.donor_id,
        "reported_to": row.reported_to,
        "name": row.name,
        "state": row.state,
        "counts": orjson.loads(row.counts),
        "brought_at": row.brought_at.isoformat(),
    }


def look(shown: Look) -> dict[str, Any]:
    """Give a sheet as it would be taken; who received something is not told."""
    return {
        "headers": shown.headers,
        "columns": shown.mapping,
        "counts": shown.counts,
        "rows": [
            {
                "row": told.number,
                "title": told.title,
                "category": found.category,
                "menu": found.menu,
                "village": village or None,
                "starts_on": told.starts_on.isoformat() if told.starts_on else None,
                "ends_on": told.ends_on.isoformat() if told.ends_on else None,
                "value_rp": told.value_rp,
                "reached": told.reached,
                "reasons": [*told.reasons, *why],
            }
            for told, found, village, why in shown.rows
        ],
    }


def listed(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], form: str) -> str:
    """Write rows as JSON, with all that they hold, or as CSV or a table of some columns."""
    return json_of(rows) if form == "json" else text_of(columns, rows, form)


def text_of(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], form: str) -> str:
    """Write rows as CSV (no text is taken for a formula by a spreadsheet) or as a table for reading."""
    return csv_text(columns, rows) if form == "csv" else text_table(columns, rows)


def json_of(value: object) -> str:
    """Write JSON for reading."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
