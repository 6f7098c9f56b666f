"""The Merkle tree of RFC 9162 section 2.1: roots, inclusion proofs, consistency proofs. PURE.

Nothing here depends on what a leaf means. A tree is the list of its leaves' hashes; `Growing` holds only the roots of its
perfect subtrees, so that a leaf is added in logarithmic time without the leaves before it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

EMPTY_ROOT: Final = sha256(b"").digest()
"""The root of a tree without leaves (2.1.1)."""


def leaf_hash(content: bytes) -> bytes:
    """Hash a leaf's content; the prefix byte separates leaves from nodes (2.1.1)."""
    return sha256(b"\x00" + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees into their parent."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(slots=True)
class Growing:
    """A tree to which leaves are added.

    Parameters
    ----------
    size : leaves so far
    peaks : roots of its perfect subtrees, the largest first: one for each bit that is set in `size`
    """

    size: int = 0
    peaks: list[bytes] = field(default_factory=list)

    def add(self, leaf: bytes) -> None:
        """Add the hash of a leaf."""
        full = self.size
        while full & 1:  # join subtrees of equal size
            leaf = node_hash(self.peaks.pop(), leaf)
            full >>= 1
        self.peaks.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Return the tree's root."""
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Return the root over the hashes of leaves."""
    tree = Growing()
    for leaf in leaves:
        tree.add(leaf)
    return tree.root()


def _split(size: int) -> int:
    """Return the largest power of two below `size`, which must exceed 1."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_proof(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Prove that a leaf is in the tree (2.1.3.1).

    Parameters
    ----------
    index : of the leaf, from 0
    leaves : hashes of all leaves

    Raises
    ------
    ValueError
        There is no such leaf.
    """
    if not 0 <= index < len(leaves):
        raise ValueError(f"there is no leaf {index} among {len(leaves)}")
    path: list[bytes] = []
    low, high = 0, len(leaves)
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(root_of(leaves[middle:high]))
            high = middle
        else:
            path.append(root_of(leaves[low:middle]))
            low = middle
    return path[::-1]


def is_included(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Check an inclusion proof against a tree's size and root (2.1.3.2)."""
    if not 0 <= index < size:
        return False
    at, last, reached = index, size - 1, leaf
    for step in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            reached = node_hash(step, reached)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            reached = node_hash(reached, step)
        at, last = at >> 1, last >> 1
    return last == 0 and reached == root


def consistency_proof(first: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Prove that the tree of the first leaves is a prefix of this one (2.1.4.1).

    Parameters
    ----------
    first : size of the earlier tree, 1 to len(leaves)
    leaves : hashes of all leaves of the later tree

    Raises
    ------
    ValueError
        The earlier tree is empty or the larger one.
    """
    if not 0 < first <= len(leaves):
        raise ValueError(f"there is no tree of {first} within one of {len(leaves)} leaves")
    proof: list[bytes] = []
    low, high, wanted, whole = 0, len(leaves), first, True
    while wanted < high - low:
        middle = low + _split(high - low)
        if wanted <= middle - low:
            proof.append(root_of(leaves[middle:high]))
            high = middle
        else:
            proof.append(root_of(leaves[low:middle]))
            wanted, low, whole = wanted - (middle - low), middle, False
    if not whole:
        proof.append(root_of(leaves[low:high]))
    return proof[::-1]


def consistency_from_peaks(first: int, peaks: Sequence[bytes], added: Sequence[bytes]) -> list[bytes]:
    """Prove the same as `consistency_proof`, from the peaks of the earlier tree and the leaves added since.

    So a proof costs what was added, not the whole tree.

    Parameters
    ----------
    first : size of the earlier tree, at least 1
    peaks : as `Growing.peaks` had them at that size
    added : hashes of the leaves after it

    Raises
    ------
    ValueError
        The earlier tree is empty, or these are not its peaks.
    """
    if first < 1 or first.bit_count() != len(peaks):
        raise ValueError(f"{len(peaks)} peaks are not those of a tree of {first} leaves")
    proof: list[bytes] = []
    low, high, old, whole = 0, first + len(added), list(peaks), True
    while first < high:
        middle = low + _split(high - low)
        if first <= middle:
            proof.append(root_of(added[middle - first : high - first]))
            high = middle
        else:
            proof.append(old.pop(0))
            low, whole = middle, False
    if not whole:
        proof.append(Growing(first - low, old).root())
    return proof[::-1]


def is_consistent(
    first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Check a consistency proof against sizes and roots of both trees (2.1.4.2)."""
    if not 0 < first <= second:
        return False
    if first == second:
        return not proof and first_root == second_root
    steps = list(proof) if first & (first - 1) else [first_root, *proof]
    if not steps:
        return False
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    earlier = later = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            earlier, later = node_hash(step, earlier), node_hash(step, later)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            later = node_hash(later, step)
        at, last = at >> 1, last >> 1
    return last == 0 and earlier == first_root and later == second_root
