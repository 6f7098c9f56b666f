"""Children who may be registered twice, as JSON: list, compare, link, unlink, mark as different, reopen.

`contexts` are the two records' version vectors as `GET` returned them: a decision covers only what was on the screen.
"""

from collections.abc import Callable
from typing import Any

from flask import Response, jsonify
from sqlalchemy.orm import Session

from server.review import duplicate_pairs
from server.review.duplicate_pairs import PairView
from server.sync import server_edits
from server.web.api.staff import bp
from server.web.auth import permitted
from server.web.current import acting, hub, scope, utc_now
from server.web.request_schemas import decisions as schemas
from server.web.request_schemas.schema import Asked, takes, takes_empty_json
from server.web.response_schemas import decisions as answer_schemas
from server.web.response_schemas.schema import answers


@bp.get("/duplicates")
@permitted("decide")
@answers(answer_schemas.PAIRS)
@takes(schemas.DUPLICATE_LIST)
def list_duplicates(asked: Asked) -> Response:
    """List pairs: `status` (open, linked, different), `limit`, `offset`; the most alike first."""
    page = {"limit": asked.query["limit"], "offset": asked.query["offset"]}
    with hub().database.reading() as session:
        shown, total = duplicate_pairs.pairs(session, hub(), scope(), status=asked.query["status"], **page)
    with hub().database.transaction() as session:
        duplicate_pairs.log_listed(session, hub(), acting(), len(shown), page["offset"], utc_now())
    return jsonify(total=total, **page, pairs=[pair.wire() for pair in shown])


@bp.get("/duplicates/<uuid:one>/<uuid:other>")
@permitted("decide")
@answers(answer_schemas.PAIR)
def read_duplicate(one: object, other: object) -> Response:
    """Return two children side by side, with the `contexts` to pass back."""
    with hub().database.reading() as session:
        shown = duplicate_pairs.pair(session, hub(), scope(), str(one), str(other))
    with hub().database.transaction() as session:
        duplicate_pairs.log_viewed(session, hub(), acting(), shown, utc_now())
    return jsonify(shown.wire())


@bp.post("/duplicates/<uuid:one>/<uuid:other>/link")
@permitted("decide")
@answers(answer_schemas.DECIDED_PAIR)
@takes(schemas.LINK)
def link_duplicate(asked: Asked, one: object, other: object) -> Response:
    """Say that two records are of one child: `contexts`."""
    return _joined(duplicate_pairs.link, asked, str(one), str(other))


@bp.post("/duplicates/<uuid:one>/<uuid:other>/unlink")
@permitted("decide")
@answers(answer_schemas.DECIDED_PAIR)
@takes(schemas.LINK)
def unlink_duplicate(asked: Asked, one: object, other: object) -> Response:
    """Take the link back: `contexts`."""
    return _joined(duplicate_pairs.unlink, asked, str(one), str(other))


@bp.post("/duplicates/<uuid:one>/<uuid:other>/different")
@permitted("decide")
@answers(answer_schemas.DECIDED_PAIR)
@takes_empty_json
def part_duplicate(one: object, other: object) -> Response:
    """Say that these are two children; the pair is not suggested again."""
    return _decided(duplicate_pairs.different, str(one), str(other))


@bp.post("/duplicates/<uuid:one>/<uuid:other>/reopen")
@permitted("decide")
@answers(answer_schemas.DECIDED_PAIR)
@takes_empty_json
def reopen_duplicate(one: object, other: object) -> Response:
    """Take back that these are two children."""
    return _decided(duplicate_pairs.reopen, str(one), str(other))


def _joined(work: Callable[..., PairView], asked: Asked, one: str, other: str) -> Response:
    return _decided(work, one, other, schemas.vectors_of(asked.json["contexts"]))


def _decided(work: Callable[..., PairView], *which: Any) -> Response:
    """Answer with the decision, without names: those were on the screen, and showing them was logged."""
    now, who = utc_now(), acting()

    def decide(session: Session) -> PairView:
        return work(session, hub(), scope(), *which, author=who, now=now)

    pair = server_edits.decide(hub(), decide)
    return jsonify(status=pair.status, children=[pair.one.child_id, pair.other.child_id])
