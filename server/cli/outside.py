"""What `audit verify` says of what is known outside of the log: a kept checkpoint, witnesses."""

from pathlib import Path
from typing import Any

import click

from server.cli.installation import wrong_use


def own_checkpoint(place: Path | None, *, needs_file: bool) -> Any:
    """Read the checkpoint that the operator kept; exit with code 2 if a note is given where our own file is needed."""
    from server.audit.signed_note import Note
    from server.operations.outside import read_checkpoint

    own = read_checkpoint(place) if place else None
    if needs_file and isinstance(own, Note):
        wrong_use("an export or a proof is held against a checkpoint's file, not against a signed note")
    return own


def as_file(own: Any) -> Any:
    """Return a checkpoint that is our own file; None for a note."""
    from server.audit.checkpoints import KeptCheckpoint

    return own if isinstance(own, KeptCheckpoint) else None


def hold(session: Any, hub: Any, own: Any, trusted: tuple[str, ...], *, ask: bool) -> Any:
    """Hold the log against it; exit with code 2 if a key or the checkpoint cannot be used."""
    from server.audit.checkpoints import NotACheckpoint
    from server.audit.signed_note import Key, NoteInvalid
    from server.operations import outside

    try:
        keys = [Key.read(text) for text in trusted]
        return outside.hold(session, hub, own, trusted=keys, ask=ask)
    except (NotACheckpoint, NoteInvalid) as error:
        wrong_use(str(error))


def hold_export(export: Path, kept: Any) -> Any:
    """Hold the restores of an export against a kept checkpoint."""
    from server.audit.incarnations import restore_of
    from server.operations.outside import YOURS, Outside, restores_in

    with export.open("rb") as reading:
        restores, broken = restores_in(reading, kept)
    restore = restore_of(kept, restores) if kept else None
    return Outside(broken=broken, given_up=[(YOURS, restore)] if restore else [])


def tell(held: Any) -> None:
    """Print who vouches up to when, what a restore gave up, and who could not be asked."""
    for who, restore in dict(held.given_up).items():
        click.echo(f"{who}: {restore.words()}")
    for seen in held.vouched:
        for name, at in seen.cosigned:
            when = at.isoformat(timespec="seconds")
            click.echo(f"{name} vouches up to {when}, for a tree of {seen.head.size:,} leaves", err=True)
    for name, why in held.silent:
        click.echo(f"{name} could not be asked: {why}", err=True)
