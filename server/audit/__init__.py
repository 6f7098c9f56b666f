"""The audit log: hash-chained streams, signed checkpoints over all of them, and proofs that both hold.

`chain` appends entries, `checkpoints` signs how far the streams go, `verification` recomputes it all, `export` writes a
file that can be verified without a database, `proofs` proves a single entry or the growth between two checkpoints, `merkle`
is the tree (RFC 9162), `anchors` compares the ledger of changes with the log. `row_digests` binds rows that hold decisions,
`unbound` finds those that the log does not vouch for, `adoption` binds those of older releases.
"""

from server.audit.chain import OFFICE, append, entry_hash, post_stream
from server.audit.verification import Broken, verify

__all__ = ["OFFICE", "Broken", "append", "entry_hash", "post_stream", "verify"]
