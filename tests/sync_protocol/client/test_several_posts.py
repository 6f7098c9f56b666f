"""The reference client as a tablet of staff: it pulls each of its posts, forgets one that was taken, opens older files."""

import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from server import accounts
from sync_protocol.client import Client, new_id
from tests.server._district import District, FakeTablet
from tests.sync_protocol.client._hall import (
    APP,
    URL,
    Hall,
    KeysByNumber,
    altered,
    answer_lost,
    closing,
    enrolled,
    register,
    reopened,
    settings,
)


def staff(district: District, hall: Hall, file: Path) -> Client:
    with district.hub.database.transaction() as session:
        code = accounts.make_enrolment_code(
            *(session, district.hub, district.posts[0], "Bidan"),
            actor="operator",
            now=datetime.now(UTC),
            posts=[district.posts[1]],
        )
    return Client.enrol(file, URL, code, keys=KeysByNumber(), app=APP, device="uji", **settings(hall))


def children(tablet: Client) -> dict[str, str]:
    return dict(tablet.replica.homes)


def registered(tablet: FakeTablet) -> str:
    child = tablet.register_child()
    tablet.sync_until_quiet()
    return child


def test_each_post_is_pulled_and_kept_over_a_restart(on_sqlite: District, hall: Hall, tmp_path: Path) -> None:
    first, second = on_sqlite.posts
    one, two = registered(on_sqlite.tablet(0)), registered(on_sqlite.tablet(1))
    file = tmp_path / "t.tablet"
    with closing(staff(on_sqlite, hall, file)) as _:
        pass
    tablet = reopened(hall, file)
    with closing(tablet):
        hall.troubles = [answer_lost]
        report = tablet.sync()
        assert {ref[1] for ref in report.pulled} == {one, two}
        assert children(tablet) == {one: first, two: second}
    again = reopened(hall, file)
    with closing(again):
        assert children(again) == {one: first, two: second}
        assert [post["name"] for post in again.replica.posts] == ["Melati 1", "Anggrek 2"]
        mine = new_id()
        register(again, mine)
        again.sync()
        assert children(again)[mine] == first
        on_sqlite.give_posts(FakeTablet(on_sqlite, None, again.replica), first)  # type: ignore[arg-type]  # its key is not used
        report = again.sync()
        assert report.left == {two}
        assert children(again) == {one: first, mine: first}
    stored = sqlite3.connect(file)
    assert {row[0] for row in stored.execute("SELECT id FROM state")} == {one, mine}
    stored.close()


def test_an_answer_with_pages_of_another_shape_is_not_taken(
    on_sqlite: District, hall: Hall, tmp_path: Path
) -> None:
    registered(on_sqlite.tablet(0))
    tablet = staff(on_sqlite, hall, tmp_path / "t.tablet")
    with closing(tablet):
        hall.troubles = [
            altered(lambda answer: answer["pulls"][0].pop("post")),
            altered(lambda answer: answer.update(posts=[{"id": 1}])),
        ]
        report = tablet.sync()
        assert report.troubles == [
            "no answer of this server: answer.pulls[0].post",
            "no answer of this server: answer.posts[0].id",
        ]
        assert len(children(tablet)) == 1


def test_a_file_of_an_earlier_release_is_opened(on_sqlite: District, hall: Hall, tmp_path: Path) -> None:
    file = tmp_path / "t.tablet"
    with closing(enrolled(on_sqlite, hall, file)) as _:
        pass
    stored = sqlite3.connect(file)
    names = {row[0] for row in stored.execute("SELECT name FROM fact")}
    assert {"posts", "cursors", "homes"} <= names
    stored.execute("DELETE FROM fact WHERE name IN ('posts', 'cursors', 'homes')")
    stored.commit()
    stored.close()
    tablet = reopened(hall, file)
    with closing(tablet):
        register(tablet, new_id())
        assert tablet.sync().is_quiet
        assert "cursors" not in json.loads(hall.sent[-1][1])["batch"]
