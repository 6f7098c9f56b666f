"""Odd uploads by the thousand: none is a 500, none takes long, and what is stored is what the ledger folds to.

`make fuzz` goes on for as long as one likes, against a server of its own whose memory is watched.
"""

import os
import random
import sys
import time
from collections.abc import Iterator

import pytest

from server.app import create_app
from tests.fuzz._batches import Uploads
from tests.fuzz._visitors import wsgi
from tests.server._district import Databases, District

UPLOADS = int(os.environ.get("FUZZ_UPLOADS", "600"))
MOST_CPU_SECONDS = 5.0
"""For one upload, of this process's own time: twenty times what the largest takes. What runs away takes hours."""


@pytest.fixture(scope="module")
def uploads(sqlite_databases: Databases) -> Iterator[Uploads]:
    with District.opened(sqlite_databases, log_level="CRITICAL") as district:
        line = wsgi(create_app(district.hub.settings, district.hub), "127.0.0.2")
        made = Uploads(district, line, random.Random(64), clock=time.process_time)
        for _ in range(UPLOADS):
            made.one()
        yield made


def test_no_upload_is_answered_wrongly(uploads: Uploads, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        sys.stdout.write(f"\nfuzz of batches: {uploads.told()}; slowest {uploads.slowest:.2f} s of CPU\n")
    assert uploads.wrong == {}
    assert uploads.slowest < MOST_CPU_SECONDS


def test_uploads_came_far(uploads: Uploads) -> None:
    """They were stopped at every door, and some went through all of them."""
    for code in ("accepted", "body-not-gzip", "body-not-json", "batch-malformed", "signature-invalid"):
        assert uploads.by_answer[code] > 0, code
    for outcome in ("applied", "quarantined"):
        assert uploads.outcomes[outcome] > 100, outcome


def test_what_was_stored_is_whole(uploads: Uploads) -> None:
    uploads.district.check_agreement()
