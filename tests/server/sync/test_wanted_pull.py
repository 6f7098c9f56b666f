"""What a tablet wants of the pull, on both kinds of database; over HTTP: tests/server/web/api/test_preferences.py."""

from datetime import date
from typing import Any

import orjson
import pytest

from server.sync.pull import Wanted
from server.sync.upload import exchange
from tests.server._district import District, FakeTablet


def pulled(tablet: FakeTablet, wanted: Wanted) -> dict[str, Any]:
    """Sync once with a wish; give the page."""
    district, message = tablet.district, tablet.next_message()
    answer = orjson.loads(
        exchange(district.hub, orjson.loads(message), size_bytes=1, now=district.clock.now, wanted=wanted)
    )
    tablet.replica.receive(answer, district.clock.text())
    page: dict[str, Any] = answer["pull"]
    return page


@pytest.fixture
def child(installed: District) -> str:
    """Give a child of the first post, measured on three days, with a task."""
    other = installed.tablet()
    child = other.register_child()
    for on in ("2026-01-05", "2026-02-05", "2026-03-05"):
        other.measure(child, on, weight_g=9000, note="catatan")
    other.set_task(child)
    other.sync()
    return child


def test_measurements_from_a_day_on_come_and_all_else(installed: District, child: str) -> None:
    page = pulled(installed.tablet(), Wanted(since=date(2026, 2, 5)))
    assert [row["on"] for row in page["measurements"][child]] == ["2026-02-05", "2026-03-05"]
    assert (len(page["children"]), len(page["follow_ups"][child])) == (1, 1)


def test_one_record_a_page_skips_nothing(installed: District, child: str) -> None:
    tablet = installed.tablet()
    pages = [pulled(tablet, Wanted(max_bytes=1))]
    while pages[-1]["more"]:
        pages.append(pulled(tablet, Wanted(max_bytes=1)))
    assert len(pages) == 5
    installed.check_agreement(tablet)


@pytest.mark.usefixtures("child")
def test_whoever_wants_nothing_is_told_whether_there_is_something(installed: District) -> None:
    tablet = installed.tablet()
    first = pulled(tablet, Wanted(nothing=True))
    assert (first["cursor"], first["more"], first["children"]) == (0, True, [])
    pulled(tablet, Wanted())
    assert pulled(tablet, Wanted(nothing=True))["more"] is False


@pytest.mark.usefixtures("child")
def test_revoked_tablet_is_not_told_whether_there_is_something(installed: District) -> None:
    tablet = installed.tablet()
    installed.revoke(tablet)
    assert pulled(tablet, Wanted(nothing=True))["more"] is False
