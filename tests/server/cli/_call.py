"""Commands, called in this process."""

from collections.abc import Mapping

from click.testing import CliRunner, Result

from server.cli import main

OURS = ("DATABASE_URL", "POSYANDU_DATA", "POSYANDU_KEY_FILE", "POSYANDU_DISTRICT", "POSYANDU_LOG_LEVEL")


def call(*arguments: str, env: Mapping[str, str] | None = None, stdin: bytes | None = None) -> Result:
    """Call a command in this process."""
    told = dict.fromkeys(OURS) | dict(env or {})
    return CliRunner().invoke(main, list(arguments), env=told, input=stdin, catch_exceptions=False)
