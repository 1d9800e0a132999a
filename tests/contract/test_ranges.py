"""The ranges of a file in any store are those of one version, until the run ends."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from indexer.core.errors import Conflict, OneUnavailable
from indexer.store import Expect, fs
from indexer.store.channel_folder import ChannelFolder
from indexer.store.fs import FolderStore
from tests.support.memory_channel import Inline

if TYPE_CHECKING:
    from pathlib import Path

    from indexer.store import Store

NAME = "repodata.json.zst"
KEY = f"noarch/{NAME}"
OLD, NEW = bytes(range(256)) * 64, b"another file"


def test_the_ranges_stay_those_of_the_old_version(store: Store) -> None:
    etag = store.put(KEY, OLD, expect=Expect.ABSENT)
    with ChannelFolder(store, "noarch", Inline()).requesting({}) as folder:
        read, size = folder.ranges(NAME, etag)
        store.put(KEY, NEW, expect=etag)
        assert size == len(OLD)
        assert (read(300, 400), read(0, 1), read(0, size)) == (OLD[300:400], OLD[:1], OLD)


def test_a_file_of_a_folder_is_closed_when_the_run_ends(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    etag = store.put(KEY, OLD, expect=Expect.ABSENT)
    with ChannelFolder(store, "noarch", Inline()).requesting({}) as folder:
        read, _ = folder.ranges(NAME, etag)
    with pytest.raises(ValueError, match="closed"):
        read(0, 1)
    read, _ = ChannelFolder(store, "noarch", Inline()).ranges(NAME, etag)  # nothing would close the file: it is read
    (tmp_path / KEY).unlink()
    assert read(5, 9) == OLD[5:9]


def test_a_file_that_was_requested_is_not_requested_again(store: Store) -> None:
    etag = store.put(KEY, OLD, expect=Expect.ABSENT)
    before = store.usage.requests["GET"]
    with ChannelFolder(store, "noarch", Inline()).requesting({NAME: etag}) as folder:
        read, _ = folder.ranges(NAME, etag)
        assert read(5, 9) == OLD[5:9]
    assert store.usage.requests["GET"] == before + 1


def test_another_version_is_a_conflict(store: Store) -> None:
    etag = store.put(KEY, OLD, expect=Expect.ABSENT)
    store.put(KEY, NEW, expect=etag)
    with ChannelFolder(store, "noarch", Inline()).requesting({}) as folder, pytest.raises(Conflict):
        folder.ranges(NAME, etag)


def test_a_file_that_became_shorter_is_a_conflict(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    etag = store.put(KEY, OLD, expect=Expect.ABSENT)
    with ChannelFolder(store, "noarch", Inline()).requesting({}) as folder:
        read, size = folder.ranges(NAME, etag)
        (tmp_path / KEY).write_bytes(NEW)
        with pytest.raises(Conflict, match="became shorter"):
            read(0, size)


@pytest.mark.parametrize(("number", "expected"), [(errno.ESTALE, Conflict), (errno.EIO, OneUnavailable)])
def test_an_error_of_the_disk_is_an_error_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, expected: type[Exception]
) -> None:
    store = FolderStore(tmp_path)
    etag = store.put(KEY, OLD, expect=Expect.ABSENT)

    def failing(*_: int) -> bytes:
        raise OSError(number, "failed")

    with ChannelFolder(store, "noarch", Inline()).requesting({}) as folder:
        read, size = folder.ranges(NAME, etag)
        monkeypatch.setattr(os, "pread", failing)
        with pytest.raises(expected, match=KEY):
            read(0, size)


def test_a_file_that_cannot_be_replaced_while_it_is_open_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fs, "_Reader", fs.FolderReader)  # as on Windows
    store = FolderStore(tmp_path)
    etag = store.put(KEY, OLD, expect=Expect.ABSENT)
    with ChannelFolder(store, "noarch", Inline()).requesting({}) as folder:
        read, size = folder.ranges(NAME, etag)
        (tmp_path / KEY).unlink()
        assert read(0, size) == OLD
