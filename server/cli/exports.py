"""`export …`: files in formats of other systems."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import click

from server.cli.installation import (
    OPERATOR,
    atomic_file,
    data_option,
    errors_in_one_line,
    main,
    open_hub,
    post_id_of,
    wrong_use,
)
from server.cli.reasons import reason_option


@main.group("export")
def export() -> None:
    """Write what is here in the formats of others. Every export is logged."""


def _export_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add options: which measurements to export, of whom, and where to write them."""
    for option in (
        click.option(
            "-o", "--output", default="-", metavar="FILE", help="Where to write; '-' is standard output."
        ),
        click.option("--post", help="Only this post (name or id)."),
        click.option("--to", "last", metavar="DAY", help="Last day of measuring; today if not given."),
        click.option(
            "--from", "first", metavar="DAY", help="First day of measuring, such as 2026-03-01; else all."
        ),
        data_option,
    ):
        command = option(command)
    return command


def _nik_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--full-nik", is_flag=True, help="NIKs whole instead of masked; the log says so.")(
        command
    )


def _export(
    data: Path | None,
    output: str,
    form: str,
    write: Callable[[BinaryIO, Any, Any, Any], int],
    *,
    first: str | None,
    last: str | None,
    post: str | None,
    full_nik: bool = False,
    shows_names: bool = True,
) -> None:
    """Log an export, then write it."""
    from datetime import date

    from server.interchange.export_rows import ExportQuery, log_export
    from server.review import Scope

    hub, now = open_hub(data), datetime.now(UTC)
    try:
        days = (
            date.fromisoformat(first or "1990-01-01"),
            date.fromisoformat(last or f"{hub.settings.today(now)}"),
        )
    except ValueError:
        wrong_use(f"{first or ''} {last or ''}: write days like 2026-03-01".strip())
    with errors_in_one_line():
        with hub.database.reading() as session:
            area = Scope("post", post_id_of(session, hub, post), shows_names=False) if post else None
        scope = Scope.whole_district(hub, shows_names=shows_names)
        wanted = ExportQuery(scope, *days, full_nik=full_nik, area=area)
        with hub.database.transaction() as session:
            log_export(session, hub, wanted, form, actor=OPERATOR, now=now)
        try:
            with _new_file(output) as target, hub.database.reading() as session:
                count = write(target, session, hub, wanted)
        except ValueError as error:
            wrong_use(str(error))
    click.echo(f"{count:,} baris / rows: {output}", err=True)
    if wanted.left_out:
        told = ", ".join(f"{child} ({error})" for child, error in sorted(wanted.left_out.items()))
        click.echo(f"tidak terbaca, dilewati / unreadable, left out: {told}", err=True)
        sys.exit(1)


@contextmanager
def _new_file(output: str) -> Iterator[BinaryIO]:
    """Yield where to write: a file takes its name only when it is complete."""
    import io

    if output == "-":
        whole = io.BytesIO()  # a zip needs seeking, which a pipe does not allow
        yield whole
        sys.stdout.buffer.write(whole.getvalue())
        return
    path = Path(output)
    with atomic_file(path) as writing:
        yield writing


@export.command("sigizi")
@_export_options
@reason_option(required=True)
@_nik_option
@click.option(
    "--sheet",
    type=click.Choice(["export", "measurement", "identity", "pmt", "mpasi"]),
    default="export",
    show_default=True,
    help="The export (Daftar Balita), or one of the import templates.",
)
@click.option("--as", "form", type=click.Choice(["xlsx", "csv"]), default="xlsx", show_default=True)
def export_sigizi(
    data: Path | None,
    output: str,
    first: str | None,
    last: str | None,
    post: str | None,
    full_nik: bool,
    sheet: str,
    form: str,
) -> None:
    """Write a sheet of Sigizi, in its own headings."""
    from server.interchange.sigizi import writer

    def write(target: BinaryIO, session: Any, hub: Any, wanted: Any) -> int:
        return writer.write(target, session, hub, wanted, sheet=sheet, form=form)

    _export(data, output, f"sigizi-{sheet}", write, first=first, last=last, post=post, full_nik=full_nik)


@export.command("fhir")
@_export_options
@reason_option(required=True, unless="anonymous")
@_nik_option
@click.option("--anonymous", is_flag=True, is_eager=True, help="No names, addresses or NIKs.")
@click.option(
    "--codes", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Codes of your own (TOML)."
)
def export_fhir(
    data: Path | None,
    output: str,
    first: str | None,
    last: str | None,
    post: str | None,
    full_nik: bool,
    anonymous: bool,
    codes: Path | None,
) -> None:
    """Write a FHIR R4 bundle with SATUSEHAT's codes: to hand over, not to submit."""
    from server.interchange import fhir

    def write(target: BinaryIO, session: Any, hub: Any, wanted: Any) -> int:
        table = fhir.codes(codes)
        return fhir.write_bundle(target, session, hub, wanted, now=datetime.now(UTC), table=table)

    _export(
        data,
        output,
        "fhir",
        write,
        first=first,
        last=last,
        post=post,
        full_nik=full_nik,
        shows_names=not anonymous,
    )


@export.command("csv")
@_export_options
@click.option("--codebook", is_flag=True, help="Write what each column is, instead of the data.")
@click.option("--birth-dates", is_flag=True, help="With birth dates; else ages in days alone.")
def export_csv(
    data: Path | None,
    output: str,
    first: str | None,
    last: str | None,
    post: str | None,
    codebook: bool,
    birth_dates: bool,
) -> None:
    """Write measurements without names as CSV, with a codebook."""
    from server.interchange import measurements_csv

    if codebook:
        with errors_in_one_line(), _new_file(output) as target:
            measurements_csv.write_codebook(target)
        return
    _export(
        data,
        output,
        "csv",
        measurements_csv.write_data,
        first=first,
        last=last,
        post=post,
        shows_names=birth_dates,
    )


@export.command("dhis2")
@data_option
@click.argument("month", metavar="MONTH")
@click.option("--by", type=click.Choice(["post", "village"]), default="post", show_default=True)
@click.option(
    "--codes", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Codes of your own (TOML)."
)
@click.option("-o", "--output", default="-", metavar="FILE", help="Where to write; '-' is standard output.")
def export_dhis2(data: Path | None, month: str, by: str, codes: Path | None, output: str) -> None:
    """Write a month's SKDN counts (such as 2026-03) as DHIS2's dataValueSets."""
    from server.interchange import dhis2

    try:
        first, last = dhis2.month_of(month)
    except ValueError as error:
        wrong_use(str(error))

    def write(target: BinaryIO, _: Any, hub: Any, wanted: Any) -> int:
        now, table = datetime.now(UTC), dhis2.codes(codes)
        return dhis2.write_values(target, hub, wanted, by=by, actor=OPERATOR, now=now, table=table)

    _export(data, output, "dhis2", write, first=f"{first}", last=f"{last}", post=None, shows_names=False)
