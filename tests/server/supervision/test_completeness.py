"""Is everything here: counters and days, what is missing, set aside, handed on, moved, and who may see it."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result
from flask.testing import FlaskClient
from sqlalchemy import text

from server import audit
from server.cli import main
from server.database.models import QuarantineDecision, table
from server.places.health_posts import add_health_centre, add_post
from server.review import Scope
from server.supervision import completeness
from server.supervision.completeness import (
    COLUMNS,
    CompletenessReport,
    Counters,
    DayCounts,
    Records,
    counted,
    period,
)
from sync_protocol import chain
from tests.server._district import DISTRICT, FIRST_POST, NOW, SECOND_POST, District, FakeTablet, identity
from tests.server._people import add_person

TODAY, THE_DAY = "2026-03-05", date(2026, 3, 5)


def looked(district: District, scope: Scope | None = None, **asked: Any) -> CompletenessReport:
    """Look at March."""
    with district.hub.database.reading() as session:
        whole = Scope.whole_district(district.hub, shows_names=False)
        march = date(2026, 3, 1), date(2026, 3, 31)
        return completeness.completeness(session, district.hub, scope or whole, *march, **asked)


def of_post(report: CompletenessReport, name: str = FIRST_POST) -> completeness.PostLine:
    return next(post for post in report.posts if post.name == name)


def of_tablet(report: CompletenessReport, tablet: FakeTablet) -> completeness.TabletLine:
    return next(line for post in report.posts for line in post.tablets if line.id == tablet.id)


def the_day(report: CompletenessReport, name: str = FIRST_POST) -> DayCounts:
    return report.days([of_post(report, name)])[THE_DAY]


def weigh(tablet: FakeTablet, count: int, on: str = TODAY) -> list[str]:
    """Register and weigh so many children."""
    children = [tablet.register_child() for _ in range(count)]
    for child in children:
        tablet.measure(child, on, weight_g=9600)
    return children


# -- a day ------------------------------------------------------------------------------------------


def test_day_reads_41_weighed_41_stored_when_all_is_here(installed: District) -> None:
    tablet = installed.tablet()
    weigh(tablet, 41)
    tablet.sync_until_quiet()
    report = looked(installed)
    assert the_day(report).words() == {"id": "41 ditimbang, 41 tersimpan", "en": "41 weighed, 41 stored"}
    assert report.complete
    assert of_post(report).children == 41


def test_day_says_what_has_not_arrived_when_the_line_failed_halfway(installed: District) -> None:
    tablet = installed.tablet()
    weigh(tablet, 5)
    tablet.sync(max_changes=8)
    report = looked(installed)
    assert the_day(report).words()["id"] == "5 ditimbang, 3 tersimpan, 2 belum sampai"
    counters = of_tablet(report, tablet).counters
    assert (counters.announced, counters.taken, counters.missing) == (10, 8, 2)
    assert (report.missing, report.not_arrived) == (2, 2)
    assert not report.complete
    tablet.sync_until_quiet()
    assert looked(installed).complete


def test_child_is_one_when_two_tablets_measured_it(installed: District) -> None:
    one, other = installed.tablet(), installed.tablet()
    children = weigh(one, 3)
    one.sync_until_quiet()
    other.sync_until_quiet()
    other.measure(children[0], TODAY, muac_mm=140)
    other.sync_until_quiet()
    report = looked(installed)
    assert (the_day(report).weighed, the_day(report).stored) == (3, 3)
    assert [counted([t.days[THE_DAY]]).weighed for t in of_post(report).tablets] in ([3, 1], [1, 3])


def test_follow_ups_are_changes_and_no_weighings(installed: District) -> None:
    tablet = installed.tablet()
    first, _ = weigh(tablet, 2)
    task = tablet.set_task(first, action="home_visit")
    tablet.set_result(first, task)
    tablet.set_result(first, task, days_eaten=9)
    batch = tablet.replica.next_batch(installed.new_id(), installed.clock.text())
    assert batch["tally"] == {TODAY: 2}
    tablet.sync_until_quiet()
    report = looked(installed)
    assert the_day(report).words()["en"] == "2 weighed, 2 stored"
    counters = of_tablet(report, tablet).counters
    assert (counters.announced, counters.taken, counters.missing, counters.received) == (7, 7, 0, 7)
    assert (counters.applied, counters.quarantined) == (6, 1)
    assert of_tablet(report, tablet).doubtful == ()
    assert report.complete


def test_removed_measurement_is_accounted_for(installed: District) -> None:
    tablet = installed.tablet()
    child, _ = weigh(tablet, 2)
    tablet.remove(child, TODAY)
    tablet.sync_until_quiet()
    assert the_day(looked(installed)) == DayCounts(weighed=2, stored=1, removed=1)


def test_measurement_that_another_tablet_removed_is_accounted_for(installed: District) -> None:
    tablet, other = installed.tablet(), installed.tablet()
    child, _ = weigh(tablet, 2)
    tablet.sync_until_quiet()
    other.sync_until_quiet()
    other.remove(child, TODAY)
    other.sync_until_quiet()
    assert the_day(looked(installed)) == DayCounts(weighed=2, stored=1, removed=1)


def decide(district: District, tablet: FakeTablet, counter: int, released: str | None) -> None:
    """Write down what a person decided about a quarantined change."""
    row = {"district": DISTRICT, "actor": tablet.id, "counter": counter, "reason": "uji"}
    row |= {"decision": "released" if released else "dismissed", "decided_by": "operator", "decided_at": NOW}
    row |= {"released_actor": released, "released_counter": 1 if released else None}
    with district.hub.database.transaction() as session:
        session.execute(table(QuarantineDecision).insert(), [row])
        audit_it(session)


def audit_it(session: Any) -> None:
    audit.append(session, DISTRICT, audit.OFFICE, "test.altered", actor="operator", now=NOW)


def test_quarantined_measurement_is_counted_until_somebody_decides(installed: District) -> None:
    tablet = installed.tablet()
    weigh(tablet, 1)
    tablet.measure(tablet.register_child(), TODAY, weight_g=99_000)  # beyond any scale
    tablet.sync_until_quiet()
    assert tablet.outcomes()[-1] == "quarantined"
    report = looked(installed)
    assert the_day(report) == DayCounts(weighed=2, stored=1, in_quarantine=1)
    assert of_tablet(report, tablet).counters.quarantined_open == 1
    assert report.complete  # it is here, and waits for a person
    decide(installed, tablet, 4, None)
    report = looked(installed)
    assert the_day(report) == DayCounts(weighed=2, stored=1, settled=1)
    assert of_tablet(report, tablet).counters.quarantined == 1
    assert of_tablet(report, tablet).counters.quarantined_open == 0


def test_quarantined_measurement_is_stored_when_its_corrected_copy_is_the_same_record(
    installed: District,
) -> None:
    tablet = installed.tablet()
    wrong = tablet.measure(tablet.register_child(), TODAY, weight_g=99_000)
    tablet.sync_until_quiet()
    decide(installed, tablet, 2, f"hub:{wrong.record_id}")
    assert the_day(looked(installed)) == DayCounts(weighed=1, stored=1)


def test_corrected_measurement_is_stored_once(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.measure(child, TODAY, weight_g=99_000)
    tablet.sync_until_quiet()
    tablet.measure(child, TODAY, weight_g=9_900)
    tablet.sync_until_quiet()
    assert the_day(looked(installed)) == DayCounts(weighed=1, stored=1)


def test_measurement_of_a_child_that_moved_stays_with_the_day_of_its_tablet(installed: District) -> None:
    tablet = installed.tablet()
    child, _ = weigh(tablet, 2)
    tablet.edit_child(child, post={"post": installed.posts[1]})
    tablet.sync_until_quiet()
    report = looked(installed)
    assert the_day(report) == DayCounts(weighed=2, stored=2, moved=1)
    assert the_day(report).words()["en"] == "2 weighed, 2 stored, 1 now at another post"
    assert (of_post(report).children, of_post(report, SECOND_POST).children) == (1, 1)


def test_days_of_another_month_are_left_out(installed: District) -> None:
    tablet = installed.tablet()
    weigh(tablet, 1, "2026-02-28")
    weigh(tablet, 1, "2026-03-01")
    tablet.sync_until_quiet()
    assert list(looked(installed).days()) == [date(2026, 3, 1)]


def test_day_keeps_what_was_told_when_less_is_told_later(installed: District) -> None:
    tablet = installed.tablet()
    children = weigh(tablet, 3)
    tablet.sync_until_quiet()
    installed.clock.advance(days=100)
    tablet.sync_until_quiet()
    tablet.replica.forget(installed.clock.text())
    tablet.measure(children[0], TODAY, weight_g=9700)
    tablet.sync_until_quiet()
    assert the_day(looked(installed)) == DayCounts(weighed=3, stored=3)


def test_records_are_counted_once_in_the_best_lot_known_of_them() -> None:
    one = Records(told=4, stored={"a"}, quarantined={"b"})
    other = Records(told=2, stored={"a", "b"})
    assert counted([one, other]) == DayCounts(weighed=4, stored=2, not_arrived=2)


# -- tablets that come and go -----------------------------------------------------------------------


def test_closed_enrolment_misses_nothing_when_its_heir_has_sent_everything(installed: District) -> None:
    tablet = installed.tablet()
    weigh(tablet, 5)
    copy = tablet.clone()
    tablet.sync(max_changes=8)
    copy.register_child()
    copy.sync_until_quiet()  # is asked to enrol anew, and does
    tablet.sync_until_quiet()
    report = looked(installed)
    (old,) = (line for line in of_post(report).tablets if line.state == "replaced")
    assert (old.counters.announced, old.counters.taken, old.counters.missing) == (10, 8, 0)
    assert set(old.replaced_by) == {tablet.id, copy.id}
    assert of_tablet(report, tablet).replaces == old.id
    assert report.complete
    assert (the_day(report).weighed, the_day(report).stored) == (5, 5)


def test_closed_enrolment_still_misses_when_its_heir_has_not_been_heard_of(installed: District) -> None:
    tablet = installed.tablet()
    weigh(tablet, 5)
    copy = tablet.clone()
    tablet.sync(max_changes=8)
    old = tablet.id
    copy.sync()
    closed = next(line for line in of_post(looked(installed)).tablets if line.id == old)
    assert (closed.state, closed.counters.missing) == ("closed", 2)
    copy.enrol_anew()
    report = looked(installed)
    assert the_day(report) == DayCounts(weighed=5, stored=3, not_arrived=2)
    assert not report.complete
    copy.sync_until_quiet()
    assert the_day(looked(installed)) == DayCounts(weighed=5, stored=5)


def test_revoked_tablet_shows_its_state_and_what_is_set_aside(installed: District) -> None:
    tablet = installed.tablet()
    tablet.sync_until_quiet()
    weigh(tablet, 2)
    installed.revoke(tablet)
    tablet.sync_until_quiet()
    line = of_tablet(looked(installed), tablet)
    assert (line.state, line.counters.quarantined, line.counters.quarantined_open) == ("revoked", 4, 4)
    assert the_day(looked(installed)) == DayCounts(weighed=2, in_quarantine=2)


# -- what must add up -------------------------------------------------------------------------------


def test_outcomes_add_up_when_everything_that_can_happen_has_happened(installed: District) -> None:
    tablet, other = installed.tablet(), installed.tablet()
    child = tablet.register_child()
    tablet.sync_until_quiet()
    other.sync_until_quiet()
    tablet.measure(child, TODAY, weight_g=9600)
    tablet.sync_until_quiet()
    other.measure(child, TODAY, weight_g=9700)
    other.measure(child, TODAY, weight_g=99_000)
    for batch in other.replica.carried_batches(installed.new_id, installed.clock.text()):
        other.send(other.signed(batch))  # and the receipt does not come back
    other.sync_until_quiet()
    assert other.outcomes() == ["duplicate", "quarantined"]
    line = of_tablet(looked(installed), other)
    counters = line.counters
    assert line.doubtful == ()
    assert counters.add_up
    assert (counters.conflict, counters.quarantined, counters.duplicate) == (1, 1, 2)
    assert (counters.received, counters.taken) == (4, 2)


@pytest.mark.every_case
@pytest.mark.parametrize(
    "altered",
    [
        "UPDATE batch SET outcomes = '{\"applied\": 3}'",
        "UPDATE change SET outcome = 'superseded' WHERE counter = 1",
        "DELETE FROM change WHERE counter = 2",
        "UPDATE tablet SET last_counter = 3",
    ],
)
def test_tablet_does_not_add_up_when_receipts_or_ledger_were_altered(
    installed: District, altered: str
) -> None:
    tablet = installed.tablet()
    weigh(tablet, 1)
    tablet.sync_until_quiet()
    assert looked(installed).add_up
    with installed.hub.database.transaction() as session:
        session.execute(text(altered))
        audit_it(session)
    report = looked(installed)
    assert not report.add_up
    assert not report.complete


def test_counters_are_summed_by_post() -> None:
    one = Counters(announced=3, taken=2, missing=1, received=2, applied=2)
    assert (one + one).missing == 2
    assert (one + one).add_up
    assert not (one + Counters(received=1)).add_up


# -- who sees it ------------------------------------------------------------------------------------


def another_centre(district: District) -> str:
    with district.hub.database.transaction() as session:
        told: dict[str, Any] = {"actor": "operator", "now": NOW}
        centre = add_health_centre(session, district.hub, "Puskesmas Lain", "64.02.06", **told)
        add_post(session, district.hub, "Mawar 3", centre, "64.02.06.1001", **told)
    return centre


def test_scope_is_in_the_query(installed: District) -> None:
    centre = another_centre(installed)
    seen = {
        Scope("district", DISTRICT, False): [FIRST_POST, SECOND_POST, "Mawar 3"],
        Scope("health_centre", centre, False): ["Mawar 3"],
        Scope("post", installed.posts[1], False): [SECOND_POST],
        Scope("district", "64.03", False): [],
    }
    for scope, names in seen.items():
        assert sorted(post.name for post in looked(installed, scope).posts) == sorted(names)
    outside = looked(installed, Scope("post", installed.posts[1], False), only=[installed.posts[0]])
    assert outside.posts == []


def test_health_centre_counts_a_child_once_when_two_of_its_posts_measured_it(installed: District) -> None:
    one, other = installed.tablet(), installed.tablet(1)
    child = one.register_child()
    one.measure(child, TODAY, weight_g=9600)
    one.sync_until_quiet()
    other.measure(child, TODAY, muac_mm=140)
    other.sync_until_quiet()
    report = looked(installed)
    rows = {(row["level"], row["post"]): row for row in completeness.rows_of(report)}
    assert rows["health_centre", None]["stored"] == 1
    assert [rows["post", name]["stored"] for name in (FIRST_POST, SECOND_POST)] == [1, 1]


@contextmanager
def signed_in(district: District, client: FlaskClient, kind: str, scope: str) -> Iterator[FlaskClient]:
    who = ("petugas.contoh", "Petugas Contoh", "staff", kind, scope, "kata-sandi-uji-coba")
    add_person(district.hub, *who, NOW)
    page = client.get("/masuk").get_data(as_text=True)
    token = page.split('name="csrf_token" value="')[1].split('"')[0]
    form = {"username": "petugas.contoh", "password": "kata-sandi-uji-coba", "csrf_token": token}
    assert client.post("/masuk", data=form).status_code == 302
    yield client


def test_api_gives_what_is_in_scope(on_sqlite: District, client: FlaskClient) -> None:
    tablet = on_sqlite.tablet()
    weigh(tablet, 2)
    tablet.sync_until_quiet()
    with signed_in(on_sqlite, client, "post", on_sqlite.posts[0]) as person:
        answer = person.get("/api/v1/completeness?day=2026-03-05")
        assert answer.status_code == 200
        told = answer.get_json()
        assert [post["name"] for post in told["posts"]] == [FIRST_POST]
        assert told["posts"][0]["days"][0]["sentence_id"] == "2 ditimbang, 2 tersimpan"
        assert told["complete"] is True
        outside = person.get(f"/api/v1/completeness?post={on_sqlite.posts[1]}")
        assert (outside.status_code, outside.get_json()["code"]) == (404, "record-unknown")


def test_api_refuses_who_is_not_signed_in(client: FlaskClient) -> None:
    assert client.get("/api/v1/completeness").get_json()["code"] == "sign-in-required"


@pytest.mark.parametrize("asked", ["day=5-3-2026", "month=2026", "day=2026-03-05&month=2026-03", "post=x"])
def test_api_refuses_what_it_cannot_read(on_sqlite: District, client: FlaskClient, asked: str) -> None:
    with signed_in(on_sqlite, client, "district", DISTRICT) as person:
        assert person.get(f"/api/v1/completeness?{asked}").get_json()["code"] == "request-malformed"


# -- the command --------------------------------------------------------------------------------------


def call(district: District, *arguments: str) -> Result:
    settings = district.hub.settings
    place = {"DATABASE_URL": settings.database_url, "POSYANDU_KEY_FILE": str(settings.key_file)}
    unset: Mapping[str, str | None] = dict.fromkeys(("POSYANDU_DATA", "POSYANDU_DISTRICT"))
    return CliRunner().invoke(
        main, ["completeness", *arguments], env={**unset, **place}, catch_exceptions=False
    )


def test_command_prints_a_table_and_ends_0_when_nothing_is_missing(installed: District) -> None:
    tablet = installed.tablet()
    weigh(tablet, 2)
    tablet.sync_until_quiet()
    result = call(installed, "--month", "2026-03")
    assert result.exit_code == 0, result.output
    assert "2 ditimbang, 2 tersimpan" in result.stdout
    assert "2 weighed, 2 stored" in result.stdout
    assert "Tablet Contoh" in result.stdout


def test_command_ends_1_and_says_so_when_something_is_missing(installed: District) -> None:
    tablet = installed.tablet()
    weigh(tablet, 2)
    tablet.sync(max_changes=3)
    result = call(installed, "--day", TODAY, "--post", FIRST_POST, "--format", "json")
    assert result.exit_code == 1
    assert "Belum sampai: 1 perubahan, 1 pengukuran" in result.stderr
    told = json.loads(result.stdout)
    assert (told["missing"], told["not_arrived"], told["complete"]) == (1, 1, False)


def test_command_writes_csv_with_every_level(installed: District) -> None:
    tablet = installed.tablet(name="=1+1")
    weigh(tablet, 1)
    tablet.sync_until_quiet()
    rows = list(csv.DictReader(io.StringIO(call(installed, "--month", "2026-03", "--format", "csv").stdout)))
    assert tuple(rows[0]) == COLUMNS
    assert {row["level"] for row in rows} == set(completeness.LEVELS)
    (line,) = (row for row in rows if row["level"] == "tablet")
    assert (line["tablet"], line["applied"], line["adds_up"]) == ("'=1+1", "2", "True")


@pytest.mark.parametrize("arguments", [("--day", "kemarin"), ("--month", "2026-13"), ("--post", "Tidak Ada")])
def test_command_refuses_what_it_cannot_read(on_sqlite: District, arguments: tuple[str, str]) -> None:
    assert call(on_sqlite, *arguments).exit_code == 2


def test_period_is_the_month_of_today_when_nothing_is_asked() -> None:
    assert period(None, None, date(2026, 12, 9)) == (date(2026, 12, 1), date(2026, 12, 31))
    assert period(None, "2024-02", THE_DAY) == (date(2024, 2, 1), date(2024, 2, 29))
    assert period("2024-02-29", None, THE_DAY) == (date(2024, 2, 29), date(2024, 2, 29))


def test_report_holds_nobodys_name(installed: District) -> None:
    tablet = installed.tablet()
    tablet.register_child(None, identity=identity(name="Nama Rahasia"))
    tablet.sync_until_quiet()
    assert b"Rahasia" not in orjson.dumps(completeness.wire(looked(installed)))


def test_quarantined_change_that_names_no_day_is_in_no_day(installed: District) -> None:
    tablet = installed.tablet()
    batch = tablet.replica.next_batch(installed.new_id(), installed.clock.text())
    nonsense = [
        {"kind": "measurement", "key": key} for key in ("x", {"measured_on": 5}, {"measured_on": "kapan"})
    ]
    last = chain(tablet.id, 1, "", nonsense)[-1]
    batch |= {"first": 1, "changes": nonsense, "head": [3, last.hash[:16]]}
    assert tablet.send(tablet.signed(batch))["receipt"]["items"][0][1] == "quarantined"
    report = looked(installed)
    assert report.days() == {}
    assert of_tablet(report, tablet).counters.quarantined == 3
