"""A month's SKDN counts as DHIS2's dataValueSets (JSON), by posyandu or by village. Codes are data: dhis2.toml.

S are those registered and under five at the month's end, linked children as one; K of them hold a KMS or Buku KIA; D were
weighed by a cadre in the month; N, T, O, B are judged from that month's last weighing. Who was weighed and
cannot be judged (the first month of life, values in conflict) is in D alone, so D may exceed N + T + O + B.
"""

import tomllib
from calendar import monthrange
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import IO, Any, Final

import orjson
from sqlalchemy.orm import Session

from server.hub import Hub
from server.interchange.cells import age_on
from server.interchange.leaving import LeavingVisit, PostPlace, Wanted, children_of, places_of, visits
from server.review import Scope

ELEMENTS: Final = ("S", "K", "D", "N", "T", "O", "B")
UNDER_MONTHS: Final = 60


@cache
def codes(path: Path | None = None) -> Mapping[str, Any]:
    """Read the codes: a file of one's own, or the one that comes with the server.

    Raises
    ------
    ValueError
        It is no TOML, or a data element has no code.
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
        It is none.
    """
    try:
        first = date.fromisoformat(f"{text}-01")
    except ValueError:
        raise ValueError(f"{text!r} is not a month: write it like 2026-03") from None
    return first, first.replace(day=monthrange(first.year, first.month)[1])


def counts(session: Session, hub: Hub, wanted: Wanted) -> dict[str, tuple[PostPlace, Counter[str]]]:
    """Count by post.

    Parameters
    ----------
    wanted : its days are a whole month
    """
    found = {place.id: (place, Counter[str]()) for place in places_of(session, hub, wanted)}
    for place, count in found.values():
        seen: dict[str, bool] = {}
        for child in children_of(session, hub, wanted, place):
            if child.born_on is not None and not 0 <= age_on(child.born_on, wanted.last)[0] < UNDER_MONTHS:
                continue
            holds = bool(child.get("books", "kms") or child.get("books", "kia"))
            seen[child.person_id] = seen.get(child.person_id, False) or holds
        count["S"], count["K"] = len(seen), sum(seen.values())
        last: dict[str, LeavingVisit] = {}
        for visit in visits(session, hub, replace(wanted, area=Scope("post", place.id, shows_names=False))):
            if visit.weight_g is not None and visit.child.person_id in seen:
                earlier = last.get(visit.child.person_id)
                if earlier is None or earlier.measured_on <= visit.measured_on:
                    last[visit.child.person_id] = visit
        count["D"] = len(last)
        count.update(visit.gain for visit in last.values() if visit.gain)
    return found


def write_values(
    target: IO[bytes],
    session: Session,
    hub: Hub,
    wanted: Wanted,
    *,
    by: str,
    now: datetime,
    table: Mapping[str, Any] | None = None,
) -> int:
    """Write the counts of a month; give how many values there are.

    Parameters
    ----------
    by : post or village; posts whose village is not known are left out of the latter
    """
    table = table or codes()
    units: dict[str, Counter[str]] = {}
    for place, count in counts(session, hub, wanted).values():
        unit = place.id if by == "post" else place.village_code
        if unit:
            units.setdefault(unit, Counter()).update(count)
    period, named = f"{wanted.first:%Y%m}", table.get("organisation_units", {})
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
        "completeDate": now.astimezone().date().isoformat(),
        "period": period,
        "dataValues": values,
    }
    target.write(orjson.dumps(whole, option=orjson.OPT_INDENT_2))
    return len(values)
