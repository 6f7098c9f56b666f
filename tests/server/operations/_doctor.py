"""What doctor says of a district, and how its data are damaged, for tests."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from server.operations.doctor import Check, examine
from tests.server._district import District


def silent(_what: str, _done: int, _total: int) -> None:
    """Tell nobody how far it has come."""


def checked(of: District, /, *, quick: bool = False, **others: Any) -> dict[str, Check]:
    """Give every check by name."""
    settings = replace(of.hub.settings, **others)
    found = examine(settings, now=datetime.now(UTC), quick=quick, progress=silent)
    return {check.name: check for check in found}


def problems(of: District, /, *, quick: bool = False, **others: Any) -> dict[str, list[str]]:
    """Give what is wrong, by check."""
    found = checked(of, quick=quick, **others)
    return {name: list(check.found) for name, check in found.items() if not check.is_ok}


def damage(district: District, statement: str, **given: Any) -> None:
    """Alter data behind the server's back."""
    with district.hub.database.engine.connect() as connection:
        driver: Any = connection.connection.dbapi_connection
        if district.hub.settings.is_sqlite:
            changed = driver.execute(statement, given).rowcount
        else:
            for name in given:
                statement = statement.replace(f":{name}", f"%({name})s")
            changed = driver.execute(statement, given).rowcount
        driver.commit()
    assert changed > 0
