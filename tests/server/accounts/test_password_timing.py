"""Passwords are hashed before a writing transaction, never within one; and nothing is gained by trying at the same time."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any

import pytest
from sqlalchemy import select

from server import accounts, audit
from server.accounts import passwords, second_factor, sessions
from server.database.engine import Database, SlowWorkWhileWriting
from server.database.models import Account
from server.errors import Problem
from tests.server._district import DISTRICT, District
from tests.server._people import add_person

PASSWORD = "kuda-laut-hijau-tua"
OTHER = "perahu-di-teluk-biru"
WRONG = "salah-salah-salah"
AT_ONCE = 8


def add(district: District) -> str:
    who = ("petugas.contoh", "Petugas Contoh", "staff", "district", DISTRICT, PASSWORD)
    return add_person(district.hub, *who, district.clock.now)


def sign_in(
    district: District, password: str = PASSWORD, username: str = "petugas.contoh", **named: Any
) -> str | None:
    return accounts.sign_in(district.hub, username, password, district.clock.now, **named)


def change_account(district: District, **values: Any) -> None:
    with district.hub.database.transaction() as session:
        for account in session.scalars(select(Account)):
            for name, value in values.items():
                setattr(account, name, value)
        audit.append(session, DISTRICT, audit.OFFICE, "test.set", actor="operator", now=district.clock.now)


def outcomes(district: District, given: list[str], **named: Any) -> list[str]:
    """Sign in with several passwords at the same moment; give what each attempt came to, sorted."""
    together = Barrier(len(given))

    def attempt(password: str) -> str:
        together.wait()
        try:
            return "in" if sign_in(district, password, **named) else "wrong"
        except Problem as problem:
            return problem.code

    with ThreadPoolExecutor(len(given)) as pool:
        return sorted(pool.map(attempt, given))


# -- within a transaction -------------------------------------------------------------------------


@pytest.mark.every_case
@pytest.mark.parametrize(
    "work",
    [
        lambda: passwords.hash_password(PASSWORD),
        lambda: passwords.password_fits(None, PASSWORD),
        lambda: accounts.new_password(PASSWORD, "petugas.contoh"),
    ],
)
def test_password_is_not_hashed_within_a_writing_transaction(
    installed: District, work: Callable[[], object]
) -> None:
    with pytest.raises(SlowWorkWhileWriting, match="do it before"), installed.hub.database.transaction():
        work()
    with installed.hub.database.reading():
        work()
    work()


def test_transaction_of_another_thread_is_none_of_ours(on_sqlite: District) -> None:
    begun, done = Event(), Event()

    def write(database: Database) -> None:
        with database.transaction():
            begun.set()
            assert done.wait(30)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write, on_sqlite.hub.database)
        assert begun.wait(30)
        try:
            assert passwords.hash_password(PASSWORD)
        finally:
            done.set()
        writing.result()


def test_writers_do_not_wait_for_a_password(on_sqlite: District) -> None:
    """While a sign-in hashes, which is where `prepare` runs, another thread writes."""
    add(on_sqlite)
    mine = select(Account).where(Account.username == "petugas.contoh")

    def prepare(_stored: str) -> str:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(change_account, on_sqlite, display_name="Petugas Lain").result(timeout=30)
        return "prepared"

    def then(_session: Any, account: Account, prepared: str) -> tuple[str, str]:
        return account.display_name, prepared

    done = sessions.with_password(on_sqlite.hub, mine, PASSWORD, on_sqlite.clock.now, prepare, then)
    assert done == ("Petugas Lain", "prepared")


# -- at the same time -----------------------------------------------------------------------------


@pytest.mark.every_case
@pytest.mark.parametrize("username", ["petugas.contoh", "tidak.ada"])
def test_wrong_passwords_for_a_name_wait_however_many_come_at_once(
    installed: District, username: str
) -> None:
    """A name that is not here as well: else the difference would tell which are."""
    add(installed)
    free = accounts.attempt_limits.LIMITS["sign-in-as"].free
    assert free == 4
    found = outcomes(installed, [WRONG] * AT_ONCE, username=username, address="203.0.113.7")
    assert found == ["too-many-tries"] * (AT_ONCE - free - 1) + ["wrong"] * (free + 1)
    assert installed.actions(audit.OFFICE).count("sign-in.failed") == free + 1


def test_address_is_stopped_at_its_limit_however_many_try_at_once(installed: District) -> None:
    limit = accounts.attempt_limits.LIMITS["sign-in"].tries
    for _ in range(limit - 2):
        accounts.attempt_limits.note_refusal(installed.hub, "sign-in", "203.0.113.7", installed.clock.now)
    found = outcomes(installed, [WRONG] * AT_ONCE, address="203.0.113.7")
    assert found == ["too-many-tries"] * (AT_ONCE - 2) + ["wrong"] * 2


def test_second_factor_is_stopped_at_its_limit_however_many_codes_come_at_once(installed: District) -> None:
    add(installed)
    token, now = sign_in(installed), installed.clock.now
    with installed.hub.database.reading() as session:
        signed = accounts.session_of(session, installed.hub, token or "", now)
    assert signed
    together = Barrier(AT_ONCE)

    def attempt(_: int) -> str:
        together.wait()
        try:
            with installed.hub.database.transaction() as session:
                return str(second_factor.pass_second_factor(session, installed.hub, signed, "000000", now))
        except Problem as problem:
            return problem.code

    limit = accounts.attempt_limits.LIMITS["second-factor-of"].tries
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = sorted(pool.map(attempt, range(AT_ONCE)))
    assert found == ["None"] * limit + ["too-many-tries"] * (AT_ONCE - limit)


@pytest.mark.every_case
@pytest.mark.parametrize(("given", "comes_in"), [(PASSWORD, False), (OTHER, True)])
def test_password_that_was_changed_while_it_was_checked_is_checked_again(
    installed: District, given: str, comes_in: bool
) -> None:
    add(installed)
    hashes = [passwords.hash_password(OTHER)]
    stored = passwords.hash_password(given)
    change_account(installed, password_hash=stored)
    mine = select(Account).where(Account.username == "petugas.contoh")
    seen = []

    def prepare(fitting: str) -> str:
        seen.append(fitting)
        if hashes:
            change_account(installed, password_hash=hashes.pop())
        return fitting

    def then(_session: Any, account: Account, prepared: str) -> bool:
        return account.password_hash == prepared

    done = sessions.with_password(installed.hub, mine, given, installed.clock.now, prepare, then)
    assert done is (True if comes_in else None)
    assert seen[0] == stored
    assert len(seen) == (2 if comes_in else 1)
    assert installed.actions(audit.OFFICE).count("sign-in.failed") == (0 if comes_in else 1)


def test_person_who_is_disabled_while_the_password_is_checked_stays_out(installed: District) -> None:
    add(installed)
    mine = select(Account).where(Account.username == "petugas.contoh")

    def prepare(fitting: str) -> str:
        change_account(installed, disabled_at=installed.clock.now)
        return fitting

    def then(*_: Any) -> str:
        raise AssertionError("let in")

    assert sessions.with_password(installed.hub, mine, PASSWORD, installed.clock.now, prepare, then) is None
    assert installed.actions(audit.OFFICE)[-1] == "sign-in.failed"


def test_new_session_ends_the_one_it_replaces(on_sqlite: District) -> None:
    add(on_sqlite)
    first = sign_in(on_sqlite)
    assert first
    with on_sqlite.hub.database.reading() as session:
        person = accounts.who_is(session, on_sqlite.hub, first, on_sqlite.clock.now)
    assert person
    assert sign_in(on_sqlite, WRONG, replaced=(first, person)) is None
    assert on_sqlite.counts()["session"] == 1
    assert sign_in(on_sqlite, replaced=(first, person))
    with on_sqlite.hub.database.reading() as session:
        assert accounts.who_is(session, on_sqlite.hub, first, on_sqlite.clock.now) is None
    assert on_sqlite.counts()["session"] == 1
