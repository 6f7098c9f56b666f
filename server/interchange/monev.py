"""The Monev report of an area and a period as PDF and XLSX, with a sheet of the eight convergence actions.

Hides typesetting (Typst; the template is monev.typ) and the layout of the sheets. Typst gets data only, never markup.
The eight actions are filled in from the data as far as possible; what this system cannot know is listed as missing.

Source of the actions: slides of the home ministry on the eight convergence actions (under revision since 2025, so they are
texts in one table).
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson
import typst
from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal
from sqlalchemy.orm import Session

from server import reports
from server.children.labels import SCREENING_NOTE
from server.context import AppContext
from server.interchange.sheets.writer import Value, WorkbookSheet, write_csv, write_workbook
from server.reports import Area, FigureReader, Numbers, State, reading
from server.reports.measures import (
    CODES,
    FOUND,
    FUNNEL,
    INDICES,
    KINDS,
    MOVES_ALONG,
    NO_SURVEY,
    NUMBERS,
    SECTIONS,
    SHARES,
    SKDN,
    MeasureShare,
)
from server.reports.small_number_suppression import OB
from server.translations import T_, Text

TEMPLATE: Final = Path(__file__).parent / "monev.typ"
MOST_MONTHS: Final = 24
HIDDEN: Final = "··"
RATIOS: Final = ("D/S", "K/S", "N/D", "N/D'", "2T/D", "BGM/D")
COMPARED: Final = ("D/S", "N/D", "indicated.stunted", "indicated.wasted", "reporting")
KIND_WORDS: Final = {
    "post": T_("Posyandu"),
    "village": T_("Village", "area"),
    "subdistrict": T_("Subdistrict"),
    "district": T_("Regency"),
    "health_centre": T_("Health centre"),
}
WORDS: Final = {
    "title": T_("Monitoring Report on Stunting Reduction"),
    "report": T_("Monitoring Report"),
    "period": T_("Period"),
    "made": T_("Made"),
    "summary": T_("The last month in short"),
    "months": T_("SKDN by month"),
    "month": T_("Month"),
    "growth": T_("Nutritional status in the last month"),
    "finding": T_("Finding"),
    "section": T_("Section"),
    "shares": T_("Services, quality, aid"),
    "helped": T_("Flagged to helped"),
    "index": T_("Index"),
    "by": T_("Basis"),
    "compared": T_("Areas side by side, last month"),
    "area": T_("Area"),
    "funnel": T_("From flagged to helped, last month"),
    "number": T_("Number", "heading"),
    "share": T_("Per cent"),
    "actions": T_("The eight convergence actions"),
    "action": T_("Action"),
    "filled": T_("Filled from the data"),
    "lacking": T_("What this system cannot fill"),
    "hidden": T_("Numbers below five are hidden (··), with others that would give them away."),
    "waiting": T_("Posyandu with news not counted yet"),
    "none": T_("no data"),
    "chart": T_("D/S and indicated stunting by month"),
    "what": T_("What is counted"),
}


@dataclass(frozen=True, slots=True)
class Action:
    """One of the eight actions: its name, the numbers and shares that fill it in, and what this system cannot know."""

    name: Text
    numbers: tuple[str, ...]
    shares: tuple[str, ...]
    lacking: Text


ACTIONS: Final = (
    Action(
        T_("1. Situation analysis"),
        ("krs", "funnel.flagged"),
        ("D/S", "indicated.stunted", "confirmed.stunted", "indicated.wasted"),
        T_("Indirect causes by village (water, sanitation, care); survey prevalence."),
    ),
    Action(
        T_("2. Plan of activities"),
        ("funnel.flagged",),
        ("aid_reach",),
        T_("Activities, ceilings and funds of the agencies (work plans, village budgets)."),
    ),
    Action(
        T_("3. Stunting forum"),
        (),
        ("D/S",),
        T_("Its date, participants, commitments and minutes."),
    ),
    Action(
        T_("4. Regent's regulation on the role of villages"),
        (),
        (),
        T_("Number and content of the regulation; village budgets."),
    ),
    Action(
        T_("5. Coaching of actors and village government"),
        ("sessions",),
        ("reporting", "flagged", "length_05"),
        T_("Training and pay of cadres and village workers, coaching visits."),
    ),
    Action(
        T_("6. Data management system"),
        ("visits.staff",),
        ("no_birth_date", "no_position", "disputed"),
        T_("Data beyond posyandu: pregnancy, teenagers, water."),
    ),
    Action(
        T_("7. Measurement and publication"),
        (),
        ("D/S", "indicated.stunted", "confirmed.stunted"),
        T_("Proof of publication. These are figures of posyandu, not of a survey."),
    ),
    Action(
        T_("8. Annual review"),
        ("funnel.flagged", "funnel.taken", "funnel.seen", "funnel.helped", "aid"),
        ("N/D", "aid_reach", "after3", "after6"),
        T_("Spending, performance of other agencies."),
    ),
)


@dataclass(frozen=True, slots=True)
class Monev:
    """The content of a report. `months`: oldest first; `parts`: the areas within the area, in the last month."""

    area: Area
    first: date
    last: date
    months: Sequence[tuple[date, Numbers]]
    parts: Sequence[tuple[Area, Numbers]]
    state: State
    sees_small: bool
    made_at: datetime
    zone: ZoneInfo

    @property
    def newest(self) -> Numbers:
        return self.months[-1][1]


def gather(
    session: Session,
    hub: AppContext,
    reader: FigureReader,
    area: Area,
    first: date,
    last: date,
    *,
    now: datetime,
) -> Monev:
    """Read the content of a report.

    Parameters
    ----------
    first, last : first days of the first and the last month; at most MOST_MONTHS months
    """
    count = (last.year - first.year) * 12 + last.month - first.month + 1
    below = reports.BELOW.get(area.kind)
    parts = reports.parts(session, hub, reader, area, below) if below else []
    return Monev(
        area,
        first,
        last,
        reports.trend(session, hub, reader, area, last, count),
        reports.comparison(session, hub, reader, parts, last),
        reports.state(session, hub),
        reader.sees_small,
        now,
        ZoneInfo(hub.settings.time_zone),
    )


class _Formatter:
    """Texts and numbers in one language."""

    def __init__(self, language: str) -> None:
        self.language = language

    def say(self, named: Text | MeasureShare) -> str:
        text = named.text if isinstance(named, MeasureShare) else named
        return text.in_(self.language)

    def month(self, month: date) -> str:
        return str(format_date(month, "MMM y", locale=self.language))

    def number(self, value: int | None) -> str:
        return HIDDEN if value is None else str(format_decimal(value, locale=self.language))

    def share(self, numbers: Numbers, share: MeasureShare) -> str:
        over, value = numbers.over(share), numbers.share(share)
        if over == 0:
            return "–"
        if value is None:
            return HIDDEN
        return f"{format_decimal(value * 100, '0.0', locale=self.language)} %"

    def full_share(self, numbers: Numbers, share: MeasureShare) -> str:
        """Write a share with its numerator and denominator."""
        if numbers.over(share) == 0:
            return "–"
        made_of = f"{self.number(numbers[share.part])}/{self.number(numbers.over(share))}"
        return f"{self.share(numbers, share)} ({made_of})"


# -- PDF ------------------------------------------------------------------------------------------


def pdf(found: Monev, language: str) -> bytes:
    """Typeset a report.

    Parameters
    ----------
    language : "id" or "en"
    """
    content: bytes = typst.compile(
        TEMPLATE.read_bytes(),
        sys_inputs={"report": orjson.dumps(_data(found, _Formatter(language))).decode()},
        timestamp=int(found.made_at.timestamp()),
    )
    return content


def _data(found: Monev, words: _Formatter) -> dict[str, Any]:
    """Give the data of the template: texts and rows of text, and the values of the chart."""
    say, newest = words.say, found.newest
    made = format_datetime(found.made_at, "d MMMM y HH.mm", tzinfo=found.zone, locale=words.language)
    notes = [say(NO_SURVEY), say(MOVES_ALONG), say(SCREENING_NOTE)]
    if not found.sees_small:
        notes.append(say(WORDS["hidden"]))
    if found.state.waiting:
        notes.append(f"{say(WORDS['waiting'])}: {found.state.waiting}")
    return {
        "language": words.language,
        "words": {name: say(named) for name, named in WORDS.items()},
        "area": f"{say(KIND_WORDS[found.area.kind])} {found.area.name}",
        "period": f"{words.month(found.first)} – {words.month(found.last)}",
        "made": made,
        "notes": notes,
        "summary": [
            *([say(NUMBERS[name]), words.number(newest[name])] for name in SKDN),
            *([say(SHARES[code]), words.full_share(newest, SHARES[code])] for code in RATIOS),
        ],
        "month_heads": [*SKDN[:3], *_codes(found), "D/S", "N/D"],
        "months": [
            [
                words.month(month),
                *(words.number(numbers[name]) for name in (*SKDN[:3], *_codes(found))),
                *(words.share(numbers, SHARES[code]) for code in ("D/S", "N/D")),
            ]
            for month, numbers in found.months
        ],
        "chart": [
            [words.month(month), numbers.share(SHARES["D/S"]), numbers.share(SHARES["indicated.stunted"])]
            for month, numbers in found.months
        ],
        "chart_names": [say(SHARES["D/S"]), say(SHARES["indicated.stunted"])],
        "growth_heads": [say(kind) for kind in KINDS.values()],
        "growth": [
            [say(FOUND[name]), *(words.full_share(newest, SHARES[f"{kind}.{name}"]) for kind in KINDS)]
            for _, names in INDICES.values()
            for name in names
        ],
        "part_heads": ["S", "D", *(say(SHARES[code]) for code in COMPARED)],
        "parts": [
            [
                area.name,
                words.number(numbers["S"]),
                words.number(numbers["D"]),
                *(words.share(numbers, SHARES[code]) for code in COMPARED),
            ]
            for area, numbers in found.parts
        ],
        "funnel": [[say(NUMBERS[name]), words.number(newest[name])] for name in FUNNEL],
        "sections": [
            [say(name), [[say(SHARES[code]), words.full_share(newest, SHARES[code])] for code in codes]]
            for name, codes in SECTIONS.values()
        ],
        "actions": [
            [say(action.name), _filled(action, newest, words), say(action.lacking)] for action in ACTIONS
        ],
    }


def _codes(found: Monev) -> tuple[str, ...]:
    """List the weight codes of a month; users who may not see small numbers get O and B as one number."""
    return CODES if found.sees_small else ("N", "T", OB)


def _filled(action: Action, numbers: Numbers, words: _Formatter) -> list[str]:
    lines = [f"{words.say(_name(name))}: {words.number(numbers[name])}" for name in action.numbers]
    return lines + [f"{words.say(SHARES[c])}: {words.full_share(numbers, SHARES[c])}" for c in action.shares]


def _name(number: str) -> Text:
    """Give the name of a number; a denominator without a name is named by what it counts."""
    if number in NUMBERS:
        return NUMBERS[number]
    kind, _, what = number.partition(".")
    measured = FOUND.get(what) or T_("measured ({upper})").format(upper=what.upper())
    return T_("{kind}: {found}").format(kind=KINDS[kind], found=measured)


# -- XLSX -----------------------------------------------------------------------------------------


def xlsx(found: Monev, language: str) -> bytes:
    """Write a report as a workbook: numbers as numbers, hidden ones as ··, shares in per cent."""
    words, target = _Formatter(language), io.BytesIO()
    write_workbook(target, list(_sheets(found, words)))
    return target.getvalue()


def _sheets(found: Monev, words: _Formatter) -> Sequence[WorkbookSheet]:
    say = words.say
    both = (say(WORDS["number"]), say(WORDS["what"]), say(WORDS["share"]))
    about: list[list[Value]] = [
        [say(KIND_WORDS[found.area.kind]), found.area.name],
        [say(WORDS["period"]), f"{found.first.isoformat()[:7]} – {found.last.isoformat()[:7]}"],
        [say(WORDS["made"]), found.made_at.astimezone(found.zone).strftime("%Y-%m-%d %H:%M")],
        [say(WORDS["waiting"]), found.state.waiting],
        ["", say(NO_SURVEY)],
        ["", say(MOVES_ALONG)],
        ["", say(SCREENING_NOTE)],
        ["", "" if found.sees_small else say(WORDS["hidden"])],
    ]
    growth: list[list[Value]] = []
    for kind, kind_name in KINDS.items():
        for index, names in INDICES.values():
            for name in names:
                growth.append(
                    [
                        say(kind_name),
                        say(index),
                        say(FOUND[name]),
                        *_parts_of(found.newest, SHARES[f"{kind}.{name}"]),
                    ]
                )
    shares: list[list[Value]] = [
        [say(section), say(SHARES[code]), *_parts_of(found.newest, SHARES[code])]
        for section, codes in SECTIONS.values()
        for code in codes
    ]
    funnel: list[list[Value]] = [
        [say(NUMBERS[name]), _cell(found.newest[name])]
        for name in (*FUNNEL, "aid.needing", "aid.reaching", "aid", "pmt")
    ]
    actions: list[list[Value]] = [
        [say(action.name), "\n".join(_filled(action, found.newest, words)), say(action.lacking)]
        for action in ACTIONS
    ]
    heads = [NUMBERS[name] for name in (*SKDN[:3], *_codes(found), "two_t")]
    months, areas = ((say(WORDS[name]), *map(say, heads), *RATIOS) for name in ("month", "area"))
    action = tuple(say(WORDS[name]) for name in ("action", "filled", "lacking"))
    of_growth = (say(WORDS["by"]), say(WORDS["index"]), say(WORDS["finding"]), *both)
    of_shares = (say(WORDS["section"]), say(WORDS["finding"]), *both)
    of_funnel = (say(WORDS["funnel"]), say(WORDS["number"]))
    return [
        WorkbookSheet(say(WORDS["report"]), (say(WORDS["title"]), ""), about, (48, 90), to_read=True),
        WorkbookSheet("SKDN", months, _months(found), (12, 14), to_read=True),
        WorkbookSheet(say(WORDS["area"]), areas, _areas(found), (28, 14), to_read=True),
        WorkbookSheet(say(WORDS["growth"])[:31], of_growth, growth, (16, 16, 48, 10, 16, 10), to_read=True),
        WorkbookSheet(say(WORDS["shares"]), of_shares, shares, (30, 56, 10, 16, 10), to_read=True),
        WorkbookSheet(say(WORDS["helped"]), of_funnel, funnel, (48, 12), to_read=True),
        WorkbookSheet(say(WORDS["actions"]), action, actions, (40, 70, 60), to_read=True),
    ]


def _cell(value: int | None) -> Value:
    return HIDDEN if value is None else value


def _parts_of(numbers: Numbers, share: MeasureShare) -> list[Value]:
    """Give numerator, denominator and percentage of a share."""
    value = numbers.share(share)
    return [
        _cell(numbers[share.part]),
        _cell(numbers.over(share)),
        None if value is None else round(value * 100, 1),
    ]


def _months(found: Monev) -> list[list[Value]]:
    return [[month.isoformat()[:7], *_line(found, numbers)] for month, numbers in found.months]


def _areas(found: Monev) -> list[list[Value]]:
    return [
        [area.name, *_line(found, numbers)] for area, numbers in [*found.parts, (found.area, found.newest)]
    ]


def _line(found: Monev, numbers: Numbers) -> list[Value]:
    counted = [_cell(numbers[name]) for name in (*SKDN[:3], *_codes(found), "two_t")]
    shares = [numbers.share(SHARES[code]) for code in RATIOS]
    return [*counted, *(None if share is None else round(share * 100, 1) for share in shares)]


# -- for the command line -------------------------------------------------------------------------

SHOWN: Final = ("S", "K", "D", "N", "T", "O", "B")


def text_of(
    hub: AppContext, reader: FigureReader, area: Area, last: date, *, months: int, parts: bool, form: str
) -> str:
    """Write the months of an area, or its parts in the last month, as table, csv or json."""
    with hub.database.reading() as session:
        if parts:
            below = reports.BELOW.get(area.kind)
            here = reports.parts(session, hub, reader, area, below) if below else []
            several = [(one.name, n) for one, n in reports.comparison(session, hub, reader, here, last)]
        else:
            found = reports.trend(session, hub, reader, area, last, months)
            several = [(month.isoformat()[:7], numbers) for month, numbers in found]
    if form == "csv":
        into = io.BytesIO()
        write_csv(into, ("area" if parts else "month", *reading.HEADINGS), reading.rows_of(several))
        return into.getvalue().decode("utf-8-sig")
    if form == "json":
        rows = [
            {"of": name, **{number: numbers[number] for number in reading.COLUMNS}}
            for name, numbers in several
        ]
        return orjson.dumps({"area": area.code, "rows": rows}, option=orjson.OPT_INDENT_2).decode()
    words = _Formatter("id")
    shares = ("D/S", "N/D", "indicated.stunted", "confirmed.stunted")
    cells = [
        ["", *SHOWN, *shares],
        *(
            [
                name,
                *(words.number(numbers[number]) for number in SHOWN),
                *(words.share(numbers, SHARES[code]) for code in shares),
            ]
            for name, numbers in several
        ),
    ]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in cells
    )
