"""Structured logs: JSON lines on standard error. Nobody logs a name, a NIK, a phone number, an address or a body."""

import sys

import structlog


def start_logging(level: str) -> None:
    """Write log lines as JSON to standard error; times UTC."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level.lower()),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
