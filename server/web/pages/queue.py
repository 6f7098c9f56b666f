"""The queue and what belongs to it: filters, kept views, search, the same as a file and as JSON. Its routes stand on the
blueprint of `pages`.

Rules kept here:
- An address holds filters and never what somebody searched for: names and NIKs are posted.
- A page with names, a search and a file are logged before they are sent.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from flask import Response, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from server import review
from server.children.flags import RULES
from server.database.ids import UUID_TEXT
from server.errors import Problem
from server.growth.status import SCREENING_NOTE
from server.review import (
    AGES,
    STATUSES,
    Filter,
    Queue,
    QueueRow,
    Scope,
    follow_ups,
    pending_counts,
    saved_views,
    search,
)
from server.web.api.staff import sent
from server.web.auth import permitted, person, signed_in
from server.web.pages.frame import bp, hub

PAGE_ROWS: Final = 50
MOST_ROWS: Final = 200
CHIP_POSTS: Final = 6
"""With more posts than this the queue offers a list to choose from and no chips."""
_VILLAGE: Final = re.compile(r"[0-9]{2}(\.[0-9]{2}){2}\.[0-9]{4}")
_AUTHOR: Final = re.compile(r"account:[0-9a-f-]{36}")

INDONESIAN: Final[Mapping[str, str]] = {
    "post_id": "pos",
    "village": "desa",
    "rule": "aturan",
    "urgency": "urgensi",
    "age": "umur",
    "status": "status",
    "assigned_to": "petugas",
}
"""What the filters are called in the pages' addresses."""
ENGLISH: Final[Mapping[str, str]] = {
    "post_id": "post",
    "village": "village",
    "rule": "rule",
    "urgency": "urgency",
    "age": "age",
    "status": "status",
    "assigned_to": "assigned_to",
}
"""And in the API's."""


@bp.get("/antrean")
@permitted("see_children")
def queue() -> str:
    """Show the people who need a second look, most urgent first."""
    chosen, number = _filter(INDONESIAN, request.args), parse_int("hal", 1, 100_000, 1)
    who, scope = person(), Scope.of(person())
    shown = _load(chosen, PAGE_ROWS, (number - 1) * PAGE_ROWS)
    with hub().database.reading() as session:
        kept = saved_views.views(session, hub(), who.account_id)
        others = pending_counts.waiting(session, hub(), scope) if who.may("decide") else None
        charged = follow_ups.people(session, hub(), [row.assigned_to for row in shown.rows])

    def address(**changes: Any) -> str:
        """Give the queue's address with a filter changed; a change of filter goes back to the first page."""
        return url_for("pages.queue", **_named(chosen, INDONESIAN) | changes)

    return render_template(
        "queue.html",
        queue=shown,
        chosen=chosen,
        address=address,
        export=url_for("pages.queue_file", **_named(chosen, INDONESIAN)),
        query=urlencode(_named(chosen, INDONESIAN)),
        number=number,
        pages=max(1, -(-shown.total // PAGE_ROWS)),
        everybody=sum(shown.by_urgency.values()),
        chips=len(shown.by_post) <= CHIP_POSTS,
        kept=kept,
        others=others,
        charged=charged,
        me=_me(),
        today=hub().settings.today(datetime.now(UTC)),
        shows_names=scope.shows_names,
    )


@bp.get("/antrean.csv")
@permitted("see_children")
def queue_file() -> Response:
    """Give what the filters show, all pages of it, as a CSV that a spreadsheet opens; logged as an export."""
    chosen, now, who = _filter(INDONESIAN, request.args), datetime.now(UTC), person()
    scope, today = Scope.of(who), hub().settings.today(now)
    with hub().database.reading() as session:
        rows = list(review.flagged_rows(session, hub(), scope, chosen, today=today))
    with hub().database.transaction() as session:
        review.log_queue_exported(session, hub(), who, len(rows), now)
    body = "\ufeff" + "".join(review.flagged_csv(rows))  # the mark by which spreadsheets know UTF-8
    response = Response(body, mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="antrean-{today.isoformat()}.csv"'
    return response


@bp.get("/api/v1/flags")
@permitted("see_children")
def flags() -> Response:
    """Give the queue as JSON, by the filters of ENGLISH, `limit` (1 to 200) and `offset`."""
    chosen = _filter(ENGLISH, request.args)
    shown = _load(chosen, parse_int("limit", 1, MOST_ROWS, PAGE_ROWS), parse_int("offset", 0, 10_000_000, 0))
    return jsonify(
        total=shown.total,
        limit=shown.limit,
        offset=shown.offset,
        by_urgency={str(urgency): count for urgency, count in shown.by_urgency.items()},
        by_rule=shown.by_rule,
        by_status=shown.by_status,
        by_post=[{"id": p.post_id, "name": p.name, "children": p.children} for p in shown.by_post],
        by_village=[{"code": c, "name": n, "children": k} for c, (n, k) in shown.by_village.items()],
        mine=shown.mine,
        children=[_as_json(row) for row in shown.rows],
        screening_note={"id": SCREENING_NOTE.id, "en": SCREENING_NOTE.en},
    )


def _load(chosen: Filter, limit: int, offset: int) -> Queue:
    """Load a page of the queue and log that it was seen."""
    who, now = person(), datetime.now(UTC)
    today = hub().settings.today(now)
    with hub().database.reading() as session:
        shown = review.queue(
            session, hub(), Scope.of(who), chosen, today=today, me=_me(), limit=limit, offset=offset
        )
    with hub().database.transaction() as session:
        review.log_queue_viewed(session, hub(), who, shown, now)
    return shown


def _me() -> str:
    return f"account:{person().account_id}"


def _filter(names: Mapping[str, str], given: Mapping[str, str]) -> Filter:
    """Read the filters under these names.

    Raises
    ------
    Problem
        `request-malformed`, naming the parameter that means nothing.
    """

    def one(field: str, fits: Any) -> str | None:
        text = given.get(names[field]) or None
        if text is not None and not fits(text):
            raise Problem("request-malformed", reason=names[field])
        return text

    urgency = one("urgency", lambda text: text in ("1", "2", "3", "4", "5"))
    assigned_to = one("assigned_to", lambda text: text == "saya" or _AUTHOR.fullmatch(text))
    return Filter(
        one("post_id", UUID_TEXT.fullmatch),
        one("village", _VILLAGE.fullmatch),
        one("rule", RULES.__contains__),
        int(urgency) if urgency else None,
        one("age", AGES.__contains__),
        one("status", STATUSES.__contains__) or Filter().status,
        _me() if assigned_to == "saya" else assigned_to,
    )


def _named(chosen: Filter, names: Mapping[str, str]) -> dict[str, Any]:
    """Give the filters that are set, by what they are called in an address."""
    default = Filter()
    given = {name: getattr(chosen, field) for field, name in names.items()}
    return {
        name: value
        for field, name in names.items()
        if (value := given[name]) is not None and value != getattr(default, field)
    }


def parse_int(name: str, low: int, high: int, default: int) -> int:
    """Read a whole number from the address.

    Raises
    ------
    Problem
        `request-malformed`, naming the parameter.
    """
    text = request.args.get(name, "")
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
        raise Problem("request-malformed", reason=name)
    return int(text)


def _as_json(row: QueueRow) -> dict[str, Any]:
    newest = row.newest
    return {
        "id": row.child_id,
        "name": row.name,
        "sex": row.sex,
        "born_on": row.born_on.isoformat() if row.born_on else None,
        "post": {"id": row.post_id, "name": row.post_name},
        "urgency": row.urgency,
        "status": row.status,
        "assigned_to": row.assigned_to,
        "due_on": row.due_on.isoformat() if row.due_on else None,
        "flags": [
            {
                "rule": raised.rule,
                "urgency": raised.urgency,
                "subject": raised.subject,
                "details": dict(raised.details),
                "raised_at": raised.raised_at.isoformat(timespec="seconds"),
            }
            for raised in row.flags
        ],
        "newest": {
            "measured_on": newest.measured_on.isoformat(),
            "source": newest.source,
            "age_months": newest.age_months,
            "haz": newest.haz,
            "waz": newest.waz,
            "whz": newest.whz,
            "gain": newest.gain_code,
        }
        if newest
        else None,
    }


# -- searching ------------------------------------------------------------------------------------


@bp.route("/cari", methods=["GET", "POST"])
@permitted("see_names")
def find_child() -> str | tuple[str, int]:
    """Show the form, or the children whose name or NIK was typed: what is typed is in no address."""
    if request.method == "GET":
        return render_template("search.html", done=None, typed="", problem=None)
    typed, post_id = request.form.get("cari", ""), request.form.get("pos") or None
    try:
        done = _searched(typed, post_id)
    except Problem as refused:
        if refused.code not in ("search-too-short", "search-too-wide"):
            raise
        page = render_template("search.html", done=None, typed=typed, problem=refused.body())
        return page, refused.kind.status
    return render_template("search.html", done=done, typed=typed, problem=None)


@bp.post("/api/v1/search")
@permitted("see_names")
def find_child_json() -> Response:
    """Find children: `words`, and `post` to look in one post only."""
    asked = sent(("words", "post"))
    words, post_id = asked.get("words"), asked.get("post")
    if not isinstance(words, str) or not isinstance(post_id, str | None):
        raise Problem("request-malformed", reason="words is text, post the id of a post")
    done = _searched(words, post_id)
    children = [
        {
            "id": child.child_id,
            "name": child.name,
            "mother": child.mother,
            "sex": child.sex,
            "born_on": child.born_on.isoformat() if child.born_on else None,
            "post": {"id": child.post_id, "name": child.post_name},
            "urgency": child.urgency,
        }
        for child in done.found
    ]
    return jsonify(by=done.by, more=done.more, children=children)


def _searched(words: str, post_id: str | None) -> search.Search:
    if post_id is not None and not UUID_TEXT.fullmatch(post_id):
        raise Problem("request-malformed", reason="pos")
    who, now = person(), datetime.now(UTC)
    today = hub().settings.today(now)
    with hub().database.reading() as session:
        done = search.search(session, hub(), Scope.of(who), words[:200], today=today, post_id=post_id)
    with hub().database.transaction() as session:
        search.log_searched(session, hub(), _me(), done, now)
    return done


# -- kept views -----------------------------------------------------------------------------------


@bp.post("/tampilan")
@permitted("see_children")
def keep_view() -> AnyResponse:
    """Keep the filters that are chosen under a name; only filters that mean something are kept."""
    given = dict(parse_qsl(request.form.get("saringan", "")))
    chosen = _filter(INDONESIAN, given)
    mine = replace(chosen, assigned_to=None) if chosen.assigned_to == _me() else chosen
    query = _named(mine, INDONESIAN) | ({"petugas": "saya"} if mine is not chosen else {})
    with hub().database.transaction() as session:
        name = request.form.get("nama", "")
        saved_views.keep(session, hub(), person().account_id, name, urlencode(query), datetime.now(UTC))
    return redirect(url_for("pages.queue", **query))


@bp.post("/tampilan/lupakan")
@signed_in
def forget_view() -> AnyResponse:
    """Forget a kept choice."""
    with hub().database.transaction() as session:
        saved_views.forget(
            session, hub(), person().account_id, request.form.get("nama", ""), datetime.now(UTC)
        )
    return redirect(url_for("pages.queue"))
