"""Roles and areas, invitations, passwords, the second factor, and how often anything may fail."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from time import process_time
from typing import Any

import pyotp
import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from server import accounts, audit
from server.accounts import Person, attempt_limits, people, second_factor, sessions
from server.accounts.passwords import password_faults
from server.accounts.roles import PERMISSIONS, ROLES, SCOPE_KINDS, SCOPES_OF, WITH_SECOND_FACTOR
from server.cli.installation import ROLES as CHOICES
from server.database.models import Account, Base, Invitation, RateLimit, RecoveryCode, UserSession, table
from server.errors import Problem
from server.places import health_posts
from tests.server._district import DISTRICT, Databases, District
from tests.server.accounts._people import (
    PASSWORD,
    add,
    found,
    give,
    invite,
    refused,
    set_up,
    sign_in,
    take_up,
    within,
)

OTHER = "perahu-di-teluk-biru"
ADDRESS = "203.0.113.7"
SUBDISTRICT, VILLAGE = "64.02.06", "64.02.06.1001"
BOSS = Person("", "admin", "Admin Contoh", "administrator", "district", DISTRICT)


@pytest.fixture
def strict(databases: Databases) -> Any:
    """Give a district where staff and above must have a second factor, on each kind of database in turn."""
    with District.opened(databases, second_factor=True) as district:
        yield district


def last(district: District) -> str:
    return district.actions(audit.OFFICE)[-1]


# -- roles --------------------------------------------------------------------------------------------------------


def test_every_table_of_roles_speaks_of_the_same_roles() -> None:
    assert set(SCOPES_OF) == set(ROLES) == set(CHOICES)
    assert {kind for kinds in SCOPES_OF.values() for kind in kinds} == set(SCOPE_KINDS)
    assert {role for several in PERMISSIONS.values() for role in several} <= set(ROLES)
    assert set(ROLES) - WITH_SECOND_FACTOR == {"cadre"}


@pytest.mark.parametrize(
    ("role", "open_to"), [("tpps", {"see_figures", "manage_aid"}), ("donor", {"see_own_aid"})]
)
def test_no_child_is_seen_by_those_who_come_for_figures(role: str, open_to: set[str]) -> None:
    person = Person("", "x", "X", role, "district", DISTRICT)
    assert set(filter(person.may, PERMISSIONS)) == open_to


def test_permission_that_is_not_in_the_table_is_a_defect() -> None:
    with pytest.raises(KeyError):
        BOSS.may("fly")


@pytest.mark.parametrize(
    ("role", "kind", "scope"),
    [
        ("cadre", "district", DISTRICT),
        ("cadre", "village", VILLAGE),
        ("tpps", "post", None),
        ("tpps", "health_centre", None),
        ("donor", "district", DISTRICT),
        ("supervisor", "post", None),
        ("administrator", "village", VILLAGE),
        ("staff", "none", ""),
    ],
)
def test_role_is_refused_an_area_that_it_cannot_have(
    on_sqlite: District, role: str, kind: str, scope: str | None
) -> None:
    with pytest.raises(accounts.PersonRefused, match="cannot have a scope of kind") as raised:
        add(on_sqlite, role=role, scope_kind=kind, scope=scope or on_sqlite.posts[0])
    (reason,) = raised.value.reasons
    assert (reason.path, reason.code) == ("scope_kind", "not-of-this-role")
    assert "pilih" in reason.id


@pytest.mark.parametrize(
    ("kind", "scope"),
    [
        ("village", SUBDISTRICT),
        ("village", "64.02.06.9999"),
        ("subdistrict", VILLAGE),
        ("subdistrict", "64.03.01"),
        ("district", "64.03"),
        ("post", VILLAGE),
        ("health_centre", "01900000-0000-7000-8000-00000000ffff"),
    ],
)
def test_area_that_is_not_here_is_refused(on_sqlite: District, kind: str, scope: str) -> None:
    with pytest.raises(accounts.PersonRefused, match="no such"):
        add(on_sqlite, scope_kind=kind, scope=scope)


@pytest.mark.parametrize(
    ("role", "kind", "scope", "name"),
    [
        ("tpps", "village", VILLAGE, "Loa Ipuh"),
        ("tpps", "subdistrict", SUBDISTRICT, "Tenggarong"),
        ("tpps", "district", DISTRICT, "Kutai Kartanegara"),
        ("donor", "none", "", ""),
    ],
)
def test_area_is_listed_by_its_name(on_sqlite: District, role: str, kind: str, scope: str, name: str) -> None:
    add(on_sqlite, role=role, scope_kind=kind, scope=scope)
    with on_sqlite.hub.database.reading() as session:
        (listed,) = people.people(session, on_sqlite.hub, None, on_sqlite.clock.now)
        assert people.place_name(session, on_sqlite.hub, kind, scope) == name or name == "Loa Ipuh"
    assert (listed.role, listed.scope_kind, listed.state) == (role, kind, "active")
    assert bool(listed.place) == bool(name)


# -- whom somebody manages ----------------------------------------------------------------------------------------


def staffed(district: District) -> dict[str, str]:
    """Add somebody at the post, at its health centre, at another one, and for the district."""
    hub, now = district.hub, district.clock.now
    with hub.database.transaction() as session:
        post = health_posts.find_post(session, DISTRICT, district.posts[0])
        assert post is not None
        own, other = (
            post.health_centre_id,
            health_posts.add_health_centre(session, hub, "Lain", None, actor="operator", now=now),
        )
    areas = {
        "cadre": ("cadre", "post", district.posts[0]),
        "own": ("staff", "health_centre", own),
        "other": ("staff", "health_centre", other),
        "whole": ("supervisor", "district", DISTRICT),
        "desa": ("tpps", "village", VILLAGE),
    }
    for name, (role, kind, scope) in areas.items():
        add(district, f"orang.{name}", role=role, scope_kind=kind, scope=scope)
    return {"own": own, "other": other}


def managed(district: District, manager: Person | None) -> set[str]:
    with district.hub.database.reading() as session:
        return {
            one.username.removeprefix("orang.")
            for one in people.people(session, district.hub, manager, district.clock.now)
        }


def test_people_are_managed_within_the_own_area_alone(installed: District) -> None:
    centres = staffed(installed)
    everybody = {"cadre", "own", "other", "whole", "desa"}
    local = Person("", "a", "A", "administrator", "health_centre", centres["own"])
    assert managed(installed, None) == everybody
    assert managed(installed, BOSS) == everybody
    assert managed(installed, local) == {"cadre", "own"}
    for role, kind, scope in (("staff", "district", DISTRICT), ("administrator", "village", VILLAGE)):
        assert managed(installed, Person("", "a", "A", role, kind, scope)) == set()


def test_no_area_beyond_the_own_can_be_given(installed: District) -> None:
    centres = staffed(installed)
    local = Person("", "a", "A", "administrator", "health_centre", centres["own"])
    with installed.hub.database.reading() as session:
        offered = {role: people.places_to_give(session, installed.hub, local, role) for role in ROLES}
        given = {
            (place.kind, place.id)
            for several in offered.values()
            for place in several
            if people.may_give(session, installed.hub, local, place.kind, place.id)
        }
        beyond = [
            ("health_centre", centres["other"]),
            ("district", DISTRICT),
            ("village", VILLAGE),
            ("post", "x"),
        ]
        assert not any(people.may_give(session, installed.hub, local, *place) for place in beyond)
        assert all(people.may_give(session, installed.hub, BOSS, *place) for place in beyond[:3])
    assert given == {
        ("health_centre", centres["own"]),
        ("post", installed.posts[0]),
        ("post", installed.posts[1]),
    }
    assert (offered["tpps"], offered["donor"]) == ([], [])


def test_whole_district_offers_every_kind_of_place(on_sqlite: District) -> None:
    with on_sqlite.hub.database.reading() as session:
        kinds = {
            role: {place.kind for place in people.places_to_give(session, on_sqlite.hub, BOSS, role)}
            for role in ROLES
        }
    # of one donor's aid is offered once there is a donor
    assert kinds == {role: set(allowed) - {"donor"} for role, allowed in SCOPES_OF.items()}


def test_account_beyond_the_own_area_is_unknown(on_sqlite: District) -> None:
    centres = staffed(on_sqlite)
    local = Person("", "a", "A", "administrator", "health_centre", centres["other"])
    stranger = on_sqlite.rows(select(Account.id).where(Account.username == "orang.cadre"))[0].id
    for wanted in (stranger, "01900000-0000-7000-8000-00000000ffff", "x"):
        refused("record-unknown", partial(within, on_sqlite, people.managed_account, local, wanted))


# -- invitations --------------------------------------------------------------------------------------------------


def test_invited_person_sets_a_password_and_signs_in(installed: District) -> None:
    account = add(installed, password=None)
    assert sign_in(installed) is None
    token = invite(installed, account)
    taken = take_up(installed, token, PASSWORD)
    assert taken.account_id == account
    assert sign_in(installed) is not None
    log = installed.actions(audit.OFFICE)
    assert log[-5:] == [
        "account.added", "sign-in.failed", "account.invited", "account.password-set", "sign-in.succeeded",
    ]  # fmt: skip


def test_invitation_works_once(installed: District) -> None:
    token = invite(installed, add(installed, password=None))
    take_up(installed, token, PASSWORD)
    refused("invitation-invalid", lambda: take_up(installed, token, OTHER))
    assert sign_in(installed) is not None


def test_invitation_works_once_when_two_take_it_up_at_once(installed: District) -> None:
    token = invite(installed, add(installed, password=None))

    def attempt(password: str) -> str:
        try:
            take_up(installed, token, password)
        except Problem as problem:
            return problem.code
        return "taken"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(attempt, [PASSWORD, OTHER])) == ["invitation-invalid", "taken"]


@pytest.mark.parametrize(("days", "works"), [(6.99, True), (7, False)])
def test_invitation_expires_after_seven_days(on_sqlite: District, days: float, works: bool) -> None:
    token = invite(on_sqlite, add(on_sqlite, password=None))
    on_sqlite.clock.advance(days=days)
    if works:
        assert within(on_sqlite, people.invited, token, on_sqlite.clock.now).username == "petugas.contoh"
    else:
        refused("invitation-invalid", lambda: within(on_sqlite, people.invited, token, on_sqlite.clock.now))


def test_newer_invitation_ends_the_older(on_sqlite: District) -> None:
    account = add(on_sqlite, password=None)
    older, newer = invite(on_sqlite, account), invite(on_sqlite, account)
    refused("invitation-invalid", lambda: within(on_sqlite, people.invited, older, on_sqlite.clock.now))
    assert within(on_sqlite, people.invited, newer, on_sqlite.clock.now)


def test_refused_password_leaves_the_invitation(on_sqlite: District) -> None:
    token = invite(on_sqlite, add(on_sqlite, password=None))
    with pytest.raises(accounts.PersonRefused, match="at least 12"):
        take_up(on_sqlite, token, "pendek")
    assert take_up(on_sqlite, token, PASSWORD).username == "petugas.contoh"


def test_invitation_is_stored_as_a_digest_only(on_sqlite: District) -> None:
    token = invite(on_sqlite, add(on_sqlite, password=None))
    assert token not in str(on_sqlite.rows(select(table(Invitation))))


def test_reset_takes_nothing_until_it_is_taken_up_and_then_everything(strict: District) -> None:
    account = add(strict)
    before, _, codes = set_up(strict, sign_in(strict))
    token = invite(strict, account)
    assert last(strict) == "account.reset-offered"
    assert found(strict, before).stage == sessions.OPEN
    take_up(strict, token, OTHER)
    assert strict.counts()["session"] == 0
    assert strict.rows(select(RecoveryCode.code_digest)) == []
    assert sign_in(strict) is None
    again = sign_in(strict, OTHER)
    assert found(strict, again).stage == sessions.BARE
    assert give(strict, again, codes[0]) is None


def test_disabled_person_is_out_until_enabled(installed: District) -> None:
    account = add(installed)
    token, link = sign_in(installed), invite(installed, account)
    within(installed, accounts.disable_account, "Petugas.Contoh", actor="operator", now=installed.clock.now)
    with installed.hub.database.reading() as session:
        assert accounts.who_is(session, installed.hub, token, installed.clock.now) is None
    assert sign_in(installed) is None
    refused("invitation-invalid", lambda: within(installed, people.invited, link, installed.clock.now))
    refused("account-disabled", lambda: invite(installed, account))

    def back(session: Any, hub: Any) -> None:
        for _ in range(2):
            people.enable(
                session,
                hub,
                people.account_named(session, hub, "petugas.contoh"),
                actor="operator",
                now=installed.clock.now,
            )

    within(installed, back)
    assert installed.actions(audit.OFFICE).count("account.enabled") == 1
    assert sign_in(installed) is not None


# -- passwords ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("p" * 11, "too-short"),
        ("kuda-laut-hijau" * 9, "too-long"),
        ("x-Petugas.Contoh-9912", "holds-user-name"),
        ("passwordpassword", "easy-to-guess"),
        ("qwertyuiop123", "easy-to-guess"),
        ("aaaaaaaaaaaaaaaa", "easy-to-guess"),
        ("Siti Aminah Contoh", "easy-to-guess"),
    ],
)
def test_password_is_refused_with_the_remedy(password: str, code: str) -> None:
    (fault,) = password_faults(password, "petugas.contoh", "Siti Aminah Contoh")
    assert (fault.path, fault.code, fault.value) == ("password", code, None)
    assert password not in fault.id + fault.en


@pytest.mark.parametrize(
    "password", [PASSWORD, OTHER, "empat kata tanpa kaitan", "ж" * 3 + "kuda laut hijau", "k7#" * 40]
)
def test_good_password_is_taken(password: str) -> None:
    assert password_faults(password, "petugas.contoh", "Petugas Contoh") == [] or password == "k7#" * 40


def test_old_hash_is_made_anew_at_the_next_sign_in(on_sqlite: District) -> None:
    add(on_sqlite)
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)

    def weaken(session: Any, hub: Any) -> None:
        session.scalars(select(Account)).one().password_hash = weak
        audit.append(
            session, DISTRICT, audit.OFFICE, "test.weakened", actor="operator", now=on_sqlite.clock.now
        )

    within(on_sqlite, weaken)
    assert sign_in(on_sqlite) is not None
    ((stored,),) = on_sqlite.rows(select(Account.password_hash))
    assert stored != weak
    assert sign_in(on_sqlite) is not None


def change(district: District, token: str, old: str, new: str) -> Any:
    return sessions.change_password(district.hub, found(district, token), old, new, district.clock.now)


def test_changed_password_ends_every_other_session(installed: District) -> None:
    add(installed)
    token, _ = sign_in(installed), sign_in(installed)
    assert change(installed, token, PASSWORD, OTHER) is True
    assert installed.counts()["session"] == 1
    assert found(installed, token).stage == sessions.OPEN
    assert sign_in(installed) is None
    assert sign_in(installed, OTHER) is not None


def test_password_is_changed_only_by_who_knows_the_old_one(on_sqlite: District) -> None:
    add(on_sqlite)
    token = sign_in(on_sqlite)
    assert change(on_sqlite, token, "salah-salah-salah", OTHER) is False
    assert last(on_sqlite) == "sign-in.failed"
    with pytest.raises(accounts.PersonRefused, match="the old one"):
        change(on_sqlite, token, PASSWORD, PASSWORD)
    for _ in range(attempt_limits.LIMITS["password-again"].tries - 1):
        change(on_sqlite, token, "salah-salah-salah", OTHER)
    refused("too-many-tries", lambda: change(on_sqlite, token, PASSWORD, OTHER))
    assert (
        change(on_sqlite, sign_in(on_sqlite), PASSWORD, OTHER) is True
    )  # the session is stopped, not its person


def test_unknown_user_costs_what_a_wrong_password_costs(on_sqlite: District, in_earnest: None) -> None:
    """Argon2 is the cost: it must run once for either, and once for somebody who was invited and has no password."""
    add(on_sqlite)
    add(on_sqlite, "diundang", password=None)
    sign_in(on_sqlite, "salah", "tidak.ada")  # the hash that nobody has is made once

    def seconds(username: str) -> float:
        started = process_time()
        sign_in(on_sqlite, "salah-salah-salah", username)
        return process_time() - started

    times = {
        name: min(seconds(name) for _ in range(3)) for name in ("petugas.contoh", "tidak.ada", "diundang")
    }
    assert max(times.values()) < 2 * min(times.values()), times


# -- the second factor --------------------------------------------------------------------------------------------


def test_staff_without_a_second_factor_must_set_one_up(strict: District) -> None:
    add(strict)
    token = sign_in(strict)
    assert last(strict) == "sign-in.password-fitted"
    assert found(strict, token).stage == sessions.BARE
    with strict.hub.database.reading() as session:
        assert accounts.who_is(session, strict.hub, token, strict.clock.now) is None
    new, _, codes = set_up(strict, token)
    assert new != token
    assert found(strict, new).stage == sessions.OPEN
    assert len(set(codes)) == second_factor.RECOVERY_CODES
    assert last(strict) == "second-factor.set-up"


def test_cadre_may_have_a_second_factor_and_is_then_asked(strict: District) -> None:
    add(strict, role="cadre", scope_kind="post", scope=strict.posts[0])
    token = sign_in(strict)
    assert found(strict, token).stage == sessions.OPEN
    set_up(strict, token)
    assert found(strict, sign_in(strict)).stage == sessions.WAITING


def test_session_waits_until_the_code_is_given_and_gets_a_new_token(strict: District) -> None:
    add(strict)
    _, app, _ = set_up(strict, sign_in(strict))
    strict.clock.advance(seconds=60)
    token = sign_in(strict)
    assert found(strict, token).stage == sessions.WAITING
    passed = give(strict, token, app.at(strict.clock.now))
    assert passed is not None
    assert (passed.by_recovery_code, passed.codes_left) == (False, 10)
    assert passed.token != token
    assert found(strict, passed.token).stage == sessions.OPEN
    with strict.hub.database.reading() as session:
        assert accounts.session_of(session, strict.hub, token, strict.clock.now) is None
    assert last(strict) == "sign-in.succeeded"


def test_code_of_a_time_step_opens_once(strict: District) -> None:
    add(strict)
    _, app, _ = set_up(strict, sign_in(strict))
    strict.clock.advance(seconds=60)
    code = app.at(strict.clock.now)
    assert give(strict, sign_in(strict), code)
    again = sign_in(strict)
    assert give(strict, again, code) is None
    assert give(strict, again, app.at(strict.clock.now - timedelta(seconds=30))) is None  # nor an earlier one
    assert last(strict) == "second-factor.failed"


def test_code_that_set_up_the_app_does_not_sign_in(on_sqlite: District) -> None:
    add(on_sqlite)
    _, app, _ = set_up(on_sqlite, sign_in(on_sqlite))
    assert give(on_sqlite, sign_in(on_sqlite), app.at(on_sqlite.clock.now)) is None


def test_code_opens_once_when_two_give_it_at_once(strict: District) -> None:
    add(strict)
    _, app, _ = set_up(strict, sign_in(strict))
    strict.clock.advance(seconds=60)
    tokens, code = [sign_in(strict), sign_in(strict)], app.at(strict.clock.now)
    with ThreadPoolExecutor(2) as pool:
        passed = list(pool.map(lambda token: give(strict, token, code), tokens))
    assert sum(one is not None for one in passed) == 1


@pytest.mark.parametrize(
    ("seconds", "opens"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)]
)
def test_code_is_taken_one_step_early_or_late(on_sqlite: District, seconds: int, opens: bool) -> None:
    add(on_sqlite)
    _, app, _ = set_up(on_sqlite, sign_in(on_sqlite))
    on_sqlite.clock.advance(minutes=5)
    code = app.at(on_sqlite.clock.now + timedelta(seconds=seconds))
    assert (give(on_sqlite, sign_in(on_sqlite), f" {code[:3]} {code[3:]} ") is not None) is opens


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "٠١٢٣٤٥", "0" * 5000])
def test_what_is_no_code_opens_nothing(on_sqlite: District, code: str) -> None:
    add(on_sqlite)
    set_up(on_sqlite, sign_in(on_sqlite))
    assert give(on_sqlite, sign_in(on_sqlite), code) is None


def test_account_takes_no_more_codes_after_five_wrong_ones(strict: District) -> None:
    add(strict)
    _, app, codes = set_up(strict, sign_in(strict))
    strict.clock.advance(minutes=5)
    token = sign_in(strict)
    for _ in range(attempt_limits.LIMITS["second-factor-of"].tries):
        assert give(strict, token, "000000") is None
    details = refused("too-many-tries", lambda: give(strict, token, app.at(strict.clock.now)))
    assert 0 < details["seconds"] <= 15 * 60 + 1
    refused("too-many-tries", lambda: give(strict, token, codes[0]))
    strict.clock.advance(seconds=details["seconds"])
    assert give(strict, token, app.at(strict.clock.now)) is not None


def test_right_code_forgives_the_wrong_ones_before(on_sqlite: District) -> None:
    add(on_sqlite)
    _, _, codes = set_up(on_sqlite, sign_in(on_sqlite))
    for code in codes[:2]:
        token = sign_in(on_sqlite)
        for _ in range(attempt_limits.LIMITS["second-factor-of"].tries - 1):
            assert give(on_sqlite, token, "000000") is None
        assert give(on_sqlite, token, code)


def test_recovery_code_opens_once_and_tells_how_many_are_left(strict: District) -> None:
    add(strict)
    _, _, codes = set_up(strict, sign_in(strict))
    passed = give(strict, sign_in(strict), f" {codes[3].lower().replace('-', ' ')}")
    assert passed is not None
    assert (passed.by_recovery_code, passed.codes_left) == (True, 9)
    assert give(strict, sign_in(strict), codes[3]) is None
    assert give(strict, sign_in(strict), codes[4]) is not None


def test_new_recovery_codes_end_the_older(on_sqlite: District) -> None:
    add(on_sqlite)
    token, _, older = set_up(on_sqlite, sign_in(on_sqlite))
    newer = within(on_sqlite, second_factor.new_recovery_codes, found(on_sqlite, token), on_sqlite.clock.now)
    assert give(on_sqlite, sign_in(on_sqlite), older[0]) is None
    assert give(on_sqlite, sign_in(on_sqlite), newer[0]) is not None


def test_new_app_ends_the_old_one_its_codes_and_other_sessions(on_sqlite: District) -> None:
    add(on_sqlite)
    token, old, codes = set_up(on_sqlite, sign_in(on_sqlite))
    sign_in(on_sqlite)
    on_sqlite.clock.advance(minutes=5)
    _, new, _ = set_up(on_sqlite, token)
    assert on_sqlite.counts()["session"] == 1
    on_sqlite.clock.advance(minutes=5)
    waiting = sign_in(on_sqlite)
    assert give(on_sqlite, waiting, old.at(on_sqlite.clock.now)) is None
    assert give(on_sqlite, waiting, codes[0]) is None
    assert give(on_sqlite, waiting, new.at(on_sqlite.clock.now)) is not None


def test_secret_and_codes_are_stored_sealed_or_digested(on_sqlite: District) -> None:
    add(on_sqlite)
    signed = found(on_sqlite, sign_in(on_sqlite))
    secret = second_factor.new_secret(on_sqlite.hub, signed)
    code = pyotp.TOTP(secret.text).at(on_sqlite.clock.now)
    _, codes = within(on_sqlite, second_factor.set_up, signed, secret, code, on_sqlite.clock.now)
    stored = str([on_sqlite.rows(select(kept)) for kept in Base.metadata.tables.values()])
    assert secret.text not in stored
    assert secret.text not in repr(secret)
    assert not any(code in stored or code.replace("-", "") in stored for code in codes)


def test_unconfirmed_secret_is_of_its_session_alone(on_sqlite: District) -> None:
    add(on_sqlite)
    one, other = (found(on_sqlite, sign_in(on_sqlite)) for _ in range(2))
    secret = second_factor.new_secret(on_sqlite.hub, one)
    back = second_factor.pending_secret(on_sqlite.hub, one, secret.sealed)
    assert back == secret
    for sealed in (secret.sealed[:-4], "", "x", "ä", secret.text):
        assert second_factor.pending_secret(on_sqlite.hub, one, sealed) is None
    assert second_factor.pending_secret(on_sqlite.hub, other, secret.sealed) is None


def test_wrong_code_sets_nothing_up(on_sqlite: District) -> None:
    add(on_sqlite)
    signed = found(on_sqlite, sign_in(on_sqlite))
    secret = second_factor.new_secret(on_sqlite.hub, signed)
    assert within(on_sqlite, second_factor.set_up, signed, secret, "000000", on_sqlite.clock.now) is None
    assert found(on_sqlite, sign_in(on_sqlite)).has_second_factor is False


# -- limits -------------------------------------------------------------------------------------------------------


def fail(district: District, times: int, address: str = ADDRESS) -> None:
    """Let an address have failed so often: the last time really, those before as the table counts them."""

    def count(session: Any, hub: Any) -> None:
        for _ in range(times - 1):
            attempt_limits.note_failure(session, hub, "sign-in", address, district.clock.now)
        audit.append(session, DISTRICT, audit.OFFICE, "test.failed", actor="operator", now=district.clock.now)

    within(district, count)
    assert sign_in(district, "salah", "tidak.ada", address=address) is None


def test_address_is_stopped_after_thirty_failures_whoever_it_names(installed: District) -> None:
    add(installed)
    fail(installed, attempt_limits.LIMITS["sign-in"].tries)
    details = refused("too-many-tries", lambda: sign_in(installed, address=ADDRESS))
    assert 0 < details["seconds"] <= 10 * 60 + 1
    assert sign_in(installed, address="203.0.113.8") is not None
    installed.clock.advance(seconds=details["seconds"])
    assert sign_in(installed, address=ADDRESS) is not None


def test_success_costs_an_office_nothing(on_sqlite: District) -> None:
    add(on_sqlite)
    fail(on_sqlite, attempt_limits.LIMITS["sign-in"].tries - 1)
    for _ in range(3):
        assert sign_in(on_sqlite, address=ADDRESS) is not None


def test_failures_are_counted_once_each_when_workers_count_at_once(installed: District) -> None:
    def attempt(_: int) -> None:
        attempt_limits.note_refusal(installed.hub, "enrolment", ADDRESS, installed.clock.now)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(attempt, range(12)))
    assert [row.count for row in installed.rows(select(RateLimit.count.label("count")))] == [12]
    assert installed.actions(audit.OFFICE).count("try.failed") == 12


def test_address_is_kept_as_a_keyed_digest_and_forgotten(on_sqlite: District) -> None:
    fail(on_sqlite, 2)
    kept = str(on_sqlite.rows(select(table(RateLimit))))
    assert ADDRESS not in kept
    on_sqlite.clock.advance(days=2)  # the day within which guesses at one name are counted

    def forget(session: Any, hub: Any) -> int:
        audit.append(session, DISTRICT, audit.OFFICE, "test.ran", actor="operator", now=on_sqlite.clock.now)
        return attempt_limits.forget_old(session, hub, on_sqlite.clock.now)

    assert within(on_sqlite, forget) == 2
    assert on_sqlite.rows(select(RateLimit.count)) == []


# -- sessions -----------------------------------------------------------------------------------------------------


def test_sessions_are_listed_and_ended(installed: District) -> None:
    account = add(installed)
    add(installed, "orang.lain")
    tokens = [sign_in(installed, agent=agent) for agent in ("Chrome, Android", "Firefox, Linux")]
    stranger = found(installed, sign_in(installed, username="orang.lain"))
    mine = found(installed, tokens[0])

    def listed() -> dict[str, str]:
        with installed.hub.database.reading() as session:
            several = sessions.sessions_of(session, installed.hub, mine.person, installed.clock.now)
        return {one.id: one.agent for one in several}

    assert sorted(listed().values()) == ["Chrome, Android", "Firefox, Linux"]
    for wanted in (stranger.id, "x"):
        refused("record-unknown", partial(end, installed, mine.person, wanted))
    end(installed, mine.person, found(installed, tokens[1]).id)
    assert listed() == {mine.id: "Chrome, Android"}
    sign_in(installed)
    assert within(installed, sessions.end_others, mine, installed.clock.now) == 1
    assert list(listed()) == [mine.id]
    assert [
        row.account_id
        for row in installed.rows(select(UserSession.account_id).where(UserSession.id == mine.id))
    ] == [account]


def end(district: District, person: Person, sign_in_id: str) -> None:
    within(district, sessions.end_session, person, sign_in_id, district.clock.now)


def test_log_names_nobody(on_sqlite: District) -> None:
    before = len(on_sqlite.actions(audit.OFFICE))
    account = add(on_sqlite)
    token = invite(on_sqlite, account)
    take_up(on_sqlite, token, OTHER)
    set_up(on_sqlite, sign_in(on_sqlite, OTHER, address=ADDRESS, agent="Chrome"))
    sign_in(on_sqlite, address=ADDRESS)
    entry = Base.metadata.tables["audit_entry"].c
    told = select(entry.details).where(entry.stream == audit.OFFICE, entry.number > before)
    entries = str(on_sqlite.rows(told)).casefold()
    assert account in entries
    for said in ("petugas", "contoh", ADDRESS, "chrome", token.casefold(), OTHER):
        assert said not in entries
    assert on_sqlite.broken_log() == []
