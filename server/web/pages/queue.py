"""The review queue: filters, saved views, search, the same as CSV and JSON. Its routes are on the blueprint of `pages`.

Rules kept here:
- An address holds filters and never a search: names and NIKs are sent by POST.
- A page with names, a search and a file are logged before they are sent.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from flask import Response, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from server import review
from server.children.labels import SCREENING_NOTE
from server.database.ids import UUID_TEXT
from server.errors import Problem
from server.review import (
    Filter,
    Queue,
    QueueRow,
    follow_ups,
    pending_counts,
    saved_views,
    search,
)
from server.web.auth import permitted, signed_in
from server.web.current import acting, hub, local_today, person, scope, utc_now
from server.web.pages.frame import bp
from server.web.paging import PAGE_ROWS, offset_of, page_count
from server.web.proof import proven
from server.web.request_schemas import children as schemas
from server.web.request_schemas.schema import Asked, takes
from server.web.response_schemas import children as answer_schemas
from server.web.response_schemas.schema import answers

CHIP_POSTS: Final = 6
"""With more posts than this the queue shows a list to choose from instead of chips."""

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
@takes(schemas.QUEUE)
def queue(asked: Asked) -> str:
    """Show the children who need attention, most urgent first."""
    chosen, number = _filter(INDONESIAN, asked.query), asked.query["hal"]
    who, mine = person(), scope()
    shown = _load(chosen, PAGE_ROWS, offset_of(number))
    with hub().database.reading() as session:
        kept = saved_views.views(session, hub(), who.account_id)
        others = pending_counts.waiting(session, hub(), mine) if who.may("decide") else None
        charged = follow_ups.people(session, hub(), [row.assigned_to for row in shown.rows])

    def address(**changes: Any) -> str:
        """Return the queue's address with a filter changed; a change of filter goes back to the first page."""
        return url_for("pages.queue", **_named(chosen, INDONESIAN) | changes)

    return render_template(
        "queue.html",
        queue=shown,
        chosen=chosen,
        address=address,
        export=url_for("pages.queue_file", **_named(chosen, INDONESIAN)),
        query=urlencode(_named(chosen, INDONESIAN)),
        number=number,
        pages=page_count(shown.total),
        everybody=sum(shown.by_urgency.values()),
        chips=len(shown.by_post) <= CHIP_POSTS,
        kept=kept,
        others=others,
        charged=charged,
        me=acting(),
        today=local_today(),
        shows_names=mine.shows_names,
    )


@bp.get("/antrean.csv")
@permitted("see_children")
@proven
@takes(schemas.QUEUE_FILE)
def queue_file(asked: Asked) -> Response:
    """Return all rows that the filters show as CSV. Logged as an export."""
    chosen, now, who = _filter(INDONESIAN, asked.query), utc_now(), person()
    today = hub().settings.today(now)
    with hub().database.reading() as session:
        rows = list(review.flagged_rows(session, hub(), scope(), chosen, today=today))
    with hub().database.transaction() as session:
        review.log_queue_exported(session, hub(), who, len(rows), now)
    body = "\ufeff" + "".join(review.flagged_csv(rows))  # byte order mark: it is UTF-8
    response = Response(body, mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="antrean-{today.isoformat()}.csv"'
    return response


@bp.get("/api/v1/flags")
@permitted("see_children")
@answers(answer_schemas.FLAGS)
@takes(schemas.FLAGS)
def flags(asked: Asked) -> Response:
    """Return the queue as JSON, by the filters of ENGLISH, `limit` (1 to 200) and `offset`."""
    shown = _load(_filter(ENGLISH, asked.query), asked.query["limit"], asked.query["offset"])
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
        screening_note=SCREENING_NOTE.wire(),
    )


def _load(chosen: Filter, limit: int, offset: int) -> Queue:
    """Load a page of the queue and log the look."""
    who, now = person(), utc_now()
    today = hub().settings.today(now)
    with hub().database.reading() as session:
        shown = review.queue(
            session, hub(), scope(), chosen, today=today, me=acting(), limit=limit, offset=offset
        )
    with hub().database.transaction() as session:
        review.log_queue_viewed(session, hub(), who, shown, now)
    return shown


def _filter(names: Mapping[str, str], given: Mapping[str, Any]) -> Filter:
    """Return the filters that an address sets under these names."""
    value = {field: given.get(name) for field, name in names.items()}
    return Filter(
        value["post_id"],
        value["village"],
        value["rule"],
        int(value["urgency"]) if value["urgency"] else None,
        value["age"],
        value["status"] or Filter().status,
        acting() if value["assigned_to"] == schemas.MINE else value["assigned_to"],
    )


def _named(chosen: Filter, names: Mapping[str, str]) -> dict[str, Any]:
    """Return the filters that are set, by what they are called in an address."""
    default = Filter()
    given = {name: getattr(chosen, field) for field, name in names.items()}
    return {
        name: value
        for field, name in names.items()
        if (value := given[name]) is not None and value != getattr(default, field)
    }


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
@takes(schemas.SEARCH)
def find_child(asked: Asked) -> str | tuple[str, int]:
    """Show the form, or the children that match a name or NIK, which is never in an address."""
    if request.method == "GET":
        return render_template("search.html", done=None, typed="", problem=None)
    typed, post_id = asked.form.get("cari", ""), asked.form.get("pos") or None
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
@answers(answer_schemas.SEARCH)
@takes(schemas.SEARCH_JSON)
def find_child_json(asked: Asked) -> Response:
    """Find children: `words`, and `post` to look in one post only."""
    done = _searched(asked.json["words"], asked.json.get("post"))
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
    now = utc_now()
    today = hub().settings.today(now)
    with hub().database.reading() as session:
        done = search.search(session, hub(), scope(), words[:200], today=today, post_id=post_id)
    with hub().database.transaction() as session:
        search.log_searched(session, hub(), acting(), done, now)
    return done


# -- kept views -----------------------------------------------------------------------------------


@bp.post("/tampilan")
@permitted("see_children")
@takes(schemas.KEEP_VIEW)
def keep_view(asked: Asked) -> AnyResponse:
    """Save the chosen filters under a name; only valid filters are saved."""
    given = schemas.QUEUE_FILE.load_query(dict(parse_qsl(asked.form.get("saringan", ""))))
    chosen = _filter(INDONESIAN, given)
    mine = replace(chosen, assigned_to=None) if chosen.assigned_to == acting() else chosen
    query = _named(mine, INDONESIAN) | ({"petugas": "saya"} if mine is not chosen else {})
    with hub().database.transaction() as session:
        name = asked.form.get("nama", "")
        saved_views.keep(session, hub(), person().account_id, name, urlencode(query), utc_now())
    return redirect(url_for("pages.queue", **query))


@bp.post("/tampilan/lupakan")
@signed_in
@takes(schemas.FORGET_VIEW)
def forget_view(asked: Asked) -> AnyResponse:
    """Delete a saved view."""
    with hub().database.transaction() as session:
        saved_views.forget(session, hub(), person().account_id, asked.form.get("nama", ""), utc_now())
    return redirect(url_for("pages.queue"))
