"""How often and how long one request is retried, and the two ways in which it fails."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from sync_protocol._records import Json


@dataclass(frozen=True, slots=True)
class Pace:
    """How often and how long one request is retried. Pauses have full jitter: from 0 to the longest of that try.

    Parameters
    ----------
    tries : of one request, before `NotReached`
    first_seconds, longest_seconds : the longest pause after the first try; it doubles, up to this
    patience_seconds : if the server asks (Retry-After) for a longer pause, the request fails at once
    """

    tries: int = 6
    first_seconds: float = 0.5
    longest_seconds: float = 60.0
    patience_seconds: float = 120.0

    def pause(self, attempt: int, rng: random.Random) -> float:
        """Return how many seconds to wait before another try. Full jitter: tablets that failed at the same time do not try
        again at the same time."""
        longest = min(self.first_seconds * 2.0 ** (attempt - 1), self.longest_seconds)
        return rng.uniform(0.0, longest)

    def asked_to_wait(self, headers: Mapping[str, str], now: datetime) -> float:
        """Return how long the server asks to wait before the next try; NotReached if that is longer than
        `patience_seconds`."""
        seconds = retry_after(headers, now)
        if seconds > self.patience_seconds:
            raise NotReached(f"the server asks to wait {seconds:.0f} seconds", seconds)
        return seconds


def retry_after(headers: Mapping[str, str], now: datetime) -> float:
    """Read Retry-After: seconds, or a date (RFC 9110 section 10.2.3); 0 if it is absent or unreadable."""
    text = headers.get("retry-after", "")
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max((parsedate_to_datetime(text).astimezone(UTC) - now).total_seconds(), 0.0)
    except ValueError:
        return 0.0


class NotReached(Exception):
    """No answer came in all tries. Nothing is lost: everything is still on this tablet.

    Parameters
    ----------
    why : what went wrong the last time, for the log
    retry_after_seconds : how long the server asked to wait; 0 if it did not say
    """

    title = "Server tidak terjangkau. Semua data masih tersimpan di tablet ini; coba lagi nanti."
    title_en = "The server cannot be reached. Everything is still saved on this tablet; try again later."

    def __init__(self, why: str, retry_after_seconds: float = 0.0) -> None:
        super().__init__(f"{self.title} / {self.title_en} ({why})")
        self.why, self.retry_after_seconds = why, retry_after_seconds


class Refused(Exception):
    """The server refused a whole request, and said why; the data is still on this tablet.

    Parameters
    ----------
    status : of HTTP
    problem : the body (RFC 9457), with `code` and `title`, and nearly always `title_en`
    """

    def __init__(self, status: int, problem: Json) -> None:
        self.status, self.problem = status, problem
        self.code = str(problem["code"])
        self.title, self.title_en = str(problem["title"]), str(problem.get("title_en", ""))
        super().__init__(f"{self.code}: {self.title} / {self.title_en}")
