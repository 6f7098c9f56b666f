"""`key …`: the master keys."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from server.cli.installation import (
    NEEDS_ATTENTION,
    OPERATOR,
    data_option,
    errors_in_one_line,
    exit_refused,
    main,
    open_hub,
    print_progress,
    settings_of,
    wrong_use,
)
from server.cli.reasons import reason_option


@main.group()
def key() -> None:
    """Master keys: what is under which, a new one while the server works, a key service that keeps them."""


@key.command("list")
@data_option
def key_list(data: Path | None) -> None:
    """List the versions of the master key, the newest last: how many rows are under each, and its name in backups."""
    from server.operations import key_rotation

    hub = open_hub(data)
    names = {version: name for name, version in hub.vault.backup_keys().items()}
    with errors_in_one_line(), hub.database.reading() as session:
        for version, counts in sorted(key_rotation.held(session, hub).items()):
            told = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()) if count)
            click.echo(f"{version}\t{told or '-'}\t{names.get(version, '-')}")


@key.command("rotate")
@data_option
@reason_option(required=True)
def key_rotate(data: Path | None) -> None:
    """Add a master key and bring everything under it; the server goes on. Cut short, start it again: it goes on too."""
    from server.operations import key_rotation

    hub = open_hub(data)
    with errors_in_one_line():
        version, moved = key_rotation.rotate(
            hub, actor=OPERATOR, now=lambda: datetime.now(UTC), progress=print_progress()
        )
    click.echo(
        f"Kunci {version}: {moved.total():,} baris dipindahkan; salin {hub.settings.key_file} ke tempat aman SEKARANG."
        f" / Key {version}: {moved.total():,} rows are under it; copy {hub.settings.key_file} to a safe place NOW.",
        err=True,
    )


@key.command("retire")
@data_option
@reason_option(required=True)
@click.argument("version", type=click.IntRange(1))
@click.option("--yes", is_flag=True, help="Do not ask.")
def key_retire(data: Path | None, version: int, yes: bool) -> None:
    """Take an old VERSION out of the key file, for ever; refused while anything here is under it."""
    from server.errors import Problem
    from server.operations import key_rotation

    hub = open_hub(data)
    asked = (
        f"Cadangan lama tidak akan terbaca lagi dengan berkas kunci ini. Hapus kunci {version}?"
        f" / Older backups cannot be read with this key file any more. Remove key {version}?"
    )
    if not yes and not click.confirm(asked, err=True):
        sys.exit(NEEDS_ATTENTION)
    with errors_in_one_line():
        try:
            key_rotation.retire(hub, version, actor=OPERATOR, now=datetime.now(UTC))
        except Problem as problem:
            exit_refused(problem)


@key.command("wrap")
@data_option
@click.option("--undo", is_flag=True, help="Make it a plain file again.")
def key_wrap(data: Path | None, undo: bool) -> None:
    """Bring the key file under the key command (POSYANDU_KEY_COMMAND); servers at work notice nothing."""
    from server.crypto import key_file

    settings = settings_of(data)
    if not settings.key_command:
        wrong_use("set POSYANDU_KEY_COMMAND to the command that wraps and unwraps (docs/keys.md)")
    with errors_in_one_line(), key_file.changing(settings.key_file):
        before = settings.key_command if key_file.is_wrapped(settings.key_file) else ""
        key_file.rewrite(settings.key_file, before, "" if undo else settings.key_command)


@key.command("vouch")
@data_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def key_vouch(data: Path | None, yes: bool) -> None:
    """End what was written to accounts, tablets, sessions and codes past this program; doctor names it."""
    from server.accounts import forged_rows

    hub = open_hub(data)
    with errors_in_one_line(), hub.database.reading() as session:
        found = [one for one in forged_rows.forged(session, hub.district) if one is not None]
    for one in found:
        click.echo(f"{one.table}\t{one.row}")
    asked = (
        f"{len(found)} baris: cabut tablet, nonaktifkan akun dan hapus sandinya, hapus sesi dan kode?"
        f" / {len(found)} rows: revoke the tablets, disable the accounts and delete their passwords, delete sessions and"
        " codes?"
    )
    if not found or not (yes or click.confirm(asked, err=True)):
        sys.exit(NEEDS_ATTENTION if found else 0)
    with errors_in_one_line(), hub.database.transaction() as session:
        ended = forged_rows.end_all(session, hub, actor=OPERATOR, now=datetime.now(UTC))
    click.echo(f"{len(ended)} baris diakhiri / {len(ended)} rows ended", err=True)
