"""The form of a carried batch (a "letter") and of the receipt that travels back, for both ends.

    letter  = {"sealed": {"v": 1, "key": …, "enc": …, "ciphertext": …}}: HPKE to the server's public key of
              gzip of {"batch": …, "signature": …, "reply": 16 random bytes}
    receipt = {"sealed_receipt": {"v": 1, "letter": …, "ciphertext": …}}: AES-128-GCM under `reply`, bound to the letter

- The carrier learns the length of a letter and nothing else.
- A receipt is encrypted with the key `reply` that only the tablet (in its slip) and the reader of the letter have. So a
  receipt that can be decrypted comes from the server.
- The size of unpacked content is limited before it is parsed.

Clients in Python use `seal_batch` and `open_receipt`.
"""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from schemas import Letter, Sealed, check_sealed_receipt, parse_letter, parse_sealed
from server.crypto.vault import (
    ENCAPSULATED_BYTES,
    KeyUnusable,
    Vault,
    base64url,
    new_reply_key,
    reply_cipher,
    seal,
    seal_to,
    sha256,
    unbase64,
    unseal,
)
from server.decompression import inflate, parse_json
from server.errors import Problem
from sync_protocol import Json, Receipt

PURPOSE: Final = "posyandu-sync/sealed-batch/1"
"""HPKE's `info`."""
_NAME_LENGTH: Final = 22


@dataclass(frozen=True, slots=True)
class Slip:
    """What a tablet keeps of a letter that it handed over: its name, and the key that decrypts its receipt.

    Kept until the receipt arrives, or all changes in the letter are acknowledged otherwise.
    """

    letter: str
    reply_key: bytes

    def wire(self) -> list[str]:
        """Write it for storing, as `[letter, reply key]`."""
        return [self.letter, base64url(self.reply_key)]

    @classmethod
    def from_wire(cls, stored: list[str]) -> "Slip":
        """Read what `wire` wrote."""
        return cls(stored[0], unbase64(stored[1]))


def seal_batch(envelope: Mapping[str, Json], sealing_key: Mapping[str, Any]) -> tuple[dict[str, Any], Slip]:
    """Seal a signed batch for somebody to carry.

    Parameters
    ----------
    envelope : `batch` (one of `Replica.carried_batches`) and its `signature`, as for an upload
    sealing_key : `key` and `public_key`, as the server gives them on enrolling and at GET /api/v1/carried

    Returns
    -------
    the letter to hand over, and the slip to keep
    """
    reply_key = new_reply_key()
    plain = orjson.dumps({**envelope, "reply": base64url(reply_key)})
    sealed = seal_to(sealing_key["public_key"], gzip.compress(plain, mtime=0), PURPOSE)
    inside = {
        "v": 1,
        "key": sealing_key["key"],
        "enc": base64url(sealed[:ENCAPSULATED_BYTES]),
        "ciphertext": base64url(sealed[ENCAPSULATED_BYTES:]),
    }
    return {"sealed": inside}, Slip(name_of(sealed), reply_key)


def open_receipt(answer: Json, slip: Slip) -> Receipt:
    """Open the receipt of a letter.

    Raises
    ------
    ValueError
        Not in the form of a sealed receipt.
    KeyUnusable
        The receipt is of another letter, altered, or not written by the server.
    """
    if check_sealed_receipt(answer):
        raise ValueError("this is no sealed receipt")
    sealed = answer["sealed_receipt"]
    if sealed["letter"] != slip.letter:
        raise KeyUnusable(f"the receipt of letter {sealed['letter']}, not of {slip.letter}")
    plain = unseal(reply_cipher(slip.reply_key), unbase64(sealed["ciphertext"]), _bound_to(slip.letter))
    return Receipt.from_wire(orjson.loads(plain))


def name_of(sealed: bytes) -> str:
    """Return the name of a letter: a digest of the encapsulated key and ciphertext, so no two letters share one."""
    return base64url(sha256(sealed))[:_NAME_LENGTH]


def read_letter(vault: Vault, handed_over: object) -> Sealed:
    """Check the form of a letter, and that it was sealed to a key of this server.

    Raises
    ------
    MalformedSealed
        Not in the form of a letter.
    Problem
        `sealed-for-another-server`
    """
    sealed = parse_sealed(handed_over)
    if not vault.holds(sealed.key):
        raise Problem("sealed-for-another-server")
    return sealed


def open_letter(vault: Vault, sealed: Sealed, *, max_bytes: int, max_depth: int) -> tuple[Letter, Slip]:
    """Open a letter.

    Parameters
    ----------
    max_bytes, max_depth : limits of the unpacked content

    Returns
    -------
    the signed batch, JSON but otherwise unchecked, and the slip with which its receipt is sealed

    Raises
    ------
    Problem
        `sealed-unreadable`: altered or truncated; for the content: `body-not-gzip`, `body-not-json`, `body-too-deep`,
        `batch-too-large`
    MalformedBatch
        There is no key for the receipt.
    """
    try:
        packed = vault.open_sealed(sealed.key, sealed.sealed, PURPOSE)
    except KeyUnusable as error:
        raise Problem("sealed-unreadable") from error
    letter = parse_letter(parse_json(inflate(packed, max_bytes), max_depth))
    return letter, Slip(name_of(sealed.sealed), letter.reply_key)


def seal_receipt(receipt: bytes, slip: Slip) -> dict[str, Any]:
    """Seal a receipt (JSON) so that only the tablet that sealed the letter can open it."""
    sealed = seal(reply_cipher(slip.reply_key), receipt, _bound_to(slip.letter))
    return {"sealed_receipt": {"v": 1, "letter": slip.letter, "ciphertext": base64url(sealed)}}


def _bound_to(letter: str) -> str:
    return f"posyandu-sync/receipt/1/{letter}"
