"""Wrong passwords: nobody can keep a colleague out by them, nor learn from them who has an account."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from server import accounts
from server.accounts import attempt_limits
from server.accounts.attempt_limits import LIMITS, Limit
from server.crypto import vault
from server.errors import Problem
from tests.server._district import District
from tests.server._people import add_person
from tests.server.web._clinic import PASSWORD, Clinic, csrf_token

WRONG = "salah-salah-salah"
OFFICE, ELSEWHERE = "203.0.113.7", "198.51.100.9"


class CountingHasher(PasswordHasher):
    """The hasher of these tests, which counts the passwords that it checks and hashes."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=64, parallelism=1)
        self.checks = 0

    def verify(self, *given: Any) -> Any:
        self.checks += 1
        return super().verify(*given)

    def hash(self, *given: Any, **named: Any) -> str:
        self.checks += 1
        return super().hash(*given, **named)


@pytest.fixture
def hasher() -> Iterator[CountingHasher]:
    before, counting = vault._HASHER, CountingHasher()
    vault._dummy_hash.cache_clear()
    vault._HASHER = counting
    yield counting
    vault._HASHER = before


def send(client: FlaskClient, username: str, password: str = WRONG, address: str = ELSEWHERE) -> TestResponse:
    form = {"csrf_token": csrf_token(client), "username": username, "password": password}
    return client.post("/masuk", data=form, environ_overrides={"REMOTE_ADDR": address})


def told(answer: TestResponse, username: str) -> tuple[str, dict[str, str], str]:
    """Give all of an answer but its nonces and what was sent: the ids, the form's token, the user name."""
    headers = {name: value for name, value in answer.headers.items() if name != "X-Request-ID"}
    headers["Set-Cookie"] = headers.get("Set-Cookie", "").split("=")[0]
    page = re.sub(r'name="csrf_token" value="[^"]+"', "", answer.text).replace(username, "NAME")
    del headers["Content-Length"]  # of the name that was sent
    return answer.status, headers, page


def fail_before(clinic: Clinic, username: str, times: int) -> None:
    """Let so many wrong passwords have come before, as the table counts them."""
    for _ in range(times):
        place = f"address/{ELSEWHERE}/{username}"
        attempt_limits.note_refusal(clinic.district.hub, "sign-in-as", place, datetime.now(UTC))


@pytest.mark.parametrize(("before", "status"), [(0, 401), (16, 429)])
def test_name_that_is_not_here_is_answered_as_one_that_is(
    clinic: Clinic, client: FlaskClient, hasher: CountingHasher, before: int, status: int
) -> None:
    names = [clinic.person().username, "tidak.ada.di.sini"]
    told_of, checks = [], []
    for name in names:
        fail_before(clinic, name, before)
        counted = hasher.checks
        visitor = client.application.test_client()
        answer = send(visitor, name)
        checks.append(hasher.checks - counted)
        told_of.append(told(answer, name))
        assert answer.status_code == status
    # the seconds left may differ by those that this test took
    one, other = (
        (code, headers, re.sub(r"dalam \d+ detik", "dalam N detik", page)) for code, headers, page in told_of
    )
    assert one == other
    if not before:
        assert told_of[0] == told_of[1]
        checks[0] -= 1  # the hash that nobody has, made once in a process, for whoever comes first
    assert checks == ([1, 1] if not before else [0, 0])


def test_disabled_and_invited_people_are_answered_as_one_who_is_not_here(
    clinic: Clinic, client: FlaskClient, hasher: CountingHasher
) -> None:
    hub, person = clinic.district.hub, clinic.person()
    with hub.database.transaction() as session:
        accounts.disable_account(session, hub, person.username, actor="operator", now=datetime.now(UTC))
        who = ("diundang", "Orang Diundang", "staff", "district", hub.district, None)
        accounts.add_account(session, hub, *who, actor="operator", now=datetime.now(UTC))
    send(client, "yang.pertama")
    answers, checks = [], []
    for name in (person.username, "diundang", "tidak.ada"):
        counted = hasher.checks
        visitor = client.application.test_client()
        answers.append(told(send(visitor, name, PASSWORD), name))
        checks.append(hasher.checks - counted)
    assert answers[0] == answers[1] == answers[2]
    assert checks == [1, 1, 1]


def test_person_signs_in_while_another_address_fails_a_thousand_times(clinic: Clinic) -> None:
    hub, person, now = clinic.district.hub, clinic.person(), datetime.now(UTC)
    outcomes = {"wrong": 0, "too-many-tries": 0}
    for number in range(1000):
        try:
            at = now + timedelta(seconds=number)
            assert accounts.sign_in(hub, person.username, WRONG, at, address=ELSEWHERE) is None
            outcomes["wrong"] += 1
        except Problem as problem:
            outcomes[problem.code] += 1
    assert outcomes["wrong"] < 16
    assert sum(outcomes.values()) == 1000
    at = now + timedelta(seconds=1000)
    assert accounts.sign_in(hub, person.username, PASSWORD, at, address=OFFICE) is not None
    with pytest.raises(Problem, match="too-many-tries"):
        accounts.sign_in(hub, person.username, PASSWORD, at, address=ELSEWHERE)


def test_colleague_behind_the_same_address_keeps_nobody_out_of_their_own_browser(
    clinic: Clinic, client: FlaskClient
) -> None:
    person = clinic.person()
    assert send(client, person.username, PASSWORD, OFFICE).status_code == 302
    for _ in range(LIMITS["sign-in"].tries):
        attempt_limits.note_refusal(clinic.district.hub, "sign-in", OFFICE, datetime.now(UTC))
    assert send(client.application.test_client(), person.username, PASSWORD, OFFICE).status_code == 429
    client.delete_cookie("__Host-posyandu")
    assert send(client, person.username, PASSWORD, OFFICE).status_code == 302


def test_known_browser_has_a_limit_of_its_own(clinic: Clinic, client: FlaskClient) -> None:
    person = clinic.person()
    send(client, person.username, PASSWORD, OFFICE)
    client.delete_cookie("__Host-posyandu")
    free = LIMITS["sign-in-as"].free
    assert free is not None
    statuses = [send(client, person.username, address=f"203.0.113.{n}").status_code for n in range(free + 2)]
    assert statuses == [401] * (free + 1) + [429]
    assert send(client, "orang.lain", address=OFFICE).status_code == 401  # of them it knows nothing


@pytest.mark.parametrize("cookie", ["", "x", "WyJhIixbXV0.forged", "…"])
def test_cookie_that_we_have_not_signed_is_nothing(clinic: Clinic, client: FlaskClient, cookie: str) -> None:
    person = clinic.person()
    for _ in range(LIMITS["sign-in"].tries):
        attempt_limits.note_refusal(clinic.district.hub, "sign-in", OFFICE, datetime.now(UTC))
    client.set_cookie("__Host-known", cookie)
    assert send(client, person.username, PASSWORD, OFFICE).status_code == 429


def test_right_password_forgives_the_wrong_ones_before(installed: District) -> None:
    hub, now = installed.hub, installed.clock.now
    who = ("petugas.contoh", "Petugas Contoh", "staff", "district", hub.district, PASSWORD)
    add_person(hub, *who, now)
    free = LIMITS["sign-in-as"].free
    assert free is not None
    for _ in range(2):
        for _ in range(free):
            assert accounts.sign_in(hub, "petugas.contoh", WRONG, now, address=OFFICE) is None
        assert accounts.sign_in(hub, "petugas.contoh", PASSWORD, now, address=OFFICE) is not None


def test_waits_grow_and_end(installed: District) -> None:
    hub, now = installed.hub, installed.clock.now
    waits = []
    for _ in range(11):
        assert accounts.sign_in(hub, "tidak.ada", WRONG, now, address=OFFICE) is None
        with hub.database.reading() as session:
            place = f"address/{OFFICE}/tidak.ada"
            seconds = attempt_limits.seconds_to_wait(session, hub, "sign-in-as", place, now)
        waits.append(seconds)
        now += timedelta(seconds=seconds)
    assert waits == [0, 0, 0, 0, 3, 5, 9, 17, 33, 65, 129]


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 0), (4, 0), (5, 2), (6, 4), (13, 512), (14, 900), (10**9, 900)]
)
def test_longest_wait_is_a_quarter_of_an_hour(failures: int, seconds: int) -> None:
    assert Limit(200, 1440, free=4).delay(failures) == timedelta(seconds=seconds)
