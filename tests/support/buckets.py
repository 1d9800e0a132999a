"""Buckets for tests: in moto, one server for a process, or on a real server if there is one."""

from __future__ import annotations

import contextlib
import os
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fixtures import seaweed
from fixtures.bucket import ACCESS_KEY, REGION, SECRET_KEY, Bucket, connect, serving
from indexer.store.target import S3Options

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def moto_server() -> Iterator[Bucket]:
    """A server for the whole session: when one ends, moto forgets what is in all of this process."""
    with serving("first") as served:
        yield served


@pytest.fixture
def bucket(moto_server: Bucket) -> Bucket:
    """A bucket with nothing in it; `requests` goes on from the tests before."""
    return new_bucket(moto_server)


@pytest.fixture(scope="session")
def real_bucket() -> Iterator[Bucket]:
    """A bucket for the whole session, for tests to take a prefix of.

    It is of the server that INDEXER_TEST_S3_ENDPOINT, _KEY and _SECRET name, else of SeaweedFS, started for this.
    """
    named = [os.environ.get(f"INDEXER_TEST_S3_{name}", "") for name in ("ENDPOINT", "KEY", "SECRET")]
    if all(named):
        bucket = _first_bucket(*named)
        yield bucket
        _delete(bucket)
        return
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(seaweed.running(ACCESS_KEY, SECRET_KEY))
        except seaweed.NoServerError as error:
            pytest.skip(f"{error}; INDEXER_TEST_S3_ENDPOINT, INDEXER_TEST_S3_KEY, INDEXER_TEST_S3_SECRET name none")
        yield _first_bucket(server.endpoint, ACCESS_KEY, SECRET_KEY)


def _first_bucket(endpoint: str, access_key: str, secret_key: str) -> Bucket:
    client = connect(endpoint, access_key, secret_key)
    return new_bucket(Bucket(endpoint, "", client, access_key=access_key, secret_key=secret_key))


def _delete(bucket: Bucket) -> None:
    """Delete a bucket with all that it has."""
    for page in bucket.client.get_paginator("list_objects_v2").paginate(Bucket=bucket.bucket):
        for entry in page.get("Contents", ()):
            bucket.client.delete_object(Bucket=bucket.bucket, Key=entry["Key"])
    bucket.client.delete_bucket(Bucket=bucket.bucket)


def new_bucket(server: Bucket) -> Bucket:
    """A new bucket of a server."""
    name = f"bucket-{uuid.uuid4().hex}"
    server.client.create_bucket(Bucket=name)
    return replace(server, bucket=name)


def options_for(bucket: Bucket) -> S3Options:
    """How our store reaches a bucket; INDEXER_TEST_S3_PROVIDER says whose a real server is."""
    provider = os.environ.get("INDEXER_TEST_S3_PROVIDER", "minio")
    return S3Options(bucket.endpoint, REGION, "path", bucket.access_key, bucket.secret_key, provider=provider)
