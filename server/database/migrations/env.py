"""How Alembic runs here: on the URL given by `migrate`, in one transaction, one process at a time."""

from alembic import context
from sqlalchemy import create_engine, event, text

from server.database.models import Base

LOCK = 6_402_2026
"""Number of an advisory lock on PostgreSQL: servers that start together migrate one after the other."""


def run() -> None:
    engine = create_engine(context.config.attributes["url"])
    sqlite = engine.dialect.name == "sqlite"
    if sqlite:
        # pysqlite would commit before each DDL statement, so the transaction is begun here
        event.listen(engine, "connect", lambda dbapi, _: setattr(dbapi, "isolation_level", None))
        event.listen(engine, "connect", lambda dbapi, _: dbapi.execute("PRAGMA secure_delete = ON").close())
        event.listen(engine, "begin", lambda c: c.exec_driver_sql("BEGIN IMMEDIATE"))
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=sqlite,
            transactional_ddl=True,
        )
        with context.begin_transaction():
            if not sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            context.run_migrations()
    engine.dispose()


run()
