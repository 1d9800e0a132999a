"""A reader that has an index installs from it while a prune works; without a grace it would meet a 404."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from indexer import ChannelSettings, PruneRequest, index, prune
from tests.support.channels import write
from tests.support.http_servers import Request, Response, answering
from tests.support.pixi import Errand, ReaderError, send

if TYPE_CHECKING:
    from pathlib import Path

DAY_MS = 86_400_000


def release(channel: Path, version: str) -> None:
    """Put a nightly version of `app` into the channel, and index it."""
    (channel / "linux-64").mkdir(parents=True, exist_ok=True)
    write(channel, f"linux-64/app-{version}-0.conda")
    assert index(str(channel)).exit_code == 0


def read_while_pruned(channel: Path, prefix: Path, grace_ms: int) -> list[int]:
    """Install `app`; between the index and the package the next version comes and a prune works.  The status codes."""
    codes = []
    is_pruned = False

    def answer(request: Request) -> Response:
        nonlocal is_pruned
        if request.path.endswith(".conda") and not is_pruned:
            is_pruned = True
            release(channel, "2.0")
            assert (
                prune(str(channel), PruneRequest(ChannelSettings(keep_newest=1), grace_ms, delete=True)).exit_code == 0
            )
        path = channel / request.path.lstrip("/")
        response = Response(200, path.read_bytes()) if path.is_file() else Response(404)
        if request.path.endswith(".conda"):
            codes.append(response.status)
        return response

    with answering(answer) as server:
        send(Errand(server.url, formats=("shards",), spec="app", prefix=str(prefix)))
    return codes


def test_a_reader_installs_the_version_of_its_index(tmp_path: Path) -> None:
    channel = tmp_path / "channel"
    release(channel, "1.0")
    assert set(read_while_pruned(channel, tmp_path / "first", DAY_MS)) == {200}
    assert list((tmp_path / "first" / "conda-meta").glob("app-1.0-0.json"))
    with answering(lambda request: Response(200, (channel / request.path.lstrip("/")).read_bytes())) as server:
        later = send(Errand(server.url, formats=("shards",), spec="app"))
    assert "linux-64/app-2.0-0.conda" in later.solutions["shards"]
    assert "linux-64/app-1.0-0.conda" not in later.records["shards"]


def test_without_a_grace_the_package_is_gone(tmp_path: Path) -> None:
    channel = tmp_path / "channel"
    release(channel, "1.0")
    with pytest.raises(ReaderError, match="404"):
        read_while_pruned(channel, tmp_path / "prefix", 0)
