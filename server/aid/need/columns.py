"""Ids and dates as NumPy columns: a district has 25,000 people in need, too many for a Python object each."""

from datetime import date
from typing import Any

import numpy as np

ID, DAY = 36, 10
"""Length of an id and of a date as text."""

Ids = np.ndarray[Any, np.dtype[np.bytes_]]

Numbers = np.ndarray[Any, np.dtype[np.intp]]

Truths = np.ndarray[Any, np.dtype[np.bool_]]


def fixed_width(text: str, size: int) -> Any:
    """Read texts of `size` bytes, each followed by a separator."""
    rows = np.frombuffer(text.encode(), [("text", f"S{size}"), ("end", "S1")])
    return np.ascontiguousarray(rows["text"])


def split_texts(text: str) -> list[str]:
    """Read texts of any length, each followed by a semicolon."""
    return text.split(";")[:-1]


def iso_bytes(day: date) -> bytes:
    return day.isoformat().encode()


def locate(ids: Ids, among: Ids) -> tuple[Numbers, Any]:
    """Give for each id its index in the sorted ids `among`, and whether it is there at all."""
    if not len(among):
        return np.zeros(len(ids), np.intp), np.zeros(len(ids), bool)
    places = np.minimum(np.searchsorted(among, ids), len(among) - 1)
    return places, among[places] == ids


def is_first(ids: Ids) -> Truths:
    """Say for each of the sorted ids whether it is the first of its value."""
    first = np.ones(len(ids), bool)
    first[1:] = ids[1:] != ids[:-1]
    return first
