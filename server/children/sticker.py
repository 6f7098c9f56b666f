"""The code on the sticker of a child's Buku KIA: 12 characters, from which a tablet finds the child among its post's. Pure.

It is the last 60 bits of the record's id, which are random (RFC 9562, UUIDv7), in Crockford's base 32: digits and capital
letters without I, L, O and U. So nothing personal is on the sticker, no more of the id than finds the child, and nothing
needs to be stored or sent: each tablet computes the codes of its children (`tablet/parts/sticker.js`; docs/adr/0039 says
why).
"""

from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PREFIX: Final = "PSY:"
"""Stands before the code in a QR code, so that other codes are told apart. Both together have the 16 characters that the
smallest QR code holds at a level of correction of 25 %.
"""
LENGTH: Final = 12
_BITS: Final = 60


def sticker_code(child_id: str) -> str:
    """Return the code of a child."""
    left = int(child_id.replace("-", ""), 16) & ((1 << _BITS) - 1)
    found = ""
    for _ in range(LENGTH):
        left, digit = divmod(left, len(ALPHABET))
        found = ALPHABET[digit] + found
    return found


def spaced(code: str) -> str:
    """Write a code as it is read and typed by people: K7QF 3M2X 9TRA."""
    return " ".join(code[i : i + 4] for i in range(0, LENGTH, 4))
