"""Passkeys: kept, used as a second factor and alone; and every answer that is not what it should be is refused."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select, update

from server import accounts, audit
from server.accounts import attempt_limits, passkeys, people, sessions
from server.config import Settings
from server.database.models import Passkey, table
from server.errors import Problem
from tests.server._authenticator import Authenticator
from tests.server._district import DISTRICT, Databases, District
from tests.server.accounts._people import add, found, invite, refused, set_up, sign_in, take_up, within

ORIGIN = "https://posyandu.example.go.id"
EVIL = "https://posyandu.example.go.id.evil.example"


@pytest.fixture
def strict(databases: Databases) -> Iterator[District]:
    """Give a district with a public address, where staff must have a second factor."""
    with District.opened(databases, second_factor=True, public_url=ORIGIN) as district:
        yield district


@pytest.fixture
def on_sqlite(sqlite_databases: Databases) -> Iterator[District]:
    """The same on SQLite alone."""
    with District.opened(sqlite_databases, second_factor=True, public_url=ORIGIN) as district:
        yield district


def with_passkey(
    district: District, username: str = "petugas.contoh", **how: Any
) -> tuple[str, Authenticator]:
    """Add somebody with an app and a passkey; give the token of their session, and the passkey."""
    add(district, username)
    token, _, _ = set_up(district, sign_in(district, username=username))
    key = Authenticator(ORIGIN, **how)
    register(district, token, key)
    return token, key


def register(
    district: District, token: str, key: Authenticator, name: str = "HP saya", **client: Any
) -> None:
    who, now = found(district, token), district.clock.now
    with district.hub.database.reading() as session:
        options = passkeys.creation_options(session, district.hub, who, now)
    assert options is not None
    within(district, passkeys.register, who, key.create(options, **client), name, now)


def options_for(district: District, token: str) -> str:
    with district.hub.database.reading() as session:
        options = passkeys.request_options(session, district.hub, found(district, token), district.clock.now)
    assert options is not None
    return options


def use(district: District, token: str, answer: str, **named: Any) -> str | None:
    who, now = found(district, token), district.clock.now
    passed: str | None = within(district, passkeys.pass_with_passkey, who, answer, now, **named)
    return passed


def alone(district: District, answer: str, **named: Any) -> str | None:
    token: str | None = within(district, passkeys.sign_in, answer, district.clock.now, **named)
    return token


def alone_options(district: District) -> str:
    options = passkeys.sign_in_options(district.hub, district.clock.now)
    assert options is not None
    return options


# -- the whole way ----------------------------------------------------------------------------------------------------


def test_passkey_is_the_second_factor_after_a_password(strict: District) -> None:
    _, key = with_passkey(strict)
    assert strict.actions(audit.OFFICE)[-1] == "passkey.added"
    waiting = sign_in(strict)
    assert found(strict, waiting).stage == sessions.WAITING
    token = use(strict, waiting, key.get(options_for(strict, waiting), verified=False))
    assert token is not None
    assert token != waiting
    assert found(strict, token).stage == sessions.OPEN
    assert strict.actions(audit.OFFICE)[-1] == "sign-in.succeeded"


def test_passkey_signs_in_alone_when_its_user_was_verified(strict: District) -> None:
    _, key = with_passkey(strict)
    token = alone(strict, key.get(alone_options(strict)), agent="Chrome, Android")
    assert token is not None
    opened = found(strict, token)
    assert (opened.stage, opened.person.username) == (sessions.OPEN, "petugas.contoh")
    assert opened.is_proven(strict.clock.now)
    assert alone(strict, key.get(alone_options(strict), verified=False)) is None
    assert strict.actions(audit.OFFICE)[-1] == "sign-in.failed"


def test_passkey_is_a_proof_again(on_sqlite: District) -> None:
    token, key = with_passkey(on_sqlite)
    on_sqlite.clock.advance(minutes=sessions.PROOF_MINUTES)
    assert not found(on_sqlite, token).is_proven(on_sqlite.clock.now)
    newer = use(on_sqlite, token, key.get(options_for(on_sqlite, token)), action="proof.given")
    assert newer is not None
    assert found(on_sqlite, newer).is_proven(on_sqlite.clock.now)
    assert on_sqlite.actions(audit.OFFICE)[-1] == "proof.given"


def test_handle_tells_nothing_and_is_the_same_for_all_keys_of_a_person(on_sqlite: District) -> None:
    token, first = with_passkey(on_sqlite)
    second = Authenticator(ORIGIN)
    register(on_sqlite, token, second)
    _, other = with_passkey(on_sqlite, "orang.lain")
    assert first.handle == second.handle != other.handle
    assert len(first.handle) == 32
    assert found(on_sqlite, token).person.account_id.encode() not in first.handle


def test_options_ask_for_no_attestation_and_exclude_what_is_there(on_sqlite: District) -> None:
    token, _ = with_passkey(on_sqlite)
    with on_sqlite.hub.database.reading() as session:
        options = passkeys.creation_options(
            session, on_sqlite.hub, found(on_sqlite, token), on_sqlite.clock.now
        )
    told = json.loads(options or "")
    assert (told["attestation"], told["rp"]["id"]) == ("none", "posyandu.example.go.id")
    assert len(told["excludeCredentials"]) == 1


# -- answers that are refused -----------------------------------------------------------------------------------------


def wrong_answers(district: District, key: Authenticator, options: str) -> dict[str, str]:
    """Give answers of which each is wrong in one way."""
    whole = json.loads(key.get(options))
    other_signature = json.loads(key.get(options))["response"]["signature"]
    flipped = whole["response"]["signature"]
    flipped = flipped[:20] + ("A" if flipped[20] != "A" else "B") + flipped[21:]

    def signed(signature: str) -> str:
        return json.dumps({**whole, "response": {**whole["response"], "signature": signature}})

    return {
        "another origin": key.get(options, origin=EVIL),
        "plain http": key.get(options, origin=ORIGIN.replace("https", "http")),
        "another RP": key.get(options, rp_id="evil.example"),
        "another challenge": key.get(options, challenge="c2FsYWg"),
        "a challenge of ours in part": key.get(options, challenge=json.loads(options)["challenge"][:-3]),
        "another type": key.get(options, type="webauthn.create"),
        "a signature of something else": signed(other_signature),
        "a signature with one letter changed": signed(flipped),
        "an unknown credential": Authenticator(ORIGIN, handle=key.handle).get(options),
        "nothing": "", "no JSON": "{", "a list": "[]", "no members": "{}", "a number": "7",
        "no response": json.dumps({"id": whole["id"]}), "too long": key.get(options) + " " * 20_000,
    }  # fmt: skip


@pytest.mark.parametrize("number", range(16))
def test_wrong_answer_is_no_second_factor(on_sqlite: District, number: int) -> None:
    _, key = with_passkey(on_sqlite)
    waiting = sign_in(on_sqlite)
    name, answer = list(wrong_answers(on_sqlite, key, options_for(on_sqlite, waiting)).items())[number]
    assert use(on_sqlite, waiting, answer) is None, name
    assert on_sqlite.actions(audit.OFFICE)[-1] == "second-factor.failed"
    assert found(on_sqlite, waiting).stage == sessions.WAITING


@pytest.mark.parametrize("number", range(16))
def test_wrong_answer_signs_nobody_in(on_sqlite: District, number: int) -> None:
    _, key = with_passkey(on_sqlite)
    name, answer = list(wrong_answers(on_sqlite, key, alone_options(on_sqlite)).items())[number]
    assert alone(on_sqlite, answer) is None, name
    assert on_sqlite.actions(audit.OFFICE)[-1] == "sign-in.failed"


@pytest.mark.every_case
@pytest.mark.parametrize("counts", [True, False])
def test_answer_that_is_sent_again_is_refused(strict: District, counts: bool) -> None:
    """Also where the authenticator does not count."""
    _, key = with_passkey(strict, counts=counts)
    answer = key.get(alone_options(strict))
    assert alone(strict, answer) is not None
    assert alone(strict, answer) is None
    strict.clock.advance(minutes=4.9)
    assert alone(strict, answer) is None
    assert alone(strict, key.get(alone_options(strict))) is not None


def test_answer_works_once_when_it_comes_twice_at_once(strict: District) -> None:
    _, key = with_passkey(strict, counts=False)
    answer = key.get(alone_options(strict))
    with ThreadPoolExecutor(2) as pool:
        came_in = list(pool.map(lambda _: alone(strict, answer), range(2)))
    assert sum(token is not None for token in came_in) == 1


def test_counter_that_goes_back_is_refused(on_sqlite: District) -> None:
    """A copy of the authenticator is in use somewhere."""
    _, key = with_passkey(on_sqlite)
    key.count = 40
    assert alone(on_sqlite, key.get(alone_options(on_sqlite)))
    for count in (39, 40, 0):
        key.count = count
        assert alone(on_sqlite, key.get(alone_options(on_sqlite))) is None
    key.count = 41
    assert alone(on_sqlite, key.get(alone_options(on_sqlite))) is not None


@pytest.mark.parametrize(("minutes", "works"), [(4.99, True), (5, False), (600, False)])
def test_challenge_is_good_for_some_minutes(on_sqlite: District, minutes: float, works: bool) -> None:
    _, key = with_passkey(on_sqlite)
    options = alone_options(on_sqlite)
    on_sqlite.clock.advance(minutes=minutes)
    assert (alone(on_sqlite, key.get(options)) is not None) is works


def test_passkey_of_another_account_is_refused(on_sqlite: District) -> None:
    with_passkey(on_sqlite)
    _, stranger = with_passkey(on_sqlite, "orang.lain")
    waiting = sign_in(on_sqlite)
    assert use(on_sqlite, waiting, stranger.get(options_for(on_sqlite, waiting))) is None


def test_challenge_of_another_session_or_purpose_is_refused(on_sqlite: District) -> None:
    token, key = with_passkey(on_sqlite)
    one, other = sign_in(on_sqlite), sign_in(on_sqlite)
    assert use(on_sqlite, one, key.get(options_for(on_sqlite, other))) is None
    assert use(on_sqlite, one, key.get(alone_options(on_sqlite))) is None
    assert alone(on_sqlite, key.get(options_for(on_sqlite, token))) is None


def test_handle_of_somebody_else_signs_nobody_in(on_sqlite: District) -> None:
    _, key = with_passkey(on_sqlite)
    _, other = with_passkey(on_sqlite, "orang.lain")
    key.handle = other.handle
    assert alone(on_sqlite, key.get(alone_options(on_sqlite))) is None


def test_wrong_answers_have_the_limits_of_codes(on_sqlite: District) -> None:
    _, key = with_passkey(on_sqlite)
    waiting = sign_in(on_sqlite)
    for _ in range(attempt_limits.LIMITS["second-factor-of"].tries):
        assert use(on_sqlite, waiting, "{}") is None
    refused("too-many-tries", lambda: use(on_sqlite, waiting, key.get(options_for(on_sqlite, waiting))))
    for _ in range(attempt_limits.LIMITS["sign-in"].tries):
        assert alone(on_sqlite, "{}", address="203.0.113.7") is None
    answer = key.get(alone_options(on_sqlite))
    refused("too-many-tries", lambda: alone(on_sqlite, answer, address="203.0.113.7"))


def test_disabled_person_does_not_come_in(on_sqlite: District) -> None:
    _, key = with_passkey(on_sqlite)
    named: dict[str, Any] = {"actor": "operator", "now": on_sqlite.clock.now}
    within(on_sqlite, accounts.disable_account, "petugas.contoh", **named)
    assert alone(on_sqlite, key.get(alone_options(on_sqlite))) is None


# -- registering ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "client", [{"origin": EVIL}, {"challenge": "c2FsYWg"}, {"type": "webauthn.get"}, {"origin": "null"}]
)
def test_registration_from_elsewhere_is_refused(on_sqlite: District, client: dict[str, str]) -> None:
    add(on_sqlite)
    token, _, _ = set_up(on_sqlite, sign_in(on_sqlite))
    with pytest.raises(Problem, match="passkey-failed"):
        register(on_sqlite, token, Authenticator(ORIGIN), **client)
    assert on_sqlite.counts()["passkey"] == 0


def test_passkey_comes_beside_an_app_alone(on_sqlite: District) -> None:
    """Who loses the authenticator has the app."""
    add(on_sqlite, role="cadre", scope_kind="post", scope=on_sqlite.posts[0])
    with pytest.raises(Problem, match="passkey-failed"):
        register(on_sqlite, sign_in(on_sqlite), Authenticator(ORIGIN))


def test_credential_is_of_one_account(on_sqlite: District) -> None:
    token, key = with_passkey(on_sqlite)
    with pytest.raises(Problem, match="passkey-failed"):
        register(on_sqlite, token, key)
    add(on_sqlite, "orang.lain")
    other, _, _ = set_up(on_sqlite, sign_in(on_sqlite, username="orang.lain"))
    with pytest.raises(Problem, match="passkey-failed"):
        register(on_sqlite, other, key)


@pytest.mark.parametrize("name", ["", "  ", "x" * 61, "dua\nbaris"])
def test_passkey_has_a_name_that_can_be_shown(on_sqlite: District, name: str) -> None:
    token, _ = with_passkey(on_sqlite)
    with pytest.raises(Problem, match="passkey-name"):
        register(on_sqlite, token, Authenticator(ORIGIN), name)


def test_person_has_at_most_ten(on_sqlite: District) -> None:
    token, _ = with_passkey(on_sqlite)
    for _ in range(passkeys.MOST_KEYS - 1):
        register(on_sqlite, token, Authenticator(ORIGIN))
    with pytest.raises(Problem, match="passkeys-full"):
        register(on_sqlite, token, Authenticator(ORIGIN))


def test_passkey_is_renamed_and_removed_by_its_owner_alone(strict: District) -> None:
    token, key = with_passkey(strict)
    stranger, _ = with_passkey(strict, "orang.lain")
    ((passkey_id,),) = strict.rows(
        select(Passkey.id).where(Passkey.name == "HP saya").limit(1).order_by(Passkey.id)
    )
    now = strict.clock.now
    mine, theirs = found(strict, token), found(strict, stranger)
    for change in (
        lambda: within(strict, passkeys.rename, theirs, passkey_id, "Punya saya", now),
        lambda: within(strict, passkeys.remove, theirs, passkey_id, now),
    ):
        refused("record-unknown", change)
    within(strict, passkeys.rename, mine, passkey_id, " Kunci kantor ", now)
    with strict.hub.database.reading() as session:
        (listed,) = passkeys.passkeys_of(session, strict.hub, mine.person.account_id)
    assert (listed.name, listed.used_at) == ("Kunci kantor", None)
    within(strict, passkeys.remove, mine, passkey_id, now)
    assert strict.actions(audit.OFFICE)[-2:] == ["passkey.renamed", "passkey.removed"]
    assert alone(strict, key.get(alone_options(strict))) is None


def test_reset_that_is_taken_up_ends_passkeys(on_sqlite: District) -> None:
    _, key = with_passkey(on_sqlite)
    ((account,),) = on_sqlite.rows(select(Passkey.account_id))
    link = invite(on_sqlite, account)
    assert alone(on_sqlite, key.get(alone_options(on_sqlite))) is not None
    take_up(on_sqlite, link, "perahu-di-teluk-biru")
    assert alone(on_sqlite, key.get(alone_options(on_sqlite))) is None


def test_secrets_that_a_restore_ends_are_passkeys_too(on_sqlite: District) -> None:
    _, key = with_passkey(on_sqlite)

    def end(session: Any, hub: Any, work: Any) -> None:
        account = people.account_named(session, hub, "petugas.contoh")
        work(session, hub, account, actor="operator", now=on_sqlite.clock.now)

    within(on_sqlite, end, people.end_passkeys)
    assert on_sqlite.actions(audit.OFFICE)[-1] == "account.passkeys-ended"
    assert alone(on_sqlite, key.get(alone_options(on_sqlite))) is None


def test_key_of_the_row_is_what_counts(on_sqlite: District) -> None:
    """A public key of one's own in the database: what the keyed digest of the row will refuse stands in one place."""
    _, key = with_passkey(on_sqlite)
    with on_sqlite.hub.database.transaction() as session:
        session.execute(update(table(Passkey)).values(public_key=b"x"))
        audit.append(session, DISTRICT, audit.OFFICE, "test.set", actor="operator", now=on_sqlite.clock.now)
    assert alone(on_sqlite, key.get(alone_options(on_sqlite))) is None


@pytest.mark.parametrize(
    ("url", "rp_id"),
    [
        ("https://posyandu.example.go.id", "posyandu.example.go.id"),
        ("https://posyandu.example.go.id:8443", "posyandu.example.go.id"),
        ("http://localhost:8000", "localhost"),
        ("", None),
        ("https://192.0.2.7", None),
        ("http://127.0.0.1:8000", None),
        ("https://[2001:db8::1]", None),
    ],
)
def test_site_is_that_of_the_public_address(tmp_path: Any, url: str, rp_id: str | None) -> None:
    here = passkeys.site(Settings.for_data(tmp_path, public_url=url))
    assert (here and here.rp_id, here and here.origin) == (rp_id, url if rp_id else None)
