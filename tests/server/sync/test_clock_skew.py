"""Wrong tablet clocks: how far they are sure to be wrong, which days they moved, and when a status could differ by it."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings as examples, strategies as st
from sqlalchemy import select

from server.children.flags import RULES
from server.database.models import ChangeRow, Child, Flag, Measurement, Notice, Tablet
from server.sync import clock_skew, server_edits, upload
from sync_protocol import Change, Dot, Form, Json
from tests.server._district import DISTRICT, NOW, Databases, District, FakeTablet, identity

TODAY = "2026-03-05"
MINUTE, DAY = 60_000, 86_400_000


class WrongClock(FakeTablet):
    """A tablet whose clock is wrong by so much, in everything that it writes and sends."""

    wrong_by = timedelta()
    tells = True

    @classmethod
    def of(
        cls, district: District, wrong_by: timedelta, *, tells: bool = True, post: int = 0
    ) -> "WrongClock":
        made = district.tablet(post)
        tablet = cls(district, made.key, made.replica)
        tablet.wrong_by, tablet.tells = wrong_by, tells
        return tablet

    def shown_now(self) -> datetime:
        return self.district.clock.now + self.wrong_by

    def today(self) -> str:
        return self.district.hub.settings.today(self.shown_now()).isoformat()

    def write(self, form: Form, registers: dict[str, Json]) -> Change:  # type: ignore[override]  # a dict is a mapping
        with self._own_time():
            return super().write(form, registers)

    def next_message(self, **limits: int) -> bytes:
        with self._own_time():
            return super().next_message(**limits)

    def send_raw(self, message: bytes) -> bytes:
        told = self.shown_now() if self.tells else None
        hub, now = self.district.hub, self.district.clock.now
        return upload.exchange(hub, orjson.loads(message), size_bytes=len(message), now=now, clock=told)

    def _own_time(self) -> Any:
        return _Moved(self.district, self.wrong_by)


class _Moved:
    def __init__(self, district: District, by: timedelta) -> None:
        self.clock, self.by = district.clock, by

    def __enter__(self) -> None:
        self.clock.now += self.by

    def __exit__(self, *_: object) -> None:
        self.clock.now -= self.by


def doubts(district: District, child: str) -> dict[str, Any]:
    """Give what is doubted of a child's dates, by measurement."""
    found = select(Flag.subject, Flag.details).where(Flag.child_id == child, Flag.rule == "date_doubtful")
    return {row.subject: orjson.loads(row.details) for row in district.rows(found)}


def clock_days(district: District) -> list[int]:
    return [row[0] for row in district.rows(select(Measurement.clock_days).order_by(Measurement.measured_on))]


# -- how wrong ------------------------------------------------------------------------------------


def at(**later: float) -> datetime:
    return NOW + timedelta(**later)


@pytest.mark.parametrize(
    ("sent_at", "last_answer_at", "told_at", "expected"),
    [
        (at(minutes=3), at(days=-1), None, 3 * MINUTE),  # ahead: a wait can only hide more
        (at(minutes=-3), at(days=-1), None, 0),  # it may have waited for three minutes
        (at(days=-2), at(days=-1), None, -DAY),  # made before the answer whose token it brings: behind
        (at(days=-2), at(days=-1), at(), 0),  # it told: it had waited
        (at(days=-2), at(days=-9), at(days=-2), -2 * DAY),  # it told: it is behind
    ],
)
def test_offset_is_claimed_as_far_as_it_is_sure(
    sent_at: datetime, last_answer_at: datetime, told_at: datetime | None, expected: int
) -> None:
    assert clock_skew.offset_ms(sent_at, NOW, last_answer_at, told_at) == expected


def kukar(moment: datetime) -> date:
    return (moment + timedelta(hours=8)).date()


def change(kind: str, key: dict[str, str], **registers: Json) -> Change:
    wire = {"kind": kind, "id": "x", "key": key, "context": {}, "set": registers, "author": "", "nonce": ""}
    return Change.from_wire(Dot("t", 1), {**wire, "recorded_at": "", "app": "", "schema": 1}, "h" * 43)


def weighing(on: str) -> Change:
    return change(
        "measurement", {"child": "c", "measured_on": on, "source": "cadre"}, weight={"weight_g": 9000}
    )


@pytest.mark.parametrize(
    ("recorded_at", "offset_ms", "expected"),
    [
        ("2026-03-05T02:00:00Z", 2 * 60 * MINUTE, 0),  # ten in the morning was eight: the same day
        ("2026-03-04T16:05:00Z", 5 * MINUTE, 0),  # five past midnight was midnight
        ("2026-03-04T16:05:00Z", 5 * MINUTE + 1, -1),  # and a thousandth earlier it was yesterday
        ("2026-03-05T15:55:00Z", -5 * MINUTE, 1),
        ("2026-03-04T16:00:30Z", MINUTE, 0),  # what a slow line makes of a right clock
        ("2026-03-05T02:00:00Z", -730 * DAY, 730),
        ("2026-03-05T02:00:00Z", 730 * DAY, -730),
    ],
)
def test_day_moves_when_the_true_time_was_on_another(recorded_at: str, offset_ms: int, expected: int) -> None:
    assert clock_skew.moved_days(weighing(TODAY), recorded_at, offset_ms, kukar) == expected


def test_day_is_not_doubted_when_it_was_not_read_off_the_tablet() -> None:
    assert clock_skew.moved_days(weighing("2026-03-04"), "2026-03-05T02:00:00Z", 3 * DAY, kukar) == 0


@pytest.mark.parametrize(
    ("born_on", "expected"),
    [("2026-03-06", 0), (TODAY, -3), ("2026-02-26", -3), ("2026-02-25", 0), (None, 0)],
)
def test_birth_is_doubted_when_it_was_within_a_week_of_the_tablets_day(
    born_on: str | None, expected: int
) -> None:
    registered = change("child", {}, identity=identity(born_on=born_on))
    assert clock_skew.moved_days(registered, "2026-03-05T02:00:00Z", 3 * DAY, kukar) == expected


def test_clock_at_the_end_of_the_calendar_moves_nothing() -> None:
    assert clock_skew.moved_days(weighing("9999-12-31"), "9999-12-31T12:00:00Z", -9 * DAY, kukar) == 0


# -- what the server makes of it --------------------------------------------------------------------


def test_measurement_two_years_off_is_flagged_when_its_status_could_differ(installed: District) -> None:
    tablet = WrongClock.of(installed, timedelta(days=-730))
    child = tablet.register_child(None, identity=identity(born_on="2023-01-10"))
    tablet.measure(child, tablet.today(), weight_g=9600, length_mm=775)
    tablet.sync_until_quiet()
    assert clock_days(installed) == [730]
    (told,) = doubts(installed, child).values()
    assert told["days"] == 730
    assert {"haz", "waz"} <= set(told["index"])
    installed.check_agreement(tablet)


def test_two_tablets_two_years_apart_agree_and_only_the_wrong_one_is_doubted(installed: District) -> None:
    wrong, right = WrongClock.of(installed, timedelta(days=-730)), WrongClock.of(installed, timedelta())
    child = wrong.register_child(None, identity=identity(born_on="2023-01-10"))
    wrong.measure(child, wrong.today(), weight_g=9600, length_mm=775)
    wrong.sync_until_quiet()
    right.sync_until_quiet()
    right.measure(child, TODAY, weight_g=13900, length_mm=951)
    installed.settle(right, wrong)
    assert clock_days(installed) == [730, 0]
    assert list(doubts(installed, child)) == ["2024-03-05/cadre"]


def test_measurement_is_not_flagged_when_nothing_could_differ(installed: District) -> None:
    tablet = WrongClock.of(installed, timedelta(days=-1))
    child = tablet.register_child()
    tablet.measure(child, tablet.today(), weight_g=9900, length_mm=780)
    tablet.sync_until_quiet()
    assert clock_days(installed) == [1]
    assert doubts(installed, child) == {}


@pytest.mark.parametrize(("length_mm", "doubted"), [(728, False), (729, True), (733, True), (734, False)])
def test_measurement_is_flagged_on_one_side_of_the_edge_only(
    on_sqlite: District, length_mm: int, doubted: bool
) -> None:
    """A boy of 419 days is stunted below 72.9 cm, one of 433 days below 73.4 cm."""
    tablet = WrongClock.of(on_sqlite, timedelta(days=-14))
    child = tablet.register_child(None, identity=identity(born_on="2024-12-27"))
    tablet.measure(child, tablet.today(), length_mm=length_mm)
    tablet.sync_until_quiet()
    assert [told["index"] for told in doubts(on_sqlite, child).values()] == ([["haz"]] if doubted else [])


def test_newborn_registered_today_by_a_wrong_clock_is_flagged_at_the_newest_measurement(
    installed: District,
) -> None:
    tablet = WrongClock.of(installed, timedelta(days=-40))
    child = tablet.register_child(None, identity=identity(born_on=tablet.today()))
    tablet.sync_until_quiet()
    assert installed.rows(select(Child.clock_days)) == [(40,)]
    tablet.wrong_by = timedelta()
    installed.clock.advance(days=40)
    for later in range(2):
        tablet.measure(child, tablet.today(), weight_g=4500 + 900 * later, length_mm=545 + 35 * later)
        installed.clock.advance(days=30)
    tablet.sync_until_quiet()
    (subject,) = doubts(installed, child)
    assert subject == "2026-05-14/cadre"
    assert doubts(installed, child)[subject]["days"] == 40


def test_doubt_of_a_birth_date_ends_when_the_date_is_corrected(installed: District) -> None:
    tablet = WrongClock.of(installed, timedelta(days=-40))
    child = tablet.register_child(None, identity=identity(born_on=tablet.today()))
    tablet.sync_until_quiet()
    tablet.edit_child(child, identity=identity(born_on="2025-12-20"))
    tablet.sync_until_quiet()
    assert installed.rows(select(Child.clock_days)) == [(0,)]


def test_doubt_of_a_birth_date_stays_when_only_the_name_is_corrected(installed: District) -> None:
    tablet = WrongClock.of(installed, timedelta(days=-40))
    born_on = tablet.today()
    child = tablet.register_child(None, identity=identity(born_on=born_on))
    tablet.sync_until_quiet()
    installed.clock.advance(days=20)
    tablet.edit_child(child, identity=identity(born_on=born_on, name="Anak Contoh Dua"))
    tablet.sync_until_quiet()
    assert installed.rows(select(Child.clock_days)) == [(40,)]


def test_doubt_ends_when_the_office_writes_the_measurement_anew(installed: District) -> None:
    tablet = WrongClock.of(installed, timedelta(days=-730))
    child = tablet.register_child(None, identity=identity(born_on="2023-01-10"))
    on = tablet.today()
    tablet.measure(child, on, length_mm=775)
    tablet.sync_until_quiet()
    assert doubts(installed, child)
    seen = tablet.state(child, on).vector
    length = {"length_mm": 775, "position": "lying"}
    edit = server_edits.Edit.of_measurement(child, on, "cadre", {"length": length}, seen)
    with installed.hub.database.transaction() as session:
        server_edits.write(session, installed.hub, [edit], "date.confirmed", author="operator", now=NOW)
    assert clock_days(installed) == [0]
    assert doubts(installed, child) == {}


def test_carried_batch_says_nothing_of_the_clock(installed: District) -> None:
    tablet = WrongClock.of(installed, timedelta(days=-20))
    child = tablet.register_child()
    tablet.measure(child, tablet.today(), length_mm=729)
    tablet.carry()
    assert clock_days(installed) == [0]
    assert installed.rows(select(Tablet.clock_offset_ms)) == [(None,)]


def test_batch_that_waited_for_a_line_is_not_a_wrong_clock(installed: District) -> None:
    for tells in (True, False):
        tablet = WrongClock.of(installed, timedelta(), tells=tells)
        child = tablet.register_child()
        tablet.measure(child, tablet.today(), length_mm=729)
        message = tablet.next_message()
        installed.clock.advance(days=21)
        tablet.replica.receive(tablet.send(message), tablet.district.clock.text())
    assert clock_days(installed) == [0, 0]
    assert installed.rows(select(Notice.kind)) == []


def test_gain_of_the_next_month_is_doubted_when_the_months_weighing_may_belong_elsewhere(
    on_sqlite: District,
) -> None:
    tablet = WrongClock.of(on_sqlite, timedelta(days=-28))
    child = tablet.register_child()
    tablet.measure(child, "2026-01-05", weight_g=9000)
    tablet.measure(child, tablet.today(), weight_g=9100)
    tablet.sync_until_quiet()
    assert {subject: told["index"] for subject, told in doubts(on_sqlite, child).items()} == {
        "2026-02-05/cadre": ["gain"]
    }


def test_rule_has_words_in_both_languages() -> None:
    rule = RULES["date_doubtful"]
    assert rule.urgency == 3
    assert rule.text.id != rule.text.en


@pytest.mark.parametrize(
    ("told", "days"),
    [("0001-01-01T00:00:00Z", 739_679), ("9999-12-31T23:59:59Z", 0)],  # the true day would lie before year 1
)
def test_absurd_clock_costs_nobody_an_answer(installed: District, told: str, days: int) -> None:
    tablet = installed.tablet()
    tablet.measure(tablet.register_child(None, identity=identity(born_on=TODAY)), TODAY, weight_g=9600)
    message, clock = orjson.loads(tablet.next_message()), datetime.fromisoformat(told)
    answer = upload.exchange(installed.hub, message, size_bytes=0, now=NOW, clock=clock)
    assert [item[1] for item in orjson.loads(answer)["receipt"]["items"]] == ["applied", "applied"]
    assert clock_days(installed) == [days]


# -- the same, whatever came first ------------------------------------------------------------------


def delivered(district: District, order: Sequence[int]) -> tuple[Any, ...]:
    """Let three tablets, each wrong in its own way, measure one child, and deliver in an order; give what is derived."""
    first = WrongClock.of(district, timedelta())
    child = first.register_child(
        "01900000-0000-7000-9000-000000000001", identity=identity(born_on="2024-12-27")
    )
    first.sync_until_quiet()
    tablets = [WrongClock.of(district, timedelta(days=by)) for by in (0, -14, 21)]
    for number, tablet in enumerate(tablets):
        tablet.sync_until_quiet()
        with tablet._own_time():
            on = tablet.district.hub.settings.today(district.clock.now).isoformat()
        tablet.measure(child, on if on <= TODAY else TODAY, length_mm=729 + number)
        tablet.measure(child, "2026-02-19", length_mm=728 + number)
    for number in order:
        tablets[number].sync_until_quiet()
        tablets[number].sync_until_quiet()
    days = [
        (r[0].isoformat(), r[1])
        for r in district.rows(
            select(Measurement.measured_on, Measurement.clock_days).order_by(Measurement.measured_on)
        )
    ]
    return days, doubts(district, child)


@examples(max_examples=8)
@given(order=st.permutations(range(3)))
def test_flags_are_the_same_when_tablets_come_in_another_order(
    sqlite_databases: Databases, order: list[int]
) -> None:
    with District.opened(sqlite_databases) as one, District.opened(sqlite_databases) as other:
        assert delivered(one, order) == delivered(other, range(3))


def test_the_largest_doubt_stands_when_several_tablets_wrote_the_day(installed: District) -> None:
    days, _ = delivered(installed, (2, 0, 1))
    assert days == [("2026-02-19", 14), (TODAY, 0)]


# -- a person is told ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "told"), [(600, False), (601, True), (-600, False), (-601, True)])
def test_notice_is_raised_when_the_clock_is_over_ten_minutes_wrong(
    installed: District, seconds: int, told: bool
) -> None:
    tablet = WrongClock.of(installed, timedelta(seconds=seconds))
    tablet.sync_until_quiet()
    found = installed.rows(select(Notice.kind, Notice.subject, Notice.details))
    assert [(row.kind, row.subject) for row in found] == ([("clock-wrong", tablet.id)] if told else [])
    assert all(orjson.loads(row.details)["offset_ms"] == seconds * 1000 for row in found)


def test_notice_keeps_its_date_and_goes_when_the_clock_is_right_again(installed: District) -> None:
    tablet = WrongClock.of(installed, timedelta(hours=1))
    tablet.sync()
    raised = installed.rows(select(Notice.raised_at))
    installed.clock.advance(hours=2)
    tablet.sync()
    assert installed.rows(select(Notice.raised_at)) == raised == [(NOW,)]
    tablet.wrong_by = timedelta()
    tablet.sync()
    assert installed.rows(select(Notice)) == []


def test_server_reads_the_tablets_clock_from_the_header(on_sqlite: District, client: FlaskClient) -> None:
    tablet = on_sqlite.tablet()
    on_sqlite.clock.now = datetime.now(UTC) - timedelta(hours=1)
    message = tablet.next_message()
    told = (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="seconds").replace("+00:00", "Z")
    headers = {"Tablet-Clock": told, "Content-Type": "application/json"}
    assert client.post("/api/v1/sync", data=message, headers=headers).status_code == 200
    ((offset_ms,),) = on_sqlite.rows(select(Tablet.clock_offset_ms))
    assert abs(offset_ms - 3_600_000) < 10_000


def test_ledger_keeps_by_how_many_days_each_change_may_be_wrong(installed: District) -> None:
    tablet = WrongClock.of(installed, timedelta(days=-3))
    child = tablet.register_child()
    tablet.measure(child, tablet.today(), weight_g=9600)
    tablet.sync_until_quiet()
    found = select(ChangeRow.kind, ChangeRow.clock_days).order_by(ChangeRow.counter)
    assert installed.rows(found) == [("child", 0), ("measurement", 3)]
    assert all(row.district == DISTRICT for row in installed.rows(select(ChangeRow.district)))
