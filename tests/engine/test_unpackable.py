"""A package that cannot be unpacked is not published, and a check finds one that an older indexer has published."""

from __future__ import annotations

import bz2
import hashlib
import json
import random
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from tests.support.archives import END, conda, index_json, member, zst
from tests.support.channel_check import check, faults
from tests.support.memory_channel import PLAIN, channel, index, keys, only, records

if TYPE_CHECKING:
    from tests.support.memory import MemoryStore

NOISE = random.Random(5).randbytes(400_000)
TAR_BZ2 = "linux-64/half-1.0-0.tar.bz2"
CONDA = "linux-64/half-1.0-0.conda"
INFO = member("info/index.json", index_json(TAR_BZ2))


def _half_tar_bz2() -> bytes:
    # In blocks of 100,000 bytes: the first one has the info files whole.
    return bz2.compress(INFO + member("bin/x", NOISE) + END, 1)[:300_000]


def _conda() -> bytes:
    return conda("half-1.0-0", zst(INFO + END), zst(NOISE))


def _flipped_conda() -> bytes:
    body = bytearray(_conda())
    body[200_000] ^= 1
    return bytes(body)


DAMAGED = {TAR_BZ2: _half_tar_bz2(), CONDA: _flipped_conda()}


@pytest.mark.parametrize("key", DAMAGED)
@pytest.mark.parametrize("verify_digests", [True, False])
def test_a_package_that_cannot_be_unpacked_is_not_published(key: str, *, verify_digests: bool) -> None:
    store = channel(*keys(2))
    store.upload(key, DAMAGED[key])
    report = index(store, replace(PLAIN, verify_digests=verify_digests))
    assert report.exit_code == 3
    assert [f"linux-64/{note.filename}" for note in only(report).rejected] == [key]
    assert len(records(store)) == 2
    assert faults(store, deep=True) == []


def indexed_by_an_older_release(key: str) -> MemoryStore:
    """A channel whose index has a damaged package, with its digests."""
    store = channel(*keys(2))
    good = bz2.compress(INFO + member("bin/x", NOISE) + END, 1) if key == TAR_BZ2 else _conda()
    store.upload(key, good)
    index(store)
    content = json.loads(store.bodies()["linux-64/repodata.json"])
    section = content["packages" if key == TAR_BZ2 else "packages.conda"]
    bad = DAMAGED[key]
    section[key.partition("/")[2]].update(
        size=len(bad),
        sha256=hashlib.sha256(bad).hexdigest(),
        md5=hashlib.md5(bad, usedforsecurity=False).hexdigest(),
    )
    store = channel(*keys(2))
    store.upload(key, bad)
    store.upload("linux-64/repodata.json", json.dumps(content).encode())
    index(store, PLAIN)
    assert key.partition("/")[2] in records(store)
    return store


@pytest.mark.parametrize("key", DAMAGED)
def test_a_deep_check_finds_a_published_package_that_cannot_be_unpacked(key: str) -> None:
    store = indexed_by_an_older_release(key)
    (fault,) = check(store, deep=True).faults
    assert fault.key == key
    assert "cannot be indexed any more (the archive is" in fault.reason


@pytest.mark.parametrize("key", DAMAGED)
def test_a_forced_run_drops_a_published_package_that_cannot_be_unpacked(key: str) -> None:
    store = indexed_by_an_older_release(key)
    report = index(store, replace(PLAIN, force=True))
    assert [f"linux-64/{note.filename}" for note in only(report).rejected] == [key]
    assert only(report).removed == (key.partition("/")[2],)
    assert len(records(store)) == 2
    assert faults(store, deep=True) == []
    again = index(store)
    assert [f"linux-64/{note.filename}" for note in only(again).rejected] == [key]
    assert len(records(store)) == 2


def test_a_package_that_is_put_again_is_published() -> None:
    store = indexed_by_an_older_release(CONDA)
    index(store, replace(PLAIN, force=True))
    store.upload(CONDA, _conda())
    assert index(store).exit_code == 0
    assert len(records(store)) == 3
