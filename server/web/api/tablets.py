"""Tablets as JSON: list, change the posts of a tablet of staff, revoke. No child is named, so looking is not logged."""

from flask import Response, jsonify

from server.review import tablets
from server.web.api.staff import bp
from server.web.auth import permitted
from server.web.current import acting, hub, scope, utc_now
from server.web.proof import proven
from server.web.request_schemas.posts import TABLET_POSTS_JSON
from server.web.request_schemas.schema import Asked, takes, takes_empty_json
from server.web.response_schemas.decisions import TABLET, TABLETS
from server.web.response_schemas.schema import answers


@bp.get("/tablets")
@permitted("see_tablets")
@answers(TABLETS)
def list_tablets() -> Response:
    """List tablets, each with its state."""
    with hub().database.reading() as session:
        shown = tablets.tablets(session, hub(), scope())
    return jsonify(total=len(shown), tablets=[tablet.wire() for tablet in shown])


@bp.post("/tablets/<tablet_id>/posts")
@permitted("manage_tablets")
@proven
@answers(TABLET)
@takes(TABLET_POSTS_JSON)
def change_posts(asked: Asked, tablet_id: str) -> Response:
    """Make `posts` those of a tablet of staff: it is told at its next sync, and wipes what it has of one that was taken."""
    with hub().database.transaction() as session:
        tablets.change_posts(
            session, hub(), scope(), tablet_id, asked.json["posts"], actor=acting(), now=utc_now()
        )
    return _tablet(tablet_id)


@bp.post("/tablets/<tablet_id>/revoke")
@permitted("revoke_tablets")
@answers(TABLET)
@takes_empty_json
def revoke_tablet(tablet_id: str) -> Response:
    """Revoke a tablet: what it sends afterwards is quarantined."""
    with hub().database.transaction() as session:
        tablets.revoke(session, hub(), scope(), tablet_id, actor=acting(), now=utc_now())
    return _tablet(tablet_id)


def _tablet(tablet_id: str) -> Response:
    with hub().database.reading() as session:
        shown = next(t for t in tablets.tablets(session, hub(), scope()) if t.id == tablet_id)
    return jsonify(shown.wire())
