"""`witness …`: who vouches for this log, and for which logs this installation vouches."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from server.cli.installation import (
    NEEDS_ATTENTION,
    OPERATOR,
    data_option,
    errors_in_one_line,
    main,
    open_hub,
    wrong_use,
)


@main.group()
def witness() -> None:
    """Witnesses of the log: another installation, or a directory elsewhere; and the logs that are witnessed here."""


@witness.command("keys")
@data_option
def witness_keys(data: Path | None) -> None:
    """Print this installation's verifier keys: of its log, for whoever shall witness it, and as a witness of others."""
    from server.audit import witnesses
    from server.database.models import Installation

    hub = open_hub(data)
    with errors_in_one_line(), hub.database.reading() as session:
        incarnation = session.get_one(Installation, hub.district).incarnation
    for key in witnesses.log_keys(hub.vault, witnesses.origin_of(hub.district, incarnation)):
        click.echo(f"log\t{key.text()}")
    for key in witnesses.cosigning_keys(hub):
        click.echo(f"witness\t{key.text()}")


@witness.command("add")
@data_option
@click.argument("name")
@click.argument("place")
@click.argument("keys", nargs=-1)
def witness_add(data: Path | None, name: str, place: str, keys: tuple[str, ...]) -> None:
    """Let NAME vouch for this log. PLACE: the address of a server, such as https://HOST/api/v1/witness, with its KEYS
    ('witness keys' there prints them); or a directory, without keys, that gets a copy of each checkpoint.
    """
    from server.audit import witnesses

    is_server = place.startswith(("http://", "https://"))
    if is_server != bool(keys):
        wrong_use("give the address of a server with its keys, or a directory without any")
    if is_server and not urlsplit(place).hostname:
        wrong_use(f"{place!r} is no address of a server")
    if not is_server and not Path(place).is_dir():
        wrong_use(f"there is no directory {place}: make or mount it first")
    where = place if is_server else str(Path(place).resolve())
    _change(data, lambda session, hub, now: witnesses.add(session, hub, name, where, _keys(keys), **_by(now)))


@witness.command("remove")
@data_option
@click.argument("name")
def witness_remove(data: Path | None, name: str) -> None:
    """Ask witness NAME no more; what it cosigned stays and is still verified."""
    from server.audit import witnesses

    _change(data, lambda session, hub, now: witnesses.remove(session, hub, name, **_by(now)))


@witness.command("list")
@data_option
def witness_list(data: Path | None) -> None:
    """List who vouches for this log and up to when, then the logs that are witnessed here and how far they had come."""
    from server.audit import cosigning, witnesses

    hub = open_hub(data)
    with errors_in_one_line(), hub.database.reading() as session:
        vouched = witnesses.vouches(session, hub.district, datetime.now(UTC))
        logs = cosigning.watched(session, hub.district)
    for one in vouched:
        at = one.at.isoformat(timespec="seconds") if one.at else "-"
        state = one.witness.failure or ("silent" if one.is_silent else "ok")
        click.echo(
            f"witness\t{one.witness.name}\t{one.witness.place}\t{one.checkpoint or '-'}\t{at}\t{state}"
        )
    for log in logs:
        for tree in log.trees:
            state = "forked" if tree.conflict_at else "ok"
            at = tree.at.isoformat(timespec="seconds")
            click.echo(f"log\t{log.origin}\t{tree.origin}\t{tree.size}\t{at}\t{state}")
        if not log.trees:
            click.echo(f"log\t{log.origin}\t-\t-\t-\tok")


@witness.command("submit")
@data_option
def witness_submit(data: Path | None) -> None:
    """Submit the newest checkpoint to every witness now, as the scheduler does every few minutes."""
    from server.audit import checkpoints, witnesses
    from server.operations.witnesses import ask

    hub, failed = open_hub(data), 0
    with errors_in_one_line():
        with hub.database.reading() as session:
            newest = checkpoints.newest(session, hub.district)
            known = witnesses.known(session, hub.district)
        if newest is None:
            wrong_use("there is no checkpoint yet: 'audit checkpoint' signs one")
        for one in known:
            why = ask(hub, one, newest, datetime.now(UTC))
            failed += why is not None
            click.echo(f"{one.name}\t{newest.number}\t{why or 'ok'}")
    sys.exit(NEEDS_ATTENTION if failed else 0)


@witness.group("log")
def witness_log() -> None:
    """Logs of other installations that are witnessed here."""


@witness_log.command("add")
@data_option
@click.argument("keys", nargs=-1, required=True)
def witness_log_add(data: Path | None, keys: tuple[str, ...]) -> None:
    """Witness the log with these KEYS ('witness keys' there prints them); of a log that is known, trust them too."""
    from server.audit import cosigning

    _change(data, lambda session, hub, now: cosigning.watch(session, hub, _keys(keys), **_by(now)))


@witness_log.command("remove")
@data_option
@click.argument("origin")
def witness_log_remove(data: Path | None, origin: str) -> None:
    """Witness the log ORIGIN no more; how far it had come is remembered."""
    from server.audit import cosigning

    _change(data, lambda session, hub, now: cosigning.unwatch(session, hub, origin, **_by(now)))


def _by(now: datetime) -> dict[str, Any]:
    return {"actor": OPERATOR, "now": now}


def _keys(texts: tuple[str, ...]) -> list[Any]:
    from server.audit.signed_note import Key

    return [Key.read(text) for text in texts]


def _change(data: Path | None, work: Any) -> None:
    """Make a change in one transaction; print a refusal and exit with code 2."""
    hub = open_hub(data)
    try:
        with errors_in_one_line(), hub.database.transaction() as session:
            work(session, hub, datetime.now(UTC))
    except ValueError as error:
        wrong_use(str(error))
