"""The key file, and whether its keys open the data."""

from server.children import ledger
from server.config import Settings
from server.crypto.key_file import load_keys
from server.crypto.vault import KeyUnusable
from server.operations.doctor.checks import Check, CheckContext, Findings, chunks_of_children


def check_key_file(settings: Settings) -> tuple[Check, bool]:
    findings, usable = Findings(1), False
    try:
        load_keys(settings.key_file, create=False, command=settings.key_command)
        usable = True
        mode = settings.key_file.stat().st_mode & 0o777
        if mode & 0o077:
            findings.add(f"{settings.key_file}: mode {mode:04o}")
    except (KeyUnusable, OSError) as error:
        findings.add(str(error))
    return findings.check("keys"), usable


def check_sealed(context: CheckContext, findings: Findings) -> None:
    """Unwrap every child's key and decrypt the child's state with it."""
    for chunk in chunks_of_children(context, "keys"):
        with context.reading() as session:
            held = ledger.subjects(session, context.hub.vault, context.district, chunk)
        for subject in held.values():
            if subject.wrapped_key is None:  # erased
                continue
            findings.looked_at += 1
            state = subject.row["state"] if subject.row else None
            try:
                if state is None:
                    _ = subject.key
                else:
                    ledger.read_child(context.district, subject.id, state, subject.key)
            except KeyUnusable as error:
                findings.add(str(error))
