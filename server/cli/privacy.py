"""`rights …`: requests of parents, and erasures."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import click

from server.cli.installation import (
    NEEDS_ATTENTION,
    OPERATOR,
    data_option,
    errors_in_one_line,
    exit_refused,
    main,
    open_hub,
    write_atomically,
)
from server.cli.reasons import reason_option


@main.group()
def rights() -> None:
    """The rights of children's parents: requests and when they are due, copies, erasures (docs/privacy.md)."""


@rights.command("list")
@data_option
def rights_list(data: Path | None) -> None:
    """List requests that wait for an answer, the one that is due first in front; exits 1 if one is late."""
    from server.privacy import open_requests
    from server.review import Scope

    hub, now = open_hub(data), datetime.now(UTC)
    with errors_in_one_line(), hub.database.reading() as session:
        found = open_requests(session, hub, Scope.whole_district(hub, shows_names=False))
    for asked in found:
        late = "TERLAMBAT/LATE" if asked.is_overdue(now) else f"{asked.hours_left(now)} h"
        due = f"{asked.due_at:%Y-%m-%d %H:%M}Z"
        click.echo(f"{due}\t{late}\t{asked.kind}\t{asked.status}\t{asked.child_id}\t{asked.post_name}")
    sys.exit(NEEDS_ATTENTION if any(asked.is_overdue(now) for asked in found) else 0)


@rights.command("export")
@data_option
@reason_option(required=True)
@click.argument("child", type=click.UUID)
@click.option("--pdf", is_flag=True, help="As a PDF to hand over; else JSON.")
@click.option("--language", type=click.Choice(["id", "en"]), default="id", show_default=True)
@click.option("-o", "--output", default="-", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
def rights_export(data: Path | None, child: UUID, pdf: bool, language: str, output: Path) -> None:
    """Write everything that is held of CHILD and who read it; that is logged."""
    import json

    from server import privacy as rights
    from server.errors import Problem
    from server.review import Scope

    hub, now = open_hub(data), datetime.now(UTC)
    with errors_in_one_line():
        try:
            with hub.database.reading() as session:
                scope = Scope.whole_district(hub, shows_names=True)
                report = rights.gather(session, hub, scope, str(child), now)
        except Problem as problem:
            exit_refused(problem)
        with hub.database.transaction() as session:
            rights.log_given(session, hub, OPERATOR, report, "pdf" if pdf else "json", now)
        text = json.dumps(report.wire(), ensure_ascii=False, indent=1).encode()
        write_atomically(output, [rights.as_pdf(report, hub, OPERATOR, language) if pdf else text])
