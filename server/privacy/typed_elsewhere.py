"""Cuts a person who is erased out of text that people typed elsewhere: aid, imported files, saved views, names of tablets.

Names of places, organisations and staff stay: they are public, and nobody's child (docs/privacy.md).
"""

from collections.abc import Collection
from typing import Any, Final

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from server.aid.sheets import forgetting
from server.context import AppContext
from server.database.models import EnrolmentCode, Passkey, SavedView, Tablet
from server.interchange import uploads
from server.privacy.mentions import Mentions
from server.review import saved_views

NAMED: Final[tuple[tuple[Any, Any, Any, str], ...]] = (
    (Tablet, Tablet.id, Tablet.name, "Tablet"),
    (EnrolmentCode, EnrolmentCode.code_digest, EnrolmentCode.tablet_name, "Tablet"),
    (Passkey, Passkey.credential_id, Passkey.name, "Passkey"),
)
"""Names of devices: table, key, column, and what a device is called instead."""


def forget(session: Session, hub: AppContext, ids: Collection[str], named: Mentions) -> None:
    """Cut out what names the children `ids`, whom `named` recognises."""
    forgetting.forget(session, hub, ids, named.in_text, named.in_row)
    uploads.forget_files(session, hub, named.in_row)
    _views(session, hub, named)
    for model, key, column, nameless in NAMED:
        names = select(key, column).where(model.district == hub.district)
        for id_, name in session.execute(names).all():
            if named.in_text(name):
                setattr(session.get_one(model, (hub.district, id_)), column.key, nameless)
    session.flush()


def _views(session: Session, hub: AppContext, named: Mentions) -> None:
    for row in session.scalars(select(SavedView).where(SavedView.district == hub.district)):
        purpose = saved_views.bound_to(hub, row.account_id)
        kept = orjson.loads(hub.vault.unseal_for_district(row.sealed, purpose))
        left = {name: query for name, query in kept.items() if not named.in_text(name)}
        if left != kept:
            row.sealed = hub.vault.seal_for_district(orjson.dumps(left), purpose)
