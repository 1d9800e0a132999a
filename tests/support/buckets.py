"""Buckets of moto's for tests: one server a process, a bucket a test."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fixtures.bucket import Bucket, serving

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
    name = f"bucket-{uuid.uuid4().hex}"
    moto_server.client.create_bucket(Bucket=name)
    return replace(moto_server, bucket=name)
