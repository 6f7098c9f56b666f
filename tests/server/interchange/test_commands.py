"""Import and export as an operator does them: a dry run first, rows decided, files written; a killed process goes on."""

import csv
import io
import json
import signal
import subprocess
import sys
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pytest
from fhir.resources.R4B.bundle import Bundle
from sqlalchemy import select

from server.database.models import ImportChunk
from server.interchange import import_chunks
from server.interchange.sheets import read_rows
from server.interchange.sigizi import EXPORT, IDENTITY, MEASUREMENT, MPASI, PMT
from tests.faults._running import ROOT, environment
from tests.server._district import District
from tests.server.cli._call import call
from tests.server.interchange._files import html, row, xlsx
from tests.server.interchange._office import persons, taken

ROWS = [
    row(),
    row(NIK="", Nama="=1+1 Anak Rumus", Nama_Ortu="- / @Ibu Rumus", Berat="9,25"),
    row(NIK="", Nama="Anak Jam", Berat="09:30"),
    row(No="4", Berat="8.8"),
]


@pytest.fixture
def place(installed: District) -> dict[str, str]:
    """Give the environment in which commands find the district."""
    settings = installed.hub.settings
    return {"DATABASE_URL": settings.database_url, "POSYANDU_KEY_FILE": str(settings.key_file)}


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "balita.xls"
    path.write_bytes(html(ROWS))
    return str(path)


def test_file_is_looked_at_taken_and_decided_about(
    installed: District, place: dict[str, str], file: str
) -> None:
    looked = call("import", "sigizi", file, env=place)
    assert looked.exit_code == 1  # a row was refused
    assert "baris 5, kolom Berat: '09:30' [refused, excel-time]" in looked.stdout
    assert "Nothing is stored yet: add --apply" in looked.stderr
    assert persons(installed) == 0
    taken = call("import", "sigizi", file, "--apply", "--rows", "--format", "json", env=place)
    told = json.loads(taken.stdout)
    assert [account["outcome"] for account in told["rows"]] == ["new", "new", "refused", "ask"]
    assert (told["summary"]["rows_done"], persons(installed)) == (4, 2)
    (run,) = json.loads(call("import", "runs", "--format", "json", env=place).stdout)
    assert (run["state"], run["rows_done"]) == ("done", 4)
    lines = call("import", "rows", run["id"], "--format", "csv", env=place).stdout
    assert [(line["row"], line["rule"]) for line in csv.DictReader(io.StringIO(lines))] == [
        ("5", "excel-time"),
        ("6", "values-differ"),
    ]
    assert call("import", "rows", installed.new_id(), env=place).exit_code == 2
    (case,) = json.loads(call("import", "cases", "--format", "json", env=place).stdout)
    assert case["differences"] == [{"field": "weight_g", "theirs": 8800, "ours": [9600]}]
    decided = call("import", "decide", case["id"], "theirs", env=place)
    assert (decided.exit_code, decided.stdout) == (0, "filled\n")
    assert call("import", "cases", env=place).stdout == ""


@pytest.mark.parametrize(
    ("sheet", "headings"),
    [
        ("export", EXPORT),
        ("measurement", MEASUREMENT),
        ("identity", IDENTITY),
        ("pmt", PMT),
        ("mpasi", MPASI),
    ],
)
def test_sheets_are_written_with_their_headings_and_run_no_formula(
    on_sqlite: District, file: str, tmp_path: Path, sheet: str, headings: tuple[str, ...]
) -> None:
    settings = on_sqlite.hub.settings
    place = {"DATABASE_URL": settings.database_url, "POSYANDU_KEY_FILE": str(settings.key_file)}
    call("import", "sigizi", file, "--apply", env=place)
    for form in ("xlsx", "csv"):
        path = tmp_path / f"out.{form}"
        done = call(
            "export", "sigizi", "--reason", "uji", "--sheet", sheet, "--as", form, "-o", str(path), env=place
        )
        assert done.exit_code == 0, done.output
        first, *rows = [list(cells) for _, cells in read_rows(path.read_bytes())]
        assert tuple(first) == headings
        assert len(rows) == (2 if sheet in ("export", "measurement", "identity") else 0)
        names = {str(cell) for cells in rows for cell in cells if "Rumus" in str(cell)}
        assert (
            names <= {"=1+1 Anak Rumus", "- / @Ibu Rumus"} if form == "xlsx" else {"'=1+1 Anak Rumus"} | names
        )
        assert form == "xlsx" or not any(name.startswith("=") for name in names)


def test_other_forms_are_written(place: dict[str, str], file: str, tmp_path: Path) -> None:
    call("import", "sigizi", file, "--apply", env=place)
    bundle, data, counts = (tmp_path / name for name in ("b.json", "d.csv", "c.json"))
    days = ("--from", "2026-03-01", "--to", "2026-03-31")
    assert call("export", "fhir", "--reason", "uji", *days, "-o", str(bundle), env=place).exit_code == 0
    Bundle.model_validate(json.loads(bundle.read_bytes()))
    assert call("export", "csv", *days, "-o", str(data), env=place).exit_code == 0
    assert len(data.read_text("utf-8-sig").splitlines()) == 3
    assert call("export", "dhis2", "2026-03", "-o", str(counts), env=place).exit_code == 0
    values = json.loads(counts.read_bytes())["dataValues"]
    assert {value["period"] for value in values} == {"202603"}
    assert call("export", "csv", "--from", "2026-02-30", env=place).exit_code == 2


DIES = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from server.config import Settings
from server.context import AppContext
from server.interchange import import_chunks, import_runs, import_store
import_chunks.CHUNK_ROWS = import_chunks.FEW_ROWS = 10
def die(done, total):
    if done >= 20:
        os.kill(os.getpid(), signal.SIGKILL)
hub = AppContext.open(Settings.from_env())
content = Path(sys.argv[1]).read_bytes()
options, now = import_store.Options(scope=hub.district), datetime.now(UTC)
import_runs.import_sheet(hub, content, options, apply=True, actor="operator", now=now, progress=die)
"""


def test_process_that_was_killed_in_the_middle_goes_on_and_doubles_nothing(
    installed: District, place: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "balita.xlsx"
    births = [date(2023, 1, 1) + timedelta(days=20 * n) for n in range(50)]
    many = [
        row(NIK="", Nama=f"Anak Lahir {born:%d%m%y}", Tgl_Lahir=born, Usia_Saat_Ukur="-") for born in births
    ]
    path.write_bytes(xlsx(many))
    installed.hub.database.dispose()
    command = [sys.executable, "-c", DIES, str(path)]
    env = environment(installed.hub.settings)
    died = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert persons(installed) == 20
    monkeypatch.setattr(import_chunks, "CHUNK_ROWS", 10)
    monkeypatch.setattr(import_chunks, "FEW_ROWS", 10)
    again = call("import", "sigizi", str(path), "--apply", "--format", "json", env=place)
    summary = json.loads(again.stdout)["summary"]
    assert (summary["outcomes"]["new"], summary["resumed_rows"], persons(installed)) == (50, 20, 50)
    assert sum(chunk.rows for chunk in installed.rows(select(ImportChunk.rows))) == 50
    repeated = call("import", "sigizi", str(path), "--apply", "--format", "json", env=place)
    assert json.loads(repeated.stdout)["summary"]["outcomes"]["unchanged"] == 50
    assert persons(installed) == 50
    installed.check_agreement()
    assert installed.broken_log() == []


LEAVES = """
import os, signal
from server.config import Settings
from server.interchange.import_workers import worker_pool
with worker_pool(Settings.from_env(), 2) as pool:
    list(pool.map(abs, range(20)))
    print(len(pool._processes), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_processes_that_share_a_file_leave_with_the_one_that_was_killed(on_sqlite: District) -> None:
    command, env = [sys.executable, "-c", LEAVES], environment(on_sqlite.hub.settings)
    # its output ends when the last of them has closed it
    died = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, check=False, timeout=180)
    assert (died.returncode, died.stdout) == (-signal.SIGKILL, b"2\n"), died.stderr


def test_run_that_another_version_had_cut_otherwise_is_taken_from_the_start(
    on_sqlite: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    births = [date(2023, 1, 1) + timedelta(days=20 * n) for n in range(5)]
    content = xlsx([row(NIK="", Nama=f"Anak {born:%d%m%y}", Tgl_Lahir=born) for born in births])
    stop = iter([True])
    with monkeypatch.context() as earlier:
        earlier.setattr(import_chunks, "CHUNK_ROWS", 2)
        report, _ = taken(on_sqlite, content, should_stop=lambda: next(stop))
        assert (report.rows_done, report.whole) == (2, False)
    report, _ = taken(on_sqlite, content)
    assert (report.resumed_rows, report.whole, persons(on_sqlite)) == (0, True, 5)
    assert report.counts == Counter(unchanged=2, new=3)
