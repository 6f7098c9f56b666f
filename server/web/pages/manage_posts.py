"""Pages on which posyandu are added, renamed, closed and opened again, by those who may.

Every page works without JavaScript. A refused form is shown again with what was typed and what is wrong.
"""

from typing import Any, Final

from flask import Blueprint, g, redirect, render_template, url_for
from werkzeug.wrappers import Response as AnyResponse

from server.errors import Problem
from server.review import manage_posts, tablets
from server.sync.server_edits import decide
from server.web.auth import permitted
from server.web.current import acting, hub, scope, utc_now
from server.web.paging import PAGE_ROWS, offset_of, page_count
from server.web.request_schemas import posts as schemas
from server.web.request_schemas.schema import Asked, takes, takes_empty_form

bp = Blueprint("manage_posts", __name__)

Answer = AnyResponse | str | tuple[str, int]
BLANK: Final = {"name": "", "village": "", "centre": ""}


@bp.get("/pos/kelola")
@permitted("manage_posts")
@takes(schemas.MANAGE_POSTS)
def manage(asked: Asked) -> str:
    """List the posyandu in scope, with a form that adds one."""
    return _list(asked.query["cari"].strip(), asked.query["hal"])


def _list(search: str = "", number: int = 1, typed: dict[str, str] = BLANK, problem: Any = None) -> str:
    with hub().database.reading() as session:
        shown, total = manage_posts.listed(
            session, hub(), scope(), utc_now(), limit=PAGE_ROWS, offset=offset_of(number), name=search
        )
    return render_template(
        "post_manage.html",
        shown=shown,
        total=total,
        search=search,
        number=number,
        pages=page_count(total),
        asked=typed,
        problem=problem,
        most=manage_posts.LONGEST_NAME,
    )


@bp.post("/pos/kelola")
@permitted("manage_posts")
@takes(schemas.ADD_POST)
def add(asked: Asked) -> Answer:
    """Add a posyandu."""
    typed = {name: asked.form.get(name, "") for name in BLANK}
    wanted = {"name": typed["name"], "village": typed["village"], "health_centre": typed["centre"]}
    try:
        with hub().database.transaction() as session:
            post_id = manage_posts.add(session, hub(), scope(), wanted, actor=acting(), now=utc_now())
    except Problem as problem:
        g.problem = problem.code
        return _list(typed=typed, problem=problem.body()), problem.kind.status
    return redirect(url_for("manage_posts.change", post_id=post_id), 303)


@bp.get("/pos/<post_id>/kelola")
@permitted("manage_posts")
def change(post_id: str) -> Answer:
    """Show a posyandu with the forms that rename, close or open it again."""
    return _one(post_id)


def _one(post_id: str, typed: str | None = None, into: str = "", problem: Problem | None = None) -> Answer:
    with hub().database.reading() as session:
        found = manage_posts.closing(session, hub(), scope(), post_id, utc_now())
        known = tablets.known_posts(session, hub(), scope())
    page = render_template(
        "post_change.html",
        post=found.post,
        children=found.children,
        tablets=found.tablets,
        known=[one for one in known if one[1] != post_id],
        name=found.post.name if typed is None else typed,
        into=into,
        problem=problem.body() if problem else None,
        most=manage_posts.LONGEST_NAME,
    )
    if problem is None:
        return page
    g.problem = problem.code
    return page, problem.kind.status


@bp.post("/pos/<post_id>/nama")
@permitted("manage_posts")
@takes(schemas.RENAME_POST)
def rename(asked: Asked, post_id: str) -> Answer:
    """Give a posyandu another name."""
    name = asked.form.get("name", "")
    try:
        with hub().database.transaction() as session:
            manage_posts.rename(session, hub(), scope(), post_id, name, actor=acting(), now=utc_now())
    except Problem as problem:
        if problem.code == "record-unknown":
            raise
        return _one(post_id, typed=name, problem=problem)
    return redirect(url_for("manage_posts.change", post_id=post_id), 303)


@bp.post("/pos/<post_id>/tutup")
@permitted("manage_posts")
@takes(schemas.CLOSE_POST)
def close(asked: Asked, post_id: str) -> Answer:
    """Close a posyandu; with `into`, after its children have moved there."""
    into = asked.form.get("into") or None
    try:
        decide(
            hub(),
            lambda session: manage_posts.close(
                session, hub(), scope(), post_id, into=into, actor=acting(), now=utc_now()
            ),
        )
    except Problem as problem:
        if problem.code == "record-unknown":
            raise
        return _one(post_id, into=into or "", problem=problem)
    return redirect(url_for("manage_posts.change", post_id=post_id), 303)


@bp.post("/pos/<post_id>/buka")
@permitted("manage_posts")
@takes_empty_form
def reopen(post_id: str) -> Answer:
    """Open a closed posyandu again."""
    try:
        with hub().database.transaction() as session:
            manage_posts.reopen(session, hub(), scope(), post_id, actor=acting(), now=utc_now())
    except Problem as problem:
        if problem.code == "record-unknown":
            raise
        return _one(post_id, problem=problem)
    return redirect(url_for("manage_posts.change", post_id=post_id), 303)
