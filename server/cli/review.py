"""`flagged`, `completeness`: which children to look at, and whether all that was measured is here."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from server.cli.installation import (
    NEEDS_ATTENTION,
    data_option,
    errors_in_one_line,
    main,
    open_hub,
    post_id_of,
    wrong_use,
)
from server.cli.reasons import reason_option


@main.command()
@data_option
@reason_option()
@click.option(
    "--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True
)
@click.option("--post", help="Only this post (name or id).")
@click.option("--urgency", type=click.IntRange(1, 4), help="Only this urgency; 1 is today.")
@click.option("--limit", type=click.IntRange(1), default=None, help="At most so many children.")
def flagged(data: Path | None, form: str, post: str | None, urgency: int | None, limit: int | None) -> None:
    """List the children that need a second look, most urgent first. What is listed is logged."""
    from server.review import flagged_text

    hub = open_hub(data)
    with errors_in_one_line():
        post_id = None
        if post:
            with hub.database.reading() as session:
                post_id = post_id_of(session, hub, post)
        text = flagged_text(hub, form, post_id=post_id, urgency=urgency, limit=limit, now=datetime.now(UTC))
        click.echo(text, nl=not text.endswith("\n"))


@main.command()
@data_option
@click.option("--post", help="Only this post (name or id).")
@click.option("--day", help="Only this day of measuring, such as 2026-03-05.")
@click.option("--month", help="This month of measuring, such as 2026-03; the present one if no day is given.")
@click.option(
    "--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True
)
def completeness(data: Path | None, post: str | None, day: str | None, month: str | None, form: str) -> None:
    """Say what tablets have told of and what is here: changes by tablet, "41 weighed, 41 stored" by post and day.

    The exit code is 1 when something is missing or does not add up.
    """
    from server.review import Scope
    from server.supervision.completeness import completeness as look, period, text_of

    hub = open_hub(data)
    try:
        first, last = period(day, month, hub.settings.today(datetime.now(UTC)))
    except ValueError as error:
        wrong_use(str(error))
    with errors_in_one_line(), hub.database.reading() as session:
        post_id = post_id_of(session, hub, post) if post else None
        scope = Scope.whole_district(hub, shows_names=False)
        report = look(session, hub, scope, first, last, only=[post_id] if post_id else None)
    click.echo(text_of(report, form).rstrip("\n"))
    if not report.complete:
        changes, measured = report.missing, report.not_arrived
        if changes or measured:
            click.echo(f"Belum sampai: {changes} perubahan, {measured} pengukuran", err=True)
            click.echo(f"Not arrived: {changes} changes, {measured} measurements", err=True)
        if not report.add_up:
            click.echo("Tanda terima dan catatan berbeda / Receipts and ledger do not agree", err=True)
        sys.exit(NEEDS_ATTENTION)
