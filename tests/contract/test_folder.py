"""What only a folder must do: leave nothing behind, stay inside, and tell quick rewrites apart."""

from __future__ import annotations

import fcntl
import os
import stat
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from indexer.core.errors import BadConfig, Conflict, Denied, IndexerError, Missing
from indexer.core.model import ETag
from indexer.core.stream import Stream
from indexer.store import Expect
from indexer.store.fs import FolderStore

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "noarch/repodata.json"


@pytest.fixture
def channel(tmp_path: Path) -> Path:
    """A folder with a file beside it that is nobody's business."""
    folder = tmp_path / "channel"
    (folder / "noarch").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "far-1-0.conda").write_text("far")
    return folder


@pytest.fixture
def store(channel: Path) -> FolderStore:
    return FolderStore(channel)


@pytest.fixture(params=[0o022, 0o027, 0o002])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def everything(channel: Path) -> set[str]:
    return {path.relative_to(channel).as_posix() for path in channel.rglob("*") if not path.is_dir()}


# Leaving nothing behind


def test_a_put_leaves_one_file(store: FolderStore, channel: Path) -> None:
    store.put(KEY, b"one", expect=Expect.ABSENT)
    store.put(KEY, b"two", expect=Expect.ANYTHING)
    assert everything(channel) == {KEY}


@pytest.mark.parametrize("expect", [Expect.ABSENT, ETag("another")])
def test_a_conflict_leaves_no_other_file(store: FolderStore, channel: Path, expect: Expect | ETag) -> None:
    store.put(KEY, b"one", expect=Expect.ABSENT)
    with pytest.raises(Conflict):
        store.put(KEY, b"two", expect=expect)
    assert everything(channel) == {KEY}


@pytest.mark.parametrize("ends", [KeyboardInterrupt, ValueError, MemoryError])
def test_content_that_breaks_off_leaves_no_file(store: FolderStore, channel: Path, ends: type[BaseException]) -> None:
    def half() -> Iterator[bytes]:
        yield b"half"
        raise ends

    with pytest.raises(ends):
        store.put(KEY, Stream(half, 0, b""), expect=Expect.ABSENT)
    assert everything(channel) == set()


def test_a_failure_of_the_disk_leaves_no_other_file(store: FolderStore, channel: Path) -> None:
    (channel / KEY / "in-the-way").mkdir(parents=True)
    with pytest.raises(IndexerError, match=KEY):
        store.put(KEY, b"one", expect=Expect.ANYTHING)
    assert everything(channel) == set()


def test_a_folder_in_the_way_of_folders_is_an_error_of_ours(store: FolderStore, channel: Path) -> None:
    (channel / "noarch" / "shards").write_text("a file where a folder belongs")
    with pytest.raises(IndexerError, match="shards"):
        store.put("noarch/shards/x", b"one", expect=Expect.ANYTHING)
    assert everything(channel) == {"noarch/shards"}


def test_deleting_and_reading_leave_no_file(store: FolderStore, channel: Path) -> None:
    etag = store.put(KEY, b"one", expect=Expect.ABSENT)
    with store.open(KEY) as reader:
        reader.read()
    store.delete(KEY, expect=etag)
    assert everything(channel) == set()


# Being read by others


def test_permissions_are_what_the_umask_gives(store: FolderStore, channel: Path, umask: int) -> None:
    store.put("noarch/shards/x", b"one", expect=Expect.ABSENT)
    store.put(KEY, b"one", expect=Expect.ABSENT)
    store.put(KEY, b"two", expect=Expect.ANYTHING)
    assert stat.S_IMODE((channel / KEY).stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE((channel / "noarch/shards").stat().st_mode) == 0o777 & ~umask


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
def test_a_file_without_permission_is_denied(store: FolderStore, channel: Path) -> None:
    store.put(KEY, b"one", expect=Expect.ABSENT)
    (channel / KEY).chmod(0)
    with pytest.raises(Denied, match=KEY):
        store.open(KEY)


# Staying inside


def test_a_link_that_leaves_the_channel_is_not_there(store: FolderStore, channel: Path) -> None:
    (channel / "noarch/far-1-0.conda").symlink_to(channel.parent / "elsewhere/far-1-0.conda")
    (channel / "noarch/up-1-0.conda").symlink_to("../../secret")
    (channel / "linux-64").symlink_to(channel.parent / "elsewhere")
    assert list(store.list("noarch/")) == []
    assert [it.key for it in store.list("")] == ["noarch/"]
    for key in ("noarch/far-1-0.conda", "noarch/up-1-0.conda", "linux-64/far-1-0.conda"):
        assert store.stat(key) is None


@pytest.mark.parametrize("key", ["noarch/up-1-0.conda", "linux-64/far-1-0.conda"])
def test_a_link_that_leaves_the_channel_is_not_read(store: FolderStore, channel: Path, key: str) -> None:
    (channel / "noarch/up-1-0.conda").symlink_to("../../secret")
    (channel / "linux-64").symlink_to(channel.parent / "elsewhere")
    with pytest.raises(IndexerError):
        store.open(key).close()


def test_nothing_is_put_through_a_linked_folder_that_leaves_the_channel(store: FolderStore, channel: Path) -> None:
    (channel / "linux-64").symlink_to(channel.parent / "elsewhere")
    with pytest.raises(IndexerError):
        store.put("linux-64/repodata.json", b"{}", expect=Expect.ABSENT)


def test_a_linked_folder_that_leaves_the_channel_has_nothing_in_it(store: FolderStore, channel: Path) -> None:
    (channel / "linux-64").symlink_to(channel.parent / "elsewhere")
    assert list(store.list("linux-64/")) == []


def test_a_link_inside_the_channel_is_followed(store: FolderStore, channel: Path) -> None:
    (channel / "noarch/near-1-0.conda").write_text("near")
    (channel / "noarch/also-1-0.conda").symlink_to("near-1-0.conda")
    found = store.stat("noarch/also-1-0.conda")
    assert found is not None
    assert found.size == len("near")
    assert {it.key for it in store.list("noarch/")} == {"noarch/near-1-0.conda", "noarch/also-1-0.conda"}
    with store.open("noarch/also-1-0.conda", etag=found.etag) as reader:
        assert reader.read() == b"near"


def test_a_link_to_nothing_is_not_there(store: FolderStore, channel: Path) -> None:
    (channel / "noarch/lost-1-0.conda").symlink_to("nowhere")
    assert list(store.list("noarch/")) == []
    assert store.stat("noarch/lost-1-0.conda") is None


def test_a_pipe_is_no_file_and_holds_nobody_up(store: FolderStore, channel: Path) -> None:
    os.mkfifo(channel / "noarch/pipe-1-0.conda")
    assert list(store.list("noarch/")) == []
    assert store.stat("noarch/pipe-1-0.conda") is None
    with pytest.raises(IndexerError):
        store.open("noarch/pipe-1-0.conda")


def test_a_folder_is_no_file(store: FolderStore, channel: Path) -> None:
    (channel / "noarch/odd-1-0.conda").mkdir()
    assert [it.key for it in store.list("noarch/")] == ["noarch/odd-1-0.conda/"]
    assert store.stat("noarch/odd-1-0.conda") is None
    with pytest.raises(IndexerError, match=r"odd-1-0\.conda"):
        store.open("noarch/odd-1-0.conda")


# Telling versions apart


def test_no_version_comes_back_on_quick_rewrites_of_the_same_size(store: FolderStore) -> None:
    etags = [store.put(KEY, b"%03d" % number, expect=Expect.ANYTHING) for number in range(100)]
    assert len(set(etags)) == len(etags)


def test_a_chain_of_expected_versions_holds_on_quick_rewrites(store: FolderStore) -> None:
    etag = store.put(KEY, b"000", expect=Expect.ABSENT)
    for number in range(1, 50):
        before, etag = etag, store.put(KEY, b"%03d" % number, expect=etag)
        with pytest.raises(Conflict):
            store.put(KEY, b"xxx", expect=before)


def test_no_version_comes_back_after_a_file_was_deleted(store: FolderStore) -> None:
    etags = []
    for number in range(100):
        etags.append(store.put(KEY, b"%03d" % number, expect=Expect.ABSENT))
        store.delete(KEY, expect=etags[-1])
    assert len(set(etags)) == len(etags)


def test_a_put_waits_for_whoever_holds_the_folder_and_then_looks_again(store: FolderStore, channel: Path) -> None:
    etag = store.put(KEY, b"first", expect=Expect.ABSENT)
    folder = os.open(channel / "noarch", os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    with ThreadPoolExecutor(1) as thread:
        ours = thread.submit(store.put, KEY, b"ours", expect=etag)
        done, _ = wait([ours], timeout=0.3)  # as long as a put may take that does not wait
        (channel / KEY).write_bytes(b"somebody's")
        os.close(folder)
        with pytest.raises(Conflict):
            ours.result()
    assert not done
    assert (channel / KEY).read_bytes() == b"somebody's"


def test_a_put_gives_the_version_that_is_looked_up_later(store: FolderStore) -> None:
    for number in range(5):
        etag = store.put(KEY, b"%d" % number, expect=Expect.ANYTHING)
        found = store.stat(KEY)
        assert found is not None
        assert found.etag == etag
        assert [it.etag for it in store.list("noarch/")] == [etag]


def test_a_file_that_shrinks_while_it_is_read_is_a_conflict(store: FolderStore, channel: Path) -> None:
    store.put(KEY, b"x" * 100_000, expect=Expect.ABSENT)
    with store.open(KEY) as reader:
        reader.read(10)
        os.truncate(channel / KEY, 20)
        with pytest.raises(Conflict):
            list(iter(lambda: reader.read(50_000), b""))


@pytest.mark.parametrize("name", ["missing", "secret"])
def test_a_missing_folder_is_a_mistake_in_the_set_up(tmp_path: Path, channel: Path, name: str) -> None:
    with pytest.raises(BadConfig, match=name):
        FolderStore(tmp_path / name)


def test_a_name_that_is_no_text_is_left_alone(store: FolderStore, channel: Path) -> None:
    folder = channel / "linux-64"
    folder.mkdir(exist_ok=True)
    (folder / "good-1-0.conda").write_bytes(b"x")
    Path(os.fsdecode(os.fsencode(folder) + b"/bad-1-\xff.conda")).write_bytes(b"x")
    assert [it.key for it in store.list("linux-64/")] == ["linux-64/good-1-0.conda"]


# A folder that others may write to


class Swapping(FolderStore):
    """A store that looks where a file lies just before somebody puts a link in the place of its subdir."""

    def _inside(self, path: Path) -> Any:
        found = super()._inside(path)
        subdir = self._root / "noarch"
        if not subdir.is_symlink():
            subdir.rename(self._root / "noarch-before")
            subdir.symlink_to(self._root.parent / "elsewhere")
        return found


@pytest.mark.parametrize("key", ["noarch/repodata.json", "noarch/shards/new", "noarch/far-1-0.conda"])
def test_a_link_put_there_after_the_check_is_not_followed(channel: Path, key: str) -> None:
    (channel / "noarch/far-1-0.conda").write_text("near")
    before = everything(channel.parent / "elsewhere")
    with pytest.raises(Denied, match="a link that leaves the channel"):
        Swapping(channel).put(key, b"one", expect=Expect.ANYTHING)
    assert everything(channel.parent / "elsewhere") == before


def test_what_a_link_hides_after_the_check_is_neither_read_nor_deleted(channel: Path) -> None:
    (channel / "noarch/far-1-0.conda").write_text("near")
    (channel / "linux-64").symlink_to("noarch")  # a file is looked for only behind a link
    with pytest.raises(Missing):
        Swapping(channel).open("linux-64/far-1-0.conda")
    (channel / "noarch").unlink()
    (channel / "noarch-before").rename(channel / "noarch")
    with pytest.raises(Denied):
        Swapping(channel).delete("noarch/far-1-0.conda", expect=Expect.ANYTHING)
    assert everything(channel.parent / "elsewhere") == {"far-1-0.conda"}


def test_a_folder_that_is_swapped_while_a_file_is_written_gets_that_file(store: FolderStore, channel: Path) -> None:
    def content() -> Iterator[bytes]:
        if not (channel / "before").exists():
            (channel / "noarch").rename(channel / "before")
            (channel / "noarch").symlink_to(channel.parent / "elsewhere")
        yield b"one"

    store.put(KEY, Stream(content, 0, b""), expect=Expect.ANYTHING)
    assert everything(channel / "before") == {"repodata.json"}
    assert everything(channel.parent / "elsewhere") == {"far-1-0.conda"}


def test_a_link_inside_of_the_channel_is_followed(store: FolderStore, channel: Path) -> None:
    (channel / "linux-64").symlink_to("noarch")
    etag = store.put("linux-64/repodata.json", b"one", expect=Expect.ABSENT)
    with store.open(KEY, etag=etag) as reader:
        assert reader.read() == b"one"
    assert everything(channel) == {KEY}


def test_a_folder_in_the_place_of_a_file_leaves_no_descriptor_open(store: FolderStore, channel: Path) -> None:
    (channel / "noarch/a-1-0.conda").mkdir()
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(10):
        with pytest.raises(Missing):
            store.open("noarch/a-1-0.conda")
    assert len(list(Path("/dev/fd").iterdir())) == before


# When a file came


def test_a_copy_that_keeps_its_date_is_another_version_and_arrives_now(store: FolderStore, channel: Path) -> None:
    path = channel / "noarch/a-1-0.conda"
    path.write_bytes(b"one")
    os.utime(path, ns=(0, 10**18))
    before = store.stat("noarch/a-1-0.conda")
    path.write_bytes(b"two")  # the same file, as `cp -p` over it leaves it
    os.utime(path, ns=(0, 10**18))
    after = store.stat("noarch/a-1-0.conda")
    assert before is not None
    assert after is not None
    assert (before.size, before.mtime_ms) == (after.size, after.mtime_ms) == (3, 10**12)
    assert before.etag != after.etag
    assert after.modified_ms >= before.modified_ms > 10**12
