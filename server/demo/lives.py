"""Everything written about one made-up child, from its registration on. PURE. Hides names, numbers and forms."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np

from server.demo.acts import Act, MadeUpChild, PostPlan, is_silent, moment
from server.demo.growing import DAYS_PER_MONTH, Readings, figures_of
from server.demo.mishaps import MOVES_TO, befallen
from server.demo.vaccinating import vaccinated
from server.growth.zscores import FEMALE, MALE
from sync_protocol import Json


def life(
    random: np.random.Generator,
    child: MadeUpChild,
    posts: Sequence[PostPlan],
    days: Sequence[Sequence[date]],
) -> list[Act]:
    """Return everything written about one child."""
    sex = MALE if random.random() < 0.51 else FEMALE
    visits = [v for v in _visits(child, days) if (v[1] - child.born_on).days >= 3]
    if not visits:
        return []
    age_days = np.array([(day - child.born_on).days for _, day, _ in visits], np.int64)
    figures = figures_of(random, child.mishap, sex, age_days, posts[child.post].scale_g)
    present = random.random(len(visits)) < 0.8
    if child.mishap:
        present[-5:] = True
    acts: list[Act] = []
    for place in np.flatnonzero(present).tolist():
        post, day, index = visits[place]
        tablet = child.number % posts[post].tablets
        if is_silent(posts[post], tablet, index, len(days[post])):
            tablet = 0
        seconds = 45 * (child.number % 100)
        at = moment(day, 1) + timedelta(seconds=seconds)
        if not acts:
            registers = _registration(random, child, sex, posts[post], post, day)
            acts.append(Act(at - timedelta(seconds=20), post, tablet, child.name, registers))
        registers = _measurement(random, figures, place, int(age_days[place]), day)
        acts.append(Act(at, post, tablet, child.name, registers, day))
    return befallen(child, vaccinated(child, acts), days)


def _visits(child: MadeUpChild, days: Sequence[Sequence[date]]) -> list[tuple[int, date, int]]:
    """Return a child's own posyandu days (post, day, index of the day at the post), before and after a move."""
    here = [(child.post, day, index) for index, day in enumerate(days[child.post])]
    if child.mishap != "moved" or MOVES_TO[child.post] >= len(days):
        return here
    there = MOVES_TO[child.post]
    moved_on = days[child.post][-3]
    return here[:-2] + [(there, day, index) for index, day in enumerate(days[there]) if day > moved_on]


def _measurement(
    random: np.random.Generator, figures: Readings, place: int, age_days: int, day: date
) -> dict[str, Json]:
    """Return what was written about a child on one posyandu day; now and then something is left out."""
    left_out = random.random(3)
    months = age_days / DAYS_PER_MONTH
    position = "standing" if figures.standing[place] else "lying"
    oedema = "1" if figures.oedema[place] else "n"
    registers: dict[str, Json] = {
        "weight": {"weight_g": int(figures.weight_g[place]), "oedema": oedema},
    }
    if left_out[0] < 0.96 or place >= len(figures.weight_g) - 3:
        registers["length"] = {"length_mm": int(figures.length_mm[place]), "position": position}
    if months >= 6 and (left_out[1] < 0.6 or place == len(figures.weight_g) - 1):
        registers["muac"] = {"muac_mm": int(figures.muac_mm[place])}
    if months < 24 and left_out[2] < 0.5:
        registers["head"] = {"head_mm": int(figures.head_mm[place])}
    services: dict[str, Any] = {}
    if day.month in (2, 8) and months >= 6:  # the vitamin A months: blue to 11 months, red from 12 on
        services["vitamin_a"] = "blue" if months < 12 else "red"
    if months < 6:
        services["exclusive_breastfeeding"] = bool(random.random() < 0.75)
    return {**registers, "services": services} if services else registers


def _registration(
    random: np.random.Generator, child: MadeUpChild, sex: int, plan: PostPlan, post: int, day: date
) -> dict[str, Json]:
    """Return the registration of a child."""
    born_on = None if child.mishap == "birth_unknown" else child.born_on.isoformat()
    order = 1 + int(random.integers(0, 4))
    identity = {
        "name": child.name,
        "sex": "M" if sex == MALE else "F",
        "born_on": born_on,
        "birth_order": order,
    }
    registers: dict[str, Json] = {
        "identity": identity,
        "parents": {
            "mother": f"Ibu Contoh {child.label}",
            "father": f"Bapak Contoh {child.label}",
            "phone": f"+62000000{child.number:04d}",
        },
        "home": {
            "address": f"Jalan Contoh {child.number}",
            "rt": f"{random.integers(1, 12):02d}",
            "rw": f"{random.integers(1, 5):02d}",
            "village": plan.village,
        },
        "post": {"post": post},
        "birth": {
            "weight_g": int(np.clip(round(random.normal(3080, 380), -1), 1700, 4300)),
            "length_mm": int(np.clip(round(random.normal(489, 18)), 420, 540)),
            "gestation_weeks": int(np.clip(round(random.normal(38.7, 1.4)), 32, 41)),
        },
        "books": {"kia": bool(random.random() < 0.93), "kms": bool(random.random() < 0.6)},
        "consent": {
            "given": True,
            "by": f"Ibu Contoh {child.label}",
            "relation": "ibu",
            "on": day.isoformat(),
            "method": "lisan",
        },
    }
    if random.random() < 0.85 or child.mishap == "registered_twice":
        registers["nik"] = {"nik": _nik(child, sex)}
    if random.random() < 0.2:
        until = day + timedelta(days=365)
        registers["family"] = {"krs": True, "source": "verval KRS (contoh)", "valid_until": until.isoformat()}
    return registers


def _nik(child: MadeUpChild, sex: int) -> str:
    """Return a number in the form of a NIK: region, birth date (day plus 40 for girls), and a serial from 9000 on."""
    day = child.born_on.day + (40 if sex == FEMALE else 0)
    return f"640206{day:02d}{child.born_on:%m%y}{9000 + child.number:04d}"
