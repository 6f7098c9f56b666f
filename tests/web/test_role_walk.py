"""Every route, with every role and from inside and outside its area: nothing is open that should not be.

`OPEN_TO` is the one table of what is open to whom. A route that is not in it fails a test: say there which permission it
needs (`server.accounts.roles`), and in `World.fill` what stands for a parameter with a new name.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final
from weakref import WeakKeyDictionary

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from server import accounts, audit, privacy
from server.accounts import Person
from server.accounts.roles import PERMISSIONS, SCOPES_OF
from server.aid import register, sheets
from server.app import create_app
from server.audit import checkpoints
from server.database.models import Account, AidActivity, CsrSheet, Donor
from server.places import health_posts
from server.review import Scope
from sync_protocol import measurement_id
from tests.interchange._files import row, xlsx
from tests.server._district import DISTRICT, Databases, District
from tests.web._clinic import DAYS, PASSWORD, Clinic, csrf_token, sign_in

pytestmark = pytest.mark.uncounted  # every route, by everybody: each has tests of its own

WORLD, WAY, SIGNED_IN = "the whole world", "whoever is about to sign in", "everybody who is signed in"

OPEN_TO: Final[Mapping[str, str]] = {
    # what the machinery and tablets ask
    "GET /static/<path:filename>": WORLD,
    "GET /healthz": WORLD,
    "GET /readyz": WORLD,
    "GET /api/openapi.json": WORLD,  # what this release's source tells, nothing of who or what is here
    "GET /metrics": WORLD,  # from this machine only: test_observed
    "POST /api/v1/sync": WORLD,
    "POST /api/v1/enrol": WORLD,
    "POST /api/v1/enrol/again": WORLD,
    "GET /api/v1/tablets/<uuid:tablet_id>/standing": WORLD,
    "GET /api/v1/carried": WORLD,
    "POST /api/v1/carried": WORLD,
    "GET /tablet-app/": WORLD,
    "GET /tablet-app/daftar": WORLD,
    "GET /tablet-app/<path:name>": WORLD,
    # coming in
    "GET /masuk": WORLD,
    "POST /masuk": WORLD,
    "POST /keluar": WORLD,
    "GET /bahasa/<code>": WORLD,
    "GET /undangan/<token>": WORLD,
    "POST /undangan/<token>": WORLD,
    "GET /masuk/kode": WAY,
    "POST /masuk/kode": WAY,
    "GET /akun/faktor-kedua": WAY,
    "POST /akun/faktor-kedua": WAY,
    # the own account
    "GET /": SIGNED_IN,
    "GET /beranda": SIGNED_IN,
    "GET /akun": SIGNED_IN,
    "GET /akun/kata-sandi": SIGNED_IN,
    "POST /akun/kata-sandi": SIGNED_IN,
    "GET /akun/kode-pemulihan": SIGNED_IN,
    "POST /akun/kode-pemulihan": SIGNED_IN,
    "POST /akun/sesi/<sign_in_id>/akhiri": SIGNED_IN,
    "POST /akun/sesi/akhiri-lainnya": SIGNED_IN,
    "GET /api/v1/session": SIGNED_IN,
    "GET /api/v1/account/sessions": SIGNED_IN,
    "POST /api/v1/account/sessions/<uuid:sign_in_id>/end": SIGNED_IN,
    "POST /api/v1/account/sessions/end-others": SIGNED_IN,
    "POST /api/v1/account/password": SIGNED_IN,
    # people
    "GET /orang": "manage_people",
    "GET /orang/undang": "manage_people",
    "POST /orang/undang": "manage_people",
    "POST /orang/<account_id>/atur-ulang": "manage_people",
    "POST /orang/<account_id>/nonaktifkan": "manage_people",
    "POST /orang/<account_id>/aktifkan": "manage_people",
    "GET /api/v1/people": "manage_people",
    "POST /api/v1/people": "manage_people",
    "POST /api/v1/people/<uuid:account_id>/reset": "manage_people",
    "POST /api/v1/people/<uuid:account_id>/disable": "manage_people",
    "POST /api/v1/people/<uuid:account_id>/enable": "manage_people",
    # the queue and children
    "GET /antrean": "see_children",
    "GET /antrean.csv": "see_children",
    "GET /cari": "see_names",
    "POST /cari": "see_names",
    "POST /api/v1/search": "see_names",
    "POST /tampilan": "see_children",
    "POST /tampilan/lupakan": SIGNED_IN,
    "GET /api/v1/flags": "see_children",
    "GET /anak/<child_id>": "see_children",
    "POST /anak/<child_id>/nik": "see_names",
    "GET /api/v1/children/<child_id>": "see_children",
    "GET /api/v1/children/<child_id>/timeline": "see_children",
    "POST /api/v1/children/<child_id>/nik": "see_names",
    "GET /api/v1/children/<child_id>/follow-ups": "see_children",
    # deciding
    "GET /anak/<child_id>/tindak/<form>": "decide",
    "POST /anak/<child_id>/tindak/<form>": "decide",
    "GET /anak/<child_id>/tindak/<task>/surat.pdf": "decide",
    "POST /api/v1/children/<child_id>/<any(take, plan, pmt, close, remeasure):decision>": "decide",
    "POST /api/v1/children/<child_id>/follow-ups/<task>/result": "decide",
    "POST /api/v1/children/<child_id>/move": "decide",
    "GET /api/v1/quarantine": "decide",
    "GET /api/v1/quarantine/<actor>/<int:counter>": "decide",
    "POST /api/v1/quarantine/<actor>/<int:counter>/dismiss": "decide",
    "POST /api/v1/quarantine/<actor>/<int:counter>/release": "decide",
    "POST /api/v1/quarantine/<actor>/<int:counter>/reopen": "decide",
    "POST /api/v1/quarantine/<actor>/<int:counter>/undo": "decide",
    "GET /api/v1/conflicts": "decide",
    "GET /api/v1/conflicts/<kind>/<record_id>": "decide",
    "POST /api/v1/conflicts/<kind>/<record_id>/settle": "decide",
    "GET /api/v1/duplicates": "decide",
    "GET /api/v1/duplicates/<uuid:one>/<uuid:other>": "decide",
    "POST /api/v1/duplicates/<uuid:one>/<uuid:other>/link": "decide",
    "POST /api/v1/duplicates/<uuid:one>/<uuid:other>/unlink": "decide",
    "POST /api/v1/duplicates/<uuid:one>/<uuid:other>/different": "decide",
    "POST /api/v1/duplicates/<uuid:one>/<uuid:other>/reopen": "decide",
    "GET /selisih": "decide",
    "GET /selisih/<kind>/<uuid:record_id>": "decide",
    "POST /selisih/<kind>/<uuid:record_id>": "decide",
    "GET /kembar": "decide",
    "GET /kembar/<uuid:one>/<uuid:other>": "decide",
    "POST /kembar/<uuid:one>/<uuid:other>": "decide",
    "GET /karantina": "decide",
    "GET /karantina/<uuid:actor>/<int:counter>": "decide",
    "POST /karantina/<uuid:actor>/<int:counter>": "decide",
    "GET /anak/<uuid:child_id>/pindah": "decide",
    "POST /anak/<uuid:child_id>/pindah": "decide",
    # supervision
    "GET /audit": "audit",
    "GET /audit.csv": "audit",
    "GET /audit/kiriman": "audit",
    "GET /audit/kiriman.csv": "audit",
    "GET /audit/kiriman/<uuid:tablet_id>/<uuid:batch_id>": "audit",
    "GET /audit/pola": "audit",
    "GET /audit/kelengkapan": "audit",
    "GET /audit/kelengkapan.csv": "audit",
    "GET /audit/riwayat/<uuid:child_id>/<uuid:record_id>": "audit",
    "GET /audit/catatan": "audit",
    "POST /audit/catatan/periksa": "audit",
    "GET /audit/titik-periksa.json": "audit",
    "GET /audit/catatan.jsonl": "audit",  # of the whole district: OF_ALL
    # the formats of others
    "GET /pertukaran": "decide",
    "POST /pertukaran/unggah": "decide",
    "GET /pertukaran/berkas/<uuid:run_id>": "decide",
    "POST /pertukaran/berkas/<uuid:run_id>": "decide",
    "GET /pertukaran/berkas/<uuid:run_id>/baris.csv": "decide",
    "GET /pertukaran/baris": "decide",
    "POST /pertukaran/baris/<uuid:case_id>": "decide",
    "POST /pertukaran/ekspor": "decide",
    "GET /api/v1/imports": "decide",
    "POST /api/v1/imports": "decide",
    "GET /api/v1/imports/<uuid:run_id>": "decide",
    "POST /api/v1/imports/<uuid:run_id>/<any(apply, look, discard):action>": "decide",
    "GET /api/v1/import-cases": "decide",
    "POST /api/v1/import-cases/<uuid:case_id>/decide": "decide",
    "POST /api/v1/exports": "decide",
    # aid
    "GET /bantuan": "manage_aid",
    "POST /bantuan/tugaskan": "manage_aid",
    "GET /bantuan/donatur": "manage_aid",
    "POST /bantuan/donatur": "manage_aid",
    "GET /bantuan/donatur/<uuid:donor_id>": "manage_aid",
    "POST /bantuan/donatur/<uuid:donor_id>": "manage_aid",
    "GET /bantuan/komitmen/<uuid:commitment_id>": "manage_aid",
    "POST /bantuan/komitmen/<uuid:commitment_id>": "manage_aid",
    "POST /bantuan/komitmen/<uuid:commitment_id>/tutup": "manage_aid",
    "GET /bantuan/kegiatan": "manage_aid",
    "POST /bantuan/kegiatan": "manage_aid",
    "POST /bantuan/kegiatan/<uuid:activity_id>": "manage_aid",
    "GET /bantuan/kegiatan/<uuid:activity_id>/anak": "decide",
    "POST /bantuan/kegiatan/<uuid:activity_id>/anak": "decide",
    "GET /bantuan/lembar": "manage_aid",
    "POST /bantuan/lembar": "manage_aid",
    "GET /bantuan/lembar/<uuid:sheet_id>": "manage_aid",
    "POST /bantuan/lembar/<uuid:sheet_id>": "manage_aid",
    "GET /anak/<child_id>/bantuan": "decide",
    "POST /anak/<child_id>/bantuan": "decide",
    "GET /bantuan-saya": "see_own_aid",
    "GET /api/v1/aid/gap": "manage_aid",
    "POST /api/v1/aid/assign": "manage_aid",
    "GET /api/v1/aid/donors": "manage_aid",
    "POST /api/v1/aid/donors": "manage_aid",
    "GET /api/v1/aid/donors/<uuid:donor_id>": "manage_aid",
    "POST /api/v1/aid/donors/<uuid:donor_id>": "manage_aid",
    "GET /api/v1/aid/own": "see_own_aid",
    "POST /api/v1/aid/commitments/<uuid:commitment_id>": "manage_aid",
    "GET /api/v1/aid/commitments": "manage_aid",
    "POST /api/v1/aid/commitments": "manage_aid",
    "POST /api/v1/aid/commitments/<uuid:commitment_id>/close": "manage_aid",
    "GET /api/v1/aid/activities": "manage_aid",
    "POST /api/v1/aid/activities": "manage_aid",
    "POST /api/v1/aid/activities/<uuid:activity_id>/decide": "manage_aid",
    "POST /api/v1/aid/activities/<uuid:activity_id>/child": "decide",
    "GET /api/v1/aid/sheets": "manage_aid",
    "POST /api/v1/aid/sheets": "manage_aid",
    "GET /api/v1/aid/sheets/<uuid:sheet_id>": "manage_aid",
    "POST /api/v1/aid/sheets/<uuid:sheet_id>/take": "manage_aid",
    "GET /api/v1/children/<child_id>/aid": "decide",
    "POST /api/v1/children/<child_id>/aid": "decide",
    # figures
    "GET /angka": "see_figures",
    "GET /angka/<area_kind>/<area>": "see_figures",
    "GET /angka/<area_kind>/<area>/csv": "see_figures",
    "GET /angka/<area_kind>/<area>/monev": "see_figures",
    "POST /angka/hitung": "see_figures",
    "GET /api/v1/figures": "see_figures",
    # parents' rights
    "GET /hak": "decide",
    "GET /anak/<child_id>/hak": "decide",
    "POST /anak/<child_id>/hak": "decide",
    "POST /anak/<child_id>/hak/persetujuan": "decide",
    "GET /anak/<child_id>/hak/salinan.<any(pdf, json):paper>": "decide",
    "POST /hak/<uuid:request_id>": "decide",
    "POST /hak/<uuid:request_id>/setuju": "agree_to_erase",
    "GET /api/v1/rights": "decide",
    "GET /api/v1/children/<child_id>/rights": "decide",
    "POST /api/v1/children/<child_id>/rights": "decide",
    "POST /api/v1/children/<child_id>/consent": "decide",
    "GET /api/v1/children/<child_id>/copy": "decide",
    "POST /api/v1/rights/<uuid:request_id>/answer": "decide",
    "POST /api/v1/rights/<uuid:request_id>/agree": "agree_to_erase",
    # posts and tablets
    "GET /pos": "see_children",
    "GET /pos/<post_id>": "see_children",
    "GET /pos/<post_id>/daftar": "see_names",
    "GET /api/v1/posts": "see_children",
    "GET /api/v1/posts/<post_id>/quality": "see_children",
    "GET /api/v1/completeness": "see_completeness",
    "GET /tablet": "see_tablets",
    "GET /api/v1/tablets": "see_tablets",
    "GET /tablet/daftar": "manage_tablets",
    "POST /tablet/daftar": "manage_tablets",
    "POST /api/v1/tablets/codes": "manage_tablets",
    "POST /tablet/kode/<handle>/batal": "manage_tablets",
    "GET /tablet/<tablet_id>/cabut": "revoke_tablets",
    "POST /tablet/<tablet_id>/cabut": "revoke_tablets",
    "POST /api/v1/tablets/<tablet_id>/revoke": "revoke_tablets",
    "GET /tablet/<tablet_id>/hilang": "revoke_tablets",
    "GET /tablet/<tablet_id>/hilang.csv": "revoke_tablets",
    "GET /api/v1/tablets/<tablet_id>/exposure": "revoke_tablets",
}
"""Method and pattern of every route, and who may come: one of the three above, or a permission."""

OF_ALL: Final = frozenset({"GET /audit/catatan.jsonl"})
"""Routes for those alone whose area is the whole district."""
OF_WHOLE: Final = frozenset({"donor_id"})
"""Parameters that name what is no place's: those whose area is the whole district find it, or who wrote it down."""
NOT_HERE = ("sign_in_id", "token")
"""Parameters that name what is nobody's here: another person's session, an invitation that was not made."""
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
    tried: int = 0

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
            with hub.database.transaction() as session:
                account_id = accounts.add_account(
                    *(session, hub, name, "Orang Contoh", role, kind, where[kind], PASSWORD),
                    actor="operator",
                    now=now,
                )
            world.people[name] = Person(account_id, name, "Orang Contoh", role, kind, where[kind])
            held[name] = world.app.test_client()
            sign_in(held[name], world.people[name])
    return world


@pytest.fixture(scope="module")
def world(sqlite_databases: Databases) -> Iterator[World]:
    with opened(sqlite_databases) as made:
        yield made


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
            "token": "tidak-ada",
            "handle": "no-such-",
            "code": "id",
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


def guarded(app: Flask) -> list[tuple[str, Rule, str]]:
    """List the routes that are not open to the whole world, with what each needs."""
    named = ((method, rule, OPEN_TO[f"{method} {rule.rule}"]) for method, rule in routes(app))
    return [one for one in named if one[2] not in (WORLD, WAY)]


def address(world: World, rule: Rule) -> str:
    """Give the address of a route, about the child and what belongs to it."""
    _, path = rule.build({name: world.fill[name] for name in rule.arguments}) or ("", "")
    return str(path)


def closed(answer: TestResponse) -> bool:
    """Say whether a visitor was turned away: led to the sign-in page, or told 401."""
    return answer.status_code == 401 or (answer.status_code == 302 and answer.location.startswith("/masuk"))


def test_every_route_is_in_the_table_and_every_row_is_a_route(world: World) -> None:
    assert {f"{method} {rule.rule}" for method, rule in routes(world.app)} == set(OPEN_TO)
    assert set(OPEN_TO.values()) - {WORLD, WAY, SIGNED_IN} <= set(PERMISSIONS)


def test_every_role_walks_with_every_kind_of_area(world: World) -> None:
    walked = {(person.role, person.scope_kind) for _, person, _, _ in world.everybody()}
    assert walked == {(role, kind) for role, kinds in SCOPES_OF.items() for kind in kinds}


def test_visitor_gets_nowhere(world: World) -> None:
    visitor = world.app.test_client()
    for method, rule, _ in guarded(world.app):
        path = address(world, rule)
        answer = visitor.get(path) if method == "GET" else ask(visitor, path)
        assert closed(answer), (method, rule.rule, answer.status_code)
        world.tried += 1


def test_session_before_its_second_factor_gets_nowhere(world: World) -> None:
    strict = replace(world.clinic.district.hub.settings, second_factor=True)
    app = create_app(strict, replace(world.clinic.district.hub, settings=strict))
    client = app.test_client()
    sign_in(client, world.people["supervisor.district.in"])
    for method, rule, _ in guarded(app):
        path = address(world, rule)
        answer = client.get(path) if method == "GET" else ask(client, path)
        if path.startswith("/api/"):
            assert (answer.status_code, answer.get_json()["code"]) == (403, "second-factor-required"), path
        else:
            assert (answer.status_code, answer.location.split("?")[0]) == (302, "/akun/faktor-kedua"), path
        world.tried += 1


def test_every_read_is_open_to_the_roles_of_the_table_within_their_area_alone(world: World) -> None:
    wrong: list[tuple[object, ...]] = []
    for name, person, client, inside in world.everybody():
        for method, rule, needs in guarded(world.app):
            if method != "GET":
                continue
            answer = client.get(address(world, rule))
            allowed = needs == SIGNED_IN or person.may(needs)
            allowed = allowed and (f"GET {rule.rule}" not in OF_ALL or person.scope_kind == "district")
            found = finds(rule, person, inside) or not rule.arguments
            wanted = {403} if not allowed else {200, 302} if found else {404}
            if answer.status_code not in wanted or closed(answer):
                wrong.append((name, rule.rule, answer.status_code))
            wrong += [
                (name, rule.rule, f"tells {what}") for what in told(world, answer, rule, person, inside)
            ]
            world.tried += 1
    assert wrong == []


def finds(rule: Rule, person: Person, inside: bool) -> bool:
    """Say whether what a route is about is within somebody's area."""
    return inside and (person.scope_kind == "district" or not OF_WHOLE & rule.arguments)


def told(world: World, answer: TestResponse, rule: Rule, person: Person, inside: bool) -> list[str]:
    """List what an answer tells of the child though it is not for this person, and was not in the address."""
    text = "" if answer.mimetype == "application/pdf" else answer.get_data(as_text=True)
    theirs = {NAME: "see_names", world.fill["child_id"]: "see_children"}
    return [
        what
        for what, needs in theirs.items()
        if what in text and not (inside and person.may(needs)) and what not in address(world, rule)
    ]


def test_every_write_beyond_the_area_or_the_role_is_refused(world: World) -> None:
    """What may be written by whom it is open to is told by the tests of each page; here nobody else may."""
    before, wrong = world.clinic.district.counts(), []
    for name, person, client, inside in world.everybody():
        for method, rule, needs in guarded(world.app):
            if method != "POST":
                continue
            allowed = needs == SIGNED_IN or person.may(needs)
            names = set(rule.arguments) - {"form", "decision", "kind"}
            if allowed and (not names or (finds(rule, person, inside) and not names & set(NOT_HERE))):
                continue
            answer = ask(client, address(world, rule), BODIES.get(rule.rule))
            if answer.status_code != (404 if allowed else 403):
                wrong.append((name, rule.rule, answer.status_code, answer.get_data(as_text=True)[:200]))
            world.tried += 1
    assert wrong == []
    after = world.clinic.district.counts()
    assert {table for table, count in after.items() if before[table] != count} <= LOGGED


LOGGED: Final = {"audit_entry", "audit_stream"}
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
    "/api/v1/children/<child_id>/aid": {"delivery": UNKNOWN, "note": {"text": "x"}},
}
"""Bodies that are well formed, where what is malformed is told before what is not found."""


def test_commitment_is_written_down_for_a_place_that_lies_in_the_own_area_as_a_whole(world: World) -> None:
    village, subdistrict = "64.02.06.1001", "64.02.06"
    here, there = {village, subdistrict}, {OTHER_VILLAGE, OTHER_SUBDISTRICT}
    everywhere = here | there | {DISTRICT}
    body: dict[str, Any] = {"donor": world.fill["donor_id"], "menu": "food", "funds": "csr"}
    body |= {"places": 1, "months": 1, "starts_on": "2026-03-01"}
    for name, person, client, inside in world.everybody():
        if not person.may("manage_aid"):
            continue
        theirs = here if inside else there
        if person.scope_kind == "district":
            theirs = everywhere
        elif person.scope_kind != "subdistrict":
            theirs = theirs - {subdistrict, OTHER_SUBDISTRICT}
        for region in sorted(everywhere):
            answer = ask(client, "/api/v1/aid/commitments", body | {"region": region})
            assert answer.status_code == (201 if region in theirs else 422), (name, region, answer.text)
            if region not in theirs:
                assert [reason["path"] for reason in answer.get_json()["reasons"]] == ["region"]
            world.tried += 1


def test_account_is_managed_by_who_manages_its_area_alone(world: World) -> None:
    """The target belongs to the first post: its health centre's administrator and the district's manage it."""
    hub = world.clinic.district.hub
    for name, person, client, inside in world.everybody():
        answer = ask(client, f"/api/v1/people/{world.fill['account_id']}/enable")
        wanted = 403 if not person.may("manage_people") else 200 if inside else 404
        assert answer.status_code == wanted, name
        world.tried += 1
    with hub.database.reading() as session:
        assert (
            session.scalars(select(Account.disabled_at).where(Account.id == world.fill["account_id"])).one()
            is None
        )


def test_walk_was_long(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Last of this module: says how many combinations were tried by this worker."""
    with capsys.disabled():
        count = len(world.inside) + len(world.outside)
        sys.stdout.write(
            f"\nrole walk: {len(OPEN_TO)} routes, {count} people, {world.tried} combinations tried\n"
        )
