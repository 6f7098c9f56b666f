"""The log that supervisors trust: hash-chained streams, signed checkpoints over all of them, and the proof that both hold.

`chain` writes entries, `checkpoints` signs how far they go, `verification` recomputes it all, `export` carries it to
where there is no database, `proofs` shows one entry or one step of growth by itself, `merkle` is the tree (RFC 9162),
`anchors` ties the ledger of changes to the log.
"""

from server.audit.chain import OFFICE, append, entry_hash, post_stream
from server.audit.verification import Broken, verify

__all__ = ["OFFICE", "Broken", "append", "entry_hash", "post_stream", "verify"]
