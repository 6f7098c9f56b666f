"""The pull of a tablet that handles several posts: a page for each post of which something follows its cursor.

Rules kept here: only posts that the tablet has now have a page; all pages of an answer share the room of one; a post with
cursor 0 has a page in any case, even an empty one, for with it the tablet drops what it held of that post.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from server import accounts
from server.context import AppContext
from server.sync import pull


def of_tablet(
    session: Session, hub: AppContext, tablet_id: str, cursors: Mapping[str, int], wanted: pull.Wanted
) -> tuple[dict[str, Any], bool]:
    """Return what an answer says of a tablet's posts, and whether there is more to fetch.

    Parameters
    ----------
    cursors : up to where the tablet has pulled, by post; a post of the tablet that is not named counts as 0

    Returns
    -------
    (`posts`: those that it has; `pulls`: their pages, each with its `post`), more
    """
    posts = accounts.posts_of(session, hub.district, tablet_id)
    # A tablet that knew a longer stream than ours pulls again from the start.
    known = {p.id: at if (at := cursors.get(p.id, 0)) <= p.head_position else 0 for p in posts}
    heads = {p.id: p.head_position for p in posts}
    due = {post_id: at for post_id, at in known.items() if at < heads[post_id] or not at}
    pages, more = _pages(session, hub, due, wanted)
    return {"posts": [wire(post) for post in posts], "pulls": pages}, more


def wire(post: Any) -> dict[str, Any]:
    """Write a post as tablets are told of it."""
    return {"id": post.id, "name": post.name, **({"closed": True} if post.closed_at else {})}


def _pages(
    session: Session, hub: AppContext, due: Mapping[str, int], wanted: pull.Wanted
) -> tuple[list[dict[str, Any]], bool]:
    if wanted.nothing:
        return [], any(pull.is_behind(session, hub, post_id, cursor) for post_id, cursor in due.items())
    pages, room, more = [], pull.room_for(hub, wanted), False
    for post_id, cursor in due.items():
        if not room:
            more = more or pull.is_behind(session, hub, post_id, cursor) or not cursor
            continue
        page, room = pull.fill_page(session, hub, post_id, cursor, wanted, room)
        more = more or page["more"]
        if page["cursor"] != cursor or not cursor:
            pages.append({"post": post_id, **page})
    return pages, more
