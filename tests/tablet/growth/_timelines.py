"""Made-up timelines full of edges, and what the server derives of them, in the form in which the tablet answers."""

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import product
from types import SimpleNamespace
from typing import Any, Final

import numpy as np

from server.children.assessment import POSITION, SEX, UNKNOWN, Rows, Timelines, findings, gains, score
from server.growth import status as classes
from server.growth.lms import table
from server.growth.weight_gain import CODE_NAMES, NO_GAIN, GainReason, months_completed
from server.growth.zscores import INDICATORS, Reason

Case = dict[str, Any]
"""A child with its measurements: what `assess.assess` takes, and `today`."""

PARTS: Final = ("weight_g", "oedema", "length_mm", "position", "muac_mm", "head_mm")
EDGE_AGES: Final = (
    0,
    27,
    31,
    90,
    182,
    183,
    272,
    273,
    274,
    275,
    365,
    729,
    730,
    731,
    732,
    1094,
    1800,
    1826,
    1827,
)
EDGE_GAINS: Final = (-2001, -2000, -300, 0, 0, 199, 200, 201, 299, 300, 399, 400, 500, 800, 900, 2000, 2001)
EDGE_GROWTH: Final = (-40, -25, -18, -17, -11, -10, -7, 0, 0, 5, 8, 12, 30, 55, 90)
EDGE_ARMS: Final = (95, 114, 115, 116, 124, 125, 126, 140, 160)


def random_cases(count: int, seed: int) -> list[Case]:
    """Make children whose visits lie on both sides of every edge: months left out and repeated, parts missing, copies."""
    dice = random.Random(seed)
    return [_random_case(dice) for _ in range(count)]


def _random_case(dice: random.Random) -> Case:
    born = date(2019, 1, 1) + timedelta(days=dice.randrange(2200))
    day = born + timedelta(days=max(0, dice.choice(EDGE_AGES) + dice.randint(-45, 3)))
    if dice.random() < 0.03:
        day = born - timedelta(days=dice.randrange(1, 60))
    sex = dice.choice(("M", "F", "M", "F", "M", "F", None))
    frame = dice.uniform(-3.5, 3.5), dice.uniform(-3.5, 3.5)
    grow = dice.choice((_along_the_curve, _step_by_step))
    weight, length = dice.randrange(1500, 19_000), dice.randrange(430, 1150)
    measurements = []
    for _ in range(dice.choice((0, 1, 2, 3, 3, 4, 6, 9))):
        for source in dice.choice((("cadre",), ("cadre",), ("cadre",), ("staff",), ("cadre", "staff"))):
            if dice.random() > 0.05:  # else the values of the time before, copied
                weight, length = grow(dice, weight, length, ((day - born).days, sex == "F", *frame))
            measurements.append(_random_measurement(dice, day, source, weight, length))
        day += timedelta(days=dice.choice((1, 3, 14, 27, 28, 29, 30, 31, 33, 59, 62, 200)))
    dice.shuffle(measurements)
    last = max((date.fromisoformat(m["on"]) for m in measurements), default=day)
    return {
        "child": {
            "sex": sex,
            "born_on": None if dice.random() < 0.06 else born.isoformat(),
            "known_since": (last - timedelta(days=dice.randrange(90))).isoformat(),
        },
        "measurements": measurements,
        "today": (last + timedelta(days=dice.choice((0, 0, 1, 30, 33, 61, 400)))).isoformat(),
    }


Frame = tuple[int, bool, float, float]
"""Age in days, whether a girl, and how far from the median in length and in weight, roughly in SD."""


def _along_the_curve(dice: random.Random, _weight: int, _length: int, frame: Frame) -> tuple[int, int]:
    """Give what a child of this frame weighs and measures: near the lines that status turns on."""
    age_days, girl, tallness, heaviness = frame
    day = min(max(age_days, 0), 1856)
    length = table("lhfa").m[int(girl), day] * (1 + 0.038 * (tallness + dice.uniform(-0.3, 0.3)))
    weight = table("wfa").m[int(girl), day] * (1 + 0.11 * (0.8 * heaviness + dice.uniform(-0.3, 0.3)))
    return max(500, round(weight * 100) * 10), round(length * 10)


def _step_by_step(dice: random.Random, weight: int, length: int, _frame: Frame) -> tuple[int, int]:
    """Give what follows by a step that some rule turns on, wherever that leads."""
    weight = min(max(weight + dice.choice(EDGE_GAINS), 500), 40_000)
    return weight, min(max(length + dice.choice(EDGE_GROWTH), 300), 1400)


def _random_measurement(dice: random.Random, day: date, source: str, weight_g: int, length_mm: int) -> Case:
    def seldom_missing(value: Any, share: float = 0.08) -> Any:
        return None if dice.random() < share else value

    return {
        "on": day.isoformat(),
        "source": source,
        "weight_g": seldom_missing(weight_g),
        "oedema": dice.choice((None, "n", "n", "n", "n", "n", "n", "1", "3")),
        "length_mm": seldom_missing(length_mm),
        "position": dice.choice((None, "lying", "lying", "standing", "standing")),
        "muac_mm": seldom_missing(dice.choice(EDGE_ARMS), 0.3),
        "head_mm": seldom_missing(dice.randrange(300, 560), 0.5),
    }


def heads_and_arms() -> list[Case]:
    """Make children of some ages with every circumference of head and arm near a line of the tables, by millimetres."""
    cases = []
    for sex, age_days in product(("M", "F"), (0, 90, 91, 183, 419, 731, 1826)):
        for part, head_or_arm in (("head_mm", "hcfa"), ("muac_mm", "acfa")):
            lms = table(head_or_arm)
            median, sd = lms.m[int(sex == "F"), age_days] * 10, lms.s[int(sex == "F"), age_days]
            if np.isnan(median):
                median, sd = 130.0, 0.08
            low, high = round(median * (1 - 3.5 * sd)), round(median * (1 + 3.5 * sd))
            cases += [_measured_once(sex, age_days, **{part: value}) for value in range(low, high + 1)]
    return cases


def _measured_once(sex: str, age_days: int, **measured: int) -> Case:
    on = date(2026, 3, 5)
    born_on = (on - timedelta(days=age_days)).isoformat()
    visit = {**dict.fromkeys(PARTS), **measured, "on": on.isoformat(), "source": "cadre"}
    child = {"sex": sex, "born_on": born_on, "known_since": on.isoformat()}
    return {"child": child, "measurements": [visit], "today": on.isoformat()}


def infants() -> list[Case]:
    """Make infants near the KBM of their age: with and without a month between, of unknown sex, weighed twice in a month."""
    cases = []
    for months, kbm in ((0, 800), (1, 800), (2, 900), (3, 800), (4, 600), (5, 500), (6, 400)):
        weighings = (
            (("2026-02-05", 0), ("2026-03-05", kbm - 1)),
            (("2026-02-05", 0), ("2026-03-05", kbm)),
            (("2026-01-05", 0), ("2026-03-05", kbm - 1)),
            (("2026-01-05", 0), ("2026-03-05", kbm)),
            (("2026-03-02", 0), ("2026-03-05", -100)),
            (("2026-02-05", 0), ("2026-03-02", kbm), ("2026-03-05", kbm - 1)),
            (("2026-01-05", 0), ("2026-02-05", 100), ("2026-03-05", 200)),
            (("2026-03-05", 0),),
        )
        for gains_g, sex, day in product(weighings, ("M", "F", None), (4, 5, 6)):
            born = (
                date(2026, 3, day)
                if not months
                else date(2025 + (months < 3), (3 - months - 1) % 12 + 1, day)
            )
            cases.append(_weighed(sex, born, gains_g))
    return cases


def _weighed(sex: str | None, born: date, gains_g: Sequence[tuple[str, int]]) -> Case:
    blank = dict.fromkeys(PARTS)
    visits = [{**blank, "weight_g": 4000 + more, "on": on, "source": "cadre"} for on, more in gains_g]
    child = {"sex": sex, "born_on": born.isoformat(), "known_since": "2026-03-05"}
    return {"child": child, "measurements": visits, "today": "2026-03-05"}


def timelines_of(cases: Sequence[Case]) -> Timelines:
    """Lay cases out as the server loads them: one candidate for each measurement, in order of child, day and source."""
    visits = [
        (number, measurement)
        for number, case in enumerate(cases)
        for measurement in sorted(case["measurements"], key=lambda m: (m["on"], m["source"]))
    ]
    children = [case["child"] for case in cases]
    of = np.array([number for number, _ in visits], np.int64)
    measured_on = np.array([m["on"] for _, m in visits], "datetime64[D]")

    def whole(part: str) -> Any:
        return np.array([UNKNOWN if m[part] is None else m[part] for _, m in visits], np.int64)

    return Timelines(
        child_ids=[str(number) for number in range(len(cases))],
        children=[_facts(child) for child in children],
        rows=Rows(
            child=of,
            measured_on=measured_on,
            source=[m["source"] for _, m in visits],
            conflicts=[""] * len(visits),
            inputs=[None] * len(visits),
            clock_days=np.zeros(len(visits), np.int64),
        ),
        removed=[],
        measurement=np.arange(len(visits)),
        child=of,
        sex=np.array([SEX[children[number]["sex"]] for number in of.tolist()], np.int64),
        born_on=np.array([children[number]["born_on"] for number in of.tolist()], "datetime64[D]"),
        measured_on=measured_on,
        weight_g=whole("weight_g"),
        oedema=np.array([m["oedema"] not in (None, "n") for _, m in visits], np.bool_),
        length_mm=whole("length_mm"),
        position=np.array([POSITION[m["position"]] for _, m in visits], np.int64),
        muac_mm=whole("muac_mm"),
        head_mm=whole("head_mm"),
        members={str(number): number for number in range(len(cases))},
    )


def _facts(child: Case) -> Any:
    since = date.fromisoformat(child["known_since"])
    return SimpleNamespace(
        sex=child["sex"],
        born_on=child["born_on"] and date.fromisoformat(child["born_on"]),
        conflicts="",
        registered=True,
        removed=False,
        clock_days=0,
        first_seen_at=datetime(since.year, since.month, since.day, tzinfo=UTC),
    )


def server_visits(cases: Sequence[Case]) -> list[list[Case]]:
    """Give what the server derives of every measurement: scores, plausibility, reasons, classes and gain, by child."""
    timelines = timelines_of(cases)
    scores, gain = score(timelines), gains(timelines)
    born, measured = timelines.born_on, timelines.measured_on
    months = np.where(np.isnat(born), 12, months_completed(born, measured))
    status = {
        "haz": (classes.length_for_age_status(scores.haz.z), classes.LENGTH_FOR_AGE_CODES),
        "waz": (classes.weight_for_age_status(scores.waz.z), classes.WEIGHT_FOR_AGE_CODES),
        "whz": (classes.wasting_status(scores.whz.z, timelines.oedema), classes.WASTING_CODES),
        "baz": (classes.wasting_status(scores.baz.z, timelines.oedema), classes.WASTING_CODES),
        "muac": (classes.muac_status(timelines.muac_mm, months), classes.MUAC_CODES),
    }
    named = {index: classes.code_names(*pair) for index, pair in status.items()}
    result: list[list[Case]] = [[] for _ in cases]
    for row, child in enumerate(timelines.child.tolist()):
        reason = int(gain.reason[row])
        gain_g = int(gain.gain_g[row])
        result[child].append(
            {
                "subject": timelines.rows.subject(row),
                "age_days": _known(scores.age_days[row]),
                "lenhei_cm": _known(scores.lenhei_cm[row]),
                "scores": {name: _score(getattr(scores, name), row) for name in INDICATORS},
                "status": {index: codes[row] for index, codes in named.items()},
                "gain": {
                    "code": CODE_NAMES[gain.code[row]] or None,
                    "gain_g": None if gain_g == NO_GAIN else gain_g,
                    "reason": GainReason(reason).name.lower() if reason else None,
                    "two_t": bool(gain.two_t[row]),
                },
            }
        )
    return result


def _known(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)


def _score(indicator: Any, row: int) -> Case:
    reason = Reason(int(indicator.reason[row]))
    if reason:
        return {"z": None, "implausible": None, "reason": reason.name.lower()}
    return {"z": float(indicator.z[row]), "implausible": bool(indicator.implausible[row]), "reason": None}


def server_flags(cases: Sequence[Case]) -> list[list[Case]]:
    """Give what the server flags, by child; each child with its own today."""
    result = []
    for case in cases:
        timelines = timelines_of([case])
        today = date.fromisoformat(case["today"])
        found = findings(timelines, score(timelines), gains(timelines), today, datetime.date)
        result.append([{"rule": f.rule, "subject": f.subject, "details": dict(f.details)} for f in found])
    return result
