"""`posyandu-sync …`: each command calls one function of a room below. Data goes to stdout, words to stderr.

Exit codes: 0 done; 1 done but something needs attention (a refused row, a broken chain); 2 wrong use.
"""

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, NoReturn
from uuid import UUID

import click

from server.config import Settings

NEEDS_ATTENTION, WRONG_USE = 1, 2
OPERATOR = "operator"


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
def tablet_list(data: Path | None) -> None:
    """List tablets: id, post, name, changes held, last contact, clock offset, state."""
    from sqlalchemy import select

    from server.models import HealthPost, Tablet

    hub = _hub(data)
    with _told(), hub.database.reading() as session:
        rows = session.execute(
            select(Tablet, HealthPost.name)
            .join(HealthPost, (HealthPost.district == Tablet.district) & (HealthPost.id == Tablet.post_id))
            .where(Tablet.district == hub.district)
            .order_by(HealthPost.name, Tablet.name)
        ).all()
    click.echo("tablet\tpost\tname\ttaken\tlast_sync_at\tclock_offset_ms\tstate")
    for row, post in rows:
        last = row.last_sync_at.isoformat(timespec="seconds") if row.last_sync_at else "-"
        state = "revoked" if row.revoked_at else "active"
        offset = "-" if row.clock_offset_ms is None else row.clock_offset_ms
        click.echo(f"{row.id}\t{post}\t{row.name}\t{row.taken}\t{last}\t{offset}\t{state}")


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

    hub = _hub(data)
    try:
        with _told(), hub.database.transaction() as session:
            return work(hub, session, datetime.now(UTC))
    except Problem as problem:
        _wrong_use(str(problem.body()["title_en"]))
    except ValueError as error:
        _wrong_use(str(error))


@main.group()
def user() -> None:
    """Add, list and disable people who sign in."""


@user.command("add")
@_data_option
@click.argument("username")
@click.option("--name", "display_name", required=True, callback=_one_line, help="The person's name as shown.")
@click.option("--role", type=click.Choice(["staff", "supervisor", "administrator"]), required=True)
@click.option("--post", help="May see this post only (name or id).")
@click.option("--health-centre", help="May see this health centre only (id).")
@click.password_option(help="Asked for if not given.")
def user_add(
    data: Path | None,
    username: str,
    display_name: str,
    role: str,
    post: str | None,
    health_centre: str | None,
    password: str,
) -> None:
    """Add a person; without --post or --health-centre they see the whole district."""
    from server import accounts

    if post and health_centre:
        _wrong_use("give --post or --health-centre, not both")

    def work(hub: Any, session: Any, now: datetime) -> None:
        kind, scope = "district", hub.district
        if post:
            kind, scope = "post", _post_id(session, hub, post)
        elif health_centre:
            kind, scope = "health_centre", _health_centre_id(session, hub, health_centre)
        accounts.add_account(
            session, hub, username, display_name, role, kind, scope, password, actor=OPERATOR, now=now
        )

    _change(data, work)


def _health_centre_id(session: Any, hub: Any, wanted: str) -> str:
    from server.models import HealthCentre

    if not _is_uuid(wanted) or session.get(HealthCentre, (hub.district, wanted.lower())) is None:
        _wrong_use(f"there is no health centre {wanted!r}")
    return wanted.lower()


@user.command("list")
@_data_option
def user_list(data: Path | None) -> None:
    """List people: user name, role, what they may see, state."""
    from sqlalchemy import select

    from server.models import Account

    hub = _hub(data)
    with _told(), hub.database.reading() as session:
        query = select(Account).where(Account.district == hub.district).order_by(Account.username)
        rows = session.scalars(query).all()
    click.echo("username\trole\tscope\tstate")
    for row in rows:
        state = "disabled" if row.disabled_at else "active"
        click.echo(f"{row.username}\t{row.role}\t{row.scope_kind} {row.scope}\t{state}")


@user.command("disable")
@_data_option
@click.argument("username")
def user_disable(data: Path | None, username: str) -> None:
    """Take a person's right to sign in and end their sessions."""
    from server import accounts

    _change(data, lambda hub, s, now: accounts.disable_account(s, hub, username, actor=OPERATOR, now=now))


# -- the log --------------------------------------------------------------------------------------


@main.group()
def audit() -> None:
    """The log: verify it."""


@audit.command("verify")
@_data_option
def audit_verify(data: Path | None) -> None:
    """Recompute every stream of the log; name the first entry of each that does not fit."""
    from server.audit import verify

    hub = _hub(data)
    with _told(), hub.database.reading() as session:
        entries, broken = verify(session, hub.district)
    for found in broken:
        click.echo(f"{found.stream}: entry {found.number} was {found.what}")
    click.echo(f"{entries} entries read, {len(broken)} streams broken", err=True)
    sys.exit(NEEDS_ATTENTION if broken else 0)
