"""Addresses of this server in links that people hand on: made with the configured address, never with the Host header of a
request, which a client, or a proxy that was set up wrongly, may fill with anything.
"""

from server.web.current import hub


def public_address(path: str) -> str:
    """Return a whole address; without a configured one the path alone, which our script completes in the browser."""
    return f"{hub().settings.public_url}{path}"
