"""Tablets: which devices may send.

A tablet is one *enrolment* of one device: a one-time code, made for a post, is exchanged for an identity together with
the device's public key. Codes are stored only as keyed digests.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from schemas import EnrolAgainRequest, EnrolRequest
from server import audit
from server.accounts import tablet_posts
from server.accounts.codes import LONG, new_code
from server.context import AppContext
from server.crypto.vault import base64url, public_key, signature_fits
from server.database import row_macs
from server.database.ids import new_id
from server.database.models import AuditEntry, ChangeRow, EnrolmentCode, HealthPost, Tablet
from server.errors import Problem
from sync_protocol import TAG_LENGTH, canonical

CODE_DAYS: Final = 7
MAX_HEIRS: Final = 5
"""New enrolments that a closed one allows without a person: a copied key must not create tablets without limit."""
RENEWALS_A_DAY: Final = 10
"""New enrolments a day of all devices that go on from one code. Each is another actor in the vectors of what it writes."""


def make_enrolment_code(
    session: Session,
    hub: AppContext,
    post_id: str,
    tablet_name: str,
    *,
    actor: str,
    now: datetime,
    write_only: bool = False,
    posts: Collection[str] | None = None,
) -> str:
    """Create a one-time code for a device of a post, valid for CODE_DAYS days: XXXX-XXXX-XXXXX.

    Parameters
    ----------
    write_only : for a device that sends and never gets a child's data, such as a scale
    posts : other posts, for a tablet of staff; None for a tablet of one post

    Raises
    ------
    Problem
        `record-unknown` if there is no such post, `post-closed` if it takes no tablets any more; `change-invalid` for other
        posts that cannot be given.
    """
    post = session.get(HealthPost, (hub.district, post_id))
    if post is None:
        raise Problem("record-unknown")
    if post.closed_at is not None:
        raise Problem("post-closed", post=post.name)
    others = None if posts is None else sorted(set(posts) - {post_id})
    wrong = tablet_posts.check_posts(session, hub, post_id, others or ())
    if wrong:
        raise Problem("change-invalid", reasons=[each.wire() for each in wrong])
    code = new_code(LONG)
    session.add(
        EnrolmentCode(
            district=hub.district,
            code_digest=_digest(hub, code),
            post_id=post_id,
            tablet_name=tablet_name,
            expires_at=now + timedelta(days=CODE_DAYS),
            write_only=write_only,
            posts=None if others is None else orjson.dumps(others).decode(),
        )
    )
    session.flush()
    details: dict[str, Any] = {"post": post_id}  # not the name, which is typed: the log is for ever
    details |= {"write_only": True} if write_only else {}
    details |= {} if others is None else {"posts": others}
    stream = audit.post_stream(post_id)
    audit.append(session, hub.district, stream, "tablet.code-made", actor=actor, now=now, details=details)
    return code


def _digest(hub: AppContext, code: str) -> str:
    return hub.vault.digest("enrolment", code)


def end_enrolment_code(session: Session, hub: AppContext, digest: str, *, actor: str, now: datetime) -> bool:
    """End a code by its digest; False if it was used or has expired."""
    code = session.get(EnrolmentCode, (hub.district, digest), with_for_update=True, populate_existing=True)
    if code is None or code.used_at is not None or code.expires_at < now:
        return False
    code.expires_at = now - timedelta(seconds=1)
    details = {"post": code.post_id}
    stream = audit.post_stream(code.post_id)
    audit.append(
        session, hub.district, stream, "tablet.code-cancelled", actor=actor, now=now, details=details
    )
    return True


def enrol(session: Session, hub: AppContext, request: EnrolRequest, now: datetime) -> Tablet:
    """Exchange a code for a new tablet. The same device with the same code (its answer was lost) gets the same tablet.

    Parameters
    ----------
    request : code, public key and app, as `schemas` read them

    Raises
    ------
    Problem
        `enrolment-code-invalid` (wrong, used or expired), `request-malformed` (not a point of the curve).
    """
    found = session.execute(
        select(EnrolmentCode)
        .where(
            EnrolmentCode.district == hub.district, EnrolmentCode.code_digest == _digest(hub, request.code)
        )
        .with_for_update()
    ).scalar_one_or_none()
    if found is None:
        raise Problem("enrolment-code-invalid")
    jwk = _jwk(request.x, request.y)
    made = found.tablet_id and session.get(Tablet, (hub.district, found.tablet_id))
    if made and orjson.loads(made.public_key) == jwk:
        return made
    if found.used_at is not None or found.expires_at < now:
        raise Problem("enrolment-code-invalid")
    tablet = _add_tablet(
        *(session, hub, found.post_id, found.tablet_name, jwk, request.app, now),
        write_only=bool(found.write_only),
        posts=tablet_posts.posts_of_code(session, hub, found),
    )
    found.used_at, found.tablet_id = now, tablet.id
    session.flush()
    return tablet


def enrol_again(
    session: Session, hub: AppContext, request: EnrolAgainRequest, now: datetime
) -> tuple[Tablet, int]:
    """Give a device whose enrolment was closed a new one; its old key proves it. A repeated request gets the same answer.

    Returns
    -------
    (the new tablet, the newest counter up to which the server's chain of the old one equals the device's)

    Raises
    ------
    Problem
        `tablet-unknown`, `tablet-revoked` or `signature-invalid` for the old enrolment; `request-malformed` for a key that
        is not a point of the curve; `enrolment-open` if nothing is wrong with the old one; `too-many-enrolments` after
        MAX_HEIRS or RENEWALS_A_DAY: then a person must decide.
    """
    old = _owned(session, hub, request)
    common = _last_common_counter(session, hub.district, old.id, request)
    jwk = _jwk(request.x, request.y)
    heirs = session.scalars(
        select(Tablet).where(Tablet.district == hub.district, Tablet.replaces == old.id)
    ).all()
    new = next((heir for heir in heirs if orjson.loads(heir.public_key) == jwk), None)
    if new is None:
        if not _needs_renewal(session, old, request, common):
            raise Problem("enrolment-open", tablet=old.id)
        if (
            len(heirs) >= MAX_HEIRS
            or _renewals_since(session, old, now - timedelta(days=1)) >= RENEWALS_A_DAY
        ):
            raise Problem("too-many-enrolments", tablet=old.id)
        if old.closed_at is None:
            old.closed_at = now
        made = (session, hub, old.post_id, old.name, jwk, request.app, now)
        posts = tablet_posts.post_ids_of(session, hub.district, old.id) if old.several else None
        new = _add_tablet(*made, replaces=old.id, write_only=bool(old.write_only), posts=posts)
    return new, common


def _owned(session: Session, hub: AppContext, request: EnrolAgainRequest) -> Tablet:
    """Lock and return the enrolment that a request continues, once its key has proved that it may."""
    old = session.get(Tablet, (hub.district, request.tablet_id), with_for_update=True)
    if old is None:
        raise Problem("tablet-unknown", tablet=request.tablet_id, district=hub.district)
    if not signature_fits(orjson.loads(old.public_key), canonical(request.asked), request.signature):
        raise Problem("signature-invalid", tablet=old.id)
    if old.revoked_at is not None:
        raise Problem("tablet-revoked", tablet=old.id)
    return old


def _needs_renewal(session: Session, old: Tablet, request: EnrolAgainRequest, common: int) -> bool:
    """Say whether an enrolment cannot go on: it was closed; the server holds other changes under its numbers, or more than
    the device has; it wants changes that the device no longer keeps, or has told it so (`gap`; the device keeps their tags,
    but not the content, of a child whose data was erased)."""
    if old.closed_at is not None or common < old.last_counter or request.first > old.last_counter + 1:
        return True
    told = select(AuditEntry.number).where(
        AuditEntry.district == old.district,
        AuditEntry.stream == audit.post_stream(old.post_id),
        AuditEntry.actor == f"tablet:{old.id}",
        AuditEntry.action == "batch.gap",
    )
    return session.execute(told.limit(1)).first() is not None


def _renewals_since(session: Session, old: Tablet, since: datetime) -> int:
    """Count the enrolments since a moment that go on, directly or through others, from the same code as `old`."""
    rows = session.execute(
        select(Tablet.id, Tablet.replaces, Tablet.enrolled_at).where(
            Tablet.district == old.district, Tablet.post_id == old.post_id, Tablet.replaces.is_not(None)
        )
    ).all()
    before = {row.id: row.replaces for row in rows}

    def by_code(tablet_id: str) -> str:
        while tablet_id in before:
            tablet_id = before[tablet_id]
        return tablet_id

    mine = by_code(old.id)
    return sum(by_code(row.id) == mine for row in rows if row.enrolled_at > since)


def _last_common_counter(session: Session, district: str, tablet_id: str, request: EnrolAgainRequest) -> int:
    """Return the last counter, from the device's oldest on, up to which the device and the ledger have the same changes."""
    rows = session.execute(
        select(ChangeRow.counter, ChangeRow.hash).where(
            ChangeRow.district == district,
            ChangeRow.actor == tablet_id,
            ChangeRow.counter.between(request.first, request.first + len(request.tags)),
        )
    )
    held = {row.counter: row.hash[:TAG_LENGTH] for row in rows}
    common = request.first - 1
    for counter, tag in enumerate(request.tags, request.first):
        if held.get(counter) != tag:
            break
        common = counter
    return common


def _jwk(x: bytes, y: bytes) -> dict[str, str]:
    jwk = {"kty": "EC", "crv": "P-256", "x": base64url(x), "y": base64url(y)}
    try:
        public_key(jwk)
    except ValueError as error:
        raise Problem("request-malformed", reason="public_key is not a point of P-256") from error
    return jwk


def _add_tablet(
    session: Session,
    hub: AppContext,
    post_id: str,
    name: str,
    jwk: dict[str, str],
    app: str,
    now: datetime,
    *,
    replaces: str | None = None,
    write_only: bool,
    posts: Collection[str] | None = None,
) -> Tablet:
    """Add an enrolment. `posts`: the other posts of a tablet of staff; None for a tablet of one post."""
    tablet = Tablet(
        district=hub.district,
        id=new_id(),
        post_id=post_id,
        name=name,
        public_key=orjson.dumps(jwk).decode(),
        last_counter=0,
        chain_hash="",
        enrolled_at=now,
        app=app,
        replaces=replaces,
        write_only=write_only,
        several=posts is not None,
    )
    session.add(tablet)
    session.flush()
    details: dict[str, Any] = {"tablet": tablet.id, "app": app}
    details |= {"replaces": replaces} if replaces else {}
    details |= {"write_only": True} if write_only else {}
    details |= {} if posts is None else {"posts": sorted(set(posts) - {post_id})}
    if posts is not None:
        tablet_posts.add_first_posts(session, hub, tablet.id, {post_id, *posts}, now)
    actor = f"tablet:{tablet.id}"
    for one in sorted({post_id, *(posts or ())}):  # the logs of several posts are always locked in this order
        if one == post_id:
            where = session, hub.district, audit.post_stream(one)
            audit.append(*where, "tablet.enrolled", actor=actor, now=now, details=details)
        else:
            tablet_posts.log(session, hub, tablet.id, one, tablet_posts.GIVEN, actor=actor, now=now)
    return tablet


def standing(session: Session, hub: AppContext, tablet_id: str) -> str:
    """Return the state of an enrolment: `active`; `revoked`; `replaced` (closed: two devices shared it, or its device was
    restored); `unknown` here.
    """
    tablet = session.get(Tablet, (hub.district, tablet_id))
    if tablet is None:
        return "unknown"
    if tablet.revoked_at is not None:
        return "revoked"
    return "active" if tablet.closed_at is None else "replaced"


def is_write_only(session: Session, hub: AppContext, tablet_id: str) -> bool:
    """Say whether a tablet sends and never gets a child's data; False for one that is unknown."""
    tablet = session.get(Tablet, (hub.district, tablet_id))
    return tablet is not None and bool(tablet.write_only)


def revoke_tablet(session: Session, hub: AppContext, tablet_id: str, *, actor: str, now: datetime) -> None:
    """Revoke a tablet: what it still sends is quarantined."""
    tablet = session.get(Tablet, (hub.district, tablet_id), with_for_update=True)
    if tablet is None:
        raise Problem("record-unknown")
    if tablet.revoked_at is not None:
        return
    tablet.revoked_at = now
    stream = audit.post_stream(tablet.post_id)
    details = {"tablet": tablet_id}
    audit.append(session, hub.district, stream, "tablet.revoked", actor=actor, now=now, details=details)


def close_tablet(session: Session, hub: AppContext, tablet_id: str, *, actor: str, now: datetime) -> None:
    """Close an enrolment again that was closed after the backup that was restored: its device must enrol anew."""
    tablet = session.get_one(Tablet, (hub.district, tablet_id), with_for_update=True)
    tablet.closed_at = now
    details = {"tablet": tablet_id}
    stream = audit.post_stream(tablet.post_id)
    audit.append(session, hub.district, stream, "tablet.closed", actor=actor, now=now, details=details)


def end_all_codes(session: Session, district: str, now: datetime) -> int:
    """End every code that could still be used; return how many. The caller logs it."""
    return end_codes(session, now, EnrolmentCode.district == district)


def end_codes(session: Session, now: datetime, *which: ColumnElement[bool]) -> int:
    """End some codes, if they could still be used; return how many."""
    open_ = EnrolmentCode.used_at.is_(None), EnrolmentCode.expires_at > now
    codes = row_macs.genuine(session, select(EnrolmentCode).where(*which, *open_).with_for_update())
    for code in codes:
        code.expires_at = now - timedelta(seconds=1)
    session.flush()
    return len(codes)
