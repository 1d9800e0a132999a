"""Channels for real processes, in a folder and in a bucket of a real server."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from tests.support import killable_processes
from tests.support.buckets import real_bucket
from tests.support.command import clear_settings
from tests.support.killable_processes import Location, Runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fixtures.bucket import Bucket

__all__ = ["real_bucket"]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    clear_settings(monkeypatch, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with killable_processes.running() as running:
        yield running


@pytest.fixture
def in_folder(tmp_path: Path) -> Callable[[], Location]:
    """New channels in folders."""

    def new() -> Location:
        folder = tmp_path / uuid.uuid4().hex
        folder.mkdir()
        return Location(str(folder))

    return new


@pytest.fixture
def in_bucket(real_bucket: Bucket) -> Callable[[], Location]:
    """New channels under prefixes of a bucket."""

    def new() -> Location:
        location = f"s3://{real_bucket.bucket}/{uuid.uuid4().hex}"
        return Location(location, real_bucket.endpoint, real_bucket.access_key, real_bucket.secret_key)

    return new
