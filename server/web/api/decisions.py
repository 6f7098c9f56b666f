"""What the office decides, as JSON: quarantined changes, conflicts, children who move, tablets.

Each view reads what was sent, calls one function of `server.review` in one transaction, and writes what came of it. What is
shown with names is logged before it is sent.
"""

from datetime import UTC, datetime
from typing import Any, Final

from flask import Response, jsonify, request

from server.database.ids import UUID_TEXT
from server.errors import Problem
from server.review import conflicts, moves, quarantine, tablets
from server.sync import server_edits
from server.web.api.staff import MOST_ROWS, acting, bp, hub, parse_int, scope, sent
from server.web.auth import permitted

PAGE_ROWS: Final = 50


def _page() -> dict[str, Any]:
    """Read `post`, `limit` and `offset` from the address."""
    post_id = request.args.get("post") or None
    if post_id is not None and not UUID_TEXT.fullmatch(post_id):
        raise Problem("request-malformed", reason="post is the id of a post")
    return {
        "post_id": post_id,
        "limit": parse_int("limit", 1, MOST_ROWS, PAGE_ROWS),
        "offset": parse_int("offset", 0, 10_000_000, 0),
    }


def _words(choices: Any) -> dict[str, dict[str, str]]:
    return {code: {"id": indonesian, "en": english} for code, (indonesian, english) in choices.items()}


# -- quarantine -----------------------------------------------------------------------------------


@bp.get("/quarantine")
@permitted("decide")
def list_quarantine() -> Response:
    """List what was set aside: `state` (open, answered, decided), `post`, `limit`, `offset`."""
    state, page, now = request.args.get("state") or quarantine.OPEN, _page(), datetime.now(UTC)
    if state not in quarantine.STATES:
        raise Problem("request-malformed", reason=f"state is one of {', '.join(quarantine.STATES)}")
    with hub().database.reading() as session:
        shown, total = quarantine.cases(session, hub(), scope(), state=state, **page)
    with hub().database.transaction() as session:
        quarantine.log_listed(session, hub(), acting(), len(shown), page["offset"], now)
    return jsonify(
        total=total,
        limit=page["limit"],
        offset=page["offset"],
        cases=[case.wire() for case in shown],
        dismissals=_words(quarantine.DISMISSALS),
    )


@bp.get("/quarantine/<actor>/<int:counter>")
@permitted("decide")
def read_quarantine(actor: str, counter: int) -> Response:
    """Give one change as it came, why it was set aside, and its record as it stands."""
    with hub().database.reading() as session:
        shown = quarantine.case_file(session, hub(), scope(), actor, counter)
    with hub().database.transaction() as session:
        quarantine.log_viewed(session, hub(), acting(), shown, datetime.now(UTC))
    return jsonify(shown.wire())


@bp.post("/quarantine/<actor>/<int:counter>/release")
@permitted("decide")
def release_quarantine(actor: str, counter: int) -> Response:
    """Make a corrected copy: `set` and `key` as corrected; left out, as they came."""
    asked, now, who = sent(("set", "key")), datetime.now(UTC), acting()
    released = server_edits.decide(
        hub(),
        lambda s: quarantine.release(s, hub(), scope(), actor, counter, asked, author=who, now=now),
    )
    return jsonify(released.wire())


@bp.post("/quarantine/<actor>/<int:counter>/dismiss")
@permitted("decide")
def dismiss_quarantine(actor: str, counter: int) -> Response:
    """Put a change away for good: `reason`, one of `dismissals`."""
    asked, now, who = sent(("reason",)), datetime.now(UTC), acting()
    decision = server_edits.decide(
        hub(),
        lambda s: quarantine.dismiss(s, hub(), scope(), actor, counter, asked, author=who, now=now),
    )
    return jsonify(decision.wire())


@bp.post("/quarantine/<actor>/<int:counter>/reopen")
@permitted("decide")
def reopen_quarantine(actor: str, counter: int) -> Response:
    """Take a dismissal back."""
    sent(())
    now, who = datetime.now(UTC), acting()
    decision = server_edits.decide(
        hub(), lambda s: quarantine.reopen(s, hub(), scope(), actor, counter, author=who, now=now)
    )
    return jsonify(decision.wire())


@bp.post("/quarantine/<actor>/<int:counter>/undo")
@permitted("decide")
def undo_quarantine(actor: str, counter: int) -> Response:
    """Take a release back."""
    sent(())
    now, who = datetime.now(UTC), acting()
    decision = server_edits.decide(
        hub(), lambda s: quarantine.undo(s, hub(), scope(), actor, counter, author=who, now=now)
    )
    return jsonify(decision.wire())


# -- conflicts ------------------------------------------------------------------------------------


@bp.get("/conflicts")
@permitted("decide")
def list_conflicts() -> Response:
    """List the records on which tablets disagree: `post`, `limit`, `offset`."""
    page, now = _page(), datetime.now(UTC)
    with hub().database.reading() as session:
        shown, total = conflicts.conflicts(session, hub(), scope(), **page)
    with hub().database.transaction() as session:
        conflicts.log_listed(session, hub(), acting(), len(shown), page["offset"], now)
    return jsonify(
        total=total,
        limit=page["limit"],
        offset=page["offset"],
        conflicts=[record.wire() for record in shown],
        reasons=_words(conflicts.SETTLEMENTS),
    )


@bp.get("/conflicts/<kind>/<record_id>")
@permitted("decide")
def read_conflict(kind: str, record_id: str) -> Response:
    """Give one record in conflict: every value, who gave it and when, and the context to pass back."""
    with hub().database.reading() as session:
        shown = conflicts.dispute(session, hub(), scope(), kind, record_id)
    with hub().database.transaction() as session:
        conflicts.log_viewed(session, hub(), acting(), shown, datetime.now(UTC))
    return jsonify(shown.wire())


@bp.post("/conflicts/<kind>/<record_id>/settle")
@permitted("decide")
def settle_conflict(kind: str, record_id: str) -> Response:
    """Decide: `context` as it was shown, `reason`, and `set` by register or `removal`."""
    asked, now, who = sent(("context", "reason", "set", "removal")), datetime.now(UTC), acting()
    settled = server_edits.decide(
        hub(),
        lambda s: conflicts.settle(s, hub(), scope(), kind, record_id, asked, author=who, now=now),
    )
    return jsonify(settled.wire())


# -- children and tablets -------------------------------------------------------------------------


@bp.post("/children/<child_id>/move")
@permitted("decide")
def move_child(child_id: str) -> Response:
    """Send a child to another post: `to`, and `from` as it was shown."""
    asked, now, who = sent(("from", "to")), datetime.now(UTC), acting()
    moved = server_edits.decide(
        hub(), lambda s: moves.move(s, hub(), scope(), child_id, asked, author=who, now=now)
    )
    return jsonify(moved.wire())


@bp.get("/tablets")
@permitted("see_tablets")
def list_tablets() -> Response:
    """List tablets with what became of each. No child is named, so nothing is logged."""
    with hub().database.reading() as session:
        shown = tablets.tablets(session, hub(), scope())
    return jsonify(total=len(shown), tablets=[tablet.wire() for tablet in shown])


@bp.post("/tablets/<tablet_id>/revoke")
@permitted("revoke_tablets")
def revoke_tablet(tablet_id: str) -> Response:
    """Revoke a tablet: what it still sends is set aside for a person."""
    sent(())
    with hub().database.transaction() as session:
        tablets.revoke(session, hub(), scope(), tablet_id, actor=acting(), now=datetime.now(UTC))
    with hub().database.reading() as session:
        shown = next(t for t in tablets.tablets(session, hub(), scope()) if t.id == tablet_id)
    return jsonify(shown.wire())
