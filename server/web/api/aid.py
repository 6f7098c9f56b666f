"""Aid as JSON, beside the pages and under the same rules: the gap, donors, commitments, activities, a child's aid.

Each view calls one function of `server.aid` in one transaction and writes the result.
"""

from typing import Any

import orjson
from flask import Response, jsonify
from sqlalchemy.orm import Session

from server.aid import deliveries, donor_view, need, register, serializers, sheets
from server.aid.area import AidArea, names_of
from server.aid.typed_text import TextReader
from server.aid.words import FIELDS
from server.errors import Problem
from server.sync import server_edits
from server.web.api.staff import bp, wrong_field
from server.web.auth import permitted
from server.web.current import acting, hub, local_today, person, scope, utc_now
from server.web.request_schemas import aid as schemas
from server.web.request_schemas.schema import Asked, takes
from server.web.response_schemas import aid as answer_schemas
from server.web.response_schemas.schema import OneOf, answers


@bp.get("/aid/gap")
@permitted("manage_aid")
@answers(answer_schemas.GAP)
@takes(schemas.GAP_JSON)
def read_gap(asked: Asked) -> Response:
    """Return who in need has no aid, by village, where aid overlaps, and which commitments could close the gap.

    In the address: `area` (a code), `first` and `last` day; `limit` and `offset` of the proposals: a regency has
    thousands. Logged."""
    today, given = local_today(), asked.query
    first, last = schemas.period(given["first"], given["last"], today)
    limit, offset = given["limit"], given["offset"]
    with hub().database.reading() as session:
        area = AidArea.of(session, hub(), person()).part(hub(), given["area"])
        shown = need.standing(session, hub(), area, first, last, today)
        names, part = names_of(session, hub()), slice(offset, offset + limit)
        text = TextReader.of(hub(), area, acting())
        answer = serializers.gap(shown, names, text, sees_children=area.sees_children, part=part)
    with hub().database.transaction() as session:
        need.log_viewed(session, hub(), shown, acting(), utc_now())
    return jsonify(first=first.isoformat(), last=last.isoformat(), limit=limit, offset=offset, **answer)


@bp.post("/aid/assign")
@permitted("manage_aid")
@answers(answer_schemas.ASSIGNED)
@takes(schemas.ASSIGN_JSON)
def assign_aid(asked: Asked) -> Response:
    """Assign a commitment to the children of a proposal: `commitment`, `village`, `need`, `seen`, as in the gap."""
    who, now = acting(), utc_now()
    wanted = [str(asked.json.get(name) or "") for name in ("commitment", "village", "need", "seen")]
    count = server_edits.decide(
        hub(),
        lambda session: need.assign(
            session, hub(), AidArea.of(session, hub(), person()), *wanted, author=who, now=now
        ),
    )
    return jsonify(assigned=count)


@bp.get("/aid/donors")
@permitted("manage_aid")
@answers(answer_schemas.DONORS)
def list_donors() -> Response:
    """List the donors, without their contact data."""
    with hub().database.reading() as session:
        return jsonify(donors=[serializers.donor(donor) for donor in register.donors(session, hub())])


@bp.post("/aid/donors")
@permitted("manage_aid")
@answers(answer_schemas.ID, status=201)
@takes(schemas.ADD_DONOR)
def add_donor(asked: Asked) -> tuple[Response, int]:
    """Add a donor: `name`, `kind`, `authority`, `named`, `person`, `phone`, `address`, `legal_id`."""
    with hub().database.transaction() as session:
        donor_id = register.add_donor(session, hub(), asked.json, author=acting(), now=utc_now())
    return jsonify(id=donor_id), 201


@bp.get("/aid/donors/<uuid:donor_id>")
@permitted("manage_aid")
@answers(answer_schemas.DONOR)
def read_donor(donor_id: Any) -> Response:
    """Return a donor with its contact data, for people who may change it. Logged."""
    with hub().database.reading() as session:
        area = AidArea.of(session, hub(), person())
        donor = register.donor_to_change(session, hub(), area, str(donor_id), acting())
        answer = serializers.donor(donor) | {"contact": register.contact_of(hub(), donor)}
    with hub().database.transaction() as session:
        register.log_donor_viewed(session, hub(), str(donor_id), acting(), utc_now())
    return jsonify(answer)


@bp.post("/aid/donors/<uuid:donor_id>")
@permitted("manage_aid")
@answers(answer_schemas.ID)
@takes(schemas.CHANGE_DONOR_JSON)
def change_donor(asked: Asked, donor_id: Any) -> Response:
    """Change a donor: any of the members that adding one takes."""
    who, now = acting(), utc_now()

    def work(session: Session) -> None:
        area = AidArea.of(session, hub(), person())
        register.change_donor(session, hub(), area, str(donor_id), asked.json, author=who, now=now)

    server_edits.decide(hub(), work)
    return jsonify(id=str(donor_id))


@bp.get("/aid/commitments")
@permitted("manage_aid")
@answers(answer_schemas.COMMITMENTS)
def list_commitments() -> Response:
    """List commitments, with how much of each is assigned and delivered."""
    with hub().database.reading() as session:
        return jsonify(commitments=[serializers.commitment(one) for one in register.promises(session, hub())])


@bp.post("/aid/commitments")
@permitted("manage_aid")
@answers(answer_schemas.ID, status=201)
@takes(schemas.ADD_COMMITMENT)
def add_commitment(asked: Asked) -> tuple[Response, int]:
    """Add a commitment: `donor`, `menu`, `funds`, `region`, `places`, `value_rp`, `starts_on`, `months`."""
    with hub().database.transaction() as session:
        area = AidArea.of(session, hub(), person())
        commitment_id = register.add_commitment(
            session, hub(), area, asked.json, author=acting(), now=utc_now()
        )
    return jsonify(id=commitment_id), 201


@bp.post("/aid/commitments/<uuid:commitment_id>")
@permitted("manage_aid")
@answers(answer_schemas.ID)
@takes(schemas.CHANGE_COMMITMENT_JSON)
def change_commitment(asked: Asked, commitment_id: Any) -> Response:
    """Change a commitment: any of the members that adding one takes. What is assigned stays assigned."""
    who, now = acting(), utc_now()

    def work(session: Session) -> None:
        area = AidArea.of(session, hub(), person())
        register.change_commitment(session, hub(), area, str(commitment_id), asked.json, author=who, now=now)

    server_edits.decide(hub(), work)
    return jsonify(id=str(commitment_id))


@bp.post("/aid/commitments/<uuid:commitment_id>/close")
@permitted("manage_aid")
@answers(answer_schemas.CLOSED)
@takes(schemas.CLOSE_COMMITMENT_JSON)
def close_aid_commitment(asked: Asked, commitment_id: Any) -> Response:
    """Close a commitment, so that nothing more is assigned of it: `reason` (fulfilled, withdrawn, ended, mistaken)."""
    why = asked.json.get("reason")
    with hub().database.transaction() as session:
        area = AidArea.of(session, hub(), person())
        register.close(session, hub(), area, str(commitment_id), why, author=acting(), now=utc_now())
    return jsonify(id=str(commitment_id), closed=True)


@bp.get("/aid/activities")
@permitted("manage_aid")
@answers(answer_schemas.ACTIVITIES)
def list_activities() -> Response:
    """List activities for villages, the newest first; rows of sheets are with their sheet."""
    with hub().database.reading() as session:
        area = AidArea.of(session, hub(), person())
        found, text = register.activities(session, hub(), area), TextReader.of(hub(), area, acting())
        return jsonify(activities=[serializers.activity(row, text) for row in found])


@bp.post("/aid/activities")
@permitted("manage_aid")
@answers(answer_schemas.ID, status=201)
@takes(schemas.ADD_ACTIVITY)
def add_aid_activity(asked: Asked) -> tuple[Response, int]:
    """Add an activity for a village: `donor`, `title`, `menu`, `funds`, `village`, `starts_on`, `ends_on`,
    `value_rp`, `reached`, `evidence`."""
    with hub().database.transaction() as session:
        area = AidArea.of(session, hub(), person())
        activity_id = register.add_activity(session, hub(), area, asked.json, author=acting(), now=utc_now())
    return jsonify(id=activity_id), 201


@bp.post("/aid/activities/<uuid:activity_id>/decide")
@permitted("manage_aid")
@answers(answer_schemas.ACTIVITY)
@takes(schemas.DECIDE_ACTIVITY_JSON)
def decide_aid_activity(asked: Asked, activity_id: Any) -> Response:
    """Change how an activity was classified: `category`, `menu`, `village`; `action` (apart, drop, restore, verify)."""
    wanted = dict(asked.json)
    action = wanted.pop("action", None)
    if action is not None and action not in schemas.ACTIVITY_ACTIONS:
        reasons = [wrong_field("action", "not-choice", action, ", ".join(schemas.ACTIVITY_ACTIONS))]
        raise Problem("change-invalid", reasons=reasons)
    if action is not None:
        wanted[str(action)] = True
    who, now = acting(), utc_now()

    def work(session: Session) -> dict[str, Any]:
        area = AidArea.of(session, hub(), person())
        row = register.decide(session, hub(), area, str(activity_id), wanted, author=who, now=now)
        return serializers.activity(row, TextReader.of(hub(), area, who))

    return jsonify(server_edits.decide(hub(), work))


@bp.post("/aid/activities/<uuid:activity_id>/child")
@permitted("decide")
@answers(answer_schemas.ACTIVITY)
@takes(schemas.GIVE_ACTIVITY)
def give_aid_activity(asked: Asked, activity_id: Any) -> Response:
    """Make a sheet's row that only has a name a delivery of `child`, or mark the delivery that it repeats."""
    child, who, now = str(asked.json.get("child") or ""), acting(), utc_now()

    def work(session: Session) -> dict[str, Any]:
        area = AidArea.of(session, hub(), person())
        row = sheets.give(session, hub(), area, str(activity_id), child, author=who, now=now)
        return serializers.activity(row, TextReader.of(hub(), area, who))

    return jsonify(server_edits.decide(hub(), work))


@bp.get("/aid/sheets")
@permitted("manage_aid")
@answers(answer_schemas.SHEETS)
def list_sheets() -> Response:
    """List companies' sheets, the newest first."""
    with hub().database.reading() as session:
        area = AidArea.of(session, hub(), person())
        found, text = sheets.sheets(session, hub(), area, acting()), TextReader.of(hub(), area, acting())
        return jsonify(sheets=[serializers.sheet(one, text) for one in found])


@bp.post("/aid/sheets")
@permitted("manage_aid")
@answers(answer_schemas.ID, status=201)
@takes(schemas.BRING_SHEET)
def bring_sheet(asked: Asked) -> tuple[Response, int]:
    """Store a company's sheet (the body as it is): `reported_to` (centre, province, regency), `donor`, `name`. `GET` it to
    see how it would be read."""
    with hub().database.transaction() as session:
        sheet_id = sheets.bring(
            *(session, hub(), asked.file),
            name=asked.query["name"],
            reported_to=asked.query["reported_to"],
            donor_id=asked.query["donor"],
            author=acting(),
            now=utc_now(),
        )
    return jsonify(id=sheet_id), 201


@bp.get("/aid/sheets/<uuid:sheet_id>")
@permitted("manage_aid")
@answers(OneOf(answer_schemas.TAKEN_SHEET, answer_schemas.WAITING_SHEET))
def read_sheet(sheet_id: Any) -> Response:
    """Return a sheet: how it would be read, with the field that each header means, or its activities. Never a name.
    Logged."""
    with hub().database.reading() as session:
        area = AidArea.of(session, hub(), person())
        sheet = sheets.find(session, hub(), area, str(sheet_id), acting())
        text = TextReader.of(hub(), area, acting())
        answer = serializers.sheet(sheet, text)
        if sheet.state == "waiting":
            answer |= serializers.look(
                sheets.look(session, hub(), sheet), titles=text.may_read(sheet.brought_by)
            )
        else:
            answer["rows"] = [
                serializers.activity(row, text) for row in sheets.rows_of(session, hub(), area, sheet.id)
            ]
    with hub().database.transaction() as session:
        sheets.log_viewed(session, hub(), str(sheet_id), acting(), utc_now())
    return jsonify(answer)


@bp.post("/aid/sheets/<uuid:sheet_id>/take")
@permitted("manage_aid")
@answers(answer_schemas.TAKEN)
@takes(schemas.TAKE_SHEET_JSON)
def take_sheet(asked: Asked, sheet_id: Any) -> Response:
    """Make activities of a sheet's rows: `columns`, by field the header that means it; if left out, as `GET` showed.
    Repeating it changes nothing."""
    columns, who, now = asked.json.get("columns") or {}, acting(), utc_now()
    if not isinstance(columns, dict) or not all(isinstance(one, str) for one in columns.values()):
        raise Problem("change-invalid", reasons=[wrong_field("columns", "not-object", columns)])
    if wrong := set(columns) - set(FIELDS):
        reasons = [wrong_field(f"columns.{name}", "unknown-field", None) for name in sorted(wrong)]
        raise Problem("change-invalid", reasons=reasons)

    def work(session: Session) -> dict[str, int]:
        area = AidArea.of(session, hub(), person())
        sheet = sheets.find(session, hub(), area, str(sheet_id), who)
        mapping = sheets.mapping(session, hub(), sheet, columns)
        return dict(sheets.take(session, hub(), sheet, mapping, author=who, now=now))

    return jsonify(id=str(sheet_id), counts=server_edits.decide(hub(), work))


@bp.get("/children/<child_id>/aid")
@permitted("decide")
@answers(answer_schemas.CHILD_AID)
def read_child_aid(child_id: str) -> Response:
    """Return a child's aid, each with its `context` to pass back. Logged."""
    with hub().database.reading() as session:
        found = deliveries.of_child(session, hub(), scope(), child_id)
    with hub().database.transaction() as session:
        deliveries.log_viewed(session, hub(), child_id, acting(), utc_now(), scope())
    return jsonify(child=child_id, aid=[serializers.given(one) for one in found])


@bp.post("/children/<child_id>/aid")
@permitted("decide")
@answers(answer_schemas.RECORDED)
@takes(schemas.RECORD_AID)
def record_child_aid(asked: Asked, child_id: str) -> Response:
    """Record an aid, its delivery, or its verification: `delivery` (an id of your own for a new one, so that sending
    it twice records one), `aid`, `delivered`, `evidence`, `verified`, `note`, and the `context` that was read."""
    wanted, mine, who, now = dict(asked.json), scope(), acting(), utc_now()
    if wanted.get("context") is not None:
        wanted["context"] = orjson.dumps(wanted["context"])
    server_edits.decide(
        hub(),
        lambda session: deliveries.record(session, hub(), mine, child_id, wanted, author=who, now=now),
    )
    return jsonify(child=child_id, delivery=wanted["delivery"])


@bp.get("/aid/own")
@permitted("see_own_aid")
@answers(answer_schemas.OWN)
def read_own_aid() -> Response:
    """Return what a donor funds and its results, in groups of five or more children; null for smaller groups."""
    with hub().database.reading() as session:
        mine = donor_view.own(session, hub(), person(), local_today())
        return jsonify(
            serializers.own(mine, TextReader(hub(), acting(), names=False))
            if mine
            else {"donor": None, "commitments": [], "growth": [], "activities": []}
        )
