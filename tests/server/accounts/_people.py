"""People of a district, as tests of accounts add, invite and sign them in."""

from collections.abc import Callable
from typing import Any

import pyotp
import pytest

from server import accounts
from server.accounts import Person, people, second_factor
from server.errors import Problem
from tests.server._district import DISTRICT, District

PASSWORD = "kuda-laut-hijau-tua"


def within(district: District, work: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """Do one thing in one transaction."""
    with district.hub.database.transaction() as session:
        return work(session, district.hub, *given, **named)


def add(district: District, username: str = "petugas.contoh", **overrides: Any) -> str:
    given = {"role": "staff", "scope_kind": "district", "scope": DISTRICT, "password": PASSWORD, **overrides}
    password = given.pop("password")
    chosen = accounts.new_password(password, username, "Petugas Contoh") if password is not None else None
    said = (username, "Petugas Contoh", given["role"], given["scope_kind"], given["scope"], chosen)
    made: str = within(district, accounts.add_account, *said, actor="operator", now=district.clock.now)
    return made


def take_up(district: District, token: str, password: str) -> Person:
    """Take up an invitation as the page does."""
    with district.hub.database.reading() as session:
        who = people.invited(session, district.hub, token, district.clock.now)
    chosen = accounts.new_password(password, who.username, who.display_name)
    taken: Person = within(district, people.take_up, token, chosen, district.clock.now)
    return taken


def invite(district: District, account_id: str) -> str:
    def work(session: Any, hub: Any) -> str:
        account = people.managed_account(session, hub, None, account_id)
        return people.make_invitation(session, hub, account, actor="operator", now=district.clock.now)

    token: str = within(district, work)
    return token


def sign_in(
    district: District, password: str = PASSWORD, username: str = "petugas.contoh", **named: Any
) -> Any:
    return accounts.sign_in(district.hub, username, password, district.clock.now, **named)


def found(district: District, token: str | None) -> accounts.SignedIn:
    with district.hub.database.reading() as session:
        signed = accounts.session_of(session, district.hub, token or "", district.clock.now)
    assert signed is not None
    return signed


def set_up(district: District, token: str) -> tuple[str, pyotp.TOTP, list[str]]:
    """Set up an app for a session; give its new token, the app, and the recovery codes."""
    signed = found(district, token)
    secret = second_factor.new_secret(district.hub, signed)
    app = pyotp.TOTP(secret.text)
    done = within(
        district, second_factor.set_up, signed, secret, app.at(district.clock.now), district.clock.now
    )
    assert done is not None
    return done[0], app, done[1]


def give(district: District, token: str, code: str, **named: str) -> second_factor.Passed | None:
    passed: second_factor.Passed | None = within(
        district, second_factor.pass_second_factor, found(district, token), code, district.clock.now, **named
    )
    return passed


def refused(problem: str, work: Callable[[], Any]) -> dict[str, Any]:
    with pytest.raises(Problem, match=f"^{problem}$") as raised:
        work()
    return raised.value.details
