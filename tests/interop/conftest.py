"""Indexed channels for other programs: of the fixtures, of real packages if given, and HTML pages for a browser."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks import peers
from fixtures.browser import Browser, browser, executable
from fixtures.bucket import ACCESS_KEY, REGION, SECRET_KEY, Bucket
from indexer import Options, Outputs, S3Options, Target, index
from tests.interop.real_packages import Indexed, run
from tests.interop.served_page import Site, serve_pages
from tests.support.buckets import bucket, moto_server
from tests.support.channels import lay_out, lay_up
from tests.support.command import ROOT, clear_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["bucket", "moto_server"]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    clear_settings(monkeypatch, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fixtures' packages in a folder, with every file that a client may read. No test changes the folder."""
    folder = lay_out(tmp_path_factory.mktemp("clients") / "channel")
    index(str(folder), Options(outputs=Outputs(bz2=True)))
    return folder


@pytest.fixture(scope="session")
def packages() -> Path:
    """The folder of real packages; they have too many owners to be part of this repository."""
    shared = Path(os.environ.get("INDEXER_TEST_SHARED") or ROOT.parent / "shared")
    folder = (ROOT / shared / "real-packages").resolve()
    if not folder.is_dir():
        pytest.skip("no real-packages in ../shared or in the folder that INDEXER_TEST_SHARED names")
    return folder


@pytest.fixture(scope="session")
def good(packages: Path) -> list[Path]:
    """The packages that every indexer publishes or ignores without an error."""
    paths = (path for path in packages.glob("*-*/*") if path.is_file())
    return sorted([*paths, *(packages / "noarch").iterdir()])


@pytest.fixture(scope="session")
def folder(good: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Indexed:
    """The good packages in a folder, indexed."""
    target = Target(str(lay_out(tmp_path_factory.mktemp("real") / "channel", good)))
    return Indexed(target, run(target))


@pytest.fixture(scope="session")
def rattlers(folder: Indexed, good: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The good packages that we index in a folder, indexed by rattler-index."""
    known = [path for path in good if path.parent.name in folder.report.subdirs]
    theirs = lay_out(tmp_path_factory.mktemp("theirs") / "channel", known)
    outcome = peers.rattler_folder(theirs)
    assert outcome.ok, outcome.output
    return theirs


@pytest.fixture(scope="session")
def some(good: list[Path]) -> list[Path]:
    """Good packages of each subdir, fewer than all, for a bucket."""
    return good[::4]


@pytest.fixture(scope="session")
def in_bucket(some: list[Path], moto_server: Bucket) -> Indexed:
    """Some good packages in a bucket, indexed."""
    options = S3Options(
        endpoint_url=moto_server.endpoint,
        region=REGION,
        addressing_style="path",
        access_key_id=ACCESS_KEY,
        secret_access_key=SECRET_KEY,
    )
    target = Target(lay_up(moto_server, "real", some), options)
    return Indexed(target, run(target))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    program = executable()
    if program is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium)")
    with browser(program) as running:
        yield running


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serve_pages(tmp_path_factory.mktemp("reeds")) as served:
        yield served
