"""Self-contained proofs: that an entry is under a checkpoint, and that one checkpoint grew out of another.

A verifier needs a checkpoint of their own, but neither the log nor trust in anybody. An entry's proof holds the entries from
it to the next head that is a leaf (mostly an hour's), and the leaf's path to the root.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from server.audit.chain import entry_hash
from server.audit.checkpoints import KeptCheckpoint, StreamHead, is_signed, kept, stored
from server.audit.merkle import consistency_proof, inclusion_proof, is_consistent, is_included
from server.audit.verification import columns
from server.context import AppContext
from server.crypto.vault import base64url, unbase64
from server.database.models import AuditEntry, table
from server.translations import T_
from sync_protocol import ProtocolError

ENTRY_PROOF: Final = "posyandu-sync.entry-proof"
GROWTH_PROOF: Final = "posyandu-sync.growth-proof"


class NoProof(ValueError):
    """There is nothing to prove: no such entry or checkpoint, or none that covers it yet. In Indonesian and English."""


def prove_entry(session: Session, hub: AppContext, stream: str, number: int) -> dict[str, Any]:
    """Prove that an entry is covered by the newest checkpoint.

    Raises
    ------
    NoProof
        There is no such entry, or it was written after that checkpoint.
    """
    newest = kept(session, hub)
    leaves = _leaves(session, hub, newest.number) if newest else []
    index = next(
        (i for i, leaf in enumerate(leaves) if leaf.stream == stream and leaf.entries >= number > 0), None
    )
    if newest is None or index is None:
        raise NoProof(
            T_("entry {number} of {stream} is covered by no checkpoint")
            .format(number=number, stream=stream)
            .both()
        )
    leaf, c = leaves[index], table(AuditEntry).c
    wanted = (c.district == hub.district, c.stream == stream, c.number.between(number - 1, leaf.entries))
    rows = list(session.connection().execute(columns(session).where(*wanted).order_by(c.number)))
    before = rows.pop(0).hash if number > 1 else ""
    return {
        "kind": ENTRY_PROOF,
        "statement": newest.statement,
        "signatures": newest.signatures,
        "public_keys": newest.public_keys,
        "previous": before,
        "entries": [{**row._mapping, "details": json.loads(row.details)} for row in rows],
        "leaf": list(leaf),
        "index": index,
        "path": [base64url(step) for step in inclusion_proof(index, [one.leaf() for one in leaves])],
    }


def prove_growth(session: Session, hub: AppContext, first: int) -> dict[str, Any]:
    """Prove that the newest checkpoint's tree grew out of an earlier one's.

    Raises
    ------
    NoProof
        There is no such checkpoint.
    """
    earlier, newest = kept(session, hub, first), kept(session, hub)
    if earlier is None or newest is None:
        raise NoProof(T_("there is no checkpoint {first}").format(first=first).both())
    leaves = [leaf.leaf() for leaf in _leaves(session, hub, newest.number)]
    return {
        "kind": GROWTH_PROOF,
        "first": earlier.statement,
        "statement": newest.statement,
        "signatures": newest.signatures,
        "public_keys": newest.public_keys,
        "path": [base64url(step) for step in consistency_proof(earlier.statement["leaves"], leaves)],
    }


def _leaves(session: Session, hub: AppContext, number: int) -> list[StreamHead]:
    rows = stored(session, hub.district)
    return [leaf for row, leaves in rows if row is not None and row.number <= number for leaf in leaves]


def holds(proof: Mapping[str, Any], *, noted: KeptCheckpoint | None = None) -> bool:
    """Check a proof.

    Parameters
    ----------
    noted : a checkpoint of one's own: its keys replace those in the proof, and a proof of growth must start from it

    Returns
    -------
    bool : False for anything that is not a valid proof
    """
    try:
        statement = proof["statement"]
        keys = noted.public_keys if noted else proof["public_keys"]
        if is_signed(statement, proof["signatures"], keys) is not True:
            return False
        if proof["kind"] == GROWTH_PROOF:
            return _growth_holds(proof, noted)
        return bool(proof["kind"] == ENTRY_PROOF) and _is_covered(proof, statement)
    except (ValueError, KeyError, TypeError, AttributeError, ProtocolError):
        return False


def _growth_holds(proof: Mapping[str, Any], noted: KeptCheckpoint | None) -> bool:
    first, second = proof["first"], proof["statement"]
    if noted is not None and first != noted.statement:
        return False
    return first["district"] == second["district"] and is_consistent(
        first["leaves"],
        second["leaves"],
        unbase64(first["root"]),
        unbase64(second["root"]),
        [unbase64(step) for step in proof["path"]],
    )


def _is_covered(proof: Mapping[str, Any], statement: Mapping[str, Any]) -> bool:
    leaf, reached = StreamHead(*proof["leaf"]), proof["previous"]
    numbers = []
    for entry in proof["entries"]:
        at = datetime.fromisoformat(entry["at"])
        content = (at, entry["actor"], entry["action"], entry["details"], reached)
        reached = entry_hash(statement["district"], leaf.stream, entry["number"], *content)
        numbers.append(entry["number"])
        if (reached, leaf.stream) != (entry["hash"], entry["stream"]):
            return False
    whole = bool(numbers) and numbers == list(range(numbers[0], leaf.entries + 1)) and reached == leaf.hash
    path = [unbase64(step) for step in proof["path"]]
    root = unbase64(statement["root"])
    return whole and is_included(leaf.leaf(), proof["index"], statement["leaves"], path, root)
