"""What a password must be, why one is refused, and its slow hash.

Rules kept here:
- A refusal is in both languages and with the remedy.
- A password is never hashed or compared within a writing transaction, which all writers of SQLite would wait for: both
  raise there.
- A process hashes one password at a time: each takes 64 MiB of memory and all cores.
"""

import threading
from dataclasses import dataclass, field
from typing import Final

from zxcvbn import zxcvbn

from schemas.words import Reason
from server.crypto import vault
from server.database.engine import refuse_while_writing
from server.translations import T_, Text

MIN_PASSWORD: Final = 12
MAX_PASSWORD: Final = 128
LEAST_SCORE: Final = 3
"""Of zxcvbn's 0 to 4: some 10^8 guesses, far more than some hundred attempts a day allow."""
_JUDGED: Final = 72
"""Characters that zxcvbn checks; more can only make the password better."""


def password_faults(password: str, username: str, *known: str) -> list[Reason]:
    """Return why a password is refused; empty if it is accepted. The password itself is never repeated.

    Parameters
    ----------
    username : must not be part of it
    known : other words that an acquaintance would try first, such as the person's name
    """
    count = len(password)
    if count < MIN_PASSWORD:
        return [
            _fault(
                "too-short",
                T_(
                    "the password has {count} characters: give at least {min_password}, such as four "
                    "words that have nothing to do with one another"
                ).format(count=count, min_password=MIN_PASSWORD),
            )
        ]
    if count > MAX_PASSWORD:
        return [
            _fault(
                "too-long",
                T_("the password has {count} characters: give at most {max_password}").format(
                    count=count, max_password=MAX_PASSWORD
                ),
            )
        ]
    if username.casefold() in password.casefold():
        return [
            _fault(
                "holds-user-name",
                T_("the password contains the user name: use other words"),
            )
        ]
    inputs = [word for word in (username, *known, *(part for name in known for part in name.split())) if word]
    if zxcvbn(password[:_JUDGED], user_inputs=inputs)["score"] < LEAST_SCORE:
        return [
            _fault(
                "easy-to-guess",
                T_(
                    "the password is easy to guess: avoid names, dates, keyboard patterns and repetition, and add one "
                    "or two uncommon words"
                ),
            )
        ]
    return []


def _fault(code: str, text: Text) -> Reason:
    return Reason("password", code, None, *map(_sentence, text))


@dataclass(frozen=True, slots=True)
class NewPassword:
    """A password that somebody chose, hashed; or why it is refused, without a hash."""

    hash: str = field(repr=False)
    faults: tuple[Reason, ...] = ()


def new_password(password: str, username: str, *known: str) -> NewPassword:
    """Check and hash a password, outside of any writing transaction. Parameters as of `password_faults`."""
    faults = password_faults(password, username, *known)
    return NewPassword("", tuple(faults)) if faults else NewPassword(hash_password(password))


_HASHING = threading.Lock()


def hash_password(password: str) -> str:
    """Hash a password, outside of any writing transaction."""
    refuse_while_writing("hashing a password")
    with _HASHING:
        return vault.hash_password(password)


def password_fits(stored: str | None, password: str) -> bool:
    """Compare a password with a hash, outside of any writing transaction; without a hash the time is the same."""
    refuse_while_writing("comparing a password")
    with _HASHING:
        return vault.password_fits(stored, password)


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."
