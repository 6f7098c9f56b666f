"""`audit …`: the log, its checkpoints and proofs."""

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
    write_atomically,
    wrong_use,
)


@main.group()
def audit() -> None:
    """The log: sign how far it has come, verify it, export it, prove one entry."""


_output = click.argument(
    "file", default="-", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path)
)


@audit.command("checkpoint")
@data_option
@_output
@click.option("--last", is_flag=True, help="Sign nothing new: write the newest that there is.")
def audit_checkpoint(data: Path | None, file: Path, last: bool) -> None:
    """Sign how far every stream has come, and write the checkpoint to FILE: keep it away from this server."""
    from server.audit import checkpoints, verification, witnesses
    from server.operations.jobs import LONGEST_TAIL

    hub = open_hub(data)
    with errors_in_one_line():
        if not last:
            with hub.database.reading() as session:
                tail = verification.verify_tail(session, hub.district, LONGEST_TAIL)
            if tail.broken:
                click.echo("\n".join(one.words() for one in tail.broken), err=True)
                click.echo("Tidak ditandatangani / not signed", err=True)
                sys.exit(NEEDS_ATTENTION)
            try:
                with hub.database.transaction() as session:
                    checkpoints.make(session, hub, datetime.now(UTC), actor=OPERATOR)
            except checkpoints.LogTurnedBack as error:
                click.echo(f"Tidak ditandatangani / not signed: {error}", err=True)
                sys.exit(NEEDS_ATTENTION)
        with hub.database.reading() as session:
            kept = checkpoints.kept(session, hub)
            if kept is None:
                wrong_use("there is no checkpoint yet: leave --last out")
            kept = witnesses.with_note(session, hub, kept)
        write_atomically(file, [kept.file()])
    keys = ", ".join(kept.signatures)
    click.echo(
        f"Titik periksa {kept.number}, kunci {keys} / checkpoint {kept.number}, key {keys}:"
        f" {kept.statement['entries']:,} entries, {kept.statement['streams']:,} streams",
        err=True,
    )


@audit.command("keys")
@data_option
def audit_keys(data: Path | None) -> None:
    """List the public keys of checkpoints, the newest first: note their ids outside this server."""
    for id_, public in open_hub(data, only_reads=True).vault.checkpoint_keys().items():
        click.echo(f"{id_}\t{public}")


@audit.command("export")
@data_option
@_output
def audit_export(data: Path | None, file: Path) -> None:
    """Write the whole log to FILE, with checkpoints and public keys: a JSON line an entry (docs/audit.md)."""
    from server import audit as log
    from server.audit.export import lines

    hub, now = open_hub(data), datetime.now(UTC)
    with errors_in_one_line():
        with hub.database.transaction() as session:
            log.append(session, hub.district, log.OFFICE, "log.exported", actor=OPERATOR, now=now)
        with hub.database.reading() as session:
            written = write_atomically(file, lines(session, hub, now))
    click.echo(f"{written:,} baris / lines", err=True)


@audit.command("prove")
@data_option
@click.argument("stream", required=False)
@click.argument("number", required=False, type=click.IntRange(1))
@click.option(
    "--since", type=click.IntRange(1), help="Prove that the newest checkpoint grew out of this one."
)
@click.option(
    "-o", "--output", "file", default="-", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path)
)
def audit_prove(
    data: Path | None, stream: str | None, number: int | None, since: int | None, file: Path
) -> None:
    """Prove that entry NUMBER of STREAM is under the newest checkpoint, without showing the rest of the log."""
    import json

    from server.audit import proofs

    if (since is None) == (stream is None) or (stream is None) != (number is None):
        wrong_use("give STREAM and NUMBER, or --since NUMBER")
    hub = open_hub(data, only_reads=True)
    with errors_in_one_line(), hub.database.reading() as session:
        try:
            if since is not None:
                proof = proofs.prove_growth(session, hub, since)
            else:
                proof = proofs.prove_entry(session, hub, stream or "", number or 0)
        except proofs.NoProof as error:
            wrong_use(str(error))
        write_atomically(file, [json.dumps(proof, ensure_ascii=False, indent=1).encode() + b"\n"])


_existing = click.Path(exists=True, dir_okay=False, path_type=Path)


@audit.command("verify")
@data_option
@click.option(
    "--checkpoint",
    type=click.Path(exists=True, path_type=Path),
    help="A checkpoint that was kept elsewhere: a file, a signed note, or a directory of them.",
)
@click.option("--witness", "trusted", multiple=True, help="A witness's key that you noted yourself.")
@click.option("--ask-witnesses", "ask", is_flag=True, help="Ask every witness what it has seen.")
@click.option(
    "--export", type=_existing, help="Verify this export of the log instead; no database is needed."
)
@click.option("--proof", type=_existing, help="Check what 'audit prove' wrote; no database is needed.")
@click.option(
    "--figures",
    is_flag=True,
    help="Compute again everything that is shown too, and name what is stored otherwise.",
)
def audit_verify(
    data: Path | None,
    checkpoint: Path | None,
    trusted: tuple[str, ...],
    ask: bool,
    export: Path | None,
    proof: Path | None,
    figures: bool,
) -> None:
    """Recompute every stream of the log; name the first entry of each that does not fit."""
    from server.audit.checkpoints import NotACheckpoint
    from server.audit.export import NotAnExport, verify_export
    from server.audit.verification import verify
    from server.cli import outside

    if export and proof:
        wrong_use("give --export or --proof, not both")
    if figures and (export or proof):
        wrong_use("--figures needs the database: leave --export and --proof out")
    differences = 0
    with errors_in_one_line():
        try:
            own = outside.own_checkpoint(checkpoint, needs_file=bool(export or proof))
        except NotACheckpoint as error:
            wrong_use(f"{checkpoint}: {error}")
        kept = outside.as_file(own)
        if proof:
            _check_proof(proof, kept)
        if export:
            try:
                held = outside.hold_export(export, kept)
                with export.open("rb") as reading:
                    found = verify_export(reading, kept=None if held.given_up else kept)
            except NotAnExport as error:
                wrong_use(f"{export}: {error}")
            entries, broken, keys = found.entries, found.broken, found.keys
        else:
            hub = open_hub(data, only_reads=True)
            keys = hub.vault.checkpoint_keys()
            with hub.database.reading() as session:
                held = outside.hold(session, hub, own, trusted, ask=ask)
                given_up = bool(held.given_up) and kept is not None
                entries, broken = verify(session, hub.district, keys=keys, kept=None if given_up else kept)
            differences = _recompute(hub) if figures else 0
    broken = [*broken, *held.broken]
    for one in broken:
        click.echo(one.words())
    click.echo(f"{entries} entries read, {len(broken)} streams broken", err=True)
    outside.tell(held)
    if kept is not None:
        click.echo(f"held against checkpoint {kept.number} of {kept.statement['at']}", err=True)
    elif export:
        click.echo(
            f"kunci / keys {', '.join(keys)}: cocokkan dengan catatan Anda / compare them with your note",
            err=True,
        )
    sys.exit(NEEDS_ATTENTION if broken or held.given_up or differences else 0)


def _recompute(hub: Any) -> int:
    """Compute everything derived again, print each difference, and return their number."""
    from server.operations import recomputation

    found, now, remedies = 0, datetime.now(UTC), set()
    for part in recomputation.PARTS:
        for one in recomputation.differences(hub, part, now, progress=print_progress()):
            found += 1
            remedies.add(one.remedy)
            click.echo(one.line())
    click.echo(f"{found} stored otherwise than computed", err=True)
    for remedy in sorted(remedies - {""}):
        click.echo(f"Perbaiki dengan / mend with: {remedy}", err=True)
    return found


def _check_proof(path: Path, kept: Any) -> NoReturn:
    """Print whether a proof holds, and exit."""
    import json

    from server.audit.proofs import holds

    try:
        proof = json.loads(path.read_bytes())
    except ValueError:
        wrong_use(f"{path}: bukan bukti / this is no proof")
    if not holds(proof, noted=kept):
        click.echo("Bukti tidak berlaku / the proof does not hold")
        sys.exit(NEEDS_ATTENTION)
    keys = ", ".join(proof["signatures"])
    click.echo(f"Bukti berlaku, kunci {keys} / the proof holds, key {keys}")
    sys.exit(0)
