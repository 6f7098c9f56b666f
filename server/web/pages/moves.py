"""The page on which a child is moved to another post."""

from collections.abc import Sequence

from flask import redirect, render_template, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from server.database.ids import UUID_TEXT
from server.errors import Problem
from server.review import (
    moves,
)
from server.sync import server_edits
from server.web.auth import permitted
from server.web.current import acting, hub, scope, utc_now
from server.web.forms import registers as register_forms
from server.web.pages.decisions import (
    Page,
    all_posts,
    bp,
)
from server.web.request_schemas import decisions as schemas
from server.web.request_schemas.schema import Asked, takes
from sync_protocol import Json


@bp.get("/anak/<uuid:child_id>/pindah")
@permitted("decide")
@takes(schemas.MOVE)
def move(asked: Asked, child_id: object) -> Page:
    """Offer the posts that a child may go to; after a move, the way back."""
    return _move_page(asked, str(child_id))


def _move_page(asked: Asked, child_id: str, reasons: Sequence[Json] = ()) -> str:
    search, who = (asked.query["cari"] or "").strip()[:80], acting()
    with hub().database.reading() as session:
        shown = moves.whereabouts(session, hub(), scope(), child_id, who)
        near = None if search else shown.here.centre_id
        places, total = moves.places(session, hub(), centre_id=near, search=search)
        elsewhere = moves.places(session, hub(), limit=0)[1] - total if not search else 0
        came_from = _place(session, asked.query.get("dari"))
    if shown.name is not None:
        with hub().database.transaction() as session:
            moves.log_viewed(session, hub(), who, shown, utc_now())
    return render_template(
        "move.html",
        shown=shown,
        groups=_grouped(places, shown.here.post_id),
        found=len(places),
        total=total,
        elsewhere=elsewhere,
        search=search,
        came_from=came_from,
        chosen=asked.form.get("ke", ""),
        reasons=[register_forms.reason_text(why) for why in reasons],
        late=any(why["code"] == "moved-meanwhile" for why in reasons),
    )


def _place(session: Session, post_id: str | None) -> moves.TargetPost | None:
    if post_id is None or not UUID_TEXT.fullmatch(post_id):
        return None
    return next((place for place in all_posts(session) if place.post_id == post_id), None)


def _grouped(
    places: Sequence[moves.TargetPost], here: str
) -> list[tuple[str, str | None, list[moves.TargetPost]]]:
    """Group posts by health centre and village, without the child's own."""
    groups: dict[tuple[str, str | None], list[moves.TargetPost]] = {}
    for place in places:
        if place.post_id != here:
            groups.setdefault((place.centre_name, place.village), []).append(place)
    return [(centre, village, several) for (centre, village), several in groups.items()]


@bp.post("/anak/<uuid:child_id>/pindah")
@permitted("decide")
@takes(schemas.SEND_AWAY)
def send_away(asked: Asked, child_id: object) -> AnyResponse | Page:
    """Move a child."""
    id_, now, who = str(child_id), utc_now(), acting()
    wanted = {"from": asked.form.get("dari") or None, "to": asked.form.get("ke") or None}
    try:
        moved = server_edits.decide(
            hub(), lambda s: moves.move(s, hub(), scope(), id_, wanted, author=who, now=now)
        )
    except Problem as problem:
        if problem.code != "change-invalid":
            raise
        return _move_page(asked, id_, problem.details["reasons"]), 422
    return redirect(url_for("decisions.move", child_id=id_, dari=moved.from_post), 303)
