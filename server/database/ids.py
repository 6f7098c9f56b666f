"""Keys of rows: UUIDs as lower-case text."""

import re
from typing import Final

import uuid_utils

from schemas.strict import UUID

UUID_TEXT: Final = re.compile(UUID)


def new_id() -> str:
    """Give a UUIDv7: ids made one after another lie side by side in an index."""
    return str(uuid_utils.uuid7())
