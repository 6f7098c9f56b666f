"""A key file of its own for a district, for tests."""

from dataclasses import replace
from pathlib import Path

from server.context import AppContext
from tests.server._district import District


def own_keys(district: District, directory: Path) -> District:
    """Give a district a key file that no other test reads."""
    file = directory / "keys.json"
    file.write_bytes(district.hub.settings.key_file.read_bytes())
    file.chmod(0o600)
    district.hub.database.dispose()
    district.hub = AppContext.open(replace(district.hub.settings, key_file=file, data_dir=directory))
    return district
