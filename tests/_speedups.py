"""Work that every test would repeat and that proves nothing: compiling templates, routes and statements, and slow hashes.

Each test of pages has an application of its own. In those of a child's page templates took a third of the processor,
routes a sixth and passwords a sixth (27 November 2026). What is compiled is kept, never replaced by something else.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any, ClassVar

from argon2 import PasswordHasher
from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy import Dialect, Engine, event
from werkzeug.routing import Rule

from server.crypto import vault
from server.database import engine as db

__all__ = ["COMPILED", "RememberedRule", "passwords_in_earnest", "spare_work"]

IN_EARNEST = vault._HASHER
QUICK = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


class _Compiled(BytecodeCache):
    """Compiled templates, kept in this process."""

    def __init__(self) -> None:
        self._code: dict[tuple[str, str], CodeType | None] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._code.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._code[bucket.key, bucket.checksum] = bucket.code


class RememberedRule(Rule):
    """A route that werkzeug compiles for the first application of this process; later ones get what it compiled.

    `tests/test_speedups.py` compares every route of ours with one that werkzeug compiled alone.
    """

    _compiled: ClassVar[dict[tuple[object, ...], dict[str, Any]]] = {}

    def compile(self) -> None:
        defaults = tuple(sorted((self.defaults or {}).items()))
        key = self.rule, self.subdomain, self.host, self.merge_slashes, defaults
        if key not in self._compiled:
            super().compile()
            self._compiled[key] = {name: getattr(self, name) for name in COMPILED}
            return
        known = self._compiled[key]
        self._parts, self._trace, self._converters = known["_parts"], known["_trace"], known["_converters"]
        self.arguments = set(known["arguments"])
        self._build = known["_build"].__func__.__get__(self, None)
        self._build_unknown = known["_build_unknown"].__func__.__get__(self, None)


COMPILED = ("_parts", "_trace", "_converters", "arguments", "_build", "_build_unknown")
"""All that werkzeug's `Rule.compile` sets."""


_SHARED: dict[str, tuple[Dialect, Any]] = {}
"""By kind of database: the dialect of the first engine that was connected, and the statements that were compiled for it."""
_MADE: Callable[[str], Engine] = db._engine


def _compiling_once(url: str) -> Engine:
    """Make an engine that uses what another of its kind has compiled: each would do it anew, a fifth of a test's time, and
    nearly all of the time of a command."""
    engine = _MADE(url)
    name = engine.dialect.name
    if name in _SHARED:
        engine.dialect, engine._compiled_cache = _SHARED[name]
    else:
        shared = engine.dialect, engine._compiled_cache
        event.listen(engine, "first_connect", lambda *_: _SHARED.setdefault(name, shared))
    return engine


def spare_work() -> None:
    """Let all applications of this process share their templates, all databases their statements, and hash passwords
    quickly."""
    db._engine = _compiling_once
    Flask.jinja_options = {"bytecode_cache": _Compiled()}
    Flask.url_rule_class = RememberedRule
    vault._HASHER = QUICK


@contextmanager
def passwords_in_earnest() -> Iterator[Any]:
    """Hash as a server does, for tests of what that costs."""
    vault._dummy_hash.cache_clear()
    vault._HASHER = IN_EARNEST
    try:
        yield
    finally:
        vault._dummy_hash.cache_clear()
        vault._HASHER = QUICK
