"""Export measurements for analysis: one CSV, and a codebook that describes its columns.

Rules kept here:
- No name, NIK or address. The child is a pseudonym derived from our id and the installation key, the same in every export.
  The birth date is exported only for users who may see names: the age in days is enough for analysis.
- A blank cell is a value that was not measured or is not known; it is never 0.
- Codebook and data are made from the same list of columns, so they always agree.
"""

from collections.abc import Callable
from typing import IO, Final, NamedTuple

from sqlalchemy.orm import Session

from server.context import AppContext
from server.interchange.child_matching import made_id
from server.interchange.export_rows import ExportQuery, ExportVisit, visits
from server.interchange.sheets.writer import Value, write_csv
from server.translations import T_, Text


class Column(NamedTuple):
    """A column: name, unit, range, meaning, source, and the function that gives its value."""

    name: str
    unit: str
    range: str
    meaning: Text
    source: str
    value: Callable[[AppContext, ExportVisit], Value]


def _z(index: str, meaning: Text) -> Column:
    return Column(
        index,
        "SD",
        "2 decimals; beyond WHO's limits see implausible",
        meaning,
        "WHO Child Growth Standards 2006; domain.md 1.4",
        lambda _, visit: visit.z[index],
    )


COLUMNS: Final = (
    Column(
        "child",
        "",
        "UUID",
        T_("the child's pseudonym, always the same"),
        "this system",
        lambda hub, v: made_id(hub, "export/child", v.child.person_id),
    ),
    Column("post", "", "", T_("health post"), "this system", lambda _, v: v.child.place.name),
    Column(
        "village_code",
        "",
        "PP.KK.CC.DDDD",
        T_("village code"),
        "Kepmendagri",
        lambda _, v: v.child.place.village_code,
    ),
    Column("sex", "", "M, F", T_("sex"), "registration", lambda _, v: v.child.sex),
    Column(
        "born_on",
        "",
        "ISO date",
        T_("birth date; blank for who may not see it"),
        "registration",
        lambda _, v: v.child.born_on if v.child.shows_names else None,
    ),
    Column(
        "age_days",
        "days",
        "0 to 1856 scored",
        T_("age at measurement"),
        "computed",
        lambda _, v: v.age_days,
    ),
    Column(
        "measured_on",
        "",
        "ISO date",
        T_("day of measuring"),
        "measurement",
        lambda _, v: v.measured_on,
    ),
    Column(
        "source",
        "",
        "cadre, staff",
        T_("who measured: cadre (indicated), staff (confirmed)"),
        "measurement",
        lambda _, v: v.source,
    ),
    Column("weight_g", "g", "500 to 40000", T_("body weight"), "measurement", lambda _, v: v.weight_g),
    Column(
        "oedema",
        "",
        "n, 1, 2, 3",
        T_("oedema of both feet, grade"),
        "measurement",
        lambda _, v: v.oedema,
    ),
    Column(
        "length_mm",
        "mm",
        "300 to 1400",
        T_("length or height as measured"),
        "measurement",
        lambda _, v: v.length_mm,
    ),
    Column("position", "", "lying, standing", T_("position"), "measurement", lambda _, v: v.position),
    Column(
        "muac_mm",
        "mm",
        "50 to 300",
        T_("mid-upper-arm circumference"),
        "measurement",
        lambda _, v: v.muac_mm,
    ),
    Column(
        "head_mm",
        "mm",
        "250 to 650",
        T_("head circumference"),
        "measurement",
        lambda _, v: v.head_mm,
    ),
    _z("waz", T_("weight-for-age z-score")),
    _z("haz", T_("length/height-for-age z-score")),
    _z("whz", T_("weight-for-length/height z-score")),
    _z("baz", T_("BMI-for-age z-score")),
    _z("hcz", T_("head-circumference-for-age z-score")),
    _z("acz", T_("arm-circumference-for-age z-score")),
    Column(
        "implausible",
        "",
        "names of indices",
        T_("indices beyond WHO's limits"),
        "domain.md 1.5",
        lambda _, v: " ".join(sorted(v.implausible)),
    ),
    Column(
        "gain",
        "",
        "N, T, O, B",
        T_("monthly weight gain"),
        "KBM, domain.md 2.1 and 2.2",
        lambda _, v: v.gain,
    ),
    Column(
        "gain_g",
        "g",
        "",
        T_("difference to last month's weight"),
        "computed",
        lambda _, v: v.gain_g,
    ),
    Column(
        "doses",
        "",
        "codes of the schedule",
        T_("doses of vaccines given that day, such as OPV1"),
        "measurement; docs/schedule.md",
        lambda _, v: " ".join(v.doses),
    ),
)
CODEBOOK: Final = ("name", "unit", "range", "meaning_id", "meaning_en", "source")


def write_data(target: IO[bytes], session: Session, hub: AppContext, wanted: ExportQuery) -> int:
    """Write the measurements; return their number."""
    rows = ([column.value(hub, visit) for column in COLUMNS] for visit in visits(session, hub, wanted))
    return write_csv(target, [column.name for column in COLUMNS], rows)


def write_codebook(target: IO[bytes]) -> int:
    """Write the description of each column, in the order of the data; return their number."""
    rows = ([c.name, c.unit, c.range, *c.meaning, c.source] for c in COLUMNS)
    return write_csv(target, CODEBOOK, rows)
