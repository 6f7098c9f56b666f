"""An aid to a child: promised by the office, brought and told by a tablet without a signal, and the other way round."""

from typing import Any

import pytest
from sqlalchemy import select

from server.database.models import Delivery
from server.privacy import restriction
from server.review import Scope, conflicts
from server.sync import server_edits
from server.sync.server_edits import Edit
from sync_protocol import NOTHING_SEEN, RecordState, VersionVector, delivery_id
from tests.server._district import District, FakeTablet
from tests.server.aid._commitments import FOOD

BROUGHT = {"given_on": "2026-03-05", "quantity": 30, "unit": "portion", "value_rp": 450_000}


def promised(
    district: District, child: str, delivery: str, context: VersionVector = NOTHING_SEEN, /, **set_: Any
) -> None:
    edit = Edit.of_delivery(child, delivery, set_ or {"aid": FOOD}, context)
    with district.hub.database.transaction() as session:
        server_edits.write(
            session, district.hub, [edit], "aid.assigned", author="account:uji", now=district.clock.now
        )


def told(tablet: FakeTablet, child: str, delivery: str, **set_: Any) -> None:
    tablet.write(tablet.replica.open_delivery(child, delivery), set_)


def shown(tablet: FakeTablet, child: str, delivery: str) -> RecordState | None:
    return tablet.replica.view(("delivery", delivery_id(child, delivery)))


def row(district: District, delivery: str) -> Any:
    (found,) = district.rows(select(Delivery).where(Delivery.delivery == delivery))
    return found[0]


def test_promise_comes_down_and_what_was_brought_comes_back(installed: District) -> None:
    tablet, other, elsewhere = installed.tablet(), installed.tablet(), installed.tablet(1)
    child, delivery = tablet.register_child(), installed.new_id()
    installed.settle(tablet)
    promised(installed, child, delivery)
    tablet.sync_until_quiet()
    assert row(installed, delivery).given == 0
    told(tablet, child, delivery, delivered=BROUGHT, evidence={"what": "signature", "where": "Ibu Contoh"})
    installed.settle(tablet, other, elsewhere)
    for one in (tablet, other):
        state = shown(one, child, delivery)
        assert state is not None
        assert (state.value("aid"), state.value("delivered")) == (FOOD, BROUGHT)
    assert elsewhere.shown() == {}
    stored = row(installed, delivery)
    assert (stored.menu, stored.funds, stored.given, stored.value_rp) == ("food", "genting", 1, 450_000)
    assert (str(stored.starts_on), str(stored.given_on)) == ("2026-03-01", "2026-03-05")
    assert b"Ibu Contoh" not in stored.state  # evidence is sealed under the child's key


def test_two_who_tell_of_one_delivery_at_once_are_both_kept_until_somebody_settles_it(
    installed: District,
) -> None:
    one, two = installed.tablet(), installed.tablet()
    child, delivery = one.register_child(), installed.new_id()
    installed.settle(one, two)
    promised(installed, child, delivery)
    one.sync_until_quiet()
    two.sync_until_quiet()
    told(one, child, delivery, delivered=BROUGHT)
    told(two, child, delivery, delivered={**BROUGHT, "quantity": 28})
    installed.settle(one, two)
    assert row(installed, delivery).conflicts == "delivered"
    assert (row(installed, delivery).given, row(installed, delivery).quantity) == (1, None)
    scope = Scope.whole_district(installed.hub, shows_names=True)
    with installed.hub.database.reading() as session:
        (listed,), _ = conflicts.conflicts(session, installed.hub, scope)
    assert (listed.kind, listed.record_id) == ("delivery", delivery_id(child, delivery))
    state = shown(one, child, delivery)
    assert state is not None
    promised(installed, child, delivery, state.vector, delivered=BROUGHT)
    installed.settle(one, two)
    assert row(installed, delivery).conflicts == ""


def test_conflict_in_a_delivery_is_not_shown_while_the_child_is_restricted(installed: District) -> None:
    first, second = installed.tablet(), installed.tablet()
    child, delivery = first.register_child(), installed.new_id()
    installed.settle(first, second)
    told(first, child, delivery, aid=FOOD, delivered=BROUGHT)
    told(second, child, delivery, delivered={**BROUGHT, "quantity": 28})
    installed.settle(first, second)
    assert row(installed, delivery).conflicts == "delivered"
    scope = Scope.whole_district(installed.hub, shows_names=True)
    with installed.hub.database.transaction() as session:
        restriction.restrict(session, installed.hub, child, actor="operator", now=installed.clock.now)
    with installed.hub.database.reading() as session:
        assert conflicts.conflicts(session, installed.hub, scope) == ([], 0)


def test_deliveries_go_with_a_child_that_moves(installed: District) -> None:
    tablet, elsewhere = installed.tablet(), installed.tablet(1)
    child, delivery = tablet.register_child(), installed.new_id()
    told(tablet, child, delivery, aid=FOOD, delivered=BROUGHT)
    installed.settle(tablet)
    tablet.write(tablet.replica.open_child(child), {"post": {"post": installed.posts[1]}})
    installed.settle(tablet, elsewhere)
    assert row(installed, delivery).post_id == installed.posts[1]
    assert shown(elsewhere, child, delivery) is not None


@pytest.mark.parametrize(
    ("register", "value", "code"),
    [
        ("delivered", {**BROUGHT, "given_on": "2099-01-01"}, "date-in-future"),
        ("delivered", {**BROUGHT, "value_rp": 1.5}, "not-whole-number"),
        ("aid", {**FOOD, "ends_on": "2026-02-01"}, "ends-before-start"),
        ("aid", {**FOOD, "menu": "money"}, "not-choice"),
    ],
)
def test_wrong_delivery_is_set_aside_with_its_reason(
    on_sqlite: District, register: str, value: dict[str, Any], code: str
) -> None:
    tablet = on_sqlite.tablet()
    child, delivery = tablet.register_child(), on_sqlite.new_id()
    told(tablet, child, delivery, **{register: value})
    tablet.sync_until_quiet()
    assert tablet.outcomes()[-1] == "quarantined"
    (reason,) = tablet.replica.log[-1].item.reasons  # type: ignore[union-attr]
    assert reason["code"] == code
