"""People and tablets: who may sign in and do what, and which devices may send.

    roles (pure: the table) -> people -> sessions -> second_factor;  attempt_limits, tablets over tablet_posts: apart

Codes and tokens are stored only as keyed digests, passwords as slow hashes; the secret of a second factor is encrypted.
Every row that decides who may do what carries a MAC (`database.row_macs`).
"""

from server.accounts import attempt_limits, people, roles, second_factor, sessions
from server.accounts.codes import CODE_ALPHABET
from server.accounts.passwords import MAX_PASSWORD, MIN_PASSWORD, NewPassword, new_password
from server.accounts.people import Person, PersonRefused, add_account, disable_account
from server.accounts.roles import ROLES, SCOPE_KINDS
from server.accounts.sessions import (
    SignedIn,
    session_of,
    sign_in,
    sign_out,
    who_is,
)
from server.accounts.tablet_posts import change_posts, places, post_ids_of, posts_of, set_post
from server.accounts.tablets import (
    CODE_DAYS,
    MAX_HEIRS,
    RENEWALS_A_DAY,
    close_tablet,
    end_all_codes,
    end_enrolment_code,
    enrol,
    enrol_again,
    is_write_only,
    make_enrolment_code,
    revoke_tablet,
    standing,
)

__all__ = [
    "CODE_ALPHABET",
    "CODE_DAYS",
    "MAX_HEIRS",
    "MAX_PASSWORD",
    "MIN_PASSWORD",
    "RENEWALS_A_DAY",
    "ROLES",
    "SCOPE_KINDS",
    "NewPassword",
    "Person",
    "PersonRefused",
    "SignedIn",
    "add_account",
    "attempt_limits",
    "change_posts",
    "close_tablet",
    "disable_account",
    "end_all_codes",
    "end_enrolment_code",
    "enrol",
    "enrol_again",
    "is_write_only",
    "make_enrolment_code",
    "new_password",
    "people",
    "places",
    "post_ids_of",
    "posts_of",
    "revoke_tablet",
    "roles",
    "second_factor",
    "session_of",
    "sessions",
    "set_post",
    "sign_in",
    "sign_out",
    "standing",
    "who_is",
]
