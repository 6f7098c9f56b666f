"""People who sign in: their accounts, scopes and invitations.

    person -> scopes, invitations -> accounts

Rules kept here:
- Nobody is given a password: an invitation is a one-time link with which people set their own. Only its digest is stored.
- A new invitation for somebody who has a password changes nothing until it is used; then the old password, the second
  factor and every session end.
- A manager manages people within their own scope, and gives no scope beyond it. Scope is a condition of the query.
- Details of the log are ids and codes: no user name, no name.
"""

from server.accounts.people.accounts import (
    ListedPerson,
    account_named,
    add_account,
    disable,
    disable_account,
    enable,
    end_passkeys,
    end_recovery_codes,
    end_secrets,
    managed_account,
    normal_username,
    people,
)
from server.accounts.people.invitations import (
    INVITATION_DAYS,
    end_all_invitations,
    invited,
    make_invitation,
    take_up,
)
from server.accounts.people.person import Person, PersonRefused, person_of
from server.accounts.people.scopes import ScopePlace, may_give, place_name, places_to_give

__all__ = [
    "INVITATION_DAYS",
    "ListedPerson",
    "Person",
    "PersonRefused",
    "ScopePlace",
    "account_named",
    "add_account",
    "disable",
    "disable_account",
    "enable",
    "end_all_invitations",
    "end_passkeys",
    "end_recovery_codes",
    "end_secrets",
    "invited",
    "make_invitation",
    "managed_account",
    "may_give",
    "normal_username",
    "people",
    "person_of",
    "place_name",
    "places_to_give",
    "take_up",
]
