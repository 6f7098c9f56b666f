"""`backup`, `restore`, `doctor`, `reassess`."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import click

from server.cli.installation import (
    NEEDS_ATTENTION,
    OPERATOR,
    data_option,
    errors_in_one_line,
    main,
    open_hub,
    print_progress,
    settings_of,
    wrong_use,
)
from server.config import Settings


@main.command()
@data_option
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace an older file of that name.")
def backup(data: Path | None, file: Path, force: bool) -> None:
    """Write everything but the keys into one FILE, sealed; the server may go on."""
    from server.backup import BackupRefused, backup as make

    hub = open_hub(data)
    with errors_in_one_line():
        try:
            made = make(hub, file, force=force, now=datetime.now(UTC), progress=print_progress())
        except BackupRefused as error:
            wrong_use(str(error))
    rows, size = made.manifest.total_rows, file.stat().st_size
    click.echo(f"{file}: {rows:,} baris, {size:,} byte / {rows:,} rows, {size:,} bytes", err=True)
    click.echo(
        f"Kunci {made.key} TIDAK ikut: simpan salinan {hub.settings.key_file} di tempat lain yang aman; tanpa kunci itu"
        f" cadangan tidak dapat dibuka. / Key {made.key} is NOT inside: keep a copy of {hub.settings.key_file}"
        " in another safe place; without it nobody opens the backup.",
        err=True,
    )


@main.command()
@data_option
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@click.option("--yes", is_flag=True, help="Do not ask before data that are here are replaced.")
@click.option(
    "--trial", is_flag=True, help="Prove it: restore it aside, look at everything, take it away again."
)
@click.option("--plain", is_flag=True, help="Take a file that is not sealed, of an older release.")
@click.option("--already", is_flag=True, help="The database was put back by other means: only make it known.")
@click.option(
    "--withdrawals",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A list of what was withdrawn, beside those in the data directory and beside the backup.",
)
@click.option(
    "--without-withdrawals",
    is_flag=True,
    help="Go on although nothing tells what was withdrawn since the backup.",
)
def restore(
    data: Path | None,
    file: Path | None,
    yes: bool,
    trial: bool,
    plain: bool,
    already: bool,
    withdrawals: Path | None,
    without_withdrawals: bool,
) -> None:
    """Put a backup FILE back, whole or not at all; the server may go on. What was there is kept in a backup of its own, and
    what was withdrawn since (tablets, accounts, children's data) is withdrawn again.
    """
    from server import backup as backups

    if (file is None) != already or (trial and already):
        wrong_use("give the FILE of a backup, or --already")
    settings, now = settings_of(data), datetime.now(UTC)
    if trial and file is not None:
        _prove(settings, file, plain)

    def agreed(manifest: backups.Manifest) -> bool:
        asked = (
            f"Data sekarang diganti dengan cadangan {manifest.made_at} ({manifest.total_rows:,} baris)."
            f" / The present data are replaced by the backup of {manifest.made_at} ({manifest.total_rows:,} rows)."
        )
        return yes or click.confirm(asked, err=True)

    with errors_in_one_line():
        try:
            if file is None:
                incarnation, again = backups.mark_restored(
                    settings, now=now, given=withdrawals, without_list=without_withdrawals
                )
                click.echo(f"Inkarnasi baru / new incarnation: {incarnation}", err=True)
                _print_again(again)
                return
            done = backups.restore(
                settings,
                file,
                plain=plain,
                now=now,
                agreed=agreed,
                progress=print_progress(),
                given=withdrawals,
                without_list=without_withdrawals,
            )
        except backups.BackupRefused as error:
            wrong_use(str(error))
    _print_restored(settings, done)
    sys.exit(NEEDS_ATTENTION if done.keys_missing else 0)


def _prove(settings: Settings, file: Path, plain: bool) -> NoReturn:
    from server.backup import BackupRefused
    from server.operations.doctor import as_line
    from server.operations.trial_restore import prove

    with errors_in_one_line():
        try:
            proof = prove(
                settings, file, plain=plain, actor=OPERATOR, now=datetime.now(UTC), progress=print_progress()
            )
        except BackupRefused as error:
            wrong_use(str(error))
    for check in proof.checks:
        click.echo(as_line(check))
    for table in proof.miscounted:
        click.echo(f"problem  rows: {table}")
    rows, made_at = proof.manifest.total_rows, proof.manifest.made_at
    said = "TERBUKTI / PROVEN" if proof.is_proven else "TIDAK TERBUKTI / NOT PROVEN"
    where = "" if proof.logged else " (di sini tidak ada catatan audit / there is no log here)"
    click.echo(f"{said}: {file}, {made_at}, {rows:,} baris / rows, SHA-256 {proof.digest}{where}", err=True)
    sys.exit(0 if proof.is_proven else NEEDS_ATTENTION)


def _print_restored(settings: Settings, done: Any) -> None:
    rows, made_at = done.manifest.total_rows, done.manifest.made_at
    click.echo(
        f"Dipulihkan / restored: {rows:,} baris / rows, {made_at}; inkarnasi baru / new incarnation {done.incarnation}",
        err=True,
    )
    if done.kept is not None:
        click.echo(f"Data sebelumnya disimpan di / the data before are kept in {done.kept}", err=True)
    if done.keys_missing:
        click.echo(
            f"Berkas kunci belum ada: salin cadangannya ke {settings.key_file} sebelum menjalankan server, lalu jalankan"
            f" 'restore --already'. / There is no key file yet: copy your backup of it to {settings.key_file} before you"
            " start the server, then run 'restore --already'.",
            err=True,
        )
    _print_again(done.again)
    click.echo("Periksa dengan / check with: posyandu-sync doctor", err=True)


def _print_again(again: Any) -> None:
    """Print what was withdrawn again, and how far the list goes."""
    from server.backup.reapplying import KINDS, LIST_ENDS, NO_LIST, OPENED

    counts = [(text, again.withdrawn.get(kind, 0)) for kind, text in KINDS.items()]
    for text, count in [*counts, *zip(OPENED, (again.invitations, again.codes), strict=True)]:
        if count:
            click.echo(text.format(count=f"{count:,}").both(), err=True)
    if again.until is None:
        click.echo(NO_LIST.both(), err=True)
    else:
        click.echo(LIST_ENDS.format(until=again.until.isoformat(timespec="seconds")).both(), err=True)


@main.command()
@data_option
@click.option("--quick", is_flag=True, help="Look at samples where looking at everything takes long.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def doctor(data: Path | None, quick: bool, form: str) -> None:
    """Say what is wrong with this installation and the remedy. Only reads."""
    from server.operations.doctor import as_json, as_line, examine

    settings = settings_of(data)
    if settings.is_sqlite and not settings.data_dir.is_dir():
        wrong_use(
            f"there is no installation in {settings.data_dir}: start one with 'serve --data DIR' or 'demo'"
        )
    found = []
    for check in examine(settings, now=datetime.now(UTC), quick=quick, progress=print_progress()):
        found.append(check)
        if form == "text":
            click.echo(as_line(check))
    if form == "json":
        click.echo(as_json(found))
    sys.exit(0 if all(check.is_ok for check in found) else NEEDS_ATTENTION)


@main.command()
@data_option
def reassess(data: Path | None) -> None:
    """Assess every child again, whatever is stored, and write what differs; the server may go on."""
    from server.operations.recomputation.mending import reassess as mend

    hub = open_hub(data)
    with errors_in_one_line():
        persons, rows = mend(hub, datetime.now(UTC), actor=OPERATOR)
    click.echo(f"{persons:,} anak, {rows:,} baris diperbaiki / {persons:,} children, {rows:,} rows mended")
