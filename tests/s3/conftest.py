"""Channels for real processes, in a folder and in a bucket of a real server."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from tests.support import mortal
from tests.support.buckets import real_bucket
from tests.support.command import forget_settings
from tests.support.mortal import Runner, Where

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fixtures.bucket import Bucket

__all__ = ["real_bucket"]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    forget_settings(monkeypatch, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with mortal.running() as running:
        yield running


@pytest.fixture
def in_folder(tmp_path: Path) -> Callable[[], Where]:
    """New channels in folders."""

    def new() -> Where:
        folder = tmp_path / uuid.uuid4().hex
        folder.mkdir()
        return Where(str(folder))

    return new


@pytest.fixture
def in_bucket(real_bucket: Bucket) -> Callable[[], Where]:
    """New channels under prefixes of a bucket."""

    def new() -> Where:
        location = f"s3://{real_bucket.bucket}/{uuid.uuid4().hex}"
        return Where(location, real_bucket.endpoint, real_bucket.access_key, real_bucket.secret_key)

    return new
