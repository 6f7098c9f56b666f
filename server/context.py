"""What every use case needs, opened once per process: database, keys, settings."""

from dataclasses import dataclass

from server.config import Settings
from server.crypto.key_file import KeyFile
from server.crypto.vault import Keys, Vault
from server.database import row_macs
from server.database.engine import Database


@dataclass(frozen=True, slots=True)
class AppContext:
    """An opened installation. `district` is the one that it serves."""

    settings: Settings
    database: Database
    keys: Keys
    vault: Vault

    def __post_init__(self) -> None:
        self.database.row_key = self.vault.row_key
        row_macs.check_with(self.database, self.district, self.vault)

    @property
    def district(self) -> str:
        return self.settings.district

    @classmethod
    def open(cls, settings: Settings, *, create_keys: bool = False) -> "AppContext":
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
