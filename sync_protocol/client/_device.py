"""The device's clock, and the ids that it makes."""

import secrets
import time
from datetime import UTC, datetime
from uuid import UUID


def now_utc() -> datetime:
    """Return the time of the device's clock."""
    return datetime.now(UTC)


def new_id() -> str:
    """Make a UUIDv7 (RFC 9562), for a child or a batch."""
    milliseconds = time.time_ns() // 1_000_000
    number = milliseconds << 80 | 7 << 76 | secrets.randbits(12) << 64 | 2 << 62 | secrets.randbits(62)
    return str(UUID(int=number))
