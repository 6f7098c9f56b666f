"""`serve`, `demo`, `simulate`: a server, one with made-up children, and simulated tablets."""

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
    settings_of,
    wrong_use,
)


@main.command()
@data_option
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
def serve(data: Path | None, host: str, port: int) -> None:
    """Migrate the database, then run the web server and the scheduler."""
    from server.operations.serve import serve as run

    settings = settings_of(data)
    _refuse_taken_port(host, port)
    with errors_in_one_line():
        sys.exit(
            run(
                *(settings, host, port),
                load_app=_load_app,
                when_ready=lambda url: click.echo(f"Ready at {url}", err=True),
            )
        )


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
    from server.operations.serve import serve as run

    settings = settings_of(data).for_plain_http()
    if not no_serve:
        _refuse_taken_port(host, port)
    with errors_in_one_line():
        try:
            made = make_demo(
                settings, seed=seed, now=datetime.now(UTC), tell=lambda line: click.echo(line, err=True)
            )
        except NotADemo as error:
            wrong_use(str(error))
        click.echo(made.summary())
        if no_serve:
            return
        sys.exit(
            run(
                *(settings, host, port),
                load_app=_load_app,
                when_ready=lambda url: click.echo(made.where_to_look(url)),
            )
        )


def _load_app() -> None:
    """Import the application once for all workers."""
    import server.app  # noqa: F401  # imported for its effect


def _refuse_taken_port(host: str, port: int) -> None:
    """End with an error before anything is created if the port is taken."""
    import socket

    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            wrong_use(
                f"cannot listen on {host} port {port} ({error.strerror}): choose another with --host or --port"
            )


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--server", required=True, help="Address of the server, such as http://127.0.0.1:8000.")
@data_option
@click.option("--chaos", is_flag=True, help="Go offline, shuffle, repeat, cut connections, edit at once.")
@click.option("--seed", default=1, show_default=True)
def simulate(file: Path, server: str, data: Path | None, chaos: bool, seed: int) -> None:
    """Send a survey of children through a fleet of tablets over HTTP, then check that everybody agrees."""
    from server.simulate import Unusable, simulate as run

    try:
        report = run(
            file, server, open_hub(data), chaos=chaos, seed=seed, tell=lambda line: click.echo(line, err=True)
        )
    except Unusable as error:
        wrong_use(str(error))
    click.echo(report.text())
    sys.exit(0 if report.holds else NEEDS_ATTENTION)
