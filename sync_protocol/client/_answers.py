"""Checks answers before they are used: what a captive portal, a proxy or a fault sends must not reach the replica.

Shapes are data: a type; a dict of members that must be present (a later server may send more); `[shape]` for a list; `Pair`;
`MapOf`; or a function that says whether a value is right. Each check returns the path of the first part that does not fit,
or None.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from sync_protocol._records import PROTOCOL, Json, Outcome, ReceiptStatus


@dataclass(frozen=True, slots=True)
class Pair:
    """A list of exactly these members."""

    members: Sequence[Any]


@dataclass(frozen=True, slots=True)
class MapOf:
    """An object with members of one shape and any names."""

    shape: Any


def _is_register(value: Any) -> bool:
    siblings = [{"dots": [Pair((str, int))], "value": dict}]
    return isinstance(value, dict) or (value != [] and misfit(value, siblings) is None)


def _is_item(value: Any) -> bool:
    item: Sequence[Any] = (int, _is_one_of(Outcome))
    reasons = [{"code": str, "path": str, "id": str, "en": str}]
    return misfit(value, Pair(item)) is None or misfit(value, Pair((*item, reasons))) is None


def _is_one_of(words: type[Enum]) -> Callable[[Any], bool]:
    known = {word.value for word in words}
    return lambda value: isinstance(value, str) and value in known


def _is_our_protocol(value: Any) -> bool:
    return type(value) is int and value == PROTOCOL


_STATE: Final = {"vector": MapOf(Pair((int, str))), "set": MapOf(_is_register)}
_RECEIPT: Final = {"batch": str, "status": _is_one_of(ReceiptStatus), "wanted": int, "items": [_is_item]}
_PULL: Final = {
    "cursor": int,
    "more": bool,
    "children": [{"id": str, **_STATE}],
    "measurements": MapOf([{"on": str, "source": str, **_STATE}]),
    "follow_ups": MapOf([{"task": str, **_STATE}]),
    "deliveries": MapOf([{"delivery": str, **_STATE}]),
    "left": [str],
}
_POSTS: Final = [{"id": str, "name": str}]
_ANSWER: Final = {
    "protocol": _is_our_protocol,
    "incarnation": str,
    "token": str,
    "receipt": _RECEIPT,
    "pull": _PULL,
}
_WELCOME: Final = {
    "tablet": str,
    "district": str,
    "post": {"id": str, "name": str},
    "incarnation": str,
    "limits": {"changes": int, "bytes": int},
}


def misfit(value: Any, shape: Any, path: str = "answer") -> str | None:
    """Return the path of the first part of a value that does not have its shape; None if all fits."""
    match shape:
        case dict():
            if not isinstance(value, dict):
                return path
            parts = [(f"{path}.{name}", value.get(name), inner) for name, inner in shape.items()]
        case MapOf(inner):
            if not isinstance(value, dict):
                return path
            parts = [(f"{path}.{name}", member, inner) for name, member in value.items()]
        case list():
            if not isinstance(value, list):
                return path
            parts = [(f"{path}[{index}]", member, shape[0]) for index, member in enumerate(value)]
        case Pair(members):
            if not isinstance(value, list) or len(value) != len(members):
                return path
            parts = [(f"{path}[{i}]", v, s) for i, (v, s) in enumerate(zip(value, members, strict=True))]
        case _:
            right = type(value) is shape if isinstance(shape, type) else shape(value)
            return None if right else path
    return next((found for where, part, inner in parts if (found := misfit(part, inner, where))), None)


def answer_misfit(answer: Any, batch: Json) -> str | None:
    """Return what is wrong with an answer to a batch: its shape, or that it answers another batch or other changes."""
    wrong = misfit(answer, _ANSWER) or _posts_misfit(answer)
    return wrong or _foreign(answer["receipt"], batch["batch"], batch["first"], len(batch["changes"]))


def _posts_misfit(answer: Json) -> str | None:
    """Return what is wrong with the posts of a tablet of staff and their pages, where the answer has them."""
    shapes = {"posts": _POSTS, "pulls": [{"post": str, **_PULL}]}
    return misfit(answer, {name: shape for name, shape in shapes.items() if name in answer})


def receipt_misfit(receipt: Any, batch_id: str, first: int, newest: int) -> str | None:
    """Return what is wrong with the receipt of a carried batch.

    Parameters
    ----------
    batch_id, first : of the batch that was carried
    newest : counter of the newest change here
    """
    wrong = misfit(receipt, _RECEIPT, "receipt")
    if wrong:
        return wrong
    count = min(len(receipt["items"]), newest - first + 1)
    return _foreign(receipt, batch_id, first, count)


def _foreign(receipt: Json, batch_id: str, first: int, count: int) -> str | None:
    if receipt["batch"] != batch_id:
        return "answer.receipt.batch"
    accepted = receipt["status"] == ReceiptStatus.ACCEPTED.value
    wanted = list(range(first, first + count)) if accepted else []
    if [item[0] for item in receipt["items"]] != wanted:
        return "answer.receipt.items"
    gap = receipt["status"] == ReceiptStatus.GAP.value
    if receipt["wanted"] < 1 or (gap and receipt["wanted"] >= first):
        return "answer.receipt.wanted"
    return None


def welcome_misfit(answer: Any) -> str | None:
    """Return what is wrong with the answer to a request to enrol."""
    wrong = misfit(answer, _WELCOME) or _posts_misfit(answer)
    return wrong or (None if _are_limits(answer["limits"]) else "answer.limits")


def again_misfit(answer: Any, request: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the answer to a request to enrol again."""
    wrong = welcome_misfit(answer) or misfit(answer, {"replaces": str, "common": int})
    if wrong:
        return wrong
    if answer["replaces"] != request["tablet"] or answer["tablet"] == request["tablet"]:
        return "answer.replaces"
    lowest = request["first"] - 1
    return None if lowest <= answer["common"] <= lowest + len(request["tags"]) else "answer.common"


def _are_limits(limits: Mapping[str, int]) -> bool:
    return limits["changes"] >= 1 and limits["bytes"] >= 1024
