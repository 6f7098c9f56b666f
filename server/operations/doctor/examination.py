"""Runs all checks, each after those that it rests on."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Final

from sqlalchemy.exc import DBAPIError

from server import isolation
from server.backup.refusals import Progress
from server.backup.restoration import database_of
from server.config import Settings
from server.context import AppContext
from server.database.engine import Database
from server.operations.doctor.assessments import (
    check_assessments,
    check_figures,
    check_reports,
    check_rules,
    check_states,
)
from server.operations.doctor.backups import check_backups, check_proof
from server.operations.doctor.checks import Check, CheckContext, Findings
from server.operations.doctor.database import check_database, check_district, check_schema
from server.operations.doctor.disk import check_disk
from server.operations.doctor.keys import check_key_file, check_sealed
from server.operations.doctor.ledger import check_batches, check_ledger
from server.operations.doctor.log import check_checkpoint, check_log
from server.operations.doctor.rows import check_rows
from server.operations.doctor.service import (
    check_clock,
    check_round,
    check_scheduler,
    check_second_factor,
)
from server.operations.doctor.set_aside import check_set_aside
from server.operations.doctor.tablets import check_streams, check_tablets
from server.operations.doctor.vouched import check_vouched
from server.operations.doctor.withdrawals import check_withdrawals
from server.operations.doctor.witnesses import check_witnesses

_BASIC_CHECKS: Final[Mapping[str, Callable[[Settings, Database, bool, Findings], None]]] = {
    "database": check_database,
    "schema": check_schema,
    "district": check_district,
}
_DATA_CHECKS: Final[Mapping[str, Callable[[CheckContext, Findings], None]]] = {
    "clock": check_clock,
    "second-factor": check_second_factor,
    "backups": check_backups,
    "proof": check_proof,
    "withdrawals": check_withdrawals,
    "sealed": check_sealed,
    "vouched": check_vouched,
    "log": check_log,
    "checkpoint": check_checkpoint,
    "rows": check_rows,
    "witnesses": check_witnesses,
    "ledger": check_ledger,
    "batches": check_batches,
    "states": check_states,
    "streams": check_streams,
    "rules": check_rules,
    "assessments": check_assessments,
    "figures": check_figures,
    "reports": check_reports,
    "round": check_round,
    "scheduler": check_scheduler,
    "set-aside": check_set_aside,
    "tablets": check_tablets,
}
_NEED_KEYS: Final = frozenset({"vouched", "rows", "ledger", "states", "assessments", "figures", "reports"})
"""Checks that would only repeat for every row that the keys do not fit."""


def examine(settings: Settings, *, now: datetime, quick: bool, progress: Progress) -> Iterator[Check]:
    """Run all checks, and yield each as soon as it is done.

    Parameters
    ----------
    now : aware; ages are measured from it
    quick : count the ledger instead of hashing it, verify the log from its newest checkpoint on, and decrypt and fold
        SAMPLE children instead of all
    progress : called often with what is being checked, how much of it is done, and of how much
    """
    yield check_disk(settings)
    keys, keys_usable = check_key_file(settings)
    yield keys
    with database_of(settings.database_url) as database:
        for name, check_basics in _BASIC_CHECKS.items():
            result = _run(name, partial(check_basics, settings, database, quick))
            yield result
            if not result.is_ok:
                return
    if not keys_usable:
        return
    hub = AppContext.open(settings)
    try:
        context, sealed = CheckContext(hub, now, quick, progress), None
        for name, check_data in _DATA_CHECKS.items():
            if name in _NEED_KEYS and sealed is not None and not sealed.is_ok:
                continue
            result = _run(name, partial(check_data, context))
            sealed = result if name == "sealed" else sealed
            yield result
    finally:
        hub.database.dispose()


def _run(name: str, check: Callable[[Findings], None]) -> Check:
    """Run a check. An error is a finding too: rows that somebody altered may be unreadable in any way."""
    findings = Findings()
    try:
        _, error = isolation.attempt(lambda: check(findings), f"check {name}", passing=(DBAPIError,))
    except DBAPIError as unreachable:
        error = str(unreachable.orig).splitlines()[0]
    if error:
        findings.add(error)
    return findings.check(name)
