"""Export a month's SKDN counts as DHIS2 dataValueSets (JSON), by posyandu or by village. The codes are in dhis2.toml.

The counts are the figures of pages and reports (`server.reports`), updated first; nothing is counted here.
"""

import tomllib
from calendar import monthrange
from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import IO, Any, Final

import orjson

from server import reports
from server.context import AppContext
from server.interchange.export_rows import ExportQuery, places_of

ELEMENTS: Final = ("S", "K", "D", "N", "T", "O", "B")


@cache
def codes(path: Path | None = None) -> Mapping[str, Any]:
    """Read the codes from a given file, or from the one that comes with the server.

    Raises
    ------
    ValueError
        The file is not TOML, or a data element has no code.
    """
    text = path.read_text("utf-8") if path else files(__package__).joinpath("dhis2.toml").read_text("utf-8")
    table = tomllib.loads(text)
    missing = [name for name in ELEMENTS if not table.get("data_elements", {}).get(name)]
    if missing:
        raise ValueError(f"no code for {', '.join(missing)} in [data_elements]: start from dhis2.toml")
    return table


def month_of(text: str) -> tuple[date, date]:
    """Give the first and last day of a month such as 2026-03.

    Raises
    ------
    ValueError
        The text is not a month.
    """
    try:
        first = date.fromisoformat(f"{text}-01")
    except ValueError:
        raise ValueError(f"{text!r} is not a month: write it like 2026-03") from None
    return first, first.replace(day=monthrange(first.year, first.month)[1])


def write_values(
    target: IO[bytes],
    hub: AppContext,
    wanted: ExportQuery,
    *,
    by: str,
    actor: str,
    now: datetime,
    table: Mapping[str, Any] | None = None,
) -> int:
    """Write the counts of a month; return the number of values.

    Parameters
    ----------
    wanted : the posts; its first day is in the month
    by : post or village; by village, posts without a known village are left out
    actor : for the audit log of the update
    """
    table = table or codes()
    month = wanted.first.replace(day=1)
    reports.refresh(hub, now, actor=actor)
    units: dict[str, Counter[str]] = {}
    with hub.database.reading() as session:
        unit_of = {
            place.id: place.id if by == "post" else place.village_code
            for place in places_of(session, hub, wanted)
        }
        posts = [reports.Area("post", post_id, post_id, "") for post_id, unit in unit_of.items() if unit]
        numbers_by_post = reports.comparison(session, hub, reports.FigureReader.operator(hub), posts, month)
    for post in posts:
        units.setdefault(unit_of[post.id], Counter())
    for post, numbers in numbers_by_post:
        units[unit_of[post.id]].update({name: numbers.counts.get(name, 0) for name in ELEMENTS})
    period, named = f"{month:%Y%m}", table.get("organisation_units", {})
    values = [
        {
            "dataElement": table["data_elements"][element],
            "period": period,
            "orgUnit": named.get(unit, unit),
            "value": str(count[element]),
        }
        for unit, count in sorted(units.items())
        for element in ELEMENTS
    ]
    whole = {
        "dataSet": table.get("data_set"),
        "completeDate": hub.settings.today(now).isoformat(),
        "period": period,
        "dataValues": values,
    }
    target.write(orjson.dumps(whole, option=orjson.OPT_INDENT_2))
    return len(values)
