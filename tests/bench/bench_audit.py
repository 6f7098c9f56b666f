"""How fast the log is verified: entries a second, from a database and from an export, beside the plain way.

The plain way is what one would write first: read a row, build the content, write it canonically, hash it, compare. It reads
the same rows from the same database in the same run. Best of three of each, in turn, so that a busy machine is fair to all.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import insert, select

from server import audit
from server.audit import checkpoints
from server.audit.export import lines, verify_export
from server.database.models import AuditEntry, AuditStream, table
from sync_protocol import canonical
from tests._postgres import postgres_server
from tests.server._district import DISTRICT, NOW, Databases, District

STREAMS: Final = 100
ROUNDS: Final = 3


def fill(district: District, entries: int) -> None:
    """Write a log as a year of syncs leaves it, in STREAMS streams, with a checkpoint in the middle and at the end."""
    for half in range(2):
        rows: list[dict[str, Any]] = []
        heads: list[dict[str, Any]] = []
        for number in range(STREAMS):
            stream, count = f"post/{number:04d}", entries // STREAMS // 2
            with district.hub.database.reading() as session:
                c = table(AuditStream).c
                head = session.execute(select(c.entries, c.head_hash).where(c.stream == stream)).one_or_none()
            at, previous = (head.entries, head.head_hash) if head else (0, "")
            for step in range(at + 1, at + count + 1):
                moment = NOW + timedelta(seconds=step)
                details = {
                    "batch": f"01900000-0000-7000-8000-{step:012x}",
                    "changes": 14,
                    "outcomes": {"applied": 12, "merged": 1, "quarantined": 1},
                    "received": 14,
                    "size_bytes": 9000 + step,
                }
                entry: dict[str, Any] = {
                    "actor": f"tablet:{number:04d}",
                    "action": "batch.accepted",
                    "at": moment,
                }
                previous = audit.entry_hash(
                    *(DISTRICT, stream, step, moment, entry["actor"], entry["action"], details, previous)
                )
                text = canonical(details).decode()
                key = {"district": DISTRICT, "stream": stream, "number": step}
                rows.append({**key, **entry, "details": text, "hash": previous})
            heads.append(
                {"district": DISTRICT, "stream": stream, "entries": at + count, "head_hash": previous}
            )
        with district.hub.database.transaction() as session:
            if half:
                for head_row in heads:
                    session.execute(
                        table(AuditStream)
                        .update()
                        .where(table(AuditStream).c.stream == head_row["stream"])
                        .values(entries=head_row["entries"], head_hash=head_row["head_hash"])
                    )
            else:
                session.execute(insert(table(AuditStream)), heads)
            session.execute(insert(table(AuditEntry)), rows)
            checkpoints.make(session, district.hub, NOW, actor="operator")


def plainly(district: District) -> int:
    """Verify each entry as one would write it down first."""
    count, previous, before = 0, "", ""
    with district.hub.database.reading() as session:
        c = table(AuditEntry).c
        query = select(c.stream, c.number, c.at, c.actor, c.action, c.details, c.hash)
        query = query.where(c.district == DISTRICT).order_by(c.stream, c.number)
        for row in session.execute(query.execution_options(yield_per=1000)):
            previous = previous if row.stream == before else ""
            content = (row.at, row.actor, row.action, json.loads(row.details), previous)
            if audit.entry_hash(DISTRICT, row.stream, row.number, *content) != row.hash:
                raise AssertionError(row.number)
            previous, before, count = row.hash, row.stream, count + 1
    return count


def ours(district: District) -> int:
    """Verify as `audit verify --checkpoint` does."""
    with district.hub.database.reading() as session:
        kept = checkpoints.kept(session, district.hub)
        keys = district.hub.vault.checkpoint_keys()
        count, broken = audit.verify(session, DISTRICT, keys=keys, kept=kept)
    if broken:
        raise AssertionError(broken)
    return count


def from_file(path: Path) -> int:
    """Verify as `audit verify --export` does."""
    with path.open("rb") as reading:
        found = verify_export(reading)
    if found.broken:
        raise AssertionError(found.broken)
    return found.entries


def timed(ways: dict[str, Callable[[], int]]) -> None:
    """Run each way in turn, ROUNDS times, and tell the best."""
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            started, processor = time.perf_counter(), time.process_time()
            count = way()
            took, busy = time.perf_counter() - started, time.process_time() - processor
            best[name] = max(best.get(name, 0), count / took)
            print(f"  {name:28} {count:9,} entries {took:7.2f} s {busy:7.2f} s of processor")
    for name, speed in best.items():
        print(f"{name:30} {speed:10,.0f} entries/s")


def measure(databases: Databases, name: str, entries: int) -> None:
    """Fill one database and time every way on it."""
    with District.opened(databases) as district:
        fill(district, entries)
        export = databases.directory / f"{name}.jsonl"
        started = time.perf_counter()
        with export.open("wb") as writing, district.hub.database.reading() as session:
            count = sum(writing.write(line) > 0 for line in lines(session, district.hub, datetime.now(UTC)))
        took = time.perf_counter() - started
        print(f"\n{name}: export of {count:,} lines, {export.stat().st_size / 1e6:.0f} MB, {took:.1f} s")
        timed(
            {
                f"{name}: plain": lambda: plainly(district),
                f"{name}: verify": lambda: ours(district),
                f"{name}: verify an export": lambda: from_file(export),
            }
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=200_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        measure(Databases(Path(place), None), "SQLite", asked.entries)
        with postgres_server() as url:
            measure(Databases(Path(place), url), "PostgreSQL", asked.entries)


if __name__ == "__main__":
    main()
