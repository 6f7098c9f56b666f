"""A client written from docs/protocol.md alone, in a real Chromium: it passes every vector and syncs with a served instance.

Hides how the module is loaded into a page of the server's own origin. What the client shows is compared with what the
server's tables hold, member by member.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from server import accounts
from server.sync import server_edits
from server.sync.server_edits import Edit
from tests.browser._window import served
from tests.server._district import District, to_do, what_came
from tests.vectors._make import DIRECTORY

pytestmark = pytest.mark.browser

MODULE = Path(__file__).parents[1] / "vectors" / "stranger.mjs"
LOAD = """
async (source) => {
  window.stranger = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  window.tablets = {};
}
"""


class Strangers:
    """Tablets of the stranger, by name, in one page; each call runs there and gives what came out as JSON."""

    def __init__(self, district: District, page: Page) -> None:
        self.district, self.page = district, page
        self.day = (district.clock.now - timedelta(days=2)).date().isoformat()

    def run(self, body: str, **values: Any) -> Any:
        """Run statements with the names in `values`, `tablets` and `stranger`; give what they return."""
        names = ", ".join(values)
        return self.page.evaluate(f"async ({{ {names} }}) => {{ {body} }}", values)

    def enrol(self, name: str) -> None:
        """Enrol a new tablet of the first post with a code."""
        district = self.district
        with district.hub.database.transaction() as session:
            code = accounts.make_enrolment_code(
                session, district.hub, district.posts[0], name, actor="operator", now=district.clock.now
            )
        body = "tablets[name] = await stranger.Tablet.enrol(location.origin, code, name);"
        self.run(body, name=name, code=code)

    def register(self, tablet: str, name: str = "Anak Contoh") -> str:
        """Register a made-up child; give its id."""
        identity = {"name": name, "sex": "F", "born_on": "2025-01-10", "birth_order": 1}
        body = "return tablets[tablet].registerChild({ identity });"
        found: str = self.run(body, tablet=tablet, identity=identity)
        return found

    def weigh(self, tablet: str, child: str, weight_g: int) -> str:
        """Write a weight; give the measurement's id."""
        body = "return tablets[tablet].measure(child, day, { weight: { weight_g, oedema: 'n' } });"
        found: str = self.run(body, tablet=tablet, child=child, day=self.day, weight_g=weight_g)
        return found

    def sync(self, tablet: str) -> list[str]:
        """Sync until nothing is left to do; give the statuses of the receipts."""
        found: list[str] = self.run("return tablets[tablet].sync();", tablet=tablet)
        return found

    def shown(self, tablet: str) -> dict[str, Any]:
        """Give what a tablet shows, by record; without what names it beside the child, as the tables hold it."""
        found = self.run("return tablets[tablet].shown();", tablet=tablet)
        return {
            record_id: {
                member: value for member, value in state.items() if member not in ("on", "source", "task")
            }
            for record_id, state in found.items()
        }

    def weights_g(self, tablet: str, measurement: str) -> list[int]:
        """Give the weights that a tablet shows of a measurement: several are a conflict."""
        held = self.shown(tablet)[measurement]["set"]["weight"]
        values = [it["value"] for it in held] if isinstance(held, list) else [held]
        return sorted(value["weight_g"] for value in values)

    def outcomes(self, tablet: str) -> list[str]:
        found: list[str] = self.run("return tablets[tablet].log.map((it) => it.outcome);", tablet=tablet)
        return found

    def check_agreement(self, *tablets: str) -> None:
        """Check that ledger and tables agree, and that each tablet shows just what the tables hold."""
        self.district.check_agreement()
        stored = {record_id: state for (_, record_id), (_, state) in self.district.stored().items()}
        held = {record_id: json.loads(json.dumps(state.wire())) for record_id, state in stored.items()}
        for tablet in tablets:
            assert self.shown(tablet) == held


@pytest.fixture
def strangers(on_sqlite: District, browser: Browser) -> Iterator[Strangers]:
    """Serve a district by the real calendar and load the stranger into a page of it; tablets `a` and `b` are enrolled."""
    on_sqlite.clock.now = datetime.now(UTC).replace(microsecond=0)
    with served(on_sqlite) as origin:
        context = browser.new_context(bypass_csp=True)  # our policy forbids the module, rightly
        page = context.new_page()
        page.goto(f"{origin}/healthz")
        page.evaluate(LOAD, MODULE.read_text(encoding="utf-8"))
        found = Strangers(on_sqlite, page)
        found.enrol("a")
        found.enrol("b")
        yield found
        context.close()


# -- the vectors ----------------------------------------------------------------------------------


def cases() -> list[Any]:
    """Give every case of every file, with the members that the file states for all its cases."""
    found = []
    for path in sorted(DIRECTORY.glob("*.json")):
        held = json.loads(path.read_text(encoding="utf-8"))
        shared = {} if isinstance(held, list) else {name: held[name] for name in held if name != "cases"}
        for case in held if isinstance(held, list) else held["cases"]:
            found.append(pytest.param(path.name, {**shared, **case}, id=f"{path.stem}: {case['note']}"))
    return found


@pytest.fixture(scope="module")
def vectors_page(browser: Browser) -> Iterator[Page]:
    """Load the stranger into a page that a browser trusts with WebCrypto."""
    page = browser.new_page()
    page.route(
        "http://localhost/", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html")
    )
    page.goto("http://localhost/")
    page.evaluate(LOAD, MODULE.read_text(encoding="utf-8"))
    yield page
    page.close()


@pytest.mark.parametrize(("name", "case"), cases())
def test_stranger_finds_what_the_vector_says(vectors_page: Page, name: str, case: dict[str, Any]) -> None:
    found = vectors_page.evaluate("([name, case_]) => stranger.differences(name, case_)", [name, case])
    assert found == {}


# -- a served instance ----------------------------------------------------------------------------


def test_stranger_shows_what_the_server_holds_when_it_has_synced(strangers: Strangers) -> None:
    first, second = strangers.register("a", "Anak Contoh 1"), strangers.register("a", "Anak Contoh 2")
    strangers.weigh("a", first, 9100)
    strangers.weigh("a", second, 8400)
    strangers.weigh("a", second, 8450)  # a slip of the hand, mended
    assert strangers.sync("a") == ["accepted"]
    strangers.sync("b")
    assert len(strangers.shown("b")) == 4
    strangers.check_agreement("a", "b")


def test_both_tablets_see_both_values_when_two_weighed_one_child(strangers: Strangers) -> None:
    child = strangers.register("a")
    strangers.sync("a")
    strangers.sync("b")
    measurement = strangers.weigh("a", child, 9100)
    assert strangers.weigh("b", child, 9400) == measurement
    strangers.sync("a")
    strangers.sync("b")
    strangers.sync("a")
    assert strangers.weights_g("a", measurement) == [9100, 9400]
    assert strangers.outcomes("b") == ["conflict"]
    strangers.check_agreement("a", "b")
    strangers.weigh("b", child, 9400)  # who writes with both in view settles it
    strangers.sync("b")
    strangers.sync("a")
    assert strangers.weights_g("a", measurement) == [9400]
    strangers.check_agreement("a", "b")


def test_what_is_to_be_done_comes_down_and_its_result_goes_back(strangers: Strangers) -> None:
    child, district = strangers.register("a"), strangers.district
    strangers.sync("a")
    task = district.new_id()
    edit = Edit.of_follow_up(child, task, {"task": to_do("home_visit", due_on=strangers.day)})
    with district.hub.database.transaction() as session:
        server_edits.write(
            session, district.hub, [edit], "task.made", author="operator", now=district.clock.now
        )
    strangers.sync("b")
    result = what_came("not_reached", done_on=strangers.day)
    answer = "await tablets.b.write(await tablets.b.openFollowUp(child, task), { result });"
    strangers.run(answer, child=child, task=task, result=result)
    visit = "await tablets.a.write(await tablets.a.openFollowUp(child), { task });"
    strangers.run(visit, child=child, task=to_do("counsel"))
    for tablet in ("b", "a", "b"):
        strangers.sync(tablet)
    assert strangers.outcomes("b") == ["applied"]
    assert strangers.shown("a")[edit.record_id]["set"]["result"] == [
        {"dots": [[strangers.run("return tablets.b.id;"), 1]], "value": result}
    ]
    assert len(strangers.shown("a")) == 3
    strangers.check_agreement("a", "b")


def test_same_bytes_get_the_same_receipt_when_an_answer_was_lost(strangers: Strangers) -> None:
    strangers.weigh("a", strangers.register("a"), 9100)
    twice = """
        const receipts = [];
        for (const _ of [1, 2]) receipts.push(JSON.stringify((await tablets.a.send()).receipt));
        return receipts;
    """
    lost, again = strangers.run(twice)
    assert again == lost
    assert strangers.sync("a") == ["accepted"]
    assert strangers.outcomes("a") == ["applied", "applied"]
    strangers.check_agreement("a")


def test_nothing_is_lost_or_doubled_when_a_tablet_was_cloned(strangers: Strangers) -> None:
    child = strangers.register("a")
    strangers.sync("a")
    strangers.weigh("a", child, 9000)  # both devices will hold this change, unsent
    strangers.run("tablets.clone = tablets.a.clone();")
    strangers.weigh("a", child, 9100)
    only_there = strangers.register("clone", "Anak Contoh 2")
    strangers.weigh("clone", child, 9100)
    strangers.weigh("clone", only_there, 8400)
    mended = strangers.weigh("clone", only_there, 8450)  # its context names a change that gets a new number
    assert strangers.sync("a") == ["accepted"]
    assert strangers.sync("clone") == ["new_epoch_required", "accepted"]
    assert strangers.sync("a") == ["new_epoch_required", "accepted"]
    for tablet in ("clone", "a", "b"):
        strangers.sync(tablet)
    strangers.check_agreement("a", "clone", "b")
    assert strangers.run("return tablets.a.id !== tablets.clone.id;")
    assert {child, only_there} < set(strangers.shown("a"))
    assert len(strangers.shown("a")) == 4
    assert strangers.weights_g("a", mended) == [8450]
    assert strangers.district.counts()["change"] == 7  # all that was written, each once


def test_quarantined_change_is_not_shown_and_a_correction_is(strangers: Strangers) -> None:
    child = strangers.register("a")
    strangers.weigh("a", child, 9000)
    strangers.sync("a")
    measurement = strangers.weigh("a", child, 9)
    assert strangers.weights_g("a", measurement) == [9]
    strangers.sync("a")
    assert strangers.outcomes("a") == ["applied", "applied", "quarantined"]
    strangers.check_agreement("a")
    strangers.weigh("a", child, 9050)
    strangers.sync("a")
    strangers.check_agreement("a")


def test_restored_server_gets_back_what_it_lost(strangers: Strangers) -> None:
    child = strangers.register("a")
    strangers.sync("a")
    backup = strangers.district.back_up()
    strangers.weigh("a", child, 9100)
    strangers.sync("a")
    strangers.district.restore(backup)
    strangers.weigh("a", child, 9150)
    gap = "const status = await tablets.a.receive(await tablets.a.send()); return [status, tablets.a.waiting()];"
    assert strangers.run(gap) == ["gap", [2, 3]]
    assert strangers.sync("a") == ["accepted"]
    strangers.check_agreement("a")


def test_child_that_left_the_post_is_no_longer_shown(strangers: Strangers) -> None:
    child = strangers.register("a")
    strangers.weigh("a", child, 9100)
    strangers.sync("a")
    strangers.sync("b")
    move = "await tablets.a.write(tablets.a.open('child', child), { post: { post } });"
    strangers.run(move, child=child, post=strangers.district.posts[1])
    strangers.sync("a")
    strangers.sync("b")
    assert strangers.shown("a") == strangers.shown("b") == {}


def test_pull_is_not_taken_when_it_names_a_change_that_this_device_did_not_write(
    strangers: Strangers,
) -> None:
    strangers.register("a")
    strangers.sync("a")
    shown = strangers.shown("a")
    strangers.run("tablets.copy = tablets.a.clone();")
    child = strangers.register("a", "Anak Contoh 2")
    received = """
        const answer = await tablets.a.send();
        return tablets.copy.receive({ ...answer, receipt: { ...answer.receipt, wanted: 2, items: [] } });
    """
    assert strangers.run(received) == "new_epoch_required"
    assert strangers.shown("copy") == shown
    assert child not in shown
