"""`simulate` keeps its word: over real HTTP, on both databases, it holds; and each of its checks fails when it should.

The sample survey is made up: its children are cases of tests/server/growth/who_golden.csv.gz (scores by the WHO's R package
anthro 1.1.0) with places, days and quirks added.
"""

import csv
import os
import re
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from server.accounts import make_enrolment_code
from server.cli import main
from server.config import Settings
from server.context import AppContext
from server.database.models import HealthCentre, HealthPost
from server.simulate import SimulationReport, Unusable, simulate
from server.simulate.device import APP, KeysByNumber, Luck, SimulatedTablet
from server.simulate.fleet import HEALTH_CENTRE, Fleet, Sharing, send_out
from server.simulate.line import Cut, CuttableLine, LineLost
from server.simulate.survey import read_survey
from server.simulate.verdict import judge
from sync_protocol import Dot, measurement_id
from sync_protocol.client import Client
from tests.builders import MEASURED_ON, weight
from tests.server._district import Databases, District

ROOT = Path(__file__).resolve().parents[3]
SAMPLE = ROOT / "tests" / "fixtures" / "survey_sample.csv"
SERVER_SECONDS = 120


def silence(_line: str) -> None:
    """Take a line of progress."""


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """Serve an installation with gunicorn as `serve` does, and give its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", f"--bind=127.0.0.1:{port}", "--workers=2", "--threads=4"]
    command += ["--worker-class=gthread", "--log-level=error", "wsgi:app"]
    environment = {**settings.child_environment(), "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    environment["POSYANDU_LOG_LEVEL"] = "ERROR"
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(process, url)
        yield url
    finally:
        process.terminate()
        process.wait(SERVER_SECONDS)


def wait_until_ready(process: "subprocess.Popen[bytes]", url: str) -> None:
    """Wait until a server answers that it is ready."""
    deadline = time.monotonic() + SERVER_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(f"{url}/readyz", timeout=2):  # noqa: S310 - our own address
                return
        except (URLError, OSError):
            time.sleep(0.05)
    raise AssertionError("the server did not start")


@dataclass(frozen=True)
class Served:
    """An installation on SQLite that is being served."""

    hub: AppContext
    url: str


@pytest.fixture(scope="module")
def served(sqlite_databases: Databases) -> Iterator[Served]:
    """Serve one installation for the tests that leave others' posts alone."""
    with District.opened(sqlite_databases) as district, serving(district.hub.settings) as url:
        yield Served(district.hub, url)


# -- it holds ---------------------------------------------------------------------------------------


def test_everything_holds_when_lines_are_cut_and_again_on_the_same_data(installed: District) -> None:
    hub = installed.hub
    with serving(hub.settings) as url:
        first = simulate(SAMPLE, url, hub, chaos=True, seed=1, tell=silence)
        again = simulate(SAMPLE, url, hub, chaos=True, seed=2, tell=silence)
        plain = simulate(SAMPLE, url, hub, chaos=False, seed=1, tell=silence)
    assert [report.text() for report in (first, again, plain) if not report.holds] == []
    with hub.database.reading() as session:
        names = session.scalars(
            select(HealthPost.name)
            .join(HealthCentre, HealthCentre.id == HealthPost.health_centre_id)
            .where(HealthCentre.name == HEALTH_CENTRE)
        ).all()
    assert sorted(names) == ["Contoh-1", "Contoh-2", "Contoh-3"]


@dataclass(frozen=True)
class Lived:
    """A day in chaos that is over: its fleet, and the database as the server left it."""

    fleet: Fleet
    settings: Settings
    report: SimulationReport


@pytest.fixture(scope="module")
def lived(sqlite_databases: Databases) -> Iterator[Lived]:
    """Live through one day in chaos on SQLite."""
    with District.opened(sqlite_databases) as district:
        with serving(district.hub.settings) as url:
            fleet = send_out(read_survey(SAMPLE), url, district.hub, chaos=True, seed=3, tell=silence)
        yield Lived(fleet, district.hub.settings, judge(district.hub, fleet))
        fleet.close()


def failing(report: SimulationReport) -> set[str]:
    """Give the first two words of every promise that was broken."""
    return {" ".join(check.promise.split()[:2]) for check in report.checks if not check.holds}


def test_every_promise_is_put_to_the_test_when_there_is_chaos(lived: Lived) -> None:
    assert failing(lived.report) == set()
    assert [check.promise for check in lived.report.checks if check.compared == 0] == []


def test_chaos_does_all_that_it_promises(lived: Lived) -> None:
    traffic = sum((device.notebook.traffic for device in lived.fleet.devices), Counter[str]())
    wanted = ["offline spells", "restarts", "repeats", "overlaps", "sent twice at once", "conflicts seen"]
    wanted += ["tasks answered"]
    wanted += [cut.value for cut in Cut if cut is not Cut.NOWHERE]
    wanted += ["cloned", "restored from a copy", "new enrolments"]
    assert [name for name in wanted if traffic[name] == 0] == []


def test_the_report_tells_what_became_of_each_odd_row(lived: Lived) -> None:
    told = "\n".join(lived.report.odd_rows)
    assert "row C-0005: no length: not set" in told
    assert "row C-0021:   the cadre corrected it: sent again without muac" in told
    assert "row C-0022:   the cadre corrected it: sent again without weight" in told
    assert "row C-0025: birth date unknown: only weight-for-length is scored" in told
    assert "row C-0028: length 85.18 cm is finer than 1 mm: rounded half up to 852 mm" in told
    assert "row C-0028: haz is" in told


def test_the_report_ends_with_the_verdict(lived: Lived) -> None:
    assert lived.report.text().endswith("Everything holds.")
    told = re.search(r"quarantined (\d+)\n", lived.report.text())
    assert told is not None
    assert int(told[1]) >= 3  # each as often as it was sent


# -- every check can fail ---------------------------------------------------------------------------

ROW_2 = "child_id = (SELECT child_id FROM assessment WHERE haz = -0.7 AND waz = -1.65)"
FAULTS = {
    "a score is altered": ("UPDATE assessment SET whz = whz + 0.01 WHERE [row 2]", {"scores equal"}),
    "a score is missing": ("UPDATE assessment SET baz = NULL WHERE [row 2]", {"scores equal"}),
    "a score is made up": ("UPDATE assessment SET haz = 1 WHERE age_days IS NULL", {"no score"}),
    "a flag is missing": (
        "DELETE FROM flag WHERE rule = 'implausible' AND subject LIKE '%/baz'",
        {"implausible exactly"},
    ),
    "a flag is made up": (
        """UPDATE flag SET rule = 'implausible', subject = (
             SELECT measured_on || '/cadre/haz' FROM assessment WHERE assessment.child_id = flag.child_id
           ) WHERE rule = 'not_seen' AND child_id IN (SELECT child_id FROM assessment WHERE abs(haz) < 3)""",
        {"implausible exactly"},
    ),
    "a change is gone": (
        "DELETE FROM change WHERE (actor, counter) = (SELECT actor, max(counter) FROM change)",
        {"nothing that", "the ledger"},
    ),
    "a change is another": (
        "UPDATE change SET hash = 'x' || substr(hash, 2) WHERE counter = 1",
        {"nothing that"},
    ),
    "an outcome is another": (
        "UPDATE change SET outcome = 'superseded' WHERE counter = 2",
        {"the ledger"},
    ),
    "a measurement is gone": (
        "DELETE FROM measurement WHERE [row 2]",
        {"every tablet", "every register"},
    ),
    "a value is altered": (
        "UPDATE measurement SET state = CAST(replace(state, '13610', '13611') AS BLOB) WHERE [row 2]",
        {"every tablet", "every register"},
    ),
    "a follow-up is gone": ("DELETE FROM follow_up", {"every tablet", "every register"}),
    "a result is altered": (
        """UPDATE follow_up SET state = CAST(replace(state, '"done"', '"same"') AS BLOB)""",
        {"every tablet", "every register"},
    ),
    "a count is another": (
        """UPDATE batch SET outcomes = '{"applied":1000}'""",
        {"received ="},
    ),
    "a receipt is another": (
        "UPDATE batch SET receipt = CAST(replace(receipt, 'applied', 'merged') AS BLOB)",
        {"received ="},
    ),
    "the log is altered": (
        "UPDATE audit_entry SET details = '{}' WHERE action = 'batch.accepted' AND number > 5",
        {"the log"},
    ),
}


@pytest.mark.parametrize(("statement", "broken"), FAULTS.values(), ids=FAULTS.keys())
def test_a_check_fails_when_the_database_is_altered(
    lived: Lived, tmp_path: Path, statement: str, broken: set[str]
) -> None:
    altered = tmp_path / "altered.db"
    source = Path(lived.settings.database_url.removeprefix("sqlite:///"))
    plant(source, altered, statement.replace("[row 2]", ROW_2))
    hub = AppContext.open(replace(lived.settings, database_url=f"sqlite:///{altered}"))
    report = judge(hub, lived.fleet)
    hub.database.dispose()
    assert not report.holds
    assert failing(report) == broken
    assert report.text().endswith("see BROKEN above.")


def plant(source: Path, copy: Path, statement: str) -> None:
    """Copy a database and change something in it that is there."""
    with closing(sqlite3.connect(source)) as before, closing(sqlite3.connect(copy)) as after:
        before.backup(after)
        assert after.execute(statement).rowcount > 0
        after.commit()


def judged(lived: Lived) -> set[str]:
    hub = AppContext.open(lived.settings)
    try:
        return failing(judge(hub, lived.fleet))
    finally:
        hub.database.dispose()


def test_a_check_fails_when_a_change_that_was_saved_never_arrived(lived: Lived) -> None:
    device = lived.fleet.devices[0]
    dot = Dot(device.replica.tablet_id, 999)
    device.notebook.written["x" * 43] = (dot, "a nonce")
    assert judged(lived) == {"nothing that", "received ="}
    del device.notebook.written["x" * 43]


def test_a_check_fails_when_a_change_was_taken_twice(lived: Lived) -> None:
    written = lived.fleet.devices[0].notebook.written
    (_, one), (second, other) = list(written.items())[:2]
    written[second] = (other[0], one[1])
    assert judged(lived) == {"nothing that"}
    written[second] = other


def test_a_check_fails_when_a_clone_was_not_found_out(lived: Lived) -> None:
    device = next(device for device in lived.fleet.devices if not device.was_copied)
    device.was_copied = True
    assert judged(lived) == {"every copied"}
    device.was_copied = False


def test_a_check_fails_when_a_tablet_lacks_a_record(lived: Lived) -> None:
    base = lived.fleet.devices[0].replica.base
    ref, state = base.popitem()
    assert "every tablet" in judged(lived)
    base[ref] = state


def test_a_check_fails_when_a_restart_would_lose_a_record(lived: Lived) -> None:
    base = lived.fleet.devices[0].replica.base
    base["child", "misplaced"] = next(iter(base.values()))
    assert judged(lived) == {"every tablet", "a tablet"}
    del base["child", "misplaced"]


def test_a_check_fails_when_a_batch_was_refused(lived: Lived) -> None:
    lived.fleet.devices[0].notebook.broken.append("a batch was refused as a whole: 409")
    assert judged(lived) == {"every batch"}
    lived.fleet.devices[0].notebook.broken.clear()


def test_a_check_fails_when_a_conflict_did_not_come(lived: Lived) -> None:
    case = next(case for case in lived.fleet.cases if case.sharing is None)
    case.sharing = Sharing.CONFLICT
    assert judged(lived) == {"two tablets"}
    case.sharing = None


# -- rows -------------------------------------------------------------------------------------------


def survey(tmp_path: Path, change: Callable[[dict[str, str]], object], rows: int = 3) -> Path:
    """Give a survey of the sample's first rows, each changed in place."""
    with SAMPLE.open(encoding="utf-8", newline="") as source:
        cells = list(csv.DictReader(source))[:rows]
    for row in cells:
        change(row)
    file = tmp_path / "survey.csv"
    with file.open("w", encoding="utf-8", newline="") as target:
        writer = csv.DictWriter(target, cells[0].keys())
        writer.writeheader()
        writer.writerows(cells)
    return file


def test_a_row_is_whole_grams_and_millimetres_when_the_file_has_decimals() -> None:
    row = read_survey(SAMPLE)[12]
    assert (row.weight_g, row.length_mm, row.muac_mm) == (9537, 684, 138)
    assert row.rounded == {}


@pytest.mark.parametrize(("height_cm", "length_mm"), [("70.05", 701), ("70.04", 700), ("70.15", 702)])
def test_a_length_is_rounded_half_up_when_it_is_finer_than_a_millimetre(
    tmp_path: Path, height_cm: str, length_mm: int
) -> None:
    row = read_survey(survey(tmp_path, lambda row: row.update(height_cm=height_cm)))[0]
    assert row.length_mm == length_mm
    assert list(row.rounded) == ["length"]


def test_a_birth_date_follows_from_the_age_when_the_file_has_none() -> None:
    assert read_survey(SAMPLE)[4].born_on == "2023-10-06"


def test_a_register_is_not_set_when_nothing_was_measured(tmp_path: Path) -> None:
    row = read_survey(survey(tmp_path, lambda row: row.update(height_cm="", muac_mm="NA", weight_kg="")))[0]
    assert row.registers() == {"weight": {"weight_g": None, "oedema": "n"}}


def test_a_value_is_typed_as_it_stands_when_it_cannot_be_true(tmp_path: Path) -> None:
    row = read_survey(survey(tmp_path, lambda row: row.update(muac_mm="0", weight_kg="-3")))[0]
    assert (row.muac_mm, row.weight_g) == (0, -3000)


def test_a_file_of_measured_columns_alone_is_enough(tmp_path: Path) -> None:
    kept = {"site", "team", "measured_on", "sex", "age_days", "weight_kg", "height_cm", "muac_mm", "oedema"}

    def strip(row: dict[str, str]) -> None:
        for name in row.keys() - kept:
            del row[name]

    row = read_survey(survey(tmp_path, strip))[1]
    assert (row.label, row.born_on, row.scores) == ("0002", "2020-12-16", {})


def test_a_row_is_told_and_everything_holds_when_only_a_person_can_mend_it(
    served: Served, tmp_path: Path
) -> None:
    def break_rows(row: dict[str, str]) -> None:
        if row["row"] == "1":
            row.update(measured_on="2999-01-01", date_of_birth="2020-10-17")
        if row["row"] == "2":
            row.update(date_of_birth="2999-01-01")
        if row["row"] == "3":
            row.update(weight_kg="", height_cm="", oedema="", muac_mm="1")

    def without_scores(row: dict[str, str]) -> None:
        break_rows(row)
        row.update({name: "" for name in row if name[0] in "zf"})

    file = survey(tmp_path, without_scores)
    report = simulate(file, served.url, served.hub, chaos=False, seed=1, tell=silence)
    told = "\n".join(report.odd_rows)
    assert report.holds, report.text()
    assert "row C-0001:   cannot be corrected on a tablet" in told
    assert "row C-0002:   the cadre corrected it: sent again without identity" in told
    assert "row C-0003:   muac was all there was" in told


# -- wrong use --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["site", "team", "measured_on", "sex", "weight_kg", "muac_mm", "oedema"])
def test_a_file_is_unusable_when_a_column_is_missing(tmp_path: Path, name: str) -> None:
    with pytest.raises(Unusable, match=f"lacks the columns {name}"):
        read_survey(survey(tmp_path, lambda row: row.pop(name)))


def test_a_file_is_unusable_when_it_has_no_ages(tmp_path: Path) -> None:
    def ageless(row: dict[str, str]) -> None:
        del row["age_days"], row["date_of_birth"]

    with pytest.raises(Unusable, match="neither date_of_birth nor age_days"):
        read_survey(survey(tmp_path, ageless))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weight_kg", "berat"),
        ("weight_kg", "NaN"),
        ("weight_kg", "1e99"),
        ("height_cm", "70,5"),
        ("measured_on", "04/12/2023"),
        ("measured_on", ""),
        ("date_of_birth", "2023-02-30"),
        ("sex", "X"),
        ("oedema", "maybe"),
        ("site", ""),
        ("zlen", "low"),
        ("flen", "2"),
    ],
)
def test_a_file_is_unusable_when_a_value_cannot_be_read(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(Unusable, match=f"line 2: {name} is"):
        read_survey(survey(tmp_path, lambda row: row.update({name: value})))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"site,team\n1"])
def test_a_file_is_unusable_when_it_is_no_survey(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "survey.csv"
    file.write_bytes(content)
    with pytest.raises(Unusable, match=r"survey\.csv"):
        read_survey(file)


def test_a_file_is_unusable_when_a_line_is_short(tmp_path: Path) -> None:
    file = survey(tmp_path, lambda _row: None)
    file.write_text(file.read_text() + "4,C,Contoh-1\n")
    with pytest.raises(Unusable, match="line 5: not as many cells"):
        read_survey(file)


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("http://127.0.0.1:1", "there is no server"),
        ("127.0.0.1:8000", "is no address"),
        ("http://127.0.0.1:port", "no usable port"),
    ],
)
def test_a_server_is_unusable_when_nobody_is_there(on_sqlite: District, url: str, what: str) -> None:
    with pytest.raises(Unusable, match=what):
        simulate(SAMPLE, url, on_sqlite.hub, chaos=False, seed=1, tell=silence)


def test_a_server_is_unusable_when_it_serves_other_data(served: Served, on_sqlite: District) -> None:
    with pytest.raises(Unusable, match="does it serve the data of --data"):
        simulate(SAMPLE, served.url, on_sqlite.hub, chaos=False, seed=1, tell=silence)


def test_the_command_exits_by_what_it_found(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in served.hub.settings.child_environment().items():
        monkeypatch.setenv(name, value)
    right = survey(tmp_path, lambda _row: None)
    done = CliRunner().invoke(main, ["simulate", str(right), "--server", served.url])
    wrong = survey(tmp_path, lambda row: row.update(zwei="0.11"))
    differs = CliRunner().invoke(main, ["simulate", str(wrong), "--server", served.url])
    gone = CliRunner().invoke(main, ["simulate", str(right), "--server", "http://127.0.0.1:1"])
    assert (done.exit_code, differs.exit_code, gone.exit_code) == (0, 1, 2)
    assert "row C-0001: waz is -2.42, the file has 0.11" in differs.stdout
    assert "there is no server" in gone.stderr


# -- one tablet -------------------------------------------------------------------------------------


@pytest.fixture
def device(served: Served, tmp_path: Path) -> Iterator[SimulatedTablet]:
    """Give a tablet that was just enrolled at a served installation."""
    file = tmp_path / "contoh.tablet"
    with served.hub.database.transaction() as session:
        post = session.scalars(select(HealthPost.id)).first()
        now = datetime.now(UTC)
        code = make_enrolment_code(session, served.hub, str(post), "Contoh", actor="operator", now=now)
    Client.enrol(file, served.url, code, keys=KeysByNumber(), app=APP, device="contoh").close()
    luck = Luck("contoh", chaos=False)
    device = SimulatedTablet("contoh", file, author="kader-contoh", luck=luck, clock_offset=timedelta())
    yield device
    device.close()


def test_a_restart_loses_nothing_that_was_saved(device: SimulatedTablet) -> None:
    form = device.client.open_measurement("01900000-0000-7000-8000-000000000001", MEASURED_ON)
    change = device.write(form, weight(8200))
    before = device.replica
    device.restart()
    assert device.replica is not before
    assert device.replica == before
    assert device.replica.log[0].change.hash == change.hash


def test_a_clone_and_its_original_both_go_on_when_they_have_synced(
    served: Served, device: SimulatedTablet
) -> None:
    child = "01900000-0000-7000-8000-000000000002"
    with CuttableLine(served.url, Counter()) as line:
        with device.on(line):
            device.sync_until_quiet()
        clone = device.clone()
        for number, one in enumerate((device, clone)):
            one.write(one.client.open_measurement(child, f"2026-03-0{number + 1}"), weight(8200))
            with one.on(line):
                one.sync_until_quiet()
        with device.on(line):
            device.sync_until_quiet()
    clone.close()
    assert [len(one.notebook.enrolments) for one in (device, clone)] == [2, 2]
    days = [measurement_id(child, day, "cadre") for day in ("2026-03-01", "2026-03-02")]
    assert all(device.client.view(("measurement", day)) for day in days)


def test_a_replica_is_the_same_when_it_was_on_a_disk(lived: Lived) -> None:
    for device in lived.fleet.devices:
        assert device.client.store.reread() == device.replica


def test_nothing_happens_to_a_tablet_when_there_is_no_chaos() -> None:
    luck = Luck("contoh", chaos=False)
    assert not any(luck.strikes(1.0) for _ in range(100))


def test_the_same_happens_to_a_tablet_when_the_seed_is_the_same() -> None:
    one, other, third = (Luck(seed, chaos=True) for seed in ("1/a/1", "1/a/1", "2/a/1"))
    strikes = [[luck.strikes(0.5) for _ in range(64)] for luck in (one, other, third)]
    assert strikes[0] == strikes[1] != strikes[2]


@pytest.mark.parametrize("cut", [Cut.SENDING, Cut.UNREAD, Cut.MIDWAY])
def test_a_line_is_lost_where_it_was_cut_and_comes_back(served: Served, cut: Cut) -> None:
    traffic: Counter[str] = Counter()
    with CuttableLine(served.url, traffic) as line:
        with pytest.raises(LineLost):
            line.post("/api/v1/sync", b"{}", cut)
        assert line.post("/api/v1/sync", b"{}").status == 400
    assert traffic == {"requests": 2, cut.value: 1}


def test_a_score_of_the_file_is_read_at_two_decimals(tmp_path: Path) -> None:
    row = read_survey(survey(tmp_path, lambda row: row.update(zwei="-1.255", zac="")))[0]
    assert row.scores["waz"] == Decimal("-1.26")
    assert row.scores["acz"] is None
