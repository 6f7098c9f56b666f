"""Scopes: the places that can be given to people, and whom a manager manages."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Text, and_, cast, false, or_, select
from sqlalchemy.orm import Session

from server.accounts.people.person import Person
from server.accounts.roles import SCOPES_OF
from server.context import AppContext
from server.database.ids import UUID_TEXT
from server.database.models import Account, Donor, HealthCentre, HealthPost, Region


def place_name(session: Session, hub: AppContext, scope_kind: str, scope: str) -> str | None:
    """Return the name of a scope's place; "" for the scope `none`, None if there is no such place here."""
    if scope_kind == "none":
        return "" if scope == "" else None
    if scope_kind == "post" and UUID_TEXT.fullmatch(scope):
        post = session.get(HealthPost, (hub.district, scope))
        return post.name if post else None
    if scope_kind == "health_centre" and UUID_TEXT.fullmatch(scope):
        centre = session.get(HealthCentre, (hub.district, scope))
        return centre.name if centre else None
    if scope_kind == "district":
        region = session.get(Region, (hub.district, scope)) if scope == hub.district else None
        return region.name if region else (scope if scope == hub.district else None)
    if scope_kind in ("village", "subdistrict"):
        level = {"village": "village", "subdistrict": "district"}[
            scope_kind
        ]  # the names of levels in `places.regions`
        region = session.get(Region, (hub.district, scope))
        return region.name if region and region.level == level else None
    if scope_kind == "donor" and UUID_TEXT.fullmatch(scope):
        donor = session.get(Donor, (hub.district, scope))
        return donor.name if donor else None
    return None


def place_names(session: Session, hub: AppContext) -> dict[tuple[str, str], str]:
    """Return the names of all places, by kind and id of scope."""
    names: dict[tuple[str, str], str] = {}
    for id_, name in session.execute(
        select(HealthPost.id, HealthPost.name).where(HealthPost.district == hub.district)
    ):
        names["post", id_] = name
    for id_, name in session.execute(
        select(HealthCentre.id, HealthCentre.name).where(HealthCentre.district == hub.district)
    ):
        names["health_centre", id_] = name
    kinds = {"regency": "district", "district": "subdistrict", "village": "village"}
    for code, name, level in session.execute(
        select(Region.code, Region.name, Region.level).where(Region.district == hub.district)
    ):
        if level in kinds:
            names[kinds[level], code] = name
    return names


@dataclass(frozen=True, slots=True)
class ScopePlace:
    """A place that can be a scope; `under` is the name of the place that it belongs to."""

    kind: str
    id: str
    name: str
    under: str


def places_to_give(session: Session, hub: AppContext, manager: Person, role: str) -> list[ScopePlace]:
    """List the places that a manager may give to a person of a role, by kind and name."""
    kinds = SCOPES_OF[role]
    found: list[ScopePlace] = []
    whole = _is_whole(hub, manager)
    if whole and "none" in kinds:
        found.append(ScopePlace("none", "", "", ""))
    if whole and "district" in kinds:
        found.append(
            ScopePlace("district", hub.district, place_name(session, hub, "district", hub.district) or "", "")
        )
    centres = select(HealthCentre).where(HealthCentre.district == hub.district)
    posts = (
        select(HealthPost, HealthCentre.name)
        .join(
            HealthCentre,
            and_(
                HealthCentre.district == HealthPost.district, HealthCentre.id == HealthPost.health_centre_id
            ),
        )
        .where(HealthPost.district == hub.district, HealthPost.closed_at.is_(None))
    )
    if not whole:
        own = manager.scope if manager.scope_kind == "health_centre" else None
        centres = centres.where(HealthCentre.id == own if own else false())
        posts = posts.where(HealthPost.health_centre_id == own if own else false())
    if "health_centre" in kinds:
        rows = session.scalars(centres.order_by(HealthCentre.name))
        found += [ScopePlace("health_centre", row.id, row.name, "") for row in rows]
    if whole:
        found += _regions(session, hub, kinds)
    if whole and "donor" in kinds:
        donors = select(Donor).where(Donor.district == hub.district).order_by(Donor.name)
        found += [ScopePlace("donor", donor.id, donor.name, "") for donor in session.scalars(donors)]
    if "post" in kinds:
        ordered = posts.order_by(HealthCentre.name, HealthPost.name)
        found += [ScopePlace("post", post.id, post.name, centre) for post, centre in session.execute(ordered)]
    return found


def _regions(session: Session, hub: AppContext, kinds: Sequence[str]) -> list[ScopePlace]:
    rows = session.scalars(
        select(Region)
        .where(Region.district == hub.district, Region.level.in_(("district", "village")))
        .order_by(Region.code)
    ).all()
    names = {row.code: row.name for row in rows}
    kind_of = {"district": "subdistrict", "village": "village"}
    places = [
        ScopePlace(kind_of[row.level], row.code, row.name, names.get(row.parent_code or "", ""))
        for row in rows
        if kind_of[row.level] in kinds
    ]
    return sorted(places, key=lambda place: (place.kind, place.under, place.name))


def _is_whole(hub: AppContext, manager: Person) -> bool:
    return manager.scope_kind == "district" and manager.scope == hub.district


def managed_by(hub: AppContext, manager: Person | None) -> ColumnElement[bool]:
    """Return the condition on Account for the people whom a manager manages; None, the operator, manages everybody.

    A manager of a health centre manages people of the centre and of its posts; of a district, everybody; others nobody.
    """
    own = Account.district == hub.district
    if manager is None or (manager.may("manage_people") and _is_whole(hub, manager)):
        return own
    if manager.may("manage_people") and manager.scope_kind == "health_centre":
        # cast to text, as scopes are: PostgreSQL stores posts' ids as uuid
        posts = select(cast(HealthPost.id, Text)).where(
            HealthPost.district == hub.district, HealthPost.health_centre_id == manager.scope
        )
        return and_(
            own,
            or_(
                and_(Account.scope_kind == "health_centre", Account.scope == manager.scope),
                and_(Account.scope_kind == "post", Account.scope.in_(posts)),
            ),
        )
    return false()


def may_give(session: Session, hub: AppContext, manager: Person, scope_kind: str, scope: str) -> bool:
    """Return whether a scope is within a manager's own."""
    if not manager.may("manage_people"):
        return False
    if _is_whole(hub, manager):
        return True
    if manager.scope_kind != "health_centre":
        return False
    if scope_kind == "health_centre":
        return scope == manager.scope
    if scope_kind != "post" or not UUID_TEXT.fullmatch(scope):
        return False
    post = session.get(HealthPost, (hub.district, scope))
    return post is not None and post.health_centre_id == manager.scope
