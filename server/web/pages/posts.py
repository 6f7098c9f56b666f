"""Pages of posts and tablets: each post's children and quality of measuring, the list for a posyandu day; tablets, their
enrolment, and what to do when one is lost. The same as JSON.

Rules kept here:
- An enrolment code is only in the answer to a POST, shown once. It is in no address: behind the "#" of the link no server
  sees it.
- Pages with names are logged before they are sent; figures of a post name nobody and are not logged.
- Every page works without JavaScript; the list and the code can be printed.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final

import segno
from babel.dates import format_timedelta
from flask import Blueprint, Response, g, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from schemas.batch import MOST_POSTS
from server import accounts
from server.errors import Problem
from server.growth.measuring_quality import ALARM_SD, FEWEST, OBSERVED_SD, USUAL_SD
from server.review import lost_tablet, post_quality, posts, tablets
from server.review.lost_tablet import LEFT, PRESENT, WRITTEN, Exposure
from server.review.post_quality import Advice
from server.review.tablets import ENROL_PATH, Code, Enrolment, Trouble
from server.supervision.completeness import completeness, month_of
from server.translations import N_
from server.web.auth import permitted
from server.web.charts.last_digits import digit_chart
from server.web.current import acting, hub, local_today, person, scope, utc_now
from server.web.formatting import decimal, label, language, translate
from server.web.paging import PAGE_ROWS, offset_of, page_count
from server.web.proof import proven
from server.web.public_address import public_address
from server.web.request_schemas import posts as schemas
from server.web.request_schemas.schema import EMPTY_FORM, Asked, takes
from server.web.response_schemas import decisions, figures
from server.web.response_schemas.schema import answers

bp = Blueprint("posts", __name__)

DAYS_SHOWN: Final = 4
"""Posyandu days of this month and the last for which the post's page says whether all data arrived."""
CLOCK_RIGHT_MS: Final = 120_000
"""A clock that is off by less is called right: no age changes by it."""
LONGEST_SEARCH: Final = 60
QUEUE: Final = "/antrean"
CHILD: Final = "/anak/"
"""Addresses of other pages; they are stable (docs/pages.md)."""

Answer = AnyResponse | str | tuple[str, int]

MEASURES: Final[Mapping[str, str]] = {
    "weight": N_("Weight (kg)"),
    "length": N_("Length or height (cm)"),
    "muac": N_("Arm circumference (cm)"),
}
GRADES: Final[Mapping[str, str]] = {
    "excellent": N_("excellent"),
    "good": N_("good"),
    "acceptable": N_("acceptable"),
    "problematic": N_("problematic"),
}
MISSING: Final[Mapping[str, str]] = {
    "weight": N_("Weight missing"),
    "length": N_("Length or height missing"),
    "position": N_("Position missing"),
    "birth_date": N_("Birth date unknown"),
    "sex": N_("Sex unknown"),
}
STATES: Final[Mapping[str, str]] = {
    "active": N_("active"),
    "closed": N_("closed, enrolled again"),
    "revoked": N_("revoked"),
}
WHYS: Final[Mapping[str, str]] = {
    PRESENT: N_("At this posyandu now"),
    LEFT: N_("Has moved away since"),
    WRITTEN: N_("Of another posyandu, recorded on this tablet"),
}
SOON: Final[Mapping[int, str]] = {
    1: N_("today"),
    2: N_("this week"),
    3: N_("next posyandu"),
    4: N_("to know"),
}
"""Short words for urgencies."""
CAPSULES: Final[Mapping[str, str]] = {"blue": N_("blue"), "red": N_("red")}
SHOWN: Final[Mapping[str, str]] = {
    "perhatian": N_("Needs attention"),
    "aktif": N_("Active"),
    "berhenti": N_("Closed or revoked"),
    "semua": N_("All tablets"),
}
"""Which tablets are listed, as the address says it."""


@bp.app_context_processor
def _words() -> dict[str, Any]:
    return {
        "post_words": {
            "measure": MEASURES,
            "grade": GRADES,
            "missing": MISSING,
            "state": STATES,
            "why": WHYS,
            "capsule": CAPSULES,
            "soon": SOON,
            "shown": SHOWN,
        }
    }


@bp.app_template_filter("remedy")
def remedy(words: Advice | Trouble) -> str:
    """Return what to do about a finding or a tablet's warning, in the reader's language."""
    return label(words.remedy)


@bp.app_template_filter("ago")
def ago(at: datetime) -> str:
    """Say how long ago something was: 3 hari yang lalu."""
    return str(format_timedelta(at - utc_now(), add_direction=True, locale=language()))


@bp.app_template_filter("clock")
def clock(offset_ms: int) -> str:
    """Say how far a tablet's clock is off: 2 jam 5 menit terlalu cepat."""
    if abs(offset_ms) < CLOCK_RIGHT_MS:
        return translate(N_("right"))
    minutes = round(abs(offset_ms) / 60_000)
    days, minutes = divmod(minutes, 1440)
    hours, minutes = divmod(minutes, 60)
    parts = [
        translate(words, count=count)
        for words, count in (
            (N_("%(count)d d"), days),
            (N_("%(count)d h"), hours),
            (N_("%(count)d min"), minutes),
        )
        if count
    ]
    how_far = " ".join(parts[:2])
    if offset_ms > 0:
        return translate(N_("%(time)s too fast"), time=how_far)
    return translate(N_("%(time)s too slow"), time=how_far)


@bp.app_template_filter("percent")
def percent(share: float) -> str:
    """Write a share as a whole per cent; one below 1 % with a decimal."""
    return f"{decimal(share * 100, 1 if 0 < share < 0.00995 else 0)} %"


# -- posts ----------------------------------------------------------------------------------------


@bp.get("/pos")
@permitted("see_children")
@takes(schemas.POSTS)
def all_posts(asked: Asked) -> str:
    """List the posts in scope, each at a glance."""
    number, centre, search = asked.query["hal"], asked.query["puskesmas"], _search(asked.query["cari"])
    shown = _load_posts(centre, search, PAGE_ROWS, offset_of(number))
    return render_template(
        "post_list.html",
        shown=shown,
        number=number,
        pages=page_count(shown.total),
        centre=centre,
        search=search,
        today=local_today(),
        queue_path=QUEUE,
    )


@bp.get("/api/v1/posts")
@permitted("see_children")
@answers(figures.POSTS)
@takes(schemas.POSTS_JSON)
def posts_as_json(asked: Asked) -> Response:
    """Return the same as JSON: `health_centre`, `name`, `limit` (1 to 200), `offset`."""
    limit, offset = asked.query["limit"], asked.query["offset"]
    shown = _load_posts(asked.query["health_centre"], _search(asked.query["name"]), limit, offset)
    return jsonify(
        total=shown.total,
        limit=limit,
        offset=offset,
        month=local_today().strftime("%Y-%m"),
        posts=[row.wire() for row in shown.rows],
    )


def _load_posts(centre: str | None, name: str, limit: int, offset: int) -> posts.Posts:
    with hub().database.reading() as session:
        return posts.posts(
            session,
            hub(),
            scope(),
            local_today(),
            limit=limit,
            offset=offset,
            centre_id=centre,
            name=name,
        )


def _search(typed: str) -> str:
    return typed.strip()[:LONGEST_SEARCH]


@bp.get("/pos/<post_id>")
@permitted("see_children")
@takes(schemas.POST)
def one_post(asked: Asked, post_id: str) -> str:
    """Show a post: this month, whether all data arrived, how well it measures, its tablets."""
    now, today, who = utc_now(), local_today(), person()
    months, pool = _period(asked.query["bulan"], schemas.POOLS.get(asked.query["gabungan"]))
    with hub().database.reading() as session:
        place = posts.post(session, hub(), scope(), post_id, today)
        report = post_quality.quality_of(session, hub(), scope(), post_id, today, months=months, pool=pool)
        days = _days(session, post_id, today) if who.may("see_completeness") else None
        devices = (
            tablets.tablets(session, hub(), scope(), post_id=post_id) if who.may("see_tablets") else None
        )
    return render_template(
        "post.html",
        post=place,
        report=report,
        found=[(code, post_quality.ADVICE[code]) for code in report.quality.findings],
        charts={name: digit_chart(digits.counts) for name, digits in report.quality.digits.items()},
        periods=post_quality.PERIODS,
        fewest=FEWEST,
        usual_sd=USUAL_SD,
        observed_sd=OBSERVED_SD,
        alarm_sd=ALARM_SD,
        days=days,
        devices=devices,
        troubles=tablets.WARNINGS,
        now=now,
        today=today,
        queue_path=QUEUE,
    )


@bp.get("/api/v1/posts/<post_id>/quality")
@permitted("see_children")
@answers(figures.QUALITY)
@takes(schemas.QUALITY)
def quality_as_json(asked: Asked, post_id: str) -> Response:
    """Return the report on a post as JSON: `months` (3, 12, 24), `pool` (post, centre)."""
    months, pool = _period(asked.query["months"], asked.query["pool"])
    with hub().database.reading() as session:
        report = post_quality.quality_of(
            session, hub(), scope(), post_id, local_today(), months=months, pool=pool
        )
    return jsonify(report.wire())


def _period(months: str | None, pool: str | None) -> tuple[int, str]:
    """Return over how many months and which posts a report goes."""
    together = pool or post_quality.POST
    return int(months) if months else post_quality.USUAL_PERIOD[together], together


def _days(session: Any, post_id: str, today: date) -> list[tuple[date, Any]]:
    """Return the newest posyandu days of this month and the last, each with its completeness."""
    first = month_of(month_of(today)[0] - timedelta(days=1))[0]
    report = completeness(session, hub(), scope(), first, today, only=[post_id])
    return sorted(report.days().items(), reverse=True)[:DAYS_SHOWN]


@bp.get("/pos/<post_id>/daftar")
@permitted("see_names")
@takes(schemas.ROSTER)
def list_for_day(asked: Asked, post_id: str) -> str:
    """Show the list to print for a posyandu day: `tanggal`, by default today. Logged."""
    day = _day(asked.query["tanggal"])
    with hub().database.reading() as session:
        shown = posts.roster(session, hub(), scope(), post_id, day)
    with hub().database.transaction() as session:
        posts.log_roster(session, hub(), person(), shown, utc_now())
    return render_template("post_roster.html", shown=shown)


def _day(given: str | None) -> date:
    """Read a day within a year of today from the address."""
    today = local_today()
    if not given:
        return today
    try:
        day = date.fromisoformat(given) if len(given) == 10 else None
    except ValueError:
        day = None
    if day is None or abs((day - today).days) > 366:
        raise Problem("request-malformed", reason=f"tanggal: {today.isoformat()}, ± 1")
    return day


# -- tablets --------------------------------------------------------------------------------------


@bp.get("/tablet")
@permitted("see_tablets")
@takes(schemas.TABLETS)
def all_tablets(asked: Asked) -> str:
    """List the tablets in scope, those that need somebody first."""
    chosen, number, post_id = (asked.query[name] for name in ("tampil", "hal", "pos"))
    with hub().database.reading() as session:
        found = tablets.tablets(session, hub(), scope(), post_id=post_id)
        codes = (
            tablets.open_codes(session, hub(), scope(), utc_now(), post_id=post_id)
            if person().may("manage_tablets")
            else []
        )
    groups = {
        "perhatian": [tablet for tablet in found if troubled(tablet)],
        "aktif": [tablet for tablet in found if tablet.state == "active"],
        "berhenti": [tablet for tablet in found if tablet.state != "active"],
        "semua": found,
    }
    listed = sorted(groups[chosen], key=lambda tablet: (not troubled(tablet), tablet.state != "active"))
    return render_template(
        "tablet_list.html",
        shown=listed[offset_of(number) :][:PAGE_ROWS],
        total=len(listed),
        counts={name: len(group) for name, group in groups.items()},
        chosen=chosen,
        post_id=post_id,
        number=number,
        pages=page_count(len(listed)),
        troubles=tablets.WARNINGS,
        codes=codes,
        cancelled=asked.query["dibatalkan"] == "1",
        tablet_pin=hub().settings.tablet_pin,
        now=utc_now(),
    )


def troubled(tablet: Enrolment) -> bool:
    """Say whether a tablet needs attention: it has a warning, or changes of it are quarantined or missing."""
    return bool(tablet.warnings or tablet.quarantined or (tablet.missing and tablet.state == "active"))


@bp.route("/tablet/daftar", methods=["GET", "POST"])
@permitted("manage_tablets")
@proven
@takes(schemas.ENROL)
def enrol(asked: Asked) -> Answer:
    """Ask for post and name, and for other posts of a tablet of staff; then show the one-time code, once."""
    wanted: dict[str, Any] = {"post": asked.query["pos"], "name": "", "write_only": "", "staff": ""}
    problem = None
    if request.method == "POST":
        wanted = {name: asked.form.get(name, "") for name in wanted}
        chosen = list(asked.form.get("posts", ()))
        wanted |= {"posts": chosen if chosen or wanted["staff"] else None}
        try:
            return render_template("tablet_code.html", **_made(wanted), days=accounts.CODE_DAYS)
        except Problem as refused:
            problem = refused
            g.problem = refused.code
    with hub().database.reading() as session:
        known = tablets.known_posts(session, hub(), scope())
    page = render_template(
        "tablet_enrol.html",
        known=known,
        asked=wanted,
        problem=problem.body() if problem else None,
        most=tablets.LONGEST_NAME,
        most_posts=MOST_POSTS,
    )
    return page, problem.kind.status if problem else 200


@bp.post("/api/v1/tablets/codes")
@permitted("manage_tablets")
@proven
@answers(decisions.CODE, status=201)
@takes(schemas.ENROL_JSON)
def enrol_as_json(asked: Asked) -> Answer:
    """Make an enrolment code: `post`, `name`, `write_only` for a device that only sends, `posts` for a tablet of staff. Only
    this answer has it."""
    made = _made(asked.json)
    code: Code = made["code"]
    answer = jsonify(
        code=code.code,
        link=made["link"],
        post={"id": code.post_id, "name": code.post_name},
        name=code.tablet_name,
        expires_at=code.expires_at.isoformat(timespec="seconds"),
        write_only=code.write_only,
        posts=None if code.posts is None else [{"id": one.id, "name": one.name} for one in code.posts],
    )
    return answer, 201  # type: ignore[return-value]  # Flask takes a response with a status


@bp.post("/tablet/kode/<handle>/batal")
@permitted("manage_tablets")
@takes(schemas.CANCEL_CODE)
def cancel_code(asked: Asked, handle: str) -> Answer:
    """End a code that nobody has used."""
    with hub().database.transaction() as session:
        tablets.cancel_code(session, hub(), scope(), handle, actor=acting(), now=utc_now())
    return redirect(url_for("posts.all_tablets", pos=asked.query["pos"], dibatalkan=1), 303)


def _made(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Make a code, the link that the tablet app opens, and the link as a QR code."""
    with hub().database.transaction() as session:
        code = tablets.make_code(session, hub(), scope(), asked, actor=acting(), now=utc_now())
    link = public_address(f"{ENROL_PATH}#{code.code}")
    qr = segno.make(link if hub().settings.public_url else code.code, error="m", micro=False)
    drawn = qr.svg_inline(omitsize=True, border=4, svgclass="qr", lineclass=None)
    return {"code": code, "link": link, "qr": drawn, "server": public_address("")}


@bp.route("/tablet/<tablet_id>/pos", methods=["GET", "POST"])
@permitted("manage_tablets")
@proven
@takes(EMPTY_FORM, post=schemas.TABLET_POSTS)
def tablet_posts(asked: Asked, tablet_id: str) -> Answer:
    """Show the posts of a tablet of staff, and change them."""
    problem = None
    if request.method == "POST":
        try:
            with hub().database.transaction() as session:
                wanted = asked.form.get("posts", ())
                tablets.change_posts(
                    session, hub(), scope(), tablet_id, wanted, actor=acting(), now=utc_now()
                )
            return redirect(url_for("posts.tablet_posts", tablet_id=tablet_id), 303)
        except Problem as refused:
            if refused.code == "record-unknown":
                raise
            problem = refused
            g.problem = refused.code
    with hub().database.reading() as session:
        tablet = lost_tablet.tablet(session, hub(), scope(), tablet_id)
        known = tablets.known_posts(session, hub(), scope())
    listed = {post_id for _, post_id, _ in known}
    known += [("", post.id, post.name) for post in tablet.posts or () if post.id not in listed]
    page = render_template(
        "tablet_posts.html",
        tablet=tablet,
        known=known,
        problem=problem.body() if problem else None,
        most_posts=MOST_POSTS,
    )
    return page, problem.kind.status if problem else 200


@bp.route("/tablet/<tablet_id>/cabut", methods=["GET", "POST"])
@permitted("revoke_tablets")
@takes(schemas.ASK_REVOKE, post=schemas.REVOKE)
def revoke(asked: Asked, tablet_id: str) -> Answer:
    """Ask whether a tablet is to be revoked, and do it."""
    with hub().database.reading() as session:
        tablet = lost_tablet.tablet(session, hub(), scope(), tablet_id)
    if request.method == "GET":
        return render_template("tablet_revoke.html", tablet=tablet, lost=bool(asked.query["hilang"]))
    with hub().database.transaction() as session:
        tablets.revoke(session, hub(), scope(), tablet_id, actor=acting(), now=utc_now())
    if asked.form.get("lost"):
        return redirect(url_for("posts.lost", tablet_id=tablet_id))
    return redirect(url_for("posts.all_tablets", pos=tablet.post_id))


@bp.get("/tablet/<tablet_id>/hilang")
@permitted("revoke_tablets")
def lost(tablet_id: str) -> str:
    """Show what to do about a lost tablet, and whose data was on it. Logged."""
    return render_template(
        "tablet_lost.html",
        found=_exposed(tablet_id),
        shows_names=scope().shows_names,
        child_path=CHILD,
        now=utc_now(),
    )


@bp.get("/tablet/<tablet_id>/hilang.csv")
@permitted("revoke_tablets")
@proven
def lost_as_csv(tablet_id: str) -> Response:
    """Return whose data was on a tablet as CSV, safe to open in a spreadsheet. Logged."""
    found = _exposed(tablet_id, exported=True)
    answer = Response("\ufeff" + "".join(lost_tablet.exposure_csv(found)), mimetype="text/csv")
    answer.headers["Content-Disposition"] = f'attachment; filename="tablet-{tablet_id[-6:]}.csv"'
    return answer


@bp.get("/api/v1/tablets/<tablet_id>/exposure")
@permitted("revoke_tablets")
@proven
@answers(decisions.EXPOSURE)
def lost_as_json(tablet_id: str) -> Response:
    """Return the same as JSON. Logged."""
    return jsonify(_exposed(tablet_id).wire())


def _exposed(tablet_id: str, *, exported: bool = False) -> Exposure:
    with hub().database.reading() as session:
        found = lost_tablet.exposure(session, hub(), scope(), tablet_id)
    with hub().database.transaction() as session:
        lost_tablet.log_exposure(session, hub(), person(), found, utc_now(), exported=exported)
    return found
