"""Every route, with every role and from inside and outside its area: nothing is open that should not be.

`OPEN_TO` is the one table of what is open to whom. A route that is not in it fails a test: say there which permission it
needs (`server.accounts.roles`), and in `World.fill` what stands for a parameter with a new name.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from server.accounts import Person
from server.accounts.roles import PERMISSIONS, SCOPES_OF
from server.app import create_app
from server.database.models import Account
from tests.server._district import DISTRICT, Databases
from tests.server.web._clinic import sign_in
from tests.server.web._open_to import OF_ALL, OPEN_TO, SIGNED_IN, WAY, WORLD
from tests.server.web._role_world import (
    BODIES,
    NAME,
    NOT_HERE,
    OF_WHOLE,
    OTHER_SUBDISTRICT,
    OTHER_VILLAGE,
    World,
    address,
    ask,
    opened,
    routes,
)


@pytest.fixture(scope="module")
def world(sqlite_databases: Databases) -> Iterator[World]:
    with opened(sqlite_databases) as made:
        yield made


def told(world: World, answer: TestResponse, rule: Rule, person: Person, inside: bool) -> list[str]:
    """List what an answer tells of the child though it is not for this person, and was not in the address."""
    text = "" if answer.mimetype == "application/pdf" else answer.get_data(as_text=True)
    theirs = {NAME: "see_names", world.fill["child_id"]: "see_children"}
    return [
        what
        for what, needs in theirs.items()
        if what in text and not (inside and person.may(needs)) and what not in address(world, rule)
    ]


def guarded(app: Flask) -> list[tuple[str, Rule, str]]:
    """List the routes that are not open to the whole world, with what each needs."""
    named = ((method, rule, OPEN_TO[f"{method} {rule.rule}"]) for method, rule in routes(app))
    return [one for one in named if one[2] not in (WORLD, WAY)]


def closed(answer: TestResponse) -> bool:
    """Say whether a visitor was turned away: led to the sign-in page, or told 401."""
    return answer.status_code == 401 or (answer.status_code == 302 and answer.location.startswith("/masuk"))


def test_every_route_is_in_the_table_and_every_row_is_a_route(world: World) -> None:
    assert {f"{method} {rule.rule}" for method, rule in routes(world.app)} == set(OPEN_TO)
    assert len(OPEN_TO) > 200
    assert set(OPEN_TO.values()) - {WORLD, WAY, SIGNED_IN} <= set(PERMISSIONS)


def test_every_role_walks_with_every_kind_of_area(world: World) -> None:
    walked = {(person.role, person.scope_kind) for _, person, _, _ in world.everybody()}
    assert walked == {(role, kind) for role, kinds in SCOPES_OF.items() for kind in kinds}


def test_visitor_gets_nowhere(world: World) -> None:
    visitor = world.app.test_client()
    assert len(guarded(world.app)) > 150
    for method, rule, _ in guarded(world.app):
        path = address(world, rule)
        answer = visitor.get(path) if method == "GET" else ask(visitor, path)
        assert closed(answer), (method, rule.rule, answer.status_code)


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
    assert wrong == []


def finds(rule: Rule, person: Person, inside: bool) -> bool:
    """Say whether what a route is about is within somebody's area."""
    return inside and (person.scope_kind == "district" or not OF_WHOLE & rule.arguments)


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
    assert wrong == []
    after = world.clinic.district.counts()
    assert {table for table, count in after.items() if before[table] != count} <= LOGGED


LOGGED: Final = {"audit_entry", "audit_stream"}


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


def test_account_is_managed_by_who_manages_its_area_alone(world: World) -> None:
    """The target belongs to the first post: its health centre's administrator and the district's manage it."""
    hub = world.clinic.district.hub
    for name, person, client, inside in world.everybody():
        answer = ask(client, f"/api/v1/people/{world.fill['account_id']}/enable")
        wanted = 403 if not person.may("manage_people") else 200 if inside else 404
        assert answer.status_code == wanted, name
    with hub.database.reading() as session:
        assert (
            session.scalars(select(Account.disabled_at).where(Account.id == world.fill["account_id"])).one()
            is None
        )
