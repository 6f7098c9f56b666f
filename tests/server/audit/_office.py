"""A month of a district in which every table has rows: what somebody with the database's password would find to alter."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import insert, select

from server import audit
from server.accounts.people import invitations
from server.accounts.people.accounts import account_named
from server.aid import deliveries, register
from server.app import create_app
from server.audit import checkpoints
from server.database.bound_rows import BINDINGS
from server.database.models import Base, ChangeRow, DuplicatePair, Passkey
from server.operations import scheduler
from server.review import Scope, duplicate_pairs, moves, quarantine, saved_views
from tests.server._district import DISTRICT, District
from tests.server.accounts._people import set_up, sign_in as guest_sign_in
from tests.server.audit._made_up import MadeUp, write
from tests.server.privacy._requests import answer, ask as ask_right, erased
from tests.server.web._clinic import PASSWORD, Clinic, csrf_token, sign_in
from tests.server.web._role_world import a_commitment, a_sheet, imported

JOBS: Final = (
    *("unmeasured-children", "silent-tablets", "new-rules", "figures", "oversight", "recomputation"),
    *("ended-sign-ins", "sign-log"),
)
BY: Final = "account:uji"
FITTING: Final[Mapping[str, Mapping[str, Any]]] = {
    "witness": {"public_keys": "[]"},
    "witnessed_log": {"public_keys": "[]"},
    "cosignature": {"lines": ""},
}
"""What made-up rows must hold to be taken for those of a directory, which signs nothing."""


def a_month_of_office(district: District) -> None:
    """Let cadres, staff, donors and parents do everything that leaves a row; then run the jobs and sign the log."""
    clinic = Clinic.opened(district)
    children = _children(clinic)
    _people(clinic)
    _decide(clinic, children)
    _aid(clinic, children)
    _import(clinic)
    district.clock.advance(days=30)
    tablet = clinic.second
    tablet.measure(children[0], "2026-04-04", weight_g=9300, length_mm=790)
    tablet.sync_until_quiet()
    run_jobs(district)
    _fill_empty(district)
    with district.hub.database.transaction() as session:
        checkpoints.make(session, district.hub, district.clock.now, actor="operator")


def _fill_empty(district: District) -> None:
    """Write made-up rows, as the program would, into the bound tables for which nothing above has a reason."""
    counts, rows = district.counts(), MadeUp()
    for of in Base.metadata.sorted_tables:
        for row in district.rows(select(of).limit(1)):
            rows.newest[of.name] = dict(row._mapping)
    for of in Base.metadata.sorted_tables:
        if of.name in BINDINGS and not counts[of.name]:
            first, second = ({**rows.row(of), **FITTING.get(of.name, {})} for _ in range(2))
            keys = [column.name for column in of.primary_key.columns]
            both = [first, second] if any(first[key] != second[key] for key in keys) else [first]
            write(district, *(insert(of).values(row) for row in both))


def run_jobs(district: District) -> None:
    for name in JOBS:
        scheduler.timetable(district.hub.settings)[name].task(district.hub, district.clock.now)


def _children(clinic: Clinic) -> list[str]:
    """Measure children who thrive and who do not, in conflict, alike, with a NIK, moved, wrong, and with tasks."""
    district = clinic.district
    children = [
        clinic.child(
            f"Anak {number}", haz=-3.2 if number % 2 else 0.1, nik={"nik": f"64020210012500{number:02}"}
        )
        for number in range(4)
    ]
    children += [clinic.disputed_child("Anak Berselisih"), clinic.disputed_child("Anak Berselisih Lagi")]
    for name in ("Bunga Kembar Contoh", "Melati Kembar Contoh"):
        children += [clinic.child(name, days=()), clinic.child(name, tablet=clinic.second, days=())]
    for number, child in enumerate(children[:2]):
        task = clinic.first.set_task(child, action="home_visit", due_on="2026-03-20")
        if number:
            clinic.first.set_result(child, task)
        wrong = clinic.first.replica.open_measurement(child, f"2025-01-{20 + number}")
        clinic.first.write(wrong, {"weight": {"weight_g": 90_000_000, "oedema": None}})
        clinic.first.write(wrong, {"weight": {"weight_g": 95_000_000, "oedema": None}})
    clinic.first.sync_until_quiet()
    staff = district.staff_tablet(district.posts[0], district.posts[1])
    staff.sync_until_quiet()
    return children


def _people(clinic: Clinic) -> None:
    """Add people, one with a second factor and recovery codes, two who are invited, one who guesses a password."""
    district = clinic.district
    hub, now = district.hub, district.clock.now
    people = [clinic.person("supervisor", "district", DISTRICT), clinic.person("staff"), clinic.donor()]
    clients = [create_app(hub.settings, hub).test_client() for _ in people]
    for person, client in zip(people, clients, strict=True):
        sign_in(client, person)
    with hub.database.transaction() as session:
        for person in people[:2]:
            invitations.make_invitation(
                session, hub, account_named(session, hub, person.username), actor=BY, now=now
            )
            saved_views.keep(session, hub, person.account_id, "Hari ini", "urgency=1", now)
            saved_views.keep(session, hub, person.account_id, "Besok", "urgency=2", now)
    token = guest_sign_in(district, PASSWORD, people[1].username)
    set_up(district, token)
    with hub.database.transaction() as session:
        for number in (1, 2):
            held = {
                "id": district.new_id(),
                "name": "HP",
                "user_handle": bytes(32),
                "public_key": bytes([number]) * 77,
            }
            key = {
                "credential_id": f"kunci-{number}",
                "account_id": people[1].account_id,
                "sign_count": number,
            }
            session.add(Passkey(district=DISTRICT, **key, **held, created_at=now, used_at=now))
        audit.append(session, DISTRICT, audit.OFFICE, "passkey.added", actor=BY, now=now)
    for name in ("siapa", "siapa.lagi"):
        form = {"csrf_token": csrf_token(clients[0]), "username": name, "password": "bukan-kata-sandi"}
        clients[0].post("/masuk", data=form, headers={"Referer": "http://localhost/masuk"})


def _decide(clinic: Clinic, children: list[str]) -> None:
    district = clinic.district
    hub, now = district.hub, district.clock.now
    scope = Scope.whole_district(hub, shows_names=True)
    by: Any = {"author": BY, "now": now}
    cases = district.rows(
        select(ChangeRow.actor, ChangeRow.counter).where(ChangeRow.outcome == "quarantined")
    )
    pairs = district.rows(select(DuplicatePair.child_id, DuplicatePair.other_id))
    with hub.database.transaction() as session:
        for case in cases[:2]:
            quarantine.dismiss(session, hub, scope, case.actor, case.counter, {"reason": "practice"}, **by)
        duplicate_pairs.different(session, hub, scope, *pairs[0], **by)
        for child, to in ((children[2], 1), (children[3], 2)):
            moves.move(
                session, hub, scope, child, {"from": district.posts[0], "to": district.posts[to]}, **by
            )
    for child in children[:2]:
        ask_right(district, child, "correction")
    for child in (
        clinic.child("Anak Dihapus", days=("2026-03-05",)),
        clinic.child("Anak Dihapus Lagi", days=()),
    ):
        erased(district, child)
    assert answer(district, ask_right(district, children[5], "restriction")) == "done"


def _aid(clinic: Clinic, children: list[str]) -> None:
    district = clinic.district
    hub, now = district.hub, district.clock.now
    scope = Scope.whole_district(hub, shows_names=True)
    a_commitment(clinic)
    commitment = a_commitment(clinic)
    a_sheet(clinic)
    aid = {"menu": "food", "funds": "csr", "reaches": "child", "donor": None, "commitment": commitment}
    aid |= {"starts_on": "2026-03-01", "ends_on": "2026-03-31"}
    given = {"given_on": "2026-03-05", "quantity": 2, "value_rp": 50_000}
    with hub.database.transaction() as session:
        for child in children[:2]:
            deliveries.record(
                session, hub, scope, child, {"aid": aid, "delivered": given}, author=BY, now=now
            )
        area = register.whole_district(session, hub)
        activity = {"title": "Penyuluhan", "menu": "food", "funds": "csr", "village": "64.02.06.1001"}
        register.add_activity(session, hub, area, {**activity, "starts_on": "2026-03-02"}, author=BY, now=now)


def _import(clinic: Clinic) -> None:
    person = clinic.person("staff", "post", clinic.district.posts[0])
    client = create_app(clinic.district.hub.settings, clinic.district.hub).test_client()
    sign_in(client, person)
    for name in ("Bunga Kembar Contoh", "Melati Kembar Contoh"):
        imported(client, name)
