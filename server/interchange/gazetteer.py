"""Find the posyandu that a row names: by its name within its village, tolerant of spelling. Adds missing ones on request."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from server.context import AppContext
from server.database.models import HealthCentre, HealthPost, Region
from server.interchange.sigizi import SigiziRow, plain
from server.places import health_posts

UNKNOWN, UNCLEAR = "post-unknown", "post-unclear"


def post_name(text: str) -> str:
    """Give a posyandu's name in plain form, without a leading "posyandu" or "pos"."""
    found = plain(text)
    for word in ("posyandu", "pos"):
        if found.startswith(word) and len(found) > len(word):
            return found[len(word) :]
    return found


def village_name(text: str) -> str:
    """Give a village's name in plain form, without a leading "desa" or "kelurahan"."""
    words = text.split()
    if len(words) > 1 and words[0].casefold().strip(".") in ("desa", "kelurahan", "kel", "ds"):
        words = words[1:]
    return plain("".join(words))


@dataclass(frozen=True, slots=True)
class NamedPost:
    """A posyandu's names in plain form, with its village code if known."""

    id: str
    name: str
    village: str
    subdistrict: str
    centre: str
    village_code: str | None


class Gazetteer:
    """All posts and villages of the district, by name."""

    def __init__(self, session: Session, hub: AppContext) -> None:
        self._posts: dict[str, list[NamedPost]] = {}
        self._found: dict[tuple[str, ...], tuple[str, str]] = {}
        regions = {
            r.code: r.name for r in session.scalars(select(Region).where(Region.district == hub.district))
        }
        self._villages: dict[str, list[tuple[str, str]]] = {}
        for code, name in regions.items():
            if code.count(".") == 3:
                upper = plain(regions.get(code.rpartition(".")[0], ""))
                self._villages.setdefault(village_name(name), []).append((upper, code))
        self._subdistricts = {plain(name): code for code, name in regions.items() if code.count(".") == 2}
        for row in session.execute(_posts(hub)):
            code = row.village_code
            village = regions.get(code or "", "")
            upper = regions.get((code or "").rpartition(".")[0], "")
            place = NamedPost(
                row.id, post_name(row.name), village_name(village), plain(upper), plain(row.centre), code
            )
            self._posts.setdefault(place.name, []).append(place)

    def find(self, row: SigiziRow) -> tuple[str, str]:
        """Return the id of the post that a row names, with ""; or "" with the reason, UNKNOWN or UNCLEAR."""
        names = row.post, row.village, row.subdistrict, row.centre
        if names not in self._found:
            self._found[names] = self._find(row)
        return self._found[names]

    def _find(self, row: SigiziRow) -> tuple[str, str]:
        named = self._posts.get(post_name(row.post), [])
        village, subdistrict, centre = village_name(row.village), plain(row.subdistrict), _centre(row.centre)
        fitting = [
            place
            for place in named
            if (not village or not place.village or place.village == village)
            and (not subdistrict or not place.subdistrict or place.subdistrict == subdistrict)
        ]
        if len(fitting) > 1 and centre:  # the village does not decide: try the health centre
            fitting = [place for place in fitting if _centre(place.centre) == centre] or fitting
        if len(fitting) > 1 and village:
            fitting = [place for place in fitting if place.village == village] or fitting
        if len(fitting) == 1:
            return fitting[0].id, ""
        return "", UNCLEAR if fitting else UNKNOWN

    def may_be_added(self, row: SigiziRow) -> bool:
        """Say whether a missing post could be added: the village that the row names must be known."""
        return bool(post_name(row.post)) and (not row.village or self.village_code(row) is not None)

    def village_code(self, row: SigiziRow) -> str | None:
        """Give the code of the village that a row names; None if it is unknown or several have this name."""
        subdistrict = plain(row.subdistrict)
        found = [
            code
            for upper, code in self._villages.get(village_name(row.village), [])
            if not subdistrict or upper == subdistrict
        ]
        return found[0] if len(found) == 1 else None

    def subdistrict_code(self, row: SigiziRow) -> str | None:
        """Give the code of the subdistrict that a row names."""
        return self._subdistricts.get(plain(row.subdistrict))


def _posts(hub: AppContext) -> Any:
    same = and_(HealthCentre.district == HealthPost.district, HealthCentre.id == HealthPost.health_centre_id)
    return (
        select(HealthPost.id, HealthPost.name, HealthPost.village_code, HealthCentre.name.label("centre"))
        .join(HealthCentre, same)
        .where(HealthPost.district == hub.district)
        .order_by(HealthPost.id)
    )


def _centre(text: str) -> str:
    found = plain(text)
    return found.removeprefix("puskesmas").removeprefix("pukesmas") or found


def add_missing(
    session: Session, hub: AppContext, rows: Iterable[SigiziRow], *, actor: str, now: datetime
) -> Mapping[str, int]:
    """Add the posyandu that rows name and that are not here, with their missing health centres.

    Returns
    -------
    dict : how many `posts` and `centres` were added
    """
    known = Gazetteer(session, hub)
    centres = {
        _centre(row.name): row.id
        for row in session.scalars(select(HealthCentre).where(HealthCentre.district == hub.district))
    }
    added = {"posts": 0, "centres": 0}
    seen = set()
    for row in rows:
        key = (post_name(row.post), village_name(row.village), plain(row.subdistrict), _centre(row.centre))
        if key in seen or known.find(row)[1] != UNKNOWN or not known.may_be_added(row):
            continue
        seen.add(key)
        code = known.village_code(row)
        centre = centres.get(key[3])
        if centre is None:
            name = row.centre or f"Puskesmas {row.subdistrict}".strip()
            subdistrict = code.rpartition(".")[0] if code else known.subdistrict_code(row)
            centre = health_posts.add_health_centre(session, hub, name, subdistrict, actor=actor, now=now)
            centres[key[3]] = centre
            added["centres"] += 1
        health_posts.add_post(session, hub, row.post, centre, code, actor=actor, now=now)
        added["posts"] += 1
    return added
