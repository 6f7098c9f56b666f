"""Every page asked for again and again, for the search for leaks."""

from collections.abc import Callable
from typing import Final

from tests.fuzz._batches import SYNC
from tests.fuzz._leaks import Asked, Kept, carried, left_behind
from tests.fuzz._routes import Visitor
from tests.fuzz._visitors import wsgi
from tests.server.web import _role_world
from tests.server.web._clinic import PASSWORD

TIMES, UPLOADS = 4, 30


WALKER: Final = "supervisor.district.in"


def pages(world: _role_world.World) -> list[Asked]:
    """Ask for every page and list that there is, and for some that are not, as one who may see nearly all of them."""
    who = world.people[WALKER]
    visitor = Visitor(who.username, who.role, PASSWORD)
    visitor.come_in(wsgi(world.app, "127.0.0.3"))
    rules = [rule for method, rule in _role_world.routes(world.app) if method == "GET"]
    paths = [_role_world.address(world, rule) for rule in rules if rule.arguments <= world.fill.keys()]
    headers = visitor.headers()
    return [("GET", path, headers, None) for path in (*paths, "/tidak-ada", "/api/v1/tidak-ada")]


def replayed(
    world: _role_world.World, times: int = TIMES, tell: Callable[[str], object] = lambda _: None
) -> Kept:
    """Ask for everything several times over, with new uploads each time."""
    uploads = carried(world.clinic.district.tablet(0), SYNC, times, UPLOADS)
    return left_behind(wsgi(world.app, "127.0.0.2"), pages(world), uploads, tell)
