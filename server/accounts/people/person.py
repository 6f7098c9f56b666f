"""Somebody signed in, and why a person is refused."""

from dataclasses import dataclass

from schemas.words import Reason
from server.accounts import roles
from server.database.models import Account


class PersonRefused(ValueError):
    """A person cannot be added or changed like this; `reasons` are in both languages, with the remedy."""

    def __init__(self, *reasons: Reason) -> None:
        super().__init__(" ".join(reason.en for reason in reasons))
        self.reasons = reasons


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody signed in. `scope` is the id or code of the place that they may see, by `scope_kind`."""

    account_id: str
    username: str
    display_name: str
    role: str
    scope_kind: str
    scope: str

    def may(self, permission: str) -> bool:
        """Return whether this person's role has a permission (`roles.PERMISSIONS`)."""
        return roles.may(self.role, permission)


def person_of(account: Account) -> Person:
    """Return the person of an account."""
    return Person(
        account.id, account.username, account.display_name, account.role, account.scope_kind, account.scope
    )
