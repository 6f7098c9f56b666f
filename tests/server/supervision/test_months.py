"""What is kept of a post's month is what is worked out now, whatever happened in between; and it saves the work."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st
from sqlalchemy import event, select

from server import audit
from server.database.models import ChangeRow, PostMonth, table
from server.errors import Problem
from server.privacy import erasure
from server.review import Scope, quarantine
from server.supervision import months, patterns
from server.sync import server_edits
from tests.conftest import SEARCHED
from tests.server._district import DISTRICT, Databases, District
from tests.server._supervised import supervised
from tests.server.reports._scene import OFTEN, Scene

LOOKED_AT = (date(2026, 3, 1), date(2026, 2, 1))
FEW = (
    *("FEWEST_AT_NIGHT", "FEWEST_SENT_AT_NIGHT", "FEWEST_IN_SESSION", "FEWEST_COPIED"),
    "FEWEST_IN_A_MINUTE",
)
"""Thresholds of patterns: at one, nearly every day of measuring has some."""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def kind(request: pytest.FixtureRequest) -> Databases:
    """Give each kind of database; Hypothesis makes a district for every example on it."""
    made: Databases = request.getfixturevalue(f"{request.param}_databases")
    return made


def told(
    district: District, month: date = LOOKED_AT[0], scope: Scope | None = None
) -> list[months.PostMonthReport]:
    hub = district.hub
    with hub.database.reading() as session:
        return months.post_month_reports(
            session, hub, scope or Scope.whole_district(hub, shows_names=True), month
        )


def worked_out(district: District, month: date = LOOKED_AT[0]) -> list[months.PostMonthReport]:
    """Work everything out, whatever is kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(months, "FORM", 0)
        return told(district, month)


def refresh(district: District) -> int:
    return months.refresh(district.hub, district.clock.now, actor="test", months=4)


class Overseen(Scene):
    """A scene in which measurements are set aside too and decided about, tablets are carried for, closed and revoked, people
    are erased, and a supervisor looks now and then."""

    def __init__(self, district: District) -> None:
        super().__init__(district)
        self.seen_odd = self.decided = 0

    def day(self, number: int) -> str:
        return super().day(number % 6)

    def aside(self, a: int, b: int, _c: int) -> None:
        if self.children:
            self.tablets[a % 2].measure(self.children[a % len(self.children)], self.day(b), weight_g=90)

    def decide(self, a: int, _b: int, c: int) -> None:
        """Dismiss what was set aside, take that back, or make a corrected copy."""
        cases = self.district.rows(
            select(ChangeRow.actor, ChangeRow.counter)
            .where(ChangeRow.outcome == "quarantined")
            .order_by(ChangeRow.actor, ChangeRow.counter)
        )
        if not cases:
            return
        actor, counter = cases[a % len(cases)]
        hub, now = self.district.hub, self.district.clock.now
        place = hub, Scope.whole_district(hub, shows_names=True), actor, counter
        by: dict[str, Any] = {"author": "account:uji", "now": now}
        copy = {"set": {"weight": {"weight_g": 9000, "oedema": None}}}
        with suppress(Problem):
            if c % 3 == 0:
                server_edits.decide(
                    hub, lambda s: quarantine.dismiss(s, *place, {"reason": "practice"}, **by)
                )
            elif c % 3 == 1:
                server_edits.decide(hub, lambda s: quarantine.reopen(s, *place, **by))
            else:
                server_edits.decide(hub, lambda s: quarantine.release(s, *place, copy, **by))
            self.decided += 1

    def send_some(self, a: int, _b: int, c: int) -> None:
        """Send a little, by oneself or by somebody else; the answer may be lost."""
        tablet = self.tablets[a % 2]
        if c % 3 == 0:
            tablet.carry()
        elif c % 3 == 1:
            tablet.lose_answer(max_changes=1)
        else:
            tablet.sync_until_quiet(max_changes=2)

    def split(self, a: int, b: int, c: int) -> None:
        """Let two devices share an identity: one of them is told to enrol anew, and does."""
        rival = self.tablets[a % 2].clone()
        rival.register_child()
        rival.sync_until_quiet()
        self.measure(a, b, c)

    def revoke(self, a: int, _b: int, c: int) -> None:
        if c % 4 == 0:
            self.district.revoke(self.tablets[a % 2])
            self.tablets[a % 2] = self.district.tablet(c % 2)

    def erase(self, a: int, _b: int, c: int) -> None:
        child, hub = self.known(a), self.district.hub
        if child and c % 3 == 0:
            with suppress(Problem), hub.database.transaction() as session:
                erasure.erase(
                    *(session, hub, child),
                    proposed_by="account:a",
                    agreed_by="account:b",
                    now=self.district.clock.now,
                )

    def look(self, _a: int, _b: int, c: int) -> None:
        """Look at both months; after that it may be worked out beforehand, or half of it."""
        for month in LOOKED_AT:
            found = told(self.district, month)
            assert found == worked_out(self.district, month)
            self.seen_odd += sum(len(one.patterns) for one in found)
        if c % 4:
            refresh(self.district)


MORE = ("aside", "aside", "decide", "decide", "send_some", "split", "revoke", "erase", "look", "look", "look")
EDITS = ("remove", "name_anew", "strike", "move", "move", "link", "link", "pass_time")
ACTS = st.tuples(
    st.sampled_from((*OFTEN, *OFTEN, *MORE, *EDITS)),
    *(st.integers(0, 40), st.integers(0, 70), st.integers(0, 90)),
)


def test_what_is_kept_is_told_only_while_it_is_what_would_be_worked_out(
    kind: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in FEW:
        monkeypatch.setattr(patterns, name, 1)
    done, odd, decided = [], [], []
    stories = SEARCHED or (2 if kind.admin else 3)  # the first is of the simplest acts

    @settings(
        max_examples=stories, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(st.lists(ACTS, min_size=150, max_size=200))
    def story(acts: Sequence[tuple[str, int, int, int]]) -> None:
        with District.opened(kind) as district:
            scene = Overseen(district)
            for act in acts:
                scene.act(*act)
            scene.look(0, 0, 1)
            assert refresh(district) == 0
            scene.look(0, 0, 1)
            done.append(scene.edits)
            odd.append(scene.seen_odd)
            decided.append(scene.decided)

    story()
    assert sum(done) >= 150 * stories
    assert sum(odd) > 0
    assert sum(decided) > 0


def statements(district: District) -> int:
    """Count the statements with which a month is told."""
    sent = []
    engine = district.hub.database.engine

    def note(*_: object) -> None:
        sent.append(1)

    event.listen(engine, "before_cursor_execute", note)
    told(district)
    event.remove(engine, "before_cursor_execute", note)
    return len(sent)


def test_what_is_kept_is_read_and_not_worked_out_again(on_sqlite: District) -> None:
    month = supervised(on_sqlite)
    before = told(on_sqlite)
    assert refresh(on_sqlite) == 8  # two posts, four months
    assert refresh(on_sqlite) == 0
    assert told(on_sqlite) == before
    assert {one.code for post in before for one in post.patterns} >= {"at_night", "same_gain", "copied"}
    kept = statements(on_sqlite)
    month.first.measure(month.disputed[0], "2026-03-06", weight_g=8700)
    month.first.sync_until_quiet()
    assert statements(on_sqlite) > kept
    weighed = [sum(post.day.weighed for post in found) for found in (told(on_sqlite), before)]
    assert weighed[0] == weighed[1] + 1
    assert refresh(on_sqlite) == 4  # of that post alone
    assert statements(on_sqlite) == kept


def test_what_is_kept_of_another_post_or_form_is_not_told(on_sqlite: District) -> None:
    supervised(on_sqlite)
    refresh(on_sqlite)
    whole = told(on_sqlite)
    (only,) = told(on_sqlite, scope=Scope("post", on_sqlite.posts[1], shows_names=True))
    assert only == next(one for one in whole if one.post_id == on_sqlite.posts[1])
    assert told(on_sqlite, scope=Scope("none", "", shows_names=False)) == []
    with on_sqlite.hub.database.transaction() as session:
        session.execute(table(PostMonth).update().values(told='{"children": 99}'))
        audit.append(session, DISTRICT, audit.OFFICE, "test", actor="test", now=on_sqlite.clock.now)
    assert worked_out(on_sqlite) == whole
