"""The inside of a backup."""

from pathlib import Path

from server.backup import vault_of
from server.backup.encrypted_file import SealedReader, cipher_of, read_header
from server.config import Settings


def unsealed(settings: Settings, file: Path) -> bytes:
    """Give the zip inside a backup."""
    with file.open("rb") as reading:
        header = read_header(file, reading)
        cipher = cipher_of(file, header, settings.key_file, vault_of(settings))
        return SealedReader(file, reading, header, cipher).readall()
