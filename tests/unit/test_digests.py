"""Digests are the same however the bytes came, and whichever thread made them."""

from __future__ import annotations

import hashlib
import io

import pytest

from indexer.extractor.digests import Digests, Hasher, digests_of

MIB = 2**20
BYTES = bytes(range(256)) * (3 * MIB // 256) + b"tail"
EXPECTED = Digests(hashlib.sha256(BYTES).hexdigest(), hashlib.md5(BYTES, usedforsecurity=False).hexdigest())


def test_digests_of_bytes_that_are_all_here() -> None:
    assert digests_of(BYTES) == EXPECTED
    assert digests_of(b"").md5 == "d41d8cd98f00b204e9800998ecf8427e"


@pytest.mark.parametrize("step", [65_537, MIB // 2 - 1, MIB // 2, MIB, 8 * MIB, -1])
def test_a_hasher_passes_on_what_it_hashes(step: int) -> None:
    with Hasher(io.BytesIO(BYTES)) as hasher:
        parts = list(iter(lambda: hasher.read(step), b""))
        assert b"".join(parts) == BYTES
        assert hasher.digests() == EXPECTED


def test_small_and_large_reads_may_alternate() -> None:
    with Hasher(io.BytesIO(BYTES)) as hasher:
        while hasher.read(MIB) and hasher.read(7):
            pass
        assert hasher.digests() == EXPECTED


def test_digests_name_themselves() -> None:
    assert str(Digests("ab", "cd")) == "sha256 ab md5 cd"
