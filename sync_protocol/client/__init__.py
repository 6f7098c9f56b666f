"""The reference client: a tablet that anyone can run, without the server.

    client    enrol, write, sync
    store     a replica in an SQLite file
    line      HTTP connection that tells whether a lost request may have arrived
    pace      how patient one request is, and how it fails
    report    what a sync brought
    keys      what is needed of a key store
    _answers  checks the shape of an answer before it is used
    _device   the device's clock, and the ids that it makes

It may import `sync_protocol`, which may not import it: what tablets and server agree on stays without I/O. It never imports
the server. docs/client.md has examples.
"""

from sync_protocol.client._device import new_id
from sync_protocol.client.client import Client
from sync_protocol.client.keys import Keys, Signer
from sync_protocol.client.line import Answer, Line, LineLost, Transport
from sync_protocol.client.pace import NotReached, Pace, Refused
from sync_protocol.client.report import Progress, Renewal, Report
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
