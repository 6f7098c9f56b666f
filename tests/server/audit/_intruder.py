"""What somebody with the database's password does to the log, for tests."""

from tests.server._district import District


def tamper(district: District, *statements: str) -> None:
    """Change the tables as somebody with the database's password would: past every guard of ours."""
    engine = district.hub.database.engine
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        connection.rollback()
        for statement in statements:
            raw.execute(statement)
        raw.commit()


def off(district: District) -> list[str]:
    """Switch foreign keys off for a connection, as an intruder would."""
    return (
        ["PRAGMA foreign_keys = OFF"]
        if district.hub.database.is_sqlite
        else ["SET session_replication_role = replica"]
    )
