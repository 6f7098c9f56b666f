"""Bytes as bad as they come, case after case in this process, for everything that reads what anybody may send.

A target takes one case and says in a word what became of it; whatever else happens (another exception, a time or a memory
beyond bounds) is a defect. Here are the targets that need nothing but bytes; `_served` has those that end in a database.
Cases are made from seeds, and seeds are made by code: `Fuzz` alters what told something new before, `_guided` lets
libFuzzer do so, which sees how far a case came in our source.
"""

import gzip
import io
import random
import signal
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final, Protocol

import orjson

from schemas import (
    Malformed,
    Reason,
    check_change,
    parse_enrolment,
    parse_enrolment_again,
    parse_envelope,
    parse_letter,
    parse_sealed,
)
from schemas.change import SCHEMAS, TESTS
from server.aid import csr_parser
from server.config import Settings
from server.decompression import inflate, parse_json
from server.errors import PROBLEMS, Problem
from server.interchange import import_chunks
from server.interchange.sheets import Limits, SheetUnreadable, read_rows
from server.interchange.sigizi import SigiziReader, find_layout
from sync_protocol import FIRST_PREVIOUS, Change, Dot, canonical, change_hash
from tests.fuzz._batches import altered
from tests.fuzz._routes import mutated
from tests.server.interchange import _files

TODAY: Final = date(2026, 3, 5)
MOST_CPU_SECONDS: Final = 20
"""For one case, of this process's own time: hundreds of times what the longest takes. What runs away takes hours."""
MOST_BYTES: Final = 60_000
EXAMPLES: Final = Path(__file__).resolve().parents[2] / "schemas" / "examples"
_SETTINGS: Final = Settings.for_data("unused")


class Wrong(AssertionError):
    """What a target made of a case may not be."""


class Endless(BaseException):
    """A case used up its time."""


class Target(Protocol):
    """Something that reads bytes. The first byte of a case chooses how the others are brought to it."""

    name: str
    known: Sequence[str]
    """Ids that mean something to it."""
    only_json: Container[int]
    """First bytes of cases that are not brought at all when they are no JSON: these are altered as JSON alone."""

    def seeds(self) -> list[bytes]:
        """Give cases that come far."""

    def take(self, case: bytes) -> str:
        """Take a case; say what became of it in a word."""

    def close(self) -> None:
        """Check what is left behind."""


# -- altering and asking --------------------------------------------------------------------------


def another(rng: random.Random, case: bytes, target: "Target") -> bytes:
    """Alter a case: its JSON, if that is what it holds, or its bytes, or how it is brought."""
    how, rest = case[:1], case[1:]
    if rng.random() < 0.1:
        how = bytes([rng.randrange(256)])
    if rng.random() < 0.6 or (how and how[0] in target.only_json):
        try:
            return how + orjson.dumps(mutated(rng, orjson.loads(rest), target.known, 0.1))
        except (
            ValueError,
            TypeError,
            RecursionError,
        ):  # no JSON, none that can be written, or too deep for us
            pass
    return how + altered(rng, rest)


@contextmanager
def bounded(seconds: float = MOST_CPU_SECONDS) -> Iterator[None]:
    """End what uses more than its time, counted in this process's own seconds, so that a busy machine changes nothing."""

    def over(_number: int, _frame: Any) -> None:
        raise Endless(f"more than {seconds} s")

    before = signal.signal(signal.SIGVTALRM, over)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@dataclass
class Fuzz:
    """Cases for one target, drawn from a seed; those that told something new are altered further."""

    target: Target
    rng: random.Random
    corpus: list[bytes] = field(default_factory=list)
    became: Counter[str] = field(default_factory=Counter)
    wrong: dict[str, bytes] = field(default_factory=dict)
    slowest: float = 0.0
    cases: int = 0

    def run(self, cases: int, until: Callable[[], bool] = lambda: False) -> None:
        """Take the seeds and then so many altered cases, or fewer if it is over before."""
        for seed in self.target.seeds():
            self._take(seed)
            self.corpus.append(seed)
        for _ in range(cases):
            if until():
                break
            case = self.rng.choice(self.corpus)
            for _ in range(self.rng.choice((1, 1, 1, 2, 4))):
                case = another(self.rng, case, self.target)
            self._take(case[:MOST_BYTES])

    def _take(self, case: bytes) -> None:
        began, self.cases = time.process_time(), self.cases + 1
        try:
            with bounded():
                word = self.target.take(case)
        except (Exception, Endless) as error:  # noqa: BLE001  # any at all is what is looked for
            self.wrong.setdefault(f"{type(error).__name__}: {error}"[:300], case)
            return
        self.slowest = max(self.slowest, time.process_time() - began)
        if word not in self.became:
            self.corpus.append(case)
        self.became[word] += 1

    def told(self) -> str:
        most = ", ".join(f"{word} {count}" for word, count in self.became.most_common(12))
        return f"{self.target.name}: {self.cases} cases ({most}), slowest {self.slowest:.2f} s of CPU"


# -- what unpacks ---------------------------------------------------------------------------------


class Unpacking:
    """Gzip (odd) or plain bytes of JSON, within limits."""

    name = "unpacking"
    known: Sequence[str] = ("a",)
    only_json: Container[int] = ()

    def seeds(self) -> list[bytes]:
        texts = (
            b"{}",
            orjson.dumps({"a": [1, -2.5e3, None, True, '\u00e9\\"'], "b": {"c": [[]]}}),
            b"[" * 12 + b"]" * 12,
            b"[" * 13 + b"]" * 13,
            b'["' + b"[" * 30 + b'"]',
        )
        bombs = (b"[" * 2_000_000, b'"' * 2_000_000)
        packed = [gzip.compress(text, 1, mtime=0) for text in (*texts, *bombs)]
        return [b"\x00" + text for text in texts] + [b"\x01" + text for text in packed]

    def take(self, case: bytes) -> str:
        raw, settings = case[1:], _SETTINGS
        try:
            plain = inflate(raw, settings.max_inflated_bytes) if case[:1] and case[0] & 1 else raw
        except Problem as problem:
            return told(problem)
        if len(plain) > settings.max_inflated_bytes:
            raise Wrong(f"{len(plain)} bytes were unpacked")
        try:
            value = parse_json(plain, settings.max_depth)
        except Problem as problem:
            if problem.code == "body-too-deep":
                _check_depth_of(plain, settings.max_depth)
            return told(problem)
        if depth(value) > settings.max_depth:
            raise Wrong(f"{depth(value)} levels were let through")
        return type(value).__name__

    def close(self) -> None:
        """Nothing is left."""


def depth(value: Any) -> int:
    """Give how many levels of objects and lists JSON has."""
    levels, inside = 0, [value]
    while around := [one for one in inside if isinstance(one, dict | list)]:
        levels += 1
        inside = [part for one in around for part in (one.values() if isinstance(one, dict) else one)]
    return levels


def _check_depth_of(plain: bytes, limit: int) -> None:
    """Refuse that JSON which is not too deep was said to be."""
    try:
        value = orjson.loads(plain)
    except orjson.JSONDecodeError:
        return
    if depth(value) <= limit:
        raise Wrong(f"{depth(value)} levels were said to be too deep")


def told(problem: Problem) -> str:
    """Give the code of a refusal that can be put into words."""
    body = problem.body()
    if problem.code not in PROBLEMS or not body["title_en"] or "{" in body["title_en"]:
        raise Wrong(f"{problem.code} without words: {body}")
    return problem.code


# -- what checks messages and changes -------------------------------------------------------------


class Schemas:
    """JSON for each of the schemas of what tablets send. What the quick test lets through, marshmallow must accept; what is
    accepted must have canonical bytes, and come back from them the same."""

    name = "schemas"
    only_json: Container[int] = ()
    readers: Final = (
        *(parse_envelope, parse_sealed, parse_letter, parse_enrolment, parse_enrolment_again),
        *(None, None, None),  # a change, as often as all others together
    )

    def __init__(self) -> None:
        examples = [orjson.loads(file.read_bytes()) for file in sorted(EXAMPLES.glob("*.json"))]
        self._examples = [one for one in examples if isinstance(one, dict)]
        self.known: Sequence[str] = sorted({text for one in self._examples for text in _texts(one)})

    def seeds(self) -> list[bytes]:
        found = [one.get("change", one) for one in self._examples]
        batches = [one["batch"] for one in found if isinstance(one.get("batch"), dict)]
        changes = [change for batch in batches for change in batch["changes"]]
        inside = {"v": 1, "key": "A" * 11, "enc": "A" * 87, "ciphertext": "A" * 40}
        written = [orjson.dumps(one) for one in (*found, *changes, {"sealed": inside}, {"reply": "A" * 22})]
        return [bytes([how]) + one for one in written for how in range(len(self.readers))]

    def take(self, case: bytes) -> str:
        try:
            value = parse_json(case[1:], _SETTINGS.max_depth)
        except Problem as problem:
            return told(problem)
        reader = self.readers[case[0] % len(self.readers)]
        if reader is None:
            return self._change(value)
        try:
            return type(reader(value)).__name__
        except Malformed as malformed:
            return f"{reader.__name__}: {_codes(malformed.reasons)}"

    def _change(self, wire: Any) -> str:
        reasons = check_change(wire, today=TODAY)
        if reasons:
            kind = wire.get("kind") if isinstance(wire, dict) else None
            if isinstance(kind, str) and kind in TESTS and TESTS[kind](wire) and SCHEMAS[kind].validate(wire):
                raise Wrong("the quick test lets through what the schema refuses")
            return f"change: {_codes(reasons)}"
        if SCHEMAS[wire["kind"]].validate(wire):
            raise Wrong("the quick test lets through what the schema refuses")
        dot = Dot("01900000-0000-7000-8000-000000000001", 1)
        written = canonical(wire)
        change = Change.from_wire(dot, wire, change_hash(dot, FIRST_PREVIOUS, wire))
        if canonical(change.wire()) != written or canonical(orjson.loads(written)) != written:
            raise Wrong("a change comes back otherwise")
        return f"{wire['kind']} {' '.join(sorted(wire['set']))}"

    def close(self) -> None:
        """Nothing is left."""


def _texts(value: Any) -> Iterator[str]:
    """Give every text in JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


def _codes(reasons: Sequence[Reason]) -> str:
    """Name the first reason's code, and see that all have their words."""
    for reason in reasons:
        if not reason.id or not reason.en or not orjson.dumps(reason.wire()):
            raise Wrong(f"{reason.code} without words")
    return reasons[0].code


# -- what opens sheets ----------------------------------------------------------------------------


class Sheets:
    """Files that call themselves sheets: whole, or as one part of a workbook whose zip is in order."""

    name = "sheets"
    only_json: Container[int] = ()
    known: Sequence[str] = ("A1", "ZZZ9999999", "1e308", "2958466", "9999-12-31")
    parts: Final = (
        *("xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/styles.xml", "xl/workbook.xml"),
        "xl/_rels/workbook.xml.rels",
    )
    limits: Final = Limits(bytes=1 << 20, unpacked_bytes=1 << 22, rows=2000, columns=256, cell=4096)

    def __init__(self) -> None:
        rows = [_files.row(), _files.row(NIK="", Nama="Anak Contoh Dua", Berat="9,5")]
        self._files = [
            _files.xlsx(rows),
            _files.html(rows),
            _files.text(rows),
            _files.text(rows, delimiter="\t"),
        ]
        with zipfile.ZipFile(io.BytesIO(self._files[0])) as book:
            self._book = {name: book.read(name) for name in book.namelist()}
        self._book.setdefault(self.parts[1], SHARED)

    def seeds(self) -> list[bytes]:
        whole = [bytes([how]) + file for how in range(3) for file in self._files]
        return [*whole, *(bytes([3 + n]) + self._book[part] for n, part in enumerate(self.parts))]

    def take(self, case: bytes) -> str:
        how, content = case[0] % (3 + len(self.parts)) if case else 0, case[1:]
        if how >= 3:
            content = self._with(self.parts[how - 3], content)
        try:
            if how == 1:
                import_chunks.open_sheet(content, self.limits)
                rows = read_rows(content, self.limits)
                reader = SigiziReader(find_layout(rows), TODAY)
                rules = {one.rule for number, row in rows for one in reader.read(number, row).refusals}
                return f"sigizi {sorted(rules)}"
            if how == 2:
                sheet = csr_parser.open_sheet(content)
                chosen = csr_parser.guess(sheet.headers, {})
                reasons = {reason for row in csr_parser.read(sheet, chosen) for reason in row.reasons}
                return f"aid {len(chosen)} {sorted(reasons)}"
            kinds = {type(cell).__name__ for _, row in read_rows(content, self.limits) for cell in row}
            return f"rows of {sorted(kinds)}"
        except SheetUnreadable as unreadable:
            return str(unreadable)[:16]

    def _with(self, part: str, content: bytes) -> bytes:
        """Put a part into a workbook."""
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as book:
            for name, there in {**self._book, part: content}.items():
                book.writestr(name, there)
        return made.getvalue()

    def close(self) -> None:
        """Nothing is left."""


SHARED: Final = (
    b"<sst><si><t>Anak</t></si><si><r><t>Con</t></r><rPh><t>x</t></rPh><r><t>toh</t></r></si></sst>"
)
PURE: Final[Mapping[str, Callable[[], Target]]] = {
    "unpacking": Unpacking,
    "schemas": Schemas,
    "sheets": Sheets,
}
