"""What carriers bring for tablets. The messages of tablets themselves are in `schemas`."""

from schemas.batch import SealedLetterSchema
from schemas.strict import ListOf, Part, Strict
from server.sync.relay import MOST_LETTERS


class LettersSchema(Strict):
    """What a carrier brings at once."""

    letters = ListOf(Part(SealedLetterSchema), 1, MOST_LETTERS)
