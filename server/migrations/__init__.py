"""The schema's history (Alembic), and the one function that brings a database up to date."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, make_url, text

from server.db import make_private

HERE = Path(__file__).parent


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(HERE))
    config.attributes["url"] = url
    return config


def migrate(url: str) -> None:
    """Bring a database to the newest schema; make the directory of an SQLite file if needed. Safe to run twice at once.

    Parameters
    ----------
    url : SQLAlchemy URL, password included
    """
    path = make_url(url).database
    if url.startswith("sqlite") and path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        make_private(Path(path))
    command.upgrade(_config(url), "head")


def newest() -> str:
    """Give the revision that this release expects."""
    head = ScriptDirectory.from_config(_config("")).get_current_head()
    assert head is not None  # noqa: S101  # there is always a first revision
    return head


def present(url: str) -> str | None:
    """Give the revision of a database, None for an empty one."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()
