"""A record that more enrolments wrote than a context may name: tablets and staff still edit it, and nothing is lost."""

import uuid
from collections.abc import Sequence
from dataclasses import replace

from schemas import check_change
from schemas.change import MAX_ACTORS
from server import audit
from server.review import Scope, quarantine
from server.sync import server_edits
from server.sync.loading import Arrival
from server.sync.pipeline import plan_changes
from server.sync.server_edits import Edit
from sync_protocol import FIRST_PREVIOUS, NOTHING_SEEN, Entry, Link, Outcome, chain
from tests.builders import make_wire, weight
from tests.server._district import DISTRICT, District, FakeTablet

ON = "2026-02-05"
CROWD = MAX_ACTORS + 60


def crowded(district: District, child: str, *, in_turn: bool) -> None:
    """Let CROWD enrolments write a weight of one measurement: each in sight of the one before it, or of none."""
    edit = Edit.of_measurement(child, ON, "cadre", {}, NOTHING_SEEN)
    seen, links = NOTHING_SEEN, list[Link]()
    for number in range(CROWD):
        wire = make_wire(
            id=edit.record_id,
            key=dict(edit.key),
            context=seen.wire() if in_turn else {},
            set=weight(5000 + number),
        )
        links += chain(str(uuid.UUID(int=number, version=4)), 1, FIRST_PREVIOUS, [wire])
        seen = NOTHING_SEEN.seeing(links[-1].dot.actor, Entry(1, links[-1].hash[:16]))
    take(district, links)


def take(district: District, links: Sequence[Link]) -> None:
    hub, now = district.hub, district.clock.now
    arrivals = [Arrival.of(link, check_change(link.wire, today=now.date())) for link in links]
    with hub.database.transaction() as session:
        plan = plan_changes(
            session, hub, district.posts[0], arrivals, now, batch_id=None, all_or_none=True, lock=True
        )
        plan.writes.apply(session)
        audit.append(session, DISTRICT, audit.OFFICE, "taken", actor="operator", now=now)


def scene(district: District, *, in_turn: bool) -> tuple[FakeTablet, str]:
    tablet = district.tablet()
    child = tablet.register_child()
    tablet.sync_until_quiet()
    crowded(district, child, in_turn=in_turn)
    tablet.sync_until_quiet()
    assert len(tablet.state(child, ON).vector) == CROWD
    return tablet, child


def test_story_a_tablet_edits_a_record_that_more_enrolments_wrote_than_a_context_may_name(
    installed: District,
) -> None:
    tablet, child = scene(installed, in_turn=True)
    tablet.measure(child, ON, weight_g=8200)
    tablet.sync_until_quiet()
    assert tablet.outcomes()[-1] in ("applied", "merged")
    assert tablet.state(child, ON).value("weight") == weight(8200)["weight"]


def test_story_staff_edit_a_record_that_more_enrolments_wrote_than_a_context_may_name(
    installed: District,
) -> None:
    tablet, child = scene(installed, in_turn=True)
    edit = Edit.of_measurement(child, ON, "cadre", weight(8200), tablet.state(child, ON).vector)
    with installed.hub.database.transaction() as session:
        (written,) = server_edits.write(
            session, installed.hub, [edit], "uji.ditulis", author="operator", now=installed.clock.now
        )
    assert written.outcome is Outcome.APPLIED
    tablet.sync_until_quiet()
    assert tablet.state(child, ON).value("weight") == weight(8200)["weight"]


def test_story_a_tablet_settles_more_values_than_a_context_may_name_in_two_goes(installed: District) -> None:
    """What the first context leaves out stays beside the new value; the second names it."""
    tablet, child = scene(installed, in_turn=False)
    tablet.measure(child, ON, weight_g=8200)
    tablet.sync_until_quiet()
    assert tablet.outcomes()[-1] == "conflict"
    assert 1 < len(tablet.state(child, ON).registers["weight"]) < 100
    tablet.measure(child, ON, weight_g=8200)
    tablet.sync_until_quiet()
    assert tablet.state(child, ON).value("weight") == weight(8200)["weight"]


def test_story_a_context_that_is_too_long_is_kept_and_can_be_released(installed: District) -> None:
    """A client that names too many is told; its change is kept with its bytes, as any other that is set aside."""
    tablet, child = scene(installed, in_turn=True)
    form = tablet.replica.open_measurement(child, ON)
    whole = tablet.state(child, ON).vector
    tablet.write(replace(form, context=whole), weight(8200))
    tablet.sync_until_quiet()
    assert tablet.reasons(2) == ["list-length"]
    everybody = Scope.whole_district(installed.hub, shows_names=True)
    released = server_edits.decide(
        installed.hub,
        lambda session: quarantine.release(
            session,
            installed.hub,
            everybody,
            tablet.id,
            2,
            {"set": weight(8300)},
            author="account:uji",
            now=installed.clock.now,
        ),
    )
    assert (released.outcome, released.context) == (Outcome.APPLIED, "original")
