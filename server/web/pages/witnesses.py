"""The page of outside eyes: the newest checkpoint for a supervisor's phone, who vouches for the log, and its restores."""

from typing import Any

import segno
from flask import render_template

from server.audit import checkpoints, cosigning, incarnations, witnesses
from server.web.auth import permitted
from server.web.current import hub, local_today, utc_now
from server.web.pages.audit import bp, months_of


@bp.get("/audit/saksi")
@permitted("audit")
def outside_eyes() -> str:
    """Show the newest checkpoint as text and QR code, the witnesses, the logs that are witnessed here, and all restores."""
    district = hub().district
    with hub().database.reading() as session:
        newest = checkpoints.newest(session, district)
        note = witnesses.note_of(hub(), newest.statement, newest.signatures) if newest else None
        vouched = witnesses.vouches(session, district, utc_now())
        watched = cosigning.watched(session, district)
        restores = incarnations.incarnations(session, district, hub().vault.checkpoint_keys())
    return render_template(
        "audit_witnesses.html",
        district=district,
        newest=newest,
        note=note.whole() if note else "",
        **_drawn(note.whole() if note else ""),
        vouched=vouched,
        alarming=witnesses.ALARMING,
        watched=watched,
        restores=restores,
        **months_of(local_today()),
    )


def _drawn(text: str) -> dict[str, Any]:
    """Return a QR code as the path of its dark squares, and its size with the quiet zone."""
    rows = list(segno.make(text or "-", error="l", micro=False).matrix_iter(border=4))
    path = "".join(f"M{x} {y}h1v1h-1z" for y, row in enumerate(rows) for x, dark in enumerate(row) if dark)
    return {"qr": path, "qr_size": len(rows)}
