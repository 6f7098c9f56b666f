"""What was withdrawn after a backup stays withdrawn when the backup is restored."""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from schemas import parse_enrolment
from server import accounts, audit
from server.accounts import people
from server.app import create_app
from server.backup import BackupRefused, Restored, backup, mark_restored, restore, vault_of, withdrawals
from server.backup.refusals import Progress
from server.backup.withdrawals import (
    DISABLED,
    ENABLED,
    ERASED,
    LIFTED,
    RESTRICTED,
    REVOKED,
    Decision,
    Withdrawals,
    list_in,
    read_list,
)
from server.cli import main
from server.config import Settings
from server.context import AppContext
from server.crypto.vault import SigningKey
from server.database.models import AuditEntry, RecoveryCode, Tablet
from server.errors import Problem
from server.operations import scheduler
from server.operations.doctor import examine
from server.operations.trial_restore import prove
from tests.faults._running import environment
from tests.server._district import DISTRICT, District
from tests.server.backup._files import unsealed
from tests.server.privacy._requests import answer, ask, erased, seen

PASSWORD, NEWER = "katasandi-lama-sekali", "katasandi-baru-sekali"


def silent(_what: str, _done: int, _total: int) -> None:
    """Tell nobody how far it has come."""


def back_up(place: District, file: Path) -> None:
    backup(place.hub, file, force=False, now=place.clock.now, progress=silent)


def put_back(place: District, file: Path, *, progress: Progress = silent, **how: Any) -> Restored:
    """Restore to where the district is now."""
    settings, now = place.hub.settings, place.clock.now
    return restore(settings, file, plain=False, now=now, agreed=lambda _: True, progress=progress, **how)


def listed(settings: Settings) -> Withdrawals:
    vault = vault_of(settings)
    assert vault is not None
    return read_list(list_in(settings.data_dir, DISTRICT), settings.key_file, vault)


def found(settings: Settings) -> list[str]:
    """Give what doctor finds wrong with the list."""
    checks = examine(settings, now=datetime.now(UTC), quick=False, progress=silent)
    return [what for check in checks if check.name == "withdrawals" for what in check.found]


def decided(place: District, work: Callable[..., Any], *given: Any, **also: Any) -> Any:
    with place.hub.database.transaction() as session:
        return work(session, place.hub, *given, now=place.clock.now, **also)


def enabled(place: District, name: str) -> None:
    with place.hub.database.transaction() as session:
        account = people.account_named(session, place.hub, name)
        people.enable(session, place.hub, account, actor="operator", now=place.clock.now)


class Story:
    """A district that is backed up, and then withdraws one thing of each kind."""

    def __init__(self, place: District, file: Path) -> None:
        self.place, self.file = place, file
        self.tablet, self.other = place.tablet(), place.tablet()
        self.restricted, self.lifted, self.erased = (self.tablet.register_child() for _ in range(3))
        self.tablet.sync_until_quiet()
        answer(place, ask(place, self.lifted, "restriction"))
        self.left, self.enabled, self.changed = (self.add(name) for name in ("pergi", "kembali", "ganti"))
        decided(place, people.disable_account, "kembali", actor="operator")
        self.code = decided(place, accounts.make_enrolment_code, place.posts[0], "Baru", actor="operator")
        self.invitation = self.invite("ganti")
        back_up(place, file)
        place.clock.advance(hours=1)

    def add(self, name: str) -> str:
        chosen = accounts.new_password(PASSWORD, name)
        given = (name, name.title(), "staff", "district", DISTRICT, chosen)
        id_: str = decided(self.place, people.add_account, *given, actor="operator")
        return id_

    def invite(self, name: str) -> str:
        hub, now = self.place.hub, self.place.clock.now
        with hub.database.transaction() as session:
            account = people.account_named(session, hub, name)
            return people.make_invitation(session, hub, account, actor="operator", now=now)

    def withdraw(self) -> None:
        place = self.place
        place.revoke(self.tablet)
        decided(place, people.disable_account, "pergi", actor="operator")
        enabled(place, "kembali")
        newer = accounts.new_password(NEWER, "ganti")
        with place.hub.database.transaction() as session:
            people.take_up(session, place.hub, self.invitation, newer, place.clock.now)
        answer(place, ask(place, self.restricted, "restriction"))
        answer(place, ask(place, self.lifted, "lifting"))
        erased(place, self.erased)
        assert self.enrol() is not None
        place.clock.advance(hours=1)

    def enrol(self) -> str | None:
        """Use the code that was made before the backup, on a new device."""
        asked = {
            "code": self.code,
            "public_key": SigningKey().jwk(),
            "app": "posyandu-sync/0.1.0",
            "device": "uji",
        }
        with self.place.hub.database.transaction() as session:
            try:
                return accounts.enrol(
                    session, self.place.hub, parse_enrolment(asked), self.place.clock.now
                ).id
            except Problem as problem:
                assert problem.code == "enrolment-code-invalid"  # noqa: PT017 - a value is wanted
                return None

    def signs_in(self, name: str, password: str = PASSWORD) -> bool:
        return accounts.sign_in(self.place.hub, name, password, self.place.clock.now) is not None

    def state(self) -> dict[str, Any]:
        """Give what of all that holds now."""
        place = self.place
        with place.hub.database.reading() as session:
            standing = accounts.standing(session, place.hub, self.tablet.id)
        return {
            "tablet": standing,
            "signs in": [name for name in ("pergi", "kembali", "ganti") if self.signs_in(name)],
            "seen": [name for name in ("restricted", "lifted", "erased") if seen(place, getattr(self, name))],
            "code": self.enrol() is not None,
        }


WITHDRAWN = {"tablet": "revoked", "signs in": ["kembali"], "seen": ["lifted"], "code": False}


@pytest.fixture
def story(place: District, tmp_path: Path) -> Story:
    return Story(place, tmp_path / "old.backup")


def moved_to(place: District, settings: Settings) -> None:
    """Let the district go on in another database."""
    place.hub.database.dispose()
    place.hub = AppContext.open(settings)


def test_what_was_withdrawn_after_a_backup_stays_so_when_it_is_restored(
    place: District, story: Story
) -> None:
    story.withdraw()
    assert story.state() == WITHDRAWN
    done = put_back(place, story.file)
    assert story.state() == WITHDRAWN
    again = {REVOKED: 1, "account.disabled": 1, "account.enabled": 1, "account.secrets": 1}
    assert done.again.withdrawn == {**again, RESTRICTED: 1, LIFTED: 1, ERASED: 1}
    assert (done.again.codes, done.again.invitations) == (1, 1)
    chosen = accounts.new_password(PASSWORD, "baru")
    with pytest.raises(Problem), place.hub.database.transaction() as session:
        people.take_up(session, place.hub, story.invitation, chosen, place.clock.now)
    assert (place.broken_log(), found(place.hub.settings)) == ([], [])


def test_revoked_tablet_pulls_nothing_after_a_restore(place: District, tmp_path: Path) -> None:
    """The finding: it was active again, and pulled the post's children."""
    writer, thief = place.tablet(), place.tablet()
    children = [writer.register_child() for _ in range(3)]
    writer.sync_until_quiet()
    back_up(place, tmp_path / "old.backup")
    place.revoke(thief)
    put_back(place, tmp_path / "old.backup")
    thief.sync()
    assert not {("child", child) for child in children} & thief.shown().keys()


def test_decision_counts_that_is_made_while_the_restore_prepares(on_sqlite: District, tmp_path: Path) -> None:
    """The log is read once writers wait."""
    moved_to(on_sqlite, replace(on_sqlite.hub.settings, data_dir=tmp_path / "data"))
    thief = on_sqlite.tablet()
    back_up(on_sqlite, tmp_path / "old.backup")

    def while_unpacking(what: str, _done: int, _total: int) -> None:
        if what == "unpacking":
            on_sqlite.revoke(thief)

    done = put_back(on_sqlite, tmp_path / "old.backup", progress=while_unpacking)
    assert done.again.withdrawn == {REVOKED: 1}


def test_list_alone_is_enough_when_the_database_is_lost(
    place: District, somewhere_else: Settings, story: Story, tmp_path: Path
) -> None:
    """As it lies beside the nightly backups, on another disk than the database."""
    (tmp_path / "nightly").mkdir()
    moved_to(place, replace(place.hub.settings, backup_dir=tmp_path / "nightly"))
    withdrawals.follow(place.hub)
    story.withdraw()
    scheduler.run_job(place.hub, "withdrawals", place.clock.now)
    moved_to(place, replace(somewhere_else, backup_dir=tmp_path / "nightly"))
    done = put_back(place, story.file)
    assert story.state() == WITHDRAWN
    assert sum(done.again.withdrawn.values()) == 7
    assert found(place.hub.settings) == []


def test_list_is_taken_from_the_file_that_is_given(
    place: District, somewhere_else: Settings, story: Story, tmp_path: Path
) -> None:
    story.withdraw()
    withdrawals.keep(place.hub, place.clock.now)
    stick = list_in(place.hub.settings.data_dir, DISTRICT).rename(tmp_path / "stick")
    moved_to(place, somewhere_else)
    put_back(place, story.file, given=stick)
    assert story.state() == WITHDRAWN


def test_restore_is_refused_when_nothing_tells_what_was_withdrawn(
    place: District, somewhere_else: Settings, story: Story, tmp_path: Path
) -> None:
    alone = tmp_path / "alone" / "old.backup"
    alone.parent.mkdir()
    story.file.rename(alone)
    moved_to(place, somewhere_else)
    with pytest.raises(BackupRefused, match="--without-withdrawals"):
        put_back(place, alone)
    assert put_back(place, alone, without_list=True).again.until is None


def test_list_of_another_installation_does_not_count(
    place: District, somewhere_else: Settings, story: Story, tmp_path: Path
) -> None:
    """Not that of a new and empty one either, in which the server was started before the restore."""
    alone = tmp_path / "alone" / "old.backup"
    alone.parent.mkdir()
    story.file.rename(alone)
    withdrawals.write_list(
        Withdrawals(incarnations=frozenset([place.new_id()])),
        list_in(alone.parent, DISTRICT),
        place.hub.settings,
        place.hub.vault,
        place.clock.now,
    )
    moved_to(place, somewhere_else)
    with pytest.raises(BackupRefused, match="no list tells"):
        put_back(place, alone)


@pytest.mark.parametrize("how", ["forged", "cut", "altered", "sealed as a backup"])
def test_list_that_cannot_be_trusted_is_refused_and_told(
    place: District, story: Story, tmp_path: Path, how: str
) -> None:
    story.withdraw()
    settings = place.hub.settings
    withdrawals.keep(place.hub, place.clock.now)
    file = list_in(settings.data_dir, DISTRICT)
    whole = file.read_bytes()
    if how == "forged":  # by somebody with keys of their own
        other = replace(settings, key_file=tmp_path / "other.json")
        hub = AppContext.open(other, create_keys=True)
        withdrawals.write_list(Withdrawals(), file, other, hub.vault, place.clock.now)
        hub.database.dispose()
    elif how == "sealed as a backup":
        file.write_bytes(story.file.read_bytes())
    else:
        file.write_bytes(whole[:-1] if how == "cut" else whole[:-1] + bytes([whole[-1] ^ 1]))
    left = file.read_bytes()
    with pytest.raises(BackupRefused, match="is damaged, was altered"):
        put_back(place, story.file)
    assert story.state() == WITHDRAWN
    assert "is damaged, was altered" in found(settings)[0]
    assert scheduler.run_job(place.hub, "withdrawals", place.clock.now) == {}
    assert file.read_bytes() == left
    put_back(place, story.file, without_list=True)  # by the log of what is replaced
    assert story.state() == WITHDRAWN


def test_list_names_nobody_and_is_sealed(place: District, story: Story) -> None:
    story.withdraw()
    kept = withdrawals.keep(place.hub, place.clock.now)
    file = list_in(place.hub.settings.data_dir, DISTRICT)
    line, chunks = file.read_bytes().split(b"\n", 1)
    assert json.loads(line)["kind"] == "posyandu-sync.withdrawals"
    assert story.tablet.id.encode() not in chunks
    assert file.stat().st_mode & 0o777 == 0o600
    assert listed(place.hub.settings).decisions == kept.decisions
    assert {len(one.subject) for one in kept.decisions.values()} == {36}


def test_child_who_comes_back_through_a_tablet_is_erased_again(place: District, tmp_path: Path) -> None:
    """Registered after the backup, so that the restored database has nothing to erase yet."""
    tablet, offline = place.tablet(), place.tablet()
    back_up(place, tmp_path / "old.backup")
    gone, held = tablet.register_child(), tablet.register_child()
    tablet.sync_until_quiet()
    erased(place, gone)
    answer(place, ask(place, held, "restriction"))
    done = put_back(place, tmp_path / "old.backup")
    assert done.again.withdrawn == {}
    tablet.sync_until_quiet()  # it had not heard of the erasure, and sends the child again
    assert seen(place, gone)
    assert [what.split(" ")[1] for what in sorted(found(place.hub.settings))] == [ERASED, RESTRICTED]
    assert scheduler.run_job(place.hub, "withdrawals", place.clock.now)[ERASED] == 1
    assert [seen(place, gone), seen(place, held)] == [False, False]
    assert found(place.hub.settings) == []
    offline.sync_until_quiet()
    assert not {ref[1] for ref in offline.shown()} & {gone, held}
    assert place.broken_log() == []


def test_database_that_went_back_by_other_means_is_told_and_mended(place: District, story: Story) -> None:
    snapshot = place.back_up()
    story.withdraw()
    withdrawals.keep(place.hub, place.clock.now)
    place.hub.database.dispose()
    place.databases.replace(place.hub.settings.database_url, snapshot)
    told = " ".join(found(place.hub.settings))
    for kind in (REVOKED, "account.disabled", "account.secrets", RESTRICTED, LIFTED, ERASED):
        assert kind in told
    _, again = mark_restored(place.hub.settings, now=place.clock.now)
    assert sum(again.withdrawn.values()) == 7
    assert story.state() == WITHDRAWN
    assert found(place.hub.settings) == []


def test_decision_made_again_later_counts_when_an_older_list_is_read(place: District, story: Story) -> None:
    """Of two decisions the later one: who was let in again stays in."""
    story.withdraw()
    withdrawals.keep(place.hub, place.clock.now)
    with place.hub.database.transaction() as session:
        account = people.account_named(session, place.hub, "pergi")
        people.enable(session, place.hub, account, actor="operator", now=place.clock.now)
    answer(place, ask(place, story.restricted, "lifting"))
    back_up(place, story.file.with_name("new.backup"))
    put_back(place, story.file.with_name("new.backup"))
    assert story.signs_in("pergi")
    assert seen(place, story.restricted)


def test_recovery_codes_that_were_replaced_do_not_come_back(place: District, story: Story) -> None:
    with place.hub.database.transaction() as session:
        session.add(RecoveryCode(district=DISTRICT, account_id=story.left, code_digest="curian"))
        _note(session, place, "second-factor.codes-made", story.left)
    place.clock.advance(hours=1)
    back_up(place, story.file.with_name("codes.backup"))
    with place.hub.database.transaction() as session:
        _note(session, place, "second-factor.codes-made", story.left)
    put_back(place, story.file.with_name("codes.backup"))
    assert place.rows(select(RecoveryCode.code_digest)) == []
    assert story.signs_in("pergi")


def _note(session: Any, place: District, action: str, account: str) -> None:
    audit.append(
        session,
        DISTRICT,
        audit.OFFICE,
        action,
        actor=f"account:{account}",
        now=place.clock.now,
        details={"account": account},
    )


def test_closed_enrolment_stays_closed(place: District, tmp_path: Path) -> None:
    tablet = place.tablet()
    tablet.register_child()
    tablet.sync_until_quiet()
    back_up(place, tmp_path / "old.backup")
    copy = tablet.clone()
    copy.register_child()
    copy.sync()  # so there is a reason to enrol again
    tablet.enrol_anew()
    put_back(place, tmp_path / "old.backup")
    assert [row.closed_at is not None for row in place.rows(select(Tablet.closed_at))] == [True]
    assert found(place.hub.settings) == []


# -- keeping it -----------------------------------------------------------------------------------


def test_decision_is_in_the_list_as_soon_as_it_is_committed(place: District) -> None:
    """By the web application, and by a command."""
    first, second = place.tablet(), place.tablet()
    create_app(place.hub.settings, place.hub)
    place.revoke(first)
    assert {one.subject for one in listed(place.hub.settings).decisions.values()} == {first.id}
    assert run(place.hub.settings, "tablet", "revoke", second.id).exit_code == 0
    assert {one.subject for one in listed(place.hub.settings).decisions.values()} == {first.id, second.id}


def _revoke_and_die(settings: Settings, tablet: str) -> None:
    """Die after the commit, before the list is written."""
    hub = AppContext.open(settings)
    hub.database.after_commit = lambda _logged: os.kill(os.getpid(), signal.SIGKILL)
    with hub.database.transaction() as session:
        accounts.revoke_tablet(session, hub, tablet, actor="operator", now=datetime.now(UTC))


@pytest.mark.parametrize("by", ["job", "backup", "restore"])
def test_decision_is_found_in_the_log_when_the_process_died_before_it_was_listed(
    place: District, tmp_path: Path, by: str
) -> None:
    tablet = place.tablet()
    back_up(place, tmp_path / "old.backup")
    killed = get_context("spawn").Process(target=_revoke_and_die, args=(place.hub.settings, tablet.id))
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    assert listed(place.hub.settings).decisions == {}
    if by == "job":
        assert scheduler.run_job(place.hub, "withdrawals", place.clock.now) == {"listed": 1}
    elif by == "backup":
        back_up(place, tmp_path / "new.backup")
    else:
        put_back(place, tmp_path / "old.backup")
    assert [one.kind for one in listed(place.hub.settings).decisions.values()] == [REVOKED]


def test_doctor_tells_of_a_list_that_is_missing_or_behind(place: District, tmp_path: Path) -> None:
    (tmp_path / "nightly").mkdir()
    settings = replace(place.hub.settings, backup_dir=tmp_path / "nightly")
    place.revoke(place.tablet())
    assert [what.endswith(": none") for what in found(settings)] == [True, True]
    withdrawals.keep(place.hub, place.clock.now)
    assert len(found(settings)) == 1
    place.revoke(place.tablet())
    assert found(settings)[0].endswith("1 decisions missing")
    moved_to(place, settings)
    scheduler.run_job(place.hub, "withdrawals", place.clock.now)
    assert found(settings) == []


def test_list_is_written_again_only_when_there_is_something_new(place: District) -> None:
    file = list_in(place.hub.settings.data_dir, DISTRICT)
    place.revoke(place.tablet())
    withdrawals.keep(place.hub, place.clock.now)
    before = file.read_bytes()
    withdrawals.keep(place.hub, place.clock.now)
    assert file.read_bytes() == before
    place.revoke(place.tablet())
    withdrawals.keep(place.hub, place.clock.now)
    assert file.read_bytes() != before


def test_list_is_taken_along_until_the_key_file_is_there(
    place: District, somewhere_else: Settings, story: Story, tmp_path: Path
) -> None:
    """A backup of an older release, not sealed, is restored before its keys are in their place."""
    story.withdraw()
    withdrawals.keep(place.hub, place.clock.now, beside=tmp_path)
    plain = tmp_path / "old.zip"
    plain.write_bytes(unsealed(place.hub.settings, story.file))
    keyless = replace(somewhere_else, key_file=tmp_path / "later.json")
    done = restore(keyless, plain, plain=True, now=place.clock.now, agreed=lambda _: True, progress=silent)
    assert (done.keys_missing, done.again.withdrawn) == (True, {})
    keyless.key_file.write_bytes(place.hub.settings.key_file.read_bytes())
    moved_to(place, keyless)
    mark_restored(keyless, now=place.clock.now)
    assert story.state() == WITHDRAWN


# -- trials and commands --------------------------------------------------------------------------


def test_trial_restore_makes_it_again_and_counts_as_the_backup_does(place: District, story: Story) -> None:
    story.withdraw()
    withdrawals.keep(place.hub, place.clock.now)
    proof = prove(
        place.hub.settings, story.file, plain=False, actor="operator", now=datetime.now(UTC), progress=silent
    )
    assert ([check for check in proof.checks if not check.is_ok], proof.miscounted) == ([], ())
    file = list_in(place.hub.settings.data_dir, DISTRICT)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(BackupRefused, match="is damaged, was altered"):
        prove(
            place.hub.settings,
            story.file,
            plain=False,
            actor="operator",
            now=datetime.now(UTC),
            progress=silent,
        )


def run(settings: Settings, *arguments: str) -> Result:
    """Call a command as an operator does."""
    env: dict[str, str | None] = dict.fromkeys(os.environ)
    return CliRunner().invoke(main, list(arguments), env={**env, **environment(settings)})


def test_operator_is_told_what_was_withdrawn_again_and_up_to_when(place: District, story: Story) -> None:
    story.withdraw()
    told = run(place.hub.settings, "restore", str(story.file), "--yes")
    assert told.exit_code == 0, told.stderr
    for line in (
        "1 tablet dicabut lagi / 1 tablets revoked again",
        "1 akun dinonaktifkan lagi / 1 accounts disabled again",
        "1 anak dibatasi lagi / 1 children restricted again",
        "1 anak dihapus lagi / 1 children erased again",
        "what was withdrawn is known up to 2026-03-05T03:00:00+00:00",
    ):
        assert line in told.stderr
    logged = place.rows(select(AuditEntry.details).where(AuditEntry.action == "database.restored"))
    assert json.loads(logged[-1].details)["again"][REVOKED] == 1
    assert place.broken_log() == []


def test_operator_chooses_to_go_on_without_a_list(
    place: District, somewhere_else: Settings, story: Story, tmp_path: Path
) -> None:
    alone = tmp_path / "alone" / "old.backup"
    alone.parent.mkdir()
    story.file.rename(alone)
    refused = run(somewhere_else, "restore", str(alone))
    assert (refused.exit_code, "--without-withdrawals" in refused.stderr) == (2, True)
    told = run(somewhere_else, "restore", str(alone), "--without-withdrawals")
    assert (told.exit_code, "nothing tells what was withdrawn" in told.stderr) == (0, True)


# -- where a copy lies, and who else can write there ------------------------------------------------


@pytest.fixture
def nightly(place: District, tmp_path: Path) -> Path:
    """Give a directory of nightly backups, with the lists of a place that has it."""
    directory = tmp_path / "nightly"
    directory.mkdir()
    moved_to(place, replace(place.hub.settings, backup_dir=directory))
    return directory


def test_copy_that_knows_more_is_joined_and_not_replaced(place: District, nightly: Path) -> None:
    """A database and its list are begun anew while the disk with the backups of the lost one is not there."""
    settings, now = place.hub.settings, place.clock.now
    lost = Decision(DISTRICT, REVOKED, place.new_id(), now)
    kept = Withdrawals(withdrawals.latest([lost]), frozenset([place.new_id()]), {DISTRICT: now})
    withdrawals.keep(place.hub, now)
    withdrawals.write_list(kept, list_in(nightly, DISTRICT), settings, place.hub.vault, now)
    withdrawals.keep(place.hub, now)
    for directory in (settings.data_dir, nightly):
        held = read_list(list_in(directory, DISTRICT), settings.key_file, place.hub.vault)
        assert kept.decisions.items() <= held.decisions.items()
        assert kept.incarnations < held.incarnations


def test_list_of_other_keys_beside_the_backups_is_left_alone(
    place: District, nightly: Path, tmp_path: Path
) -> None:
    other = replace(place.hub.settings, key_file=tmp_path / "other.json")
    hub = AppContext.open(other, create_keys=True)
    place.revoke(place.tablet())
    withdrawals.keep(place.hub, place.clock.now)
    file = list_in(nightly, DISTRICT)
    withdrawals.write_list(Withdrawals(), file, other, hub.vault, place.clock.now)
    hub.database.dispose()
    before = file.read_bytes()
    place.revoke(place.tablet())
    withdrawals.keep(place.hub, place.clock.now)
    assert file.read_bytes() == before
    assert len(listed(place.hub.settings).decisions) == 2
    assert str(file) in found(place.hub.settings)[0]


def test_damaged_copy_is_made_again(place: District, nightly: Path) -> None:
    place.revoke(place.tablet())
    withdrawals.keep(place.hub, place.clock.now)
    file = list_in(nightly, DISTRICT)
    whole = file.read_bytes()
    for damaged in (whole[:-1], b"", b"[" * 4000, b"\0" * 100):
        file.write_bytes(damaged)
        withdrawals.keep(place.hub, place.clock.now)
        assert file.read_bytes() == whole


def test_copy_that_cannot_be_written_keeps_nothing_else_from_being_done(
    place: District, nightly: Path, tmp_path: Path
) -> None:
    beside = tmp_path / "beside"
    beside.mkdir()
    Path(
        f"{list_in(nightly, DISTRICT)}.part"
    ).mkdir()  # cannot be opened to write, as on a disk that is read-only
    place.revoke(place.tablet())
    withdrawals.keep(place.hub, place.clock.now, beside=beside)
    assert (
        list_in(beside, DISTRICT).read_bytes() == list_in(place.hub.settings.data_dir, DISTRICT).read_bytes()
    )
    assert scheduler.run_job(place.hub, "withdrawals", place.clock.now) == {"listed": 1}


def test_link_in_place_of_a_file_that_is_written_is_not_followed(place: District, nightly: Path) -> None:
    precious = nightly.parent / "precious"
    precious.write_text("not ours to replace")
    file = list_in(nightly, DISTRICT)
    Path(f"{file}.part").symlink_to(precious)
    place.revoke(place.tablet())
    withdrawals.keep(place.hub, place.clock.now)
    assert precious.read_text() == "not ours to replace"
    Path(f"{file}.part").unlink()
    file.unlink(missing_ok=True)
    file.symlink_to(precious)
    withdrawals.keep(place.hub, place.clock.now)
    assert precious.read_text() == "not ours to replace"
    assert not file.is_symlink()


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 4000,
        b"{}",
        b"1",
        b'{"kind": "posyandu-sync.withdrawals", "v": 1, "key": "", "key_version": Infinity}',
    ],
)
def test_list_with_a_strange_first_line_is_refused(place: District, tmp_path: Path, line: bytes) -> None:
    file = tmp_path / "strange"
    file.write_bytes(line + b"\n")
    with pytest.raises(BackupRefused, match="is damaged, was altered"):
        read_list(file, place.hub.settings.key_file, place.hub.vault)


# -- a clock that was wrong --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "ahead_hours"), [("commit", 0), ("commit", 9000), ("job", 9000), ("backup", 0), ("backup", 9000)]
)
def test_later_entry_of_the_log_counts_when_the_clock_went_back(
    place: District, story: Story, tmp_path: Path, by: str, ahead_hours: int
) -> None:
    """An account enabled, and then disabled at an earlier moment, is disabled: the log knows the order."""
    right = place.clock.now
    place.clock.advance(hours=ahead_hours)
    enabled(place, "kembali")
    decided(place, people.disable_account, "pergi", actor="operator")
    withdrawals.keep(place.hub, place.clock.now)
    place.clock.now = right - timedelta(minutes=30)
    if by == "commit":
        withdrawals.follow(place.hub)
    decided(place, people.disable_account, "kembali", actor="operator")
    enabled(place, "pergi")
    place.clock.now = right + timedelta(hours=1)
    if by == "job":
        scheduler.run_job(place.hub, "withdrawals", place.clock.now)
    elif by == "backup":
        back_up(place, tmp_path / "new.backup")
    kinds = {one.subject: one.kind for one in listed(place.hub.settings).decisions.values()}
    assert (kinds[story.enabled], kinds[story.left]) == (DISABLED, ENABLED)
    assert found(place.hub.settings) == []
    put_back(place, story.file)
    assert story.signs_in("pergi")
    assert not story.signs_in("kembali")


def test_post_that_was_taken_from_a_tablet_is_taken_again(place: District, tmp_path: Path) -> None:
    first, second = place.posts
    third = place.add_post("Mawar 3")
    writer, midwife = place.tablet(1), place.staff_tablet(first, second, third)
    child = writer.register_child()
    writer.sync_until_quiet()
    place.give_posts(midwife, first, second)
    back_up(place, tmp_path / "old.backup")
    place.clock.advance(hours=1)
    place.give_posts(midwife, first)
    place.clock.advance(hours=1)
    place.give_posts(midwife, first, third)
    put_back(place, tmp_path / "old.backup")
    midwife.sync_until_quiet()
    assert [post["id"] for post in midwife.replica.posts] == [first, third]
    assert ("child", child) not in midwife.shown()
    assert place.actions(f"post/{second}")[-1] == "tablet.post-taken"
    assert place.broken_log() == []
