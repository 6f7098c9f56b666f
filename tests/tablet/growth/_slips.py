"""Made-up children who are measured well, and what a hurried hand types instead: the truth and the text, by field.

Hides how slips come about: as text, as they are typed, so that a lost comma or a doubled digit is what it would be.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from server.growth.lms import table

Figures = dict[str, int]
DECIMALS: Final = {"weight_g": 3, "length_mm": 1, "muac_mm": 1, "head_mm": 1}
FIELDS: Final = tuple(DECIMALS)
PARTS: Final = ("weight_g", "oedema", "length_mm", "position", "muac_mm", "head_mm")


@dataclass(frozen=True, slots=True)
class Slip:
    """A visit of a child as it was (`truth`) and as it was typed (`typed`), by field, in record units: a fraction has too
    many decimals for the field, None could not be read. `kind`: what went wrong."""

    kind: str
    child: dict[str, Any]
    visits: list[dict[str, Any]]
    on: str
    truth: Figures
    typed: dict[str, float | None]

    def wire(self) -> dict[str, Any]:
        """Give what the page needs of it."""
        draft = {
            **dict.fromkeys(PARTS),
            "on": self.on,
            "source": "cadre",
            "position": _position(self.child, self.on),
        }
        return {"child": self.child, "visits": self.visits, "draft": draft, "typed": self.typed}


def slips(count: int, seed: int) -> list[Slip]:
    """Make visits with one kind of slip each, in one field or in several."""
    dice = random.Random(seed)
    return [_slip(dice) for _ in range(count)]


def _slip(dice: random.Random) -> Slip:
    child, visits, on, truth = _measured_well(dice)
    kind = dice.choice((*IN_TEXT, "swapped", "swapped", "of another child"))
    text = {field: as_typed(field, value) for field, value in truth.items()}
    if kind == "swapped":
        text["weight_g"], text["length_mm"] = text["length_mm"], text["weight_g"]
    elif kind == "of another child":
        *_, other = _measured_well(dice)
        text = {field: as_typed(field, value) for field, value in other.items()}
    else:
        several = dice.random() < 0.2
        for field in FIELDS if several else (dice.choice(FIELDS),):
            text[field] = IN_TEXT[kind](dice, text[field])
    typed = {field: as_read(field, said) for field, said in text.items()}
    return Slip(kind, child, visits, on, truth, typed)


# -- the truth ------------------------------------------------------------------------------------


def _measured_well(dice: random.Random) -> tuple[dict[str, Any], list[dict[str, Any]], str, Figures]:
    """Give a child, its visits before and after a day, that day, and what was measured on it."""
    sex, born = dice.choice("MF"), date(2022, 1, 1) + timedelta(days=dice.randrange(1500))
    frame = {field: dice.gauss(-0.8, 1.2) for field in FIELDS}
    frame["weight_g"] = 0.6 * frame["length_mm"] + 0.6 * frame["weight_g"]
    days = sorted(dice.sample(range(10, 1780), dice.choice((1, 1, 2, 3, 6))))
    if dice.random() < 0.7:  # month by month
        days = [days[0] + dice.choice((28, 30, 31)) * number for number in range(len(days))]
    on = max(dice.choice(days), days[-1] if dice.random() < 0.7 else 0)
    every = {day: _figures(dice, sex, day, frame) for day in days}
    child = {
        "sex": None if dice.random() < 0.04 else sex,
        "born_on": None if dice.random() < 0.06 else born.isoformat(),
    }
    visits = [
        {
            **dict.fromkeys(PARTS),
            **every[day],
            "on": (born + timedelta(days=day)).isoformat(),
            "source": "cadre",
            "position": "lying" if day < 731 else "standing",
        }
        for day in days
        if day != on
    ]
    return child, visits, (born + timedelta(days=on)).isoformat(), every[on]


def _figures(dice: random.Random, sex: str, day: int, frame: dict[str, float]) -> Figures:
    """Give what a child of this frame measures on a day of its life, with what scale and board add."""

    def on_line(name: Any, z: float) -> float:
        lms = table(name)
        row, column = int(sex == "F"), max(day, 91) if name == "acfa" else day
        power, median, spread = lms.l[row, column], lms.m[row, column], lms.s[row, column]
        return float(median * (1 + power * spread * z) ** (1 / power))

    def z(field: str) -> float:
        return min(max(frame[field] + dice.gauss(0, 0.15), -3.8), 3.0)

    grams = 10 if dice.random() < 0.3 else 100
    return {
        "weight_g": round(on_line("wfa", z("weight_g")) * 1000 / grams) * grams,
        "length_mm": round(on_line("lhfa", z("length_mm")) * 10),
        "muac_mm": round(on_line("acfa", z("muac_mm")) * 10),
        "head_mm": round(on_line("hcfa", z("head_mm")) * 10),
    }


def _position(child: dict[str, Any], on: str) -> str | None:
    if child["born_on"] is None:
        return None
    age = date.fromisoformat(on) - date.fromisoformat(child["born_on"])
    return "lying" if age.days < 731 else "standing"


# -- the text -------------------------------------------------------------------------------------


def as_typed(field: str, units: int) -> str:
    """Write a figure as a cadre does: without zeros at the end."""
    decimals = DECIMALS[field]
    whole, rest = divmod(units, 10**decimals)
    tail = f"{rest:0{decimals}}".rstrip("0")
    return f"{whole},{tail}" if tail else str(whole)


def as_read(field: str, text: str) -> float | None:
    """Read a text as the form does."""
    whole, _, rest = text.partition(",")
    if not whole.isdigit() or len(whole) > 6 or len(rest) > 3 or not (rest or "0").isdigit():
        return None
    units = int(whole + rest.ljust(3, "0")) / 10 ** (3 - DECIMALS[field])
    return int(units) if units.is_integer() else units


def _factor(places: int) -> Callable[[random.Random, str], str]:
    """Move the comma, to the right or to the left."""

    def moved(_dice: random.Random, text: str) -> str:
        whole, _, rest = text.partition(",")
        digits, point = whole + rest, len(whole) + places
        digits = digits.rjust(len(digits) + max(1 - point, 0), "0").ljust(point, "0")
        point = max(point, 1)
        return f"{digits[:point]},{digits[point:]}".rstrip(",")

    return moved


def _digit_lost(dice: random.Random, text: str) -> str:
    at = dice.choice([at for at, one in enumerate(text) if one != ","])
    shorter = text[:at] + text[at + 1 :]
    return ("0" + shorter if shorter.startswith(",") else shorter.rstrip(",")) or "0"


def _digit_doubled(dice: random.Random, text: str) -> str:
    at = dice.choice([at for at, one in enumerate(text) if one != ","])
    return text[:at] + text[at] + text[at:]


def _digits_transposed(dice: random.Random, text: str) -> str:
    digits = [at for at, one in enumerate(text) if one != ","]
    if len(digits) < 2:
        return text
    first = dice.randrange(len(digits) - 1)
    one, other = digits[first], digits[first + 1]
    swapped = list(text)
    swapped[one], swapped[other] = text[other], text[one]
    return "".join(swapped)


IN_TEXT: Final[dict[str, Callable[[random.Random, str], str]]] = {
    "ten times": _factor(1),
    "a tenth": _factor(-1),
    "a hundred times": _factor(2),
    "a hundredth": _factor(-2),
    "a thousand times": _factor(3),
    "comma lost": lambda _dice, text: text.replace(",", ""),
    "digit lost": _digit_lost,
    "first digit lost": lambda _dice, text: text[1:] if text[1:2].isdigit() else text,
    "digit doubled": _digit_doubled,
    "digits transposed": _digits_transposed,
}
