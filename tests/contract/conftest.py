"""Where a store for a test comes from: memory, a folder, moto, and a real server where there is one."""

from __future__ import annotations

import contextlib
import os
import uuid
from typing import TYPE_CHECKING

import pytest

from fixtures.bucket import ACCESS_KEY, REGION, SECRET_KEY, Bucket
from indexer.store import Usage
from indexer.store.fs import FolderStore
from indexer.store.s3 import S3Store
from indexer.store.target import S3Options, Target
from tests.support.buckets import moto_server
from tests.support.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from indexer.store import Store

__all__ = ["moto_server"]


@pytest.fixture(scope="session")
def moto(moto_server: Bucket) -> Bucket:
    moto_server.client.create_bucket(Bucket="contract")
    return moto_server


def in_moto(moto: Bucket, bucket: str = "contract") -> S3Store:
    """A store under a prefix of its own."""
    options = S3Options(
        endpoint_url=moto.endpoint,
        region=REGION,
        addressing_style="path",
        access_key_id=ACCESS_KEY,
        secret_access_key=SECRET_KEY,
    )
    prefix = uuid.uuid4().hex
    return S3Store(bucket, prefix, Target(f"s3://{bucket}/{prefix}", options))


@pytest.fixture(scope="session")
def _shared(moto: Bucket) -> Iterator[S3Store]:
    store = in_moto(moto)
    yield store
    store._client.close()


def _emptied(store: S3Store) -> S3Store:
    """The same store as if it were new: to make a client takes longer than to run a test."""
    store._prefix = f"{uuid.uuid4().hex}/"
    store.usage = Usage()
    store._bare_etags = False
    return store


@pytest.fixture
def s3(_shared: S3Store) -> S3Store:
    """A store in moto's bucket, empty."""
    return _emptied(_shared)


@contextlib.contextmanager
def _in_real_bucket() -> Iterator[S3Store]:
    settings = [os.environ.get(f"INDEXER_TEST_S3_{name}") for name in ("ENDPOINT", "KEY", "SECRET")]
    if not all(settings):
        pytest.skip("INDEXER_TEST_S3_ENDPOINT, INDEXER_TEST_S3_KEY and INDEXER_TEST_S3_SECRET name no server")
    endpoint, key, secret = settings
    options = S3Options(
        endpoint_url=endpoint,
        region=REGION,
        addressing_style="path",
        access_key_id=key,
        secret_access_key=secret,
    )
    bucket = f"indexer-{uuid.uuid4().hex}"
    store = S3Store(bucket, "a/channel", Target(f"s3://{bucket}/a/channel", options))
    client = store._client
    client.create_bucket(Bucket=bucket)
    try:
        yield store
    finally:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for entry in page.get("Contents", ()):
                client.delete_object(Bucket=bucket, Key=entry["Key"])
        client.delete_bucket(Bucket=bucket)
        client.close()


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
        with _in_real_bucket() as real:
            yield real
