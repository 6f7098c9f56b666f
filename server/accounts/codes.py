"""Codes that people copy from paper: their letters, length and form. Stored are keyed digests (`Vault.digest`)."""

import secrets
from typing import Final

CODE_ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""Without 0, O, 1, I and L, which are misread on paper."""
LONG: Final = 4, 4, 5
"""Letters in each group of a code that is valid for days: 31^13, 64 bits."""
SHORT: Final = 4, 4, 2
"""Likewise of a code that is valid for an hour, of which few are tried: 31^10, 49 bits."""


def new_code(groups: tuple[int, ...]) -> str:
    """Draw a code, with "-" between its groups."""
    return "-".join("".join(secrets.choice(CODE_ALPHABET) for _ in range(length)) for length in groups)


def letters_of(given: str) -> str:
    """Return the letters and digits of a code as somebody typed it."""
    return "".join(c for c in given.upper() if c in CODE_ALPHABET)
