"""Rotation of the master key while the server runs: everything sealed under an older key is sealed again under a new one.

Rules kept here:
- The new key is in the key file, on disk, before anything is sealed under it; every process reads the file again before it
  seals (`crypto.vault.Vault`), so requests go on throughout.
- A child's key is wrapped again, not replaced, under the lock of its post; the post's stream moves on, so that an upload
  planned before is planned again and cannot restore the old wrapping.
- It may be killed at any point: the next run continues with the key that was added then.
- A row whose MAC fits gets one under the new key; a row that somebody else has written or changed is left as it is.
- An old key leaves the file only when nothing here is under it, and at least a day after a newer one was added.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm import Session

from server import audit
from server.audit import checkpoints
from server.backup import withdrawals
from server.context import AppContext
from server.crypto import key_file
from server.crypto.vault import VERSION_BYTES, KeyUnusable, version_prefix
from server.database import row_macs
from server.database.models import (
    Account,
    AuditEntry,
    Child,
    HealthPost,
    table,
)
from server.errors import Problem
from server.privacy.sealed_columns import PLACES, SealedColumn

CHUNK: Final = 500
"""Rows of one transaction: uploads of a post wait a few tens of milliseconds."""
SETTLES: Final = timedelta(days=1)
"""How long an old key stays in the file after a newer one was added."""
ROTATED: Final = "keys.rotated"

Progress = Callable[[str, int, int], None]


def held(session: Session, hub: AppContext) -> dict[int, Counter[str]]:
    """Count what is sealed under each master key that is in the key file or in use: by version, then by table."""
    c = table(Child).c
    mine = c.district == hub.district, c.wrapped_key.is_not(None)
    found: dict[int, Counter[str]] = {version: Counter() for version in hub.vault.versions}
    for version, count in session.execute(
        select(c.key_version, func.count()).where(*mine).group_by(c.key_version)
    ):
        found.setdefault(version, Counter())["child"] = count
    for place in PLACES:
        for version, counts in found.items():
            of = place.table.c.district == hub.district
            counts[place.table.name] += (
                session.scalar(select(func.count()).select_from(place.table).where(of, place.under(version)))
                or 0
            )
    return found


def rotate(
    hub: AppContext, *, actor: str, now: Callable[[], datetime], progress: Progress
) -> tuple[int, Counter[str]]:
    """Add a master key and seal everything under it; or continue a rotation that was interrupted.

    Returns
    -------
    (the newest version, how many rows of each table were brought under it)

    Raises
    ------
    KeyUnusable
        The keys are being changed by somebody else, or the key command fails: nothing has changed.
    """
    file, command = hub.settings.key_file, hub.settings.key_command
    with key_file.changing(file):
        newest = hub.vault.newest
        with hub.database.reading() as session:
            unfinished = any(total for version, total in _totals(session, hub) if version != newest)
        if not unfinished:
            newest = key_file.add_master(file, command)
            with hub.database.transaction() as session:
                details = {"version": newest}
                audit.append(
                    session, hub.district, audit.OFFICE, "keys.added", actor=actor, now=now(), details=details
                )
        moved: Counter[str] = Counter()
        while True:
            with hub.database.reading() as session:
                left = sum(total for version, total in _totals(session, hub) if version != newest)
            if not left:
                break
            for what, count in _rotate_once(hub, newest, actor, now):
                moved[what] += count
                progress("keys", sum(moved.values()), max(left, sum(moved.values())))
        _renew_macs(hub, actor=actor, now=now())
        with hub.database.transaction() as session:
            result: dict[str, Any] = {"version": newest, "rows": dict(moved)}
            audit.append(session, hub.district, audit.OFFICE, ROTATED, actor=actor, now=now(), details=result)
    withdrawals.keep_or_log(hub, now(), whole=True)
    return newest, moved


def _totals(session: Session, hub: AppContext) -> list[tuple[int, int]]:
    return [(version, counts.total()) for version, counts in held(session, hub).items()]


def _rotate_once(
    hub: AppContext, newest: int, actor: str, now: Callable[[], datetime]
) -> Iterator[tuple[str, int]]:
    """Go once through all data; yield how many rows of which table were sealed under the newest key."""
    with hub.database.reading() as session:
        posts = list(
            session.scalars(
                select(HealthPost.id).where(HealthPost.district == hub.district).order_by(HealthPost.id)
            )
        )
    for post_id in posts:
        while count := _children(hub, post_id, newest, actor, now()):
            yield "child", count
    for place in PLACES:
        for version in [version for version in hub.vault.versions if version != newest]:
            while count := _reseal(hub, place, version, actor, now()):
                yield place.table.name, count


def _children(hub: AppContext, post_id: str, newest: int, actor: str, now: datetime) -> int:
    """Wrap the keys of some children of a post again; return how many."""
    c, post = table(Child).c, table(HealthPost)
    mine = (c.district == hub.district, c.post_id == post_id, c.key_version != newest)
    waiting = select(c.id, c.wrapped_key, c.key_version).where(*mine, c.wrapped_key.is_not(None)).limit(CHUNK)
    with hub.database.reading() as session:
        if session.execute(waiting.limit(1)).first() is None:
            return 0
    with hub.database.transaction() as session:
        this = (post.c.district == hub.district, post.c.id == post_id)
        session.execute(select(post.c.id).where(*this).with_for_update())
        rows = session.execute(waiting).all()
        if not rows:
            return 0
        given = []
        for row in rows:
            wrapped, version = hub.vault.rewrapped(row.id, row.wrapped_key, row.key_version)
            given.append({"the_id": row.id, "wrapped": wrapped, "version": version})
        values: dict[str, Any] = {"wrapped_key": bindparam("wrapped"), "key_version": bindparam("version")}
        rewrapped = (
            update(table(Child))
            .where(c.district == hub.district, c.id == bindparam("the_id"))
            .values(**values)
        )
        session.connection().execute(rewrapped, given)
        session.execute(update(post).where(*this).values(head_position=post.c.head_position + 1))
        details = {"version": newest, "children": len(rows)}
        stream = audit.post_stream(post_id)
        audit.append(session, hub.district, stream, "keys.rewrapped", actor=actor, now=now, details=details)
        return len(rows)


def _renew_macs(hub: AppContext, *, actor: str, now: datetime) -> None:
    """Make the MACs of all rows under the newest key that have one of an older key that fits, a table at a time."""
    newest = version_prefix(hub.vault.newest)
    for model in row_macs.NOT_COVERED:
        c = table(model).c
        older = c.district == hub.district, func.substr(c.mac, 1, VERSION_BYTES) != newest
        with hub.database.transaction() as session:
            rows = row_macs.genuine(session, select(model).where(*older).with_for_update())
            for row in rows:
                row_macs.vouch(session, row)
            session.flush()
            if rows:
                details = {"version": hub.vault.newest, "table": table(model).name, "rows": len(rows)}
                where = session, hub.district, audit.OFFICE
                audit.append(*where, "keys.macs-renewed", actor=actor, now=now, details=details)


def _reseal(hub: AppContext, place: SealedColumn, version: int, actor: str, now: datetime) -> int:
    """Seal some values of a column again; return how many rows were read. A row that changed meanwhile is left for the next
    pass.
    """
    columns, of = place.table.c, place.table.c.district == hub.district
    wanted = [columns[name] for name in (*place.names, place.column)]
    with hub.database.reading() as session:
        rows = session.execute(select(*wanted).where(of, place.under(version)).limit(CHUNK)).all()
    if not rows:
        return 0
    given = []
    for row in rows:
        bound, before = place.purpose(hub, row), getattr(row, place.column)
        after = hub.vault.seal_for_district(hub.vault.unseal_for_district(before, bound), bound)
        key = {f"the_{name}": getattr(row, name) for name in place.names}
        given.append({**key, "before": before, "after": after})
    with hub.database.transaction() as session:
        if place.table is table(Account):
            _save_accounts(session, hub, given)
        else:
            _save_resealed(session, hub, place, given)
        details = {"version": hub.vault.newest, "table": place.table.name, "rows": len(rows)}
        audit.append(
            session, hub.district, audit.OFFICE, "keys.resealed", actor=actor, now=now, details=details
        )
    return len(rows)


def _save_resealed(
    session: Session, hub: AppContext, place: SealedColumn, given: Sequence[Mapping[str, Any]]
) -> None:
    columns = place.table.c
    is_it = [columns[name] == bindparam(f"the_{name}") for name in place.names]
    same = columns.district == hub.district, columns[place.column] == bindparam("before")
    values: dict[str, Any] = {place.column: bindparam("after")}
    session.connection().execute(update(place.table).where(*same, *is_it).values(**values), given)


def _save_accounts(session: Session, hub: AppContext, given: Sequence[Mapping[str, Any]]) -> None:
    """Save second factors, each with the MAC of its account.

    Raises
    ------
    RowForged
        Somebody else has written to an account.
    """
    for one in given:
        account = session.get_one(Account, (hub.district, one["the_id"]), with_for_update=True)
        if account.totp_sealed == one["before"]:
            account.totp_sealed = one["after"]
    session.flush()


def retire(hub: AppContext, version: int, *, actor: str, now: datetime) -> None:
    """Remove an old master key from the key file. Backups and sealed batches from before the rotation cannot be opened any
    more. What it signed stays verifiable: its public key stays in the log.

    Raises
    ------
    Problem
        `key-in-use`: something is under it, or a newer key has come less than a day ago.
    KeyUnusable
        It is the newest, or not there; or it alone vouches for the log.
    """
    file = hub.settings.key_file
    with key_file.changing(file):
        before = hub.vault.checkpoint_keys()
        with hub.database.reading() as session:
            signed = checkpoints.newest(session, hub.district)
            if signed is not None and next(iter(before)) not in signed.signatures:
                raise KeyUnusable(
                    "no checkpoint of the log is signed with the newest key yet, which will vouch for the older ones:"
                    " run 'posyandu-sync audit checkpoint' first"
                )
            counts = held(session, hub).get(version, Counter())
            c = table(AuditEntry).c
            last = session.scalar(
                select(func.max(c.at)).where(
                    c.district == hub.district, c.stream == audit.OFFICE, c.action == ROTATED
                )
            )
        if counts.total() or last is None or now - last < SETTLES:
            raise Problem("key-in-use", version=version, rows=counts.total())
        _renew_macs(hub, actor=actor, now=now)  # of rows that a process has written just as a key was added
        key_file.retire_master(file, hub.settings.key_command, version)
        with hub.database.transaction() as session:
            removed = {id_: key for id_, key in before.items() if id_ not in hub.vault.checkpoint_keys()}
            details = {"version": version, "checkpoint_keys": removed}
            audit.append(
                session,
                hub.district,
                audit.OFFICE,
                checkpoints.RETIRED,
                actor=actor,
                now=now,
                details=details,
            )
