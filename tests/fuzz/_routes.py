"""Odd requests for every route, by every role: made by schemathesis from the description that the server gives of itself.

Hides how requests are made odd beyond their description (JSON that is nested, huge or of the wrong kind where an object is
wanted; ids that exist), how each visitor stays signed in, and what an answer must keep to whatever was asked.
"""

import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import urlencode

import orjson
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings, strategies as st
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode

from server.accounts.roles import PERMISSIONS
from server.errors import PROBLEMS

ENDS_SESSIONS: Final = (
    "POST /keluar",
    "POST /masuk",
    "/end",
    "/akhiri",
    "kata-sandi",
    "password",
    "undangan",
)
"""Parts of the names of operations after which a visitor may no longer be signed in."""
REFUSED: Final = (400, 401, 403, 404, 405, 409, 413, 415, 422, 426, 429)
HEADERS: Final = {"x-content-type-options": "nosniff", "referrer-policy": "same-origin"}
FORM, JSON = "application/x-www-form-urlencoded", "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Line(Protocol):
    """A way to the server."""

    def __call__(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Ask once, and follow nothing."""


@dataclass
class Visitor:
    """Somebody who asks: a browser with one session, or nobody in particular."""

    name: str
    role: str | None
    password: str = ""
    cookie: str = ""
    token: str = ""

    def headers(self) -> dict[str, str]:
        return {"Cookie": self.cookie, "X-CSRFToken": self.token} if self.cookie else {}

    def may(self, needs: str | None) -> bool:
        """Say whether the description lets this visitor in."""
        if needs is None:
            return True
        return self.role is not None and (needs == "signed-in" or self.role in PERMISSIONS[needs])

    def come_in(self, line: Line) -> None:
        """Sign in unless that still holds; a visitor without a role only takes a form's token."""
        if self._knows_token(line) or (self.role is None and self.token):
            return
        self.cookie = ""
        page = self._keep(line("GET", "/masuk", {}, None))
        self.token = page.body.split(b'name="csrf_token" value="')[1].split(b'"')[0].decode()
        if self.role is None:
            return
        headers = {**self.headers(), "Content-Type": FORM, "Referer": "http://localhost/masuk"}
        answer = self._keep(
            line("POST", "/masuk", headers, form_of({"username": self.name, "password": self.password}))
        )
        assert answer.status == 302, (self.name, answer.status, answer.body[-400:])
        assert self._knows_token(line)

    def _knows_token(self, line: Line) -> bool:
        told = self._keep(line("GET", "/api/v1/session", self.headers(), None))
        if told.status == 200:
            self.token = orjson.loads(told.body)["csrf_token"]
        return told.status == 200

    def _keep(self, answer: Answer) -> Answer:
        """Keep the cookie of an answer, as a browser does."""
        if "posyandu=" in answer.headers.get("set-cookie", ""):
            self.cookie = answer.headers["set-cookie"].partition(";")[0]
        return answer


def form_of(fields: Mapping[str, str]) -> bytes:
    """Write a form as a browser sends it."""
    return urlencode(fields, errors="surrogatepass").encode()


# -- what is odd ----------------------------------------------------------------------------------

WORDS: Final = (
    *("", "0", "-1", "id", "x" * 300, "\x00", "￿", "é\u0301", "\u202e", "'--", "=1+1", "../../etc/passwd"),
    *("weight", "weight_g", "identity", "name", "born_on", "length", "set", "dots", "value", "removed"),
    *("2026-03-05", "2026-02-30", "9999-12-31", "0001-01-01", "NaN", "1e400", "true", "null", "[]", "{}"),
    *("measured-again", "practice", "link", "release", "refer_puskesmas", "done", "staff", "child"),
)
NUMBERS: Final = (0, 1, -1, 9000, 2**31, 2**53, 2**63, -(2**63), 10**30, 0.5, -0.0, 1e308)


def odd(rng: random.Random, known: Sequence[str], depth: int = 0) -> Any:
    """Give any JSON value, made of words and ids that mean something here."""
    kind = rng.randrange(8 if depth < 4 else 5)
    match kind:
        case 0 | 1:
            return rng.choice(WORDS)
        case 2:
            return rng.choice(known)
        case 3:
            return rng.choice(NUMBERS)
        case 4:
            return rng.choice((None, True, False))
        case 5:
            return [odd(rng, known, depth + 1) for _ in range(rng.randrange(4))]
    names = [rng.choice((*WORDS, *known)) for _ in range(rng.randrange(4))]
    return {name: odd(rng, known, depth + 1) for name in names}


def mutated(rng: random.Random, value: Any, known: Sequence[str], chance: float = 0.25) -> Any:
    """Give a JSON value with some of its parts replaced, left out or doubled."""
    if rng.random() < chance:
        return odd(rng, known)
    if isinstance(value, dict):
        kept = {name: mutated(rng, inside, known, chance / 2) for name, inside in value.items()}
        if kept and rng.random() < chance:
            kept.pop(rng.choice(list(kept)))
        return kept
    if isinstance(value, list):
        kept_items = [mutated(rng, inside, known, chance / 2) for inside in value]
        return kept_items * 2 if rng.random() < chance / 4 else kept_items
    return value


# -- the walk -------------------------------------------------------------------------------------


@dataclass
class Tally:
    """What was asked and answered: requests by status, and everything that may not be, once for each route and kind."""

    asked: int = 0
    by_status: Counter[int] = field(default_factory=Counter)
    by_role: Counter[str] = field(default_factory=Counter)
    let_in: set[tuple[str, str]] = field(default_factory=set)
    wrong: dict[tuple[str, str], str] = field(default_factory=dict)

    def told(self) -> str:
        statuses = ", ".join(f"{status}: {count}" for status, count in sorted(self.by_status.items()))
        return f"{self.asked} requests ({statuses}), {len(self.wrong)} kinds of wrong answers"


@dataclass
class Walk:
    """A walk of several visitors through all operations.

    Parameters
    ----------
    description : as `/api/openapi.json` gives it
    line, door : ways to the server from two addresses: what is refused on the line must not shut the door, by which
        visitors come in
    known : for a name of a parameter or member, a value that exists
    good : for a route ("POST /api/…"), JSON or form that is well formed, to be mutated
    sharing : of several cases of an operation each visitor sends two in three
    """

    description: Mapping[str, Any]
    line: Line
    door: Line
    visitors: Sequence[Visitor]
    known: Mapping[str, str]
    good: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    sharing: bool = False

    def operations(self) -> list[Any]:
        """Give the operations, those that end sessions last."""
        found = schemathesis.openapi.from_dict(dict(self.description)).get_all_operations()
        whole: list[Any] = [one.ok() for one in found if isinstance(one, Ok)]
        return sorted(whole, key=lambda one: any(part in one.label for part in ENDS_SESSIONS))

    def go(self, operation: Any, cases: int, number: int) -> None:
        """Ask one operation as each visitor: `cases` cases in and beyond its description, drawn from a number."""
        for visitor in self.visitors:
            if not visitor.cookie:
                visitor.come_in(self.door)
        modes = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
        made = [one for mode in modes for one in drawn(operation, mode, cases, number)]
        for turn, (case, rng) in enumerate(made):
            self._ask(operation, case, rng, self._who_ask(turn, len(made)))

    def _who_ask(self, turn: int, of: int) -> list[Visitor]:
        """Give who sends a case: all, or two thirds in turn, so that everybody sends one of any two."""
        if not self.sharing or of == 1:
            return list(self.visitors)
        return [visitor for place, visitor in enumerate(self.visitors) if place % 3 != turn % 3]

    def _ask(self, operation: Any, case: Any, rng: random.Random, visitors: Sequence[Visitor]) -> None:
        method, path, headers, body = self._made(operation, case, rng)
        for visitor in visitors:
            sent = {**headers, **visitor.headers()}
            answer = self.line(method, path, sent, body)
            self._note(operation, visitor, answer, f"{method} {path} {headers} {(body or b'')[:600]!r}")
            if any(part in operation.label for part in ENDS_SESSIONS):
                visitor.come_in(self.door)

    def _made(
        self, operation: Any, case: Any, rng: random.Random
    ) -> tuple[str, str, dict[str, str], bytes | None]:
        """Write a case as a request, with things that exist where they fit, and JSON as odd as it gets."""
        for given_names in (case.path_parameters, case.query):
            for name in given_names or {}:
                if name in self.known and rng.random() < 0.7:
                    given_names[name] = self.known[name]
        prepared = requests.Request(**case.as_transport_kwargs(base_url="http://x")).prepare()
        path, body = str(prepared.url).removeprefix("http://x"), prepared.body
        media = case.media_type or ""
        raw = body.encode() if isinstance(body, str) else body
        if media and rng.random() < 0.5:
            raw = self._odd_body(operation.label, media, case.body, rng)
        headers = {"Content-Type": media} if media else {}
        return case.method, path, headers, raw if isinstance(raw, bytes) else None

    def _odd_body(self, label: str, media: str, body: Any, rng: random.Random) -> bytes:
        values = list(self.known.values())
        start = self.good[label] if label in self.good and rng.random() < 0.7 else body
        start = start if isinstance(start, dict | list | str | int) else {}
        if isinstance(start, dict):
            start = {name: self.known.get(name, value) for name, value in start.items()}
        made = mutated(rng, start, values)
        if media == FORM:
            fields = made if isinstance(made, dict) else {}
            texts = {n: v if isinstance(v, str) else _written(v) for n, v in fields.items()}
            return form_of(texts)
        return _written(made).encode("utf-8", "surrogatepass")

    def _note(self, operation: Any, visitor: Visitor, answer: Answer, request: str) -> None:
        self.tally.asked += 1
        self.tally.by_status[answer.status] += 1
        self.tally.by_role[visitor.role or "visitor"] += 1
        for what in wrong_with(operation, visitor, answer):
            told = f"{visitor.name}: {request} -> {answer.status} {answer.body[:300]!r}"
            self.tally.wrong.setdefault((operation.label, what), told)
        if answer.status < 300:
            self.tally.let_in.add((operation.label, visitor.role or "visitor"))


def _written(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except (
        TypeError,
        ValueError,
    ):  # a whole number beyond 64 bits, or half a surrogate pair: the standard library can
        return json.dumps(value, default=str)


def wrong_with(operation: Any, visitor: Visitor, answer: Answer) -> Iterator[str]:
    """Say what of an answer may not be, whatever was asked."""
    api = operation.path.startswith("/api/")
    if answer.status >= 500:
        yield f"answered {answer.status}"
    needs = operation.definition.raw.get("x-permission")
    if answer.status < 300 and not visitor.may(needs):
        yield f"let somebody in who lacks {needs}"
    if answer.status >= 400 and answer.status not in REFUSED and answer.status < 500:
        yield f"refused with {answer.status}"
    if answer.status >= 400 and api:
        if answer.headers.get("content-type") != "application/problem+json":
            yield "refused without a problem"
        else:
            told = orjson.loads(answer.body)
            if PROBLEMS[told["code"]].status != answer.status or told["status"] != answer.status:
                yield "status and problem differ"
    if (
        answer.headers.get("content-type", "").startswith("text/")
        and "charset=" not in answer.headers["content-type"]
    ):
        yield "text without its charset"
    if "content-security-policy" not in answer.headers or any(
        answer.headers.get(name) != value for name, value in HEADERS.items()
    ):
        yield "headers are missing"
    if answer.headers.get("content-type", "").startswith("text/html") and b"Traceback (most" in answer.body:
        yield "tells a traceback"


def drawn(operation: Any, mode: GenerationMode, cases: int, number: int) -> list[tuple[Any, random.Random]]:
    """Draw cases of an operation, the same for the same number; none where there is nothing to be wrong about."""
    found: list[tuple[Any, random.Random]] = []

    @seed(number)
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        derandomize=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), at=st.integers(0, 2**32))
    def draw(case: Any, at: int) -> None:
        found.append((case, random.Random(f"{at}/{number}/{len(found)}")))

    if mode is GenerationMode.NEGATIVE and not (
        operation.body or operation.query or operation.path_parameters
    ):
        return found
    try:
        draw()
    except Exception as refusal:
        if not type(refusal).__name__.startswith(("Unsatisfi", "Skip", "Unsupported", "Empty")):
            raise
    return found
