"""`reports …`: the figures of areas, and the Monev report."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click

from server.cli.installation import (
    OPERATOR,
    area_option,
    data_option,
    errors_in_one_line,
    first_day_of,
    load_text,
    main,
    open_hub,
    post_id_of,
    write_atomically,
    wrong_use,
)


@main.group()
def reports() -> None:
    """Figures of areas by month: SKDN, prevalence, services, data quality, aid."""


@reports.command("refresh")
@data_option
@click.option(
    "--from-nothing",
    is_flag=True,
    help="Count everything again, what supervisors are told of posts too, whatever was counted before.",
)
def reports_refresh(data: Path | None, from_nothing: bool) -> None:
    """Count what has news since it was counted, as the timetable does every few minutes."""
    from server import reports as figures
    from server.supervision import months

    hub, now = open_hub(data), datetime.now(UTC)
    with errors_in_one_line():
        done = figures.refresh(hub, now, actor=OPERATOR, from_nothing=from_nothing)
        if from_nothing:
            months.forget(hub, now, actor=OPERATOR)
            months.refresh(hub, now, actor=OPERATOR)
    click.echo(
        f"{done.posts} posts counted, {done.rows} rows of posts written;"
        f" {done.months} months added up, {done.sums} rows of areas written"
    )


@reports.command("show")
@data_option
@area_option
@click.option("--month", help="The last month, such as 2026-03; the present one if none is given.")
@click.option("--months", default=12, show_default=True, type=click.IntRange(1, 120))
@click.option(
    "--parts", is_flag=True, help="The areas that it is made of, in the last month, instead of its months."
)
@click.option("--public", is_flag=True, help="Hide small numbers, as outside the health service.")
@click.option(
    "--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True
)
def reports_show(
    data: Path | None,
    area: str | None,
    month: str | None,
    months: int,
    parts: bool,
    public: bool,
    form: str,
) -> None:
    """Print the figures of an area, the whole district if none is named."""
    from server.interchange.monev import text_of

    def look(hub: Any, now: datetime) -> str:
        place, last, reader = _area_and_month(hub, area, month, public, now)
        return text_of(hub, reader, place, last, months=months, parts=parts, form=form)

    click.echo(load_text(data, look).rstrip("\n"))


@reports.command("monev")
@data_option
@area_option
@click.option("--from", "first", required=True, help="First month, such as 2026-01.")
@click.option("--to", "last", required=True, help="Last month, such as 2026-03.")
@click.option("--public", is_flag=True, help="Hide small numbers, as outside the health service.")
@click.option("--language", type=click.Choice(["id", "en"]), default="id", show_default=True)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def reports_monev(
    data: Path | None, area: str | None, first: str, last: str, public: bool, language: str, file: Path
) -> None:
    """Write the Monev report of a period into FILE, a .pdf or .xlsx."""
    from server.interchange import monev

    if file.suffix not in (".pdf", ".xlsx"):
        wrong_use("FILE ends in .pdf or .xlsx")

    def look(hub: Any, now: datetime) -> str:
        place, until, reader = _area_and_month(hub, area, last, public, now)
        since = first_day_of(first)
        if not 0 <= (until.year - since.year) * 12 + until.month - since.month < monev.MOST_MONTHS:
            wrong_use(f"a report goes over 1 to {monev.MOST_MONTHS} months")
        with hub.database.reading() as session:
            found = monev.gather(session, hub, reader, place, since, until, now=now)
        write_atomically(file, [(monev.pdf if file.suffix == ".pdf" else monev.xlsx)(found, language)])
        return f"{file} written"

    click.echo(load_text(data, look))


def _area_and_month(
    hub: Any, area: str | None, month: str | None, public: bool, now: datetime
) -> tuple[Any, date, Any]:
    """Return the area and the month in the options."""
    from server import reports as figures

    last = first_day_of(month) if month else hub.settings.today(now).replace(day=1)
    reader = figures.FigureReader.operator(hub, sees_small=not public)
    with hub.database.reading() as session:
        if area is None:
            return figures.own_area(session, hub, reader), last, reader
        kinds = {2: "district", 3: "subdistrict", 4: "village"}
        kind = kinds.get(len(area.split("."))) if area.replace(".", "").isdigit() else None
        code = area if kind else post_id_of(session, hub, area)
        return figures.area(session, hub, reader, kind or "post", code), last, reader
