"""Where a store for a test comes from: memory, a folder, moto, and a real server where there is one."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from indexer.core.usage import Usage
from indexer.store.fs import FolderStore
from indexer.store.s3.conditional import ConditionalWrites
from indexer.store.s3.store import S3Store
from indexer.store.target import Target
from tests.support.buckets import moto_server, options_for, real_bucket
from tests.support.fake_s3 import serving
from tests.support.http_hooks import no_pause
from tests.support.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fixtures.bucket import Bucket
    from indexer.store import Store
    from tests.support.fake_s3 import Server

__all__ = ["moto_server", "real_bucket"]


@pytest.fixture(scope="session")
def moto(moto_server: Bucket) -> Bucket:
    moto_server.client.create_bucket(Bucket="contract")
    return moto_server


def in_moto(moto: Bucket, bucket: str = "contract") -> S3Store:
    """A store under a prefix of its own."""
    prefix = uuid.uuid4().hex
    return S3Store(bucket, prefix, Target(f"s3://{bucket}/{prefix}", options_for(moto)), no_pause())


@pytest.fixture(scope="session")
def _shared(moto: Bucket) -> Iterator[S3Store]:
    store = in_moto(moto)
    yield store
    store.bucket.client.connections.close()


def _emptied(store: S3Store) -> S3Store:
    """The same store as if it were new: to make a client takes longer than to run a test."""
    store.bucket.prefix = f"{uuid.uuid4().hex}/"
    store.usage = store.bucket.client.usage = Usage()
    store.writes = ConditionalWrites(store.bucket, store.provider.conditions)
    store._sends_if_match = True
    return store


@pytest.fixture
def s3(_shared: S3Store) -> S3Store:
    """A store in moto's bucket, empty."""
    return _emptied(_shared)


@pytest.fixture(scope="session")
def _real(real_bucket: Bucket) -> Iterator[S3Store]:
    store = S3Store(real_bucket.bucket, "", Target(f"s3://{real_bucket.bucket}", options_for(real_bucket)))
    yield store
    store.bucket.client.connections.close()


@pytest.fixture(params=["memory", "folder", "moto", pytest.param("s3", marks=pytest.mark.s3)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store of each kind, empty."""
    if request.param == "memory":
        yield MemoryStore()
    elif request.param == "folder":
        yield FolderStore(tmp_path)
    elif request.param == "moto":
        yield request.getfixturevalue("s3")
    else:
        yield _emptied(request.getfixturevalue("_real"))


@pytest.fixture(scope="session")
def served() -> Iterator[Server]:
    """One server that plays every provider."""
    with serving() as server:
        yield server
