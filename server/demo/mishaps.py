"""Mishaps of some children: conflicts, typing errors, moves, double registrations, and the midwife's second look. PURE.

Mishaps in the figures themselves (a loss of weight, a copied line) are in `growing`; here are those in the records.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Final

from server.demo.acts import Act, MadeUpChild, moment, visit_day
from sync_protocol import Json

MISHAPS: Final = (
    ("severely_stunted", 0, 22),
    ("severely_wasted", 0, 17),
    ("wasted", 0, 14),
    ("two_t", 0, 9),
    ("copied", 0, 37),
    ("weight_conflict", 0, 19),
    ("length_conflict", 0, 28),
    ("birth_date_conflict", 0, 12),
    ("merged", 0, 25),
    ("moved", 0, 31),
    ("unit_slip", 0, 11),
    ("oedema", 1, 26),
    ("stunted", 1, 27),
    ("overweight", 1, 30),
    ("shrank", 1, 33),
    ("stands_early", 1, 7),
    ("birth_unknown", 1, 40),
    ("registered_twice", 1, 16),
    ("unit_slip_mended", 1, 13),
    ("future_date", 1, 24),
    ("registration_missing", 1, 5),
    ("severely_stunted", 2, 35),
    ("unit_slip", 2, 10),
    ("weight_conflict", 3, 15),
    ("wasted", 3, 20),
    ("moved", 3, 29),
    ("two_t", 4, 10),
    ("future_date", 4, 34),
    ("severely_wasted", 5, 21),
    ("registered_twice", 6, 18),
    ("stunted", 7, 44),
)
"""Mishaps: (what, at which post, at which age in months by the end)."""


MOVES_TO: Final = {0: 1, 3: 0}
"""The post that a child moves to, by the post it leaves: the first is in another puskesmas, the second in the same."""


REMEASURED: Final = frozenset({"severely_stunted", "oedema"})
"""Mishaps after which the midwife measures again two days after the last posyandu day, at posts that sync at once."""


def befallen(child: MadeUpChild, acts: list[Act], days: Sequence[Sequence[date]]) -> list[Act]:
    """Apply a child's mishap to its acts; every such child was there on its last five posyandu days."""
    if not child.mishap:
        return acts
    *before, earlier, last = acts
    match child.mishap:
        case "weight_conflict":
            heavier = {"weight_g": last.registers["weight"]["weight_g"] + 550, "oedema": "n"}
            return [*acts, _on_other_tablet(last, weight=heavier)]
        case "length_conflict":
            length = last.registers["length"]
            return [*acts, _on_other_tablet(last, length={**length, "length_mm": length["length_mm"] + 32})]
        case "birth_date_conflict":
            return [*acts, *_two_birth_dates(child, acts[0], last)]
        case "merged":
            others = {name: value for name, value in last.registers.items() if name != "muac"}
            arm = _on_other_tablet(last, muac=last.registers["muac"])
            return [*before, earlier, replace(last, registers=others), arm]
        case "unit_slip":
            return [*before, earlier, _in_kilograms(last)]
        case "unit_slip_mended":
            mended = replace(earlier, at=last.at - timedelta(seconds=10))
            return [*before, _in_kilograms(earlier), mended, last]
        case "future_date":
            return [*before, earlier, replace(last, measured_on=child.today + timedelta(days=330))]
        case "registration_missing":
            return [replace(acts[0], at=earlier.at, tablet=1), replace(last, tablet=0)]
        case "registered_twice":
            return _registered_twice(child, acts)
        case "moved":
            return [*acts, *_moving(child, acts, days)]
    return [*acts, *_remeasured(child, last)]


def _on_other_tablet(act: Act, **registers: Json) -> Act:
    """Return the same record, written by another cadre who has not seen this act."""
    return replace(act, at=act.at + timedelta(seconds=5), tablet=1 - act.tablet, registers=registers)


def _two_birth_dates(child: MadeUpChild, registration: Act, last: Act) -> Iterator[Act]:
    """Two cadres correct the birth date, from the KIA book and from memory."""
    identity = registration.registers["identity"]
    for tablet, days in ((0, 10), (1, -21)):
        born_on = (child.born_on + timedelta(days=days)).isoformat()
        registers = {"identity": {**identity, "born_on": born_on}}
        at = last.at + timedelta(seconds=15)
        yield replace(last, at=at, tablet=tablet, registers=registers, measured_on=None)


def _in_kilograms(act: Act) -> Act:
    """Return the act with kilograms typed in place of grams."""
    weight = act.registers["weight"]
    slip = {**weight, "weight_g": round(weight["weight_g"] / 1000)}
    return replace(act, registers={**act.registers, "weight": slip})


def _registered_twice(child: MadeUpChild, acts: list[Act]) -> list[Act]:
    """On one posyandu day the child was not found in the list and was registered again, with another spelling."""
    registration, seen = acts[0], acts[-3]
    name = f"Anak Cth. {child.label}"
    identity = {**registration.registers["identity"], "name": name, "birth_order": None}
    registers = {**registration.registers, "identity": identity}
    again = replace(registration, at=seen.at - timedelta(seconds=20), child=name, registers=registers)
    again = replace(again, tablet=seen.tablet)
    if seen.at == registration.at + timedelta(
        seconds=20
    ):  # its only other day was this one: keep the first too
        return [*acts, again]
    return [*acts[:-3], again, replace(seen, child=name), *acts[-2:]]


def _moving(child: MadeUpChild, acts: list[Act], days: Sequence[Sequence[date]]) -> Iterator[Act]:
    """The family moves: on its last day at the old post, the cadre sends the child to the new one."""
    if MOVES_TO[child.post] < len(days):
        leaving = next(act for act in acts if act.measured_on == days[child.post][-3])
        registers = {"post": {"post": MOVES_TO[child.post]}}
        at = leaving.at + timedelta(seconds=15)
        yield replace(leaving, at=at, registers=registers, measured_on=None)


def _remeasured(child: MadeUpChild, last: Act) -> Iterator[Act]:
    """The midwife measures again where a cadre's figures call for it."""
    if child.mishap in REMEASURED:
        on = visit_day(_day_of(last), child.today)
        weight, length = last.registers["weight"], last.registers["length"]
        registers = {
            "weight": {**weight, "weight_g": weight["weight_g"] - 30},
            "length": {**length, "length_mm": length["length_mm"] + 2},
            "note": {"text": "Catatan contoh: diukur ulang oleh bidan, orang tua diberi penjelasan."},
        }
        yield Act(moment(on, 8), last.post, 0, last.child, registers, on, "staff")


def _day_of(act: Act) -> date:
    assert act.measured_on is not None  # noqa: S101  # the last act of a life is a measurement
    return act.measured_on
