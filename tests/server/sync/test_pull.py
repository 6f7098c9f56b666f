"""The pull: how much is read and decrypted for it, and who gets it."""

from typing import Any

import orjson
import pytest
from sqlalchemy import event

from server.children import ledger
from server.sync import pull, upload
from tests.server._district import District, FakeTablet


def opened(district: District, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note whenever a state is decrypted for a pull."""
    noted: list[str] = []
    read_child, read_keyed = ledger.read_child, ledger.read_keyed

    def child(*arguments: Any) -> bytes:
        noted.append("child")
        return read_child(*arguments)

    def keyed(*arguments: Any) -> bytes:
        noted.append(arguments[1])
        return read_keyed(*arguments)

    monkeypatch.setattr(ledger, "read_child", child)
    monkeypatch.setattr(ledger, "read_keyed", keyed)
    return noted


def a_post_of(district: District, children: int) -> FakeTablet:
    writer = district.tablet()
    for _ in range(children):
        child = writer.register_child()
        writer.measure(child, weight_g=9000, note="menangis")
        writer.set_task(child, action="counsel")
    writer.sync_until_quiet()
    return writer


def test_no_more_is_decrypted_than_is_sent(installed: District, monkeypatch: pytest.MonkeyPatch) -> None:
    a_post_of(installed, 30)
    object.__setattr__(installed.hub.settings, "max_pull_bytes", 3000)
    noted, cursor, pages = opened(installed, monkeypatch), 0, 0
    while True:
        noted.clear()
        with installed.hub.database.reading() as session:
            page = pull.page_after(session, installed.hub, installed.posts[0], cursor)
        sent = orjson.loads(orjson.dumps(page))
        measured = sum(len(rows) for rows in sent["measurements"].values())
        assert noted.count("child") == len(sent["children"])
        assert noted.count("measurement") == measured  # each has a note
        assert noted.count("follow_up") == 0  # nothing personal
        assert len(orjson.dumps(sent)) < 3600
        cursor, pages = page["cursor"], pages + 1
        if not page["more"]:
            break
    assert pages > 5


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 1000])
def test_whole_stream_comes_in_order_whatever_is_read_at_once(
    installed: District, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    writer = a_post_of(installed, 6)
    children = [ref for kind, ref in writer.shown() if kind == "child"]
    writer.edit_child(children[0], post={"post": installed.posts[1]})
    writer.measure(children[1], "2026-02-05", weight_g=8800)
    writer.sync_until_quiet()
    monkeypatch.setattr(pull, "CHUNK_ROWS", rows)
    reader = installed.tablet()
    reader.sync_until_quiet()
    assert reader.shown() == writer.shown()
    installed.check_agreement(reader, writer)


# -- who gets it ------------------------------------------------------------------------------------


def taken_and_then(district: District, tablet: FakeTablet, what: Any) -> dict[str, Any]:
    """Take a tablet's next batch, let something happen, and answer then."""
    message, hub, now = orjson.loads(tablet.next_message()), district.hub, district.clock.now
    with hub.database.reading() as session:
        known, batch = upload._proven(session, hub, message, 900, now)
        plan = upload._planned(session, hub, batch, known)
    taken = upload._take(hub, batch, plan)
    what(tablet)
    answer: dict[str, Any] = orjson.loads(upload._answer(hub, batch.batch, taken, now, pull.EVERYTHING))
    return answer


def test_tablet_that_is_revoked_before_its_answer_is_told_nothing(installed: District) -> None:
    a_post_of(installed, 3)
    tablet = installed.tablet()
    tablet.register_child()
    answer = taken_and_then(installed, tablet, installed.revoke)
    assert [item[1] for item in answer["receipt"]["items"]] == ["applied"]  # it was taken before
    assert answer["pull"] == pull.empty_page(0)


def test_tablet_that_is_closed_before_its_answer_is_told_nothing(installed: District) -> None:
    writer = a_post_of(installed, 3)
    writer.replica.cursor, clone = 0, writer.clone()
    answer = taken_and_then(installed, writer, lambda _: clone.sync())
    assert answer["pull"]["children"] == []


def test_tablet_that_is_revoked_while_its_batch_is_planned_has_it_set_aside(installed: District) -> None:
    tablet, hub, now = installed.tablet(), installed.hub, installed.clock.now
    tablet.register_child()
    message = orjson.loads(tablet.next_message())
    with hub.database.reading() as session:
        known, batch = upload._proven(session, hub, message, 900, now)
        plan = upload._planned(session, hub, batch, known)
    installed.revoke(tablet)
    taken = upload._take(hub, batch, plan)
    assert dict(taken.receipt.outcomes) == {"quarantined": 1}
    assert installed.counts()["child"] == 0


def test_revoked_tablet_is_answered_without_a_pull_and_its_cursor_stays(installed: District) -> None:
    a_post_of(installed, 3)
    tablet = installed.tablet()
    tablet.sync_until_quiet()
    cursor = tablet.replica.cursor
    assert cursor > 0
    a_post_of(installed, 2)
    installed.revoke(tablet)
    tablet.register_child()
    answer = tablet.send(tablet.next_message())
    assert [item[1] for item in answer["receipt"]["items"]] == ["quarantined"]
    assert answer["receipt"]["items"][0][2][0]["code"] == "tablet-revoked"
    assert answer["pull"] == pull.empty_page(cursor)


# -- conflicts --------------------------------------------------------------------------------------


def test_who_wrote_the_values_of_a_conflict_is_told_and_no_time_is_later_than_the_server_knows(
    installed: District,
) -> None:
    first, second, clock = installed.tablet(), installed.tablet(), installed.clock
    child = first.register_child()
    first.sync_until_quiet()
    second.sync_until_quiet()
    first.measure(child, weight_g=9000, length_mm=700)
    asked = clock.text()
    first.sync_until_quiet()
    assert all("written" not in answer["pull"] for answer in first.answers)  # nothing is in conflict
    clock.advance(hours=3)
    second.measure(child, weight_g=9500, length_mm=700)
    clock.advance(hours=-1)  # the tablet's clock is ahead
    received = clock.text()
    second.sync_until_quiet()
    (told,) = [answer["pull"]["written"] for answer in second.answers if "written" in answer["pull"]]
    found = {tuple(one["dot"]): (one["author"], one["at"]) for one in told[child]}
    assert found == {(first.id, 2): ("kader-contoh", asked), (second.id, 1): ("kader-contoh", received)}


def test_states_in_conflict_are_read_at_once(installed: District) -> None:
    one, two = installed.tablet(), installed.tablet()
    child = one.register_child()
    installed.settle(one, two)
    days = [f"2026-02-{day:02}" for day in range(1, 13)]
    for number, tablet in enumerate((one, two)):
        for day in days:
            tablet.measure(child, day, weight_g=9000 + 300 * number)
    installed.settle(one, two)
    one.measure(child, "2026-03-01", weight_g=9700)
    noted: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        noted.append(statement)

    engine = installed.hub.database.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        one.sync()
    finally:
        event.remove(engine, "before_cursor_execute", note)
    states = [s for s in noted if "FROM measurement" in s and "measurement.state" in s]
    assert len([s for s in states if "measurement.position" not in s]) == 1
