"""Pages of the pull, laid into what a tablet holds; and which post each child was pulled from, where there are several.

A child that moves between two posts of one tablet leaves one stream and comes in the other, and either page may be read
first. So a child belongs to the post whose page brought it last, and a post's page drops only children of that post.
"""

from collections.abc import Collection, Mapping, Sequence

from sync_protocol._records import Json, RecordState, id_of

Ref = tuple[str, str]
"""(record kind, record id)."""
Base = dict[Ref, RecordState]
"""What was pulled."""
_DRAWERS = {
    "measurements": ("measurement", {"on": "measured_on", "source": "source"}),
    "follow_ups": ("follow_up", {"task": "task"}),
    "deliveries": ("delivery", {"delivery": "delivery"}),
}
"""The parts of a page that hold records by child: their kind, and what names a record beside its child."""


def rows_of(page: Json) -> list[Json]:
    """Return the published states of a page."""
    of_children = (rows for name in _DRAWERS for rows in page[name].values())
    return [*page["children"], *(row for rows in of_children for row in rows)]


def children_in(page: Json) -> set[str]:
    """Return the ids of the children of whom a page has records."""
    return {child["id"] for child in page["children"]}.union(*(page[name] for name in _DRAWERS))


def lay(base: Base, page: Json) -> list[Ref]:
    """Put the records of a page in the place of what was held of them; return which they are."""
    refs: list[Ref] = []
    for child in page["children"]:
        refs.append(("child", child["id"]))
        base[refs[-1]] = RecordState.from_wire("child", child["id"], {}, child)
    for name, (kind, parts) in _DRAWERS.items():
        for child_id, rows in page[name].items():
            for row in rows:
                key = {"child": child_id, **{part: row[given] for given, part in parts.items()}}
                refs.append((kind, id_of(kind, key)))
                base[refs[-1]] = RecordState.from_wire(kind, refs[-1][1], key, row)
    return refs


def drop(base: Base, children: Collection[str]) -> None:
    """Drop children with all their records."""
    if not children:
        return
    for ref in [r for r, s in base.items() if r[1] in children or s.key.get("child") in children]:
        del base[ref]


def lay_of_post(base: Base, homes: dict[str, str], page: Json, *, first: bool) -> tuple[list[Ref], set[str]]:
    """Lay a page of one of several posts.

    Parameters
    ----------
    homes : the post from which each child was pulled, by child; it is brought up to date
    first : it is the first page of this post: what was held of the post is dropped

    Returns
    -------
    (the records that it brought, the children who are gone)
    """
    post: str = page["post"]
    gone = set(page.get("erased", ()))
    if first:
        gone |= {child for child, home in homes.items() if home == post} - children_in(page)
        drop(base, {child for child, home in homes.items() if home == post})
    refs = lay(base, page)
    homes.update(dict.fromkeys(children_in(page), post))
    gone |= {child for child in page["left"] if homes.get(child) == post}
    forget(base, homes, gone)
    return refs, gone


def forget(base: Base, homes: dict[str, str], children: Collection[str]) -> None:
    """Drop children, and where they were."""
    drop(base, children)
    for child in children:
        homes.pop(child, None)


def homes_of(base: Base, post_id: str) -> dict[str, str]:
    """Return the post of every child that was pulled by a tablet of one post."""
    return dict.fromkeys((state.key.get("child", ref[1]) for ref, state in base.items()), post_id)


def cursors_of(posts: Sequence[Json], cursors: Mapping[str, int]) -> dict[str, int]:
    """Return up to where a tablet has pulled each of its posts."""
    return {post["id"]: cursors.get(post["id"], 0) for post in posts}
