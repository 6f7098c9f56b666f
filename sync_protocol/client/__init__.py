"""The reference client: a tablet that anyone can run, without the server.

    line      HTTP that says whether a lost request may have arrived
    _answers  what an answer must look like to be believed
    store     a replica in an SQLite file
    client    enrol, write, sync

It may import `sync_protocol`, which may not import it: what tablets and server agree on stays without I/O. It never imports
the server. docs/client.md shows it at work.
"""

from sync_protocol.client.client import (
    Client,
    Keys,
    NotReached,
    Pace,
    Progress,
    Refused,
    Renewal,
    Report,
    Signer,
    new_id,
)
from sync_protocol.client.line import Answer, Line, LineLost, Transport
from sync_protocol.client.store import Store

__all__ = [
    "Answer",
    "Client",
    "Keys",
    "Line",
    "LineLost",
    "NotReached",
    "Pace",
    "Progress",
    "Refused",
    "Renewal",
    "Report",
    "Signer",
    "Store",
    "Transport",
    "new_id",
]
