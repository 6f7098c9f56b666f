"""Any history that the schemas accept, uploaded over HTTP; then every job, page, report and export of it.

Hides how records come to belong together (a few children that all changes are about, written by several tablets that have
and have not seen one another), and how each route is asked about each of them by everybody who may.
"""

import io
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cached_property
from itertools import count as numbers
from typing import Any, Final

from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.routing import Rule

from server import isolation, reports
from server.accounts.roles import PERMISSIONS
from server.database.models import ChangeRow, FollowUp
from server.interchange.export_formats import FORMS, ExportFormat, write_export
from server.interchange.export_rows import ExportQuery
from server.operations import scheduler
from server.operations.doctor import examine
from server.review import Scope
from sync_protocol import Form, VersionVector, id_of
from tests.fuzz._values import a_day, a_moment, an_author, an_id, count, registers_of
from tests.server._district import FakeTablet
from tests.server.web._open_to import OPEN_TO, SIGNED_IN
from tests.server.web._role_world import World, address, routes

CHILDREN: Final = 12
"""Of one round: few, so that changes meet."""
KINDS: Final = ("child", "child", "measurement", "measurement", "measurement", "follow_up", "delivery")
BATCH: Final = 40
SYNC: Final = "/api/v1/sync"
FAR_MOMENTS: Final = (
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "2016-12-31T23:59:60Z"),
    *("1970-01-01T00:00:00Z", "2026-03-05T02:00:00Z"),
)
"""That a device's clock may show."""
ABOUT: Final = frozenset({"child_id", "record_id", "task", "one", "other", "kind"})
"""Parameters of routes that are asked about every child."""
OF_RECORDS: Final = frozenset({"record_id", "task"})
RECORDS: Final = 2
"""Most records of one kind of a child whose pages are opened."""
QUERIES: Final[Mapping[str, Sequence[str]]] = {
    "/anak/<child_id>": ("", "?cetak=1", "?semua=1&hal=2"),
    "/angka/<area_kind>/<area>/monev": ("?bentuk=pdf", "?bentuk=xlsx&dari=2026-01"),
    **dict.fromkeys(
        ("/audit", "/audit/pola", "/audit/kelengkapan", "/audit/kelengkapan.csv"),
        ("", "?bulan=2000-01", "?bulan=2024-02", "?bulan=1970-01"),
    ),
    "/audit/kiriman": ("", "?bulan=2000-01"),
}
"""What else routes are asked for."""
LONG_AGO, AFTER_ALL = date(1990, 1, 1), date(2099, 12, 31)
BROKEN: Final = "Anak ini sekarang tidak dapat ditampilkan"


@dataclass
class Histories:
    """Histories in one world.

    Parameters
    ----------
    values : plain values in what was uploaded
    wrong : what failed, by what was asked; the first of each kind
    """

    world: World
    number: int
    values: int = 0
    changes: int = 0
    asked: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    wrong: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.today = self._hub.settings.today(datetime.now(UTC))
        district = self.world.clinic.district
        self._client = self.world.app.test_client()
        self._tablets = [district.tablet(post) for post in (0, 0, 1)]
        self._nonces = numbers(1)
        self.children: list[str] = []
        self.rng = random.Random(self.number)

    @property
    def _hub(self) -> Any:
        return self.world.clinic.district.hub

    # -- histories ------------------------------------------------------------------------------------

    def upload(self, changes: int) -> None:
        """Draw so many changes and upload them, by several tablets that sync in between."""
        if not self.children:
            self.children = self._some_children()
        for place in range(1, changes + 1):
            self._write(self.rng.choice(self._tablets))
            if place % BATCH == 0:
                self._sync(self._tablets[place // BATCH % len(self._tablets)])
        for tablet in (*self._tablets, *self._tablets):
            self._sync(tablet)

    def _some_children(self) -> list[str]:
        drawn = iter(lambda: an_id(self.rng), "")
        fine = (id_ for id_ in drawn if id_[14] != "5")
        return list(dict.fromkeys(next(fine) for _ in range(CHILDREN)))

    def _write(self, tablet: FakeTablet) -> None:
        kind = self.rng.choice(KINDS)
        registers = self._at_home(registers_of(self.rng, kind, self.today))
        tablet.replica.write(
            self._with_odd_context(self._form(tablet, kind)),
            registers,
            author=an_author(self.rng),
            recorded_at=a_moment(self.rng),
            nonce=f"{next(self._nonces):022d}",
        )
        self.changes += 1
        self.values += count(registers) + 4  # kind, key, author, time

    def _at_home(self, registers: dict[str, Any]) -> dict[str, Any]:
        """Let ids in registers mostly be of posts and children that exist."""
        made = dict(registers)
        if "post" in made and self.rng.random() < 0.9:
            made["post"] = {"post": self.rng.choice(self.world.clinic.district.posts)}
        if "same_as" in made and self.rng.random() < 0.7:
            made["same_as"] = {"child": self.rng.choice((None, *self.children))}
        return made

    def _form(self, tablet: FakeTablet, kind: str) -> Form:
        replica, rng = tablet.replica, self.rng
        child = rng.choice(self.children)
        match kind:
            case "child":
                return replica.open_child(child)
            case "measurement":
                return replica.open_measurement(child, a_day(rng, self.today), rng.choice(("cadre", "staff")))
            case "follow_up":
                return replica.open_follow_up(child, self._other())
        return replica.open_delivery(child, self._other())

    def _with_odd_context(self, form: Form) -> Form:
        """Let a few contexts name changes that nobody holds, as after a restore, by many actors and with any numbers."""
        if self.rng.random() < 0.9:
            return form
        number = self.rng.choice((1, 2**31, 2**53 - 1))
        actors = (self.rng.choice(("", "hub:")) + an_id(self.rng) for _ in range(self.rng.choice((1, 3, 20))))
        entries: dict[str, Any] = {actor: [number, self.rng.choice(("A" * 16, "_-" * 8))] for actor in actors}
        return replace(form, context=VersionVector.from_wire({**entries, **form.context.wire()}))

    def _other(self) -> str:
        """Give the id of a task or an aid; some are used again, and some are a child's."""
        return self.rng.choice(self.children) if self.rng.random() < 0.3 else an_id(self.rng)

    def _sync(self, tablet: FakeTablet) -> None:
        """Send all that a tablet has, over HTTP, as it would."""
        while True:
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            batch = tablet.replica.next_batch(
                self.world.clinic.district.new_id(), self.rng.choice(FAR_MOMENTS)
            )
            batch["app"] = self.rng.choice((batch["app"], "x" * 64, "posyandu-tablet ٣.0"))
            batch["tally"] |= self.rng.choice(({}, {"1925-03-05": 1}, {self.today.isoformat(): 10**12}))
            message = tablet.signed(batch)
            headers = self.rng.choice(({}, {"Tablet-Clock": self.rng.choice((*FAR_MOMENTS, "x"))}))
            answer = self._client.post(SYNC, data=message, content_type="application/json", headers=headers)
            if answer.status_code != 200:
                self._note(
                    "POST sync", f"{answer.status_code} {answer.text[:300]}: {message.decode()[:2000]}"
                )
                raise AssertionError(self.wrong)
            told = answer.get_json()
            for item in told["receipt"]["items"]:
                self.outcomes[item[1]] += 1
                self.reasons.update(reason["code"] for reason in (item[2] if len(item) > 2 else ()))
            tablet.replica.receive(told, now)
            if not tablet.replica.unanswered() and not told["pull"]["more"]:
                return

    # -- everything of it -----------------------------------------------------------------------------

    def everything(self) -> None:
        """Run every job, report and export, and open every page; what fails is noted in `wrong`."""
        self._jobs()
        self._exports()
        self._pages()
        self._doctor()

    def _jobs(self) -> None:
        now = datetime.now(UTC)
        for name, job in scheduler.timetable(self._hub.settings).items():
            if job.only_sqlite and not self._hub.settings.is_sqlite:
                continue
            with self._noting(f"job {name}"):
                job.task(self._hub, now)
        with self._noting("reports refresh"):
            reports.refresh(self._hub, now, actor="test", from_nothing=True)
        with self._hub.database.reading() as session:
            for one in isolation.set_aside(session, self._hub):
                self._note(f"set aside: {one.kind}", f"{one.subject}: {one.error}")

    def _exports(self) -> None:
        now = datetime.now(UTC)
        for form in FORMS:
            for file in ("xlsx", "csv"):
                scope = Scope.whole_district(self._hub, shows_names=True)
                wanted = ExportQuery(scope, LONG_AGO, AFTER_ALL, full_nik=True)
                with self._noting(f"export {form} {file}"):
                    write_export(
                        self._hub, io.BytesIO(), ExportFormat(form, file), wanted, actor="test", now=now
                    )
                if wanted.left_out:
                    self._note(f"export {form} {file} leaves out", str(wanted.left_out))

    def _doctor(self) -> None:
        checks = examine(self._hub.settings, now=datetime.now(UTC), quick=False, progress=lambda *_: None)
        wanted = ("ledger", "batches", "states", "streams", "assessments", "set-aside", "log")
        for check in checks:
            if check.name in wanted and not check.is_ok:
                self._note(f"doctor {check.name}", "; ".join(check.found[:3]))
        with self._noting("agreement"):
            self.world.clinic.district.check_agreement()

    def _pages(self) -> None:
        """Ask every route that reads as each role that may: those about a child of every child, about a record of some."""
        read = (rule for method, rule in routes(self.world.app) if method == "GET")
        rules = [rule for rule in read if rule.arguments <= self.world.fill.keys()]
        self._ask_all([rule for rule in rules if not rule.arguments & ABOUT], self.world)
        seen: set[str] = set()
        for record in self._records():
            about = ABOUT if record["child_id"] not in seen else OF_RECORDS
            seen.add(record["child_id"])
            world = replace(self.world, fill={**self.world.fill, **record})
            self._ask_all([rule for rule in rules if rule.arguments & about], world)

    def _ask_all(self, rules: Sequence[Rule], world: World) -> None:
        for role, client in self._readers.items():
            for rule in rules:
                needs = OPEN_TO[f"GET {rule.rule}"]
                if role in PERMISSIONS.get(needs, ()) or needs == SIGNED_IN or role == "staff":
                    for query in QUERIES.get(rule.rule, ("",)):
                        self._ask(client, address(world, rule) + query, role)

    @cached_property
    def _readers(self) -> dict[str, FlaskClient]:
        """Give one browser for each role, with the largest area that there is."""
        areas = ("post", "none", "district")
        found = [
            (areas.index(person.scope_kind), person.role, client)
            for _, person, client, inside in self.world.everybody()
            if inside and person.scope_kind in areas
        ]
        return {role: client for _, role, client in sorted(found, key=lambda one: one[0])}

    def _records(self) -> Iterator[dict[str, str]]:
        """Give a few records of each kind of each child, as parameters of routes; the child's own first."""
        district, kinds = self.world.clinic.district, Counter[tuple[str, str]]()
        tasks = {
            id_of("follow_up", {"child": row.child_id, "task": row.task}): row.task
            for row in district.rows(select(FollowUp.child_id, FollowUp.task))
        }
        c = ChangeRow
        held = select(c.child_id, c.kind, c.record_id).where(c.kind.is_not(None)).distinct()
        rows = district.rows(held.order_by(c.child_id, c.kind, c.record_id))
        mine = {child: self.children[place - 1] for place, child in enumerate(self.children)}
        for child, kind, record_id in rows:
            kinds[child, kind] += 1
            if child in mine and kinds[child, kind] <= RECORDS:
                yield {
                    **{"child_id": child, "kind": kind, "record_id": record_id},
                    **{"one": min(child, mine[child]), "other": max(child, mine[child])},
                    "task": tasks.get(record_id, self.world.fill["task"]),
                }

    def _ask(self, client: Any, path: str, who: str) -> None:
        self.asked += 1
        answer = client.get(path)
        if answer.status_code >= 500:
            self._note(f"GET {path.split('?')[0]}", f"{who}: {answer.status_code}")
        elif answer.mimetype == "text/html" and BROKEN in answer.text:
            self._note(f"GET {path}", f"{who}: a broken record")
        answer.close()

    # -- what is told ---------------------------------------------------------------------------------

    def _noting(self, what: str) -> "_Noting":
        return _Noting(self, what)

    def _note(self, what: str, how: str) -> None:
        self.wrong.setdefault(what, how)

    def told(self) -> str:
        outcomes = ", ".join(f"{name} {n}" for name, n in self.outcomes.most_common())
        why = ", ".join(f"{name} {n}" for name, n in self.reasons.most_common(6))
        return (
            f"{self.values} values in {self.changes} changes ({outcomes}; {why}), {self.asked} pages, "
            f"{len(self.wrong)} kinds of failures"
        )


@dataclass
class _Noting:
    """Notes an exception as a failure, and goes on."""

    histories: Histories
    what: str

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: Any, error: BaseException | None, __: Any) -> bool:
        if isinstance(error, Exception):
            self.histories._note(self.what, f"{type(error).__name__}: {str(error)[:500]}")
        return isinstance(error, Exception)
