"""The server's texts: `<language>/*.po`, a file for each package or family of pages. A language is a directory.

English is in the code: `T_("…")` makes a text that knows all languages, `N_` marks a message that a page translates.
`make words` brings the files up to date.
"""

from pathlib import Path
from typing import Final

from schemas.catalogue import ENGLISH, Text, languages, texts, translations

__all__ = ["CATALOGUES", "ENGLISH", "LANGUAGE_NAME", "N_", "T_", "Text", "languages", "translations"]

CATALOGUES: Final = Path(__file__).parent
T_: Final = texts(CATALOGUES)
LANGUAGE_NAME: Final = T_("English", "name of this language")
"""What a language calls itself."""


def N_(message: str) -> str:  # noqa: N802 - the name by which catalogues' tools know it
    """Mark a message for the catalogue; it is translated where it is shown."""
    return message
