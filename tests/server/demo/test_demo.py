"""The demo: its story is pure and made up, it shows what it promises, and it never takes another's directory."""

import fcntl
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import click
import pytest
from sqlalchemy import func, select

from schemas import check_change, parse_enrolment
from server import accounts, audit
from server.children import ledger
from server.cli import main
from server.config import Settings
from server.context import AppContext
from server.crypto.vault import SigningKey
from server.database.models import (
    AuditEntry,
    ChangeRow,
    Child,
    Flag,
    HealthPost,
    Measurement,
    NikIndex,
    PostExit,
    Region,
    Tablet,
)
from server.demo import Demo, NotADemo, make_demo
from server.demo.acts import Act
from server.demo.directory import mark, room_for_demo
from server.demo.story import POSTS, Story, plan_demo
from server.growth.zscores import Reason, zscores
from tests.builders import CHILD, POST, make_wire

NOW = datetime(2026, 3, 17, 3, 0, tzinfo=UTC)
TODAY = date(2026, 3, 17)


SLIP = {"weight_g": 0}


def quiet(_: str) -> None:
    """Take a line of progress."""


def small(settings: Settings, seed: int = 1) -> Demo:
    return make_demo(settings, seed=seed, now=NOW, tell=quiet, posts=2, children_per_post=15, months=8)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Give a small demo that tests only look at."""
    return small(Settings.for_data(tmp_path_factory.mktemp("demo")))


@pytest.fixture
def hub(made: Demo) -> Iterator[AppContext]:
    """Open the small demo as a server would."""
    opened = AppContext.open(Settings.for_data(made.data_dir))
    yield opened
    opened.database.dispose()


@pytest.fixture
def copied(made: Demo, tmp_path: Path) -> Iterator[AppContext]:
    """Open a copy of the small demo, to be changed at will."""
    shutil.copytree(made.data_dir, tmp_path / "copy")
    opened = AppContext.open(Settings.for_data(tmp_path / "copy").for_plain_http())
    yield opened
    opened.database.dispose()


@pytest.fixture(scope="module")
def story() -> Story:
    """Give the whole story as `demo` tells it."""
    return plan_demo(64, TODAY)


def acts(story: Story) -> list[Act]:
    return [step for step in story.steps if isinstance(step, Act)]


# -- the story ------------------------------------------------------------------------------------


def test_story_is_the_same_when_seed_and_day_are(story: Story) -> None:
    assert plan_demo(64, TODAY) == story


def test_story_differs_when_the_seed_does(story: Story) -> None:
    assert plan_demo(65, TODAY).steps != story.steps


def test_story_has_about_450_children_and_two_years(story: Story) -> None:
    days = {act.measured_on for act in acts(story) if act.measured_on and act.measured_on < TODAY}
    assert 430 <= len({act.child for act in acts(story)}) <= 470
    assert len({(day.year, day.month) for day in days}) == 24


@pytest.mark.parametrize(
    "today", [date(2026, 3, 1), date(2026, 3, 2), date(2026, 5, 31), date(2028, 2, 29), date(2027, 1, 10)]
)
def test_story_happens_before_today_when_the_month_is_at_any_day(today: date) -> None:
    story = plan_demo(3, today, children_per_post=15, months=7)
    assert max(step.at.date() for step in story.steps) < today
    late = {act.child for act in acts(story) if act.measured_on and act.measured_on >= today}
    assert len(late) == 2  # the two tablets whose clock is a year ahead


@pytest.mark.parametrize("day", [2, 17, 31])
def test_story_leaves_posts_waiting_for_this_month_when_others_have_met(day: int) -> None:
    today = date(2026, 3, day)
    this_month = (today.replace(day=1), today)
    story = plan_demo(3, today, children_per_post=15, months=7)
    met = {a.post for a in acts(story) if a.measured_on and this_month[0] <= a.measured_on < this_month[1]}
    assert met == {number for number, post in enumerate(POSTS) if not post.waits}


def test_people_are_clearly_made_up_everywhere(story: Story) -> None:
    registered = [act.registers for act in acts(story) if "identity" in act.registers]
    names = {r["identity"]["name"] for r in registered}
    parents = {r["parents"][who] for r in registered if "parents" in r for who in ("mother", "father")}
    assert all(re.fullmatch(r"Anak (Contoh|Cth\.) \d{3}", name) for name in names)
    assert all(re.fullmatch(r"(Ibu|Bapak) Contoh \d{3}", name) for name in parents)
    assert all(r["parents"]["phone"].startswith("+62000") for r in registered if "parents" in r)
    assert all(re.fullmatch(r"640206\d{6}9\d{3}", r["nik"]["nik"]) for r in registered if "nik" in r)


def test_true_figures_are_those_of_growing_children_when_nothing_befell_them(story: Story) -> None:
    born = {
        a.child: a.registers["identity"]
        for a in acts(story)
        if a.registers.get("identity", {}).get("born_on")
    }
    plain = [a for a in acts(story) if a.measured_on and a.measured_on < TODAY and "length" in a.registers]
    plain = [a for a in plain if a.child in born and a.registers.get("weight", SLIP)["weight_g"] > 100]
    scores = zscores(
        sex=["MF".index(born[a.child]["sex"]) + 1 for a in plain],
        age_days=[(a.measured_on - date.fromisoformat(born[a.child]["born_on"])).days for a in plain],  # type: ignore[operator]
        weight_kg=[a.registers["weight"]["weight_g"] / 1000 for a in plain],
        lenhei_cm=[a.registers["length"]["length_mm"] / 10 for a in plain],
    )
    assert (scores.haz.reason == Reason.DEFINED).all()
    assert abs(scores.haz.z).max() < 6
    assert abs(scores.whz.z).max() < 5
    assert 0.05 < (scores.haz.z < -2).mean() < 0.30


def test_schemas_accept_the_whole_story_but_for_its_slips(story: Story) -> None:
    refused = []
    for act in acts(story):
        registers = {**act.registers, **({"post": {"post": POST}} if "post" in act.registers else {})}
        child = {"kind": "child", "id": CHILD, "key": {}} if act.measured_on is None else {}
        found = check_change(make_wire(set=registers, **child), today=TODAY)
        refused += [(r.path, r.code) for r in found]
    assert refused == [("set.weight.weight_g", "out-of-range")] * 3


def test_posts_stand_in_villages_of_their_kecamatan() -> None:
    assert all(post.village.startswith(f"{post.subdistrict}.") for post in POSTS)
    assert len({post.village for post in POSTS}) == len(POSTS)


def test_story_is_refused_when_too_small() -> None:
    with pytest.raises(ValueError, match="2 to 8 posts"):
        plan_demo(1, TODAY, posts=1)


# -- what is shown --------------------------------------------------------------------------------


def test_counts_are_those_of_the_database(made: Demo, hub: AppContext) -> None:
    with hub.database.reading() as session:
        of_tablets = ~ChangeRow.actor.startswith("hub:")  # beside them the office has promised aid
        counted = select(ChangeRow.outcome, func.count()).where(of_tablets).group_by(ChangeRow.outcome)
        rows = session.execute(counted).all()
        assert {row[0]: row[1] for row in rows} == made.outcomes
        assert session.scalar(select(func.count()).select_from(Child)) == made.children
        assert session.scalar(select(func.count()).select_from(Tablet)) == made.tablets == 4
        assert session.scalar(select(func.count()).select_from(HealthPost)) == made.posts == 2
        assert session.scalar(select(func.count()).where(Region.level == "village")) == 237


@pytest.mark.parametrize(
    "rule",
    [
        "severely_stunted",
        "stunted",
        "severely_wasted",
        "wasted",
        "muac_severe",
        "oedema",
        "two_t",
        "overweight",
        "conflict",
        "copied",
        "length_shrank",
        "position_unlikely",
        "birth_date_unknown",
        "not_registered",
    ],
)
def test_every_promised_flag_is_there(hub: AppContext, rule: str) -> None:
    with hub.database.reading() as session:
        assert session.scalars(select(Flag.child_id).where(Flag.rule == rule)).first()


def test_conflicts_are_of_weight_length_and_identity(hub: AppContext) -> None:
    with hub.database.reading() as session:
        found = set(session.scalars(select(Child.conflicts).where(Child.conflicts != "")))
        found |= set(session.scalars(select(Measurement.conflicts).where(Measurement.conflicts != "")))
    assert found == {"weight", "length", "identity"}


def test_outcomes_are_of_every_kind_when_nothing_was_sent_twice(made: Demo) -> None:
    assert (made.outcomes["conflict"], made.outcomes["merged"], made.outcomes["quarantined"]) == (3, 1, 3)
    assert made.outcomes["applied"] > 100


def test_quarantined_are_slips_of_unit_and_date(hub: AppContext) -> None:
    with hub.database.reading() as session:
        rows = session.scalars(select(ChangeRow).where(ChangeRow.reasons.is_not(None))).all()
        reasons = [str(ledger.quarantine_reasons(hub.district, row, hub.vault)) for row in rows]
    assert sorted("out-of-range" if "out-of-range" in r else "date-in-future" for r in reasons) == [
        "date-in-future",
        "out-of-range",
        "out-of-range",
    ]
    assert all("kilogram" in r for r in reasons if "out-of-range" in r)


def test_mended_slip_is_applied_under_the_same_record(hub: AppContext) -> None:
    with hub.database.reading() as session:
        quarantined = select(ChangeRow.record_id).where(ChangeRow.outcome == "quarantined")
        mended = session.execute(
            select(ChangeRow.record_id).where(
                ChangeRow.outcome == "applied", ChangeRow.record_id.in_(quarantined)
            )
        ).all()
    assert len(mended) == 1


def test_moved_child_is_measured_at_its_new_post(hub: AppContext) -> None:
    with hub.database.reading() as session:
        left = session.scalars(select(PostExit)).one()
        child = session.get_one(Child, (hub.district, left.child_id))
        posts = set(session.scalars(select(Measurement.post_id).where(Measurement.child_id == child.id)))
        tablets = select(Tablet.id).where(Tablet.post_id == child.post_id)
        there = session.scalars(
            select(ChangeRow.counter).where(ChangeRow.child_id == child.id, ChangeRow.actor.in_(tablets))
        ).all()
    assert posts == {child.post_id} != {left.post_id}
    assert there


def test_one_nik_has_two_children_when_one_was_registered_twice(hub: AppContext) -> None:
    with hub.database.reading() as session:
        counts = session.scalars(
            select(func.count()).select_from(NikIndex).group_by(NikIndex.blind_index)
        ).all()
    assert sorted(counts)[-2:] == [1, 2]


def test_staff_measured_some_again(hub: AppContext) -> None:
    with hub.database.reading() as session:
        again = session.scalars(select(Measurement.child_id).where(Measurement.source == "staff")).all()
    assert len(again) == 2


def test_one_tablet_is_silent(hub: AppContext) -> None:
    since = NOW - timedelta(days=hub.settings.tablet_silent_days)
    with hub.database.reading() as session:
        silent = session.scalars(select(Tablet.name).where(Tablet.last_sync_at < since)).all()
    assert silent == ["Tablet 2B (contoh)"]


def test_log_is_whole_and_in_the_order_of_time(hub: AppContext) -> None:
    with hub.database.reading() as session:
        count, broken = audit.verify(session, hub.district)
        rows = session.execute(
            select(AuditEntry.stream, AuditEntry.at).order_by(AuditEntry.stream, AuditEntry.number)
        ).all()
    assert broken == []
    assert count == len(rows)
    assert [tuple(row) for row in rows] == sorted(tuple(row) for row in rows)
    assert max(row.at for row in rows) == NOW


# -- signing in -----------------------------------------------------------------------------------


def test_everybody_can_sign_in_with_the_printed_password(made: Demo, copied: AppContext) -> None:
    for person in made.sign_ins:
        token = accounts.sign_in(copied, person.username, person.password, NOW)
        with copied.database.reading() as session:
            assert token
            assert accounts.who_is(session, copied, token, NOW)


def test_summary_prints_every_sign_in_and_the_code(made: Demo) -> None:
    text = made.summary()
    assert {p.username for p in made.sign_ins} == {
        f"{who}.contoh" for who in ("gizi", "dinas", "admin", "kader", "tpps", "donatur")
    }
    assert all(p.username in text and p.password in text for p in made.sign_ins)
    assert made.enrolment_code in text


def test_passwords_are_long_and_differ_from_demo_to_demo(made: Demo) -> None:
    passwords = {p.password for p in made.sign_ins}
    assert len(passwords) == 6
    assert min(map(len, passwords)) >= accounts.MIN_PASSWORD


def test_passwords_are_not_shown_when_a_demo_is_logged(made: Demo) -> None:
    assert not [p for p in made.sign_ins if p.password in repr(made)]


def test_printed_code_enrols_a_tablet_of_the_first_post(made: Demo, copied: AppContext) -> None:
    wire = {"code": made.enrolment_code, "public_key": SigningKey().jwk(), "app": "test/1", "device": "Uji"}
    with copied.database.transaction() as session:
        enrolled = accounts.enrol(session, copied, parse_enrolment(wire), NOW)
        post = session.get_one(HealthPost, (copied.district, enrolled.post_id))
        assert post.name == made.enrolment_post


def test_suggested_commands_exist(made: Demo) -> None:
    text = made.where_to_look("http://127.0.0.1:8000")
    suggested = re.findall(r"posyandu-sync ([a-z]+(?: [a-z]+)?) --?[a-z]", text)
    assert len(suggested) >= 3
    for words in suggested:
        group: click.Command = main
        for word in words.split():
            assert isinstance(group, click.Group)
            group = group.commands[word]
    assert "simulate" in main.commands
    assert "simulate FILE.csv --server http://127.0.0.1:8000" in text


# -- the directory --------------------------------------------------------------------------------


def incarnation(settings: Settings) -> str:
    with closing(sqlite3.connect(settings.data_dir / "posyandu.db")) as connection:
        return str(connection.execute("SELECT incarnation FROM installation").fetchone()[0])


def contents(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in place.iterdir()}


def test_demo_replaces_an_earlier_demo_and_leaves_files_of_others(copied: AppContext) -> None:
    settings = copied.settings
    before, key = incarnation(settings), settings.key_file.read_bytes()
    (settings.data_dir / "survei.csv").write_text("milik orang lain")
    small(settings, seed=2)
    assert incarnation(settings) != before
    assert settings.key_file.read_bytes() != key
    assert (settings.data_dir / "survei.csv").read_text() == "milik orang lain"


def test_demo_is_replaced_when_its_making_was_cut_short(tmp_path: Path) -> None:
    settings = Settings.for_data(tmp_path / "demo")

    def cut(line: str) -> None:
        if "Posyandu" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_demo(settings, seed=1, now=NOW, tell=cut, posts=2, children_per_post=12, months=6)
    assert small(settings).children > 20


def test_demo_refuses_a_directory_when_it_holds_something_else(tmp_path: Path) -> None:
    (tmp_path / "catatan.txt").write_text("penting")
    before = contents(tmp_path)
    with pytest.raises(NotADemo, match=re.escape(str(tmp_path))):
        small(Settings.for_data(tmp_path))
    assert contents(tmp_path) == before


def test_demo_refuses_an_installation_when_another_was_restored_over_the_demo(
    made: Demo, tmp_path: Path
) -> None:
    place = tmp_path / "demo"
    shutil.copytree(made.data_dir, place)
    with closing(sqlite3.connect(place / "posyandu.db")) as connection, connection:
        connection.execute("UPDATE installation SET incarnation = 'pulihan'")
    before = contents(place)
    with pytest.raises(NotADemo, match="another directory with --data"):
        small(Settings.for_data(place))
    assert contents(place) == before


@pytest.mark.parametrize("marker", [b"", b"[]", b"{}", b'{"made_by": "orang lain", "incarnation": null}'])
def test_demo_refuses_a_directory_when_the_marker_is_not_ours(tmp_path: Path, marker: bytes) -> None:
    (tmp_path / "demo.json").write_bytes(marker)
    with pytest.raises(NotADemo):
        small(Settings.for_data(tmp_path))


def test_demo_refuses_a_place_when_it_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "berkas").write_text("x")
    with pytest.raises(NotADemo):
        small(Settings.for_data(tmp_path / "berkas"))


def test_demo_refuses_its_own_directory_when_a_server_runs_on_it(made: Demo) -> None:
    lock = made.data_dir / "scheduler.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(NotADemo, match="server is running"):
            small(Settings.for_data(made.data_dir))
    lock.unlink()


def test_demo_refuses_settings_when_the_database_is_elsewhere(tmp_path: Path) -> None:
    url = "postgresql+psycopg://localhost/nyata"
    with pytest.raises(NotADemo, match="DATABASE_URL"):
        small(Settings.for_data(tmp_path / "demo", database_url=url))
    assert not (tmp_path / "demo").exists()


def test_demo_refuses_settings_when_the_district_is_another(tmp_path: Path) -> None:
    with pytest.raises(NotADemo, match="POSYANDU_DISTRICT"):
        small(replace(Settings.for_data(tmp_path / "demo"), district="64.03"))


@pytest.mark.parametrize("before", [None, 0o755])
def test_directory_of_a_demo_is_its_owners_alone(tmp_path: Path, before: int | None) -> None:
    """Also that of an earlier demo, which was open to all."""
    place = tmp_path / "demo-data"
    settings = Settings.for_data(place)
    if before is not None:
        place.mkdir()
        place.chmod(before)
        mark(settings, None)
    with room_for_demo(settings):
        assert place.stat().st_mode & 0o777 == 0o700
