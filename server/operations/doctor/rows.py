"""Rows that hold what was decided: each is vouched for by a digest in the log."""

from typing import Final

from server.audit import adoption
from server.audit.unbound import unbound_rows
from server.database.bound_rows import BINDINGS
from server.operations.doctor.checks import CheckContext, Findings

NOT_ADOPTED: Final = "not bound yet"


def check_rows(context: CheckContext, findings: Findings) -> None:
    """Compare all bound rows with the log; a quick examination only asks whether all tables are bound."""
    with context.reading() as session:
        left = BINDINGS.keys() - adoption.adopted(session, context.district)
        for name in sorted(left):
            findings.add(f"{name}: {NOT_ADOPTED}")
        if context.quick:
            findings.looked_at = len(BINDINGS)
            return
        looked_at = [0]
        key = context.hub.vault.row_key(context.district)
        for unbound in unbound_rows(session, context.district, key, looked_at):
            findings.add(unbound.words())
        findings.looked_at = looked_at[0]
