"""`posyandu-sync …`: each command calls one function of a room below. Data goes to stdout, words to stderr.

Exit codes: 0 done; 1 done but something needs attention (a refused row, a broken chain); 2 wrong use.
"""

from server.cli import (
    aid,
    figures,
    growth,
    incoming,
    keys,
    leaving,
    log,
    office,
    operations,
    people,
    review,
    rights,
    serving,
)
from server.cli.base import main

__all__ = [
    "aid",
    "figures",
    "growth",
    "incoming",
    "keys",
    "leaving",
    "log",
    "main",
    "office",
    "operations",
    "people",
    "review",
    "rights",
    "serving",
]
