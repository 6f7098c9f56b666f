"""Headers of every answer, also of those that the connections give before the application is asked."""

from collections.abc import Mapping
from typing import Final

from server.config import Settings

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; "
    "manifest-src 'self'; worker-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
EVERYWHERE: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""Those that are the same for every answer of every installation."""


def security_headers(settings: Settings) -> dict[str, str]:
    """Return the headers that tell a browser what it must not do."""
    headers = {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        **EVERYWHERE,
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }
    if settings.cookie_secure:  # browsers ignore it over plain http
        headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    return headers
