"""Pages of figures: an area in a month, over the months, and beside its neighbours; the same as CSV and JSON, and the Monev
report of a period.

Rules kept here:
- Figures name nobody, so looks are not logged; files are.
- Outside the health service small numbers are suppressed (by `server.reports`), in every form.
- Every page works without JavaScript, and says how current the figures are.
"""

import io
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from babel.dates import format_date
from babel.numbers import format_decimal
from flask import Blueprint, Response, jsonify, redirect, render_template, url_for
from werkzeug.wrappers import Response as AnyResponse

from server import audit, reports
from server.errors import Problem
from server.interchange import monev
from server.interchange.sheets.writer import write_csv
from server.reports import Area, FigureReader, reading
from server.reports.measures import (
    CHARTED,
    CODES,
    FOUND,
    FUNNEL,
    INDICES,
    KINDS,
    KINDS_ABOUT,
    MOVES_ALONG,
    NO_SURVEY,
    NUMBERS,
    SECTIONS,
    SHARES,
    SKDN,
)
from server.translations import N_
from server.web.auth import permitted
from server.web.charts.figures import BAR_WIDTH, bars, share_bars, trend_chart
from server.web.current import acting, hub, local_today, person, utc_now
from server.web.formatting import label, language
from server.web.request_schemas import figures as schemas
from server.web.request_schemas.figures import FORMS, PATHS, TREND_MONTHS
from server.web.request_schemas.schema import Asked, takes
from server.web.response_schemas.figures import FIGURES
from server.web.response_schemas.schema import answers

bp = Blueprint("figures", __name__)

MOST_COUNTED: Final = 100
"""Posts that are recomputed at once on demand; the scheduler does the rest."""
PATH_OF: Final = {kind: path for path, kind in PATHS.items()}
KIND_WORDS: Final[Mapping[str, str]] = {
    "post": N_("Posyandu"),
    "village": N_("Village"),
    "subdistrict": N_("Subdistrict"),
    "district": N_("Regency"),
    "health_centre": N_("Health centre"),
}
PART_WORDS: Final[Mapping[str, str]] = {
    "post": N_("By posyandu"),
    "village": N_("By village"),
    "subdistrict": N_("By subdistrict"),
    "health_centre": N_("By health centre"),
}


@bp.app_template_filter("month")
def month_words(value: date) -> str:
    """Write a month: Maret 2026."""
    return str(format_date(value, "MMMM y", locale=language()))


@bp.app_template_filter("short_month")
def short_month(value: date) -> str:
    """Write a month along an axis: Mar 26."""
    return str(format_date(value, "MMM yy", locale=language()))


@bp.app_template_filter("thousands")
def thousands(value: int) -> str:
    """Write a whole number with thousands separators: 60.123."""
    return str(format_decimal(value, locale=language()))


def _reader() -> FigureReader:
    return FigureReader.of(person())


def _month(asked: Asked, name: str, default: date) -> date:
    """Return the first day of a month that the address names."""
    given = asked.query[name]
    return date.fromisoformat(f"{given}-01") if given else default


def _fitting(given: str | None, name: str, choices: Any, default: str) -> str:
    """Return a choice that depends on the area.

    Raises
    ------
    Problem
        `request-malformed`, naming the parameter.
    """
    given = given or default
    if given not in choices:
        raise Problem("request-malformed", reason=f"{name}: {', '.join(choices)}")
    return given


def _this_month() -> date:
    return local_today().replace(day=1)


def _found(session: Any, area_kind: str, area: str) -> Area:
    if area_kind not in PATHS:
        raise Problem("record-unknown")
    return reports.area(session, hub(), _reader(), PATHS[area_kind], area)


@bp.get("/angka")
@permitted("see_figures")
def own() -> AnyResponse:
    """Redirect to the figures of the person's own area."""
    with hub().database.reading() as session:
        mine = reports.own_area(session, hub(), _reader())
    return redirect(url_for("figures.area", area_kind=PATH_OF[mine.kind], area=mine.code))


@bp.get("/angka/<area_kind>/<area>")
@permitted("see_figures")
@takes(schemas.AREA)
def area(asked: Asked, area_kind: str, area: str) -> str:
    """Show an area's month (`bulan`), a share over the months (`ukuran`) and its parts side by side (`menurut`)."""
    at, code = _month(asked, "bulan", _this_month()), asked.query["ukuran"]
    reader = _reader()
    with hub().database.reading() as session:
        place = _found(session, area_kind, area)
        by = _by(asked, reader, place)
        months = reports.trend(session, hub(), reader, place, at, TREND_MONTHS)
        here = reports.parts(session, hub(), reader, place, by) if by else []
        compared = reports.comparison(session, hub(), reader, here, at)
        above = reports.above(session, hub(), reader, place)
        far = reports.state(session, hub())
    numbers, share = months[-1][1], SHARES[code]
    ranked = sorted(compared, key=lambda one: _rank(one[1].share(share), share.good))
    return render_template(
        "figures.html",
        area=place,
        above=above,
        at=at,
        now_month=_this_month(),
        earlier=reading.back(at, 1),
        later=reading.back(at, -1) if at < _this_month() else None,
        numbers=numbers,
        months=months,
        share=share,
        trend=trend_chart([(month, one.share(share)) for month, one in months]),
        ranked=ranked,
        ranked_bars=dict(
            zip((one.id for one, _ in ranked), share_bars([n.share(share) for _, n in ranked]), strict=True)
        ),
        cascade=list(zip(SKDN, bars([numbers[name] for name in SKDN]), strict=True)),
        funnel=list(zip(FUNNEL, bars([numbers[name] for name in FUNNEL]), strict=True)),
        by=by,
        choices=_choices(reader, place),
        far=far,
        sees_small=reader.sees_small,
        figure_words=_words(),
        paths=PATH_OF,
    )


def _rank(share: float | None, good: int) -> tuple[bool, float]:
    """Sort key: the worst share first, unknown shares last."""
    return share is None, (share or 0.0) * (1 if good > 0 else -1)


def _choices(reader: FigureReader, place: Area) -> list[str]:
    """Return the kinds of areas by which an area may be compared."""
    below = reports.BELOW.get(place.kind)
    if below is None:
        return []
    return [below, "health_centre"] if place.kind == "district" and reader.sees_small else [below]


def _by(asked: Asked, reader: FigureReader, place: Area) -> str | None:
    choices = _choices(reader, place)
    if not choices:
        return None
    return PATHS[
        _fitting(asked.query["menurut"], "menurut", [PATH_OF[kind] for kind in choices], PATH_OF[choices[0]])
    ]


def _words() -> dict[str, Any]:
    return {
        "kind": KIND_WORDS,
        "part": PART_WORDS,
        "number": NUMBERS,
        "share": SHARES,
        "charted": CHARTED,
        "codes": CODES,
        "index": INDICES,
        "found": FOUND,
        "measured": KINDS,
        "measured_about": KINDS_ABOUT,
        "section": SECTIONS,
        "no_survey": NO_SURVEY,
        "moves_along": MOVES_ALONG,
        "bar_width": BAR_WIDTH,
    }


@bp.get("/angka/<area_kind>/<area>/csv")
@permitted("see_figures")
@takes(schemas.AREA_FILE)
def as_csv(asked: Asked, area_kind: str, area: str) -> Response:
    """Return a month of an area's parts (`isi=wilayah`), or the area's months (`isi=bulan`), as CSV."""
    at, what = _month(asked, "bulan", _this_month()), asked.query["isi"]
    reader = _reader()
    with hub().database.reading() as session:
        place = _found(session, area_kind, area)
        by = _by(asked, reader, place)
        if what == "bulan":
            months = reports.trend(session, hub(), reader, place, at, asked.query["jumlah"])
            several = [(month.isoformat()[:7], numbers) for month, numbers in months]
        else:
            here = reports.parts(session, hub(), reader, place, by) if by else []
            several = [(one.name, n) for one, n in reports.comparison(session, hub(), reader, here, at)]
            several.append((place.name, reports.month(session, hub(), reader, place, at)))
    _log(place, f"csv/{what}", at, at)
    into = io.BytesIO()
    write_csv(into, ("bulan" if what == "bulan" else "wilayah", *reading.HEADINGS), reading.rows_of(several))
    return _file(into.getvalue(), "text/csv; charset=utf-8", place, at, "csv")


@bp.get("/angka/<area_kind>/<area>/monev")
@permitted("see_figures")
@takes(schemas.REPORT)
def report(asked: Asked, area_kind: str, area: str) -> Response:
    """Return the Monev report of a period (`dari`, `sampai`) as `bentuk` pdf or xlsx."""
    last = _month(asked, "sampai", _this_month())
    first, form = _month(asked, "dari", reading.back(last, 2)), asked.query["bentuk"]
    if not 0 <= (last.year - first.year) * 12 + last.month - first.month < monev.MOST_MONTHS:
        raise Problem("request-malformed", reason=f"dari … sampai: 1 – {monev.MOST_MONTHS}")
    with hub().database.reading() as session:
        place = _found(session, area_kind, area)
        found = monev.gather(session, hub(), _reader(), place, first, last, now=utc_now())
    content = monev.pdf(found, language()) if form == "pdf" else monev.xlsx(found, language())
    _log(place, f"monev/{form}", first, last)
    return _file(content, FORMS[form], place, last, form)


def _log(place: Area, what: str, first: date, last: date) -> None:
    """Log that figures were exported as a file."""
    details = {
        "what": what,
        "area": place.code,
        "kind": place.kind,
        "months": [first.isoformat()[:7], last.isoformat()[:7]],
    }
    with hub().database.transaction() as session:
        actor = acting()
        audit.append(
            session,
            hub().district,
            audit.OFFICE,
            "figures.exported",
            actor=actor,
            now=utc_now(),
            details=details,
        )


def _file(content: bytes, kind: str, place: Area, at: date, ending: str) -> Response:
    name = f"angka-{PATH_OF[place.kind]}-{place.code}-{at.isoformat()[:7]}.{ending}"
    answer = Response(content, content_type=kind)
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@bp.post("/angka/hitung")
@permitted("see_figures")
@takes(schemas.COUNT)
def count(asked: Asked) -> AnyResponse:
    """Recompute figures with new data now; then redirect back."""
    reports.refresh(hub(), utc_now(), actor=acting(), most=MOST_COUNTED)
    kind, code = asked.form.get("area_kind", ""), asked.form.get("area", "")
    if kind in PATHS and code:
        return redirect(url_for("figures.area", area_kind=kind, area=code))
    return redirect(url_for("figures.own"))


@bp.get("/api/v1/figures")
@permitted("see_figures")
@answers(FIGURES)
@takes(schemas.FIGURES_JSON)
def as_json(asked: Asked) -> Response:
    """Return an area's months as JSON: `kind`, `area` (left out: the own), `month` (the last), `months` (how many)."""
    at, months = _month(asked, "month", _this_month()), asked.query["months"]
    reader = _reader()
    with hub().database.reading() as session:
        kind, code = asked.query["kind"], asked.query["area"]
        if kind is None and code is None:
            place = reports.own_area(session, hub(), reader)
        else:
            place = reports.area(
                session, hub(), reader, _fitting(kind, "kind", reports.KINDS, ""), code or ""
            )
        found = reports.trend(session, hub(), reader, place, at, months)
        far = reports.state(session, hub())
    return jsonify(
        area={"kind": place.kind, "code": place.code, "name": place.name},
        counted_at=far.counted_at.isoformat(timespec="seconds") if far.counted_at else None,
        posts_waiting=far.waiting,
        note=label(NO_SURVEY),
        months=[
            {
                "month": month.isoformat()[:7],
                "numbers": {name: numbers[name] for name in reading.COLUMNS},
                "shares": {
                    code: None if (share := numbers.share(each)) is None else round(share, 4)
                    for code, each in SHARES.items()
                },
            }
            for month, numbers in found
        ],
    )
