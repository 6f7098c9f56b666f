"""What somebody with the database's password does to the log, for tests."""

# ruff: noqa: S608 - the statements are an intruder's, and all of their parts are ours

from sqlalchemy import text

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


def cut(district: District, number: int) -> None:
    """Cut the end of the log off after a checkpoint, as if nothing had been there."""
    where = f"WHERE checkpoint <= {number} GROUP BY stream"
    ends = district.rows(text(f"SELECT stream, max(entries) FROM audit_leaf {where}"))
    statements = [
        *off(district),
        f"DELETE FROM cosignature WHERE checkpoint > {number}",
        f"DELETE FROM audit_leaf WHERE checkpoint > {number}",
        f"DELETE FROM audit_checkpoint WHERE number > {number}",
    ]
    for stream, entries in ends:
        one = f"stream = '{stream}' AND number"
        hash_ = district.rows(text(f"SELECT hash FROM audit_entry WHERE {one} = {entries}"))[0][0]
        head = f"entries = {entries}, head_hash = '{hash_}'"
        statements += [
            f"DELETE FROM audit_entry WHERE {one} > {entries}",
            f"UPDATE audit_stream SET {head} WHERE stream = '{stream}'",
        ]
    tamper(district, *statements)
