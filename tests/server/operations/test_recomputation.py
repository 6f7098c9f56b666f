"""Whatever is derived is computed again and compared: what was altered behind the server's back is named, and mended."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import Result
from sqlalchemy import text

from server import isolation, reports
from server.accounts import Person
from server.app import create_app
from server.operations import recomputation, scheduler
from server.operations.doctor import examine
from server.operations.recomputation import mending, rounds
from tests.faults._running import environment
from tests.server._district import DISTRICT, Databases, District, behind_its_back, identity
from tests.server._people import add_person
from tests.server.cli import _call as commands
from tests.server.operations.test_doctor import damage, problems
from tests.server.privacy._requests import erased
from tests.server.web._clinic import PASSWORD, sign_in, visible

DERIVING = ("unmeasured-children", "new-rules", "figures", "oversight")
"""The jobs that derive what is shown."""


def a_month_of_work(installed: District) -> None:
    """Measure children at two posts, two of them stunted, one in conflict, one with a task and a NIK; and run the jobs."""
    first, second = installed.tablet(0), installed.tablet(1, "Tablet Lain")
    children = []
    for number, tablet in enumerate([first, first, first, second, second]):
        nik = {"nik": f"64020210012500{number:02}"}
        child = tablet.register_child(identity=identity(name=f"Anak {number}"), nik=nik)
        children.append(child)
        tablet.measure(child, "2026-02-05", weight_g=8000, length_mm=640 if number < 2 else 780)
        tablet.measure(child, weight_g=8100, length_mm=650 if number < 2 else 800)
        if number == 4:
            tablet.set_task(child, action="home_visit")
    first.sync_until_quiet()
    second.sync_until_quiet()
    other = installed.tablet(0, "Tablet Ketiga")
    other.sync_until_quiet()
    disputed = children[0]
    other.edit_child(disputed, identity=identity(name="Anak Lain", born_on="2025-01-12"))
    first.edit_child(disputed, identity=identity(name="Anak Ini"))
    other.sync_until_quiet()
    first.sync_until_quiet()
    run_jobs(installed)


def run_jobs(district: District, *names: str) -> None:
    for name in names or DERIVING:
        scheduler.timetable(district.hub.settings)[name].task(district.hub, district.clock.now)


@pytest.fixture
def at_work(databases: Databases) -> Iterator[District]:
    with District.opened(databases, after=a_month_of_work) as district:
        yield district


def lines(district: District) -> list[str]:
    """Give every difference as a line."""
    return [
        one.line()
        for part in recomputation.PARTS
        for one in recomputation.differences(district.hub, part, district.clock.now)
    ]


ALTERED: dict[str, tuple[str, str]] = {
    "a score": ("UPDATE assessment SET haz = -1.5 WHERE haz < -2", "haz differs: stored -1.5, computed -"),
    "an age": ("UPDATE assessment SET age_days = age_days + 30", "age_days differs"),
    "a gain": ("UPDATE assessment SET gain_code = 'N' WHERE gain_code = 'T'", "gain_code differs"),
    "an engine": ("UPDATE assessment SET engine = 'growth-0'", "engine differs"),
    "an assessment too many": (
        "INSERT INTO assessment (district, child_id, measured_on, source, haz, inputs, engine)"
        " SELECT district, child_id, '2026-01-05', source, haz, inputs, engine FROM assessment"
        " WHERE measured_on = '2026-02-05'",
        "too many",
    ),
    "an urgency": ("UPDATE flag SET urgency = 4 WHERE urgency = 1", "urgency differs: stored 4, computed 1"),
    "details": (
        "UPDATE flag SET details = '{}' WHERE rule IN ('stunted', 'severely_stunted')",
        "details differs",
    ),
    "a flag's moment": (
        "UPDATE flag SET raised_at = '2026-03-04T00:00:00.000000+00:00'",
        "raised_at differs: stored 2026-03-04T00:00:00.000000+00:00, computed no entry of the log",
    ),
    "the queue": ("UPDATE attention SET urgency = 4", "urgency differs"),
    "the queue's order": ("UPDATE attention SET sort_key = 0", "sort_key differs"),
    "an index of a NIK": ("DELETE FROM nik_index", "nik_index"),
    "an index of a NIK of nobody": (
        "UPDATE nik_index SET child_id = '01900000-0000-7000-8000-00000000ffff'",
        "nik_index 01900000-0000-7000-8000-00000000ffff: too many",
    ),
    "counts of a post": (
        "UPDATE figures SET counts = replace(counts, '\"S\":3', '\"S\":9') WHERE area_kind = 'post'",
        "counts S differs: stored 9, computed 3",
    ),
    "counts of the district": (
        "UPDATE figures SET counts = replace(counts, '\"S\":5', '\"S\":9') WHERE area_kind = 'district'",
        "/district/: counts S differs: stored 9, computed 5",
    ),
    "what is hidden": ("UPDATE figures SET hidden = ''", "hidden differs"),
    "a month less": ("DELETE FROM figures WHERE area_kind = 'post' AND month = '2026-02-01'", "missing"),
    "an area more": (
        "INSERT INTO figures (district, month, area_kind, area, counts, hidden)"
        " SELECT district, month, 'village', '64.02.06.9999', counts, hidden FROM figures WHERE area_kind = 'district'",
        "too many",
    ),
    "a count of the future": ("UPDATE figures_post SET position = position + 9", "position differs"),
    "a report": ("UPDATE post_month SET told = replace(told, 'true', 'false')", "told differs"),
    "first seen": (
        "UPDATE child SET first_seen_at = '2020-03-04T00:00:00.000000+00:00'",
        "first_seen_at differs",
    ),
    "a weight": ("UPDATE measurement SET weight_g = 9999", "weight_g differs: stored 9999, computed 8"),
}


@pytest.mark.every_case
@pytest.mark.parametrize("what", ALTERED)
def test_what_was_altered_is_named(at_work: District, what: str) -> None:
    statement, words = ALTERED[what]
    damage(at_work, statement)
    assert any(words in line for line in lines(at_work)), lines(at_work)


def test_honest_work_differs_in_nothing_before_and_after_the_jobs(at_work: District) -> None:
    assert lines(at_work) == []
    tablet = at_work.tablet(1, "Tablet Baru")
    tablet.measure(tablet.register_child(), weight_g=6000, length_mm=600)
    tablet.sync_until_quiet()
    assert lines(at_work) == []
    at_work.clock.advance(days=40)
    assert lines(at_work) == []  # the flags of the calendar are not set yet
    run_jobs(at_work)
    assert lines(at_work) == []


def test_flag_of_the_calendar_that_was_removed_is_named_once_its_job_ran(at_work: District) -> None:
    at_work.clock.advance(days=70)
    run_jobs(at_work)
    damage(at_work, "DELETE FROM flag WHERE rule = 'not_seen'")
    assert any("/not_seen/: missing" in line for line in lines(at_work))


def test_no_difference_tells_what_a_person_is(at_work: District) -> None:
    damage(at_work, "UPDATE child SET born_on = '2024-12-31', sex = 'F'")
    damage(at_work, "UPDATE attention SET born_on = '2024-12-31'")
    told = " ".join(lines(at_work))
    assert "born_on differs" in told
    assert "2024-12-31" not in told
    assert "2025-01" not in told


def call(district: District, *arguments: str) -> Result:
    """Call a command on a district in this process."""
    return commands.call(*arguments, env=environment(district.hub.settings))


def test_doctor_and_verify_name_the_score_and_the_remedies_mend_it(on_sqlite: District) -> None:
    on_sqlite.clock.now = datetime.now(UTC)
    a_month_of_work(on_sqlite)
    statement, words = ALTERED["a score"]
    damage(on_sqlite, statement)
    damage(on_sqlite, ALTERED["counts of the district"][0])
    found = problems(on_sqlite)
    assert any(words in one for one in found["assessments"])
    assert any("counts S differs" in one for one in found["figures"])
    told = call(on_sqlite, "audit", "verify", "--figures")
    assert told.exit_code == 1
    assert words in told.stdout
    assert "posyandu-sync reassess" in told.stderr
    assert call(on_sqlite, "reassess").exit_code == 0
    assert call(on_sqlite, "reports", "refresh", "--from-nothing").exit_code == 0
    told = call(on_sqlite, "audit", "verify", "--figures")
    assert (told.exit_code, told.stdout) == (0, "")


@pytest.mark.parametrize("option", ["--export", "--proof"])
def test_figures_cannot_be_computed_without_the_database(
    on_sqlite: District, option: str, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    assert call(on_sqlite, "audit", "verify", "--figures", option, str(file)).exit_code == 2


# -- the nightly round ----------------------------------------------------------------------------


def night(district: District) -> dict[str, Any]:
    """Let a night pass, and run the job."""
    district.clock.advance(days=1)
    return dict(scheduler.run_job(district.hub, rounds.JOB, district.clock.now))


def standing(district: District) -> list[str]:
    with district.hub.database.reading() as session:
        return [one.said for one in rounds.standing(session, district.hub)]


def test_round_looks_at_everything_within_a_month_and_begins_anew(at_work: District) -> None:
    nights = 0
    while "ended" not in (result := night(at_work)):
        nights += 1
        assert nights < rounds.NIGHTS
    units = {part.name: count_units(at_work, part) for part in recomputation.PARTS}
    assert result["looked_at"] == sum(units.values())
    assert result["found"] == 0
    assert night(at_work)["looked_at"] < result["looked_at"]
    assert standing(at_work) == []


def count_units(district: District, part: recomputation.Part) -> int:
    with district.hub.database.reading() as session:
        return part.count_units(session, district.hub)


def test_what_the_round_found_stands_on_page_metrics_and_doctor_until_it_is_mended(
    at_work: District,
) -> None:
    statement, words = ALTERED["a score"]
    damage(at_work, statement)
    a_round(at_work)
    assert any(words in one for one in standing(at_work))
    at_work.clock.now = datetime.now(UTC)
    assert any(words in one for one in problems(at_work)["round"])
    client = create_app(at_work.hub.settings, at_work.hub).test_client()
    lines = client.get("/metrics").text.splitlines()
    assert f"posyandu_differences {len(standing(at_work))}" in lines
    assert any(line.startswith("posyandu_round_share ") for line in lines)
    who = ("pengawas", "Pengawas", "supervisor", "district", DISTRICT, PASSWORD)
    account = add_person(at_work.hub, *who, at_work.clock.now)
    sign_in(client, Person(account, *who[:5]))
    shown = visible(client.get("/audit/catatan").text)
    assert words in shown
    mending.reassess(at_work.hub, at_work.clock.now, actor="operator")
    a_round(at_work)
    assert standing(at_work) == []


def a_round(district: District) -> None:
    """Let nights pass until a round has begun and ended."""
    began = district.clock.now
    while night(district).get("ended", "") <= began.isoformat() or not is_done(district):
        pass


def is_done(district: District) -> bool:
    with district.hub.database.reading() as session:
        return rounds.Round.stored(session, district.hub).is_done


def test_slice_is_not_looked_at_again_when_the_server_starts_again_in_the_night(at_work: District) -> None:
    first = night(at_work)
    at_work.clock.advance(hours=1)
    assert scheduler.run_job(at_work.hub, rounds.JOB, at_work.clock.now) == {}
    assert night(at_work)["looked_at"] > first["looked_at"]


def test_round_that_does_not_end_is_told_by_doctor(at_work: District) -> None:
    later = datetime.now(UTC) + timedelta(days=36)
    checks = examine(at_work.hub.settings, now=later, quick=True, progress=lambda *_: None)
    assert any("last round" in one for check in checks if check.name == "round" for one in check.found)


# -- a job that fails -----------------------------------------------------------------------------


def rename(district: District, table: str, to: str) -> None:
    with behind_its_back(district) as connection:
        connection.execute(text(f"ALTER TABLE {table} RENAME TO {to}"))


def test_job_that_fails_is_told_on_doctor_page_and_metrics_until_it_runs_again(
    on_sqlite: District,
) -> None:
    on_sqlite.clock.now = datetime.now(UTC)
    rename(on_sqlite, "rate_limit", "lost")
    assert scheduler.run_job(on_sqlite.hub, "ended-sign-ins", on_sqlite.clock.now) == {}
    assert any("job ended-sign-ins, OperationalError" in one for one in problems(on_sqlite)["set-aside"])
    client = create_app(on_sqlite.hub.settings, on_sqlite.hub).test_client()
    assert 'posyandu_set_aside{kind="job-failed"} 1' in client.get("/metrics").text.splitlines()
    rename(on_sqlite, "lost", "rate_limit")
    who = ("pengawas", "Pengawas", "supervisor", "district", DISTRICT, PASSWORD)
    account = add_person(on_sqlite.hub, *who, on_sqlite.clock.now)
    sign_in(client, Person(account, *who[:5]))
    assert "ended-sign-ins" in visible(client.get("/audit").text)
    assert scheduler.run_job(on_sqlite.hub, "ended-sign-ins", on_sqlite.clock.now)
    assert "set-aside" not in problems(on_sqlite)
    assert 'posyandu_set_aside{kind="job-failed"} 0' in client.get("/metrics").text.splitlines()


def test_row_of_figures_of_no_post_stops_no_sum(at_work: District) -> None:
    """A row that somebody added for a post that does not exist is named, and goes when its month is added up again."""
    damage(
        at_work,
        "INSERT INTO figures (district, month, area_kind, area, counts, hidden)"
        " SELECT district, month, 'post', 'x', counts, hidden FROM figures WHERE area_kind = 'district'",
    )
    assert any("/post/x: too many" in line for line in lines(at_work))
    reports.refresh(at_work.hub, at_work.clock.now, actor="operator", from_nothing=True)
    assert lines(at_work) == []


def test_erased_child_whose_rows_are_not_empty_is_named(installed: District) -> None:
    """What an erasure leaves is checked too: values written back, a measurement removed, a flag."""
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.measure(child, weight_g=8100, length_mm=700)
    tablet.sync_until_quiet()
    erased(installed, child)
    assert lines(installed) == []
    damage(installed, "UPDATE measurement SET weight_g = 9000")
    assert any("weight_g differs: stored 9000, computed none" in line for line in lines(installed))
    damage(installed, "UPDATE child SET born_on = '2025-01-01', sex = 'F'")
    assert {"born_on", "sex"} <= {line.split(": ")[1].split()[0] for line in lines(installed)}
    damage(installed, "DELETE FROM measurement")
    assert any(line.startswith("measurement") and line.endswith("missing") for line in lines(installed))


def test_child_that_cannot_be_read_is_named_and_hides_no_other(at_work: District) -> None:
    damage(
        at_work, "UPDATE child SET key_version = 9 WHERE id = (SELECT id FROM child ORDER BY id DESC LIMIT 1)"
    )
    damage(at_work, ALTERED["a score"][0])
    found = lines(at_work)
    assert any("unreadable (KeyUnusable)" in line for line in found)
    assert any(ALTERED["a score"][1] in line for line in found)


HIGHEST: Final = "ffffffff-ffff-4fff-bfff-ffffffffffff"


def test_no_id_of_a_task_stops_figures_pages_or_doctor(at_work: District) -> None:
    """Any UUID is allowed as a task's id: no moment is read out of it (finding 5)."""
    tablet = at_work.tablet(0, "Tablet Aneh")
    child = tablet.register_child()
    tablet.set_task(child, HIGHEST, action="home_visit")
    tablet.set_result(child, HIGHEST)
    tablet.sync_until_quiet()
    assert tablet.outcomes() == ["applied"] * 3
    run_jobs(at_work)
    assert lines(at_work) == []
    with at_work.hub.database.reading() as session:
        assert isolation.set_aside(session, at_work.hub) == []
