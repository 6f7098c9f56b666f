"""A post's data quality as it is loaded: whose values are judged, over which months, for whom; on both databases."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from server.errors import Problem
from server.growth.measuring_quality import FINDINGS
from server.review import Scope
from server.review.post_quality import ADVICE, CENTRE, POST, PostQuality, quality_of
from tests.server._district import DISTRICT, District, identity
from tests.server.review._weighings import counted, everybody, weigh_many

TODAY = date(2026, 3, 5)


def judged(district: District, post: int = 0, scope: Scope | None = None, **asked: Any) -> PostQuality:
    with district.hub.database.reading() as session:
        return quality_of(
            session, district.hub, scope or everybody(district), district.posts[post], TODAY, **asked
        )


def test_every_finding_has_an_advice_in_both_languages() -> None:
    assert set(ADVICE) == set(FINDINGS)
    assert all(text for a in ADVICE.values() for text in (*a.text, *a.remedy))


def test_a_rounded_length_is_found_when_a_post_has_measured_enough(installed: District) -> None:
    weigh_many(installed.tablet(), 16, ("2026-02-05", "2026-03-05"), rounded=True)
    report = judged(installed)
    assert (report.quality.n, report.quality.children, report.quality.wanted) == (32, 16, 0)
    assert "digits_length" in report.quality.findings
    assert report.quality.digits["length"].counts[0] + report.quality.digits["length"].counts[5] == 32
    wire = report.wire()
    assert wire["digits"]["length"]["zero_five"] == 1
    assert [finding["code"] for finding in wire["findings"]] == list(report.quality.findings)


def test_scores_and_birth_dates_come_with_the_measurements(installed: District) -> None:
    weigh_many(installed.tablet(), 16, ("2026-02-05", "2026-03-05"))
    found = judged(installed).quality
    assert found.spreads["haz"].n == 32
    assert (found.first_days.count, found.first_days.n, found.missing["birth_date"].count) == (0, 16, 0)
    assert found.missing["position"].count == 0


def test_nothing_is_said_and_what_lacks_is_told_when_there_is_too_little(on_sqlite: District) -> None:
    weigh_many(on_sqlite.tablet(), 4, ("2026-03-05",))
    report = judged(on_sqlite)
    assert (report.quality.wanted, report.quality.findings, report.quality.digits) == (26, (), {})
    assert report.wire()["flagged"]["share"] is None


@pytest.mark.parametrize(("months", "n"), [(3, 1), (12, 2), (24, 3)])
def test_only_the_months_that_were_asked_for_are_looked_at(on_sqlite: District, months: int, n: int) -> None:
    weigh_many(on_sqlite.tablet(), 1, ("2025-03-31", "2025-12-31", "2026-01-01"))
    report = judged(on_sqlite, months=months)
    assert report.quality.n == n
    assert report.last == TODAY


def test_what_staff_measured_or_tablets_disagree_about_is_not_judged(installed: District) -> None:
    tablet, other = installed.tablet(), installed.tablet(name="Tablet Lain")
    (child,) = weigh_many(tablet, 1, ("2026-02-05",))
    tablet.measure(child, "2026-02-06", "staff", weight_g=8100)
    other.sync_until_quiet()
    for each, weight in ((tablet, 8200), (other, 9200)):
        each.measure(child, "2026-03-05", weight_g=weight)
        each.sync_until_quiet()
    tablet.measure(child, "2026-03-04", weight_g=8000)
    tablet.remove(child, "2026-03-04")
    tablet.sync_until_quiet()
    assert judged(installed).quality.n == 1


def test_a_posts_health_centre_is_judged_together_but_only_within_scope(installed: District) -> None:
    weigh_many(installed.tablet(0), 2, ("2026-03-05",))
    weigh_many(installed.tablet(1), 3, ("2026-03-05",))
    report = judged(installed, pool=CENTRE)
    assert (report.posts, report.quality.n, report.pool) == (2, 5, CENTRE)
    alone = judged(installed, pool=CENTRE, scope=Scope("post", installed.posts[0], shows_names=True))
    assert (alone.posts, alone.quality.n) == (1, 2)


@pytest.mark.parametrize(
    "scope", [Scope("post", "x", True), Scope("none", "", False), Scope("village", "64.02.01.2001", True)]
)
def test_a_post_outside_the_scope_is_unknown(on_sqlite: District, scope: Scope) -> None:
    with pytest.raises(Problem, match="record-unknown"):
        judged(on_sqlite, scope=scope)
    with on_sqlite.hub.database.reading() as session, pytest.raises(Problem, match="record-unknown"):
        quality_of(session, on_sqlite.hub, everybody(on_sqlite), "no id", TODAY)


def test_the_day_of_a_session_is_told_when_all_gained_the_same(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    for number in range(16):
        child = tablet.register_child(identity=identity(name=f"Anak Contoh {number:03d}"))
        for day, more in (("2026-02-05", 0), ("2026-03-05", 200)):
            tablet.measure(child, day, weight_g=8000 + 70 * number + more, length_mm=700 + number)
    tablet.sync_until_quiet()
    report = judged(on_sqlite)
    assert "same_weight_gain" in report.quality.findings
    first, second = report.wire()["same_increments"]
    assert (first["day"], first["measure"], first["step"], first["children"]) == (
        "2026-03-05",
        "weight",
        200,
        16,
    )
    assert second["measure"] == "length"


def test_linked_children_are_one_child(installed: District) -> None:
    tablet = installed.tablet()
    one, other = weigh_many(tablet, 2, ("2026-03-05",))
    tablet.edit_child(other, same_as={"child": one})
    tablet.sync_until_quiet()
    assert judged(installed).quality.children == 1


def test_the_number_of_statements_does_not_grow_with_children(installed: District) -> None:
    weigh_many(installed.tablet(), 1, ("2026-03-05",))
    with counted(installed) as few:
        judged(installed)
    weigh_many(installed.tablet(name="Tablet Lain"), 9, ("2026-02-05", "2026-03-05"))
    with counted(installed) as many:
        judged(installed)
    assert len(few) == len(many) <= 5


def test_no_cadre_is_named(on_sqlite: District) -> None:
    weigh_many(on_sqlite.tablet(), 16, ("2026-02-05", "2026-03-05"), rounded=True)
    assert "kader-contoh" not in str(judged(on_sqlite, pool=POST).wire())
    assert replace(judged(on_sqlite), pool=CENTRE).wire()["post"]["id"] == on_sqlite.posts[0]
    assert on_sqlite.hub.district == DISTRICT
