"""Ids of rows: UUIDs as lower-case text."""

import re
from typing import Final

import uuid_utils

from schemas.strict import UUID

UUID_TEXT: Final = re.compile(UUID)


def new_id() -> str:
    """Return a UUIDv7: ids made one after another are neighbours in an index, so inserts are fast."""
    return str(uuid_utils.uuid7())
