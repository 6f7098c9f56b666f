"""Two installations as an operator runs them, each a witness of the other: set up by commands, asked by their schedulers."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from server.config import Settings
from tests._memory import quick_directory
from tests.faults._running import COMMAND, ROOT, Server, environment, running
from tests.server._district import Databases, District

PREFIX = "/api/v1/witness"


@dataclass
class Side:
    settings: Settings
    server: Server

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*COMMAND, *arguments],
            env=environment(self.settings),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    def told(self, *arguments: str) -> str:
        done = self.command(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def keys(self) -> dict[str, str]:
        return dict(line.split("\t") for line in self.told("witness", "keys").splitlines())

    def knows(self, other: "Side") -> None:
        """Add the other as a witness, and witness its log."""
        keys = other.keys()
        self.told(
            "witness", "add", "sebelah", f"http://127.0.0.1:{other.server.port}{PREFIX}", keys["witness"]
        )
        self.told("witness", "log", "add", keys["log"])


@pytest.fixture
def elsewhere() -> Iterator[District]:
    with quick_directory() as directory, District.opened(Databases(Path(directory), None)) as district:
        yield district


def test_two_servers_witness_each_other_and_one_that_went_away_is_told(
    installed: District, elsewhere: District
) -> None:
    for district in (installed, elsewhere):
        district.hub.database.dispose()
    with running(installed.hub.settings) as one, running(elsewhere.hub.settings) as two:
        here, there = Side(installed.hub.settings, one), Side(elsewhere.hub.settings, two)
        for side, other in ((here, there), (there, here)):
            side.knows(other)
        for side in (here, there):
            side.told("audit", "checkpoint", os.devnull)
            side.told("witness", "submit")
            done = side.command("audit", "verify", "--ask-witnesses")
            assert done.returncode == 0, done.stdout + done.stderr
            assert "sebelah vouches up to " in done.stderr
        two.kill()
        here.told("audit", "checkpoint", os.devnull)
        done = here.command("witness", "submit")
        assert (done.returncode, done.stdout.split("\t")[2]) == (1, "ConnectionRefusedError\n")
        assert "sebelah could not be asked" in here.command("audit", "verify", "--ask-witnesses").stderr
        assert here.server.get("/readyz")[0] == 200
