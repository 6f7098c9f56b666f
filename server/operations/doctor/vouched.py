"""Rows that decide who may do what, and whether the keys vouch for each."""

from server.accounts import forged_rows
from server.operations.doctor.checks import CheckContext, Findings


def check_vouched(context: CheckContext, findings: Findings) -> None:
    """Find rows of accounts, tablets, sessions and codes that were written or changed by somebody without the keys."""
    with context.reading() as session:
        for wrong in forged_rows.forged(session, context.district):
            findings.looked_at += 1
            if wrong is not None:
                findings.add(f"{wrong.table} {wrong.row}")
