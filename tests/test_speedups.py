"""The routes under test are the routes that werkzeug compiles for a server."""

from types import MethodType
from typing import Any

from werkzeug.routing import Map, Rule

from server.app import create_app
from tests._speedups import COMPILED, RememberedRule
from tests.server._district import District


def test_remembered_routes_are_what_werkzeug_compiles(on_sqlite: District) -> None:
    hub = on_sqlite.hub
    create_app(hub.settings, hub)
    remembered = list(create_app(hub.settings, hub).url_map.iter_rules())
    assert len(remembered) > 150
    for rule in remembered:
        assert isinstance(rule, RememberedRule)
        assert compiled(rule) == compiled(compiled_alone(rule)), rule


def test_werkzeug_sets_nothing_else_when_it_compiles() -> None:
    """What a new release of werkzeug kept of a route would be missing in the second application."""
    rule = Rule("/a/<int:number>")
    rule.bind(Map())
    known = dict(vars(rule))
    rule._parts, rule._trace, rule._converters, rule.arguments = [], [], {}, set()
    rule.compile()
    assert {name for name, value in vars(rule).items() if value is not known.get(name)} == set(COMPILED)


def compiled_alone(rule: Rule) -> Rule:
    """Give the same route as werkzeug makes it."""
    alone = Rule(rule.rule, **rule.get_empty_kwargs())
    alone.bind(Map())
    return alone


def compiled(rule: Rule) -> dict[str, Any]:
    """Give what a route was compiled to, as values that can be compared."""
    found = {name: getattr(rule, name) for name in COMPILED}
    found["_converters"] = {name: (type(one), one.regex) for name, one in rule._converters.items()}
    for name in ("_build", "_build_unknown"):
        builder = found[name]
        assert isinstance(builder, MethodType)
        assert builder.__self__ is rule
        code = builder.__func__.__code__
        found[name] = code.co_code, code.co_consts, code.co_names, code.co_varnames
    return found
