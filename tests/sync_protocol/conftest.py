"""Hypothesis draws the same examples every time, unless PROTOCOL_HISTORIES asks for a long search."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "repeatable",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "searching",
    deadline=None,
    max_examples=int(os.environ.get("PROTOCOL_HISTORIES", "0")) or 60,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("searching" if "PROTOCOL_HISTORIES" in os.environ else "repeatable")
