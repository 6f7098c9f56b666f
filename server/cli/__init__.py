"""`posyandu-sync …`: each command calls one function of a package below. Data goes to stdout, messages to stderr.

Exit codes: 0 done; 1 done but something needs attention (a refused row, a broken chain); 2 wrong use.
"""

from server.cli import (
    aid,
    audit,
    decisions,
    exports,
    imports,
    keys,
    operations,
    people,
    posts,
    privacy,
    reports,
    review,
    serve,
    witness,
    zscore,
)
from server.cli.installation import main

__all__ = [
    "aid",
    "audit",
    "decisions",
    "exports",
    "imports",
    "keys",
    "main",
    "operations",
    "people",
    "posts",
    "privacy",
    "reports",
    "review",
    "serve",
    "witness",
    "zscore",
]
