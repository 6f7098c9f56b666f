"""Work that every test would do anew and that proves nothing: to compile templates, addresses and statements, and to pay
Argon2's price.

Each test of pages has an application of its own. In those of a child's page templates took a third of the processor,
addresses a sixth and passwords a sixth (27 November 2026). Templates, addresses and Argon2id stay what they are in earnest.
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

__all__ = ["passwords_in_earnest", "spare_work"]

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


class _LateRule(Rule):
    """A route that is taken apart once for all applications of this process, and whose writer of addresses is compiled when
    its first address is written; most write none in a test."""

    _apart: ClassVar[dict[tuple[Any, ...], tuple[Any, ...]]] = {}

    def compile(self) -> None:
        key = self.rule, self.subdomain, self.host, self.merge_slashes
        if key not in self._apart:
            super().compile()
            self._apart[key] = (
                self._parts,
                self._trace,
                self._converters,
                self.arguments - set(self.defaults or ()),
            )
            return
        self._parts, self._trace, self._converters, named = self._apart[key]
        self.arguments |= named
        self._build = self._compile_builder(False).__get__(self, None)
        self._build_unknown = self._compile_builder(True).__get__(self, None)

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        return lambda rule, /, **values: rule._builder(append_unknown)(rule, **values)

    def _builder(self, append_unknown: bool) -> Callable[..., tuple[str, str]]:
        built: dict[bool, Callable[..., tuple[str, str]]] = self.__dict__.setdefault("_built", {})
        if append_unknown not in built:
            built[append_unknown] = super()._compile_builder(append_unknown)
        return built[append_unknown]


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
    Flask.url_rule_class = _LateRule
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
