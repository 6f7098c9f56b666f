"""What the client makes of a status of HTTP."""

from typing import Final

TOO_SLOW: Final = 408
"""The request had not arrived whole when the server gave it up, so nothing of it was taken."""
TEMPORARY: Final = frozenset({425, 429, 500, 502, 503, 504})
"""Statuses after which the same request is tried again."""
BATCH_REFUSED: Final = frozenset({400, 409, 413, 415, 422})
"""Statuses that refuse this batch as a whole: a new one may be taken."""
