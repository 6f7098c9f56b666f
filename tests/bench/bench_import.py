"""A Sigizi file of 100,000 rows into an empty district: looked at, taken, and taken again, with rows a second and memory,
beside a bare read of the file's cells (the baseline), in one run.

The file is an XLSX of the export's columns, rows shuffled, one made-up child a row over the villages of Kukar, some rows
refused; every child is new, so each row makes two changes (child, measurement), each numbered, hashed, sealed, merged,
scored and logged. A process of its own runs each step, so that its memory is its own.
"""

import argparse
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from subprocess import run

from server import gc_tuning
from server.config import Settings
from server.context import AppContext
from server.database.migrations import migrate
from server.interchange.import_runs import import_sheet
from server.interchange.import_store import Options
from server.interchange.sheets import read_rows
from server.interchange.sheets.writer import Value, write_xlsx
from server.interchange.sigizi import EXPORT
from server.places import health_posts
from server.places.regions import regions
from tests._postgres import create_database, postgres_server

MEASURED_ON = date(2026, 2, 10)
NOW = datetime(2026, 3, 5, 2, 0, tzinfo=UTC)
SYLLABLES = ("ba", "da", "fi", "ga", "ha", "ki", "la", "ma", "na", "pu", "ra", "sa", "ta", "wi", "ya", "zu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    parser.add_argument("--step", nargs=3, metavar=("WHAT", "DIRECTORY", "URL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        _step(*options.step)
        return
    directory = Path(tempfile.mkdtemp(prefix="posyandu-bench-"))
    try:
        _file(directory / "sigizi.xlsx", options.rows)
        if options.database != "postgresql":
            _steps(directory, f"sqlite:///{directory / 'posyandu.db'}", options.rows)
        if options.database != "sqlite":
            with postgres_server(durable=True) as admin:
                _steps(directory, create_database(admin, "bench"), options.rows)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _steps(directory: Path, url: str, rows: int) -> None:
    settings = _settings(directory, url)
    migrate(url)
    hub = AppContext.open(settings, create_keys=True)
    with hub.database.transaction() as session:
        health_posts.install(session, hub, NOW)
    hub.database.dispose()
    size = (directory / "sigizi.xlsx").stat().st_size
    print(f"{rows:,} rows of {len(EXPORT)} columns, {size / 1e6:.1f} MB, on {url.split(':')[0]}")
    for what in ("bare", "look", "take", "again"):
        run(
            [sys.executable, "-m", "tests.bench.bench_import", "--step", what, str(directory), url],
            check=True,
        )


def _settings(directory: Path, url: str) -> Settings:
    return Settings.for_data(directory, database_url=url)


def _step(what: str, directory: str, url: str) -> None:
    hub = AppContext.open(_settings(Path(directory), url))
    content = (Path(directory) / "sigizi.xlsx").read_bytes()
    gc_tuning.spare(gc_tuning.OF_A_CHUNK)  # as the command does
    started = time.perf_counter()
    if what == "bare":
        rows = sum(1 for _ in read_rows(content))
        seconds = time.perf_counter() - started
        print(f"  bare: {seconds:6.1f} s  {rows / seconds:7,.0f} rows/s, the cells alone, one process")
        return
    told: list[int] = []
    report = import_sheet(
        hub,
        content,
        Options(add_posts=True),
        apply=what != "look",
        actor="operator",
        now=NOW,
        workers=2,
        progress=lambda done, _total: told.append(done),
    )
    seconds = time.perf_counter() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    theirs = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    counts = {outcome: count for outcome, count in sorted(report.counts.items()) if count}
    print(
        f"{what:>6}: {seconds:6.1f} s  {report.rows / seconds:7,.0f} rows/s  {memory:.0f} + {theirs:.0f} MiB  {counts}"
        f"  progress told {len(told)} times"
    )


# -- the file -------------------------------------------------------------------------------------


def _file(path: Path, rows: int) -> None:
    drawn = list(_rows(random.Random(64), rows))
    random.Random(2).shuffle(drawn)
    with path.open("wb") as target:
        write_xlsx(target, EXPORT, drawn)


def _rows(rng: random.Random, count: int) -> Iterator[list[Value]]:
    known = {region.code: region.name for region in regions()}
    villages = [code for code in known if code.count(".") == 3]
    for number in range(count):
        code = villages[number % len(villages)]
        post = f"Melati {1 + number // len(villages) % 4}"
        subdistrict = known[code.rpartition(".")[0]]
        born = MEASURED_ON - timedelta(days=rng.randrange(30, 1780))
        girl = rng.random() < 0.49
        months = (MEASURED_ON - born).days / 30.4
        day = born.day + 40 * girl
        nik = f"{code[:8].replace('.', '')}{day:02d}{born:%m%y}{1 + number // len(villages) % 9000:04d}"
        cells: dict[str, Value] = {
            "No": str(number + 1),
            "NIK": nik if rng.random() < 0.6 else f"{nik[:6]}**********",
            "Nama": f"Anak {_name(rng)} {_name(rng)}",
            "JK": "P" if girl else "L",
            "Tgl Lahir": born,
            "BB Lahir": "3.1",
            "TB Lahir": "49",
            "Nama Ortu": f"Bapak {_name(rng)} / Ibu {_name(rng)}",
            "Prov": "KALIMANTAN TIMUR",
            "Kab/Kota": "KUTAI KARTANEGARA",
            "Kec": subdistrict,
            "Pukesmas": f"Puskesmas {subdistrict}",
            "Desa/Kel": known[code],
            "Posyandu": post,
            "RT": "03",
            "RW": "-",
            "Alamat": f"Jalan Contoh {number % 90}",
            "Usia Saat Ukur": "-",
            "Tanggal Pengukuran": MEASURED_ON,
            "Berat": f"{3.6 + 2.2 * months**0.5 + rng.gauss(0, 0.5):.1f}".replace(".", ",")
            if number % 500
            else "9:30",
            "Tinggi": f"{50 + 6.9 * months**0.5 + rng.gauss(0, 2):.1f}",
            "Cara Ukur": "Terlentang" if months < 24 else "Berdiri",
            "LiLA": f"{14 + rng.gauss(0, 0.8):.1f}",
            "ZS BB/U": f"{rng.gauss(-1, 1):.2f}",
            "KIA": "ya",
        }
        yield [cells.get(heading, "-") for heading in EXPORT]


def _name(rng: random.Random) -> str:
    return "".join(rng.choice(SYLLABLES) for _ in range(3)).title()


if __name__ == "__main__":
    main()
