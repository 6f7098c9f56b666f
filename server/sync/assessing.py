"""Last step of the pipeline: scores, flags and the review queue of all children concerned.

A child who cannot be assessed, because a stored value cannot be read, must not stop its tablet for ever: its changes are
taken all the same, what was derived of it before stays, and a notice tells of it until the nightly job can assess it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from server import isolation
from server.children.assessment import PendingRows, derive
from server.context import AppContext
from server.database.writes import Writes
from server.sync.loading import LoadedRecords

_TOGETHER = ""
"""Names the unit of children whose groups of linked records have changed, or are not among those loaded."""


def assess_changed(
    session: Session,
    hub: AppContext,
    writes: Writes,
    loaded: LoadedRecords,
    others: Sequence[str],
    pending: PendingRows,
    now: datetime,
) -> None:
    """Add to what is written what is derived of the loaded children and of others; linked children are assessed together."""
    units: dict[str, list[str]] = {_TOGETHER: [*others]} if others else {}
    for subject in loaded.subjects.values():
        unit = _TOGETHER if subject.id in pending.regrouped else subject.person_id
        units.setdefault(unit, []).append(subject.id)

    def assess(some: list[str]) -> Writes:
        ids = [child_id for unit in some for child_id in units[unit]]
        found = Writes()
        derive(session, hub, ids, now, found, pending if len(some) == len(units) else pending.of(ids))
        return found

    done, failed = isolation.halved(assess, list(units), "upload", passing=(SQLAlchemyError,))
    for found in done:
        writes.extend(found)
    if failed:
        _note(session, hub, writes, units, failed, now)


def _note(
    session: Session,
    hub: AppContext,
    writes: Writes,
    units: Mapping[str, Sequence[str]],
    failed: Mapping[str, str],
    now: datetime,
) -> None:
    errors = {child_id: error for unit, error in failed.items() for child_id in units[unit]}
    model, rows = isolation.new_rows(session, hub, isolation.ABSENCE, errors, now)
    writes.upsert(model, rows)
