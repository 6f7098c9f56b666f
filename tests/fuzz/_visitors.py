"""Who asks in the fuzz tests, by which way, and with which well-formed bodies."""

from collections.abc import Mapping
from typing import Any

from werkzeug.test import Client

from tests.fuzz._routes import Answer, Line
from tests.server.web import _role_world
from tests.server.web._openapi import written

VISITORS = (
    *("cadre.post.in", "staff.health_centre.in", "staff.post.out", "supervisor.district.in"),
    *("tpps.district.in", "donor.none.in", "administrator.district.in"),
)


def wsgi(app: Any, address: str) -> Line:
    """Give a way to an application in this process."""
    client = Client(app, use_cookies=False)

    def ask(method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        got = client.open(
            path, method=method, headers=dict(headers), data=body, environ_base={"REMOTE_ADDR": address}
        )
        with got:
            return Answer(got.status_code, {n.lower(): v for n, v in got.headers}, got.get_data())

    return ask


def good_bodies() -> dict[str, Mapping[str, Any]]:
    """Give well-formed bodies by operation."""
    posts = {written(f"POST {rule}"): body for rule, body in _role_world.BODIES.items()}
    return {**posts}
