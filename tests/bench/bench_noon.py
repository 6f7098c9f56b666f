"""Noon: a thousand tablets come back to a signal within ten minutes, each with a morning of 60 children, while staff work.

The server is the real one: `serve` as a process tree of its own. Each tablet is the reference client with a store on the
disk and a line of 20 to 200 kbit/s and 300 to 1,500 ms, of whose requests 2 in 100 are cut. Everything is written and signed
up to the last step beforehand. Beside them three people open the queue, a child and the figures once a second. A second
of waiting counts as the tablet's own where its line was busy, or where it paused because the line was cut; whatever else it
waited is the server's doing.

The same load, at a tenth of the size, runs first on gunicorn's gthread worker as it was (4 threads, which read bodies).
"""

import argparse
import contextlib
import http.client
import multiprocessing
import random
import re
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from sqlalchemy import func, select

from server import accounts
from server.config import Settings
from server.context import AppContext
from server.crypto.vault import SigningKey
from server.database.models import ChangeRow
from server.growth.zscores import curve
from server.places import health_posts
from sync_protocol.client import Client, NotReached, Pace, new_id
from tests._memory import quick_directory
from tests._postgres import create_database, postgres_server
from tests.bench._slow_line import Signal, SlowLine

CHILDREN: Final = 60
KBIT, LATENCY, CUT = (20.0, 200.0), (0.3, 1.5), 0.02
PASSWORD: Final = "kata-sandi-uji-coba"
PREPARING: Final = 3
"""Tablets that are prepared at once."""
TRIES: Final = 20
"""Syncs that a tablet begins before it gives up for the day."""
GIVEN_UP_SECONDS: Final = 60.0
"""A page that fails counts so long."""
SAMPLE_SECONDS: Final = 2.0
WARM_UPS: Final = 16
"""Rounds of pages before the clock runs, so that each worker has compiled its templates and statements."""
SERVE: Final = "from server.cli import main; main()"
SERVE_AS_BEFORE: Final = f"""
import server.operations.serve as serve
now = serve._gunicorn
def as_before(host, port):
    return [a.replace("server.web.connections.worker.Worker", "gthread") for a in now(host, port)]
serve._gunicorn = as_before
{SERVE}
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How many tablets come within how many minutes."""

    tablets: int
    minutes: float


@dataclass(slots=True)
class Came:
    """What became of one tablet.

    Parameters
    ----------
    tablet : its id
    waited : seconds beyond those of its line
    spent : seconds in all
    unanswered : changes without a receipt
    """

    tablet: str
    waited: float
    spent: float
    unanswered: int
    cuts: int
    troubles: Counter[str] = field(default_factory=Counter)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tablets", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=10.0, help="within which they come")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], help="only this one")
    parser.add_argument("--no-baseline", action="store_true", help="leave out the worker as it was")
    options = parser.parse_args()
    size = Size(options.tablets, options.minutes)
    for name in [options.database] if options.database else ["sqlite", "postgresql"]:
        if not options.no_baseline:
            tenth = Size(max(size.tablets // 10, 20), size.minutes / 10)
            _run(name, tenth, SERVE_AS_BEFORE, "gthread, 4 x 4 threads")
        _run(name, size, SERVE, "this server")


def _run(name: str, size: Size, program: str, title: str) -> None:
    print(f"\n-- {name}, {title}: {size.tablets} tablets within {size.minutes:g} minutes", flush=True)
    with _installed(name) as settings, _served(settings, program) as (port, server):
        hub = AppContext.open(settings)
        began = time.monotonic()
        folder = settings.data_dir / "tablets"
        folder.mkdir()
        crew = _prepare(hub, port, folder, size.tablets)
        print(f"prepared in {time.monotonic() - began:.0f} s", flush=True)
        with _staff(hub, port, crew[0].child) as staff, _memory(server.pid) as memory:
            came = _noon(port, crew, size)
            pages = staff()
        _print(came, pages, memory, _lost(hub, came), size)
        hub.database.dispose()


# -- the server -------------------------------------------------------------------------------------


@contextlib.contextmanager
def _installed(name: str) -> Iterator[Settings]:
    with quick_directory() as directory:
        settings = Settings.for_data(
            directory, second_factor=False, cookie_secure=False, log_level="ERROR", session_minutes=600
        )
        if name == "sqlite":
            yield settings
        else:
            with postgres_server(durable=True) as admin:
                yield replace(settings, database_url=create_database(admin, "noon"))


@contextlib.contextmanager
def _served(settings: Settings, program: str) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    port = random.SystemRandom().randrange(20_000, 30_000)
    command = [sys.executable, "-c", program, "serve", "--port", str(port)]
    environment = settings.child_environment()
    server = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                if _get(port, "/readyz", {})[0] == 200:
                    break
            time.sleep(0.1)
        else:
            raise RuntimeError("the server did not become ready")
        yield port, server
    finally:
        server.terminate()
        server.wait(60)


@contextlib.contextmanager
def _memory(pid: int) -> Iterator[list[float]]:
    """Sample the memory of a process tree in MiB: what its processes have, shared pages divided among them."""
    samples, ended = [_memory_of(pid)], threading.Event()

    def sample() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            samples.append(_memory_of(pid))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()


def _memory_of(pid: int) -> float:
    kib = 0
    with contextlib.suppress(OSError):
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text()
        kib += int(re.search(r"^Pss:\s+(\d+)", rows, re.MULTILINE)[1])  # type: ignore[index]  # it is always there
        below = "".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
        return kib / 1024 + sum(_memory_of(int(child)) for child in below.split())
    return kib / 1024


# -- tablets ----------------------------------------------------------------------------------------


class _Keys:
    """Keys whose name is the private number: a load has no key store."""

    def make(self) -> str:
        return str(SigningKey().private_number())

    def find(self, name: str) -> SigningKey:
        return SigningKey.from_private_number(int(name))


@dataclass(frozen=True, slots=True)
class Prepared:
    """A tablet with a morning of measurements in its store, and one of its children."""

    store: Path
    child: str


def _prepare(hub: AppContext, port: int, folder: Path, tablets: int) -> list[Prepared]:
    """Enrol tablets, each at a post of its own; register children and send them; write the morning and keep it."""
    now = datetime.now(UTC)
    with hub.database.transaction() as session:
        centre = health_posts.add_health_centre(session, hub, "Puskesmas uji", None, actor="bench", now=now)
    codes = []
    for number in range(tablets):
        with hub.database.transaction() as session:
            name = f"Posyandu {number}"
            post = health_posts.add_post(session, hub, name, centre, None, actor="bench", now=now)
            codes.append(
                accounts.make_enrolment_code(session, hub, post, "Tablet uji", actor="bench", now=now)
            )
    stores = [folder / f"{number}.db" for number in range(tablets)]
    with ThreadPoolExecutor(PREPARING) as many:
        return list(many.map(lambda store, code: _morning(port, store, code), stores, codes))


def _morning(port: int, store: Path, code: str) -> Prepared:
    url = f"http://127.0.0.1:{port}"
    with Client.enrol(store, url, code, keys=_Keys(), app="bench/1", device="bench") as client:
        children = [new_id() for _ in range(CHILDREN)]
        today = datetime.now(UTC).date()
        for number, child in enumerate(children):
            born_on = (today - timedelta(days=100 + 25 * number)).isoformat()
            identity = {"name": f"Anak uji {number}", "sex": "MF"[number % 2], "born_on": born_on}
            client.write(
                client.open_child(child), {"identity": {**identity, "birth_order": 1}}, author="kader"
            )
        client.sync()
        for number, child in enumerate(children):
            form = client.open_measurement(child, (today - timedelta(days=1)).isoformat())
            client.write(form, _grown(number), author="kader")
    return Prepared(store, children[0])


def _grown(number: int) -> dict[str, dict[str, Any]]:
    """Give what a child of so many months measures; some are small enough to reach the queue."""
    age_days = 99 + 25 * number
    weight, length = (float(curve(index, number % 2 + 1, [0])[1][0][age_days]) for index in ("waz", "haz"))
    part = 0.8 + 0.3 * number / CHILDREN
    return {
        "weight": {"weight_g": round(weight * part * 10) * 100, "oedema": "n"},
        "length": {"length_mm": round(length * (0.93 + 0.1 * number / CHILDREN) * 10), "position": None},
    }


def _noon(port: int, crew: list[Prepared], size: Size) -> list[Came]:
    """Let every tablet come at its moment, and wait until all have gone."""
    rng = random.Random(12)
    moments = sorted(rng.uniform(0, size.minutes * 60) for _ in crew)
    came: list[Came] = []
    threads = [
        threading.Thread(target=lambda p=prepared, seed=seed: came.append(_come(port, p, seed)))
        for seed, prepared in enumerate(crew)
    ]
    began = time.monotonic()
    for moment, thread in zip(moments, threads, strict=True):
        time.sleep(max(began + moment - time.monotonic(), 0))
        thread.start()
    for thread in threads:
        thread.join()
    return came


def _come(port: int, prepared: Prepared, seed: int) -> Came:
    """Sync until quiet over a bad line, as the app does: again and again."""
    rng = random.Random(seed)
    kbit = KBIT[0] * (KBIT[1] / KBIT[0]) ** rng.random()
    signal = Signal(kbit * 1000, rng.uniform(*LATENCY))
    line = SlowLine(f"http://127.0.0.1:{port}", signal, CUT, rng)

    def pause(seconds: float) -> None:
        time.sleep(seconds)
        signal.own_seconds += seconds if line.was_cut else 0.0

    with Client.open(
        prepared.store, keys=_Keys(), transport=line, pace=Pace(), sleep=pause, rng=rng
    ) as client:
        began, troubles = time.monotonic(), Counter[str]()
        for _ in range(TRIES):
            try:
                troubles.update(client.sync().troubles)
                break
            except NotReached as error:
                troubles[error.why] += 1
                time.sleep(error.retry_after_seconds or 5.0)
        spent = time.monotonic() - began
        line.close()
        return Came(
            *(client.replica.tablet_id, spent - signal.own_seconds, spent),
            *(len(client.replica.unanswered()), line.cuts, troubles),
        )


def _lost(hub: AppContext, came: list[Came]) -> int:
    """Count the measurements of which the tablet has a receipt, and the database no change."""
    with hub.database.reading() as session:
        rows = session.execute(
            select(ChangeRow.actor, func.count())
            .where(ChangeRow.district == hub.district, ChangeRow.kind == "measurement")
            .group_by(ChangeRow.actor)
        )
        held: dict[str, int] = {row[0]: row[1] for row in rows}
    return sum(max(CHILDREN - one.unanswered - held.get(one.tablet, 0), 0) for one in came)


# -- staff ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _staff(hub: AppContext, port: int, child: str) -> Iterator[Any]:
    """Let three people open pages once a second, in a process of their own; give what ends that and tells the seconds."""
    chosen = accounts.new_password(PASSWORD, "petugas")
    with hub.database.transaction() as session:
        given = (session, hub, "petugas", "Petugas Contoh", "staff", "district", hub.district, chosen)
        accounts.add_account(*given, actor="bench", now=datetime.now(UTC))
    ours, theirs = multiprocessing.Pipe()
    forking = multiprocessing.get_context("spawn")
    paths = ("/antrean", f"/anak/{child}", f"/angka/kabupaten/{hub.district}", "/healthz")
    worker = forking.Process(target=_work, args=(theirs, port, paths), daemon=True)
    worker.start()
    ours.recv()  # signed in

    def end() -> dict[str, list[float]]:
        ours.send("end")
        told: dict[str, list[float]] = ours.recv()
        worker.join()
        return told

    yield end


def _work(boss: "Pipe", port: int, paths: tuple[str, ...]) -> None:
    cookie = _sign_in(port)
    for path in paths * WARM_UPS:
        _get(port, path, {"Cookie": cookie})
    boss.send("signed in")
    told: dict[str, list[float]] = {path: [] for path in paths}
    ended = threading.Event()
    threads = [threading.Thread(target=_open, args=(port, path, cookie, told[path], ended)) for path in paths]
    for thread in threads:
        thread.start()
    boss.recv()
    ended.set()
    for thread in threads:
        thread.join()
    boss.send(told)


def _open(port: int, path: str, cookie: str, seconds: list[float], ended: threading.Event) -> None:
    """Open a page once a second, or as soon as the one before is there."""
    due = time.monotonic()
    while not ended.wait(max(due - time.monotonic(), 0)):
        due = max(due + 1.0, time.monotonic())
        began = time.monotonic()
        try:
            status = _get(port, path, {"Cookie": cookie})[0]
        except OSError:
            status = 0
        seconds.append(time.monotonic() - began if status == 200 else GIVEN_UP_SECONDS)


def _sign_in(port: int) -> str:
    _, headers, body = _get(port, "/masuk", {})
    cookie = headers["Set-Cookie"].partition(";")[0]
    token = body.decode().split('name="csrf_token" value="')[1].split('"')[0]
    form = urlencode({"csrf_token": token, "username": "petugas", "password": PASSWORD})
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    line.request(
        "POST",
        "/masuk",
        form,
        {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"},
    )
    answer = line.getresponse()
    if answer.status != 302:
        raise RuntimeError(f"signing in: {answer.status}")
    return answer.headers["Set-Cookie"].partition(";")[0]


def _get(port: int, path: str, headers: dict[str, str]) -> tuple[int, Any, bytes]:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        line.request("GET", path, headers=headers)
        answer = line.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        line.close()


# -- telling ----------------------------------------------------------------------------------------


def _print(
    came: list[Came], pages: dict[str, list[float]], memory: list[float], lost: int, size: Size
) -> None:
    receipts = sum(CHILDREN - one.unanswered for one in came)
    print(
        f"receipts  {receipts:,} of {size.tablets * CHILDREN:,}   lost {lost}   cuts {sum(o.cuts for o in came)}"
    )
    waits = sorted(one.waited for one in came)
    print(
        f"tablets   waited beyond their lines: p50 {statistics.median(waits):.1f} s, "
        f"p95 {waits[int(0.95 * len(waits))]:.1f} s, longest {waits[-1]:.1f} s; "
        f"longest sync in all {max(one.spent for one in came):.0f} s"
    )
    for path, seconds in pages.items():
        named = re.sub(r"[0-9a-f-]{36}", "<child>", path)
        p50, p95 = (statistics.quantiles(seconds, n=20)[at] * 1000 for at in (9, 18))
        print(
            f"staff     {named:16} {len(seconds):5} times: p50 {p50:5.0f} ms, p95 {p95:5.0f} ms, "
            f"max {max(seconds) * 1000:6.0f} ms"
        )
    print(
        f"memory    {memory[0]:.0f} MiB at the start, {max(memory):.0f} at most, {memory[-1]:.0f} at the end"
    )
    troubles = sum((one.troubles for one in came), Counter[str]())
    for why, count in troubles.most_common(5):
        print(f"trouble   {count:5} x {why}")


if __name__ == "__main__":
    main()
