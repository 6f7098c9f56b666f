"""What each of the three rules is for: with it nothing is lost, without it the oracle finds what was.

Each rule has the shortest story that needs it, and a search of the random histories of `test_histories.py` in which
only that rule is off.
"""

from collections.abc import Callable

import pytest

from tests.builders import length, weight
from tests.sync_protocol._world import (
    REFS,
    BelievesCounters,
    PublishesClaims,
    ServerModel,
    TakesHoles,
    World,
    random_history,
)

BABY, REF = REFS[:2]


def later_change_comes_first(world: World) -> None:
    """A batch is carried to the server and overtakes the one before it; somebody edits what then shows."""
    one, other = world.devices[:2]
    world.edit(one, REF, weight(8200))
    world.edit(one, REF, length(700))
    world.carry(one, [2])
    world.sync(other)
    world.edit(other, REF, weight(8300))


def server_forgets_what_a_tablet_saw(world: World) -> None:
    """A tablet saw a weight and set the length; the server, restored, knows of the weight only by hearsay."""
    author, witness, third = world.devices
    world.server_backup = world.server.saved()
    world.edit(author, REF, weight(8200))
    world.sync(author)
    world.sync(witness)
    world.edit(witness, REF, length(700))
    world.restore_server()
    world.sync(witness)
    world.sync(third)
    world.edit(third, REF, weight(8300))


def one_number_is_used_twice(world: World) -> None:
    """Server and tablet are both restored; the tablet's first change is then another than the one that was seen."""
    author, witness = world.devices[:2]
    world.server_backup = world.server.saved()
    world.clone(author)
    world.edit(author, REF, weight(8200))
    world.sync(author)
    world.sync(witness)
    world.edit(witness, REF, weight(8300))
    world.restore_server()
    world.edit(world.devices[3], REF, weight(9000))
    world.sync(world.devices[3])


STORIES = [
    (later_change_comes_first, TakesHoles),
    (server_forgets_what_a_tablet_saw, PublishesClaims),
    (one_number_is_used_twice, BelievesCounters),
]


@pytest.mark.parametrize("story", [story for story, _ in STORIES])
def test_nothing_is_lost_when_all_rules_hold(story: Callable[[World], None]) -> None:
    world = World()
    story(world)
    world.settle()
    assert world.verdict().lost == 0
    assert world.disagreements() == []


@pytest.mark.parametrize(("story", "broken"), STORIES)
def test_a_weight_is_lost_when_one_rule_is_off(
    story: Callable[[World], None], broken: type[ServerModel]
) -> None:
    world = World(broken())
    story(world)
    world.settle()
    assert world.verdict().lost == 1


@pytest.mark.parametrize("broken", [TakesHoles, PublishesClaims, BelievesCounters])
def test_random_histories_find_a_loss_when_one_rule_is_off(broken: type[ServerModel]) -> None:
    losses = (random_history(seed, broken()).verdict().lost for seed in range(100))
    assert any(losses)
