"""Attestations of any number and content are read in little memory."""

from __future__ import annotations

import hashlib
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from indexer.core.attestations import bundles_digest
from indexer.core.snapshot import Snapshot
from indexer.lister.sidecars import load_attestations
from indexer.store.channel_folder import ChannelFolder
from tests.support.memory import MemoryStore

MIB = 2**20


def test_many_large_attestations_are_read_in_bounded_memory() -> None:
    content = b"[{}" + b",{}" * (4 * MIB) + b"]"
    sha256 = hashlib.sha256(content).hexdigest()
    store = MemoryStore()
    for number in range(12):
        for name in (f"p{number}-1-0.conda.sigs", f"p{number}-1-0.conda.sigs.{sha256}"):
            store.upload(f"noarch/{name}", content)
    stats = {stat.key.removeprefix("noarch/"): stat for stat in store.list("noarch/")}
    sidecars = {name: msgspec.structs.replace(stat, key=name) for name, stat in stats.items()}
    with ThreadPoolExecutor(12) as threads:
        tracemalloc.start()
        result = load_attestations(ChannelFolder(store, "noarch", threads), Snapshot(sidecars=sidecars))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert {value.sha256 for value in result.values()} == {sha256}
    assert len(result) == 12
    assert peak < 80 * MIB


@pytest.mark.parametrize("content", [b"[1]", b' \n[ {"a": "\xc3\xa9"} ]\n', b"[[]]"])
def test_a_json_array_with_something_in_it_is_an_attestation(content: bytes) -> None:
    assert bundles_digest(content) == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("content", [b"", b"[", b"[1,]", b"[1] x", b"{}", b'"x"', b'["\xff"]', b"[" * 100_000, b"null"])
def test_anything_else_is_no_attestation(content: bytes) -> None:
    with pytest.raises(ValueError, match="is not a JSON array"):
        bundles_digest(content)


@pytest.mark.parametrize("content", [b"[]", b" [ \n ] "])
def test_an_empty_array_is_no_attestation(content: bytes) -> None:
    with pytest.raises(ValueError, match="is an empty array"):
        bundles_digest(content)
