"""A clinic in which everything is open about one child, and somebody of every role inside and outside its area."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakKeyDictionary

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from server import audit, privacy
from server.accounts import Person
from server.accounts.roles import SCOPES_OF
from server.aid import register, sheets
from server.app import create_app
from server.audit import checkpoints
from server.database.models import AidActivity, CsrSheet, Donor
from server.places import health_posts
from server.review import Scope
from sync_protocol import measurement_id
from tests.server._district import DISTRICT, Databases, District
from tests.server._people import add_person
from tests.server.interchange._files import row, xlsx
from tests.server.web._clinic import DAYS, PASSWORD, Clinic, csrf_token, sign_in

OF_WHOLE: Final = frozenset({"donor_id"})
"""Parameters that name what is no place's: those whose area is the whole district find it, or who wrote it down."""


NOT_HERE = ("sign_in_id", "passkey_id")
"""Parameters that name what is nobody's here: another person's session or passkey."""


NAME: Final = "Anak Sangat Rahasia"


OTHER_VILLAGE, OTHER_SUBDISTRICT = "64.02.01.2001", "64.02.01"


@dataclass
class World:
    """A clinic with one child about whom everything is open, and one browser for each person.

    `inside` are those whose area holds the child; `fill` is what stands for each parameter of a route.
    """

    clinic: Clinic
    app: Flask
    fill: dict[str, str]
    inside: dict[str, FlaskClient] = field(default_factory=dict)
    outside: dict[str, FlaskClient] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)

    def everybody(self) -> Iterator[tuple[str, Person, FlaskClient, bool]]:
        for name, client in (*self.inside.items(), *self.outside.items()):
            yield name, self.people[name], client, name in self.inside


def areas(clinic: Clinic, away: str) -> tuple[dict[str, str], dict[str, str]]:
    """Give the scopes that hold the first post, and those that do not, by kind."""
    inside = {
        "post": clinic.district.posts[0],
        "village": "64.02.06.1001",
        "health_centre": clinic.centre,
        "subdistrict": "64.02.06",
        "district": DISTRICT,
        "none": "",
        "donor": donor_of(clinic),
    }
    outside = {
        "post": away,
        "village": OTHER_VILLAGE,
        "health_centre": clinic.other_centre,
        "subdistrict": OTHER_SUBDISTRICT,
    }
    return inside, outside


def donor_of(clinic: Clinic) -> str:
    """Put a donor into the register of aid."""
    district, donor_id = clinic.district, clinic.district.new_id()
    with district.hub.database.transaction() as session:
        made = {"made_by": "operator", "made_at": district.clock.now}
        session.add(
            Donor(district=DISTRICT, id=donor_id, kind="business", name="PT Contoh", named=True, **made)
        )
        audit.append(session, DISTRICT, audit.OFFICE, "test", actor="operator", now=district.clock.now)
    return donor_id


def a_commitment(clinic: Clinic) -> str:
    """Write down what a donor promises to the first post's village."""
    district, donor = clinic.district, donor_of(clinic)
    asked = {"donor": donor, "menu": "food", "funds": "csr", "region": "64.02.06.1001", "places": 1}
    asked |= {"months": 1, "starts_on": "2026-03-01"}
    with district.hub.database.transaction() as session:
        area = register.whole_district(session, district.hub)
        now = district.clock.now
        return register.add_commitment(session, district.hub, area, asked, author="operator", now=now)


def a_sheet(clinic: Clinic) -> dict[str, str]:
    """Take in a company's sheet with one row, of the first post's village; give the ids of both."""
    district, now = clinic.district, clinic.district.clock.now
    csv = b"Kegiatan;Desa;Tanggal\nPemberian makanan tambahan;64.02.06.1001;5/3/2026\n"
    told = {"reported_to": "regency", "donor_id": None, "author": "operator", "now": now}
    with district.hub.database.transaction() as session:
        sheet_id = sheets.bring(session, district.hub, csv, name="csr.csv", **told)  # type: ignore[arg-type]
        sheet = session.get_one(CsrSheet, (DISTRICT, sheet_id))
        mapping = {"title": "Kegiatan", "village": "Desa", "starts": "Tanggal"}
        sheets.take(session, district.hub, sheet, mapping, author="operator", now=now)
    with district.hub.database.reading() as session:
        (activity,) = session.scalars(select(AidActivity.id))
    return {"sheet_id": sheet_id, "activity_id": activity}


def populated(world: World, away: str) -> World:
    """Add and sign in somebody of every role for every area that the role may have, one that holds the child and one not."""
    hub, now = world.clinic.district.hub, world.clinic.district.clock.now
    for held, where in zip((world.inside, world.outside), areas(world.clinic, away), strict=True):
        allowed = ((role, kind) for role, kinds in SCOPES_OF.items() for kind in kinds)
        for role, kind in allowed:
            if kind not in where:
                continue
            side = "in" if held is world.inside else "out"
            name = f"{role}.{kind}.{side}"
            account_id = add_person(hub, name, "Orang Contoh", role, kind, where[kind], PASSWORD, now)
            world.people[name] = Person(account_id, name, "Orang Contoh", role, kind, where[kind])
            held[name] = world.app.test_client()
            sign_in(held[name], world.people[name])
    return world


@contextmanager
def opened(databases: Databases) -> Iterator[World]:
    """Give a world in which a child of the first post is in the queue, disputed, a duplicate, referred and set aside."""
    with District.opened(databases, log_level="CRITICAL") as district:
        clinic = Clinic.opened(district)
        hub, now = district.hub, district.clock.now
        with hub.database.transaction() as session:
            away = health_posts.add_post(
                session, hub, "Dahlia 4", clinic.other_centre, OTHER_VILLAGE, actor="operator", now=now
            )
        child = clinic.disputed_child(NAME)
        other = clinic.child(NAME, haz=-3.4, days=DAYS[-2:])
        clinic.first.measure(other, DAYS[-3], weight_g=90)
        clinic.first.sync_until_quiet()
        case = clinic.first.replica.log[-1].change.dot.counter
        target = clinic.person("staff", "post", district.posts[0])
        with hub.database.transaction() as session:
            checkpoints.make(session, hub, now, actor="operator")
        app = create_app(hub.settings, hub)
        fill = {
            "child_id": child,
            "one": min(child, other),
            "other": max(child, other),
            "kind": "measurement",
            "record_id": measurement_id(child, DAYS[-1], "cadre"),
            "actor": clinic.first.id,
            "counter": str(case),
            "tablet_id": clinic.first.id,
            "batch_id": clinic.first.answers[-1]["receipt"]["batch"],
            **a_sheet(clinic),
            "commitment_id": a_commitment(clinic),
            "donor_id": donor_of(clinic),
            "post_id": district.posts[0],
            "account_id": target.account_id,
            "task": district.new_id(),
            "form": "take",
            "decision": "take",
            "sign_in_id": "01900000-0000-7000-8000-00000000ffff",
            "passkey_id": "01900000-0000-7000-8000-00000000ffff",
            "handle": "no-such-",
            "code": "id",
            "origin": "0" * 64,
            "area_kind": "pos",
            "area": district.posts[0],
            "filename": "style.css",
            "action": "apply",
            "paper": "json",
        }
        asked = {"kind": "correction", "relation": "mother", "by": NAME}
        with hub.database.transaction() as session:
            whole = Scope.whole_district(hub, shows_names=True)
            fill["request_id"] = privacy.receive(
                session, hub, whole, child, asked, author="operator", now=now
            )
        made = populated(World(clinic, app, fill), away)
        desk = made.inside["staff.district.in"]
        plan = {"task": fill["task"], "action": "refer_puskesmas", "due_on": "2030-01-01"}
        assert ask(desk, f"/api/v1/children/{child}/plan", plan).status_code == 200
        fill["run_id"], fill["case_id"] = imported(made.inside["staff.post.in"], NAME)
        yield made


def imported(client: FlaskClient, name: str) -> tuple[str, str]:
    """Bring and apply a file with a row that may mean several children; give the ids of the run and of the question."""
    token = client.get("/api/v1/session").get_json()["csrf_token"]
    content = xlsx([row(NIK="", Nama=name, Nama_Ortu="-", Tanggal_Pengukuran="2026-01-20")])
    brought = client.post("/api/v1/imports", data=content, headers={"X-CSRFToken": token})
    run_id = brought.get_json()["run"]["id"]
    assert ask(client, f"/api/v1/imports/{run_id}/apply").get_json()["outcomes"]["ask"] == 1
    return run_id, client.get("/api/v1/import-cases").get_json()["cases"][0]["id"]


TOKENS: Final[WeakKeyDictionary[FlaskClient, str]] = WeakKeyDictionary()


def ask(client: FlaskClient, path: str, body: Mapping[str, Any] | None = None) -> TestResponse:
    """Post JSON to the API or a form to a page, with the token of the session, which is asked for once."""
    if client not in TOKENS:
        told = client.get("/api/v1/session")
        TOKENS[client] = told.get_json()["csrf_token"] if told.status_code == 200 else csrf_token(client)
    token = TOKENS[client]
    if path.startswith("/api/"):
        return client.post(path, json=dict(body or {}), headers={"X-CSRFToken": token})
    return client.post(path, data={**(body or {}), "csrf_token": token})


def routes(app: Flask) -> list[tuple[str, Rule]]:
    """List every route once for each method that it takes."""
    return [
        (method, rule)
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]


def address(world: World, rule: Rule) -> str:
    """Give the address of a route, about the child and what belongs to it."""
    _, path = rule.build({name: world.fill[name] for name in rule.arguments}) or ("", "")
    return str(path)


UNKNOWN = "01900000-0000-7000-8000-00000000ffff"


BODIES: Final[Mapping[str, Mapping[str, Any]]] = {
    "/api/v1/quarantine/<actor>/<int:counter>/dismiss": {"reason": "practice"},
    "/api/v1/children/<child_id>/move": {"from": UNKNOWN, "to": UNKNOWN},
    "/api/v1/conflicts/<kind>/<record_id>/settle": {"context": {}, "reason": "measured-again", "set": {}},
    "/api/v1/duplicates/<uuid:one>/<uuid:other>/link": {"contexts": {}},
    "/api/v1/duplicates/<uuid:one>/<uuid:other>/unlink": {"contexts": {}},
    "/selisih/<kind>/<uuid:record_id>": {"konteks": "{}", "alasan": "measured-again"},
    "/kembar/<uuid:one>/<uuid:other>": {"tindakan": "different"},
    "/karantina/<uuid:actor>/<int:counter>": {"tindakan": "dismiss", "alasan": "practice"},
    "/anak/<uuid:child_id>/pindah": {"dari": UNKNOWN, "ke": UNKNOWN},
    "/api/v1/tablets/<tablet_id>/posts": {"posts": [UNKNOWN]},
    "/api/v1/children/<child_id>/aid": {"delivery": UNKNOWN, "note": {"text": "x"}},
}
"""Bodies that are well formed, where what is malformed is told before what is not found."""
