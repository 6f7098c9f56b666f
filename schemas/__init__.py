"""What may be in a message: JSON in, JSON (or a list of reasons) out. Imports marshmallow, sync_protocol and
the standard library only; knows no database, no clock and no HTTP.

Everything is a whitelist: a field that is not named here is refused. Nothing is converted: the bytes that a
tablet hashed and signed are the bytes that are kept, so a schema only says yes or no, and why not, in words
that a cadre understands.
"""

from schemas.batch import (
    EnrolAgainRequest,
    EnrolRequest,
    Envelope,
    Letter,
    Malformed,
    MalformedBatch,
    MalformedEnrolment,
    MalformedSealed,
    Sealed,
    parse_enrolment,
    parse_enrolment_again,
    parse_envelope,
    parse_letter,
    parse_sealed,
)
from schemas.change import check_against_birth, check_change, check_registers
from schemas.receipt import check_answer, check_enrol_answer, check_receipt, check_sealed_receipt
from schemas.words import Reason

__all__ = [
    "EnrolAgainRequest",
    "EnrolRequest",
    "Envelope",
    "Letter",
    "Malformed",
    "MalformedBatch",
    "MalformedEnrolment",
    "MalformedSealed",
    "Reason",
    "Sealed",
    "check_against_birth",
    "check_answer",
    "check_change",
    "check_enrol_answer",
    "check_receipt",
    "check_registers",
    "check_sealed_receipt",
    "parse_enrolment",
    "parse_enrolment_again",
    "parse_envelope",
    "parse_letter",
    "parse_sealed",
]
