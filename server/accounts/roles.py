"""Who may do what, and where: the one table of roles. Pages and API ask `person.may("decide")`; nothing else compares roles.

Rules kept here:
- A permission that is not in the table raises KeyError: asking for it is a defect.
- The kinds of scope that a role may have are a table too. The scope itself is a condition of every query
  (`server.review.scope`).
- TPPS is one role at three levels: desa, kecamatan and kabupaten are its scopes village, subdistrict and district.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from server.translations import T_, Text


@dataclass(frozen=True, slots=True)
class RoleText:
    """The name of a role or a kind of scope, and a role's purpose."""

    text: Text
    about: Text | None = None


ROLES: Final[Mapping[str, RoleText]] = {
    "cadre": RoleText(
        T_("Cadre"),
        T_("Sees the children of the own posyandu, with names. Decides nothing."),
    ),
    "staff": RoleText(
        T_("Health-centre staff"),
        T_("Sees children with names, decides about follow-up, enrols and revokes tablets."),
    ),
    "supervisor": RoleText(
        T_("Health-office supervisor"),
        T_("Sees children with names, may decide, audits the log, revokes tablets."),
    ),
    "tpps": RoleText(
        T_("TPPS (stunting task team)"),
        T_("Sees figures of the area as a whole, records aid and assigns it. Never sees a single child."),
    ),
    "donor": RoleText(
        T_("Donor"),
        T_("Sees the progress of what they fund, without any child's record."),
    ),
    "administrator": RoleText(
        T_("Administrator"),
        T_("Manages people and tablets. Does not see the names of children."),
    ),
}
SCOPE_KINDS: Final[Mapping[str, RoleText]] = {
    "none": RoleText(T_("No area")),
    "health_centre": RoleText(T_("Health centre")),
    "post": RoleText(T_("Posyandu")),
    "village": RoleText(T_("Village", "area")),
    "subdistrict": RoleText(T_("Subdistrict")),
    "district": RoleText(T_("District")),
    "donor": RoleText(T_("The aid of one donor")),
}
"""In the order in which they are offered: the most frequent first."""
SCOPES_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "cadre": ("post",),
    "staff": ("post", "village", "health_centre", "subdistrict", "district"),
    "supervisor": ("health_centre", "subdistrict", "district"),
    "tpps": ("village", "subdistrict", "district"),
    "donor": ("none", "donor"),
    "administrator": ("health_centre", "district"),
}
"""The kinds of scope that each role may have. A donor's account has none until the donor is in the register of aid."""

_DESK: Final = frozenset({"staff", "supervisor"})
_OFFICE: Final = _DESK | {"administrator"}
PERMISSIONS: Final[Mapping[str, frozenset[str]]] = {
    "see_children": _OFFICE | {"cadre"},
    "see_names": _DESK | {"cadre"},
    "decide": _DESK,
    "agree_to_erase": frozenset({"supervisor"}),  # after somebody else proposed it
    "see_completeness": _OFFICE,
    "see_tablets": _OFFICE,
    "revoke_tablets": _OFFICE,
    "manage_tablets": frozenset({"staff", "administrator"}),  # make enrolment codes
    "manage_posts": frozenset({"supervisor", "administrator"}),  # add, rename and close posyandu
    "manage_people": frozenset({"administrator"}),
    "audit": frozenset({"supervisor"}),
    "see_figures": _DESK | {"tpps"},  # of an area as a whole
    "manage_aid": _DESK | {"tpps"},  # donors, commitments, sheets, overlap and gap, and assigning aid
    "see_own_aid": frozenset({"donor"}),
}
WITH_SECOND_FACTOR: Final = frozenset({"staff", "supervisor", "tpps", "donor", "administrator"})
"""Roles that must have a second factor. Cadres may have one."""


def may(role: str, permission: str) -> bool:
    """Return whether a role has a permission.

    Raises
    ------
    KeyError
        There is no such permission: a defect.
    """
    return role in PERMISSIONS[permission]
