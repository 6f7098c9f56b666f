"""The report as rows, as an object for JSON, and as text."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict
from datetime import date
from typing import Any, Final

import orjson

from server.csv_writer import cell, csv_text, text_table
from server.supervision.completeness.counts import (
    TAKEN,
    CompletenessReport,
    Counters,
    DayCounts,
    PostLine,
    TabletLine,
    counted,
)

LEVELS: Final = ("district", "health_centre", "post", "tablet", "post-day", "tablet-day")
COLUMNS: Final = (
    "level",
    "health_centre",
    "post",
    "tablet",
    "day",
    "state",
    "last_sync_at",
    "clock_offset_ms",
    *Counters.__dataclass_fields__,
    "adds_up",
    "children",
    *DayCounts.__dataclass_fields__,
    "sentence_id",
    "sentence_en",
)


def rows_of(report: CompletenessReport) -> Iterator[dict[str, Any]]:
    """Yield a report as rows of COLUMNS, from the district to days of a tablet; a column that does not apply is None."""
    yield _row("district", **_total_columns(report, report.posts))
    centres = {post.health_centre_id: post.health_centre for post in report.posts}
    for centre_id, name in centres.items():
        own = [post for post in report.posts if post.health_centre_id == centre_id]
        yield _row("health_centre", health_centre=name, **_total_columns(report, own))
    for post in report.posts:
        place = {"health_centre": post.health_centre, "post": post.name}
        yield _row("post", **place, **_total_columns(report, [post]))
        for tablet in post.tablets:
            yield _row("tablet", **place, **_tablet_columns(tablet))
        for day, count in report.days([post]).items():
            yield _row("post-day", **place, day=day.isoformat(), **_day_columns(count))
        for tablet in post.tablets:
            for day in sorted(tablet.days):
                counts = _day_columns(counted([tablet.days[day]]))
                yield _row("tablet-day", **place, tablet=tablet.name, day=day.isoformat(), **counts)


def _row(level: str, **values: Any) -> dict[str, Any]:
    return {**dict.fromkeys(COLUMNS), "level": level, **values}


def _total_columns(report: CompletenessReport, posts: Collection[PostLine]) -> dict[str, Any]:
    counters = sum((post.counters() for post in posts), Counters())
    return {
        **asdict(counters),
        "adds_up": not any(tablet.doubtful for post in posts for tablet in post.tablets),
        "children": sum(post.children for post in posts),
        **_day_columns(sum(report.days(posts).values(), DayCounts())),
    }


def _tablet_columns(tablet: TabletLine) -> dict[str, Any]:
    last = tablet.last_sync_at
    return {
        "tablet": tablet.name,
        "state": tablet.state,
        "last_sync_at": last.isoformat(timespec="seconds") if last else None,
        "clock_offset_ms": tablet.clock_offset_ms,
        **asdict(tablet.counters),
        "adds_up": not tablet.doubtful,
    }


def _day_columns(day: DayCounts) -> dict[str, Any]:
    words = day.words()
    return {**asdict(day), "sentence_id": words["id"], "sentence_en": words["en"]}


def wire(report: CompletenessReport) -> dict[str, Any]:
    """Return a report as one object for JSON, by health centre, post and tablet, with ids."""

    def days(found: Mapping[date, DayCounts]) -> list[dict[str, Any]]:
        return [{"day": day.isoformat(), **_day_columns(count)} for day, count in found.items()]

    centres = {post.health_centre_id: post.health_centre for post in report.posts}
    return {
        "first": report.first.isoformat(),
        "last": report.last.isoformat(),
        "complete": report.complete,
        **_total_columns(report, report.posts),
        "health_centres": [
            {
                "id": centre_id,
                "name": name,
                **_total_columns(
                    report, [post for post in report.posts if post.health_centre_id == centre_id]
                ),
            }
            for centre_id, name in centres.items()
        ],
        "posts": [
            {
                "id": post.id,
                "name": post.name,
                "health_centre_id": post.health_centre_id,
                **_total_columns(report, [post]),
                "days": days(report.days([post])),
                "tablets": [
                    {
                        "id": tablet.id,
                        "replaces": tablet.replaces,
                        "replaced_by": list(tablet.replaced_by),
                        "doubtful": list(tablet.doubtful),
                        **_tablet_columns(tablet),
                        "days": days({day: counted([r]) for day, r in sorted(tablet.days.items())}),
                    }
                    for tablet in post.tablets
                ],
            }
            for post in report.posts
        ],
    }


def text_of(report: CompletenessReport, form: str) -> str:
    """Write a report as text.

    Parameters
    ----------
    form : csv, json, or table (posts and days first, then tablets)
    """
    if form == "json":
        return orjson.dumps(wire(report), option=orjson.OPT_INDENT_2).decode()
    rows = list(rows_of(report))
    if form == "csv":
        return csv_text(COLUMNS, rows)
    return "\n\n".join(
        text_table(names, [row for row in rows if row["level"] in levels], cell=_cell)
        for names, levels in ((_READ_POSTS, ("post", "post-day")), (_READ_TABLETS, ("tablet",)))
    )


_READ_POSTS: Final = ("post", "day", "children", "missing", "quarantined_open", "sentence_id", "sentence_en")
_READ_TABLETS: Final = (
    "post",
    "tablet",
    "state",
    "announced",
    "taken",
    "missing",
    *TAKEN,
    "duplicate",
    "quarantined_open",
    "adds_up",
    "last_sync_at",
    "clock_offset_ms",
)


def _cell(value: Any) -> str:
    return cell({True: "yes", False: "NO"}[value] if isinstance(value, bool) else value)
