"""`posyandu-sync …`: each command calls one function of a room below. Data goes to stdout, words to stderr.

Exit codes: 0 done; 1 done but something needs attention (a refused row, a broken chain); 2 wrong use.
"""

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NoReturn
from uuid import UUID

import click

from server.config import Settings

NEEDS_ATTENTION, WRONG_USE = 1, 2
OPERATOR = "operator"
_ROLES = ("cadre", "staff", "supervisor", "tpps", "donor", "administrator")


def _settings(data: Path | None) -> Settings:
    """Settings from the environment; `--data` goes before POSYANDU_DATA and DATABASE_URL."""
    try:
        if data is None:
            return Settings.from_env()
        environment = {"POSYANDU_DATA": str(data)}
        return Settings.from_env(Settings.environment_without_place() | environment)
    except ValueError as error:
        _wrong_use(str(error))


def _wrong_use(message: str) -> NoReturn:
    click.echo(f"posyandu-sync: {message}", err=True)
    sys.exit(WRONG_USE)


def _data_option(command: Callable[..., Any]) -> Callable[..., Any]:
    option = click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        help="Directory of the installation (SQLite, keys); else POSYANDU_DATA and DATABASE_URL.",
    )
    return option(command)


def _format_option(command: Callable[..., Any]) -> Callable[..., Any]:
    forms = click.Choice(["table", "csv", "json"])
    return click.option("--format", "form", type=forms, default="table", show_default=True)(command)


@contextmanager
def _told() -> Iterator[None]:
    """Tell in one line what an operator can mend: a database out of reach, keys that are missing, a disk that is full."""
    from sqlalchemy.exc import ArgumentError, DBAPIError

    from server.security import KeyUnusable

    try:
        yield
    except DBAPIError as error:
        _wrong_use(f"the database cannot be used: {str(error.orig).splitlines()[0]}")
    except ArgumentError:  # its words repeat the address, password and all
        _wrong_use("DATABASE_URL is not an address of a database")
    except KeyUnusable as error:
        _wrong_use(str(error))
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise  # click knows: whoever read our output has seen enough
        _wrong_use(_os_words(error))


def _os_words(error: OSError) -> str:
    return ": ".join(str(part) for part in (error.filename, error.strerror or error) if part)


def _hub(data: Path | None) -> Any:
    """Open an installation that was set up before."""
    from server.hub import Hub
    from server.migrations import newest, present
    from server.models import Installation

    settings = _settings(data)
    with _told():
        if settings.sqlite_file is not None and not settings.sqlite_file.exists():
            _wrong_use(
                f"there is no installation in {settings.sqlite_file.parent}:"
                " start one with 'serve --data DIR' or 'demo'"
            )
        if present(settings.database_url) != newest():
            _wrong_use("the database is of another release: 'serve' brings it up to date")
        hub = Hub.open(settings)
        click.get_current_context().call_on_close(hub.database.dispose)
        with hub.database.reading() as session:
            if session.get(Installation, hub.district) is None:
                _wrong_use(f"district {hub.district} is not installed here: set POSYANDU_DISTRICT")
        return hub


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="posyandu-sync")
def main() -> None:
    """Offline-first backend for posyandu: sync, merge, WHO z-scores, and a queue of children to look at."""


# -- serving --------------------------------------------------------------------------------------


@main.command()
@_data_option
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
def serve(data: Path | None, host: str, port: int) -> None:
    """Migrate the database, then run the web server and the scheduler."""
    from server.serve import serve as run

    settings = _settings(data)
    _refuse_taken_port(host, port)
    with _told():
        sys.exit(run(settings, host, port, lambda url: click.echo(f"Ready at {url}", err=True)))


@main.command()
@click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), default=Path("demo-data"), show_default=True
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--seed", default=64, show_default=True, help="Another seed makes other children.")
@click.option("--no-serve", is_flag=True, help="Make the data and stop.")
def demo(data: Path, host: str, port: int, seed: int, no_serve: bool) -> None:
    """Make a fresh data directory with Kukar's places and made-up children, print how to sign in, and serve it."""
    from server.demo import NotADemo, make_demo
    from server.serve import serve as run

    settings = _settings(data).for_plain_http()
    if not no_serve:
        _refuse_taken_port(host, port)
    with _told():
        try:
            made = make_demo(
                settings, seed=seed, now=datetime.now(UTC), tell=lambda line: click.echo(line, err=True)
            )
        except NotADemo as error:
            _wrong_use(str(error))
        click.echo(made.summary())
        if no_serve:
            return
        sys.exit(run(settings, host, port, lambda url: click.echo(made.where_to_look(url))))


def _refuse_taken_port(host: str, port: int) -> None:
    """Say so before anything is made, not after."""
    import socket

    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            _wrong_use(
                f"cannot listen on {host} port {port} ({error.strerror}): choose another with --host or --port"
            )


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--server", required=True, help="Address of the server, such as http://127.0.0.1:8000.")
@_data_option
@click.option("--chaos", is_flag=True, help="Go offline, shuffle, repeat, cut connections, edit at once.")
@click.option("--seed", default=1, show_default=True)
def simulate(file: Path, server: str, data: Path | None, chaos: bool, seed: int) -> None:
    """Send a survey of children through a fleet of tablets over HTTP, then check that everybody agrees."""
    from server.simulate import Unusable
    from server.simulate import simulate as run

    try:
        report = run(
            file, server, _hub(data), chaos=chaos, seed=seed, tell=lambda line: click.echo(line, err=True)
        )
    except Unusable as error:
        _wrong_use(str(error))
    click.echo(report.text())
    sys.exit(0 if report.holds else NEEDS_ATTENTION)


# -- growth ---------------------------------------------------------------------------------------


@main.command()
@click.argument("source", default="-", metavar="[IN.csv]")
@click.option(
    "-o", "--output", default="-", metavar="OUT.csv", help="Where to write; '-' is standard output."
)
def zscore(source: str, output: str) -> None:
    """Score a CSV of children against the WHO standards.

    Columns: sex, age (age_unit d or m), weight kg, lenhei cm, measure l or h, headc cm, armc cm, oedema. Rows that cannot be
    scored are written through with empty scores and reported; the exit code is then 1.
    """
    from server.interchange.score_csv import score_csv

    refused: list[str] = []

    def report(problem: object) -> None:
        refused.append("")
        if len(refused) <= 1000:
            click.echo(str(problem), err=True)

    try:
        with _reader(source) as reading, _writer(output, reading) as writing:
            summary = score_csv(reading, writing, errors=report, progress=_progress())
    except ValueError as error:
        _wrong_use(str(error))
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise  # click knows: whoever read our output has seen enough
        _wrong_use(_os_words(error))
    if len(refused) > 1000:
        click.echo(f"... and {len(refused) - 1000} more", err=True)
    click.echo(f"{summary.rows} rows, {summary.scored} scored, {summary.refused} refused", err=True)
    sys.exit(NEEDS_ATTENTION if summary.refused else 0)


def _reader(source: str) -> AbstractContextManager[BinaryIO]:
    return nullcontext(sys.stdin.buffer) if source == "-" else Path(source).open("rb")


@contextmanager
def _writer(output: str, reading: BinaryIO) -> Iterator[BinaryIO]:
    """Give where to write: a new file takes its name only when it is whole, so that a failure costs no older one."""
    if _is_input(output, reading):
        raise ValueError(f"{output} is the input: name another file to write to")
    if output == "-":
        yield sys.stdout.buffer
        return
    path = Path(output)
    if path.exists() and not path.is_file():  # a pipe or a device: nothing to spare
        with path.open("wb") as writing:
            yield writing
        return
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as writing:
            yield writing
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _is_input(output: str, reading: BinaryIO) -> bool:
    """Say whether the output is the very file that is being read, under whatever name."""
    try:
        here = os.fstat(reading.fileno())
        there = os.fstat(sys.stdout.fileno()) if output == "-" else Path(output).stat()
    except OSError:  # no file yet, or no file at all
        return False
    return stat.S_ISREG(here.st_mode) and os.path.samestat(here, there)


def _progress() -> Callable[[int], None] | None:
    """Tell how far a long file has come, to a person only."""
    if not sys.stderr.isatty():
        return None
    told = [datetime.now(UTC)]

    def tell(rows: int) -> None:
        if (datetime.now(UTC) - told[0]).total_seconds() > 1:
            told[0] = datetime.now(UTC)
            click.echo(f"\r{rows:,} rows", err=True, nl=False)

    return tell


# -- review ---------------------------------------------------------------------------------------


@main.command()
@_data_option
@click.option(
    "--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True
)
@click.option("--post", help="Only this post (name or id).")
@click.option("--urgency", type=click.IntRange(1, 4), help="Only this urgency; 1 is today.")
@click.option("--limit", type=click.IntRange(1), default=None, help="At most so many children.")
def flagged(data: Path | None, form: str, post: str | None, urgency: int | None, limit: int | None) -> None:
    """List the children that need a second look, most urgent first. What is listed is logged."""
    from server.review import flagged_text

    hub = _hub(data)
    with _told():
        post_id = None
        if post:
            with hub.database.reading() as session:
                post_id = _post_id(session, hub, post)
        text = flagged_text(hub, form, post_id=post_id, urgency=urgency, limit=limit, now=datetime.now(UTC))
        click.echo(text, nl=not text.endswith("\n"))


def _post_id(session: Any, hub: Any, wanted: str) -> str:
    from server import places

    if len(wanted) == 36 and not _is_uuid(wanted):
        _wrong_use(f"there is no post {wanted!r}")
    found = places.find_post(session, hub.district, wanted)
    if found is None:
        _wrong_use(f"there is no post {wanted!r}")
    return found.id


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


@main.command()
@_data_option
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
    from server.completeness import completeness as look
    from server.completeness import period, text_of
    from server.review import Scope

    hub = _hub(data)
    try:
        first, last = period(day, month, hub.settings.today(datetime.now(UTC)))
    except ValueError as error:
        _wrong_use(str(error))
    with _told(), hub.database.reading() as session:
        post_id = _post_id(session, hub, post) if post else None
        scope = Scope.whole_district(hub, shows_names=False)
        report = look(session, hub, scope, first, last, post_id=post_id)
    click.echo(text_of(report, form).rstrip("\n"))
    if not report.complete:
        changes, measured = report.missing, report.not_arrived
        if changes or measured:
            click.echo(f"Belum sampai: {changes} perubahan, {measured} pengukuran", err=True)
            click.echo(f"Not arrived: {changes} changes, {measured} measurements", err=True)
        if not report.add_up:
            click.echo("Tanda terima dan catatan berbeda / Receipts and ledger do not agree", err=True)
        sys.exit(NEEDS_ATTENTION)


@main.group()
def reports() -> None:
    """Figures of areas by month: SKDN, prevalence, services, data quality, aid."""


@reports.command("refresh")
@_data_option
@click.option("--from-nothing", is_flag=True, help="Count everything again, whatever was counted before.")
def reports_refresh(data: Path | None, from_nothing: bool) -> None:
    """Count what has news since it was counted, as the timetable does every few minutes."""
    from server import reports as figures

    hub = _hub(data)
    with _told():
        done = figures.refresh(hub, datetime.now(UTC), actor="operator", from_nothing=from_nothing)
    click.echo(
        f"{done.posts} posts counted, {done.rows} rows of posts written;"
        f" {done.months} months added up, {done.sums} rows of areas written"
    )


_area_option = click.option(
    "--area", default=None, help="Code of a desa, kecamatan or kabupaten, or name or id of a posyandu."
)


@reports.command("show")
@_data_option
@_area_option
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
        place, last, reader = _asked_of(hub, area, month, public, now)
        return text_of(hub, reader, place, last, months=months, parts=parts, form=form)

    click.echo(_looked(data, look).rstrip("\n"))


@reports.command("monev")
@_data_option
@_area_option
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
        _wrong_use("FILE ends in .pdf or .xlsx")

    def look(hub: Any, now: datetime) -> str:
        place, until, reader = _asked_of(hub, area, last, public, now)
        since = _first_of(first)
        if not 0 <= (until.year - since.year) * 12 + until.month - since.month < monev.MOST_MONTHS:
            _wrong_use(f"a report goes over 1 to {monev.MOST_MONTHS} months")
        with hub.database.reading() as session:
            found = monev.gather(session, hub, reader, place, since, until, now=now)
        file.write_bytes((monev.pdf if file.suffix == ".pdf" else monev.xlsx)(found, language))
        return f"{file} written"

    click.echo(_looked(data, look))


def _first_of(month: str) -> date:
    try:
        if len(month) != 7:
            raise ValueError
        return date.fromisoformat(f"{month}-01")
    except ValueError:
        _wrong_use(f"{month!r} is no month: write it like 2026-03")


def _asked_of(
    hub: Any, area: str | None, month: str | None, public: bool, now: datetime
) -> tuple[Any, date, Any]:
    """Find the area that was named, and the month."""
    from server import reports as figures

    last = _first_of(month) if month else hub.settings.today(now).replace(day=1)
    reader = figures.Reader.operator(hub, sees_small=not public)
    with hub.database.reading() as session:
        if area is None:
            return figures.own_area(session, hub, reader), last, reader
        kinds = {2: "district", 3: "subdistrict", 4: "village"}
        kind = kinds.get(len(area.split("."))) if area.replace(".", "").isdigit() else None
        code = area if kind else _post_id(session, hub, area)
        return figures.area(session, hub, reader, kind or "post", code), last, reader


@main.group()
def aid() -> None:
    """Donors and what they promised, and who in need has nothing."""


@aid.command("gap")
@_data_option
@_format_option
@click.option("--area", default="", help="Code of a desa or kecamatan; else the whole district.")
@click.option("--month", help="Aid of this month, such as 2026-03; the present one if none is given.")
def aid_gap(data: Path | None, form: str, area: str, month: str | None) -> None:
    """Say by village who in need has no aid, and what could close the gap. What is shown is logged."""
    from server.aid import need, register, telling
    from server.aid.area import names_of

    def look(hub: Any, now: datetime) -> str:
        today = hub.settings.today(now)
        first = _first_of(month) if month else today.replace(day=1)
        last = min(need.months_on(first, 1), max(first, today))
        with hub.database.reading() as session:
            part = register.whole_district(session, hub).part(hub, area)
            shown = need.standing(session, hub, part, first, last, today)
            names = names_of(session, hub)
        with hub.database.transaction() as session:
            need.log_viewed(session, hub, shown, OPERATOR, now)
        if form == "json":
            told = telling.gap(shown, names, sees_children=True)
            return telling.json_of({"first": first, "last": last, **told})
        return telling.text_of(telling.GAP, telling.villages_of(shown, names, sees_children=True), form)

    click.echo(_looked(data, look).rstrip("\n"))


@aid.command("proposals")
@_data_option
@_format_option
@click.option("--area", default="", help="Code of a desa or kecamatan; else the whole district.")
def aid_proposals(data: Path | None, form: str, area: str) -> None:
    """List what could close the gap today: so many in need in a village, and the commitment for them. It is logged."""
    from server.aid import need, register, telling

    def look(hub: Any, now: datetime) -> str:
        today = hub.settings.today(now)
        with hub.database.reading() as session:
            part = register.whole_district(session, hub).part(hub, area)
            shown = need.standing(session, hub, part, today, today, today)
        with hub.database.transaction() as session:
            need.log_viewed(session, hub, shown, OPERATOR, now)
        return telling.listed(telling.PROPOSALS, telling.proposals(shown), form)

    click.echo(_looked(data, look).rstrip("\n"))


@aid.command("assign")
@_data_option
@click.argument("commitment", type=click.UUID)
@click.option("--village", required=True, help="Code of the village.")
@click.option("--need", "needed", required=True, help="What is needed there: stunted, wasted, two_t or krs.")
@click.option(
    "--seen", required=True, help="As 'aid proposals' told it; when the gap has moved on, look again."
)
def aid_assign(data: Path | None, commitment: UUID, village: str, needed: str, seen: str) -> None:
    """Accept a proposal: promise a commitment to the children or families that it counted."""
    from server.aid import need, register

    def work(hub: Any, session: Any, now: datetime) -> int:
        area, wanted = register.whole_district(session, hub), (str(commitment), village, needed, seen)
        return need.assign(session, hub, area, *wanted, author=OPERATOR, now=now)

    click.echo(f"{_change(data, work)} assigned")


@aid.command("donors")
@_data_option
@_format_option
def aid_donors(data: Path | None, form: str) -> None:
    """List the donors."""
    from server.aid import register, telling

    def look(hub: Any, _now: datetime) -> str:
        with hub.database.reading() as session:
            rows = [telling.donor(donor) for donor in register.donors(session, hub)]
        return telling.listed(telling.DONORS, rows, form)

    click.echo(_looked(data, look).rstrip("\n"))


def _given_options(*options: tuple[str, str]) -> Callable[..., Any]:
    """Add options of text to a command; what they may hold is told by the room that is asked."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for name, words in reversed(options):
            command = click.option(f"--{name}", help=words)(command)
        return command

    return add


def _given_alone(asked: dict[str, Any]) -> dict[str, Any]:
    """Give the options that were given."""
    return {name: value for name, value in asked.items() if value is not None}


_donor_options = _given_options(
    ("kind", "government, business, community, academia or media."),
    ("authority", "Who supervises a company: centre, province or regency; '' for nobody."),
    ("person", "Whom to talk to; this and the next three are kept sealed."),
    ("phone", "Their telephone."),
    ("address", "Their address."),
    ("legal-id", "The donor's legal identity, such as its NIB."),
)


@aid.command("add-donor")
@_data_option
@click.argument("name")
@_donor_options
@click.option("--named", is_flag=True, help="It agrees to be named.")
def aid_add_donor(data: Path | None, **asked: Any) -> None:
    """Put a donor into the register; print its id."""
    from server.aid import register

    click.echo(
        _change(
            data,
            lambda hub, session, now: register.add_donor(session, hub, asked, author=OPERATOR, now=now),
        )
    )


@aid.command("change-donor")
@_data_option
@click.argument("donor")
@click.option("--name", help="Its new name.")
@_donor_options
@click.option("--named/--not-named", default=None, help="Whether it agrees to be named.")
def aid_change_donor(data: Path | None, donor: str, **asked: Any) -> None:
    """Change what is known of DONOR (name or id): what is given alone."""
    from server.aid import register

    def work(hub: Any, session: Any, now: datetime) -> None:
        area, donor_id = register.whole_district(session, hub), _donor_id(session, hub, donor)
        told = _given_alone(asked)
        register.change_donor(session, hub, area, donor_id, told, author=OPERATOR, now=now)

    _change(data, work)


@aid.command("commitments")
@_data_option
@_format_option
def aid_commitments(data: Path | None, form: str) -> None:
    """List what donors promised and how much of it is assigned and delivered."""
    from server.aid import register, telling

    def look(hub: Any, _now: datetime) -> str:
        with hub.database.reading() as session:
            rows = [telling.commitment(promise) for promise in register.promises(session, hub)]
        return telling.listed(telling.COMMITMENTS, rows, form)

    click.echo(_looked(data, look).rstrip("\n"))


_MENU = ("menu", "food, insurance, counselling, latrine, water, housing or other.")
_FUNDS = ("funds", "Who pays: genting, csr, partner; dak, apbd, village are the state's.")
_commitment_options = _given_options(
    _MENU,
    _FUNDS,
    ("region", "Code of the village, subdistrict or regency where it may go."),
    ("places", "For how many children or families."),
    ("value-rp", "What it is worth for each, in whole rupiah."),
    ("starts-on", "From this day, such as 2026-03-01."),
    ("months", "For how many months."),
)


@aid.command("add-commitment")
@_data_option
@click.argument("donor")
@_commitment_options
def aid_add_commitment(data: Path | None, donor: str, **asked: Any) -> None:
    """Write down what DONOR (name or id) promises; print the commitment's id."""
    from server.aid import register

    def work(hub: Any, session: Any, now: datetime) -> str:
        area = register.whole_district(session, hub)
        told = asked | {"donor": _donor_id(session, hub, donor)}
        return register.add_commitment(session, hub, area, told, author=OPERATOR, now=now)

    click.echo(_change(data, work))


@aid.command("change-commitment")
@_data_option
@click.argument("commitment", type=click.UUID)
@click.option("--donor", help="Another donor (name or id).")
@_commitment_options
def aid_change_commitment(data: Path | None, commitment: UUID, **asked: Any) -> None:
    """Change a commitment: what is given alone. What was assigned of it stands."""
    from server.aid import register

    def work(hub: Any, session: Any, now: datetime) -> None:
        area, told = register.whole_district(session, hub), _given_alone(asked)
        if "donor" in told:
            told["donor"] = _donor_id(session, hub, told["donor"])
        register.change_commitment(session, hub, area, str(commitment), told, author=OPERATOR, now=now)

    _change(data, work)


@aid.command("close")
@_data_option
@click.argument("commitment", type=click.UUID)
@click.option("--reason", type=click.Choice(["fulfilled", "withdrawn", "ended", "mistaken"]), required=True)
def aid_close(data: Path | None, commitment: UUID, reason: str) -> None:
    """Close a commitment: nothing more is assigned of it; what was assigned stands."""
    from server.aid import register

    def work(hub: Any, session: Any, now: datetime) -> None:
        area = register.whole_district(session, hub)
        register.close(session, hub, area, str(commitment), reason, author=OPERATOR, now=now)

    _change(data, work)


@aid.command("progress")
@_data_option
@click.argument("donor")
def aid_progress(data: Path | None, donor: str) -> None:
    """Print as JSON what DONOR (name or id) is told of what it funds: groups of five or more, never a child."""
    from server.aid import progress, telling

    def look(hub: Any, now: datetime) -> str:
        with hub.database.reading() as session:
            donor_id = _donor_id(session, hub, donor)
            told = progress.of_donor(session, hub, donor_id, hub.settings.today(now))
        return telling.json_of(telling.own(told))

    click.echo(_looked(data, look))


@aid.command("activities")
@_data_option
@_format_option
@click.option("--area", default="", help="Code of a desa or kecamatan; else the whole district.")
@click.option(
    "--sheet", type=click.UUID, help="The rows of this sheet, instead of what was written down by hand."
)
def aid_activities(data: Path | None, form: str, area: str, sheet: UUID | None) -> None:
    """List what was done for villages. Who received something is not told."""
    from server.aid import register, sheets, telling

    def look(hub: Any, now: datetime) -> str:
        with hub.database.reading() as session:
            part = register.whole_district(session, hub).part(hub, area)
            if sheet is None:
                found = register.activities(session, hub, part)
            else:
                found = sheets.rows_of(
                    session, hub, part, sheets.find(session, hub, part, str(sheet), OPERATOR).id
                )
            rows = [telling.activity(row) for row in found]
        if sheet is not None:
            with hub.database.transaction() as session:
                sheets.log_viewed(session, hub, str(sheet), OPERATOR, now)
        return telling.listed(telling.ACTIVITIES, rows, form)

    click.echo(_looked(data, look).rstrip("\n"))


@aid.command("add-activity")
@_data_option
@click.argument("title")
@click.option("--donor", help="Who gives it (name or id); nobody in particular if not given.")
@_given_options(
    _MENU,
    _FUNDS,
    ("village", "Code of the village."),
    ("starts-on", "From this day, such as 2026-03-01."),
    ("ends-on", "Until this day; the same day if not given."),
    ("value-rp", "What it is worth, in whole rupiah."),
    ("reached", "How many people it reached."),
    ("evidence", "What shows that it was done."),
)
def aid_add_activity(data: Path | None, donor: str | None, **asked: Any) -> None:
    """Write down what was done for a village, such as a well; print the activity's id."""
    from server.aid import register

    def work(hub: Any, session: Any, now: datetime) -> str:
        area = register.whole_district(session, hub)
        told = asked | ({"donor": _donor_id(session, hub, donor)} if donor else {})
        return register.add_activity(session, hub, area, told, author=OPERATOR, now=now)

    click.echo(_change(data, work))


@aid.command("decide")
@_data_option
@click.argument("activity", type=click.UUID)
@_given_options(
    ("category", "specific, sensitive, disaster or other."), _MENU, ("village", "Code of the village.")
)
@click.option(
    "--action",
    type=click.Choice(["apart", "drop", "restore", "verify"]),
    help="It doubles nothing; it does not count; it counts again; somebody has seen that it was done.",
)
def aid_decide(data: Path | None, activity: UUID, action: str | None, **asked: Any) -> None:
    """Overrule what was made of an activity or a row of a sheet, or verify it."""
    from server.aid import register

    told = _given_alone(asked) | ({action: True} if action else {})
    if not told:
        _wrong_use("nothing to decide: give --category, --menu, --village or --action")

    def work(hub: Any, session: Any, now: datetime) -> None:
        area = register.whole_district(session, hub)
        register.decide(session, hub, area, str(activity), told, author=OPERATOR, now=now)

    _change(data, work)


@aid.command("give")
@_data_option
@click.argument("activity", type=click.UUID)
@click.argument("child_id", metavar="CHILD", type=click.UUID)
def aid_give(data: Path | None, activity: UUID, child_id: UUID) -> None:
    """Make a row of a sheet that gives a name alone the delivery of CHILD, or name the one that it tells again."""
    from server.aid import register, sheets

    def work(hub: Any, session: Any, now: datetime) -> str | None:
        area, ids = register.whole_district(session, hub), (str(activity), str(child_id))
        return sheets.give(session, hub, area, *ids, author=OPERATOR, now=now).same_by

    click.echo(_change(data, work))


@aid.command("sheets")
@_data_option
@_format_option
def aid_sheets(data: Path | None, form: str) -> None:
    """List the sheets of companies, the newest first; 'import csr' brings one, 'aid activities --sheet' tells its rows."""
    from server.aid import register, sheets, telling

    def look(hub: Any, _now: datetime) -> str:
        with hub.database.reading() as session:
            found = sheets.sheets(session, hub, register.whole_district(session, hub), OPERATOR)
            rows = [telling.sheet(one) for one in found]
        return telling.listed(telling.SHEETS, rows, form)

    click.echo(_looked(data, look).rstrip("\n"))


@aid.command("child")
@_data_option
@_format_option
@click.argument("child_id", metavar="CHILD", type=click.UUID)
def aid_child(data: Path | None, form: str, child_id: UUID) -> None:
    """List what CHILD got and is to get. That it was shown is logged."""
    from server.aid import deliveries, telling
    from server.review import Scope

    def look(hub: Any, now: datetime) -> str:
        scope = Scope.whole_district(hub, shows_names=False)
        with hub.database.reading() as session:
            found = deliveries.of_child(session, hub, scope, str(child_id))
        with hub.database.transaction() as session:
            deliveries.log_viewed(session, hub, str(child_id), OPERATOR, now, scope)
        if form == "json":
            return telling.json_of([telling.given(one) for one in found])
        return telling.text_of(telling.OF_CHILD, [telling.of_child(one) for one in found], form)

    click.echo(_looked(data, look).rstrip("\n"))


@aid.command("record")
@_data_option
@click.argument("child_id", metavar="CHILD", type=click.UUID)
@click.argument("asked", metavar="FILE", type=click.Path(allow_dash=True, path_type=Path))
@click.option(
    "--delivery", type=click.UUID, help="The promised aid that came, as 'aid child' lists it; else a new one."
)
def aid_record(data: Path | None, child_id: UUID, asked: Path, delivery: UUID | None) -> None:
    """Write down an aid of CHILD, or that one came: a JSON object with any of aid, delivered, evidence, verified, note.

    Such as {"delivered": {"given_on": "2026-03-05"}, "verified": {"verified_on": "2026-03-06", "outcome": "received"}}
    in FILE, or "-" for standard input.
    """
    _record(data, child_id, _asked(asked), delivery)


@aid.command("verify")
@_data_option
@click.argument("child_id", metavar="CHILD", type=click.UUID)
@click.argument("delivery", type=click.UUID)
@click.option("--outcome", required=True, help="received, partly or not_received.")
@click.option("--on", "day", help="The day on which somebody looked, such as 2026-03-05; today if not given.")
def aid_verify(data: Path | None, child_id: UUID, delivery: UUID, outcome: str, day: str | None) -> None:
    """Write down that somebody looked whether an aid of CHILD came, and found so."""
    today = _settings(data).today(datetime.now(UTC)).isoformat()
    _record(data, child_id, {"verified": {"verified_on": day or today, "outcome": outcome}}, delivery)


def _record(data: Path | None, child_id: UUID, asked: dict[str, Any], delivery: UUID | None) -> None:
    from server.aid import deliveries
    from server.review import Scope

    def work(hub: Any, session: Any, now: datetime) -> None:
        scope, child = Scope.whole_district(hub, shows_names=False), str(child_id)
        told = dict(asked)
        if delivery is not None:
            told |= deliveries.named(session, hub, scope, child, str(delivery))
        deliveries.record(session, hub, scope, child, told, author=OPERATOR, now=now)

    _change(data, work)


# -- what the office decides ----------------------------------------------------------------------


def _looked(data: Path | None, look: Callable[[Any, datetime], str]) -> str:
    """Give what is to be shown; a refusal is told and exits 2."""
    from server.errors import Problem

    hub = _hub(data)
    try:
        with _told():
            return look(hub, datetime.now(UTC))
    except Problem as problem:
        _refused(problem)


def _asked(source: Path) -> dict[str, Any]:
    """Read a JSON object from a file or, for "-", from standard input."""
    import json

    try:
        text = sys.stdin.read() if str(source) == "-" else source.read_text(encoding="utf-8")
        read = json.loads(text)
    except (OSError, ValueError) as error:
        _wrong_use(f"{source} cannot be read as JSON: {error}")
    if not isinstance(read, dict):
        _wrong_use(f"{source} holds no JSON object")
    return read


def _post_or_none(hub: Any, post: str | None) -> str | None:
    if post is None:
        return None
    with hub.database.reading() as session:
        return _post_id(session, hub, post)


_json_file = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)


@main.group()
def quarantine() -> None:
    """Changes that were set aside: list, show, correct and release, or dismiss them, and take either back. What is shown is
    logged."""


@quarantine.command("list")
@_data_option
@_format_option
@click.option(
    "--state", type=click.Choice(["open", "answered", "decided"]), default="open", show_default=True
)
@click.option("--post", help="Only this post (name or id).")
def quarantine_list(data: Path | None, form: str, state: str, post: str | None) -> None:
    """List changes that were set aside, longest waiting first."""
    from server.review import desk

    def look(hub: Any, now: datetime) -> str:
        return desk.list_cases(hub, form, state=state, post_id=_post_or_none(hub, post), now=now)

    click.echo(_looked(data, look).rstrip("\n"))


@quarantine.command("show")
@_data_option
@click.argument("actor", type=click.UUID)
@click.argument("counter", type=click.IntRange(1))
def quarantine_show(data: Path | None, actor: UUID, counter: int) -> None:
    """Print a change as it came, why it was set aside, and its record as it stands now."""
    from server.review import desk

    click.echo(_looked(data, lambda hub, now: desk.show_case(hub, str(actor), counter, now)))


@quarantine.command("release")
@_data_option
@click.argument("actor", type=click.UUID)
@click.argument("counter", type=click.IntRange(1))
@click.option(
    "--correction", type=_json_file, help='JSON file: {"set": …, "key": …}; without it, as it came.'
)
def quarantine_release(data: Path | None, actor: UUID, counter: int, correction: Path | None) -> None:
    """Make a corrected copy of a change, with what its author had seen, and print what came of it."""
    from server.review import Scope
    from server.review.quarantine import release

    asked = _asked(correction) if correction else {}

    def work(hub: Any, session: Any, now: datetime) -> Any:
        scope = Scope.whole_district(hub, shows_names=True)
        return release(session, hub, scope, str(actor), counter, asked, author=OPERATOR, now=now)

    _tell_done(_change(data, work))


@quarantine.command("dismiss")
@_data_option
@click.argument("actor", type=click.UUID)
@click.argument("counter", type=click.IntRange(1))
@click.option("--reason", required=True, help="A code, such as recorded-again; a wrong one lists them all.")
def quarantine_dismiss(data: Path | None, actor: UUID, counter: int, reason: str) -> None:
    """Put a change away for good. It stays in the ledger."""
    from server.review import Scope
    from server.review.quarantine import dismiss

    def work(hub: Any, session: Any, now: datetime) -> Any:
        scope = Scope.whole_district(hub, shows_names=True)
        asked = {"reason": reason}
        return dismiss(session, hub, scope, str(actor), counter, asked, author=OPERATOR, now=now)

    _tell_done(_change(data, work))


@quarantine.command("reopen")
@_data_option
@click.argument("actor", type=click.UUID)
@click.argument("counter", type=click.IntRange(1))
def quarantine_reopen(data: Path | None, actor: UUID, counter: int) -> None:
    """Take a dismissal back: the change waits again."""
    _take_back(data, "reopen", actor, counter)


@quarantine.command("undo")
@_data_option
@click.argument("actor", type=click.UUID)
@click.argument("counter", type=click.IntRange(1))
def quarantine_undo(data: Path | None, actor: UUID, counter: int) -> None:
    """Take a release back: what it wrote is as it was before, and the change waits again."""
    _take_back(data, "undo", actor, counter)


def _take_back(data: Path | None, what: str, actor: UUID, counter: int) -> None:
    from server.review import Scope
    from server.review import quarantine as room

    def work(hub: Any, session: Any, now: datetime) -> Any:
        scope = Scope.whole_district(hub, shows_names=True)
        decide = room.reopen if what == "reopen" else room.undo
        return decide(session, hub, scope, str(actor), counter, author=OPERATOR, now=now)

    _tell_done(_change(data, work))


@main.group()
def conflict() -> None:
    """Records on which tablets disagree: list, show and settle them. What is shown is logged."""


@conflict.command("list")
@_data_option
@_format_option
@click.option("--post", help="Only this post (name or id).")
def conflict_list(data: Path | None, form: str, post: str | None) -> None:
    """List the records in conflict, and those that are incomplete."""
    from server.review import desk

    def look(hub: Any, now: datetime) -> str:
        return desk.list_conflicts(hub, form, post_id=_post_or_none(hub, post), now=now)

    click.echo(_looked(data, look).rstrip("\n"))


@conflict.command("show")
@_data_option
@click.argument("kind", type=click.Choice(["child", "measurement", "follow_up", "delivery"]))
@click.argument("record", type=click.UUID)
def conflict_show(data: Path | None, kind: str, record: UUID) -> None:
    """Print a record in conflict: every value, who gave it, and the context; keep it for `conflict settle`."""
    from server.review import desk

    click.echo(_looked(data, lambda hub, now: desk.show_conflict(hub, kind, str(record), now)))


@conflict.command("settle")
@_data_option
@click.argument("shown", type=_json_file)
@click.option("--choose", multiple=True, metavar="REGISTER=N", help="Take the N-th value shown, from 1.")
@click.option("--value", multiple=True, metavar="REGISTER=JSON", help="Give a new value.")
@click.option("--removal", type=click.Choice(["keep", "remove"]), help="Decide a contested removal.")
@click.option("--reason", required=True, help="A code, such as measured-again; a wrong one lists them all.")
def conflict_settle(
    data: Path | None,
    shown: Path,
    choose: tuple[str, ...],
    value: tuple[str, ...],
    removal: str | None,
    reason: str,
) -> None:
    """Settle a record in conflict as it was printed by `conflict show` into the file SHOWN."""
    from server.review import Scope
    from server.review.conflicts import settle

    record = _asked(shown)
    chosen = {**_chosen(record, choose), **_given(value)}
    asked = {"context": record.get("context"), "reason": reason, "set": chosen, "removal": removal}

    def work(hub: Any, session: Any, now: datetime) -> Any:
        scope = Scope.whole_district(hub, shows_names=True)
        kind, record_id = str(record.get("kind")), str(record.get("record"))
        return settle(session, hub, scope, kind, record_id, asked, author=OPERATOR, now=now)

    settled = _change(data, work)
    _tell_done(settled)
    sys.exit(NEEDS_ATTENTION if settled.remaining else 0)


def _chosen(record: dict[str, Any], choose: tuple[str, ...]) -> dict[str, Any]:
    """Find the dots of the values that were chosen by their numbers."""
    chosen = {}
    for each in choose:
        register, _, number = each.partition("=")
        try:
            several = record["conflicts"][register]
            chosen[register] = {"dots": several[range(1, len(several) + 1).index(int(number))]["dots"]}
        except (KeyError, TypeError, ValueError):
            _wrong_use(
                f"--choose {each}: name a register in conflict and the number of a value shown, from 1"
            )
    return chosen


def _given(value: tuple[str, ...]) -> dict[str, Any]:
    """Read the values that were given anew."""
    import json

    given = {}
    for each in value:
        register, _, text = each.partition("=")
        try:
            given[register] = {"value": json.loads(text)}
        except ValueError as error:
            _wrong_use(f"--value {register}: what follows '=' is no JSON: {error}")
    return given


def _tell_done(done: Any) -> None:
    """Print what came of a decision, as JSON."""
    import json

    click.echo(json.dumps(done.wire(), ensure_ascii=False))


@main.group()
def duplicate() -> None:
    """Children who may be registered twice: list, show, link, unlink, call different, reopen. What is shown is logged."""


@duplicate.command("list")
@_data_option
@_format_option
@click.option(
    "--status", type=click.Choice(["open", "linked", "different"]), default="open", show_default=True
)
def duplicate_list(data: Path | None, form: str, status: str) -> None:
    """List pairs of children who may be one, those for whom most speaks first."""
    from server.review import desk

    text = _looked(data, lambda hub, now: desk.list_duplicates(hub, form, status=status, now=now))
    click.echo(text.rstrip("\n"))


@duplicate.command("show")
@_data_option
@click.argument("child", type=click.UUID)
@click.argument("other", type=click.UUID)
def duplicate_show(data: Path | None, child: UUID, other: UUID) -> None:
    """Print two children side by side: who they are, where, and what speaks for one child."""
    from server.review import desk

    click.echo(_looked(data, lambda hub, now: desk.show_duplicate(hub, str(child), str(other), now)))


@duplicate.command("link")
@_data_option
@click.argument("child", type=click.UUID)
@click.argument("other", type=click.UUID)
def duplicate_link(data: Path | None, child: UUID, other: UUID) -> None:
    """Say that two records are of one child: their measurements are read together, and both ids go on working."""
    _decide_pair(data, "link", child, other)


@duplicate.command("unlink")
@_data_option
@click.argument("child", type=click.UUID)
@click.argument("other", type=click.UUID)
def duplicate_unlink(data: Path | None, child: UUID, other: UUID) -> None:
    """Take the link between two records back: each is a child of its own again, as before."""
    _decide_pair(data, "unlink", child, other)


@duplicate.command("different")
@_data_option
@click.argument("child", type=click.UUID)
@click.argument("other", type=click.UUID)
def duplicate_different(data: Path | None, child: UUID, other: UUID) -> None:
    """Say that two records are of two children; they are not found as a pair again."""
    _decide_pair(data, "different", child, other)


@duplicate.command("reopen")
@_data_option
@click.argument("child", type=click.UUID)
@click.argument("other", type=click.UUID)
def duplicate_reopen(data: Path | None, child: UUID, other: UUID) -> None:
    """Take back that two records are of two children: the pair waits for somebody again."""
    _decide_pair(data, "reopen", child, other)


def _decide_pair(data: Path | None, decision: str, child: UUID, other: UUID) -> None:
    """Decide about a pair as it stands now, and print what came of it."""
    from server.review import Scope, duplicates

    one, two = str(child), str(other)

    def work(hub: Any, session: Any, now: datetime) -> Any:
        scope = Scope.whole_district(hub, shows_names=False)
        if decision in ("different", "reopen"):
            part = duplicates.different if decision == "different" else duplicates.reopen
            return part(session, hub, scope, one, two, author=OPERATOR, now=now)
        sides = duplicates.pair(session, hub, scope, one, two)
        seen = {side.child_id: side.context for side in (sides.one, sides.other)}
        decide = duplicates.link if decision == "link" else duplicates.unlink
        return decide(session, hub, scope, one, two, seen, author=OPERATOR, now=now)

    _tell_done(_change(data, work))


@main.group()
def child() -> None:
    """Children: which post they belong to, and which of them are one."""


@child.command("move")
@_data_option
@click.argument("child_id", metavar="CHILD", type=click.UUID)
@click.option("--to", required=True, help="The post that the child goes to (name or id).")
def child_move(data: Path | None, child_id: UUID, to: str) -> None:
    """Send a child to another post; both posts are told, and edits under way from the old one are routed."""
    from server.models import Child
    from server.review import Scope
    from server.review.moves import move

    def work(hub: Any, session: Any, now: datetime) -> Any:
        present = session.get(Child, (hub.district, str(child_id)))
        going = {"from": present.post_id if present else None, "to": _post_id(session, hub, to)}
        scope = Scope.whole_district(hub, shows_names=True)
        return move(session, hub, scope, str(child_id), going, author=OPERATOR, now=now)

    _tell_done(_change(data, work))


# -- administration -------------------------------------------------------------------------------


def _one_line(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    """Refuse a name that would break a line of a list, or that nobody could see."""
    if not name.strip() or not name.isprintable() or len(name) > 100:
        raise click.BadParameter("give 1 to 100 visible characters")
    return name.strip()


@main.group()
def tablet() -> None:
    """Enrol, list and revoke tablets."""


@tablet.command("enrol")
@_data_option
@click.option("--post", required=True, help="The tablet's post (name or id).")
@click.option(
    "--name", required=True, callback=_one_line, help="What the tablet is called, such as 'Tablet Melati 1'."
)
def tablet_enrol(data: Path | None, post: str, name: str) -> None:
    """Print a one-time code with which a device becomes a tablet of a post."""
    from server import accounts

    def work(hub: Any, session: Any, now: datetime) -> str:
        post_id = _post_id(session, hub, post)
        return accounts.make_enrolment_code(session, hub, post_id, name, actor=OPERATOR, now=now)

    click.echo(_change(data, work))  # only now: a code that was not committed is worth nothing


@tablet.command("list")
@_data_option
@_format_option
def tablet_list(data: Path | None, form: str) -> None:
    """List tablets: changes held, told of and missing, set aside; last contact, clock, state; what each goes on from."""
    from server.review import desk

    click.echo(_looked(data, lambda hub, _: desk.list_tablets(hub, form)).rstrip("\n"))


@tablet.command("whose-data")
@_data_option
@click.argument("tablet_id", type=click.UUID)
@click.option("--format", "form", type=click.Choice(["csv", "json"]), default="csv", show_default=True)
def tablet_whose_data(data: Path | None, tablet_id: UUID, form: str) -> None:
    """List whose data was on a lost tablet, with names; that is logged."""
    import json

    from server import audit
    from server.review import Scope, exposure

    def look(hub: Any, now: datetime) -> str:
        scope = Scope.whole_district(hub, shows_names=True)
        with hub.database.reading() as session:
            found = exposure.exposure(session, hub, scope, str(tablet_id))
        details = {"tablet": found.tablet.id, "children": len(found.children), "names": True}
        stream = audit.post_stream(found.tablet.post_id)
        with hub.database.transaction() as session:
            audit.append(
                *(session, hub.district, stream, "tablet.exposure-exported"),
                actor=OPERATOR,
                now=now,
                details=details,
            )
        if form == "json":
            return json.dumps(found.wire(), ensure_ascii=False, indent=1)
        return "".join(exposure.exposure_csv(found))

    click.echo(_looked(data, look).rstrip("\r\n"))


@tablet.command("revoke")
@_data_option
@click.argument("tablet_id", type=click.UUID)
def tablet_revoke(data: Path | None, tablet_id: UUID) -> None:
    """Revoke a tablet: what it still sends is kept for a person to judge."""
    from server import accounts

    _change(data, lambda hub, s, now: accounts.revoke_tablet(s, hub, str(tablet_id), actor=OPERATOR, now=now))


def _change(data: Path | None, work: Callable[[Any, Any, datetime], Any]) -> Any:
    """Do one change in one transaction; a refusal is told and exits 2."""
    from server.errors import Problem
    from server.office import decide

    hub = _hub(data)
    try:
        with _told():
            return decide(hub, lambda session: work(hub, session, datetime.now(UTC)))
    except Problem as problem:
        _refused(problem)
    except ValueError as error:
        _wrong_use(str(error))


def _refused(problem: Any) -> NoReturn:
    """Tell why something was refused: each reason with its remedy, in both languages."""
    for reason in problem.details.get("reasons", ()):
        click.echo(f"{reason['path']}: {reason['id']} / {reason['en']}", err=True)
    _wrong_use(str(problem.body()["title_en"]))


@main.group()
def user() -> None:
    """Add, invite, list, reset and disable people who sign in."""


@user.command("add")
@_data_option
@click.argument("username")
@click.option("--name", "display_name", required=True, callback=_one_line, help="The person's name as shown.")
@click.option("--role", type=click.Choice(list(_ROLES)), required=True)
@click.option("--post", help="May see this post only (name or id).")
@click.option("--health-centre", help="May see this health centre only (id).")
@click.option("--village", help="May see this desa or kelurahan only (code).")
@click.option("--subdistrict", help="May see this kecamatan only (code).")
@click.option("--donor", help="With the role donor: the donor whose aid they see (name or id).")
@click.option("--password", help="Asked for if not given.")
@click.option("--invite", is_flag=True, help="Set no password: print a one-time link with which they set it.")
def user_add(
    data: Path | None,
    username: str,
    display_name: str,
    role: str,
    password: str | None,
    invite: bool,
    **area: str | None,
) -> None:
    """Add a person; without an area they see the whole district (a donor: nothing)."""
    from server import accounts

    given = {kind: wanted for kind, wanted in area.items() if wanted}
    if len(given) > 1:
        options = " or ".join(f"--{kind.replace('_', '-')}" for kind in area)
        _wrong_use(f"give {options}, not both")
    if invite and password:
        _wrong_use("give --password or --invite, not both")
    if not invite and password is None:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)

    def work(hub: Any, session: Any, now: datetime) -> str | None:
        kind, scope = _area(session, hub, role, given)
        account_id = accounts.add_account(
            session, hub, username, display_name, role, kind, scope, password, actor=OPERATOR, now=now
        )
        if not invite:
            return None
        added = accounts.people.managed_account(session, hub, None, account_id)
        return accounts.people.make_invitation(session, hub, added, actor=OPERATOR, now=now)

    _tell_link(_change(data, work))


def _area(session: Any, hub: Any, role: str, given: dict[str, str]) -> tuple[str, str]:
    """Give kind and id of the scope that was asked for."""
    for kind, wanted in given.items():
        if kind == "post":
            return kind, _post_id(session, hub, wanted)
        if kind == "health_centre":
            return kind, _health_centre_id(session, hub, wanted)
        if kind == "donor":
            return kind, _donor_id(session, hub, wanted)
        return kind, wanted
    return ("none", "") if role == "donor" else ("district", hub.district)


def _tell_link(token: str | None) -> None:
    """Print the path of an invitation; where the server is reached from outside is not known here."""
    from server.accounts.people import INVITATION_DAYS

    if token is None:
        return
    click.echo(f"/undangan/{token}")
    click.echo(
        f"Tautan sekali pakai, {INVITATION_DAYS} hari: buka di alamat server, misalnya https://…/undangan/…"
        f" / One-time link, {INVITATION_DAYS} days: open it at the server's address.",
        err=True,
    )


def _health_centre_id(session: Any, hub: Any, wanted: str) -> str:
    from server.models import HealthCentre

    if not _is_uuid(wanted) or session.get(HealthCentre, (hub.district, wanted.lower())) is None:
        _wrong_use(f"there is no health centre {wanted!r}")
    return wanted.lower()


@user.command("list")
@_data_option
def user_list(data: Path | None) -> None:
    """List people: user name, role, what they may see, state."""
    from server.accounts.people import people

    hub = _hub(data)
    with _told(), hub.database.reading() as session:
        rows = people(session, hub, None, datetime.now(UTC))
    click.echo("username\trole\tscope\tstate")
    for row in rows:
        click.echo(f"{row.username}\t{row.role}\t{row.scope_kind} {row.scope}".rstrip() + f"\t{row.state}")


@user.command("reset")
@_data_option
@click.argument("username")
def user_reset(data: Path | None, username: str) -> None:
    """Print a one-time link with which somebody sets a new password and a new second factor.

    Until it is opened nothing changes; then the old password, the second factor and every session end.
    """
    from server.accounts.people import account_named, make_invitation

    def work(hub: Any, session: Any, now: datetime) -> str:
        found = account_named(session, hub, username)
        return make_invitation(session, hub, found, actor=OPERATOR, now=now)

    _tell_link(_change(data, work))


@user.command("disable")
@_data_option
@click.argument("username")
def user_disable(data: Path | None, username: str) -> None:
    """Take a person's right to sign in and end their sessions."""
    from server import accounts

    _change(data, lambda hub, s, now: accounts.disable_account(s, hub, username, actor=OPERATOR, now=now))


@user.command("enable")
@_data_option
@click.argument("username")
def user_enable(data: Path | None, username: str) -> None:
    """Give the right to sign in back."""
    from server.accounts.people import account_named, enable

    def work(hub: Any, session: Any, now: datetime) -> None:
        enable(session, hub, account_named(session, hub, username), actor=OPERATOR, now=now)

    _change(data, work)


# -- interchange ----------------------------------------------------------------------------------


@main.group("import")
def import_() -> None:
    """Bring in what came as files; without --apply only say what would happen."""


@import_.command("batch")
@_data_option
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
    from server.carried import Unreadable, as_text, import_files

    hub = _hub(data)
    with _told():
        try:
            done = import_files(hub, files, apply=apply, actor=OPERATOR, now=datetime.now(UTC))
        except Unreadable as error:
            _wrong_use(str(error))
    text = as_text(done.rows, form)
    click.echo(text, nl=not text.endswith("\n"))
    for path in done.written:
        click.echo(f"Bawa kembali ke tablet / take back to the tablet: {path}", err=True)
    for failure in done.unwritten:
        words = "Tanda terima tidak tersimpan, impor sekali lagi / receipts not written, import once more"
        click.echo(f"{words}: {_os_words(failure)}", err=True)
    if not apply:
        click.echo(
            "Belum ada yang disimpan: ulangi dengan --apply / Nothing is stored yet: add --apply", err=True
        )
    sys.exit(NEEDS_ATTENTION if done.needs_attention else 0)


@import_.command("sigizi")
@_data_option
@_format_option
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
    from server.interchange.runs import FEW_TO_SHARE, Options, import_sheet
    from server.interchange.sheets import Unreadable
    from server.interchange.telling import as_text, concerning

    hub = _hub(data)
    accounts: list[Any] = []
    progress = _slowly()
    with _told():
        try:
            with hub.database.reading() as session:
                post_id = _post_id(session, hub, post) if post else ""
            content = file.read_bytes()
            shared = len(content) > FEW_TO_SHARE
            report = import_sheet(
                hub,
                content,
                Options(post_id=post_id, add_posts=add_posts, scope=hub.district),
                apply=apply,
                actor=OPERATOR,
                now=datetime.now(UTC),
                tell=lambda done, total: progress("baris / rows", done, total),
                each=lambda found: accounts.extend(found if rows else concerning(found)),
                workers=(workers or os.cpu_count() or 1) if shared else 0,
            )
        except Unreadable as error:
            _wrong_use(str(error))
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
@_data_option
@_format_option
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
    from server.aid import sheets, telling
    from server.aid.words import FIELDS
    from server.errors import Problem

    chosen = {field: header for field, _, header in (one.partition("=") for one in columns)}
    if not set(chosen) <= set(FIELDS):
        _wrong_use(f"--map FIELD=HEADER; FIELD is one of {', '.join(FIELDS)}")
    hub = _hub(data)
    try:
        with _told():
            with hub.database.reading() as session:
                donor_id = _donor_id(session, hub, donor) if donor else None
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
        _refused(problem)
    if form == "json":
        text = telling.json_of({"counts": done.counts, "already": done.already, "rows": done.rows})
    else:
        text = telling.text_of(telling.ROWS, done.rows, form)
    click.echo(text, nl=not text.endswith("\n"))
    if done.already:
        click.echo("Berkas ini sudah diambil / This file was taken before", err=True)
    elif not apply:
        click.echo(
            "Belum ada yang disimpan: ulangi dengan --apply / Nothing is stored yet: add --apply", err=True
        )
    sys.exit(NEEDS_ATTENTION if done.counts.get("open") or done.counts.get("refused") else 0)


def _donor_id(session: Any, hub: Any, wanted: str) -> str:
    from server.aid import register

    found = register.find_donor(session, hub, wanted)
    if found is None:
        _wrong_use(f"there is no donor {wanted!r}")
    return found.id


@import_.command("runs")
@_data_option
@_format_option
@click.option("--limit", type=click.IntRange(1, 1_000), default=20, show_default=True)
def import_runs(data: Path | None, form: str, limit: int) -> None:
    """List the newest files that were brought, here or on a page: how far each is, and its rows by outcome."""
    from server.interchange import desk
    from server.interchange.telling import runs_text
    from server.review import Scope

    hub = _hub(data)
    with _told(), hub.database.reading() as session:
        found = desk.runs(session, hub, Scope.whole_district(hub, shows_names=False), limit)
    text = runs_text(found, form)
    if text:
        click.echo(text, nl=not text.endswith("\n"))


@import_.command("rows")
@_data_option
@_format_option
@click.argument("run_id", metavar="RUN", type=click.UUID)
@click.option("--which", default="needs", show_default=True, help="needs, all, an outcome, or a rule.")
def import_rows(data: Path | None, form: str, run_id: UUID, which: str) -> None:
    """Say what became of the rows of a file that was brought, by number and without names."""
    from server.errors import Problem
    from server.interchange import desk
    from server.interchange.telling import chosen, rows_text
    from server.review import Scope

    hub = _hub(data)
    with _told(), hub.database.reading() as session:
        try:
            run = desk.run_of(session, hub, Scope.whole_district(hub, shows_names=False), str(run_id))
        except Problem:
            _wrong_use(f"there is no run {run_id}")
        text = rows_text(chosen(desk.accounts(session, hub, run), which), form)
    if text:
        click.echo(text, nl=not text.endswith("\n"))


@import_.command("cases")
@_data_option
@_format_option
@click.option("--decided", is_flag=True, help="Those that were decided, instead of those that wait.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
def import_cases(data: Path | None, form: str, decided: bool, limit: int) -> None:
    """List the rows of imported files that a person must decide about, with whom they may mean. What is listed is logged."""
    from server.interchange import cases
    from server.interchange.telling import cases_text
    from server.review import Scope

    hub = _hub(data)
    scope = Scope.whole_district(hub, shows_names=True)
    with _told():
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
@_data_option
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

    outcome = _change(data, work)
    click.echo(outcome)
    sys.exit(NEEDS_ATTENTION if outcome == "ask" else 0)


# -- what leaves ----------------------------------------------------------------------------------


@main.group("export")
def export() -> None:
    """Write what is here in the formats of others. Every export is logged."""


def _leaving_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Say which measurements leave, of whom, and where they are written."""
    for option in (
        click.option(
            "-o", "--output", default="-", metavar="FILE", help="Where to write; '-' is standard output."
        ),
        click.option("--post", help="Only this post (name or id)."),
        click.option("--to", "last", metavar="DAY", help="Last day of measuring; today if not given."),
        click.option(
            "--from", "first", metavar="DAY", help="First day of measuring, such as 2026-03-01; else all."
        ),
        _data_option,
    ):
        command = option(command)
    return command


def _nik_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--full-nik", is_flag=True, help="NIKs whole instead of masked; the log says so.")(
        command
    )


def _leave(
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

    from server.interchange.leaving import Wanted, log_export
    from server.review import Scope

    hub, now = _hub(data), datetime.now(UTC)
    try:
        days = (
            date.fromisoformat(first or "1990-01-01"),
            date.fromisoformat(last or f"{hub.settings.today(now)}"),
        )
    except ValueError:
        _wrong_use(f"{first or ''} {last or ''}: write days like 2026-03-01".strip())
    with _told():
        with hub.database.reading() as session:
            area = Scope("post", _post_id(session, hub, post), shows_names=False) if post else None
        scope = Scope.whole_district(hub, shows_names=shows_names)
        wanted = Wanted(scope, *days, full_nik=full_nik, area=area)
        with hub.database.transaction() as session:
            log_export(session, hub, wanted, form, actor=OPERATOR, now=now)
        try:
            with _new_file(output) as target, hub.database.reading() as session:
                count = write(target, session, hub, wanted)
        except ValueError as error:
            _wrong_use(str(error))
    click.echo(f"{count:,} baris / rows: {output}", err=True)


@contextmanager
def _new_file(output: str) -> Iterator[BinaryIO]:
    """Give where to write: a file takes its name only when it is whole."""
    import io

    if output == "-":
        whole = io.BytesIO()  # a pipe cannot be gone back in, as a zip must
        yield whole
        sys.stdout.buffer.write(whole.getvalue())
        return
    path = Path(output)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as writing:
            yield writing
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@export.command("sigizi")
@_leaving_options
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
    from server.interchange import sigizi_out

    def write(target: BinaryIO, session: Any, hub: Any, wanted: Any) -> int:
        return sigizi_out.write(target, session, hub, wanted, sheet=sheet, form=form)

    _leave(data, output, f"sigizi-{sheet}", write, first=first, last=last, post=post, full_nik=full_nik)


@export.command("fhir")
@_leaving_options
@_nik_option
@click.option("--anonymous", is_flag=True, help="No names, addresses or NIKs.")
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

    _leave(
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
@_leaving_options
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
    from server.interchange import open_csv

    if codebook:
        with _told(), _new_file(output) as target:
            open_csv.write_codebook(target)
        return
    _leave(
        data, output, "csv", open_csv.write_data, first=first, last=last, post=post, shows_names=birth_dates
    )


@export.command("dhis2")
@_data_option
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
        _wrong_use(str(error))

    def write(target: BinaryIO, _: Any, hub: Any, wanted: Any) -> int:
        now, table = datetime.now(UTC), dhis2.codes(codes)
        return dhis2.write_values(target, hub, wanted, by=by, actor=OPERATOR, now=now, table=table)

    _leave(data, output, "dhis2", write, first=f"{first}", last=f"{last}", post=None, shows_names=False)


# -- parents' rights ------------------------------------------------------------------------------


@main.group()
def rights() -> None:
    """The rights of children's parents: requests and when they are due, copies, erasures (docs/privacy.md)."""


@rights.command("list")
@_data_option
def rights_list(data: Path | None) -> None:
    """List requests that wait for an answer, the one that is due first in front; exits 1 if one is late."""
    from server.review import Scope
    from server.rights import open_requests

    hub, now = _hub(data), datetime.now(UTC)
    with _told(), hub.database.reading() as session:
        found = open_requests(session, hub, Scope.whole_district(hub, shows_names=False))
    for asked in found:
        late = "TERLAMBAT/LATE" if asked.is_overdue(now) else f"{asked.hours_left(now)} h"
        due = f"{asked.due_at:%Y-%m-%d %H:%M}Z"
        click.echo(f"{due}\t{late}\t{asked.kind}\t{asked.status}\t{asked.child_id}\t{asked.post_name}")
    sys.exit(NEEDS_ATTENTION if any(asked.is_overdue(now) for asked in found) else 0)


@rights.command("export")
@_data_option
@click.argument("child", type=click.UUID)
@click.option("--pdf", is_flag=True, help="As a PDF to hand over; else JSON.")
@click.option("--language", type=click.Choice(["id", "en"]), default="id", show_default=True)
@click.option("-o", "--output", default="-", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
def rights_export(data: Path | None, child: UUID, pdf: bool, language: str, output: Path) -> None:
    """Write everything that is held of CHILD and who read it; that is logged."""
    import json

    from server import rights
    from server.errors import Problem
    from server.review import Scope

    hub, now = _hub(data), datetime.now(UTC)
    with _told():
        try:
            with hub.database.reading() as session:
                scope = Scope.whole_district(hub, shows_names=True)
                report = rights.gather(session, hub, scope, str(child), now)
        except Problem as problem:
            _refused(problem)
        with hub.database.transaction() as session:
            rights.log_given(session, hub, OPERATOR, report, "pdf" if pdf else "json", now)
        text = json.dumps(report.wire(), ensure_ascii=False, indent=1).encode()
        _write_whole(output, [rights.as_pdf(report, hub, OPERATOR, language) if pdf else text])


@rights.command("erasures")
@_data_option
def rights_erasures(data: Path | None) -> None:
    """Write who was erased (ids alone) as JSON: keep it with the copy of the keys, for 'rights erase-again'."""
    import json

    from server.rights import erased_so_far

    hub = _hub(data)
    with _told(), hub.database.reading() as session:
        click.echo(json.dumps(erased_so_far(session, hub), indent=1))


@rights.command("erase-again")
@_data_option
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def rights_erase_again(data: Path | None, file: Path) -> None:
    """Erase again those of FILE (of 'rights erasures') who came back with an older backup."""
    import json

    try:
        listed = [
            {name: str(one[name]) for name in ("child_id", "proposed_by", "agreed_by")}
            for one in json.loads(file.read_bytes())
        ]
    except (ValueError, KeyError, TypeError):
        _wrong_use(f"{file}: bukan daftar penghapusan / this is no list of erasures")
    _erase_again(_hub(data), listed)


def _erase_again(hub: Any, listed: list[dict[str, str]]) -> None:
    from server.office import decide

    with _told():
        count = 0
        for one in listed:
            count += decide(hub, partial(_erased_once, hub, [one]))
    click.echo(f"{count} anak dihapus lagi / children erased again", err=True)


def _erased_once(hub: Any, listed: list[dict[str, str]], session: Any) -> int:
    from server.rights import erase_again

    return erase_again(session, hub, listed, now=datetime.now(UTC))


def _erased_here(data: Path | None) -> list[dict[str, str]]:
    """Give who was erased in the database that is about to be replaced, as far as it can be read."""
    from sqlalchemy.exc import SQLAlchemyError

    from server.hub import Hub
    from server.rights import erased_so_far
    from server.security import KeyUnusable

    settings = _settings(data)
    if settings.sqlite_file is not None and not settings.sqlite_file.exists():  # looking would make it
        return []
    try:
        hub = Hub.open(settings)
    except (KeyUnusable, OSError):
        return []
    try:
        with hub.database.reading() as session:
            return erased_so_far(session, hub)
    except SQLAlchemyError:  # nothing there yet, damaged, or of an older release
        return []
    finally:
        hub.database.dispose()


# -- keys -----------------------------------------------------------------------------------------


@main.group()
def key() -> None:
    """Master keys: what is under which, a new one while the server works, a key service that keeps them."""


@key.command("list")
@_data_option
def key_list(data: Path | None) -> None:
    """List the versions of the master key, the newest last: how many rows are under each, and its name in backups."""
    from server import rotation

    hub = _hub(data)
    names = {version: name for name, version in hub.vault.backup_keys().items()}
    with _told(), hub.database.reading() as session:
        for version, counts in sorted(rotation.held(session, hub).items()):
            told = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()) if count)
            click.echo(f"{version}\t{told or '-'}\t{names.get(version, '-')}")


@key.command("rotate")
@_data_option
def key_rotate(data: Path | None) -> None:
    """Add a master key and bring everything under it; the server goes on. Cut short, start it again: it goes on too."""
    from server import rotation

    hub = _hub(data)
    with _told():
        version, moved = rotation.rotate(
            hub, actor=OPERATOR, now=lambda: datetime.now(UTC), progress=_slowly()
        )
    click.echo(
        f"Kunci {version}: {moved.total():,} baris dipindahkan; salin {hub.settings.key_file} ke tempat aman SEKARANG."
        f" / Key {version}: {moved.total():,} rows are under it; copy {hub.settings.key_file} to a safe place NOW.",
        err=True,
    )


@key.command("retire")
@_data_option
@click.argument("version", type=click.IntRange(1))
@click.option("--yes", is_flag=True, help="Do not ask.")
def key_retire(data: Path | None, version: int, yes: bool) -> None:
    """Take an old VERSION out of the key file, for ever; refused while anything here is under it."""
    from server import rotation
    from server.errors import Problem

    hub = _hub(data)
    asked = (
        f"Cadangan lama tidak akan terbaca lagi dengan berkas kunci ini. Hapus kunci {version}?"
        f" / Older backups cannot be read with this key file any more. Remove key {version}?"
    )
    if not yes and not click.confirm(asked, err=True):
        sys.exit(NEEDS_ATTENTION)
    with _told():
        try:
            rotation.retire(hub, version, actor=OPERATOR, now=datetime.now(UTC))
        except Problem as problem:
            _refused(problem)


@key.command("wrap")
@_data_option
@click.option("--undo", is_flag=True, help="Make it a plain file again.")
def key_wrap(data: Path | None, undo: bool) -> None:
    """Bring the key file under the key command (POSYANDU_KEY_COMMAND); servers at work notice nothing."""
    from server import keyfile

    settings = _settings(data)
    if not settings.key_command:
        _wrong_use("set POSYANDU_KEY_COMMAND to the command that wraps and unwraps (docs/keys.md)")
    with _told(), keyfile.changing(settings.key_file):
        before = settings.key_command if keyfile.is_wrapped(settings.key_file) else ""
        keyfile.rewrite(settings.key_file, before, "" if undo else settings.key_command)


# -- operations -----------------------------------------------------------------------------------


@main.command()
@_data_option
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace an older file of that name.")
def backup(data: Path | None, file: Path, force: bool) -> None:
    """Write everything but the keys into one FILE, sealed; the server may go on."""
    from server.backup import BackupRefused
    from server.backup import backup as make

    hub = _hub(data)
    with _told():
        try:
            made = make(hub, file, force=force, now=datetime.now(UTC), progress=_slowly())
        except BackupRefused as error:
            _wrong_use(str(error))
    rows, size = made.manifest.total_rows, file.stat().st_size
    click.echo(f"{file}: {rows:,} baris, {size:,} byte / {rows:,} rows, {size:,} bytes", err=True)
    click.echo(
        f"Kunci {made.key} TIDAK ikut: simpan salinan {hub.settings.key_file} di tempat lain yang aman; tanpa kunci itu"
        f" cadangan tidak dapat dibuka. / Key {made.key} is NOT inside: keep a copy of {hub.settings.key_file}"
        " in another safe place; without it nobody opens the backup.",
        err=True,
    )


@main.command()
@_data_option
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@click.option("--yes", is_flag=True, help="Do not ask before data that are here are replaced.")
@click.option(
    "--trial", is_flag=True, help="Prove it: restore it aside, look at everything, take it away again."
)
@click.option("--plain", is_flag=True, help="Take a file that is not sealed, of an older release.")
@click.option("--already", is_flag=True, help="The database was put back by other means: only make it known.")
def restore(data: Path | None, file: Path | None, yes: bool, trial: bool, plain: bool, already: bool) -> None:
    """Put a backup FILE back, whole or not at all; the server may go on. What was there is kept in a backup of its own."""
    from server import backup as backups

    if (file is None) != already or (trial and already):
        _wrong_use("give the FILE of a backup, or --already")
    settings, now = _settings(data), datetime.now(UTC)
    if trial and file is not None:
        _prove(settings, file, plain)

    def agreed(manifest: backups.Manifest) -> bool:
        asked = (
            f"Data sekarang diganti dengan cadangan {manifest.made_at} ({manifest.total_rows:,} baris)."
            f" / The present data are replaced by the backup of {manifest.made_at} ({manifest.total_rows:,} rows)."
        )
        return yes or click.confirm(asked, err=True)

    erased = [] if file is None else _erased_here(data)
    with _told():
        try:
            if file is None:
                incarnation = backups.mark_restored(settings, now=now)
                click.echo(f"Inkarnasi baru / new incarnation: {incarnation}", err=True)
                return
            done = backups.restore(settings, file, plain=plain, now=now, agreed=agreed, progress=_slowly())
        except backups.BackupRefused as error:
            _wrong_use(str(error))
    _tell_restored(settings, done)
    if erased and not done.keys_missing:
        _erase_again(_hub(data), erased)
    sys.exit(NEEDS_ATTENTION if done.keys_missing else 0)


def _prove(settings: Settings, file: Path, plain: bool) -> NoReturn:
    from server.backup import BackupRefused, prove
    from server.doctor import as_line

    with _told():
        try:
            proof = prove(
                settings, file, plain=plain, actor=OPERATOR, now=datetime.now(UTC), progress=_slowly()
            )
        except BackupRefused as error:
            _wrong_use(str(error))
    for check in proof.checks:
        click.echo(as_line(check))
    for table in proof.miscounted:
        click.echo(f"problem  rows: {table}")
    rows, made_at = proof.manifest.total_rows, proof.manifest.made_at
    said = "TERBUKTI / PROVEN" if proof.is_proven else "TIDAK TERBUKTI / NOT PROVEN"
    where = "" if proof.logged else " (di sini tidak ada catatan audit / there is no log here)"
    click.echo(f"{said}: {file}, {made_at}, {rows:,} baris / rows, SHA-256 {proof.digest}{where}", err=True)
    sys.exit(0 if proof.is_proven else NEEDS_ATTENTION)


def _tell_restored(settings: Settings, done: Any) -> None:
    rows, made_at = done.manifest.total_rows, done.manifest.made_at
    click.echo(
        f"Dipulihkan / restored: {rows:,} baris / rows, {made_at}; inkarnasi baru / new incarnation {done.incarnation}",
        err=True,
    )
    if done.kept is not None:
        click.echo(f"Data sebelumnya disimpan di / the data before are kept in {done.kept}", err=True)
    if done.keys_missing:
        click.echo(
            f"Berkas kunci belum ada: salin cadangannya ke {settings.key_file} sebelum menjalankan server."
            f" / There is no key file yet: copy your backup of it to {settings.key_file} before you start the server.",
            err=True,
        )
    click.echo("Periksa dengan / check with: posyandu-sync doctor", err=True)


@main.command()
@_data_option
@click.option("--quick", is_flag=True, help="Look at samples where looking at everything takes long.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def doctor(data: Path | None, quick: bool, form: str) -> None:
    """Say what is wrong with this installation and the remedy. Only reads."""
    from server.doctor import as_json, as_line, examine

    settings = _settings(data)
    if settings.is_sqlite and not settings.data_dir.is_dir():
        _wrong_use(
            f"there is no installation in {settings.data_dir}: start one with 'serve --data DIR' or 'demo'"
        )
    found = []
    for check in examine(settings, now=datetime.now(UTC), quick=quick, progress=_slowly()):
        found.append(check)
        if form == "text":
            click.echo(as_line(check))
    if form == "json":
        click.echo(as_json(found))
    sys.exit(0 if all(check.is_ok for check in found) else NEEDS_ATTENTION)


def _slowly() -> Callable[[str, int, int], None]:
    """Tell how far something long has come, every few seconds and not before it is long."""
    told = [datetime.now(UTC)]

    def tell(what: str, done: int, total: int) -> None:
        if (datetime.now(UTC) - told[0]).total_seconds() > 3:
            told[0] = datetime.now(UTC)
            click.echo(f"{what}: {100 * done // max(total, 1)} %", err=True)

    return tell


# -- the log --------------------------------------------------------------------------------------


@main.group()
def audit() -> None:
    """The log: sign how far it has come, verify it, export it, prove one entry."""


_output = click.argument(
    "file", default="-", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path)
)


@audit.command("checkpoint")
@_data_option
@_output
@click.option("--last", is_flag=True, help="Sign nothing new: write the newest that there is.")
def audit_checkpoint(data: Path | None, file: Path, last: bool) -> None:
    """Sign how far every stream has come, and write the checkpoint to FILE: keep it away from this server."""
    from server.audit import checkpoints, verification
    from server.jobs import LONGEST_TAIL

    hub = _hub(data)
    with _told():
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
            _wrong_use("there is no checkpoint yet: leave --last out")
        _write_whole(file, [kept.file()])
    keys = ", ".join(kept.signatures)
    click.echo(
        f"Titik periksa {kept.number}, kunci {keys} / checkpoint {kept.number}, key {keys}:"
        f" {kept.statement['entries']:,} entries, {kept.statement['streams']:,} streams",
        err=True,
    )


@audit.command("keys")
@_data_option
def audit_keys(data: Path | None) -> None:
    """List the public keys of checkpoints, the newest first: note their ids outside this server."""
    for id_, public in _hub(data).vault.checkpoint_keys().items():
        click.echo(f"{id_}\t{public}")


@audit.command("export")
@_data_option
@_output
def audit_export(data: Path | None, file: Path) -> None:
    """Write the whole log to FILE, with checkpoints and public keys: a JSON line an entry (docs/audit.md)."""
    from server import audit as log
    from server.audit.export import lines

    hub, now = _hub(data), datetime.now(UTC)
    with _told():
        with hub.database.transaction() as session:
            log.append(session, hub.district, log.OFFICE, "log.exported", actor=OPERATOR, now=now)
        with hub.database.reading() as session:
            written = _write_whole(file, lines(session, hub, now))
    click.echo(f"{written:,} baris / lines", err=True)


def _write_whole(file: Path, pieces: Iterable[bytes]) -> int:
    """Write to a file that takes its name only when it is whole, or to standard output; give the number of pieces."""
    if str(file) == "-":
        return sum(sys.stdout.buffer.write(piece) > 0 for piece in pieces)
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as writing:
            count = sum(writing.write(piece) > 0 for piece in pieces)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return count


@audit.command("prove")
@_data_option
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
        _wrong_use("give STREAM and NUMBER, or --since NUMBER")
    hub = _hub(data)
    with _told(), hub.database.reading() as session:
        try:
            if since is not None:
                proof = proofs.prove_growth(session, hub, since)
            else:
                proof = proofs.prove_entry(session, hub, stream or "", number or 0)
        except proofs.NoProof as error:
            _wrong_use(str(error))
        _write_whole(file, [json.dumps(proof, ensure_ascii=False, indent=1).encode() + b"\n"])


_existing = click.Path(exists=True, dir_okay=False, path_type=Path)


@audit.command("verify")
@_data_option
@click.option("--checkpoint", type=_existing, help="A checkpoint that was kept elsewhere.")
@click.option(
    "--export", type=_existing, help="Verify this export of the log instead; no database is needed."
)
@click.option("--proof", type=_existing, help="Check what 'audit prove' wrote; no database is needed.")
def audit_verify(data: Path | None, checkpoint: Path | None, export: Path | None, proof: Path | None) -> None:
    """Recompute every stream of the log; name the first entry of each that does not fit."""
    from server.audit.checkpoints import NotACheckpoint, read_kept
    from server.audit.export import NotAnExport, verify_export
    from server.audit.verification import verify

    if export and proof:
        _wrong_use("give --export or --proof, not both")
    with _told():
        try:
            kept = read_kept(checkpoint.read_bytes()) if checkpoint else None
        except NotACheckpoint as error:
            _wrong_use(f"{checkpoint}: {error}")
        if proof:
            _check_proof(proof, kept)
        if export:
            try:
                with export.open("rb") as reading:
                    found = verify_export(reading, kept=kept)
            except NotAnExport as error:
                _wrong_use(f"{export}: {error}")
            entries, broken, keys = found.entries, found.broken, found.keys
        else:
            hub = _hub(data)
            keys = hub.vault.checkpoint_keys()
            with hub.database.reading() as session:
                entries, broken = verify(session, hub.district, keys=keys, kept=kept)
    for one in broken:
        click.echo(one.words())
    click.echo(f"{entries} entries read, {len(broken)} streams broken", err=True)
    if kept is not None:
        click.echo(f"held against checkpoint {kept.number} of {kept.statement['at']}", err=True)
    elif export:
        click.echo(
            f"kunci / keys {', '.join(keys)}: cocokkan dengan catatan Anda / compare them with your note",
            err=True,
        )
    sys.exit(NEEDS_ATTENTION if broken else 0)


def _check_proof(path: Path, kept: Any) -> NoReturn:
    """Say whether a proof holds."""
    import json

    from server.audit.proofs import holds

    try:
        proof = json.loads(path.read_bytes())
    except ValueError:
        _wrong_use(f"{path}: bukan bukti / this is no proof")
    if not holds(proof, noted=kept):
        click.echo("Bukti tidak berlaku / the proof does not hold")
        sys.exit(NEEDS_ATTENTION)
    keys = ", ".join(proof["signatures"])
    click.echo(f"Bukti berlaku, kunci {keys} / the proof holds, key {keys}")
    sys.exit(0)
