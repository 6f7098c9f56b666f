"""Nothing that is accepted can hurt: any history that the schemas accept, then every job, page, report and export of it.

`make fuzz ARGS='--values 1000000'` goes on until so many values were uploaded.
"""

import os
import sys
from collections.abc import Iterator

import pytest

from tests.fuzz._histories import Histories
from tests.server._district import Databases
from tests.server.web import _role_world

CHANGES = int(os.environ.get("FUZZ_CHANGES", "700"))


@pytest.fixture(scope="module")
def histories(sqlite_databases: Databases) -> Iterator[Histories]:
    with _role_world.opened(sqlite_databases) as world:
        made = Histories(world, 64)
        made.upload(CHANGES)
        made.everything()
        yield made


def test_nothing_fails_after_any_history(histories: Histories, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        sys.stdout.write(f"\nfuzz of histories: {histories.told()}\n")
    assert histories.wrong == {}


def test_histories_came_far(histories: Histories) -> None:
    """Nearly all of it was accepted, and in every way."""
    for outcome in ("applied", "merged", "conflict", "quarantined"):
        assert histories.outcomes[outcome] > 0, outcome
    assert histories.outcomes["quarantined"] < histories.changes / 5
    assert histories.values > 3 * CHANGES
