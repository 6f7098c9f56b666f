"""How long figures take at the size of Kukar: counting five years of 60,000 children from nothing, what is counted after one
upload and after a whole month's, and the pages; beside a plain recount of one month in SQL and of one month in Python.
Then the pages of aid, with the aid of a regency (`tests.bench._aid`), and the supervisors' page of unusual patterns.

The tables are filled directly: twice as many children as are under five at once, born evenly over ten years, each measured
in five of six months of the sixty in which it was under five, with scores, and with services every fourth month. Then the
figures are made and asked for as the server does it. `--children` for fewer.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import orjson
from flask.testing import FlaskClient
from sqlalchemy import select, text

from server import audit, reports
from server.children import ledger
from server.config import Settings
from server.context import AppContext
from server.database.ids import new_id
from server.database.migrations import migrate
from server.database.models import Assessment, Child, CsrSheet, HealthPost, Measurement, table
from server.database.writes import Writes
from server.growth import ENGINE_VERSION
from server.reports import rollup
from server.supervision import months
from tests._postgres import create_database, postgres_server
from tests.bench import _aid, bench_pages
from tests.bench.bench_pages import CENTRES, CHILDREN, POSTS, timed
from tests.server._recount import recount

MONTHS: Final = 60
TARGET_MS: Final = 300
T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--children", type=int, default=CHILDREN, help="under five at once; 60,000 if not told"
    )
    parser.add_argument("--database", choices=["sqlite", "postgresql"], help="only this one")
    options = parser.parse_args()
    for name in [options.database] if options.database else ["sqlite", "postgresql"]:
        with filled(name, options.children) as (hub, area):
            print(f"-- {name}, {options.children:,} children under five, {MONTHS} months")
            report(hub, area)
            report_aid(hub, area, options.children)


@contextmanager
def filled(name: str, children: int) -> Iterator[tuple[AppContext, dict[str, str]]]:
    """Give a district on a kind of database, gone again afterwards, and an area of each kind."""
    directory = Path(tempfile.mkdtemp(prefix="posyandu-bench-"))
    try:
        if name == "sqlite":
            yield from _installed(Settings.for_data(directory, second_factor=False), children)
        else:
            with postgres_server(durable=True) as admin:
                url = create_database(admin, "bench_figures")
                settings = Settings.for_data(directory, database_url=url, second_factor=False)
                yield from _installed(settings, children)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _installed(settings: Settings, children: int) -> Iterator[tuple[AppContext, dict[str, str]]]:
    migrate(settings.database_url)
    hub = AppContext.open(settings, create_keys=True)
    started = time.perf_counter()
    area = fill(hub, children)
    print(f"\n-- filled in {time.perf_counter() - started:.0f} s")
    try:
        yield hub, area
    finally:
        hub.database.dispose()


# -- filling --------------------------------------------------------------------------------------


def fill(hub: AppContext, children: int) -> dict[str, str]:
    """Fill an empty database; give an area of each kind, by the words of addresses."""
    now, rng = datetime.now(UTC), np.random.default_rng(2026)
    posts = bench_pages._places(hub, CENTRES, max(CENTRES, round(children * POSTS / CHILDREN)), now)
    for start in range(0, len(posts), 20):
        some = [post for post, _ in posts[start : start + 20]]
        _add(hub, some, round(2 * children * len(some) / len(posts)), rng, now)
    _analyse(hub)
    with hub.database.engine.connect() as connection:
        village = connection.execute(
            text("SELECT village_code FROM health_post WHERE id = :post"), {"post": posts[0][0]}
        ).scalar_one()
    return {
        "kabupaten": hub.district,
        "kecamatan": village.rpartition(".")[0],
        "desa": village,
        "puskesmas": posts[0][1],
        "pos": posts[0][0],
    }


def _analyse(hub: AppContext) -> None:
    """Let the database know its tables as it does in service: PostgreSQL's autovacuum would come in a minute or two, and an
    index is not read alone before."""
    if hub.database.is_sqlite:
        with hub.database.engine.connect() as connection:
            connection.execute(text("ANALYZE"))
            connection.commit()
        return
    with hub.database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("VACUUM ANALYZE"))


def _add(hub: AppContext, posts: list[str], count: int, rng: Any, now: datetime) -> None:
    """Add so many children to some posts, with all that was measured of them."""
    today = hub.settings.today(now)
    this_month = today.replace(day=1)
    rows: dict[Any, list[dict[str, Any]]] = {Child: [], Measurement: [], Assessment: []}
    ages = rng.integers(0, 2 * MONTHS * 30, count)
    lines, noise = rng.normal(-0.9, 1.1, (3, count)), rng.normal(0, 0.2, (3, count, MONTHS))
    for k in range(count):
        post, child_id = posts[k % len(posts)], new_id()
        born_on = today - timedelta(days=int(ages[k]))
        wire = bench_pages._child_wire(child_id, bench_pages._identity(0, k, "MF"[k % 2], born_on), now)
        if k % 10:
            wire["set"] = {**wire["set"], "books": {"kia": True, "kms": False}}
        subject = bench_pages._subject(hub, child_id, post, now)
        subject.first_seen_at = max(
            datetime(born_on.year, born_on.month, 2, tzinfo=UTC) + timedelta(days=20),
            now - timedelta(days=1825),
        )
        rows[Child].append(ledger.child_row(hub.district, subject, bench_pages._state(wire), 1))
        _months(hub, post, child_id, born_on, this_month, k, lines[:, k], noise[:, k], rows)
    writes = Writes()
    for model, several in rows.items():
        writes.insert(table(model), several)
    for post in posts:
        writes.set(table(HealthPost), {"district": hub.district, "id": post}, {"head_position": 1})
    bench_pages._write(hub, writes, now)


def _months(
    hub: AppContext,
    post: str,
    child_id: str,
    born_on: date,
    this_month: date,
    k: int,
    line: Any,
    noise: Any,
    rows: dict[Any, list[dict[str, Any]]],
) -> None:
    """Measure a child in each of the last months in which it was between one month old and five years."""
    number, key = 0, {"district": hub.district, "child_id": child_id, "source": "cadre"}
    for back in range(MONTHS - 1, -1, -1):
        year, month = divmod(this_month.year * 12 + this_month.month - 1 - back, 12)
        day = date(year, month + 1, 3)
        age = (day - born_on).days
        if not 30 <= age < 1825 or (k + back) % 6 == 0:  # one in six stays away
            number = 0 if not 30 <= age < 1825 else number
            continue
        weight, length = 3400 + age * 7 + k % 9 * 100, 500 + age // 3 + k % 7
        services = {"services": {"mbg": True}} if back % 4 == 0 else {}
        haz, waz, whz = (round(float(z), 2) for z in line + noise[:, back])
        rows[Measurement].append(
            {
                **key,
                "measured_on": day,
                "post_id": post,
                "position": 1,
                "removed": False,
                "conflicts": "",
                "clock_days": 0,
                "weight_g": weight,
                "oedema": "n",
                "length_mm": length,
                "length_position": "lying",
                "muac_mm": 140 if age > 200 else None,
                "head_mm": None,
                "state": orjson.dumps({"vector": {}, "set": services}),
                "sealed": 0,
            }
        )
        rows[Assessment].append(
            {
                **key,
                "measured_on": day,
                "age_days": age,
                "haz": haz,
                "waz": waz,
                "whz": whz,
                "baz": whz,
                "hcz": None,
                "acz": None,
                "gain_code": "B" if number == 0 else "O" if (k + back + 1) % 6 == 0 else "NT"[k % 2],
                "gain_g": 200 if number else None,
                "reasons": None,
                "candidates": None,
                "inputs": 1,
                "engine": ENGINE_VERSION,
            }
        )
        number += 1


# -- timing ---------------------------------------------------------------------------------------


def report(hub: AppContext, area: dict[str, str]) -> None:
    """Time counting and pages, and print a line for each."""
    now = datetime.now(UTC)
    done = _said("counted from nothing", lambda: reports.refresh(hub, now, actor="bench"))
    print(f"    {done}")
    again = _said("and once more from nothing, which must write nothing", lambda: _again(hub, now))
    print(f"    {again}")
    _touch(hub, "WHERE id = (SELECT id FROM health_post ORDER BY id LIMIT 1)")
    _said("one post with news counted again", lambda: reports.refresh(hub, now, actor="bench"))
    _touch(hub, "")
    _said("all posts with news (a month's) counted again", lambda: reports.refresh(hub, now, actor="bench"))
    month = f"{hub.settings.today(now):%Y-%m}"
    _said(
        "one month of all posts added up again",
        lambda: rollup.add_up(hub, date.fromisoformat(f"{month}-01"), now, actor="bench"),
    )
    _said("baseline: S, D and codes of one month in SQL alone", lambda: _in_sql(hub, month))
    plain = _said(
        "baseline: one month recounted child by child in Python", lambda: _in_python(hub, now, month)
    )
    with hub.database.reading() as session:
        reader = reports.FigureReader.operator(hub)
        place = reports.own_area(session, hub, reader)
        kept = reports.month(session, hub, reader, place, date.fromisoformat(f"{month}-01"))
    same = {name: (kept[name], plain["district", "", month][name]) for name in "SDNTOB"}
    print(f"    both say: {same}{'' if all(a == b for a, b in same.values()) else '  DIFFERENT'}")
    client = bench_pages._signed_in(hub, "district", hub.district)
    _time(client, hub, pages(area))


def report_aid(hub: AppContext, area: dict[str, str], children: int) -> None:
    """Fill in aid and a month's syncs, then time their pages as the regency's supervisor, its TPPS and a donor see them."""
    now = datetime.now(UTC)
    donor = _said("aid and a month's syncs filled in", lambda: _aid.fill(hub, children, CHILDREN, now))
    _analyse(hub)
    _said(
        "what supervisors are told of the month, all posts worked out",
        lambda: months.refresh(hub, now, actor="bench", months=1),
    )
    _said("and once more: nothing has news", lambda: months.refresh(hub, now, actor="bench", months=1))
    of_regency, today = area["kabupaten"], hub.settings.today(now)
    year = f"dari={today - timedelta(365)}&sampai={today}"
    supervisor = bench_pages._signed_in(hub, "district", of_regency, role="supervisor")
    with hub.database.reading() as session:
        sheet = session.scalars(select(CsrSheet.id).order_by(CsrSheet.id)).first()
    of_all = ["/bantuan", f"/bantuan?{year}", f"/bantuan?wilayah={area['desa']}"]
    desk = [f"/bantuan/lembar/{sheet}", "/audit", "/audit/pola", "/audit/kelengkapan"]
    rest = ["/bantuan/donatur", "/bantuan/lembar", "/bantuan/kegiatan", "/api/v1/aid/gap"]
    _time(supervisor, hub, [*of_all, *rest, *desk])
    _touch(hub, "WHERE id IN (SELECT id FROM health_post ORDER BY id LIMIT 10)")
    print("  -- with news of ten posts that was not worked out yet")
    _time(supervisor, hub, ["/audit/pola", "/audit/kelengkapan"])
    print("  -- TPPS of the regency, and of a village")
    tpps = bench_pages._signed_in(hub, "district", of_regency, role="tpps")
    _time(tpps, hub, [*of_all, *rest])
    _time(bench_pages._signed_in(hub, "village", area["desa"], role="tpps"), hub, ["/bantuan"])
    print("  -- a donor")
    _time(bench_pages._signed_in(hub, "donor", donor, role="donor"), hub, ["/bantuan-saya"])


def _time(client: FlaskClient, hub: AppContext, paths: Iterable[str]) -> None:
    """Time some pages, and print a line for each."""
    for path in paths:
        seconds, cpu, statements, size = timed(client, hub, path)
        p50, p95 = statistics.median(seconds), sorted(seconds)[int(0.95 * len(seconds))]
        print(
            f"  {path[:58]:58} p50 {1000 * p50:6.0f} ms  p95 {1000 * p95:6.0f} ms  cpu {1000 * cpu:5.0f} ms"
            f"  {statements:3d} statements  {size / 1024:6.0f} KiB{'' if 1000 * p95 < TARGET_MS else '  OVER'}"
        )


def pages(area: dict[str, str]) -> list[str]:
    """Give the addresses that are timed."""
    of = {kind: f"/angka/{kind}/{code}" for kind, code in area.items()}
    return [
        *of.values(),
        f"{of['kabupaten']}?menurut=puskesmas&ukuran=indicated.stunted",
        f"{of['kabupaten']}/csv?isi=bulan&jumlah=60",
        f"{of['kecamatan']}/csv?isi=wilayah",
        f"/api/v1/figures?kind=district&area={area['kabupaten']}&months=60",
        f"{of['kabupaten']}/monev?bentuk=pdf",
        f"{of['kabupaten']}/monev?bentuk=xlsx",
    ]


def _said(what: str, work: Callable[[], T]) -> T:
    started, before = time.perf_counter(), time.process_time()
    result = work()
    seconds, cpu = time.perf_counter() - started, time.process_time() - before
    print(f"  {what:58} {seconds:8.2f} s  cpu {cpu:8.2f} s", flush=True)
    return result


def _again(hub: AppContext, now: datetime) -> reports.Refreshed:
    return reports.refresh(hub, now, actor="bench", from_nothing=True)


def _touch(hub: AppContext, where: str) -> None:
    """Move streams on, as an upload does."""
    with hub.database.transaction() as session:
        session.execute(text(f"UPDATE health_post SET head_position = head_position + 1 {where}"))  # noqa: S608  # ours
        audit.append(
            session, hub.district, audit.OFFICE, "bench.touched", actor="bench", now=datetime.now(UTC)
        )


def _in_sql(hub: AppContext, month: str) -> list[Any]:
    """Count D and its codes of a month by post, as one statement does it; S is another table."""
    first = date.fromisoformat(f"{month}-01")
    days: list[Any] = [first, first + timedelta(days=30)]
    if hub.database.is_sqlite:
        days = [day.isoformat() for day in days]
    count = text(
        "SELECT c.post_id, a.gain_code, count(*) FROM assessment a"
        " JOIN child c ON c.district = a.district AND c.id = a.child_id WHERE a.measured_on BETWEEN :first AND :last"
        " GROUP BY c.post_id, a.gain_code"
    )
    with hub.database.reading() as session:
        return list(session.execute(count, {"first": days[0], "last": days[1]}))


def _in_python(hub: AppContext, now: datetime, month: str) -> Any:
    with hub.database.reading() as session:
        return recount(session, hub, now, only_month=month)


if __name__ == "__main__":
    main()
