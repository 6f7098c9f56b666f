"""What messages may contain: JSON in, the same JSON or a list of reasons out. Imports only marshmallow, sync_protocol,
babel (for texts) and the standard library; knows no database, clock or HTTP.

Everything is a whitelist: a field that is not named here is refused. Nothing is converted: the bytes that a tablet hashed
and signed are the bytes that are stored, so a schema only says whether a message is valid, and why not, in sentences that
a cadre understands.

batch    requests of tablets and carriers      receipt  answers
change   one change of a record                records  registers: fields, units, ranges
strict   the kinds of field                    fast     a quick check before marshmallow
moments  bounds of moments, and how stored ones are read
words    the sentences of every refusal     catalogue  texts in the languages of people
recovery a tablet whose PIN was forgotten
limits   what every field may hold, as data
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
    tally_of,
)
from schemas.change import check_against_birth, check_change, check_registers, check_tablet_change
from schemas.moments import read_moment
from schemas.receipt import check_answer, check_enrol_answer, check_receipt, check_sealed_receipt
from schemas.recovery import RecoveryRequest, parse_recovery
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
    "RecoveryRequest",
    "Sealed",
    "check_against_birth",
    "check_answer",
    "check_change",
    "check_enrol_answer",
    "check_receipt",
    "check_registers",
    "check_sealed_receipt",
    "check_tablet_change",
    "parse_enrolment",
    "parse_enrolment_again",
    "parse_envelope",
    "parse_letter",
    "parse_recovery",
    "parse_sealed",
    "read_moment",
    "tally_of",
]
