"""The database: that it opens and is sound, its schema, its district."""

from typing import Final

from sqlalchemy import select, text

from server.config import Settings
from server.database import migrations
from server.database.engine import Database
from server.database.models import Installation
from server.operations.doctor.checks import MOST_KEPT, Findings

OLDEST_POSTGRESQL: Final = (15, 0)


def check_database(settings: Settings, database: Database, quick: bool, findings: Findings) -> None:
    findings.looked_at = 1
    file = settings.sqlite_file
    if file is not None and not file.exists():  # connecting would create it
        findings.add(f"{file}: none")
        return
    with database.reading() as session:
        if file is None:
            release = session.connection().dialect.server_version_info or (0,)
            if release < OLDEST_POSTGRESQL:
                findings.add(f"PostgreSQL {'.'.join(map(str, release))}")
            return
        rows = session.execute(text("PRAGMA quick_check(10)" if quick else "PRAGMA integrity_check(10)"))
        for (message,) in rows.all():
            if message != "ok":
                findings.add(message.replace("\n", " "))
        for row in session.execute(text("PRAGMA foreign_key_check")).all()[:MOST_KEPT]:
            findings.add(f"{row[0]} -> {row[2]}")


def check_schema(settings: Settings, _database: Database, _quick: bool, findings: Findings) -> None:
    findings.looked_at = 1
    present, newest = migrations.present(settings.database_url), migrations.newest()
    if present != newest:
        findings.add(f"{present}, not {newest}")


def check_district(settings: Settings, database: Database, _quick: bool, findings: Findings) -> None:
    findings.looked_at = 1
    with database.reading() as session:
        if session.get(Installation, settings.district) is None:
            installed = session.scalars(select(Installation.district)).all()
            findings.add(f"{settings.district}, not {', '.join(installed) or '-'}")
