"""Vectors of a tablet of staff: what it holds, and from which post, after the answers to its batches."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sync_protocol import Receipt, ReceiptStatus, Replica
from tests.vectors._make import ONE, TWO

POSTS = A, B, C = [f"019bf000-0000-7000-8000-0000000000e{n}" for n in (1, 2, 3)]
X, Y, Z = (f"019bf000-0000-7000-8000-0000000000f{n}" for n in (1, 2, 3))
Json = dict[str, Any]


def page(post: str, cursor: int, *children: str, **told: Any) -> Json:
    """Give a page of a post that has some children's own records and, of each, a measurement."""
    vector = {TWO: [cursor, "t" * 16]}
    weight = {"weight": {"weight_g": 9000, "oedema": "n"}}
    identity = {"identity": {"name": "Anak Contoh", "sex": "F", "born_on": "2025-01-01", "birth_order": None}}
    return {
        "post": post,
        "cursor": cursor,
        "more": False,
        "children": [{"id": child, "vector": vector, "set": identity} for child in children],
        "measurements": {
            child: [{"on": "2026-01-05", "source": "cadre", "vector": vector, "set": weight}]
            for child in children
        },
        "follow_ups": {},
        "deliveries": {},
        "left": [],
        **told,
    }


def answer(*pulls: Json, posts: Sequence[str] | None = (A, B), incarnation: str = "i") -> Json:
    """Give what an answer says beside its receipt. `posts` None: the server tells neither posts nor pages."""
    empty = {name: value for name, value in page("", 0).items() if name != "post"}
    several = {
        "posts": [{"id": post, "name": f"Pos {post[-1]}"} for post in posts or ()],
        "pulls": list(pulls),
    }
    return {"incarnation": incarnation, "pull": empty, **({} if posts is None else several)}


def cases() -> Iterator[tuple[str, Sequence[Json]]]:
    both = answer(page(A, 4, X), page(B, 6, Y))
    yield "a page of each post: a child belongs to the post whose page brought it", [both]
    yield (
        "a child moved from the first post to the second, the first post's page came first",
        [both, answer(page(A, 5, left=[X])), answer(page(B, 8, X))],
    )
    yield (
        "the same, the second post's page came first: the child stays",
        [both, answer(page(B, 8, X)), answer(page(A, 5, left=[X]))],
    )
    yield "both pages in one answer", [both, answer(page(A, 5, left=[X]), page(B, 8, X))]
    yield (
        "it moved there and back between two answers",
        [both, answer(page(A, 8, X), page(B, 7, left=[X]))],
    )
    yield (
        "it moved on to a post that the tablet does not have",
        [both, answer(page(B, 8, X)), answer(page(B, 9, left=[X]))],
    )
    yield "a post was taken: its children and its cursor go, those of others stay", [both, answer(posts=[A])]
    yield "a post was given: the next batch names it with 0", [both, answer(posts=[A, B, C])]
    yield (
        "a post was taken and given again: its first page begins anew",
        [both, answer(posts=[A]), answer(page(B, 6, Z))],
    )
    yield (
        "a child was erased: it goes whichever post tells of it",
        [both, answer(page(A, 5, left=[Y], erased=[Y]))],
    )
    yield (
        "neither posts nor pages (the tablet was revoked, say): all stays as it is",
        [both, answer(posts=None)],
    )
    yield (
        "the server was restored: nothing is taken, and every cursor begins again",
        [both, answer(page(A, 2, Z), incarnation="j")],
    )
    yield (
        "then the first page of a post drops what was held of that post alone",
        [both, answer(incarnation="j"), answer(page(A, 2, Z), incarnation="j")],
    )


def post_cases() -> Iterator[Json]:
    """Give each case: the answers in turn, and what the tablet holds and names after the last."""
    for note, answers in cases():
        replica = Replica(
            "64.02", ONE, A, "contoh 0.1", posts=[{"id": A, "name": "Pos 1"}, {"id": B, "name": "Pos 2"}]
        )
        for number, told in enumerate(answers):
            batch = replica.next_batch(f"b{number}", "2026-01-06T03:00:00Z")
            receipt = Receipt(batch["batch"], ReceiptStatus.ACCEPTED, 1).wire()
            replica.receive({"token": "t", "receipt": receipt, **told}, "2026-01-06T03:00:01Z")
        yield {
            "note": note,
            "tablet": ONE,
            "posts": [A, B],
            "answers": list(answers),
            "held": held(replica),
            "cursors": replica.next_batch("n", "2026-01-06T03:00:02Z")["cursors"],
        }


def held(replica: Replica) -> Mapping[str, str]:
    """Give the post of each child of whom anything is held."""
    children = {state.key.get("child", ref[1]) for ref, state in replica.base.items()}
    assert children == replica.homes.keys()
    return dict(sorted(replica.homes.items()))
