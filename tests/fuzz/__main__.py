"""`make fuzz`: odd requests and odd uploads for as long as one likes, against a server as an operator runs it.

Each round walks through every operation as every visitor and sends as many uploads, from a seed that is printed: `--seed`
repeats it. It ends after `--minutes` or `--cases`, whichever comes first, and fails on a wrong answer, on a line that was
lost, on stored data that is not what the ledger folds to, on more memory than operators are promised, and, of requests that
are asked again and again in one process, on anything that they leave behind (`_leaks`): on a small installation of its own,
so that the end takes minutes whatever the rounds have left.

With `--values` nothing else is done but this: histories of any accepted values, in rounds of a new district each, until so
many values were uploaded; after each round every job, page, report and export runs (`_histories`).

With `--bytes` nothing is served: the targets of `_bytes` and `_served` share the time, under libFuzzer where that is there.
"""

import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Final

import click
import orjson

from tests._memory import quick_directory
from tests.faults._running import LineLost, Server, descendants, start, wait_until
from tests.fuzz._batches import Uploads
from tests.fuzz._bytes import PURE, Fuzz
from tests.fuzz._histories import Histories
from tests.fuzz._replay import replayed
from tests.fuzz._routes import Answer, Line, Visitor, Walk
from tests.fuzz._served import SERVED
from tests.fuzz._visitors import VISITORS, good_bodies
from tests.server._district import Databases
from tests.server.web import _role_world
from tests.server.web._clinic import PASSWORD

UPLOADS_FOR_AN_OPERATION: Final = 12
PATIENCE_SECONDS: Final = 600.0
MOST_MIB: Final = 1800
"""That all processes of a server may hold together: what docs/operations.md tells operators to have."""
SHARED: Final[Mapping[str, int]] = {"unpacking": 1, "schemas": 1, "endpoint": 6, "sheets": 1, "forms": 1}
"""Each target's share of the time. The endpoint's cases are the dear ones, and what they reach matters most."""
REPLAYS: Final = 6
CHANGES: Final = 2000
"""Of one round of histories."""


def http(server: Server, address: str) -> Line:
    """Give a way to a running server, from one of this machine's own addresses."""

    def ask(method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        line = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_SECONDS, source_address=(address, 0))
        try:
            line.request(method, path, body, dict(headers))
            got = line.getresponse()
            return Answer(got.status, {n.lower(): v for n, v in got.getheaders()}, got.read())
        finally:
            line.close()

    return ask


def answers(server: Server) -> bool:
    """Say whether a server that was started is ready; it may take long on a machine that has much to do."""
    try:
        return server.get("/readyz")[0] == 200
    except LineLost:
        return False


def mebibytes(server: Server) -> list[float]:
    """Give the memory that each of the server's processes holds, with its share of what several hold (PSS of /proc)."""
    found = []
    for pid in (server.process.pid, *descendants(server.process.pid)):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        found.append(sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024)
    return found


@click.command()
@click.option("--minutes", default=10.0, show_default=True, help="The longest that it may take.")
@click.option("--cases", default=10_000_000, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=64, show_default=True)
@click.option("--bytes", "only_bytes", is_flag=True, help="Fuzz what reads bytes, in this process.")
@click.option("--values", default=0, type=click.IntRange(0), help="Upload histories with so many values.")
@click.option(
    "--target", "targets", multiple=True, type=click.Choice(SHARED), help="With --bytes: only this."
)
def main(
    minutes: float, cases: int, seed: int, only_bytes: bool, values: int, targets: Sequence[str]
) -> None:
    """Send odd requests and uploads at length; exit 0 only if every answer was as it should be."""
    if values:
        sys.exit(0 if of_histories(values, seed) else 1)
    if only_bytes:
        names = targets or tuple(SHARED)
        each = minutes * 60 / sum(SHARED[name] for name in names)
        well = [of_bytes(name, each * SHARED[name], cases, seed) for name in names]
        sys.exit(0 if all(well) else 1)
    with (
        tempfile.TemporaryDirectory(prefix="posyandu-fuzz-") as home,
        _role_world.opened(Databases(Path(home), None)) as world,
    ):
        settings = world.clinic.district.hub.settings
        server = start(settings, POSYANDU_SECOND_FACTOR="0", POSYANDU_LOG_LEVEL="CRITICAL")
        try:
            wait_until(lambda: answers(server), "the server is ready", PATIENCE_SECONDS)
            ok = walk(server, world, time.monotonic() + minutes * 60, cases, seed)
        finally:
            server.end()
        world.clinic.district.check_agreement()
        click.echo("ledger, tables and log agree")
    with quick_directory() as place, _role_world.opened(Databases(place, None)) as small:
        kept = replayed(small, REPLAYS, click.echo)
    click.echo("\n".join((f"leaks: {kept.blocks:+.2f} blocks a request, of {kept.asked}", *kept.where)))
    sys.exit(0 if ok and not kept.leaks else 1)


def of_histories(values: int, seed: int) -> bool:
    """Upload histories until so many values were sent; say whether nothing failed."""
    sent, well = 0, True
    for number in count(seed):
        with quick_directory() as home, _role_world.opened(Databases(home, None)) as world:
            histories = Histories(world, number)
            histories.upload(CHANGES)
            histories.everything()
        sent += histories.values
        click.echo(f"{sent} values; seed {number}: {histories.told()}")
        for what, how in histories.wrong.items():
            click.echo(f"WRONG {what}: {how}")
        well = well and not histories.wrong
        if sent >= values:
            return well
    raise AssertionError("numbers do not end")


def of_bytes(name: str, seconds: float, cases: int, seed: int) -> bool:
    """Fuzz one target; say whether all was well."""
    if find_spec("atheris"):
        asked = (f"-max_total_time={round(seconds)}", f"-runs={cases}", f"-seed={seed}")
        ended = subprocess.run([sys.executable, "-m", "tests.fuzz._guided", name, *asked], check=False)
        click.echo(f"{name}: ended with {ended.returncode}")
        return ended.returncode == 0
    ends = time.monotonic() + seconds
    with quick_directory() as home:
        target = PURE[name]() if name in PURE else SERVED[name](Databases(home, None))
        fuzz = Fuzz(target, random.Random(seed))
        fuzz.run(cases, lambda: time.monotonic() > ends)
        target.close()
    click.echo(f"{fuzz.told()}, seed {seed}")
    for what, case in fuzz.wrong.items():
        click.echo(f"WRONG {what}: {case!r}")
    return not fuzz.wrong


def walk(server: Server, world: _role_world.World, ends: float, cases: int, seed: int) -> bool:
    """Go round until the time or the cases are over; say whether all was well."""
    line, door = http(server, "127.0.0.2"), http(server, "127.0.0.3")
    people = [Visitor(world.people[n].username, world.people[n].role, PASSWORD) for n in VISITORS]
    described = orjson.loads(line("GET", "/api/openapi.json", {}, None).body)
    known = {**world.fill, "from": world.fill["post_id"], "to": world.fill["post_id"]}
    walked = Walk(described, line, door, [*people, Visitor("visitor", None)], known, good_bodies())
    uploads = Uploads(world.clinic.district, line, random.Random(seed))
    memory: list[float] = []
    began, round_number = time.monotonic(), 0
    while time.monotonic() < ends and walked.tally.asked + uploads.sent < cases:
        for number, operation in enumerate(walked.operations()):
            if time.monotonic() >= ends or walked.tally.asked + uploads.sent >= cases:
                break
            walked.go(operation, 3, seed + 1000 * round_number + number)
            for _ in range(UPLOADS_FOR_AN_OPERATION):
                uploads.one()
            if number % 20 == 0:
                each = mebibytes(server)
                memory.append(sum(each))
                told = ", ".join(f"{one:.0f}" for one in each)
                minutes = (time.monotonic() - began) / 60
                asked = f"{walked.tally.asked} requests, {uploads.sent} uploads"
                click.echo(f"  {minutes:.0f} min: {asked}; {memory[-1]:.0f} MiB ({told})")
        round_number += 1
        click.echo(f"round {round_number}, seed {seed}: {walked.tally.told()}\n  {uploads.told()}")
    wrong = {**{str(k): v for k, v in walked.tally.wrong.items()}, **uploads.wrong}
    for what, how in wrong.items():
        click.echo(f"WRONG {what}: {how}")
    click.echo(f"by role: {dict(walked.tally.by_role)}")
    click.echo(
        f"memory: {memory[0]:.0f} MiB at first, {memory[-1]:.0f} at last, most {max(memory):.0f} of {MOST_MIB}"
    )
    return not wrong and max(memory) < MOST_MIB


if __name__ == "__main__":
    main()
