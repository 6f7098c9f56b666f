"""Who reads far more children than usual: found, told to the supervisor, and never said of an honest day."""

import json
import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st
from sqlalchemy import select

from server import audit
from server.accounts import Person
from server.app import create_app
from server.context import AppContext
from server.database.models import Notice
from server.operations import scheduler
from server.supervision import mass_reading
from server.supervision.mass_reading import DAY, HOUR, rule
from tests._repository import ROOT
from tests.server._district import DISTRICT, District
from tests.server.web._clinic import Clinic, sign_in

NOW = datetime(2026, 3, 5, 2, 40, tzinfo=UTC)
"""10:40 in the district."""


@pytest.fixture
def clinic(installed: District) -> Clinic:
    return Clinic.opened(installed)


def look(
    hub: AppContext, person: Person, looks: list[tuple[str, dict[str, Any]]], at: datetime = NOW
) -> None:
    """Let the log say that a person has looked, a second apart, at most half an hour before a moment."""
    with hub.database.transaction() as session:
        for number, (action, details) in enumerate(looks):
            moment = at - timedelta(seconds=1800 * (len(looks) - number) / len(looks))
            actor = f"account:{person.account_id}"
            audit.append(session, DISTRICT, audit.OFFICE, action, actor=actor, now=moment, details=details)


def opened(count: int, first: int = 0) -> list[tuple[str, dict[str, Any]]]:
    """Give looks at so many children."""
    return [("child.viewed", {"child": f"child-{first + n}", "names": True}) for n in range(count)]


def run(clinic: Clinic, now: datetime = NOW) -> dict[str, Any]:
    hub = clinic.district.hub
    return dict(scheduler.timetable(hub.settings)["mass-reading"].task(hub, now))


def told(clinic: Clinic) -> list[dict[str, Any]]:
    rows = clinic.district.rows(select(Notice.details).where(Notice.kind == mass_reading.KIND))
    return [json.loads(row.details) for row in rows]


def test_three_hundred_children_in_an_hour_raise_a_question(clinic: Clinic) -> None:
    hub, person = clinic.district.hub, clinic.person()
    look(hub, person, opened(300))
    assert run(clinic) == {"raised": 1, "removed": 0}
    (notice,) = told(clinic)
    assert (notice["window"], notice["children"], notice["allowed"]) == (HOUR, 300, rule().floor[HOUR])
    assert notice["began_at"] == "2026-03-05T10:00:00+08:00"
    assert clinic.district.actions(audit.OFFICE)[-1] == "mass-reading.raised"
    logged = len(clinic.district.actions(audit.OFFICE))
    assert run(clinic) == {"raised": 0, "removed": 0}  # told once
    assert len(clinic.district.actions(audit.OFFICE)) == logged
    look(hub, person, opened(20, first=300), NOW + timedelta(minutes=9))
    assert run(clinic, NOW + timedelta(minutes=10))["raised"] == 1  # it has grown
    assert [one["children"] for one in told(clinic)] == [320]


def test_supervisor_is_told_on_the_page_and_the_operator_in_metrics(clinic: Clinic) -> None:
    hub, person = clinic.district.hub, clinic.person()
    look(hub, person, opened(300))
    run(clinic)
    app = create_app(hub.settings, hub)
    for scope, sees in ((clinic.centre, True), (clinic.other_centre, False)):
        client = app.test_client()
        sign_in(client, clinic.person("supervisor", "health_centre", scope))
        page = client.get("/audit").text
        assert ("Jauh lebih banyak anak dibuka" in page) is sees
        assert ("300 anak" in page) is sees
        assert "child-7" not in page
    whole = app.test_client()
    sign_in(whole, clinic.person("supervisor", "district", DISTRICT))
    assert "300 anak" in whole.get("/audit").text
    assert "posyandu_mass_readings 1\n" in whole.get("/metrics").text


def test_question_stands_for_a_week(clinic: Clinic) -> None:
    look(clinic.district.hub, clinic.person(), opened(300))
    run(clinic)
    assert run(clinic, NOW + timedelta(days=6.9))["removed"] == 0
    assert run(clinic, NOW + timedelta(days=7.1)) == {"raised": 0, "removed": 1}
    assert told(clinic) == []
    assert clinic.district.actions(audit.OFFICE)[-1] == "mass-reading.ended"


def test_slow_reading_is_found_by_the_day(clinic: Clinic) -> None:
    hub, person = clinic.district.hub, clinic.person()
    for hour in range(4):
        look(hub, person, opened(150, first=150 * hour), NOW + timedelta(hours=hour))
    assert run(clinic, NOW + timedelta(hours=3, minutes=1))["raised"] == 1
    (notice,) = told(clinic)
    assert (notice["window"], notice["children"]) == (DAY, 600)


@pytest.mark.parametrize(
    ("looks", "asked"),
    [
        (opened(1) * 600, False),  # the same child
        ([("queue.viewed", {"children": 50, "offset": 0, "names": True, "page": "a"})] * 100, False),
        ([("queue.viewed", {"children": 50, "offset": 0, "names": True, "page": n}) for n in "abcdef"], True),
        ([("post.list-viewed", {"children": 60, "day": f"2026-03-{n:02}"}) for n in range(1, 6)], True),
        ([("post.list-viewed", {"children": 60, "day": "2026-03-05"})] * 50, False),
        ([("children.searched", {"by": "name", "children": 20})] * 13, True),
        ([("tablet.exposure-exported", {"tablet": "t", "children": 260})], True),
        ([("duplicate.viewed", {"children": [f"{n}", f"{n}b"]}) for n in range(130)], True),
        ([("duplicates.listed", {"pairs": 50, "offset": n}) for n in (0, 50, 100)], True),
        ([("batch.accepted", {"children": 900})], False),  # no look
    ],
)
def test_list_counts_as_what_it_shows(
    clinic: Clinic, looks: list[tuple[str, dict[str, Any]]], asked: bool
) -> None:
    look(clinic.district.hub, clinic.person(), looks)
    assert bool(run(clinic)["raised"]) is asked


NO_CHILDREN = {
    **dict.fromkeys(("donor.viewed", "csr.viewed", "people.listed"), "donors, companies' sheets and staff"),
    **dict.fromkeys(("batch.viewed", "completeness.exported", "figures.exported"), "ids, days and numbers"),
    **dict.fromkeys(("log.exported", "syncs.exported", "uploads.exported"), "ids, days and numbers"),
    "data.exported": "wants a proof and a reason each time",
}
"""Looks that are not counted, and why."""


def test_every_look_that_the_log_knows_is_counted_or_shows_no_children() -> None:
    ends = "viewed|listed|searched|exported|unmasked|[a-z-]+-(?:viewed|exported)|access-given|written"
    known = {
        action
        for file in (ROOT / "server").rglob("*.py")
        for action in re.findall(rf'"([a-z-]+\.(?:{ends}))"', file.read_text(encoding="utf-8"))
    }
    assert known >= mass_reading.LOOKS
    assert known - mass_reading.LOOKS == NO_CHILDREN.keys()


@pytest.mark.parametrize(("days", "asked"), [(0, True), (2, True), (3, False)])
def test_what_is_usual_for_a_person_is_no_question(clinic: Clinic, days: int, asked: bool) -> None:
    """Two exceptions do not become usual."""
    hub, person = clinic.district.hub, clinic.person()
    for before in range(1, days + 1):
        look(hub, person, opened(240), NOW - timedelta(days=before))
    look(hub, person, opened(400))
    assert bool(run(clinic)["raised"]) is asked


def test_others_are_no_measure(clinic: Clinic) -> None:
    hub, busy, quiet = clinic.district.hub, clinic.person(), clinic.person(scope=clinic.other_centre)
    for before in range(1, 5):
        look(hub, busy, opened(240), NOW - timedelta(days=before))
    look(hub, quiet, opened(300))
    assert run(clinic)["raised"] == 1


HOURS = st.lists(
    st.tuples(
        st.integers(0, 20),  # children opened
        st.lists(st.integers(1, 60), max_size=1),  # lists of posts
        st.integers(0, 2),  # pages of the queue
        st.lists(st.integers(0, 3), max_size=3),  # searches
    ),
    max_size=4,
)
"""The hours of a day of somebody who prepares posyandu days and works through the queue."""


@given(HOURS)
def test_no_honest_day_raises_a_question(hours: list[tuple[int, list[int], int, list[int]]]) -> None:
    today, looks = date(2026, 3, 5), []
    for number, (children, lists, pages, searches) in enumerate(hours):
        at = NOW + timedelta(hours=number)
        found = opened(children, first=20 * number)
        found += [("post.list-viewed", {"children": n, "day": f"{today}", "of": number}) for n in lists]
        found += [("queue.viewed", {"children": 50, "offset": 50 * n, "page": "x"}) for n in range(pages)]
        found += [("children.searched", {"by": "name", "children": n}) for n in searches]
        looks += [("a", at, "office", action, details) for action, details in found * 2]
    counted = mass_reading._counted(looks, UTC).get("a", {})  # type: ignore[arg-type]  # a zone without a name
    assert all(count <= rule().floor[window] for (window, _), count in counted.items()), counted


def test_morning_at_the_clinic_raises_none(clinic: Clinic) -> None:
    person = clinic.person()
    children = [clinic.child(f"Anak {n}", waz=-3.5) for n in range(4)]
    client = create_app(clinic.district.hub.settings, clinic.district.hub).test_client()
    sign_in(client, person)
    for child in children * 3:
        assert client.get("/antrean").status_code == 200
        assert client.get(f"/anak/{child}").status_code == 200
    client.get("/antrean.csv")
    assert run(clinic, datetime.now(UTC)) == {"raised": 0, "removed": 0}
