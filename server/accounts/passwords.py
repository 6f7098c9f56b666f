"""What a password must be, and why one is refused, in both languages and with the remedy. Pure."""

from typing import Final

from zxcvbn import zxcvbn

from schemas.words import Reason
from server.translations import T_, Text

MIN_PASSWORD: Final = 12
MAX_PASSWORD: Final = 128
LEAST_SCORE: Final = 3
"""Of zxcvbn's 0 to 4: some 10^8 guesses, far more than ten attempts in fifteen minutes allow."""
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


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."
