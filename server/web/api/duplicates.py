"""Children who may be registered twice, as JSON: list, look at two side by side, link, unlink, call different or reopen.

`contexts` are the two records' vectors as `GET` gave them: a decision covers what was on the screen and nothing else.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from flask import Response, jsonify, request
from sqlalchemy.orm import Session

from server.errors import Problem
from server.review import duplicate_pairs
from server.review.duplicate_pairs import PairView
from server.sync import server_edits
from server.sync.duplicate_search import OPEN
from server.web.api.staff import MOST_ROWS, acting, bp, hub, parse_int, scope, sent
from server.web.auth import permitted
from sync_protocol import VersionVector


@bp.get("/duplicates")
@permitted("decide")
def list_duplicates() -> Response:
    """List pairs: `status` (open, linked, different), `limit`, `offset`; who is most alike first."""
    status = request.args.get("status") or OPEN
    limit, offset = parse_int("limit", 1, MOST_ROWS, 50), parse_int("offset", 0, 10_000_000, 0)
    if status not in duplicate_pairs.STATES:
        raise Problem("request-malformed", reason=f"status is one of {', '.join(duplicate_pairs.STATES)}")
    with hub().database.reading() as session:
        shown, total = duplicate_pairs.pairs(
            session, hub(), scope(), status=status, limit=limit, offset=offset
        )
    with hub().database.transaction() as session:
        duplicate_pairs.log_listed(session, hub(), acting(), len(shown), offset, datetime.now(UTC))
    return jsonify(total=total, limit=limit, offset=offset, pairs=[pair.wire() for pair in shown])


@bp.get("/duplicates/<uuid:one>/<uuid:other>")
@permitted("decide")
def read_duplicate(one: object, other: object) -> Response:
    """Give two children side by side, with the contexts to be passed back."""
    with hub().database.reading() as session:
        shown = duplicate_pairs.pair(session, hub(), scope(), str(one), str(other))
    with hub().database.transaction() as session:
        duplicate_pairs.log_viewed(session, hub(), acting(), shown, datetime.now(UTC))
    return jsonify(shown.wire())


@bp.post("/duplicates/<uuid:one>/<uuid:other>/link")
@permitted("decide")
def link_duplicate(one: object, other: object) -> Response:
    """Say that two records are of one child: `contexts`."""
    return _joined(duplicate_pairs.link, str(one), str(other))


@bp.post("/duplicates/<uuid:one>/<uuid:other>/unlink")
@permitted("decide")
def unlink_duplicate(one: object, other: object) -> Response:
    """Take the link back: `contexts`."""
    return _joined(duplicate_pairs.unlink, str(one), str(other))


@bp.post("/duplicates/<uuid:one>/<uuid:other>/different")
@permitted("decide")
def part_duplicate(one: object, other: object) -> Response:
    """Say that these are two children; they are not found again."""
    sent(())
    now, who = datetime.now(UTC), acting()
    decided = server_edits.decide(
        hub(),
        lambda s: duplicate_pairs.different(s, hub(), scope(), str(one), str(other), author=who, now=now),
    )
    return jsonify(_outcome(decided))


@bp.post("/duplicates/<uuid:one>/<uuid:other>/reopen")
@permitted("decide")
def reopen_duplicate(one: object, other: object) -> Response:
    """Take back that these are two children."""
    sent(())
    now, who = datetime.now(UTC), acting()
    decided = server_edits.decide(
        hub(),
        lambda s: duplicate_pairs.reopen(s, hub(), scope(), str(one), str(other), author=who, now=now),
    )
    return jsonify(_outcome(decided))


def _joined(work: Callable[..., PairView], one: str, other: str) -> Response:
    contexts, now, who = _contexts(sent(("contexts",)).get("contexts")), datetime.now(UTC), acting()

    def decide(session: Session) -> PairView:
        return work(session, hub(), scope(), one, other, contexts, author=who, now=now)

    return jsonify(_outcome(server_edits.decide(hub(), decide)))


def _outcome(pair: PairView) -> dict[str, Any]:
    """Say what was decided, without names: those were on the screen, whose showing is logged."""
    return {"status": pair.status, "children": [pair.one.child_id, pair.other.child_id]}


def _contexts(given: Any) -> dict[str, VersionVector]:
    """Read vectors by record; whether the changes that they name are held is asked by the merging."""
    try:
        return {
            str(record): VersionVector.from_wire({str(a): (int(n), str(t)) for a, (n, t) in vector.items()})
            for record, vector in given.items()
        }
    except (AttributeError, TypeError, ValueError):
        raise Problem("request-malformed", reason="contexts holds a vector for each record") from None
