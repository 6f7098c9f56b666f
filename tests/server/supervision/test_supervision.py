"""What a supervisor is told: every sync counted as receipts and log say, what is odd, how complete, who had seen what."""

import csv
import io
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from sqlalchemy import text

from server.errors import Problem
from server.review import Scope
from server.supervision import areas, lineage, patterns, syncs
from server.supervision.lineage import Lineage
from server.supervision.syncs import Syncs, SyncTotals
from server.web.charts.history import vector_chart
from tests.conftest import ENGINES
from tests.server._district import DISTRICT, District, sqlite_connection
from tests.server._supervised import GAIN_G, MARCH, NAME, Supervised, supervised

FIRST, LAST = date(2026, 3, 1), date(2026, 3, 31)


@pytest.fixture(scope="module", params=ENGINES)
def month(request: pytest.FixtureRequest) -> Iterator[Supervised]:
    """Give a month that nothing here changes."""
    with District.opened(request.getfixturevalue(f"{request.param}_databases")) as district:
        yield supervised(district)


def whole(district: District) -> Scope:
    return Scope.whole_district(district.hub, shows_names=True)


def of_post(district: District, number: int) -> Scope:
    return Scope("post", district.posts[number], shows_names=True)


def counted(month: Supervised, group: str = syncs.DAY, scope: Scope | None = None) -> Syncs:
    district = month.district
    with district.hub.database.reading() as session:
        return syncs.syncs(session, district.hub, scope or whole(district), FIRST, LAST, group)


def line(found: Syncs, name: str) -> SyncTotals:
    return next(line for line in found.lines if line.name == name)


def read_csv(pieces: Iterator[str]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(pieces))))


# -- syncs ------------------------------------------------------------------------------------------


def test_every_group_but_authors_sums_to_the_same(month: Supervised) -> None:
    for group in (syncs.DAY, syncs.POST, syncs.TABLET):
        found = counted(month, group)
        assert sum(line.batches for line in found.lines) == found.total.batches
        assert sum(line.received for line in found.lines) == found.total.received
        assert sum(line.bytes for line in found.lines) == found.total.bytes
    authors = counted(month, syncs.AUTHOR)
    assert sum(line.received for line in authors.lines) == authors.total.received


def test_what_receipts_said_is_what_is_counted(month: Supervised) -> None:
    said = month.district.rows(
        text("SELECT outcomes FROM batch WHERE received_at >= '2026-02-28 16:00:00+00:00'")
    )
    found = counted(month).total
    assert found.batches == len(said)
    assert found.outcomes["quarantined"] == 1
    assert found.outcomes["conflict"] == 2


def test_a_day_is_the_districts_and_not_that_of_utc(month: Supervised) -> None:
    assert line(counted(month), "2026-03-12").received == 12  # sent at 19:00 UTC of the 11th


def test_refused_uploads_are_told_with_their_reasons(month: Supervised) -> None:
    assert counted(month).total.refused == {"batch-id-reused": 1, "tablet-unknown": 1}
    assert line(counted(month, syncs.TABLET), "Tablet A").refused == {"batch-id-reused": 1}


def test_an_upload_of_an_unknown_tablet_is_the_whole_districts_affair(month: Supervised) -> None:
    assert counted(month, scope=of_post(month.district, 0)).total.refused == {"batch-id-reused": 1}
    assert counted(month, scope=of_post(month.district, 1)).total.refused == {}


def test_missing_counters_are_told_with_their_numbers(month: Supervised) -> None:
    tablet = line(counted(month, syncs.TABLET), "Tablet C")
    taken = month.second.replica.log[-1].change.dot.counter - 2
    assert (tablet.missing, tablet.missing_from) == (2, taken + 1)
    assert counted(month).total.missing == 2


def test_what_a_closed_enrolment_had_not_sent_is_missing_until_its_heir_was_heard_of(
    on_sqlite: District,
) -> None:
    tablet = on_sqlite.tablet(0, "Tablet A")
    for _ in range(3):
        tablet.register_child()
    tablet.sync(max_changes=1)
    rival = tablet.clone()
    for each in (tablet, rival):
        each.register_child()
    month = Supervised(on_sqlite, tablet, tablet, tablet, ("", ""))
    rival.sync_until_quiet()
    assert counted(month, syncs.TABLET).total.missing == 0
    tablet.sync_until_quiet()  # is told to enrol anew, and does
    found = counted(month, syncs.TABLET)
    assert found.total.refused == {"new_epoch_required": 1}
    assert found.total.missing == 0


def test_the_furthest_clock_is_told(month: Supervised) -> None:
    assert line(counted(month, syncs.TABLET), "Tablet C").clock_ms == pytest.approx(7_200_000, abs=2000)


def test_a_silent_tablet_is_told_until_it_is_revoked(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet(0, "Tablet A")
    with closing(sqlite_connection(on_sqlite)) as raw, raw:
        raw.execute(
            "INSERT INTO notice (district, kind, subject, details, raised_at)"
            " VALUES (?, 'tablet-silent', ?, ?, '2026-03-01T00:00:00.000000+00:00')",
            (DISTRICT, tablet.id, '{"since": "2026-02-01T00:00:00+00:00"}'),
        )
    month = Supervised(on_sqlite, tablet, tablet, tablet, ("", ""))
    assert counted(month, syncs.TABLET).lines[0].silent_since.startswith("2026-02-01")
    assert counted(month).silent == 1
    on_sqlite.revoke(tablet)
    assert counted(month).silent == 0


def test_authors_are_those_of_the_changes(month: Supervised) -> None:
    found = counted(month, syncs.AUTHOR)
    assert {line.name for line in found.lines} == {
        "kader-contoh",
        syncs.UNKNOWN,
    }  # the latter was set aside, and is sealed


def test_nothing_of_another_area_is_told(month: Supervised) -> None:
    found = counted(month, syncs.TABLET, of_post(month.district, 1))
    assert [line.name for line in found.lines] == ["Tablet C"]
    assert counted(month, scope=Scope("none", "", shows_names=False)).total.batches == 0


def test_a_batch_tells_what_became_of_each_change(month: Supervised) -> None:
    district, tablet = month.district, month.first
    batch_id = tablet.answers[-1]["receipt"]["batch"]
    aside = next(answer["receipt"] for answer in tablet.answers if "quarantined" in str(answer["receipt"]))
    with district.hub.database.reading() as session:
        opened = syncs.batch(session, district.hub, whole(district), tablet.id, aside["batch"])
        with pytest.raises(Problem, match="record-unknown"):
            syncs.batch(session, district.hub, of_post(district, 1), tablet.id, batch_id)
    (came,) = opened.changes
    assert (came.outcome, came.reasons[0]["code"]) == ("quarantined", "out-of-range")
    assert came.header is not None
    assert came.header.author == syncs.UNKNOWN


def test_files_are_safe_in_a_spreadsheet_and_tell_the_same(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet(0, "=HYPERLINK(0)")
    tablet.register_child()
    tablet.sync_until_quiet()
    month = Supervised(on_sqlite, tablet, tablet, tablet, ("", ""))
    (row,) = read_csv(syncs.as_csv(counted(month, syncs.TABLET)))
    assert (row["name"], row["received"]) == ("'=HYPERLINK(0)", "1")
    with on_sqlite.hub.database.reading() as session:
        listed = syncs.listed(session, on_sqlite.hub, whole(on_sqlite), FIRST, LAST)
    assert {row["tablet"] for row in read_csv(syncs.uploads_as_csv(listed))} == {"'=HYPERLINK(0)"}


def test_the_file_of_uploads_has_what_was_refused(month: Supervised) -> None:
    district = month.district
    with district.hub.database.reading() as session:
        found = syncs.listed(session, district.hub, whole(district), FIRST, LAST)
        only = syncs.listed(session, district.hub, whole(district), FIRST, LAST, tablet_id=month.second.id)
    rows = read_csv(syncs.uploads_as_csv(found))
    assert [row["refused"] for row in rows if row["refused"]] == ["tablet-unknown", "batch-id-reused"]
    assert len(rows) == counted(month).total.batches + 2
    assert {batch.tablet_name for batch in only.batches} == {"Tablet C"}
    assert only.refusals == ()


# -- patterns ---------------------------------------------------------------------------------------


def found_patterns(month: Supervised, first: date = FIRST, last: date = LAST) -> dict[str, patterns.Pattern]:
    district = month.district
    with district.hub.database.reading() as session:
        found = patterns.patterns(session, district.hub, whole(district), first, last, district.posts)
    assert len({one.code for one in found}) == len(found)  # each once, in this month
    return {one.code: one for one in found}


def test_what_is_unusual_is_found_and_counted(month: Supervised) -> None:
    found = found_patterns(month)
    assert set(found) == {"at_night", "sent_at_night", "same_gain", "copied", "clock_off"} - {"in_a_minute"}
    night, gain, copied = found["at_night"], found["same_gain"], found["copied"]
    assert (night.tablet_name, night.count, night.day) == ("Tablet B", 6, date(2026, 3, 11))
    assert (found["sent_at_night"].count, found["sent_at_night"].day) == (12, date(2026, 3, 12))
    assert (gain.post_name, gain.count, gain.of, gain.value) == ("Melati 1", 9, 10, GAIN_G)
    assert (copied.post_name, copied.count, copied.of, copied.day) == (
        "Anggrek 2",
        4,
        4,
        date.fromisoformat(MARCH),
    )
    assert (found["clock_off"].tablet_name, found["clock_off"].count) == ("Tablet C", 1)


def test_an_ordinary_month_raises_nothing(month: Supervised) -> None:
    assert found_patterns(month, date(2026, 2, 1), date(2026, 2, 28)) == {}


def test_many_measurements_in_one_minute_are_told(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet(0, "Tablet A")
    for number in range(patterns.FEWEST_IN_A_MINUTE):
        tablet.measure(tablet.register_child(), MARCH, weight_g=8000 + number, length_mm=730)
    tablet.sync_until_quiet()
    found = found_patterns(Supervised(on_sqlite, tablet, tablet, tablet, ("", "")))
    assert (found["in_a_minute"].count, set(found)) == (10, {"in_a_minute"})


def test_every_pattern_says_in_both_languages_what_it_may_be() -> None:
    for words in patterns.PATTERNS.values():
        assert all((*words.text, *words.may_be))


# -- completeness by area ---------------------------------------------------------------------------


def in_areas(month: Supervised) -> tuple[areas.AreaCompleteness, ...]:
    district = month.district
    with district.hub.database.reading() as session:
        return areas.areas(session, district.hub, whole(district), FIRST)


def test_a_subdistrict_is_the_sum_of_its_villages(month: Supervised) -> None:
    (tenggarong,) = in_areas(month)
    (village,) = tenggarong.parts
    assert (tenggarong.code, tenggarong.name, village.code) == ("64.02.06", "Tenggarong", "64.02.06.1001")
    assert (tenggarong.day, tenggarong.missing) == (village.day, village.missing)
    assert (tenggarong.reported, tenggarong.missing) == (2, 2)
    assert not tenggarong.is_complete
    rows = read_csv(areas.as_csv([tenggarong]))
    assert [(row["level"], row["changes_missing"]) for row in rows] == [
        ("subdistrict", "2"),
        ("village", "2"),
    ]


def test_a_post_that_told_of_no_measurement_is_named(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet(0, "Tablet A")
    tablet.measure(tablet.register_child(), MARCH, weight_g=8000)
    tablet.sync_until_quiet()
    (area,) = in_areas(Supervised(on_sqlite, tablet, tablet, tablet, ("", "")))
    assert (area.reported, [post.post_name for post in area.silent]) == (1, ["Anggrek 2"])
    assert not area.is_complete


# -- one record -------------------------------------------------------------------------------------


def lineage_of(month: Supervised, *, values: bool = False, scope: Scope | None = None) -> Lineage:
    district = month.district
    with district.hub.database.reading() as session:
        found = lineage.lineage(
            session, district.hub, scope or whole(district), *month.disputed, values=values
        )
    return found


def test_history_says_who_had_seen_what(month: Supervised) -> None:
    found = lineage_of(month)
    a, b, d = ([step for step in found.steps if step.lane == lane] for lane in range(3))
    assert [name for _, name in found.lanes] == ["Tablet A", "Tablet B", "Tablet D"]
    assert (len(a), len(b), len(d)) == (3, 2, 1)
    assert b[0].unseen == (a[1].label,)  # the first correction of A
    assert d[0].unseen == ()
    assert a[2].unseen == (b[0].label, b[1].label, d[0].label)
    assert found.conflicts == ()


def test_every_change_stands_behind_all_that_its_author_had_seen(month: Supervised) -> None:
    found = lineage_of(month)
    place = {(step.lane, step.dot.counter): step.number for step in found.steps}
    for step in found.steps:
        assert all(place[seen.lane, seen.counter] < step.number for seen in step.seen)


def test_values_are_there_only_when_they_are_asked_for(month: Supervised) -> None:
    assert all(step.values is None for step in lineage_of(month).steps)
    told = lineage_of(month, values=True)
    assert told.steps[0].values == {
        "weight": {"weight_g": 8100, "oedema": None},
        "length": {"length_mm": 730, "position": "lying"},
    }


def test_every_record_of_the_child_is_listed_beside(month: Supervised) -> None:
    found = lineage_of(month)
    child, newest, older = found.records
    assert (child.kind, child.id, child.changes) == ("child", month.disputed[0], 1)
    assert (newest, newest.measured_on, newest.devices) == (found.record, date.fromisoformat(MARCH), 3)
    assert (older.source, older.changes) == ("cadre", 1)


def test_history_outside_the_area_is_not_found(month: Supervised) -> None:
    with pytest.raises(Problem, match="record-unknown"):
        lineage_of(month, scope=of_post(month.district, 1))


def test_history_of_an_erased_child_has_no_values_and_breaks_nothing(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet(0, "Tablet A")
    child = tablet.register_child()
    tablet.measure(child, MARCH, weight_g=90)
    tablet.sync_until_quiet()
    with closing(sqlite_connection(on_sqlite)) as raw, raw:
        raw.execute("UPDATE child SET wrapped_key = NULL, state = NULL")
    found = lineage_of(Supervised(on_sqlite, tablet, tablet, tablet, (child, child)), values=True)
    assert found.is_erased
    assert [(step.author, step.registers, step.values) for step in found.steps] == [
        ("kader-contoh", (), None)
    ]


def test_the_drawing_has_a_mark_for_each_change_and_leaves_out_what_another_arrow_implies(
    month: Supervised,
) -> None:
    found = lineage_of(month)
    chart = vector_chart(found)
    assert [mark.label for mark in chart.marks] == [step.label for step in found.steps]
    assert len({(mark.x, mark.y) for mark in chart.marks}) == len(chart.marks)
    # A2 and B1 each from A1; B2 from B1; D1 from A2 and B2; A3 from A2
    assert len(chart.arrows) == 6
    assert chart.doubtful == ()


def test_a_context_that_names_what_is_not_held_is_drawn_as_doubtful(month: Supervised) -> None:
    found = lineage_of(month)
    step = found.steps[1]
    forged = lineage.Seen(0, 999, held=False)
    broken: Any = [found.steps[0], replace(step, seen=(forged,)), *found.steps[2:]]
    chart = vector_chart(replace(found, steps=tuple(broken)))
    assert len(chart.doubtful) == 1


@pytest.mark.parametrize(("lane", "letter"), [(0, "A"), (25, "Z"), (26, "AA"), (27, "AB"), (52, "BA")])
def test_lanes_are_lettered_like_columns(lane: int, letter: str) -> None:
    assert lineage.letter(lane) == letter


def test_no_name_is_in_what_is_counted(month: Supervised) -> None:
    told = (
        "".join(syncs.as_csv(counted(month, syncs.AUTHOR)))
        + str(found_patterns(month))
        + str(lineage_of(month))
    )
    assert NAME not in told
