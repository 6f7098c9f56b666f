"""What every use case needs, opened once a process: the database, the keys, the settings."""

from dataclasses import dataclass

from server.config import Settings
from server.db import Database
from server.keyfile import KeyFile
from server.security import Keys, Vault


@dataclass(frozen=True, slots=True)
class Hub:
    """An installation at work. `district` is the one that it serves."""

    settings: Settings
    database: Database
    keys: Keys
    vault: Vault

    @property
    def district(self) -> str:
        return self.settings.district

    @classmethod
    def open(cls, settings: Settings, *, create_keys: bool = False) -> "Hub":
        """Open database and keys; call it after forking.

        Raises
        ------
        KeyUnusable
            There is no usable key file and `create_keys` is False.
        """
        file = KeyFile(settings.key_file, settings.key_command)
        keys = file.read(create=create_keys)
        vault = Vault(keys, settings.district, file.renewed)
        return cls(settings, Database(settings.database_url), keys, vault)
