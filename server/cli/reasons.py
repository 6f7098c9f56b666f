"""Who runs a command, and why: every command on an installation is an entry of the log, `command.run`.

Rules kept here:
- The entry names the operating-system user and, under sudo, who became it (`audit.append`), and the command, but none of its
  arguments, which may name people.
- A command that shows names or changes access has `--reason`: asked for on a terminal where it is missing. Where it is
  required, a script without it is refused.
"""

import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import click

REASON: Final = "posyandu.reason"
"""Key of the reason in click's context."""
MOST: Final = 200
_NUMBER: Final = re.compile(r"(?:\d[ .-]?){8}")
"""A NIK, a telephone number: what is written into the log can never be taken out again."""


def reason_option(*, required: bool = False, unless: str = "") -> Callable[[Callable[..., Any]], Any]:
    """Add `--reason` to a command.

    Parameters
    ----------
    required : refuse a script that gives none
    unless : an eager flag of the command with which no reason is wanted
    """

    def given(context: click.Context, _parameter: click.Parameter, reason: str | None) -> None:
        if unless and context.params.get(unless):
            return
        if reason is None and sys.stdin.isatty() and sys.stderr.isatty():
            reason = click.prompt("Alasan, tanpa nama orang / Reason, without names of people", err=True)
        if reason is None and required:
            raise click.UsageError("give --reason TEXT: why, for the log, without names of people")
        if reason is not None:
            context.meta[REASON] = _fit(reason)

    return click.option(
        "--reason",
        callback=given,
        expose_value=False,
        metavar="TEXT",
        help="Why, for the log; without names or numbers of people.",
    )


def _fit(reason: str) -> str:
    reason = reason.strip()
    if not reason or not reason.isprintable() or len(reason) > MOST:
        raise click.BadParameter(f"give 1 to {MOST} visible characters")
    if _NUMBER.search(reason):
        raise click.BadParameter(
            "a NIK or a telephone number has no place in the log, where it stays for ever"
        )
    return reason


def log_command(hub: Any) -> None:
    """Log that this command is run, by whom and why."""
    from server import audit

    context = click.get_current_context()
    details = {"command": context.command_path.partition(" ")[2]}
    if REASON in context.meta:
        details["reason"] = context.meta[REASON]
    with hub.database.transaction() as session:
        audit.append(
            *(session, hub.district, audit.OFFICE, "command.run"),
            actor="operator",
            now=datetime.now(UTC),
            details=details,
        )
