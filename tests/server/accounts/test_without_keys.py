"""Somebody may read and change every row of the database, but has no key file: nothing signs in, enrols or opens.

The intruder has a donor's account and its password, an account that was disabled, a tablet of staff of another post, a
revoked tablet and a closed one of the first post, a device that only sends, codes and links for what they may do, and copies
every value from wherever it stands. Each attack changes rows, then uses what it should have opened; `Intruder.haul` is all
that the server answered.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from math import log2
from typing import Any, Final

import pytest
from sqlalchemy import delete, insert, select, update

from server import accounts
from server.accounts import Person, forged_rows
from server.accounts.codes import CODE_ALPHABET, LONG, letters_of, new_code
from server.app import create_app
from server.crypto.vault import base64url, sha256
from server.database.models import (
    Account,
    AuditEntry,
    Base,
    EnrolmentCode,
    Invitation,
    Notice,
    RecoveryCode,
    Tablet,
    TabletPost,
    Username,
    UserSession,
    table,
)
from server.database.row_macs import RowForged
from server.errors import Problem
from server.operations.doctor import Check, examine
from tests.server._district import DISTRICT, Databases, District, behind_its_back
from tests.server._people import add_person
from tests.server.accounts._intruder import BOSS, DONOR, PLANTED, Intruder, code_for, populated
from tests.server.accounts._people import add, found, give, set_up, sign_in, take_up
from tests.server.accounts.test_recovery import Asking, code_for as code_for_pin
from tests.server.web._clinic import sign_in as sign_in_browser


@pytest.fixture
def intruder(databases: Databases) -> Iterator[Intruder]:
    with District.opened(databases, log_level="CRITICAL") as district:
        yield populated(district)


def plain(token: str) -> str:
    """Give the digest that somebody without keys can make."""
    return base64url(sha256(token.encode()))


def of(model: Any, id_: str) -> Any:
    return table(model).c.id == id_


# -- attacks on people ------------------------------------------------------------------------------


def session_is_pointed_at_a_supervisor(i: Intruder) -> None:
    i.change(update(table(UserSession)).values(account_id=i.boss))
    i.walk()


def session_of_ones_own_is_added(i: Intruder) -> None:
    (copied,) = [i.copy_of(UserSession)]
    i.change(insert(table(UserSession)).values({**copied, "token_digest": plain("x"), "account_id": i.boss}))
    i.open_with("x")


def session_of_a_supervisor_gets_ones_own_digest(i: Intruder) -> None:
    theirs = create_app(i.district.hub.settings, i.district.hub).test_client()
    sign_in_browser(theirs, Person(i.boss, "penyelia", "", "staff", "", ""), BOSS)
    c = table(UserSession).c
    mine = i.copy_of(UserSession, c.account_id == i.donor)
    i.change(
        delete(table(UserSession)).where(c.account_id == i.donor),
        update(table(UserSession)).values(token_digest=mine["token_digest"]),
    )
    i.walk()


def session_that_has_expired_is_revived(i: Intruder) -> None:
    later = i.district.clock.now + timedelta(days=400)
    i.change(update(table(UserSession)).values(expires_at=later, last_seen_at=later))
    with i.district.hub.database.reading() as session, pytest.raises(RowForged):
        accounts.who_is(session, i.district.hub, i.session, i.district.clock.now)
    i.walk()


def donor_becomes_a_supervisor(i: Intruder) -> None:
    values = {"role": "staff", "scope_kind": "district", "scope": DISTRICT}
    i.change(update(table(Account)).values(**values).where(of(Account, i.donor)))
    i.enter("donatur", DONOR)
    i.walk()


def donor_becomes_a_supervisor_with_the_mac_of_one(i: Intruder) -> None:
    boss = i.copy_of(Account, of(Account, i.boss))
    values = {name: boss[name] for name in ("role", "scope_kind", "scope", "mac")}
    i.change(update(table(Account)).values(**values).where(of(Account, i.donor)))
    i.enter("donatur", DONOR)
    i.walk()


def donor_becomes_a_supervisor_without_a_mac(i: Intruder) -> None:
    values = {"role": "staff", "scope_kind": "district", "scope": DISTRICT, "mac": None}
    i.change(update(table(Account)).values(**values).where(of(Account, i.donor)))
    i.enter("donatur", DONOR)
    i.walk()


def password_of_a_supervisor_is_replaced_by_ones_own(i: Intruder) -> None:
    mine = i.copy_of(Account, of(Account, i.donor))
    i.change(update(table(Account)).values(password_hash=mine["password_hash"]).where(of(Account, i.boss)))
    i.enter("penyelia", DONOR)


def names_of_two_accounts_are_swapped(i: Intruder) -> None:
    a, u = table(Account), table(Username)
    i.change(
        update(a).values(username="lain").where(of(Account, i.boss)),
        update(a).values(username="penyelia").where(of(Account, i.donor)),
        update(u).values(account_id=i.donor).where(u.c.name == "penyelia"),
    )
    i.enter("penyelia", DONOR)
    i.enter("lain", BOSS)
    i.walk()


def id_of_a_supervisor_is_taken_over(i: Intruder) -> None:
    """The donor's row keeps its name and password, under the id and the place of the supervisor."""
    boss = i.copy_of(Account, of(Account, i.boss))
    donor = i.copy_of(Account, of(Account, i.donor))
    mine = {**boss, **{name: donor[name] for name in ("username", "password_hash")}}
    i.change(
        update(table(Account)).values(username="x").where(of(Account, i.donor)),
        update(table(Account)).values({**mine, "mac": donor["mac"]}).where(of(Account, i.boss)),
    )
    i.enter("donatur", DONOR)


def disabled_account_is_enabled(i: Intruder) -> None:
    i.change(update(table(Account)).values(disabled_at=None).where(of(Account, i.disabled)))
    i.enter("bekas", DONOR)


def invitation_of_ones_own_is_added(i: Intruder) -> None:
    mine = i.copy_of(Invitation)
    i.change(insert(table(Invitation)).values({**mine, "token_digest": plain("x"), "account_id": i.boss}))
    i.take_up("x")


def invitation_is_pointed_at_a_supervisor(i: Intruder) -> None:
    i.change(update(table(Invitation)).values(account_id=i.boss))
    i.take_up(i.invitation)


def invitation_that_was_used_is_revived(i: Intruder) -> None:
    take_up(i.district, i.invitation, "kata-sandi-yang-pertama")
    i.change(update(table(Invitation)).values(used_at=None))
    with pytest.raises(Problem):
        take_up(i.district, i.invitation, "kata-sandi-yang-kedua")


def invitation_that_has_expired_is_revived(i: Intruder) -> None:
    i.district.clock.advance(days=8)
    i.change(update(table(Invitation)).values(expires_at=i.district.clock.now + timedelta(days=1)))
    with pytest.raises(Problem):
        take_up(i.district, i.invitation, "kata-sandi-yang-kedua")


# -- attacks on tablets -----------------------------------------------------------------------------


def code_of_ones_own_is_added(i: Intruder) -> None:
    c = table(EnrolmentCode).c
    mine = i.copy_of(EnrolmentCode, c.used_at.is_(None), c.post_id == i.district.posts[1])
    code = "ABCD-EFGH-JKMNP"
    changed = {"code_digest": plain(code), "post_id": i.district.posts[0]}
    i.change(insert(table(EnrolmentCode)).values({**mine, **changed}))
    i.enrol(code)


def code_of_another_post_is_pointed_at_the_first(i: Intruder) -> None:
    c = table(EnrolmentCode).c
    i.change(update(table(EnrolmentCode)).values(post_id=i.district.posts[0]).where(c.used_at.is_(None)))
    i.enrol(i.enrolment)


def code_of_another_post_gets_the_first_as_a_second(i: Intruder) -> None:
    c = table(EnrolmentCode).c
    values = {"posts": f'["{i.district.posts[0]}"]'}
    i.change(update(table(EnrolmentCode)).values(**values).where(c.used_at.is_(None)))
    i.enrol(i.enrolment)


def code_that_was_used_is_revived(i: Intruder) -> None:
    c = table(EnrolmentCode).c
    i.change(update(table(EnrolmentCode)).values(used_at=None, tablet_id=None).where(c.used_at.is_not(None)))
    i.enrol(i.used_enrolment)


def key_of_a_tablet_is_replaced(i: Intruder) -> None:
    mine = i.as_tablet(i.tablets["first"].id)
    key = i.copy_of(Tablet, of(Tablet, i.tablets["staff"].id))["public_key"]
    fresh = {"last_counter": 0, "chain_hash": "", "head_counter": 0, "token": ""}
    i.change(update(table(Tablet)).values(public_key=key, **fresh).where(of(Tablet, mine.id)))
    mine.key = i.tablets["staff"].key
    i.sync(mine)


def tablet_of_ones_own_is_added(i: Intruder) -> None:
    first = i.copy_of(Tablet, of(Tablet, i.tablets["first"].id))
    staff = i.copy_of(Tablet, of(Tablet, i.tablets["staff"].id))
    mine = i.as_tablet(i.district.new_id())
    mine.key = i.tablets["staff"].key
    changed = {"id": mine.id, "public_key": staff["public_key"], "last_counter": 0, "chain_hash": ""}
    i.change(insert(table(Tablet)).values({**first, **changed, "head_counter": 0, "token": ""}))
    i.sync(mine)


def revoked_tablet_is_used_again(i: Intruder) -> None:
    i.change(update(table(Tablet)).values(revoked_at=None).where(of(Tablet, i.tablets["revoked"].id)))
    i.sync(i.tablets["revoked"])


def closed_tablet_is_used_again(i: Intruder) -> None:
    i.change(update(table(Tablet)).values(closed_at=None).where(of(Tablet, i.tablets["closed"].id)))
    i.sync(i.tablets["closed"])


def tablet_of_another_post_is_moved(i: Intruder) -> None:
    other = i.district.tablet(1, "Tablet Anggrek")
    i.change(update(table(Tablet)).values(post_id=i.district.posts[0]).where(of(Tablet, other.id)))
    i.sync(other)


def scale_gets_what_tablets_get(i: Intruder) -> None:
    false = {"write_only": 0 if i.district.hub.database.is_sqlite else False}
    i.change(update(table(Tablet)).values(**false).where(of(Tablet, i.tablets["scale"].id)))
    i.sync(i.tablets["scale"])


def tablet_of_staff_is_given_a_post(i: Intruder) -> None:
    c = table(TabletPost).c
    own = c.tablet_id == i.tablets["staff"].id, c.post_id == i.district.posts[1]
    i.change(insert(table(TabletPost)).values(i.copy_of(TabletPost, *own, post_id=i.district.posts[0])))
    i.sync(i.tablets["staff"])


def post_that_was_taken_is_given_back(i: Intruder) -> None:
    c = table(TabletPost).c
    i.change(update(table(TabletPost)).values(taken_at=None).where(c.taken_at.is_not(None)))
    i.sync(i.tablets["given-back"])


ATTACKS: Final = [
    *(session_is_pointed_at_a_supervisor, session_of_ones_own_is_added, session_that_has_expired_is_revived),
    *(session_of_a_supervisor_gets_ones_own_digest, donor_becomes_a_supervisor),
    *(donor_becomes_a_supervisor_with_the_mac_of_one, donor_becomes_a_supervisor_without_a_mac),
    *(password_of_a_supervisor_is_replaced_by_ones_own, names_of_two_accounts_are_swapped),
    *(id_of_a_supervisor_is_taken_over, disabled_account_is_enabled, invitation_of_ones_own_is_added),
    *(invitation_is_pointed_at_a_supervisor, invitation_that_was_used_is_revived),
    *(invitation_that_has_expired_is_revived, code_of_ones_own_is_added),
    *(code_of_another_post_is_pointed_at_the_first, code_of_another_post_gets_the_first_as_a_second),
    *(code_that_was_used_is_revived, key_of_a_tablet_is_replaced, tablet_of_ones_own_is_added),
    *(revoked_tablet_is_used_again, closed_tablet_is_used_again, tablet_of_another_post_is_moved),
    *(scale_gets_what_tablets_get, tablet_of_staff_is_given_a_post, post_that_was_taken_is_given_back),
]


@pytest.mark.every_case
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_nothing_is_read_by_who_writes_to_the_database_without_keys(
    intruder: Intruder, attack: Callable[[Intruder], None]
) -> None:
    attack(intruder)
    told = [(word, page[:200]) for page in intruder.haul for word in PLANTED if word in page]
    assert told == []


def test_who_may_sees_what_was_planted(intruder: Intruder) -> None:
    """The walk finds names where they are shown: otherwise the attacks would prove nothing."""
    hub, now = intruder.district.hub, intruder.district.clock.now
    who = "bidan", "Bidan", "staff", "district", DISTRICT
    staff = Person(add_person(hub, *who, BOSS, now), *who)
    browser = create_app(hub.settings, hub).test_client()
    sign_in_browser(browser, staff, BOSS)
    intruder.walk(browser)
    assert all(any(word in page for page in intruder.haul) for word in PLANTED)
    intruder.haul.clear()
    intruder.sync(intruder.tablets["first"].clone())
    intruder.enrol(code_for(intruder.district, 0))
    assert all(any(word in page for page in intruder.haul) for word in PLANTED)


# -- the second factor ------------------------------------------------------------------------------


@pytest.fixture
def strict(databases: Databases) -> Iterator[District]:
    """Give a district where staff must have a second factor, and `petugas.contoh` of staff."""
    with District.opened(databases, second_factor=True) as district:
        add(district)
        yield district


def changed(district: District, *statements: Any) -> None:
    with behind_its_back(district) as connection:
        for statement in statements:
            assert connection.execute(statement).rowcount != 0


def test_second_factor_is_not_taken_away_nor_brought_along(strict: District) -> None:
    """The intruder knows the password of somebody of staff, and has an account of staff of their own."""
    set_up(strict, sign_in(strict))
    add(strict, "intruder")
    set_up(strict, sign_in(strict, username="intruder"))
    a = table(Account)
    with behind_its_back(strict) as connection:
        mine = connection.execute(select(a).where(a.c.username == "intruder")).mappings().one()
    theirs = a.c.username == "petugas.contoh"
    for values in (
        {"totp_sealed": None},
        {"totp_sealed": mine["totp_sealed"], "totp_step": None},
        {"totp_sealed": mine["totp_sealed"], "totp_step": None, "mac": mine["mac"]},
    ):
        changed(strict, update(a).values(**values).where(theirs))
        with pytest.raises(RowForged):
            sign_in(strict)


def test_session_does_not_pass_the_second_factor_by_a_write(strict: District) -> None:
    set_up(strict, sign_in(strict))
    token = sign_in(strict)
    assert found(strict, token).stage == "second-factor"
    changed(strict, update(table(UserSession)).values(passed_at=strict.clock.now))
    with strict.hub.database.reading() as session, pytest.raises(RowForged):
        accounts.who_is(session, strict.hub, token, strict.clock.now)


def test_recovery_code_of_ones_own_or_used_opens_nothing(strict: District) -> None:
    _, _, codes = set_up(strict, sign_in(strict))
    add(strict, "intruder")
    _, _, mine = set_up(strict, sign_in(strict, username="intruder"))
    c, strangers = table(RecoveryCode).c, select(Account.id).where(Account.username == "intruder")
    assert give(strict, sign_in(strict), codes[0]) is not None
    changed(strict, update(table(RecoveryCode)).values(used_at=None).where(c.used_at.is_not(None)))
    with pytest.raises(RowForged):
        give(strict, sign_in(strict), codes[0])
    victim = select(Account.id).where(Account.username == "petugas.contoh").scalar_subquery()
    moved = update(table(RecoveryCode)).values(account_id=victim)
    changed(strict, moved.where(c.account_id == strangers.scalar_subquery()))
    assert give(strict, sign_in(strict), mine[0]) is None


def test_finder_of_a_tablet_gets_no_pin_by_writing_to_the_database(intruder: Intruder) -> None:
    """Somebody has a tablet, with its key and its box, and a code for the PIN of another: neither opens the box."""
    district, now = intruder.district, intruder.district.clock.now
    asking, own = (
        Asking(district, intruder.tablets["first"]),
        code_for_pin(district, intruder.tablets["other"]),
    )
    code, c = "ABCD-EFGH-JK", table(EnrolmentCode).c
    mine = intruder.copy_of(EnrolmentCode, c.tablet_id == intruder.tablets["other"].id, c.used_at.is_(None))
    theirs = {**mine, "tablet_id": asking.tablet.id}
    intruder.change(
        insert(table(EnrolmentCode)).values(
            {**theirs, "code_digest": plain(f"pin/{asking.tablet.id}/{code}")}
        ),
        update(table(EnrolmentCode))
        .values(tablet_id=asking.tablet.id)
        .where(c.code_digest == mine["code_digest"]),
    )
    for tried in (code, own):
        with pytest.raises(Problem, match="pin-code-invalid"):
            asking.send(asking.body(tried))
    past = code_for_pin(district, asking.tablet)
    district.clock.advance(hours=2)
    intruder.change(update(table(EnrolmentCode)).values(expires_at=now + timedelta(days=9)))
    with pytest.raises(RowForged):
        asking.send(asking.body(past))


# -- reading alone ----------------------------------------------------------------------------------


def test_copy_of_the_database_holds_nothing_that_opens(intruder: Intruder) -> None:
    """No token, code or link, nor a digest of one that can be made without the keys, is in any row."""
    code = intruder.enrolment
    for secret in (intruder.session, intruder.invitation, code, code.replace("-", "")):
        for text in (secret, plain(secret), sha256(secret.encode()).hex()):
            with behind_its_back(intruder.district) as connection:
                for each in Base.metadata.sorted_tables:
                    for row in connection.execute(select(each)):
                        assert not any(text in str(value) for value in row)


def test_codes_that_live_for_days_have_64_bits() -> None:
    assert sum(LONG) * log2(len(set(CODE_ALPHABET))) >= 64
    drawn = [letters_of(new_code(LONG)) for _ in range(200)]
    assert {len(code) for code in drawn} == {sum(LONG)}
    assert len({letter for code in drawn for letter in code}) == len(CODE_ALPHABET)


# -- what is told -----------------------------------------------------------------------------------


def looked_at(district: District) -> Check:
    """Give what doctor says of the rows that carry a MAC."""
    checks = examine(district.hub.settings, now=district.clock.now, quick=True, progress=lambda *_: None)
    return next(check for check in checks if check.name == "vouched")


def test_doctor_names_each_row_that_was_changed_and_none_else(intruder: Intruder) -> None:
    assert looked_at(intruder.district).is_ok
    values = {"revoked_at": None}
    revoked = intruder.tablets["revoked"].id
    intruder.change(
        update(table(Tablet)).values(**values).where(of(Tablet, revoked)),
        update(table(Account)).values(role="administrator").where(of(Account, intruder.donor)),
    )
    assert looked_at(intruder.district).found == [f"account {intruder.donor}", f"tablet {revoked}"]


def test_row_is_told_once_in_the_log_and_on_the_page_of_tablets(intruder: Intruder) -> None:
    district, tablet = intruder.district, intruder.tablets["revoked"]
    intruder.change(update(table(Tablet)).values(revoked_at=None).where(of(Tablet, tablet.id)))
    for _ in range(3):
        message = tablet.next_message()
        answer = intruder.browser.post("/api/v1/sync", data=message, content_type="application/json")
        assert (answer.status_code, answer.get_json()["code"]) == (403, "row-forged")
    told = select(AuditEntry.details).where(AuditEntry.action == "row.forged")
    assert len(district.rows(told)) == 1
    assert district.rows(select(Notice.kind, Notice.subject)) == [("row-forged", tablet.id)]


def test_operator_ends_what_somebody_else_has_written(intruder: Intruder) -> None:
    """What is left is in order and opens nothing; what was in order still works."""
    district = intruder.district
    revoked = intruder.tablets["revoked"]
    intruder.change(
        update(table(Tablet)).values(revoked_at=None).where(of(Tablet, revoked.id)),
        update(table(Account)).values(role="staff").where(of(Account, intruder.donor)),
        update(table(UserSession)).values(account_id=intruder.boss),
    )
    with district.hub.database.transaction() as session:
        ended = forged_rows.end_all(session, district.hub, actor="operator", now=district.clock.now)
    assert {one.table for one in ended} == {"tablet", "account", "session"}
    assert looked_at(district).is_ok
    intruder.sync(revoked)
    intruder.enter("donatur", DONOR)
    intruder.walk()
    assert not any(word in page for page in intruder.haul for word in PLANTED)
    assert district.broken_log() == []
    assert sign_in(district, BOSS, "penyelia")
