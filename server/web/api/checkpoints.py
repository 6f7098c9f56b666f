"""What the page of a supervisor's phone asks: the newest checkpoint, and a proof from the one that the phone remembers."""

from typing import Any

from flask import Response, jsonify

from server.audit import checkpoints, incarnations, witnesses
from server.audit.signed_note import write_hash
from server.errors import Problem
from server.supervision import syncs
from server.web.api.staff import bp
from server.web.auth import permitted
from server.web.current import hub, person, utc_now
from server.web.request_schemas.schema import Asked, takes
from server.web.request_schemas.supervision import GROWTH
from server.web.response_schemas.figures import NEWEST_CHECKPOINT
from server.web.response_schemas.schema import answers
from sync_protocol import canonical


@bp.get("/checkpoint")
@permitted("audit")
@answers(NEWEST_CHECKPOINT)
@takes(GROWTH)
def newest_checkpoint(asked: Asked) -> Response:
    """Return the newest checkpoint as a note, a proof that it grew out of an earlier size, and all restores. Logged."""
    first = asked.query["dari"]
    with hub().database.reading() as session:
        newest = checkpoints.newest(session, hub().district)
        note = witnesses.note_of(hub(), newest.statement, newest.signatures) if newest else None
        if newest is None or note is None:
            raise Problem("record-unknown")
        proof = witnesses.growth(session, hub().district, first, newest.number)
        keys = hub().vault.checkpoint_keys()
        restores = incarnations.incarnations(session, hub().district, keys)
    with hub().database.transaction() as session:
        syncs.log_look(
            session, hub(), person(), "checkpoint.shown", utc_now(), post_id=None, checkpoint=newest.number
        )
    return jsonify(
        number=newest.number,
        note=note.whole(),
        keys=[key.text() for key in witnesses.log_keys(hub().vault, note.text.partition("\n")[0])],
        proof=None if proof is None else [write_hash(step) for step in proof],
        restores=[_restore(one) for one in restores],
    )


def _restore(one: incarnations.Incarnation) -> dict[str, Any]:
    return {"signed": canonical(dict(one.statement)).decode(), "signatures": dict(one.signatures)}
