"""Measurements a second through HTTP, on each database, beside a bare insert of as many rows of the same tables.

The server is the real one: `serve` (gunicorn, 4 workers of 4 threads, and the scheduler) as a process of its own. Each
tablet works for a post of its own, with groups of 100 children who grow along the WHO's medians for 24 months, and sends
batches of 100 measurements, written beforehand but for the token and the signature; the answers'
pulls are received but not opened while the clock runs. Durable: SQLite with synchronous=FULL, PostgreSQL with its
defaults (fsync and synchronous_commit on).

The baseline writes the very rows that the run left behind (measurement, change, assessment, batch, audit entry), read
back and inserted again, in the order in which they came, into empty tables by SQLAlchemy Core: the same keys, indexes,
references and durability, 100 measurements a transaction, one process, no HTTP, no validation, no merge, no scores.
"""

import argparse
import gzip
import http.client
import os
import secrets
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Table, event, insert, select

from server import accounts
from server.config import Settings
from server.context import AppContext
from server.crypto.vault import SigningKey, base64url
from server.database.engine import WRITING, Database, _refuse_unaudited
from server.database.ids import new_id
from server.database.migrations import migrate
from server.database.models import Assessment, AuditEntry, Base, Batch, ChangeRow, Measurement, table
from server.growth.zscores import curve
from server.operations.serve import WEB
from server.places import health_posts
from sync_protocol import NOTHING_SEEN, Form, Replica, canonical, measurement_id
from tests._postgres import create_database, postgres_server

CHILDREN = 100
MONTHS = 24
FIRST_DAY = date(2023, 12, 8)
TOKEN = "token to be given"
WRITTEN: tuple[type[Base], ...] = (Measurement, ChangeRow, Assessment, Batch, AuditEntry)


@dataclass(slots=True)
class Prepared:
    """A tablet with everything ready to be sent but for the token, which the answer before brings."""

    replica: Replica
    key: SigningKey
    bodies: list[bytes]


@dataclass(slots=True)
class Sent:
    """What sending took: seconds by batch, and bytes received."""

    seconds: list[float]
    received: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measurements", type=int, default=24_000, help="in each run")
    parser.add_argument(
        "--long", type=int, default=100_000, help="before a worker's memory is read; 0 leaves it out"
    )
    parser.add_argument("--database", choices=["sqlite", "postgresql"], help="only this one")
    options = parser.parse_args()
    for name in [options.database] if options.database else ["sqlite", "postgresql"]:
        print(f"\n-- {name}: {options.measurements} measurements a run, batches of 100")
        with _database(name) as (settings, empty_url):
            _measure(settings, empty_url, options.measurements, options.long)


@contextmanager
def _database(name: str) -> Iterator[tuple[Settings, str]]:
    """Give settings of a fresh installation, and the URL of a second, empty database of the same kind."""
    directory = Path(tempfile.mkdtemp(prefix="posyandu-bench-"))
    try:
        if name == "sqlite":
            yield Settings.for_data(directory), f"sqlite:///{directory / 'baseline.db'}"
        else:
            with postgres_server(durable=True) as admin:
                url, other = create_database(admin, "bench"), create_database(admin, "baseline")
                yield Settings.for_data(directory, database_url=url), other
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _measure(settings: Settings, empty_url: str, count: int, long: int) -> None:
    with _served(settings) as (address, server):
        hub = AppContext.open(settings)
        _warm_up(hub, address)
        rates = {}
        for tablets in (1, 4):
            crew = [_prepare(hub, address, count // tablets // CHILDREN) for _ in range(tablets)]
            rates[tablets], sent = _timed(address, crew)
            slowest = statistics.quantiles([s for one in sent for s in one.seconds], n=20)[-1] * 1000
            print(
                f"{tablets} tablet(s): {rates[tablets]:8,.0f} measurements/s   p95 of a batch {slowest:6.1f} ms"
            )
        rows = _rows(hub)
        bare = _baseline(empty_url, hub.database, rows)
        each = sum(map(len, rows.values())) / len(rows[table(Measurement)])
        print(
            f"bare Core insert: {bare:6,.0f} measurements/s   ({each:.2f} rows each, of {len(rows)} tables)"
        )
        print(f"share of it:      {rates[1] / bare:.2f} with 1 tablet, {rates[4] / bare:.2f} with 4")
        _pull(hub, address)
        if long:
            done = 2 * count
            while done < long:
                crew = [_prepare(hub, address, count // 4 // CHILDREN) for _ in range(4)]
                _timed(address, crew)
                done += count
            print(f"memory after {done:,} measurements: {_workers_memory(server)}")
        hub.database.dispose()


def _warm_up(hub: AppContext, address: str) -> None:
    """Let every worker take a few batches (its first builds and caches every statement), and let PostgreSQL look at the
    data, as its autovacuum does within a minute of use: without statistics it takes the district to be selective, and
    reads all of it. (SQLite is told by the migration.)"""
    for _ in range(2):  # connections do not spread evenly over the workers
        _timed(address, [_prepare(hub, address, 4) for _ in range(8)])
    if not hub.database.is_sqlite:
        with hub.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE")


@contextmanager
def _served(settings: Settings) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    port = 18_000 + os.getpid() % 10_000
    command = [sys.executable, "-c", "from server.cli import main; main()", "serve", "--port", str(port)]
    server = subprocess.Popen(
        command, env=settings.child_environment(POSYANDU_LOG_LEVEL="WARNING"), stderr=subprocess.DEVNULL
    )
    address = f"127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                line = http.client.HTTPConnection(address, timeout=5)
                line.request("GET", "/readyz")
                if line.getresponse().status == 200:
                    break
            except OSError:
                pass
            time.sleep(0.1)
        else:
            raise RuntimeError("the server did not become ready")
        yield address, server
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)


def _prepare(hub: AppContext, address: str, batches: int, months: int = MONTHS) -> Prepared:
    """Enrol a tablet at a post of its own, register children, and write and sign their months, a batch each."""
    now = datetime.now(UTC)
    with hub.database.transaction() as session:
        centre = health_posts.add_health_centre(session, hub, "Puskesmas uji", None, actor="bench", now=now)
        post = health_posts.add_post(session, hub, "Posyandu uji", centre, None, actor="bench", now=now)
    replica, key = _enrol(hub, address, post)
    groups = [[new_id() for _ in range(CHILDREN)] for _ in range(-(-batches // months))]
    for number, child in enumerate(child for group in groups for child in group):
        born_on = (FIRST_DAY - timedelta(days=30 + number % CHILDREN * 3)).isoformat()
        identity = {
            "name": f"Anak uji {number}",
            "sex": "MF"[number % 2],
            "born_on": born_on,
            "birth_order": 1,
        }
        _write(replica, replica.open_child(child), {"identity": identity})
    _exchange(address, replica, key)
    cursor = replica.cursor
    bodies = []
    for batch_number in range(batches):
        group, month = divmod(batch_number, months)
        on = (FIRST_DAY + timedelta(days=30 * month)).isoformat()
        for number, child in enumerate(groups[group]):
            key_of = {"child": child, "measured_on": on, "source": "cadre"}
            form = Form("measurement", measurement_id(child, on, "cadre"), key_of, NOTHING_SEEN)
            _write(replica, form, _grown(number, 30 + number * 3 + 30 * month))
        batch = dict(replica.next_batch(new_id(), _moment(), max_changes=CHILDREN))
        replica.pending, replica.sent_up_to = None, replica.sent_up_to + CHILDREN
        batch["cursor"] = cursor + CHILDREN * batch_number  # as if it had pulled what came before
        bodies.append(canonical({**batch, "token": TOKEN}))
    return Prepared(replica, key, bodies)


def _grown(number: int, age_days: int) -> dict[str, dict[str, Any]]:
    """Give what a child measures at an age: along the median, a little above or below it from child to child."""
    sex = number % 2 + 1
    weight_kg, length_cm = (float(curve(index, sex, [0])[1][0][age_days]) for index in ("waz", "haz"))
    part = 0.88 + 0.24 * number / CHILDREN
    return {
        "weight": {"weight_g": round(weight_kg * part * 10) * 100, "oedema": "n"},
        "length": {"length_mm": round(length_cm * (0.97 + 0.06 * number / CHILDREN) * 10), "position": None},
        "muac": {"muac_mm": 140 + number % 20},
    }


def _enrol(hub: AppContext, address: str, post: str) -> tuple[Replica, SigningKey]:
    now, key = datetime.now(UTC), SigningKey()
    with hub.database.transaction() as session:
        code = accounts.make_enrolment_code(session, hub, post, "Tablet uji", actor="bench", now=now)
    asked = {"code": code, "public_key": key.jwk(), "app": "bench/1", "device": "bench"}
    answer, _ = _post(address, "/api/v1/enrol", gzip.compress(orjson.dumps(asked)))
    return Replica(hub.district, orjson.loads(answer)["tablet"], post, "bench/1"), key


def _write(replica: Replica, form: Any, values: dict[str, Any]) -> None:
    nonce = base64url(secrets.token_bytes(16))
    replica.write(form, values, author="kader:uji", recorded_at=_moment(), nonce=nonce)


def _moment() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _signed(batch: dict[str, Any], key: SigningKey) -> bytes:
    envelope = {"batch": batch, "signature": base64url(key.sign(canonical(batch)))}
    return gzip.compress(orjson.dumps(envelope), 6)


def _exchange(address: str, replica: Replica, key: SigningKey) -> int:
    """Sync until nothing more comes; give the bytes received on the wire."""
    received = 0
    while True:
        batch = replica.next_batch(new_id(), _moment())
        answer, size = _post(address, "/api/v1/sync", _signed(batch, key))
        received += size
        replica.receive(orjson.loads(answer), _moment())
        if not batch["changes"] and not orjson.loads(answer)["pull"]["more"]:
            return received


def _timed(address: str, crew: list[Prepared]) -> tuple[float, list[Sent]]:
    """Send all tablets' batches at once, and give measurements a second."""
    results: list[Sent] = []
    threads = [threading.Thread(target=lambda p=p: results.append(_send(address, p))) for p in crew]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    return sum(len(p.bodies) for p in crew) * CHILDREN / seconds, results


def _send(address: str, prepared: Prepared) -> Sent:
    token = prepared.replica.token.encode()
    line = http.client.HTTPConnection(address, timeout=60)
    sent = Sent([], 0)
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip", "Accept-Encoding": "gzip"}
    for waiting in prepared.bodies:
        signed = waiting.replace(TOKEN.encode(), token)
        signature = base64url(prepared.key.sign(signed)).encode()
        body = gzip.compress(b'{"batch":' + signed + b',"signature":"' + signature + b'"}', 1)
        started = time.perf_counter()
        line.request("POST", "/api/v1/sync", body, headers)
        response = line.getresponse()
        answer = response.read()
        sent.seconds.append(time.perf_counter() - started)
        sent.received += len(answer)
        plain = gzip.decompress(answer) if response.headers.get("Content-Encoding") == "gzip" else answer
        if response.status != 200 or plain.count(b'"applied"') != CHILDREN:
            raise RuntimeError(f"{response.status}: {plain[:300]!r}")
        token = orjson.loads(plain)["token"].encode()
    line.close()
    return sent


def _post(address: str, path: str, body: bytes) -> tuple[bytes, int]:
    line = http.client.HTTPConnection(address, timeout=60)
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip", "Accept-Encoding": "gzip"}
    line.request("POST", path, body, headers)
    response = line.getresponse()
    raw = response.read()
    plain = gzip.decompress(raw) if response.headers.get("Content-Encoding") == "gzip" else raw
    if response.status != 200:
        raise RuntimeError(f"{response.status}: {plain[:300]!r}")
    return plain, len(raw)


def _rows(hub: AppContext) -> dict[Table, list[dict[str, Any]]]:
    """Read back what the runs wrote, in the order in which it came: the measurements, and the rows that came with them."""
    changes, audited = table(ChangeRow), table(AuditEntry)
    with hub.database.reading() as session:
        found = {t: [dict(r) for r in session.execute(select(t)).mappings()] for t in map(table, WRITTEN)}
    found[changes] = [row for row in found[changes] if row["kind"] == "measurement"]
    found[audited] = [row for row in found[audited] if row["action"] == "batch.accepted"]
    arrived = {row["record_id"]: (row["received_at"], row["counter"]) for row in found[changes]}
    for t in (table(Measurement), table(Assessment)):
        found[t].sort(
            key=lambda row: arrived[
                measurement_id(row["child_id"], row["measured_on"].isoformat(), row["source"])
            ]
        )
    found[changes].sort(key=lambda row: (row["received_at"], row["counter"]))
    found[table(Batch)].sort(key=lambda row: row["received_at"])
    found[audited].sort(key=lambda row: row["at"])
    return found


def _baseline(url: str, parents: Database, rows: dict[Table, list[dict[str, Any]]]) -> float:
    """Insert the same rows bare: Core, executemany, 100 measurements and what belongs to them a transaction; the same
    tables, keys, indexes, references and durability."""
    migrate(url)
    database = Database(url)
    engine = database.engine.execution_options(**{WRITING: True})
    event.remove(database.engine, "commit", _refuse_unaudited)  # a bare insert has no audit of its own
    with parents.reading() as source, engine.begin() as connection:
        for t in Base.metadata.sorted_tables:  # what the rows refer to is not part of the race
            if t not in rows and t.name not in ("flag", "notice", "job_run"):
                others = [dict(row) for row in source.execute(select(t)).mappings()]
                if others:
                    connection.execute(insert(t), others)
    batches = -(-len(rows[table(Measurement)]) // CHILDREN)
    parts = {t: [_part(rows[t], number, batches) for number in range(batches)] for t in rows}
    with engine.connect() as connection:
        started = time.perf_counter()
        for number in range(batches):
            with connection.begin():
                for t in rows:
                    if parts[t][number]:
                        connection.execute(insert(t), parts[t][number])
        seconds = time.perf_counter() - started
    database.dispose()
    return len(rows[table(Measurement)]) / seconds


def _part(rows: list[dict[str, Any]], number: int, of: int) -> list[dict[str, Any]]:
    return rows[-(-len(rows) * number // of) : -(-len(rows) * (number + 1) // of)]


def _pull(hub: AppContext, address: str) -> None:
    """A new tablet of a post pulls 3,600 measurements."""
    crew = _prepare(hub, address, 36, months=36)
    _timed(address, [crew])
    fresh, key = _enrol(hub, address, crew.replica.post_id)
    started = time.perf_counter()
    received = _exchange(address, fresh, key)
    seconds = time.perf_counter() - started
    count = sum(1 for kind, _ in fresh.base if kind == "measurement")
    print(
        f"pull of {count} measurements, {len(fresh.base) - count} children: {seconds * 1000:,.0f} ms", end=""
    )
    print(f" with the tablet's own work, {received / count:.1f} bytes a measurement (gzip)")


def _workers_memory(server: "subprocess.Popen[bytes]") -> str:
    """Read the resident memory of gunicorn's processes."""
    listing = subprocess.run(
        ["ps", "-e", "-o", "pid=,ppid=,rss=,comm="], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split(None, 3) for line in listing.splitlines()]
    masters = {row[0] for row in rows if row[1] == str(server.pid) and row[3] == WEB}
    return ", ".join(f"{int(row[2]) // 1024} MiB" for row in rows if row[1] in masters) + " a worker"


if __name__ == "__main__":
    main()
