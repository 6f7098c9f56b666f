"""What parents may ask: seen, corrected, restricted and erased in time, by whom, and what is then nowhere to be found."""

import zlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from server import privacy
from server.backup import withdrawals
from server.backup.withdrawals import list_in
from server.cli import main
from server.context import AppContext
from server.database.models import (
    Assessment,
    Attention,
    Child,
    Flag,
    FollowUp,
    ImportCase,
    ImportChunk,
    NikIndex,
    table,
)
from server.errors import Problem
from server.interchange import import_store
from server.review import search
from tests.faults._running import environment
from tests.server._district import DISTRICT, District, FakeTablet, identity
from tests.server.interchange._files import row as sheet_row, xlsx
from tests.server.interchange._office import answer as answer_row, children, taken, waiting
from tests.server.privacy._planted import PLANTED, everything, plant, words
from tests.server.privacy._requests import (
    MOTHER,
    ONE,
    OTHER,
    agree,
    ailments,
    answer,
    ask,
    do,
    erased,
    seen,
    whole,
)

# -- the clock ------------------------------------------------------------------------------------


@pytest.fixture
def tablet(installed: District) -> FakeTablet:
    return installed.tablet()


@pytest.fixture
def child(tablet: FakeTablet) -> str:
    """Give a child with everything that can be written about one, on its post's tablet."""
    child = plant(tablet)
    tablet.sync_until_quiet()
    return child


def test_a_request_is_due_in_three_times_24_hours_and_told_late_after(
    installed: District, child: str
) -> None:
    request, now = ask(installed, child, "correction"), installed.clock.now
    with installed.hub.database.reading() as session:
        (found,) = privacy.open_requests(session, installed.hub, whole(installed))
    assert found.due_at - now == timedelta(hours=72)
    assert (found.is_overdue(now + timedelta(hours=72)), found.hours_left(now)) == (False, 72)
    assert found.is_overdue(now + timedelta(hours=72, seconds=1))
    assert (found.by, found.words) == (MOTHER["by"], MOTHER["words"])
    assert answer(installed, request, "data-right") == "refused"
    with pytest.raises(Problem) as again:
        answer(installed, request)
    assert again.value.body()["code"] == "request-answered"
    assert installed.actions(f"post/{installed.posts[0]}")[-2:] == ["rights.requested", "rights.answered"]


def test_a_wrong_request_is_refused_with_every_reason(installed: District, child: str) -> None:
    hub, now = installed.hub, installed.clock.now
    with pytest.raises(Problem) as refused:
        do(
            installed,
            lambda s: privacy.receive(s, hub, whole(installed), child, {"kind": "x"}, author=ONE, now=now),
        )
    assert [reason["path"] for reason in refused.value.details["reasons"]] == ["kind", "relation", "by"]


# -- seeing ---------------------------------------------------------------------------------------


def test_access_gives_everything_and_who_read_it(installed: District, child: str) -> None:
    ask(installed, child, "access")
    with installed.hub.database.reading() as session:
        report = privacy.gather(session, installed.hub, whole(installed), child, installed.clock.now)
    told = orjson.dumps(report.wire()).decode()
    missing = [
        PLANTED[name]
        for name in ("name", "mother", "phone", "address", "nik", "note", "consent")
        if PLANTED[name] not in told
    ]
    assert missing == []
    assert {entry["action"] for entry in report.readers} >= {"rights.requested"}
    for language in ("id", "en"):
        assert privacy.as_pdf(report, installed.hub, "Petugas Contoh", language).startswith(b"%PDF-")


# -- restricting ----------------------------------------------------------------------------------


def test_restricted_child_is_nowhere_but_under_rights_and_comes_back(
    installed: District, tablet: FakeTablet, child: str
) -> None:
    other = tablet.register_child(identity=identity(name="Anak Lain"))
    tablet.sync_until_quiet()
    before = installed.stored()
    assert answer(installed, ask(installed, child, "restriction")) == "done"
    tablet.sync_until_quiet()
    assert {ref[1] for ref in tablet.shown() if ref[0] == "child"} == {other}
    assert all(child not in (state.key.get("child"), ref[1]) for ref, state in tablet.replica.base.items())
    assert not seen(installed, child)
    with installed.hub.database.reading() as session:
        today = installed.hub.settings.today(installed.clock.now)
        found = search.search(session, installed.hub, whole(installed), PLANTED["name"], today=today)
        assert [hit.child_id for hit in found.found if hit.child_id == child] == []
        privacy.gather(session, installed.hub, whole(installed), child, installed.clock.now)
    tablet.measure(child, "2026-03-04", weight_g=9100)
    tablet.sync()
    assert tablet.reasons(len(tablet.replica.log)) == ["child-restricted"]
    sheet = xlsx([sheet_row(NIK=PLANTED["nik"], Nama=PLANTED["name"], Tgl_Lahir="2025-01-10")])
    ((_, account),) = taken(installed, sheet)[1].items()
    assert (account["outcome"], account["refusals"][0]["rule"]) == ("refused", "child-restricted")
    assert answer(installed, ask(installed, child, "lifting")) == "done"
    tablet.sync_until_quiet()
    assert seen(installed, child)
    assert len(installed.stored()) == len(before)
    installed.check_agreement(tablet)


# -- erasing --------------------------------------------------------------------------------------


def test_erasing_takes_two_people(installed: District, child: str) -> None:
    request = ask(installed, child, "erasure")
    with pytest.raises(Problem) as early:
        agree(installed, request)
    assert early.value.code == "erasure-not-proposed"
    answer(installed, request, author=OTHER)
    for author in (ONE, OTHER):
        with pytest.raises(Problem) as alone:
            agree(installed, request, author)
        assert alone.value.code == "second-person-needed"
    agree(installed, request, "account:tiga")
    assert not seen(installed, child)


def test_medical_record_is_kept_25_years_after_the_last_visit(
    installed: District, tablet: FakeTablet, child: str
) -> None:
    tablet.measure(child, "2026-03-04", "staff", weight_g=9100)
    tablet.sync_until_quiet()
    with pytest.raises(Problem) as held:
        answer(installed, ask(installed, child, "erasure"))
    assert (held.value.code, held.value.details["until"]) == ("retention-holds", "2051-03-04")


def test_nothing_of_an_erased_child_is_left_and_everything_goes_on(
    installed: District, tablet: FakeTablet, child: str
) -> None:
    """Every word, every value, in every table; and sync, pages, jobs, doctor and the log as if nothing were."""
    second = installed.tablet(1)
    taken(installed, xlsx([sheet_row(NIK=PLANTED["nik"], Nama=PLANTED["name"], Tgl_Lahir="2025-01-10")]))
    other = tablet.register_child(identity=identity(name="Anak Lain"))
    tablet.measure(other, weight_g=9000)
    installed.settle(tablet, second)
    erased(installed, child)
    mine = [*words(), *(text.encode() for text in (MOTHER["by"], MOTHER["contact"]))]
    assert [
        p for p, value in everything(installed.hub.database.engine) for word in mine if word in value
    ] == []
    (row,) = installed.rows(
        select(Child.wrapped_key, Child.state, Child.sex, Child.born_on).where(Child.id == child)
    )
    assert tuple(row) == (None, None, None, None)
    for model in (FollowUp, Assessment, Flag, Attention, NikIndex):
        assert installed.rows(select(model.child_id).where(model.child_id == child)) == []
    tablet.sync_until_quiet()
    second.sync_until_quiet()
    assert {ref[1] for ref in tablet.shown() if ref[0] == "child"} == {other}
    assert any(child in answered["pull"].get("erased", ()) for answered in tablet.answers)
    tablet.measure(child, "2026-03-04", weight_g=9100, note="Rahasia lagi")
    tablet.edit_child(child, identity=identity(name="Putri Rahasia Contoh"))
    tablet.measure(other, "2026-03-04", weight_g=9100)
    tablet.sync()
    assert tablet.outcomes()[-3:] == ["quarantined", "quarantined", "applied"]
    assert [
        p for p, value in everything(installed.hub.database.engine) for word in mine if word in value
    ] == []
    fresh = installed.tablet()
    fresh.sync_until_quiet()
    assert {ref[1] for ref in fresh.shown() if ref[0] == "child"} == {other}
    assert installed.broken_log() == []
    assert ailments(installed) == []


def test_nothing_of_an_erased_child_stays_on_a_tablet_but_what_its_chain_needs(
    installed: District, tablet: FakeTablet, child: str
) -> None:
    """Not of what was sent, nor of what is written before the tablet hears of it; and the tablet goes on as before."""
    mine = [word.decode() for word in words()]
    other = tablet.register_child(identity=identity(name="Anak Lain"))
    tablet.sync_until_quiet()
    backup, hashes = installed.back_up(), [logged.change.hash for logged in tablet.replica.log]
    erased(installed, child)
    tablet.edit_child(child, identity=identity(name=PLANTED["name"]))
    assert any(word in repr(tablet.replica) for word in mine)
    tablet.sync_until_quiet()
    assert [word for word in mine if word in repr(tablet.replica)] == []
    assert "Anak Lain" in repr(tablet.replica)
    assert [logged.change.hash for logged in tablet.replica.log][: len(hashes)] == hashes
    assert tablet.outcomes()[-1] == "quarantined"
    assert tablet.replica.in_question() == []
    assert {ref[1] for ref in tablet.shown() if ref[0] == "child"} == {other}
    tablet.measure(other, weight_g=9000)
    tablet.sync_until_quiet()
    assert tablet.outcomes()[-1] == "applied"
    installed.restore(backup)  # which wants what the tablet has no more
    tablet.sync_until_quiet()
    assert [word for word in mine if word in repr([e.change for e in tablet.replica.log])] == []
    installed.settle(tablet)
    assert tablet.state(other, "2026-03-05").registers


def test_change_of_an_erased_child_that_is_wrong_otherwise_leaves_nothing_on_the_tablet(
    installed: District, tablet: FakeTablet, child: str
) -> None:
    tablet.sync_until_quiet()
    erased(installed, child)
    tablet.measure(child, "2027-01-05", weight_g=9100, note="Rahasia lagi")  # a day that has not come
    tablet.sync_until_quiet()
    assert tablet.outcomes()[-1] == "quarantined"
    assert "Rahasia lagi" not in repr(tablet.replica)
    assert tablet.replica.in_question() == []


# -- commands -------------------------------------------------------------------------------------


def run(district: District, *arguments: str) -> Result:
    """Run a command as an operator does."""
    return CliRunner().invoke(main, [*arguments], env=environment(district.hub.settings))


def test_restore_erases_again_and_a_list_does_so_for_another_database(
    installed: District, tablet: FakeTablet, child: str, tmp_path: Path
) -> None:
    installed.hub.database.dispose()
    installed.hub = AppContext.open(replace(installed.hub.settings, data_dir=tmp_path / "data"))
    installed.hub.settings.data_dir.mkdir()
    file, listed = tmp_path / "a.backup", tmp_path / "a.withdrawals"
    assert run(installed, "backup", str(file)).exit_code == 0
    snapshot = installed.back_up()
    erased(installed, child)
    withdrawals.keep(installed.hub, installed.clock.now, whole=True)
    list_in(tmp_path / "data", DISTRICT).rename(listed)
    installed.hub.database.dispose()
    told = run(installed, "restore", str(file), "--yes")
    assert (told.exit_code, "1 anak dihapus lagi" in told.stderr) == (0, True), told.stderr
    assert not seen(installed, child)
    again = run(installed, "restore", "--already", "--withdrawals", str(listed))
    assert (again.exit_code, "anak dihapus lagi" in again.stderr) == (0, False)
    installed.hub.database.dispose()
    installed.databases.replace(installed.hub.settings.database_url, snapshot)
    list_in(tmp_path / "data", DISTRICT).unlink()
    assert seen(installed, child)
    again = run(installed, "restore", "--already", "--withdrawals", str(listed))
    assert (again.exit_code, "1 anak dihapus lagi" in again.stderr) == (0, True), again.stderr
    assert not seen(installed, child)
    assert installed.broken_log() == []


def test_commands_list_what_is_due_and_whose_data_was_on_a_tablet(
    on_sqlite: District, tmp_path: Path
) -> None:
    tablet = on_sqlite.tablet()
    child = tablet.register_child(identity=identity(name="Anak Perintah Contoh"))
    tablet.sync_until_quiet()
    ask(on_sqlite, child, "access")  # in March 2026: long ago by the clock of the command
    told = run(on_sqlite, "rights", "list")
    assert (told.exit_code, "TERLAMBAT" in told.stdout, child in told.stdout) == (1, True, True)
    copy = tmp_path / "salinan.json"
    assert run(on_sqlite, "rights", "export", child, "--reason", "permintaan", "-o", str(copy)).exit_code == 0
    assert orjson.loads(copy.read_bytes())["child"]["name"] == "Anak Perintah Contoh"
    lost = run(on_sqlite, "tablet", "whose-data", tablet.id, "--reason", "hilang")
    assert "Anak Perintah Contoh" in lost.stdout
    assert on_sqlite.actions(f"post/{on_sqlite.posts[0]}")[-2:] == [
        "rights.access-given",
        "tablet.exposure-exported",
    ]


# -- rows of imported files -----------------------------------------------------------------------


def kept_rows(district: District) -> bytes:
    """Give what is kept of imported files: the rows of chunks and of questions, decrypted."""
    hub, chunk, case = district.hub, table(ImportChunk).c, table(ImportCase).c
    found = [
        zlib.decompress(
            hub.vault.unseal_for_district(row.sealed, import_store.chunk_purpose(hub, row.run_id, row.number))
        )
        for row in district.rows(select(chunk.run_id, chunk.number, chunk.sealed))
    ]
    found += [
        hub.vault.unseal_for_district(row.sealed, import_store.case_purpose(hub, row.id))
        for row in district.rows(select(case.id, case.sealed))
    ]
    return b"".join(found)


@pytest.mark.parametrize("decision", ["child", "new", None])
def test_erasing_forgets_rows_about_which_a_person_was_asked(
    installed: District, decision: str | None
) -> None:
    """The outcome of such a row names no child, and if the answer was "new" its question named none either."""
    tablet = installed.tablet()
    known = tablet.register_child(identity=identity(name="Anak Contoh Satu"))
    tablet.sync_until_quiet()
    asked = sheet_row(NIK="", Nama_Ortu="Baris Rahasia")
    other = sheet_row(NIK="6402061001259999", Nama="Budi Lain", Nama_Ortu="Baris Orang Lain")
    for file in ([asked, other], [other, asked]):  # two files have the row, and one question is asked
        assert taken(installed, xlsx(file))[0].counts["ask"] == 1
    (case,) = waiting(installed)
    mine = known
    if decision:
        before = children(installed)
        answer_row(installed, case, decision, known if decision == "child" else None)
        mine = next(iter(children(installed).keys() - before.keys()), known)
    assert (mine == known) == (decision != "new")
    assert kept_rows(installed).count(b"Baris Rahasia") == 3
    erased(installed, mine)
    assert b"Baris Rahasia" not in kept_rows(installed)
    assert kept_rows(installed).count(b"Baris Orang Lain") == 2
