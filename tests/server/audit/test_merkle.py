"""The Merkle tree against its definition, written out as RFC 9162 has it, and against the vectors of the Certificate
Transparency project."""

from hashlib import sha256

import pytest
from hypothesis import given, strategies as st

from server.audit import merkle

# -- the definition, as it stands in 2.1.1, 2.1.3.1 and 2.1.4.1 --------------------------------------


def power_below(size: int) -> int:
    power = 1
    while power * 2 < size:
        power *= 2
    return power


def plain_root(contents: list[bytes]) -> bytes:
    if not contents:
        return sha256(b"").digest()
    if len(contents) == 1:
        return sha256(b"\x00" + contents[0]).digest()
    k = power_below(len(contents))
    return sha256(b"\x01" + plain_root(contents[:k]) + plain_root(contents[k:])).digest()


def plain_path(m: int, contents: list[bytes]) -> list[bytes]:
    if len(contents) == 1:
        return []
    k = power_below(len(contents))
    if m < k:
        return [*plain_path(m, contents[:k]), plain_root(contents[k:])]
    return [*plain_path(m - k, contents[k:]), plain_root(contents[:k])]


def plain_subproof(m: int, contents: list[bytes], whole: bool) -> list[bytes]:
    n = len(contents)
    if m == n:
        return [] if whole else [plain_root(contents)]
    k = power_below(n)
    if m <= k:
        return [*plain_subproof(m, contents[:k], whole), plain_root(contents[k:])]
    return [*plain_subproof(m - k, contents[k:], False), plain_root(contents[:k])]


def contents_of(size: int) -> list[bytes]:
    return [f"leaf {number}".encode() for number in range(size)]


def hashes_of(contents: list[bytes]) -> list[bytes]:
    return [merkle.leaf_hash(content) for content in contents]


# Leaves and roots as they are published with google/certificate-transparency (merkletree tests, Apache-2.0).
PUBLISHED = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]


@pytest.mark.parametrize(
    ("size", "root"),
    [
        (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
    ],
)
def test_root_is_the_published_one(size: int, root: str) -> None:
    contents = [bytes.fromhex(text) for text in PUBLISHED[:size]]
    assert merkle.root_of(hashes_of(contents)).hex() == root


@pytest.mark.parametrize("size", range(70))
def test_root_and_every_proof_are_those_of_the_definition(size: int) -> None:
    contents = contents_of(size)
    hashes, root = hashes_of(contents), plain_root(contents)
    assert merkle.root_of(hashes) == root
    for index in range(size):
        path = merkle.inclusion_proof(index, hashes)
        assert path == plain_path(index, contents)
        assert merkle.is_included(hashes[index], index, size, path, root)
    for first in range(1, size + 1):
        proof = merkle.consistency_proof(first, hashes)
        assert proof == plain_subproof(first, contents, True)
        assert merkle.is_consistent(first, size, plain_root(contents[:first]), root, proof)


@given(st.integers(1, 400), st.data())
def test_inclusion_proof_fits_nothing_else_when_any_part_of_it_is_another(
    size: int, data: st.DataObject
) -> None:
    hashes = hashes_of(contents_of(size))
    index, root = data.draw(st.integers(0, size - 1)), merkle.root_of(hashes)
    path = merkle.inclusion_proof(index, hashes)
    assert merkle.is_included(hashes[index], index, size, path, root)
    other = data.draw(st.integers(-1, size + 1).filter(lambda number: number != index))
    assert not merkle.is_included(hashes[index], other, size, path, root)
    assert not merkle.is_included(merkle.leaf_hash(b"another"), index, size, path, root)
    assert not merkle.is_included(hashes[index], index, size, path, merkle.leaf_hash(b"another"))
    assert not merkle.is_included(hashes[index], index, size, [*path, root], root)
    if path:
        assert not merkle.is_included(hashes[index], index, size, path[:-1], root)
        place = data.draw(st.integers(0, len(path) - 1))
        bent = [*path[:place], merkle.leaf_hash(path[place]), *path[place + 1 :]]
        assert not merkle.is_included(hashes[index], index, size, bent, root)


@given(st.integers(2, 400), st.data())
def test_consistency_proof_fits_no_tree_that_began_otherwise(size: int, data: st.DataObject) -> None:
    hashes = hashes_of(contents_of(size))
    first = data.draw(st.integers(1, size - 1))
    proof, root = merkle.consistency_proof(first, hashes), merkle.root_of(hashes)
    assert merkle.is_consistent(first, size, merkle.root_of(hashes[:first]), root, proof)
    place = data.draw(st.integers(0, first - 1))
    rewritten = [*hashes[:place], merkle.leaf_hash(b"another"), *hashes[place + 1 :]]
    assert not merkle.is_consistent(first, size, merkle.root_of(rewritten[:first]), root, proof)
    assert not merkle.is_consistent(
        first, size, merkle.root_of(hashes[:first]), merkle.root_of(rewritten), proof
    )
    assert not merkle.is_consistent(first, size, merkle.root_of(hashes[:first]), root, [*proof, root])
    assert not merkle.is_consistent(first, size, merkle.root_of(hashes[:first]), root, proof[:-1])


def test_same_tree_needs_no_proof() -> None:
    root = merkle.root_of(hashes_of(contents_of(5)))
    assert merkle.is_consistent(5, 5, root, root, [])
    assert not merkle.is_consistent(5, 5, root, root, [root])
    assert not merkle.is_consistent(0, 5, merkle.EMPTY_ROOT, root, [])
    assert not merkle.is_consistent(6, 5, root, root, [])


@pytest.mark.parametrize("index", [-1, 3])
def test_proof_of_a_leaf_that_is_not_there_is_refused(index: int) -> None:
    with pytest.raises(ValueError, match="no leaf"):
        merkle.inclusion_proof(index, hashes_of(contents_of(3)))


@pytest.mark.parametrize("first", [0, 4])
def test_proof_of_growth_from_nothing_or_from_more_is_refused(first: int) -> None:
    with pytest.raises(ValueError, match="no tree"):
        merkle.consistency_proof(first, hashes_of(contents_of(3)))


@given(st.integers(1, 70), st.data())
def test_proof_from_peaks_is_the_proof_from_all_leaves(size: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(1, size))
    leaves, tree = hashes_of(contents_of(size)), merkle.Growing()
    for leaf in leaves[:first]:
        tree.add(leaf)
    found = merkle.consistency_from_peaks(first, tree.peaks, leaves[first:])
    assert found == merkle.consistency_proof(first, leaves)


def test_proof_from_the_peaks_of_another_tree_is_refused() -> None:
    for first, peaks in ((0, []), (3, [b"x" * 32]), (4, [b"x" * 32] * 2)):
        with pytest.raises(ValueError, match="peaks are not those"):
            merkle.consistency_from_peaks(first, peaks, [])
