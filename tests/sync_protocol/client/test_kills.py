"""SIGKILL at random moments of writing and syncing, against a real `serve`: what was told is saved is there, once."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from sqlalchemy import select

from server.database.models import ChangeRow
from sync_protocol import FIRST_PREVIOUS
from sync_protocol.client import Client
from tests.faults._running import ROOT, environment, running
from tests.server._district import District
from tests.sync_protocol.client._hall import APP, KeysByNumber, code_of

KILLS = 60


def check_whole(client: Client, saved: Path) -> int:
    """Check that the log has everything that was told is saved, and neither holes nor a broken chain; give its length."""
    log = client.replica.log
    assert [entry.change.dot.counter for entry in log] == list(range(1, len(log) + 1))
    assert [entry.previous for entry in log] == [FIRST_PREVIOUS, *(e.change.hash for e in log)][: len(log)]
    for line in saved.read_text().splitlines() if saved.exists() else ():
        counter, hash_ = line.split()
        assert log[int(counter) - 1].change.hash == hash_
    return len(log)


def test_nothing_that_was_saved_is_lost_or_doubled_when_the_app_is_killed(
    on_sqlite: District, tmp_path: Path
) -> None:
    file, saved, rng = tmp_path / "contoh.tablet", tmp_path / "saved", random.Random(5)
    command = [sys.executable, "-m", "tests.sync_protocol.client._cadre", str(file), str(saved)]
    lengths, pending = [0], 0
    with running(on_sqlite.hub.settings) as server:
        url = f"http://127.0.0.1:{server.port}"
        Client.enrol(file, url, code_of(on_sqlite), keys=KeysByNumber(), app=APP, device="uji").close()
        cadres = subprocess.Popen(
            command, cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert cadres.stdin is not None
        assert cadres.stdout is not None
        with cadres, cadres.stdin, cadres.stdout:
            for _ in range(KILLS):
                cadres.stdin.write("go\n")
                cadres.stdin.flush()
                pid = int(cadres.stdout.readline())
                time.sleep(rng.uniform(0.005, 0.12))
                os.kill(pid, signal.SIGKILL)
                assert cadres.stdout.readline() == "ended\n"
                with Client.open(file, keys=KeysByNumber()) as client:
                    lengths.append(check_whole(client, saved))
                    pending += client.replica.pending is not None
        with Client.open(file, keys=KeysByNumber()) as client:
            assert client.sync().is_quiet
            log = [(entry.change.dot.counter, entry.change.hash) for entry in client.replica.log]
            enrolment = client.replica.tablet_id
    rows = on_sqlite.rows(select(ChangeRow.actor, ChangeRow.counter, ChangeRow.hash))
    assert sorted((row.counter, row.hash) for row in rows) == log
    assert {row.actor for row in rows} == {enrolment}
    on_sqlite.check_agreement()
    assert lengths == sorted(lengths)
    assert lengths[-1] > KILLS  # it was at work when it was killed,
    assert pending > KILLS // 10  # and sending, too
