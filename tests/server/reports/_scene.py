"""Random edits of children at a district's posts, for tests of what is kept up to date."""

from contextlib import suppress
from datetime import date, timedelta
from typing import Any

import orjson
from sqlalchemy import select

from server import reports
from server.children import ledger
from server.database.models import Child, Figures, table
from server.errors import Problem
from server.places import health_posts
from server.sync import server_edits
from server.sync.server_edits import Edit
from sync_protocol import NOTHING_SEEN, VersionVector, fold, follow_up_id, measurement_id
from tests.server._district import DISTRICT, District, identity, measured, to_do, what_came
from tests.server._recount import CALLED, SAYS, recount

COMPARED = (
    *("S", "D", "N", "T", "O", "B"),
    *(f"{says}.{name}" for says in SAYS.values() for name in (*CALLED, *CALLED.values())),
    *(f"{says}.severely_{called}" for says in SAYS.values() for called in CALLED.values()),
    *(f"{says}.{name}" for says in SAYS.values() for name in ("muac", "thin_arm", "very_thin_arm")),
)


OTHER_PLACES = (("Anggrek 3", "64.02.06.1002"), ("Anggrek 4", "64.02.12.2001"), ("Anggrek 5", None))


Cells = dict[tuple[str, str, str], tuple[dict[str, int], str]]


def cells(district: District) -> Cells:
    """Give all figures as they are stored."""
    return {
        (row.area_kind, row.area, row.month.isoformat()[:7]): (orjson.loads(row.counts), row.hidden)
        for row in district.rows(select(table(Figures)))
    }


def refresh(district: District, *, from_nothing: bool = False) -> reports.Refreshed:
    return reports.refresh(district.hub, district.clock.now, actor="test", from_nothing=from_nothing)


def plainly(found: Cells) -> dict[tuple[str, str, str], dict[str, int]]:
    """Keep what the oracle counts too, of areas where anybody is."""
    kept = {key: {n: c[n] for n in COMPARED if c.get(n)} for key, (c, _) in found.items()}
    return {key: counts for key, counts in kept.items() if counts}


def from_the_rows(district: District) -> dict[tuple[str, str, str], dict[str, int]]:
    with district.hub.database.reading() as session:
        found = recount(session, district.hub, district.clock.now)
    return {key: {name: count for name, count in counts.items() if count} for key, counts in found.items()}


class Scene:
    """A district with posts in four places, tablets that may be offline for long, and an office that edits everything."""

    def __init__(self, district: District) -> None:
        self.district, hub, now = district, district.hub, district.clock.now
        with hub.database.transaction() as session:
            other = health_posts.add_health_centre(
                session, hub, "Puskesmas Lain", "64.02.12", actor="test", now=now
            )
            more = [
                health_posts.add_post(session, hub, name, other, village, actor="test", now=now)
                for name, village in OTHER_PLACES
            ]
        self.posts = [*district.posts, *more]
        self.tablets = [district.tablet(0), district.tablet(1)]
        self.children: list[str] = []
        self.tasks: list[tuple[str, str]] = []
        self.edits = 0

    def act(self, act: str, a: int, b: int, c: int) -> None:
        """Do one thing; the numbers say with whom, when and how much."""
        self.edits += 1
        getattr(self, act)(a, b, c)

    # -- on tablets, which send when they send ----------------------------------------------------------

    def register(self, a: int, b: int, c: int) -> None:
        born_on = (date(2026, 3, 1) - timedelta(days=b * 7 + c)).isoformat() if c % 9 else None
        sex = (None, "M", "F", "M")[c % 4]
        named = identity(name=f"Contoh {len(self.children)}", sex=sex, born_on=born_on)
        more: dict[str, Any] = {}
        if b % 2:
            more["books"] = {"kia": bool(c % 2), "kms": False}
        if c % 3 == 0:
            more["family"] = {"krs": True} | ({"valid_until": self.day(b)} if b % 3 else {})
        self.children.append(self.tablets[a % 2].register_child(None, identity=named, **more))

    def measure(self, a: int, b: int, c: int) -> None:
        if self.children:
            values: dict[str, Any] = {"weight_g": 5000 + c * 90, "length_mm": 560 + c * 5}
            if c % 7 == 0:
                values["muac_mm"] = 100 + c
            if c % 31 == 0:
                values["oedema"] = "1"
            if c % 5 == 0:
                values.pop("weight_g" if c % 2 else "length_mm")
            services = {"vitamin_a": "blue" if c % 2 else None, "mbg": bool(b % 2), "kpsp": "SMP"[c % 3]}
            registers = measured(**values) | ({"services": services} if c % 4 == 0 else {})
            if c % 6 == 0:
                registers["note"] = {"text": "catatan contoh"}
            tablet = self.tablets[a % 2]
            child = self.children[a % len(self.children)]
            source = "staff" if c % 8 == 0 else "cadre"
            tablet.write(tablet.replica.open_measurement(child, self.day(b), source), registers)

    def send(self, a: int, _b: int, _c: int) -> None:
        self.tablets[a % 2].sync_until_quiet()

    # -- at the office ------------------------------------------------------------------------------------

    def correct(self, a: int, b: int, c: int) -> None:
        if child := self.known(a):
            registers = measured(weight_g=4000 + c * 100, length_mm=600 + c * 4)
            source = "staff" if c % 2 else "cadre"
            edit = Edit.of_measurement(child, self.day(b), source, registers, NOTHING_SEEN)
            seen = self.seen(child, edit.record_id) if c % 3 else NOTHING_SEEN
            self.write(Edit.of_measurement(child, self.day(b), source, registers, seen))

    def remove(self, a: int, b: int, c: int) -> None:
        if child := self.known(a):
            record = measurement_id(child, self.day(b), "cadre")
            gone = {"removed": {"reason": None if c % 4 == 0 else "salah anak"}}
            self.write(Edit.of_measurement(child, self.day(b), "cadre", gone, self.seen(child, record)))

    def name_anew(self, a: int, b: int, c: int) -> None:
        """Give another birth date or sex, having seen what there is or not: then that is in conflict."""
        if child := self.known(a):
            born_on = (date(2026, 2, 20) - timedelta(days=b * 9)).isoformat()
            named = {"identity": identity(sex="MF"[c % 2], born_on=born_on)}
            self.write(Edit.of_child(child, named, self.seen(child, child) if c % 3 else NOTHING_SEEN))

    def strike(self, a: int, _b: int, c: int) -> None:
        """Take a child off the register, or put it back."""
        if child := self.known(a):
            gone = {"removed": {"reason": "pindah" if c % 2 else None}}
            self.write(Edit.of_child(child, gone, self.seen(child, child)))

    def move(self, a: int, b: int, _c: int) -> None:
        if child := self.known(a):
            to = {"post": {"post": self.posts[b % len(self.posts)]}}
            self.write(Edit.of_child(child, to, self.seen(child, child)))

    def link(self, a: int, b: int, c: int) -> None:
        one, other = self.known(a), self.known(b)
        if one and other and one != other:
            to = {"same_as": {"child": other if c % 3 else None}}
            self.write(Edit.of_child(one, to, self.seen(one, one)))

    def plan(self, a: int, b: int, c: int) -> None:
        if child := self.known(a):
            task = self.district.new_id()
            self.tasks.append((child, task))
            action = ("take", "remeasure", "pmt", "refer_puskesmas")[c % 4]
            self.write(Edit.of_follow_up(child, task, {"task": to_do(action, due_on=self.day(b))}))

    def answer(self, a: int, b: int, c: int) -> None:
        if self.tasks:
            child, task = self.tasks[a % len(self.tasks)]
            came = {"result": what_came(("done", "confirmed", "cancelled")[c % 3], done_on=self.day(b))}
            seen = self.seen(child, follow_up_id(child, task))
            self.write(Edit.of_follow_up(child, task, came, seen))

    def give(self, a: int, b: int, c: int) -> None:
        """Bring aid, or somebody who goes to see and finds none."""
        if child := self.known(a):
            aid = {
                "menu": ("food", "latrine")[c % 2],
                "funds": ("genting", "dak", "csr")[c % 3],
                "reaches": "child",
                "starts_on": self.day(b),
                "ends_on": None,
            }
            registers: dict[str, Any] = {"aid": aid}
            if c % 5:
                registers["delivered"] = {"given_on": self.day(b)}
            if c % 7 == 0:
                registers["verified"] = {"verified_on": self.day(b), "outcome": "not_received"}
            self.write(Edit.of_delivery(child, self.district.new_id(), registers, NOTHING_SEEN))

    def pass_time(self, _a: int, _b: int, c: int) -> None:
        self.district.clock.advance(days=c % 20)

    def count(self, a: int, b: int, c: int) -> None:
        """Count; then edit one child, rather one who was linked to another, and count again: that must be seen."""
        refresh(self.district)
        linked = self.district.rows(select(Child.id).where(Child.person_id != Child.id).order_by(Child.id))
        child = str(linked[a % len(linked)].id) if linked else self.known(a)
        if child is None:
            return
        on, registers = self.day(b), measured(weight_g=4000 + c * 100, length_mm=600 + c * 4)
        seen = self.seen(child, measurement_id(child, on, "cadre"))
        self.write(Edit.of_measurement(child, on, "cadre", registers, seen))
        refresh(self.district)
        assert plainly(cells(self.district)) == from_the_rows(self.district)

    # -- what is needed for it ----------------------------------------------------------------------------

    def day(self, number: int) -> str:
        return (date(2026, 3, 4) - timedelta(days=number * 11)).isoformat()

    def known(self, number: int) -> str | None:
        here = self.district.rows(select(Child.id).order_by(Child.id))
        return str(here[number % len(here)].id) if here else None

    def seen(self, child: str, record: str) -> VersionVector:
        hub = self.district.hub
        with hub.database.reading() as session:
            subjects = ledger.subjects(session, hub.vault, DISTRICT, [child])
            held = ledger.histories(session, DISTRICT, subjects, {record: child}).get(record)
        return fold(held).vector if held and held.changes else NOTHING_SEEN

    def write(self, edit: Edit) -> None:
        hub, now = self.district.hub, self.district.clock.now
        with (
            suppress(Problem),  # a day before birth, say
            hub.database.transaction() as session,
        ):
            server_edits.write(session, hub, [edit], "test.edited", author="operator", now=now)


OFTEN = ("register", "measure", "measure", "measure", "measure", "correct", "correct", "send")
