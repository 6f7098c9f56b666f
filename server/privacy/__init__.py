"""The rights of a child's parents under UU 27/2022 (PDP): to see, correct, restrict and erase what is held, in time.

`requests` keeps what was asked and when the answer is due, `consenting` whether a parent agrees, `restricting` stops and
resumes processing, `erasing` destroys a person for good, `access` gives everything that is held and who read it, as JSON and
on paper, `standing` shows how a child stands with all that. docs/privacy.md says why.

Rules kept here: every step is in the log; who asked and what they said is sealed with the child's key; nobody erases alone.
"""

from server.privacy.access import AccessReport, as_pdf, gather, log_given
from server.privacy.consent import consent
from server.privacy.erasure import erase_again, erased_so_far, hold_until
from server.privacy.requests import (
    DAYS,
    FITTING,
    KINDS,
    OUTCOMES,
    RELATIONS,
    ShownRequest,
    agree,
    answer,
    of_child,
    open_requests,
    receive,
)
from server.privacy.restriction import lift, restrict
from server.privacy.standing import RightsStatus, standing

__all__ = [
    "DAYS",
    "FITTING",
    "KINDS",
    "OUTCOMES",
    "RELATIONS",
    "AccessReport",
    "RightsStatus",
    "ShownRequest",
    "agree",
    "answer",
    "as_pdf",
    "consent",
    "erase_again",
    "erased_so_far",
    "gather",
    "hold_until",
    "lift",
    "log_given",
    "of_child",
    "open_requests",
    "receive",
    "restrict",
    "standing",
]
