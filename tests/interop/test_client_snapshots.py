"""pixi's engine reads a named snapshot as a channel, over http and from a folder, whatever happened to the channel."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import pytest

from indexer import (
    ChannelSettings,
    GcRequest,
    Options,
    RollbackRequest,
    gc,
    index,
    rollback,
    snapshot,
    yank,
)
from tests.support.channels import lay_out, write
from tests.support.http_servers import serving_folder
from tests.support.pixi import Errand, Found, send

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OLD = "noarch/reedbed-1.1.0-0.conda"
SOLUTION = [
    "linux-64/libreed-2.3.1-h0a1_0.conda",
    OLD,
    "noarch/reedbed-data-2026.1-0.conda",
]
NEWER = "noarch/reedbed-9.0.0-0.conda"
NO_SHARDS = Options(settings=ChannelSettings(write_shards=False))


@contextmanager
def address(channel: Path, way: str) -> Iterator[str]:
    """The URL of a channel over http, or of its folder."""
    with serving_folder(channel) if way == "http" else nullcontext() as server:
        yield server.url if server else channel.as_uri()


def changed_since(channel: Path, *, options: Options | None = None, monolithic: bool = False) -> Path:
    """A channel with the snapshot v1, in which a package was yanked and another one published since; shards were
    collected.
    """
    lay_out(channel)
    index(str(channel), options)
    snapshot(channel, "v1", monolithic=monolithic)
    write(channel, NEWER, noarch="generic")
    index(str(channel))
    yank(channel, [OLD], "bad")
    gc(channel, GcRequest(older_than_ms=0, delete=True))
    return channel


def seen(url: str, form: str, **wishes: object) -> Found:
    return send(Errand(url, formats=(form,), spec="reedbed", **wishes))  # type: ignore[arg-type]  # fields of Errand


# Over file:// pixi's engine reads no shards.
@pytest.mark.parametrize(("way", "form"), [("http", "shards"), ("file", "json")])
def test_the_snapshot_solves_and_installs_as_the_channel_did(tmp_path: Path, way: str, form: str) -> None:
    channel = lay_out(tmp_path / "channel")
    index(str(channel))
    with address(channel, way) as url:
        before = seen(url, form)
    changed_since(channel, monolithic=form == "json")
    with address(channel, way) as url:
        today = seen(url, form)
        frozen = seen(f"{url}/snapshots/v1", form, prefix=str(tmp_path / "prefix"))
    assert frozen.records == before.records
    assert frozen.solutions[form] == SOLUTION
    assert today.solutions[form] == [NEWER]
    assert list((tmp_path / "prefix" / "conda-meta").glob("reedbed-1.1.0-*.json"))


@pytest.mark.parametrize("form", ["zst", "json"])
@pytest.mark.parametrize("options", [None, NO_SHARDS])
def test_clients_without_shards_read_the_json_of_a_snapshot(tmp_path: Path, form: str, options: Options | None) -> None:
    channel = changed_since(tmp_path / "channel", options=options, monolithic=options is None)
    with address(channel, "http") as url:
        frozen = seen(f"{url}/snapshots/v1", form, prefix=str(tmp_path / "prefix"))
    assert frozen.solutions[form] == SOLUTION
    assert list((tmp_path / "prefix" / "conda-meta").glob("reedbed-1.1.0-*.json"))


def test_after_a_rollback_the_channel_solves_as_before(tmp_path: Path) -> None:
    channel = changed_since(tmp_path / "channel")
    report = rollback(channel, RollbackRequest("v1", apply=True))
    assert (report.plans["noarch"].withdrawn, report.plans["noarch"].restored) == (
        (NEWER.partition("/")[2],),
        (OLD.partition("/")[2],),
    )
    with address(channel, "http") as url:
        for form in ("shards", "zst", "json"):
            assert seen(url, form).solutions[form] == SOLUTION
