"""Packages of other people, if they are there, indexed once for all tests: in a folder and in a bucket."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fixtures.bucket import ACCESS_KEY, REGION, SECRET_KEY, Bucket
from indexer import S3Options, Target
from indexer.commands.context import Context
from indexer.commands.index import index_channel
from indexer.core.model import Outputs
from indexer.core.options import Options
from indexer.extractor import workers
from indexer.store.clock import Clock
from indexer.store.target import open_store
from tests.support.buckets import moto_server
from tests.support.channels import lay_out, lay_up
from tests.support.command import ROOT, forget_settings

if TYPE_CHECKING:
    from indexer.core.report import Report

__all__ = ["moto_server"]

NOW_MS = 1_790_000_000_000  # in the past, or a check would fault the dates
WITH_BZ2 = Options(outputs=Outputs(bz2=True), verify_digests=True)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    forget_settings(monkeypatch, tmp_path_factory.mktemp("home"))


def run(target: Target, options: Options = WITH_BZ2) -> Report:
    """Index as the command does, at one certain moment."""
    parallel = workers.parallel_for(target)
    with workers.local(target, parallel) as local, ThreadPoolExecutor(16) as threads:
        return index_channel(open_store(target), options, Context(local, threads, Clock(now_ms=lambda: NOW_MS)))


@dataclass(frozen=True)
class Indexed:
    """A channel of real packages after a run."""

    target: Target
    report: Report


@pytest.fixture(scope="session")
def packages() -> Path:
    """Where the real packages lie; they are too many, and of too many owners, to be part of this repository."""
    shared = Path(os.environ.get("INDEXER_TEST_SHARED") or ROOT.parent / "shared")
    found = (ROOT / shared / "real-packages").resolve()
    if not found.is_dir():
        pytest.skip("no real-packages in ../shared or in the folder that INDEXER_TEST_SHARED names")
    return found


@pytest.fixture(scope="session")
def good(packages: Path) -> list[Path]:
    """The packages that every tool takes or passes over."""
    found = (path for path in packages.glob("*-*/*") if path.is_file())
    return sorted([*found, *(packages / "noarch").iterdir()])


@pytest.fixture(scope="session")
def folder(good: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Indexed:
    """The good ones in a folder."""
    target = Target(str(lay_out(tmp_path_factory.mktemp("real") / "channel", good)))
    return Indexed(target, run(target))


@pytest.fixture(scope="session")
def in_bucket(good: list[Path], moto_server: Bucket) -> Indexed:
    """The good ones in a bucket."""
    how = S3Options(
        endpoint_url=moto_server.endpoint,
        region=REGION,
        addressing_style="path",
        access_key_id=ACCESS_KEY,
        secret_access_key=SECRET_KEY,
    )
    target = Target(lay_up(moto_server, "real", good), how)
    return Indexed(target, run(target))
