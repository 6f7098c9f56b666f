"""Odd uploads: real batches of real tablets, altered before they are packed, after, or before they are signed.

Hides at how many depths a batch can be wrong. What only breaks gzip or JSON stops at the door; what a hostile client with a
tablet's own key signs goes all the way to the merging, so most cases are of that kind.
"""

import gzip
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from schemas import check_answer
from server.errors import PROBLEMS
from sync_protocol import measurement_id
from tests.fuzz._routes import JSON, WORDS, Line, mutated, odd
from tests.server._district import District, identity

SYNC: Final = "/api/v1/sync"
REFUSED: Final = (400, 401, 403, 409, 413, 415, 426)
DAYS: Final = ("2026-01-05", "2026-02-05", "2026-03-05", "2026-03-06", "1999-12-31", "x")
TOKENS: Final = (
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\\u0000",
    b"\\ud800",
    b"1e999",
    b"-",
    b"\xff",
    b"\x00",
    b"null",
)


def registers(rng: random.Random, known: list[str]) -> dict[str, Any]:
    """Give registers as a tablet gone wrong might set them; some are right."""
    right: dict[str, Any] = {
        "identity": identity(name=rng.choice(("Anak Contoh", "Anak Lain", "x" * 200))),
        "weight": {"weight_g": rng.choice((9000, 7300, 1, 10**9)), "oedema": rng.choice((None, "n", "y"))},
        "length": {"length_mm": rng.choice((745, 802, -1)), "position": rng.choice((None, "lying", "up"))},
        "muac": {"muac_mm": 140},
        "nik": {"nik": rng.choice(("6402065001250003", "1", ""))},
        "post": {"post": rng.choice(known)},
        "same_as": {"child": rng.choice(known)},
        "removed": {"reason": rng.choice((None, "salah", ""))},
        "note": {"text": rng.choice(WORDS)},
        "task": {"action": "remeasure", "reason": None, "due_on": rng.choice(DAYS), "assigned_to": None},
        "result": {"done_on": rng.choice(DAYS), "outcome": rng.choice(("done", "x")), "covers": known[:1]},
    }
    chosen = rng.sample(list(right), rng.randrange(1, 4))
    made = {name: right[name] if rng.random() < 0.6 else mutated(rng, right[name], known) for name in chosen}
    if rng.random() < 0.1:
        made[rng.choice(WORDS)] = odd(rng, known)
    return made


def altered(rng: random.Random, raw: bytes) -> bytes:
    """Flip, cut, double, cross out or write over some bytes."""
    made = bytearray(raw)
    for _ in range(rng.choice((1, 1, 2, 5, 40))):
        at = rng.randrange(len(made) + 1)
        match rng.randrange(5):
            case 0 if made:
                made[at % len(made)] ^= 1 << rng.randrange(8)
            case 1:
                del made[at : at + rng.randrange(1, 30)]
            case 2:
                made[at:at] = rng.choice(TOKENS) * rng.choice((1, 1, 3, 400))
            case 3:
                piece = made[at : at + rng.randrange(1, 60)]
                made[at:at] = piece
            case _:
                made[at : at + 4] = rng.randbytes(4)
    return bytes(made)


@dataclass
class Uploads:
    """Odd uploads to one server, drawn from a seed.

    Parameters
    ----------
    clock : gives the CPU seconds that the server has used, if that can be told
    """

    district: District
    line: Line
    rng: random.Random
    clock: Callable[[], float] = float
    sent: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)
    by_answer: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: dict[str, str] = field(default_factory=dict)
    slowest: float = 0.0

    def __post_init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        """Enrol a tablet with some children who are in order."""
        self.tablet = self.district.tablet(self.rng.randrange(2))
        self.children = [self.tablet.register_child() for _ in range(3)]
        self.known = [*self.children, self.tablet.id, *self.district.posts, self.district.new_id()]
        self.known.append(measurement_id(self.children[0], DAYS[0], "cadre"))
        self.age = 0

    def one(self) -> None:
        """Send one odd upload."""
        kinds = (
            self._signed,
            self._signed,
            self._signed,
            self._resigned,
            self._structure,
            self._text,
            self._packed,
        )
        kind = self.rng.choice(kinds)
        self.age += 1
        if self.age > 60:
            self._begin()
        try:
            kind()
        except Stuck:
            self._begin()

    # -- kinds --------------------------------------------------------------------------------------

    def _signed(self) -> None:
        """Odd changes in a batch that is numbered, chained and signed as it should be."""
        rng, tablet = self.rng, self.tablet
        for _ in range(rng.randrange(1, 6)):
            self._write(rng.choice(self.children) if rng.random() < 0.9 else self.district.new_id())
        try:
            message = tablet.next_message()
        except (ValueError, TypeError) as error:  # our own client refuses to sign what has no canonical form
            raise Stuck from error
        answer = self._send("signed", message, packed=rng.random() < 0.5)
        if answer is None:
            raise Stuck
        tablet.replica.receive(answer, self.district.clock.text())

    def _write(self, child: str) -> None:
        rng, replica = self.rng, self.tablet.replica
        form = replica.open_child(child)
        match rng.randrange(3):
            case 1:
                form = replica.open_measurement(child, rng.choice(DAYS), rng.choice(("cadre", "staff", "x")))
            case 2:
                form = replica.open_follow_up(child, rng.choice(self.known))
        try:
            self.tablet.write(form, registers(rng, self.known))
        except (ValueError, TypeError, AttributeError) as error:
            raise Stuck from error

    def _message(self) -> Any:
        """Give a true message, not to be waited for: what is made of it is another batch."""
        try:
            self.tablet.write(self.tablet.replica.open_child(self.children[0]), {"books": {"kia": True}})
            return orjson.loads(self.tablet.next_message())
        except (ValueError, TypeError) as error:
            raise Stuck from error

    def _resigned(self) -> None:
        """A batch altered as JSON and signed by the tablet's key all the same."""
        batch = mutated(self.rng, self._message()["batch"], self.known, 0.1)
        try:
            message = self.tablet.signed(batch)
        except (ValueError, TypeError, AttributeError):
            return
        self._send("resigned", message, packed=True)
        raise Stuck  # the tablet's own numbers may be spent

    def _structure(self) -> None:
        """A message altered as JSON, its signature left."""
        made = mutated(self.rng, self._message(), self.known, 0.15)
        try:
            raw = orjson.dumps(made)
        except TypeError:
            return
        self._send("structure", raw, packed=self.rng.random() < 0.5)

    def _text(self) -> None:
        """The bytes of JSON, altered before they are packed."""
        raw = altered(self.rng, orjson.dumps(self._message()))
        self._send("text", raw, packed=self.rng.random() < 0.5)

    def _packed(self) -> None:
        """The bytes of gzip, altered; or gzip that unfolds without end, or in several members."""
        raw = gzip.compress(orjson.dumps(self._message()), 1)
        match self.rng.randrange(8):
            case 0:
                raw = gzip.compress(self.rng.choice((b"[", b" ", b'"', b"{")) * 4_000_000)
            case 1:
                raw += raw
            case 2:
                raw = gzip.compress(raw)
            case _:
                raw = altered(self.rng, raw)
        self._post("packed", raw, {"Content-Encoding": "gzip"})

    # -- sending ------------------------------------------------------------------------------------

    def _send(self, kind: str, message: bytes, *, packed: bool) -> Any:
        if packed:
            return self._post(kind, gzip.compress(message, 1), {"Content-Encoding": "gzip"})
        return self._post(kind, message, {})

    def _post(self, kind: str, body: bytes, headers: Mapping[str, str]) -> Any:
        """Send, note what came, and give the answer of a batch that was taken."""
        began = self.clock()
        answer = self.line("POST", SYNC, {"Content-Type": JSON, **headers}, body)
        self.slowest = max(self.slowest, self.clock() - began)
        self.sent += 1
        self.by_kind[kind] += 1
        told = orjson.loads(answer.body)
        if answer.status == 200:
            self.by_answer[told["receipt"]["status"]] += 1
            self.outcomes.update(item[1] for item in told["receipt"]["items"])
            if reasons := check_answer(told):
                self.wrong.setdefault("answer", f"{kind}: {body!r} -> {reasons}")
            return told
        code = str(told.get("code"))
        self.by_answer[code] += 1
        if answer.status not in REFUSED or PROBLEMS[code].status != answer.status:
            self.wrong.setdefault(f"{answer.status} {code}", f"{kind}, {headers}: {body!r}")
        return None

    def told(self) -> str:
        parts = (self.by_kind, self.by_answer, self.outcomes)
        counts = "; ".join(", ".join(f"{name} {n}" for name, n in part.most_common()) for part in parts)
        return f"{self.sent} uploads: {counts}; {len(self.wrong)} kinds of wrong answers"


class Stuck(Exception):
    """This tablet cannot go on; another one is enrolled."""
