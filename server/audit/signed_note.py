"""Signed notes, checkpoints of logs and cosignatures of witnesses, as C2SP defines them.

- c2sp.org/signed-note: a text, and lines of signatures under it;
- c2sp.org/tlog-checkpoint: a text that names a log, the size of its tree and its root;
- c2sp.org/tlog-cosignature: a witness's signature over the time and such a text (version 1, Ed25519).

Nothing here knows our log: `witnesses` writes its checkpoints in this form, `cosigning` answers other logs.
"""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final, NamedTuple

import orjson

from server.crypto.vault import base64url, checkpoint_signature_fits

ED25519: Final = 0x01
"""Signature type of a log's own key: Ed25519 over the text."""
COSIGNATURE: Final = 0x04
"""Signature type of a witness's key: a moment, and Ed25519 over the moment and the text."""
HASH_BYTES: Final = 32
KEY_ID_BYTES: Final = 4
TIME_BYTES: Final = 8
MOST_SIGNATURES: Final = 64
"""Of one note; the standard wants at least 16."""
_DASH: Final = "\u2014 "
_LATEST: Final = 253_402_300_799
"""The last second of the year 9999, which is as far as a `datetime` goes."""


class NoteInvalid(ValueError):
    """A text is no note, checkpoint or key, or a signature of a known key does not fit."""


class Key(NamedTuple):
    """A public key: the name of who signs, the type of signature, the 32 bytes."""

    name: str
    kind: int
    public: bytes

    @property
    def id(self) -> bytes:
        """The four bytes by which a signature names the key."""
        return sha256(f"{self.name}\n".encode() + bytes([self.kind]) + self.public).digest()[:KEY_ID_BYTES]

    def text(self) -> str:
        """Write it as a verifier key (vkey)."""
        return f"{self.name}+{self.id.hex()}+{_base64(bytes([self.kind]) + self.public)}"

    @classmethod
    def read(cls, text: str) -> "Key":
        """Read a verifier key.

        Raises
        ------
        NoteInvalid
            It is malformed, of an unknown type, or its id is not that of the key.
        """
        name, _, rest = text.strip().partition("+")
        id_, _, encoded = rest.partition("+")
        raw = _unbase64(encoded)
        if len(raw) != 1 + HASH_BYTES or raw[0] not in (ED25519, COSIGNATURE):
            raise NoteInvalid(f"{text!r} is no Ed25519 verifier key")
        key = cls(_name(name), raw[0], raw[1:])
        if key.id.hex() != id_:
            raise NoteInvalid(f"{text!r} was altered: its id is {key.id.hex()}")
        return key


def stored_keys(text: str) -> tuple[Key, ...]:
    """Read a stored list of verifier keys (JSON); of one that was altered, a key that nothing is signed with: then no
    cosignature fits, and `doctor` (`rows`) names the row."""
    try:
        return tuple(Key.read(key) for key in list(orjson.loads(text)))
    except (NoteInvalid, TypeError, AttributeError, orjson.JSONDecodeError):
        return (Key("", COSIGNATURE, bytes(HASH_BYTES)),)


class Signature(NamedTuple):
    """One line under a note. `raw`: what follows the key's id."""

    name: str
    key_id: bytes
    raw: bytes

    def line(self) -> str:
        return f"{_DASH}{self.name} {_base64(self.key_id + self.raw)}\n"

    @property
    def at(self) -> datetime:
        """The moment of a cosignature."""
        return datetime.fromtimestamp(int.from_bytes(self.raw[:TIME_BYTES], "big"), UTC)


@dataclass(frozen=True, slots=True)
class Note:
    """A text, which ends in a newline, and its signatures."""

    text: str
    signatures: tuple[Signature, ...]

    def whole(self) -> str:
        """Write it as it is sent."""
        return f"{self.text}\n{''.join(one.line() for one in self.signatures)}"

    @classmethod
    def read(cls, whole: str) -> "Note":
        """Read a note; nothing is verified.

        Raises
        ------
        NoteInvalid
            It is none.
        """
        text, parted, lines = whole.rpartition("\n\n")
        if not parted or any(ord(sign) < 0x20 and sign != "\n" for sign in whole):
            raise NoteInvalid("a note is a text, an empty line and signatures")
        found = read_signatures(lines)
        if not found:
            raise NoteInvalid("a note has at least one signature")
        return cls(f"{text}\n", found)

    def by(self, keys: Iterable[Key]) -> list[tuple[Key, Signature]]:
        """Verify it against known keys; return those that signed. Signatures of other keys are ignored.

        Raises
        ------
        NoteInvalid
            A signature names a known key and does not fit.
        """
        known = {(key.name, key.id): key for key in keys}
        found = []
        for one in self.signatures:
            key = known.get((one.name, one.key_id))
            if key is None:
                continue
            if not _fits(key, self.text, one):
                raise NoteInvalid(f"the signature of {one.name} does not fit")
            found.append((key, one))
        return found


@dataclass(frozen=True, slots=True)
class TreeHead:
    """The text of a checkpoint: which log, the size of its tree, and its root. `more`: extension lines."""

    origin: str
    size: int
    root: bytes
    more: tuple[str, ...] = ()

    def text(self) -> str:
        return "\n".join([self.origin, str(self.size), _base64(self.root), *self.more, ""])

    @classmethod
    def read(cls, text: str) -> "TreeHead":
        """Read the text of a checkpoint.

        Raises
        ------
        NoteInvalid
            It is none.
        """
        *lines, end = text.split("\n")
        if end or len(lines) < 3 or "" in lines:
            raise NoteInvalid("a checkpoint has an origin, a size and a root, each on a line")
        origin, size, root, *more = lines
        return cls(origin, read_size(size), read_hash(root), tuple(more))


def read_size(text: str) -> int:
    """Read the size of a tree: decimal digits without leading zeros, within 63 bits."""
    if not (text.isascii() and text.isdigit() and len(text) <= 19) or (text[0] == "0" and text != "0"):
        raise NoteInvalid(f"{text!r} is no size of a tree")
    size = int(text)
    if size >= 1 << 63:
        raise NoteInvalid(f"{text!r} is too large")
    return size


def read_hash(text: str) -> bytes:
    """Read one hash of a proof."""
    raw = _unbase64(text)
    if len(raw) != HASH_BYTES:
        raise NoteInvalid("a hash has 32 bytes")
    return raw


def write_hash(raw: bytes) -> str:
    """Write a hash as proofs and checkpoints have it."""
    return _base64(raw)


def read_signatures(lines: str) -> tuple[Signature, ...]:
    """Read lines of signatures.

    Raises
    ------
    NoteInvalid
        One is malformed, or there are too many.
    """
    if lines and not lines.endswith("\n"):
        raise NoteInvalid("a line of a signature ends in a newline")
    found = tuple(_signature(line) for line in lines.split("\n")[:-1])
    if len(found) > MOST_SIGNATURES:
        raise NoteInvalid(f"more than {MOST_SIGNATURES} signatures")
    return found


def _signature(line: str) -> Signature:
    name, parted, encoded = line.removeprefix(_DASH).partition(" ")
    raw = _unbase64(encoded)
    if not line.startswith(_DASH) or not parted or len(raw) <= KEY_ID_BYTES:
        raise NoteInvalid("this is no line of a signature")
    return Signature(_name(name), raw[:KEY_ID_BYTES], raw[KEY_ID_BYTES:])


def _name(name: str) -> str:
    if not name or "+" in name or any(sign.isspace() or ord(sign) < 0x20 for sign in name):
        raise NoteInvalid(f"{name!r} is no name of a key")
    return name


def cosigned_message(seconds: int, text: str) -> bytes:
    """Return what a witness signs: a header, the moment in seconds since 1970, and the checkpoint's text."""
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def cosignature(name: str, public: bytes, seconds: int, signature: bytes) -> Signature:
    """Return the line of a witness's signature over `cosigned_message`."""
    key = Key(name, COSIGNATURE, public)
    return Signature(name, key.id, seconds.to_bytes(TIME_BYTES, "big") + signature)


def _fits(key: Key, text: str, one: Signature) -> bool:
    message, raw = text.encode(), one.raw
    if key.kind == COSIGNATURE:
        seconds = int.from_bytes(raw[:TIME_BYTES], "big")
        if not 0 < seconds <= _LATEST:
            return False
        message, raw = cosigned_message(seconds, text), raw[TIME_BYTES:]
    return checkpoint_signature_fits(base64url(key.public), message, base64url(raw))


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _unbase64(text: str) -> bytes:
    try:
        raw = base64.b64decode(text.encode(), validate=True)
    except (ValueError, binascii.Error) as error:
        raise NoteInvalid("not base64") from error
    if _base64(raw) != text:  # bits left over
        raise NoteInvalid("not base64")
    return raw
