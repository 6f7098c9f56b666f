"""Find the village and the children that a sheet's text means."""

from collections.abc import Iterable

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from server.context import AppContext
from server.database.models import Child, NikIndex, Region
from server.interchange.gazetteer import village_name
from server.interchange.sigizi import plain


class VillageNames:
    """Find the district's villages by name, in any spelling."""

    def __init__(self, session: Session, hub: AppContext) -> None:
        rows = session.execute(select(Region.code, Region.name).where(Region.district == hub.district)).all()
        names = {row.code: row.name for row in rows}
        self._by_name: dict[str, list[tuple[str, str]]] = {}
        self._codes = {code for code in names if code.count(".") == 3}
        for code in self._codes:
            upper = plain(names.get(code.rpartition(".")[0], ""))
            self._by_name.setdefault(village_name(names[code]), []).append((upper, code))

    def find(self, village: str, subdistrict: str) -> tuple[str, str]:
        """Give (code, "") for a village, or ("", reason) if there is not exactly one."""
        if not village:
            return "", "village-missing"
        if village in self._codes:
            return village, ""
        upper = plain(subdistrict)
        found = [
            code for up, code in self._by_name.get(village_name(village), []) if not upper or up == upper
        ]
        if len(found) == 1:
            return found[0], ""
        return "", "village-unclear" if found else "village-unknown"


def children_by_nik(session: Session, hub: AppContext, niks: Iterable[str]) -> dict[str, str]:
    """Find children by NIK. Left out are NIKs that several children have, and children whose processing is restricted."""
    blinds = {hub.vault.blind_index(nik): nik for nik in niks if nik}
    if not blinds:
        return {}
    found: dict[str, list[str]] = {}
    same_child = and_(Child.district == NikIndex.district, Child.id == NikIndex.child_id)
    query = (
        select(NikIndex.blind_index, NikIndex.child_id)
        .join(Child, same_child)
        .where(
            NikIndex.district == hub.district,
            NikIndex.blind_index.in_(list(blinds)),
            Child.restricted_at.is_(None),
        )
    )
    for blind, child_id in session.execute(query):
        found.setdefault(blinds[blind], []).append(child_id)
    return {nik: ids[0] for nik, ids in found.items() if len(ids) == 1}
