"""People and tablets: codes that work once, passwords that lock, sessions that end."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select

from schemas import parse_enrolment
from server import accounts, audit
from server.crypto.vault import SigningKey, base64url
from server.database.models import EnrolmentCode, Tablet, UserSession
from server.errors import Problem
from tests.server._district import District
from tests.server._people import add_person

PASSWORD = "kuda-laut-hijau"


def request(code: str, key: SigningKey | None = None, **overrides: Any) -> Any:
    jwk = (key or SigningKey()).jwk()
    return parse_enrolment({"code": code, "public_key": jwk, "app": "uji/1", "device": "uji", **overrides})


def make_code(district: District, post: str | None = None) -> str:
    with district.hub.database.transaction() as session:
        return accounts.make_enrolment_code(
            session,
            district.hub,
            post or district.posts[0],
            "Tablet 1",
            actor="operator",
            now=district.clock.now,
        )


def enrol(district: District, asked: Any) -> Tablet:
    with district.hub.database.transaction() as session:
        return accounts.enrol(session, district.hub, asked, district.clock.now)


# -- tablets ----------------------------------------------------------------------------------------


def test_code_becomes_a_tablet_of_its_post(installed: District) -> None:
    tablet = enrol(installed, request(make_code(installed)))
    assert (tablet.post_id, tablet.name, tablet.last_counter, tablet.chain_hash) == (
        installed.posts[0],
        "Tablet 1",
        0,
        "",
    )
    log = installed.actions(audit.post_stream(installed.posts[0]))
    assert log[-2:] == ["tablet.code-made", "tablet.enrolled"]


def test_code_works_once(installed: District) -> None:
    code = make_code(installed)
    enrol(installed, request(code))
    with pytest.raises(Problem, match="enrolment-code-invalid"):
        enrol(installed, request(code))


def test_code_works_once_when_four_devices_try_it_at_once(installed: District) -> None:
    code = make_code(installed)

    def attempt(_: int) -> str:
        try:
            return enrol(installed, request(code)).id
        except Problem as problem:
            return problem.code

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(attempt, range(4)))
    assert results.count("enrolment-code-invalid") == 3
    assert installed.counts()["tablet"] == 1


@pytest.mark.parametrize(("days", "works"), [(7, True), (7.01, False)])
def test_code_expires_after_seven_days(on_sqlite: District, days: float, works: bool) -> None:
    code = make_code(on_sqlite)
    on_sqlite.clock.advance(days=days)
    if works:
        assert enrol(on_sqlite, request(code)).post_id == on_sqlite.posts[0]
    else:
        with pytest.raises(Problem, match="enrolment-code-invalid"):
            enrol(on_sqlite, request(code))


def test_wrong_code_enrols_nobody(installed: District) -> None:
    make_code(installed)
    with pytest.raises(Problem, match="enrolment-code-invalid"):
        enrol(installed, request("AAAA-AAAA-AA"))
    assert installed.counts()["tablet"] == 0


def test_code_is_kept_when_the_key_is_no_point_of_the_curve(on_sqlite: District) -> None:
    code = make_code(on_sqlite)
    off_curve = {**SigningKey().jwk(), "x": base64url(b"\x01" * 32)}
    with pytest.raises(Problem, match="request-malformed"):
        enrol(on_sqlite, request(code, public_key=off_curve))
    assert enrol(on_sqlite, request(code)).id


def test_code_is_stored_as_a_digest_only(on_sqlite: District) -> None:
    code = make_code(on_sqlite)
    ((stored,),) = on_sqlite.rows(select(EnrolmentCode.code_digest))
    assert code not in stored
    assert set(code) <= set(accounts.CODE_ALPHABET + "-")


def test_no_code_is_made_for_an_unknown_post(on_sqlite: District) -> None:
    with pytest.raises(Problem, match="record-unknown"):
        make_code(on_sqlite, "01900000-0000-7000-8000-00000000ffff")


def test_tablet_is_revoked_once(installed: District) -> None:
    tablet = installed.tablet()
    installed.revoke(tablet)
    first = installed.rows(select(Tablet.revoked_at))
    installed.clock.advance(hours=1)
    installed.revoke(tablet)
    assert installed.rows(select(Tablet.revoked_at)) == first
    assert installed.actions(audit.post_stream(installed.posts[0])).count("tablet.revoked") == 1


def test_unknown_tablet_cannot_be_revoked(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    tablet.replica.tablet_id = "01900000-0000-7000-8000-00000000ffff"
    with pytest.raises(Problem, match="record-unknown"):
        on_sqlite.revoke(tablet)


# -- people -----------------------------------------------------------------------------------------


def add(district: District, username: str = "petugas.contoh", **overrides: Any) -> str:
    given = {"role": "staff", "scope_kind": "district", "scope": "64.02", "password": PASSWORD, **overrides}
    return add_person(district.hub, username, "Petugas Contoh", **given, now=district.clock.now)


def sign_in(district: District, password: str = PASSWORD, username: str = "petugas.contoh") -> str | None:
    return accounts.sign_in(district.hub, username, password, district.clock.now)


def who_is(district: District, token: str | None) -> accounts.Person | None:
    with district.hub.database.reading() as session:
        return accounts.who_is(session, district.hub, token or "", district.clock.now)


def test_person_signs_in_and_is_known(installed: District) -> None:
    account = add(installed)
    person = who_is(installed, sign_in(installed, username=" Petugas.Contoh "))
    assert person == accounts.Person(
        account, "petugas.contoh", "Petugas Contoh", "staff", "district", "64.02"
    )
    assert installed.actions(audit.OFFICE)[-2:] == ["account.added", "sign-in.succeeded"]


@pytest.mark.parametrize(
    ("username", "password"), [("petugas.contoh", "salah-salah-salah"), ("tidak.ada", PASSWORD)]
)
def test_wrong_sign_in_is_refused_and_logged(on_sqlite: District, username: str, password: str) -> None:
    add(on_sqlite)
    assert sign_in(on_sqlite, password, username) is None
    assert on_sqlite.actions(audit.OFFICE)[-1] == "sign-in.failed"


def test_session_ends_after_its_time(on_sqlite: District) -> None:
    add(on_sqlite)
    token = sign_in(on_sqlite)
    for _ in range(2):  # in use until the last minute
        on_sqlite.clock.advance(minutes=on_sqlite.hub.settings.idle_minutes - 0.5)
        use(on_sqlite, token)
    assert who_is(on_sqlite, token) is not None
    on_sqlite.clock.advance(minutes=1)
    assert who_is(on_sqlite, token) is None


def use(district: District, token: str | None) -> None:
    """Let a request pass with a session's token."""
    with district.hub.database.reading() as session:
        found = accounts.session_of(session, district.hub, token or "", district.clock.now)
    assert found
    accounts.sessions.seen(district.hub, found, district.clock.now)


def test_session_ends_when_it_is_left_alone(on_sqlite: District) -> None:
    add(on_sqlite)
    token = sign_in(on_sqlite)
    on_sqlite.clock.advance(minutes=on_sqlite.hub.settings.idle_minutes)
    assert who_is(on_sqlite, token) is None


def test_use_of_a_session_is_written_once_a_minute_and_not_logged(installed: District) -> None:
    add(installed)
    token = sign_in(installed)
    logged = installed.actions(audit.OFFICE)
    started = installed.clock.now
    for seconds, written in ((59, 0), (1, 60), (59, 60), (1, 120)):
        installed.clock.advance(seconds=seconds)
        use(installed, token)
        ((last,),) = installed.rows(select(UserSession.last_seen_at))
        assert (last - started).total_seconds() == written
    assert installed.actions(audit.OFFICE) == logged


def sign_out(district: District, token: str, person: accounts.Person) -> None:
    with district.hub.database.transaction() as session:
        accounts.sign_out(session, district.hub, token, person, district.clock.now)


def disable(district: District, token: str, person: accounts.Person) -> None:
    with district.hub.database.transaction() as session:
        accounts.disable_account(
            session, district.hub, person.username, actor="operator", now=district.clock.now
        )


@pytest.mark.every_case
@pytest.mark.parametrize(("end", "left"), [(sign_out, 1), (disable, 0)])
def test_session_ends_when_it_is_ended(installed: District, end: Callable[..., None], left: int) -> None:
    add(installed)
    token, other = sign_in(installed), sign_in(installed)
    person = who_is(installed, token)
    assert token
    assert person
    end(installed, token, person)
    assert who_is(installed, token) is None
    assert (who_is(installed, other) is not None) is bool(left)
    assert installed.counts()["session"] == left


def test_disabled_person_cannot_sign_in_again(installed: District) -> None:
    add(installed)
    person = who_is(installed, sign_in(installed))
    assert person
    disable(installed, "", person)
    assert sign_in(installed) is None


def test_unknown_person_cannot_be_disabled(on_sqlite: District) -> None:
    nobody = accounts.Person("", "tidak.ada", "", "staff", "district", "64.02")
    with pytest.raises(Problem, match="record-unknown"):
        disable(on_sqlite, "", nobody)


def test_token_is_stored_as_a_digest_only(on_sqlite: District) -> None:
    add(on_sqlite)
    token = sign_in(on_sqlite)
    assert token
    ((stored,),) = on_sqlite.rows(select(UserSession.token_digest))
    assert stored != token
    assert who_is(on_sqlite, stored) is None


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"username": "ab"}, "3 to 64 letters"),
        ({"username": "a" * 65}, "3 to 64 letters"),
        ({"username": "petugas contoh"}, "3 to 64 letters"),
        ({"username": "PETUGAS.contoh"}, "is taken"),
        ({"username": "lain", "password": "p" * 11}, "at least 12"),
        ({"username": "lain", "role": "king"}, "role is one of"),
        ({"username": "lain", "role": "donor"}, "cannot have a scope of kind district: choose none or donor"),
        ({"username": "lain", "scope_kind": "post", "scope": "x"}, "no such posyandu"),
        ({"username": "lain", "scope_kind": "planet"}, "scope is one of"),
    ],
)
def test_account_is_refused_with_the_remedy(
    on_sqlite: District, overrides: dict[str, str], words: str
) -> None:
    add(on_sqlite)
    with pytest.raises(ValueError, match=words):
        add(on_sqlite, **overrides)
    assert on_sqlite.counts()["account"] == 1
