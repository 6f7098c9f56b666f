"""The versions of the schema (Alembic), and `migrate`, which brings a database up to date.

Hides Alembic. Each file of `versions/` is one revision; its name begins with the revision's number.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, create_engine, inspect, make_url, text

from server.database.engine import make_private

if TYPE_CHECKING:
    from alembic.config import Config

HERE = Path(__file__).parent
FORMER_NAMES: Final = {"rate_limit": "tries", "session": "sign_in", "post_exit": "departure"}
"""What tables of today are called in databases of an earlier revision (before 0014)."""


def _config(url: str) -> "Config":
    from alembic.config import (
        Config,
    )  # imported here: it loads slowly, and most starts have nothing to migrate

    config = Config()
    config.set_main_option("script_location", str(HERE))
    config.attributes["url"] = url
    return config


def migrate(url: str) -> None:
    """Bring a database to the newest schema; create the directory of an SQLite file if needed. Safe to run concurrently.

    Parameters
    ----------
    url : SQLAlchemy URL, password included
    """
    path = make_url(url).database
    if url.startswith("sqlite") and path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        make_private(Path(path))
    if present(url) != newest():
        upgrade(url, "head")


def upgrade(url: str, revision: str) -> None:
    """Bring a database up to a revision."""
    from alembic import command  # as above

    command.upgrade(_config(url), revision)


def revisions() -> set[str]:
    """Return every revision that this release knows, from the names of the files."""
    return {path.name[:4] for path in (HERE / "versions").glob("[0-9]*.py")}


def newest() -> str:
    """Return the revision that this release expects."""
    return max(revisions())


def present(url: str) -> str | None:
    """Return the revision of a database, None for an empty one."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return revision_of(connection)
    finally:
        engine.dispose()


def revision_of(connection: Connection) -> str | None:
    """Return the revision of the database of a connection, None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return revision
