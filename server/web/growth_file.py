"""All that the tablet needs to score growth, as one file: WHO tables, KBM, codes, words, rules and ranges. Pure.

The tablet has its own formulas but no numbers or words that the server has too: they change on the server alone, and every
tablet gets them with its next update. Rules kept here:

- a table travels as whole numbers, its published decimals without the point (`LMS_SCALES`), so that nothing is lost on
  the way; the reader divides once, which gives the double nearest to the published decimal;
- of each column the *second differences* are sent: the curves are smooth, so these are nearly all of one digit, and the
  file is a sixth of its size when compressed;
- whatever a reader must know to read the file stands in it, but for that.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

import numpy as np
import orjson
from marshmallow.validate import Range

from schemas.records import Head, Length, Muac, Weight
from schemas.strict import Strict
from server.children import labels
from server.children.flags import RULES
from server.growth import ENGINE_VERSION, KBM_VERSION, status
from server.growth.growth_limits import length_spread_mm
from server.growth.lms import FIRST_LENGTH_STEP, TABLE_NAMES, FloatArray, TableName, table
from server.growth.weight_gain import kbm_g
from server.schedule import Schedule, schedule, wire
from server.translations import Text

__all__ = ["growth_file"]

SEXES: Final = ("M", "F")
"""In the order of the first axis of `lms.LmsTable` and `kbm_g`."""
LMS_SCALES: Final = {"l": 10_000, "m": 10_000, "s": 100_000}
"""By how much each column's published decimals (4, 4 and 5) are multiplied."""
CODES: Final = {
    "waz": status.WEIGHT_FOR_AGE_CODES,
    "haz": status.LENGTH_FOR_AGE_CODES,
    "whz": status.WASTING_CODES,
    "baz": status.WASTING_CODES,
    "muac": status.MUAC_CODES,
}
MEASURES: Final[Mapping[str, type[Strict]]] = {
    "weight_g": Weight,
    "length_mm": Length,
    "muac_mm": Muac,
    "head_mm": Head,
}


def growth_file(plan: Schedule | None = None) -> bytes:
    """Make the file: compact JSON in UTF-8, the same bytes each time.

    Parameters
    ----------
    plan : the schedule of the installation; None for the one that comes with the server

    Returns
    -------
    bytes
        An object of:

        - ``engine``, ``kbm_version``: versions of the rules and of the KBM table;
        - ``lms``: by table (lhfa, wfa, bfa, hcfa, acfa by day; wfl, wfh by 0.1 cm): ``first``, the day or step of the first
          row, and by sex ("M", "F") the columns l, m and s as second differences;
        - ``scales``: what the whole numbers of each column are to be divided by;
        - ``kbm``: by sex grams for the completed months 0 to 60, 0 where there is no KBM;
        - ``length_spread_mm``: by completed month of age, how much faster than the median a length may grow in three months;
        - ``codes``: by index the status codes from the lowest class up; ``labels``, ``sentences``: words for them;
        - ``reasons``, ``gain_reasons``: words for why there is no score, or why a weighing has its code;
        - ``rules``: urgency and words of each rule of `server.children.flags`, the most urgent first;
        - ``ranges``: least and greatest value that a record may hold, by field;
        - ``note``: the screening note that stands beside every status;
        - ``schedule``: what children are to be given and when (`server.schedule`), as this district has chosen.
    """
    return _made(plan or schedule())


@cache
def _made(plan: Schedule) -> bytes:
    return orjson.dumps(
        {
            "engine": ENGINE_VERSION,
            "kbm_version": KBM_VERSION,
            "lms": {name: _lms(name) for name in TABLE_NAMES},
            "scales": LMS_SCALES,
            "kbm": dict(zip(SEXES, kbm_g().tolist(), strict=True)),
            "length_spread_mm": length_spread_mm().tolist(),
            "codes": CODES,
            "labels": _words(labels.LABELS.items()),
            "sentences": {index: _words(of.items()) for index, of in labels.SENTENCES.items()},
            "reasons": _words((why.name.lower(), label) for why, label in labels.REASON_LABELS.items()),
            "gain_reasons": _words(
                (why.name.lower(), label) for why, label in labels.GAIN_REASON_LABELS.items()
            ),
            "rules": {
                name: {"urgency": rule.urgency, **rule.text.wire()}
                for name, rule in sorted(RULES.items(), key=lambda item: item[1].urgency)
            },
            "ranges": {field: _range(schema, field) for field, schema in MEASURES.items()},
            "note": labels.SCREENING_NOTE.wire(),
            "schedule": wire(plan),
        }
    )


def _lms(name: TableName) -> dict[str, Any]:
    lms = table(name)
    published = np.flatnonzero(~np.isnan(lms.m[0]))
    columns = {column: getattr(lms, column)[:, published] * scale for column, scale in LMS_SCALES.items()}
    return {
        "first": int(published[0]) + FIRST_LENGTH_STEP.get(name, 0),
        **{
            sex: {column: _second_differences(values[row]) for column, values in columns.items()}
            for row, sex in enumerate(SEXES)
        },
    }


def _second_differences(values: FloatArray) -> list[int]:
    """Return whole numbers from which two running sums make the column again."""
    whole = np.rint(values).astype(np.int64)
    differences: list[int] = np.diff(np.diff(whole, prepend=0), prepend=0).tolist()
    return differences


def _words(texts: Iterable[tuple[str, Text]]) -> dict[str, dict[str, str]]:
    return {name: text.wire() for name, text in texts}


def _range(schema: type[Strict], field: str) -> tuple[int, int]:
    """Read the limits of a field where the schema has them, so that they stand in one place."""
    (limits,) = [rule for rule in schema().fields[field].validators if isinstance(rule, Range)]
    return limits.min, limits.max
