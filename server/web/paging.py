"""Lists in pages: how many rows a page has, and what the foot of a list says."""

from typing import Final

PAGE_ROWS: Final = 50
"""Rows of a page, and of a JSON answer unless `limit` says otherwise."""
MOST_ROWS: Final = 200
"""Rows of a JSON answer at most."""


def offset_of(number: int) -> int:
    """Return how many rows come before page `number` (from 1)."""
    return (number - 1) * PAGE_ROWS


def page_count(total: int, rows: int = PAGE_ROWS) -> int:
    """Return how many pages a list has; an empty one has one."""
    return max(1, -(-total // rows))


def paged(total: int, number: int) -> dict[str, int]:
    """Return what the foot of a list shows: page, pages, and the first and last row on it."""
    first = offset_of(number)
    return {
        "number": number,
        "pages": page_count(total),
        "total": total,
        "first": first + 1,
        "last": min(total, first + PAGE_ROWS),
    }
