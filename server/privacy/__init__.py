"""Rights of a child's parents under UU 27/2022 (PDP): to see, correct, restrict and erase what is held, in time.

`requests` keeps what was asked and when the answer is due, `consent` whether a parent agrees, `restriction` stops and
resumes processing, `erasure` destroys a person's data for good, `access` collects everything that is held and who read it,
as JSON and on paper, `standing` shows the state of all that for a child. Reasons: docs/privacy.md.

Rules kept here: every step is logged; who asked and what they said is encrypted with the child's key; an erasure takes two
people.
"""

from server.privacy.access import AccessReport, as_pdf, gather, log_given
from server.privacy.consent import consent
from server.privacy.erasure import erase_again, hold_until
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
