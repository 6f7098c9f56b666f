"""Finds villages by code or name, tolerant of case, spaces and a leading "desa" or "kelurahan"."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.database.models import Region

KINDS: Final = frozenset({"desa", "kelurahan", "kel", "ds"})


def find_villages(session: Session, district: str, wanted: str) -> Sequence[Region]:
    """Return the villages of a code, or of a name: none, one or several, by code."""
    known = session.scalars(
        select(Region).where(Region.district == district, Region.level == "village").order_by(Region.code)
    ).all()
    by_code = [region for region in known if region.code == wanted.strip()]
    return by_code or [region for region in known if _plain(region.name) == _plain(wanted)]


def _plain(name: str) -> str:
    words = name.casefold().split()
    if len(words) > 1 and words[0].strip(".") in KINDS:
        words = words[1:]
    return "".join(letter for letter in "".join(words) if letter.isalnum())
