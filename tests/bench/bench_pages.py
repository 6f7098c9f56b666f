"""How long the desk's pages take, and how many statements: one puskesmas of 2,000 children, and all Kukar with 60,000.

The tables are filled directly, far faster than tablets could send: children sealed under real keys so that their names open,
a measurement a month for 12 months along the WHO's curves with its score, flags and queue rows for who is below a line, a
tablet and its last posyandu day for each post. Posts of the first health centre have their ledger too, as a child's page and
a lost tablet want it. Then each page is asked for through the application, signed in, without a network between.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from flask.testing import FlaskClient
from sqlalchemy import event, text

from server import audit
from server.app import create_app
from server.children import ledger, review_queue
from server.children.flags import RULES
from server.children.ledger import Subject
from server.config import Settings
from server.context import AppContext
from server.crypto.vault import SigningKey
from server.database.ids import new_id
from server.database.migrations import migrate
from server.database.models import (
    Assessment,
    ChangeRow,
    Child,
    Flag,
    HealthPost,
    Measurement,
    Notice,
    Tablet,
    TabletDay,
    table,
)
from server.database.writes import Writes
from server.growth import ENGINE_VERSION
from server.growth.zscores import curve, zscores
from server.places import health_posts
from sync_protocol import FIRST_PREVIOUS, Change, Dot, History, Json, Outcome, chain, fold, measurement_id
from tests._postgres import create_database, postgres_server
from tests.server._people import add_person

MONTHS: Final = 12
CENTRES, POSTS, CHILDREN = 20, 827, 60_000
"""Kukar: puskesmas, posyandu, children under five (rounded)."""
ROUNDS, WARMUPS = 40, 3
PASSWORD: Final = "kata-sandi-uji-coba"
TARGET_MS: Final = 200
NOBODY: Final = Dot("01900000-0000-7000-8000-000000000000", 1)
"""Who wrote what is folded by itself."""


@dataclass(frozen=True, slots=True)
class Kukar:
    """A filled installation and ids to ask for: of the first health centre, a post of it, a child and a tablet of that."""

    hub: AppContext
    centre: str
    post: str
    child: str
    tablet: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--children", type=int, help="only so many; else 2,000 in one puskesmas, then 60,000 in 20"
    )
    parser.add_argument("--database", choices=["sqlite", "postgresql"], help="only this one")
    options = parser.parse_args()
    sizes = [options.children] if options.children else [2_000, CHILDREN]
    for name in [options.database] if options.database else ["sqlite", "postgresql"]:
        for children in sizes:
            with filled(name, children) as kukar:
                report(name, children, kukar)


@contextmanager
def filled(name: str, children: int) -> Iterator[Kukar]:
    """Give a fresh installation on a kind of database with so many children, gone again afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="posyandu-bench-"))
    try:
        if name == "sqlite":
            yield from _installed(Settings.for_data(directory, second_factor=False), children)
        else:
            with postgres_server(durable=True) as admin:
                url = create_database(admin, "bench")
                yield from _installed(
                    Settings.for_data(directory, database_url=url, second_factor=False), children
                )
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _installed(settings: Settings, children: int) -> Iterator[Kukar]:
    migrate(settings.database_url)
    hub = AppContext.open(settings, create_keys=True)
    started = time.perf_counter()
    kukar = fill(hub, children)
    print(f"\n-- filled with {children:,} children in {time.perf_counter() - started:.0f} s")
    try:
        yield kukar
    finally:
        hub.database.dispose()


# -- filling --------------------------------------------------------------------------------------


def fill(hub: AppContext, children: int) -> Kukar:
    """Fill an empty database: 1 health centre for up to 3,000 children, else 20; 73 children a post, as Kukar has."""
    now, rng = datetime.now(UTC), np.random.default_rng(2026)
    centres = 1 if children <= CHILDREN // CENTRES else CENTRES
    posts = _places(hub, centres, max(centres, round(children * POSTS / CHILDREN)), now)
    tablets = [new_id() for _ in posts]
    _add_tablets(hub, [post for post, _ in posts], tablets, now)
    first_child = ""
    for start in range(0, len(posts), 40):  # a few thousand children a transaction
        some = [
            (number, *posts[number], tablets[number]) for number in range(start, min(start + 40, len(posts)))
        ]
        counts = [
            (number + 1) * children // len(posts) - number * children // len(posts) for number, *_ in some
        ]
        first = _add_children(hub, some, counts, posts[0][1], rng, now)
        first_child = first_child or first
    with hub.database.engine.connect() as connection:
        connection.execute(text("ANALYZE"))
        connection.commit()
    return Kukar(hub, posts[0][1], posts[0][0], first_child, tablets[0])


def _places(hub: AppContext, centres: int, posts: int, now: datetime) -> list[tuple[str, str]]:
    """Add health centres and posts, each post in a village; give (post, its health centre)."""
    made = []
    with hub.database.transaction() as session:
        health_posts.install(session, hub, now)
        villages = list(session.execute(text("SELECT code FROM region WHERE level = 'village'")).scalars())
        ids = [
            health_posts.add_health_centre(
                session, hub, f"Puskesmas Contoh {n + 1:02d}", None, actor="bench", now=now
            )
            for n in range(centres)
        ]
        for n in range(posts):
            centre = ids[n * centres // posts]
            village = villages[n * len(villages) // posts] if villages else None
            name = f"Melati {n + 1:03d}"
            made.append(
                (health_posts.add_post(session, hub, name, centre, village, actor="bench", now=now), centre)
            )
    return made


def _add_tablets(hub: AppContext, posts: Sequence[str], tablets: Sequence[str], now: datetime) -> None:
    key = orjson.dumps(SigningKey().jwk()).decode()
    silent = [number % 20 == 7 for number in range(len(posts))]
    rows = [
        Tablet(
            district=hub.district,
            id=tablet,
            post_id=post,
            name="Tablet 1",
            public_key=key,
            enrolled_at=now - timedelta(days=400),
            last_sync_at=now - timedelta(days=20 if quiet else 2),
            clock_offset_ms=7_500_000 if number % 50 == 3 else 800,
            app="posyandu-sync/0.1.0",
            head_counter=3 if number % 9 == 1 else 0,
        )
        for number, (post, tablet, quiet) in enumerate(zip(posts, tablets, silent, strict=True))
    ]
    notices = [
        {
            "district": hub.district,
            "kind": "tablet-silent",
            "subject": tablet,
            "details": orjson.dumps({"since": (now - timedelta(days=20)).date().isoformat()}).decode(),
            "raised_at": now,
        }
        for tablet, quiet in zip(tablets, silent, strict=True)
        if quiet
    ]
    writes = Writes()
    writes.insert(table(Notice), notices)
    with hub.database.transaction() as session:
        session.add_all(rows)
        audit.append(session, hub.district, audit.OFFICE, "bench.filled", actor="bench", now=now)
    _write(hub, writes, now)


def _write(hub: AppContext, writes: Writes, now: datetime) -> None:
    with hub.database.transaction() as session:
        writes.apply(session)
        audit.append(session, hub.district, audit.OFFICE, "bench.filled", actor="bench", now=now)


def _add_children(
    hub: AppContext, posts: Sequence[Any], counts: Sequence[int], first_centre: str, rng: Any, now: datetime
) -> str:
    """Add the children of some posts with all that belongs to them; give the id of the first.

    Parameters
    ----------
    posts : (number, post, health centre, tablet) of each; counts : children of each
    """
    today = hub.settings.today(now)
    days = [today - timedelta(days=30 * (MONTHS - 1 - month)) for month in range(MONTHS)]
    n = sum(counts)
    age_today = rng.integers(MONTHS * 30 + 20, 1800, n)
    sex, haz, waz = rng.integers(1, 3, n), rng.normal(-1.0, 1.2, n), rng.normal(-0.8, 1.1, n)
    weights, lengths, scored = _grown(age_today, sex, haz, waz, rng)
    rows: dict[Any, list[dict[str, Any]]] = {
        model: [] for model in (Child, Measurement, Assessment, ChangeRow, Flag, TabletDay)
    }
    place, first = 0, ""
    posts_of: dict[str, str] = {}
    heads = []
    for (number, post, centre, tablet), count in zip(posts, counts, strict=True):
        position, counter, previous = 0, 0, FIRST_PREVIOUS
        for k in range(place, place + count):
            child_id = new_id()
            first = first or child_id
            born_on = today - timedelta(days=int(age_today[k]))
            person = _identity(number, k, "MF"[int(sex[k]) - 1], born_on)
            wires = [_child_wire(child_id, person, now)]
            wires += [
                _measurement_wire(child_id, day, int(weights[k, m]), int(lengths[k, m]), now)
                for m, day in enumerate(days)
            ]
            links = chain(tablet, counter + 1, previous, wires) if centre == first_centre else []
            subject = _subject(hub, child_id, post, now)
            for m, wire in enumerate(wires):
                position += 1
                if links:
                    link = links[m]
                    change = Change.from_wire(link.dot, wire, link.hash)
                    counter, previous = link.dot.counter, link.hash
                    rows[ChangeRow].append(
                        ledger.change_row(
                            *(hub.district, link, change, subject, hub.vault),
                            outcome=Outcome.APPLIED,
                            reasons=(),
                            child_id=child_id,
                            record_id=wire["id"],
                            batch_id=None,
                            received_at=now - timedelta(days=30 * (MONTHS - max(m, 1))),
                        )
                    )
                    state = fold(History((change,)))
                else:
                    state = _state(wire)
                if m == 0:
                    rows[Child].append(ledger.child_row(hub.district, subject, state, position))
                else:
                    rows[Measurement].append(ledger.measurement_row(hub.district, subject, state, position))
            rows[Assessment] += _assessments(hub.district, child_id, days, scored, k, age_today[k])
            _flag(hub.district, child_id, days[-1], scored, k, rows, now)
            posts_of[child_id] = post
        rows[TabletDay].append(
            {
                "district": hub.district,
                "tablet_id": tablet,
                "measured_on": days[-1],
                "measured": count,
                "reported_at": now,
            }
        )
        place += count
        heads.append((tablet, counter, previous, post, position))
    writes = Writes()
    for model, several in rows.items():
        writes.insert(table(model), several)
    born = {row["id"]: row["born_on"] for row in rows[Child]}
    _queue(hub, writes, posts_of, born, rows[Flag])
    for tablet, counter, previous, post, position in heads:
        writes.set(table(HealthPost), {"district": hub.district, "id": post}, {"head_position": position})
        if counter:
            told = {"last_counter": counter, "head_counter": counter, "chain_hash": previous}
            writes.set(table(Tablet), {"district": hub.district, "id": tablet}, told)
    _write(hub, writes, now)
    return first


def _queue(
    hub: AppContext,
    writes: Writes,
    posts_of: dict[str, str],
    born: dict[str, date | None],
    flags: Sequence[dict[str, Any]],
) -> None:
    """Work out the queue's rows as the server does."""
    raised: dict[str, list[review_queue.Raised]] = {child_id: [] for child_id in posts_of}
    for flag in flags:
        raised[flag["child_id"]].append(review_queue.Raised(flag["rule"], flag["subject"], flag["details"]))
    persons = {
        child_id: review_queue.QueuePerson(post, born[child_id], raised[child_id])
        for child_id, post in posts_of.items()
    }
    with hub.database.reading() as session:
        review_queue.derive(session, writes, hub.district, persons, {c: c for c in posts_of}, {})


def _grown(age_today: Any, sex: Any, haz: Any, waz: Any, rng: Any) -> tuple[Any, Any, dict[str, Any]]:
    """Let children grow along their z lines with the noise of measuring; give g, mm and scores, each (children, months)."""
    back = 30 * np.arange(MONTHS - 1, -1, -1)
    ages = age_today[:, None] - back
    lines = {
        name: np.stack([curve(name, s, (-1, 0, 1))[1][:, :1826] for s in (1, 2)]) for name in ("haz", "waz")
    }

    def value(name: str, z: Any) -> Any:
        low, middle, high = (lines[name][sex[:, None] - 1, row, ages] for row in range(3))
        z = z[:, None] + rng.normal(0, 0.15, ages.shape)
        return middle + np.where(z > 0, z * (high - middle), z * (middle - low))

    weights = np.round(value("waz", waz) * 10).astype(int) * 100
    lengths = np.round(value("haz", haz) * 10).astype(int)
    found = zscores(
        sex=np.broadcast_to(sex[:, None], ages.shape),
        age_days=ages,
        weight_kg=weights / 1000,
        lenhei_cm=lengths / 10,
        position=np.where(ages < 731, 1, 2),
    )
    return weights, lengths, {index: getattr(found, index).z for index in ("haz", "waz", "whz", "baz")}


def _identity(number: int, k: int, sex: str, born_on: date) -> dict[str, Any]:
    return {
        "name": f"Anak Contoh {number:03d}-{k:04d}",
        "sex": sex,
        "born_on": born_on.isoformat(),
        "birth_order": 1,
    }


def _child_wire(child_id: str, identity: Json, now: datetime) -> dict[str, Any]:
    return _wire("child", child_id, {}, {"identity": identity}, now)


def _measurement_wire(
    child_id: str, day: date, weight_g: int, length_mm: int, now: datetime
) -> dict[str, Any]:
    on = day.isoformat()
    key = {"child": child_id, "measured_on": on, "source": "cadre"}
    registers = {
        "weight": {"weight_g": weight_g, "oedema": "n"},
        "length": {"length_mm": length_mm, "position": "lying"},
        "services": {"vitamin_a": "red" if day.month in (2, 8) else None, "mbg": True},
    }
    return _wire("measurement", measurement_id(child_id, on, "cadre"), key, registers, now)


def _wire(kind: str, record_id: str, key: Json, registers: Json, now: datetime) -> dict[str, Any]:
    return {
        "kind": kind,
        "id": record_id,
        "key": key,
        "context": {},
        "set": registers,
        "author": "kader-contoh",
        "recorded_at": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "nonce": "n" * 22,
        "app": "contoh 0.1",
        "schema": 1,
    }


def _state(wire: Json) -> Any:
    """Fold a change by itself, its hash left out: nobody follows these."""
    return fold(History((Change.from_wire(NOBODY, wire, "A" * 43),)))


def _subject(hub: AppContext, child_id: str, post: str, now: datetime) -> Subject:
    wrapped, version, _ = hub.vault.new_child_key(child_id)
    first = now - timedelta(days=380)
    return Subject(child_id, post, hub.vault, wrapped, version, True, first, person_id=child_id)


def _assessments(
    district: str, child_id: str, days: Sequence[date], scored: dict[str, Any], k: int, age_today: int
) -> list[dict[str, Any]]:
    return [
        {
            "district": district,
            "child_id": child_id,
            "measured_on": day,
            "source": "cadre",
            "age_days": int(age_today) - 30 * (MONTHS - 1 - m),
            **{index: _number(z[k, m]) for index, z in scored.items()},
            "gain_code": "N" if m else "B",
            "gain_g": 200 if m else None,
            "reasons": None,
            "candidates": None,
            "inputs": 1,
            "engine": ENGINE_VERSION,
        }
        for m, day in enumerate(days)
    ]


def _number(z: Any) -> float | None:
    return None if np.isnan(z) else float(z)


def _flag(
    district: str,
    child_id: str,
    day: date,
    scored: dict[str, Any],
    k: int,
    rows: dict[Any, list[dict[str, Any]]],
    now: datetime,
) -> None:
    """Raise the flags of the newest scores."""
    z = {index: float(scores[k, -1]) for index, scores in scored.items()}
    raised = [
        (rule, z[index])
        for index, severe, milder in (
            ("haz", "severely_stunted", "stunted"),
            ("whz", "severely_wasted", "wasted"),
            ("waz", "below_red_line", "underweight"),
        )
        if z[index] < -2 and (rule := severe if z[index] < -3 else milder)
    ]
    if not raised:
        return
    for rule, score in raised:
        rows[Flag].append(
            {
                "district": district,
                "child_id": child_id,
                "rule": rule,
                "subject": f"{day.isoformat()}/cadre",
                "urgency": RULES[rule].urgency,
                "details": orjson.dumps({"z": f"{score:.2f}"}).decode(),
                "raised_at": now,
            }
        )


# -- timing ---------------------------------------------------------------------------------------


def report(name: str, children: int, kukar: Kukar) -> None:
    """Time every page and print a line for each."""
    whole = children > CHILDREN // CENTRES
    scope = ("district", kukar.hub.district) if whole else ("health_centre", kukar.centre)
    client = _signed_in(kukar.hub, *scope)
    print(
        f"-- {name}, {children:,} children, seen by somebody of the {scope[0]}; {ROUNDS} times each, target {TARGET_MS} ms"
    )
    for path in pages(kukar):
        seconds, cpu, statements, size = timed(client, kukar.hub, path)
        p50, p95 = statistics.median(seconds), sorted(seconds)[int(0.95 * len(seconds))]
        shown = (
            path.replace(kukar.post, "<post>")
            .replace(kukar.child, "<child>")
            .replace(kukar.tablet, "<tablet>")
        )
        print(
            f"  {shown:44} p50 {1000 * p50:6.0f} ms  p95 {1000 * p95:6.0f} ms  cpu {1000 * cpu:5.0f} ms"
            f"  {statements:3d} statements"
            f"  {size / 1024:6.0f} KiB{'' if 1000 * p95 < TARGET_MS else '  OVER'}"
        )


def pages(kukar: Kukar) -> list[str]:
    """Give the addresses that are timed."""
    return [
        "/antrean",
        "/antrean?urgensi=1",
        "/antrean?aturan=stunted&umur=12-23",
        "/antrean?hal=10",
        f"/anak/{kukar.child}",
        f"/anak/{kukar.child}/tindak/plan",
        "/pos",
        f"/pos/{kukar.post}",
        f"/pos/{kukar.post}?gabungan=puskesmas",
        f"/pos/{kukar.post}/daftar",
        "/tablet",
        f"/tablet/{kukar.tablet}/hilang",
    ]


def _signed_in(hub: AppContext, scope_kind: str, scope: str, role: str = "staff") -> FlaskClient:
    now, username = datetime.now(UTC), f"{role}.{scope_kind}.bench"
    add_person(hub, username, "Petugas Contoh", role, scope_kind, scope, PASSWORD, now, actor="bench")
    client = create_app(hub.settings, hub).test_client()
    token = client.get("/masuk").text.split('name="csrf_token" value="')[1].split('"')[0]
    form = {"csrf_token": token, "username": username, "password": PASSWORD}
    answer = client.post("/masuk", data=form, headers={"Referer": "http://localhost/masuk"})
    if answer.status_code != 302:
        raise RuntimeError(f"signing in: {answer.status_code}")
    return client


def timed(client: FlaskClient, hub: AppContext, path: str) -> tuple[list[float], float, int, int]:
    """Ask for a page again and again; give the seconds, the processor's seconds a page (of this process: with SQLite all of
    them), the statements of the last time and its bytes."""
    seconds, sent, worked = [], [0], 0.0

    def note(*_: Any) -> None:
        sent[0] += 1

    event.listen(hub.database.engine, "before_cursor_execute", note)
    size = 0
    for turn in range(WARMUPS + ROUNDS):
        sent[0] = 0
        started, before = time.perf_counter(), time.process_time()
        answer = client.get(path)
        if turn >= WARMUPS:
            seconds.append(time.perf_counter() - started)
            worked += time.process_time() - before
        if answer.status_code != 200:
            raise RuntimeError(f"{path}: {answer.status_code}")
        size = len(answer.data)
    event.remove(hub.database.engine, "before_cursor_execute", note)
    return seconds, worked / ROUNDS, sent[0], size


if __name__ == "__main__":
    main()
