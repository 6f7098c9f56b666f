"""Whatever is altered in the log's tables is found with the last checkpoint, and an honest log is never accused."""

import os

from tests.server._district import District
from tests.server.audit._tampering import ALTERATIONS, tried

TIMES = int(os.environ.get("TAMPERINGS", "0")) or 3 * len(ALTERATIONS)


def test_every_alteration_is_found_and_no_honest_log_is_accused(installed: District) -> None:
    outcome = tried(installed, TIMES, seed=TIMES)
    assert outcome.missed == []
    assert outcome.misnamed == []
    assert outcome.false_alarms == 0
    assert outcome.tried.total() == TIMES
