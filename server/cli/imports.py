"""`import …`: sealed batches and files of other systems."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from server.cli.installation import (
    NEEDS_ATTENTION,
    OPERATOR,
    commit_change,
    data_option,
    donor_id_of,
    errors_in_one_line,
    exit_refused,
    format_option,
    main,
    open_hub,
    os_error_text,
    post_id_of,
    print_progress,
    wrong_use,
)
from server.cli.reasons import reason_option


@main.group("import")
def import_() -> None:
    """Bring in what came as files; without --apply only say what would happen."""


@import_.command("batch")
@data_option
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option("--apply", is_flag=True, help="Take them, and write the sealed receipts to FILE.receipts.")
@click.option(
    "--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True
)
def import_batch(data: Path | None, files: tuple[Path, ...], apply: bool, form: str) -> None:
    """Take sealed batches that somebody carried here: one a line, as tablets write them."""
    from server.sync.relay import RelayFileUnreadable, as_text, import_files

    hub = open_hub(data)
    with errors_in_one_line():
        try:
            done = import_files(hub, files, apply=apply, actor=OPERATOR, now=datetime.now(UTC))
        except RelayFileUnreadable as error:
            wrong_use(str(error))
    text = as_text(done.rows, form)
    click.echo(text, nl=not text.endswith("\n"))
    for path in done.written:
        click.echo(f"Bawa kembali ke tablet / take back to the tablet: {path}", err=True)
    for failure in done.unwritten:
        words = "Tanda terima tidak tersimpan, impor sekali lagi / receipts not written, import once more"
        click.echo(f"{words}: {os_error_text(failure)}", err=True)
    if not apply:
        click.echo(
            "Belum ada yang disimpan: ulangi dengan --apply / Nothing is stored yet: add --apply", err=True
        )
    sys.exit(NEEDS_ATTENTION if done.needs_attention else 0)


@import_.command("sigizi")
@data_option
@format_option
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--apply", is_flag=True, help="Take it; without this only say what would happen.")
@click.option("--rows", is_flag=True, help="Tell of every row, not only of those that need somebody.")
@click.option("--post", help="The post (name or id) of all rows, for a sheet that names none.")
@click.option(
    "--add-posts", is_flag=True, help="First add posyandu that the file names and that are not here."
)
@click.option(
    "--workers", type=click.IntRange(1, 16), help="Processes that share a long file; else one a processor."
)
def import_sigizi(
    data: Path | None,
    file: Path,
    form: str,
    apply: bool,
    rows: bool,
    post: str | None,
    add_posts: bool,
    workers: int | None,
) -> None:
    """Take a sheet of Sigizi/e-PPGBM: the export (Daftar Balita), or the measurement or identity template.

    XLSX, CSV, or HTML that calls itself .xls. A file that was cut short goes on where it stopped; taken again it changes
    nothing. The exit code is 1 when a row was refused or waits for a person.
    """
    from server import gc_tuning
    from server.interchange.import_runs import FEW_TO_SHARE, import_sheet
    from server.interchange.import_store import Options
    from server.interchange.report_text import as_text, needing_attention
    from server.interchange.sheets import SheetUnreadable

    hub = open_hub(data)
    gc_tuning.spare(gc_tuning.OF_A_CHUNK)
    accounts: list[Any] = []
    progress = print_progress()
    with errors_in_one_line():
        try:
            with hub.database.reading() as session:
                post_id = post_id_of(session, hub, post) if post else ""
            content = file.read_bytes()
            shared = len(content) > FEW_TO_SHARE
            report = import_sheet(
                hub,
                content,
                Options(post_id=post_id, add_posts=add_posts, scope=hub.district),
                apply=apply,
                actor=OPERATOR,
                now=datetime.now(UTC),
                progress=lambda done, total: progress("baris / rows", done, total),
                on_results=lambda found: accounts.extend(found if rows else needing_attention(found)),
                workers=(workers or os.cpu_count() or 1) if shared else 0,
            )
        except SheetUnreadable as error:
            wrong_use(str(error))
    text = as_text(report, sorted(accounts, key=lambda account: int(account["row"])), form)
    click.echo(text, nl=not text.endswith("\n"))
    if report.resumed_rows:
        click.echo(f"Dilanjutkan setelah / went on after: {report.resumed_rows:,} baris / rows", err=True)
    if report.counts["ask"]:
        click.echo("Putuskan dengan / decide with: posyandu-sync import cases, import decide", err=True)
    if not apply:
        click.echo(
            "Belum ada yang disimpan: ulangi dengan --apply / Nothing is stored yet: add --apply", err=True
        )
    sys.exit(NEEDS_ATTENTION if report.needs_attention else 0)


@import_.command("csr")
@data_option
@format_option
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--donor", help="The company whose sheet it is (name or id); without it each row names its own."
)
@click.option(
    "--reported-to",
    type=click.Choice(["centre", "province", "regency"]),
    default="regency",
    show_default=True,
    help="The authority that it was made for.",
)
@click.option("--map", "columns", multiple=True, metavar="FIELD=HEADER", help="What a column means.")
@click.option("--apply", is_flag=True, help="Take it; without this only say what would happen.")
def import_csr(
    data: Path | None,
    file: Path,
    form: str,
    donor: str | None,
    reported_to: str,
    columns: tuple[str, ...],
    apply: bool,
) -> None:
    """Take a company's CSR sheet: XLSX, CSV, or HTML that calls itself .xls. Taken again it changes nothing.

    The exit code is 1 when a row was refused or waits for a person.
    """
    from server.aid import serializers, sheets
    from server.aid.words import FIELDS
    from server.errors import Problem

    chosen = {field: header for field, _, header in (one.partition("=") for one in columns)}
    if not set(chosen) <= set(FIELDS):
        wrong_use(f"--map FIELD=HEADER; FIELD is one of {', '.join(FIELDS)}")
    hub = open_hub(data)
    try:
        with errors_in_one_line():
            with hub.database.reading() as session:
                donor_id = donor_id_of(session, hub, donor) if donor else None
            done = sheets.import_file(
                *(hub, file.read_bytes()),
                name=file.name,
                reported_to=reported_to,
                donor_id=donor_id,
                columns=chosen,
                apply=apply,
                author=OPERATOR,
                now=datetime.now(UTC),
            )
    except Problem as problem:
        exit_refused(problem)
    if form == "json":
        text = serializers.json_of({"counts": done.counts, "already": done.already, "rows": done.rows})
    else:
        text = serializers.text_of(serializers.ROWS, done.rows, form)
    click.echo(text, nl=not text.endswith("\n"))
    if done.already:
        click.echo("Berkas ini sudah diambil / This file was taken before", err=True)
    elif not apply:
        click.echo(
            "Belum ada yang disimpan: ulangi dengan --apply / Nothing is stored yet: add --apply", err=True
        )
    sys.exit(NEEDS_ATTENTION if done.counts.get("open") or done.counts.get("refused") else 0)


@import_.command("runs")
@data_option
@format_option
@click.option("--limit", type=click.IntRange(1, 1_000), default=20, show_default=True)
def import_runs(data: Path | None, form: str, limit: int) -> None:
    """List the newest files that were brought, here or on a page: how far each is, and its rows by outcome."""
    from server.interchange import uploads
    from server.interchange.report_text import runs_text
    from server.review import Scope

    hub = open_hub(data)
    with errors_in_one_line(), hub.database.reading() as session:
        found = uploads.runs(session, hub, Scope.whole_district(hub, shows_names=False), limit)
    text = runs_text(found, form)
    if text:
        click.echo(text, nl=not text.endswith("\n"))


@import_.command("rows")
@data_option
@reason_option()
@format_option
@click.argument("run_id", metavar="RUN", type=click.UUID)
@click.option("--which", default="needs", show_default=True, help="needs, all, an outcome, or a rule.")
def import_rows(data: Path | None, form: str, run_id: UUID, which: str) -> None:
    """Say what became of the rows of a file that was brought, by number and without names."""
    from server.errors import Problem
    from server.interchange import uploads
    from server.interchange.report_text import chosen, rows_text
    from server.review import Scope

    hub = open_hub(data)
    with errors_in_one_line(), hub.database.reading() as session:
        try:
            run = uploads.run_of(session, hub, Scope.whole_district(hub, shows_names=False), str(run_id))
        except Problem:
            wrong_use(f"there is no run {run_id}")
        text = rows_text(chosen(uploads.results(session, hub, run), which), form)
    if text:
        click.echo(text, nl=not text.endswith("\n"))


@import_.command("cases")
@data_option
@reason_option()
@format_option
@click.option("--decided", is_flag=True, help="Those that were decided, instead of those that wait.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
def import_cases(data: Path | None, form: str, decided: bool, limit: int) -> None:
    """List the rows of imported files that a person must decide about, with whom they may mean. What is listed is logged."""
    from server.interchange import cases
    from server.interchange.report_text import cases_text
    from server.review import Scope

    hub = open_hub(data)
    scope = Scope.whole_district(hub, shows_names=True)
    with errors_in_one_line():
        with hub.database.reading() as session:
            status = "decided" if decided else "open"
            shown, total = cases.cases(session, hub, scope, status=status, limit=limit)
        with hub.database.transaction() as session:
            cases.log_listed(session, hub, OPERATOR, len(shown), datetime.now(UTC))
    text = cases_text(shown, form)
    if text:
        click.echo(text, nl=not text.endswith("\n"))
    click.echo(f"{len(shown)} dari / of {total}", err=True)


@import_.command("decide")
@data_option
@click.argument("case_id", metavar="CASE", type=click.UUID)
@click.argument("decision", type=click.Choice(["child", "new", "theirs", "skip"]))
@click.option("--child", type=click.UUID, help="With 'child': whom the row is about.")
def import_decide(data: Path | None, case_id: UUID, decision: str, child: UUID | None) -> None:
    """Decide about a row of a file: it is this child, a new one, its values hold, or it is left out."""
    from server.interchange import cases
    from server.review import Scope

    def work(hub: Any, session: Any, now: datetime) -> str:
        scope = Scope.whole_district(hub, shows_names=True)
        who = str(child) if child else None
        return cases.decide(
            session, hub, scope, str(case_id), decision, child_id=who, author=OPERATOR, now=now
        )

    outcome = commit_change(data, work)
    click.echo(outcome)
    sys.exit(NEEDS_ATTENTION if outcome == "ask" else 0)
