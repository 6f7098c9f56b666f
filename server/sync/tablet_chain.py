"""What the server holds of a tablet's chain of changes, and whether a batch continues it.

Rules kept here: a tablet's changes are taken in order and without gaps; a batch may repeat what is held, unchanged. A dot
held with another hash, a head below what is held, or a wrong token means that the device was restored or cloned.

**When a device was restored or cloned.** The server cannot tell which of two devices is the copy. So the first batch that
gives them away closes the enrolment (`closed_at`), and every device that uses it must enrol anew, the one with the newest
token too. From then on each batch is answered `new_epoch_required`, carried or not, and nothing of it is stored; only a
batch that was accepted before still gets its receipt. A device goes on by itself under a new enrolment
(`accounts.enrol_again`); after MAX_HEIRS or RENEWALS_A_DAY of these, or if the tablet was revoked, a person must make a
code.

**When the server was restored.** The restore gives the database a new incarnation (`backup.restoration`). It is in every
answer to a batch or an enrolment, and each batch names the one that its tablet knows. A batch made before the restore is
*outdated* (`is_outdated`): perhaps the first contact since, perhaps an upload that was on its way or is sent again by a
proxy. Its token cannot be right and its head may be below what is held by now; neither is checked. Its changes are taken if
they fit the chain, by number and hash. It gets the present token, which does not change, and no pull: so it cannot make
another batch of the same tablet look like a second device's, and a copied device learns nothing by it (docs/adr/0029). The
tablet takes the receipt (`Replica.receive`) and pulls everything again with its next batch. If the server has lost some of
its changes, it answers `gap`, and the tablet sends them again from `Receipt.wanted` on. If it does not keep all of these any
more, it enrols anew. If the enrolment itself was lost, the answer is `tablet-unknown` and the device needs a code
(`Client.readmit`).
"""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple, cast

from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session

from server import accounts, audit
from server.children import ledger
from server.context import AppContext
from server.database import row_macs
from server.database.models import AuditEntry, ChangeRow, Installation, Tablet, table
from server.sync.loading import Arrival
from sync_protocol import TAG_LENGTH, Item, Json, Outcome, ReceiptStatus


class TabletFacts(NamedTuple):
    """The columns of a tablet's row on which an upload depends; `posts` are those of a tablet of staff, else None."""

    id: str
    post_id: str
    public_key: str
    last_counter: int
    chain_hash: str
    revoked_at: datetime | None
    head_counter: int
    token: str
    token_before: str
    token_batch: str | None
    closed_at: datetime | None
    enrolled_at: datetime
    last_sync_at: datetime | None
    clock_offset_ms: int | None
    write_only: bool
    several: bool
    district: str
    name: str
    replaces: str | None
    mac: bytes | None
    incarnation: str
    posts: frozenset[str] | None = None

    @property
    def basis(self) -> tuple[Any, ...]:
        """What must be the same when an upload is written as when it was planned: `last_counter`, `chain_hash`, `token`,
        whether the tablet was revoked or closed, its posts, and the server's incarnation. The other columns may have
        changed."""
        closed = self.revoked_at is not None, self.closed_at is not None
        return self.last_counter, self.chain_hash, self.token, closed, self.posts, self.incarnation

    def owns(self, batch: Json) -> bool:
        """Say whether this device is the only user of its enrolment, as far as the token shows.

        It is if it brings the newest token, or if this is the very batch whose lost answer contained that token (it then
        brings the token before).
        """
        again = batch["batch"] == self.token_batch and batch["token"] == self.token_before
        return bool(again or batch["token"] == self.token)

    def next_token(self, batch: Json, *, outdated: bool) -> str:
        """Return the token that the tablet must bring next: the same one for the same batch, which may arrive twice at once.
        A carried batch does not change it, nor does an outdated one."""
        unchanged = outdated or batch["carried"] or batch["batch"] == self.token_batch
        return self.token if unchanged else secrets.token_urlsafe(12)

    def closed_columns(self, session: Session, now: datetime) -> dict[str, Any]:
        """Return the columns to set when the enrolment is closed."""
        closed = {"closed_at": now}
        return {**closed, "mac": row_macs.mac_of(session, Tablet, {**self._asdict(), **closed})}

    def token_columns(self, batch: Json, token: str) -> dict[str, Any]:
        """Return the columns to set when a token is handed out; none if it is the same one again."""
        if token == self.token:
            return {}
        return {"token": token, "token_before": self.token, "token_batch": batch["batch"]}


def find_tablet(session: Session, district: str, tablet_id: str, *, lock: bool) -> TabletFacts | None:
    """Read a tablet's row; None if there is none.

    Raises
    ------
    RowForged
        It was written or changed by somebody without the keys.
    """
    given = {"district": district, "tablet": tablet_id}
    row = session.connection().execute(_one_tablet(lock=lock), given).first()
    if row is None:
        return None
    row_macs.checked(session, Tablet, cast(Mapping[str, Any], row._mapping))
    posts = accounts.post_ids_of(session, district, tablet_id) if row.several else None
    return TabletFacts._make((*row, posts))


def known_tablet(session: Session, district: str, tablet_id: str, *, lock: bool) -> TabletFacts:
    """Read the row of a tablet that was found before: tablets are never deleted."""
    tablet = find_tablet(session, district, tablet_id, lock=lock)
    if tablet is None:
        raise LookupError("the tablet's row is gone")
    return tablet


@cache
def _one_tablet(*, lock: bool) -> Select[*tuple[Any, ...]]:
    c, installation = table(Tablet).c, table(Installation).c
    columns = [c[name] for name in TabletFacts._fields if name not in ("incarnation", "posts")]
    query = select(*columns, installation.incarnation).where(
        c.district == bindparam("district"),
        c.id == bindparam("tablet"),
        installation.district == c.district,
    )
    return query.with_for_update(of=table(Tablet)) if lock else query


def is_outdated(session: Session, district: str, tablet: TabletFacts, batch: Json) -> bool:
    """Say whether a batch was made before the server was restored.

    A tablet that has had no answer yet may name no incarnation: its batch counts as outdated if the server was restored at
    any time since it enrolled.
    """
    if batch["incarnation"]:
        return bool(batch["incarnation"] != tablet.incarnation)
    given = {"district": district, "since": tablet.enrolled_at}
    return session.connection().execute(_restored(), given).first() is not None


@cache
def _restored() -> Select[*tuple[Any, ...]]:
    c = table(AuditEntry).c
    return select(c.number).where(
        c.district == bindparam("district"),
        c.stream == audit.OFFICE,
        c.action == "database.restored",
        c.at >= bindparam("since"),
    )


def held_again(
    session: Session, district: str, tablet: TabletFacts, batch: Json, arrivals: Sequence[Arrival]
) -> Mapping[int, Any]:
    """Return what is held of the changes that a batch repeats, and of the one before them, by counter."""
    if not arrivals or batch["first"] > tablet.last_counter:
        return {}
    c = table(ChangeRow).c
    low, high = batch["first"] - 1, arrivals[-1].link.dot.counter
    rows = session.execute(
        select(c.counter, c.hash, c.outcome, c.reasons, c.content, c.sealed).where(
            c.district == district, c.actor == tablet.id, c.counter.between(low, high)
        )
    )
    return {row.counter: row for row in rows}


def continuity(
    tablet: TabletFacts,
    batch: Json,
    arrivals: Sequence[Arrival],
    held: Mapping[int, Any],
    *,
    outdated: bool,
) -> ReceiptStatus:
    """Say whether a batch extends the stored chain, or repeats part of it unchanged.

    Parameters
    ----------
    held : as `held_again` returns it
    outdated : as `is_outdated` says; such a batch, like a carried one, may have been made long ago
    """
    head_counter, head_tag = batch["head"]
    if tablet.closed_at is not None:
        return ReceiptStatus.NEW_EPOCH_REQUIRED
    made_now = not batch["carried"] and not outdated
    if made_now and (head_counter < tablet.last_counter or not tablet.owns(batch)):
        return ReceiptStatus.NEW_EPOCH_REQUIRED
    if head_counter == tablet.last_counter and head_tag != tablet.chain_hash[:TAG_LENGTH]:
        return ReceiptStatus.NEW_EPOCH_REQUIRED
    if batch["first"] > tablet.last_counter + 1:
        return ReceiptStatus.GAP
    if not arrivals:
        return ReceiptStatus.ACCEPTED
    extends = batch["first"] == tablet.last_counter + 1 and batch["previous"] == tablet.chain_hash
    repeats = batch["first"] <= tablet.last_counter and _repeats(batch, arrivals, held)
    return ReceiptStatus.ACCEPTED if extends or repeats else ReceiptStatus.NEW_EPOCH_REQUIRED


def _repeats(batch: Json, arrivals: Sequence[Arrival], held: Mapping[int, Any]) -> bool:
    """Say whether every change that is held already is the same."""
    for arrival in arrivals:
        row = held.get(arrival.link.dot.counter)
        if row is not None and row.hash != arrival.link.hash:
            return False
    before = batch["first"] - 1
    return bool(batch["previous"] == (held[before].hash if before else ""))


def repeated_item(arrival: Arrival, held: Mapping[int, Any], hub: AppContext) -> Item:
    """Return the receipt of a change that is held already. If it was quarantined, that is said again, with the reasons: a
    tablet that was restored from its own backup may not know."""
    counter = arrival.link.dot.counter
    row = held.get(counter)
    if row is not None and row.outcome == Outcome.QUARANTINED.value:
        return Item(counter, Outcome.QUARANTINED, ledger.quarantine_reasons(hub.district, row, hub.vault))
    return Item(counter, Outcome.DUPLICATE)
