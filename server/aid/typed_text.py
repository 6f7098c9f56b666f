"""What people typed about aid, sealed since it may name a child: activities' titles and evidence, sheets' names and headers.

Rules kept here:
- Stored under the district's key, each bound to its row; opened when it is shown.
- Read by those who may read names, and by whoever wrote it. Others (TPPS, donors) see what kind of aid it was, from columns.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from server.aid.area import AidArea
from server.context import AppContext
from server.database.models import AidActivity, CsrSheet, Donor


def title_bound(hub: AppContext, activity_id: str) -> str:
    """Give the context to which the encryption of an activity's title is bound."""
    return f"activity-title/{hub.district}/{activity_id}"


def evidence_bound(hub: AppContext, activity_id: str) -> str:
    """Give the context to which the encryption of an activity's evidence is bound."""
    return f"activity-evidence/{hub.district}/{activity_id}"


def name_bound(hub: AppContext, sheet_id: str) -> str:
    """Give the context to which the encryption of a sheet's name is bound."""
    return f"csr-name/{hub.district}/{sheet_id}"


def seal_words(hub: AppContext, activity_id: str, title: str, evidence: str) -> dict[str, bytes | None]:
    """Encrypt what was typed about an activity, into its columns."""
    seal = hub.vault.seal_for_district
    return {
        "title_sealed": seal(title.encode(), title_bound(hub, activity_id)),
        "evidence_sealed": seal(evidence.encode(), evidence_bound(hub, activity_id)) if evidence else None,
    }


def title_of(hub: AppContext, row: AidActivity) -> str:
    """Decrypt the title of an activity; "" if it was erased."""
    if row.title_sealed is None:
        return ""
    return hub.vault.unseal_for_district(row.title_sealed, title_bound(hub, row.id)).decode()


def evidence_of(hub: AppContext, row: AidActivity) -> str:
    """Decrypt the evidence of an activity; "" if there is none, or it was erased."""
    if row.evidence_sealed is None:
        return ""
    return hub.vault.unseal_for_district(row.evidence_sealed, evidence_bound(hub, row.id)).decode()


def headers_bound(hub: AppContext, donor_id: str) -> str:
    """Give the context to which the encryption of a donor's headers is bound."""
    return f"csr-headers/{hub.district}/{donor_id}"


def seal_headers(hub: AppContext, donor_id: str, headers: Mapping[str, str]) -> bytes:
    """Encrypt which header of a donor's sheets means which field."""
    return hub.vault.seal_for_district(orjson.dumps(dict(headers)), headers_bound(hub, donor_id))


def headers_of(hub: AppContext, donor: Donor | None) -> dict[str, str]:
    """Decrypt which header of a donor's sheets means which field, as chosen last; empty without a donor."""
    if donor is None or donor.columns_sealed is None:
        return {}
    found: dict[str, str] = orjson.loads(
        hub.vault.unseal_for_district(donor.columns_sealed, headers_bound(hub, donor.id))
    )
    return found


def seal_name(hub: AppContext, sheet_id: str, name: str) -> bytes:
    """Encrypt the name of a sheet's file."""
    return hub.vault.seal_for_district(name.encode(), name_bound(hub, sheet_id))


def name_of_sheet(hub: AppContext, sheet: CsrSheet) -> str:
    """Decrypt the name of a sheet's file; "" if it was erased."""
    if sheet.name_sealed is None:
        return ""
    return hub.vault.unseal_for_district(sheet.name_sealed, name_bound(hub, sheet.id)).decode()


@dataclass(frozen=True, slots=True)
class TextReader:
    """Somebody who reads about aid: what was typed is shown to them, or "" in its place.

    Parameters
    ----------
    who : their id as an author; what they wrote themselves they may read
    names : whether they may read names
    """

    hub: AppContext
    who: str
    names: bool

    @classmethod
    def of(cls, hub: AppContext, area: AidArea, who: str) -> "TextReader":
        return cls(hub, who, area.scope.shows_names)

    def may_read(self, author: str) -> bool:
        """Say whether they may read what somebody typed."""
        return self.names or author == self.who

    def title(self, row: AidActivity) -> str:
        return title_of(self.hub, row) if self.may_read(row.made_by) else ""

    def name(self, sheet: CsrSheet) -> str:
        return name_of_sheet(self.hub, sheet) if self.may_read(sheet.brought_by) else ""
