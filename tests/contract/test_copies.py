"""A store copies one version of an object to a key that is free, without its bytes passing through, or refuses."""

from __future__ import annotations

import copy
import errno
import os
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from indexer.core.errors import Conflict, CopyRefused, Missing
from indexer.store import Expect
from indexer.store.folder import copy_bytes
from indexer.store.fs import FolderStore
from indexer.store.s3.chain import Keys
from indexer.store.s3.multipart import Limits
from indexer.store.s3.store import S3Store
from indexer.store.target import Target
from tests.contract.conftest import in_moto
from tests.contract.test_large_puts import parts_left
from tests.support.buckets import options_for
from tests.support.fake_s3 import Behavior, FakeS3, Server
from tests.support.memory import MemoryStore

if TYPE_CHECKING:
    from pathlib import Path

    from fixtures.bucket import Bucket
    from indexer.core.model import ETag, Stat
    from indexer.store import Store

KEY = "linux-64/marsh-1!2.0+local.3-h5_5 ü~.conda"
TEN = b"0123456789"
HEADERS = {"Content-Disposition": "attachment; filename=marsh.conda", "x-amz-meta-package-sha256": "ab" * 32}
MIB = 2**20
PROVIDERS = {
    "aws": "if-none-match",
    "minio": "if-none-match",
    "r2": "cf-copy-destination-if-none-match",
    "gcs": "x-goog-if-generation-match",
}


@dataclass
class Pair:
    """Two stores of one kind, and whether the first copy `tests` the store."""

    source: Store
    target: Store
    tests: bool = False

    def lay(self, body: bytes = TEN) -> Stat:
        """Put an object into the source."""
        self.source.put(KEY, body, expect=Expect.ANYTHING, headers=HEADERS)
        stat = self.source.stat(KEY)
        assert stat is not None
        return stat

    def copy(self, stat: Stat, expect: Expect = Expect.NEW) -> ETag:
        """Copy an object into the target."""
        return self.target.copy(self.source.place, stat, expect=expect)


@pytest.fixture(params=["memory", "folder", *PROVIDERS, pytest.param("s3", marks=pytest.mark.s3)])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Pair:
    """Two stores of each kind that copies, empty."""
    if request.param == "memory":
        return Pair(MemoryStore(), MemoryStore())
    if request.param == "folder":
        for name in ("from", "to"):
            (tmp_path / name).mkdir()
        return Pair(FolderStore(tmp_path / "from"), FolderStore(tmp_path / "to"))
    if request.param == "s3":
        return real_pair(request.getfixturevalue("real_bucket"))
    served: Server = request.getfixturevalue("served")
    conditions = "generation" if request.param == "gcs" else "heeded"
    served.fake = FakeS3(Behavior(conditions, copies=PROVIDERS[request.param]))
    return Pair(served.open(request.param, "from"), served.open(request.param), tests=True)


def real_pair(bucket: Bucket) -> Pair:
    def new() -> S3Store:
        prefix = uuid.uuid4().hex
        return S3Store(bucket.bucket, prefix, Target(f"s3://{bucket.bucket}/{prefix}", options_for(bucket)))

    return Pair(new(), new(), tests=True)


def content(store: Store) -> bytes:
    with store.open(KEY) as reader:
        return reader.read()


def test_a_copy_has_the_bytes_and_the_metadata_of_its_source(pair: Pair) -> None:
    etag = pair.copy(pair.lay())
    with pair.target.open(KEY, etag=etag) as reader:
        assert reader.read() == TEN
        copied = reader.opened
    with pair.source.open(KEY) as reader:
        assert copied.metadata == reader.opened.metadata
    assert content(pair.source) == TEN


def test_a_copy_is_one_request_without_a_body(pair: Pair) -> None:
    stat, before = pair.lay(), copy.deepcopy(pair.target.usage)
    pair.copy(stat)
    used = pair.target.usage.since(before)
    assert used.requests == ({"COPY": 3, "PUT": 1} if pair.tests else {"COPY": 1})
    assert (used.bytes_read, used.bytes_written) == (0, 0)
    with pytest.raises(Conflict):
        pair.copy(stat)
    assert pair.target.usage.since(before).requests["COPY"] == used.requests["COPY"] + 1


@pytest.mark.parametrize("body", [TEN, b"other"])
def test_an_object_that_exists_stays(pair: Pair, body: bytes) -> None:
    stat = pair.lay()
    pair.target.put(KEY, body, expect=Expect.ANYTHING)
    before = pair.target.stat(KEY)
    with pytest.raises(Conflict):
        pair.copy(stat)
    assert pair.target.stat(KEY) == before
    pair.copy(stat, Expect.ANYTHING)
    assert content(pair.target) == TEN


def test_another_version_is_not_copied(pair: Pair) -> None:
    stat = pair.lay()
    pair.lay(b"replaced!!")
    with pytest.raises(Conflict):
        pair.copy(stat)
    with pytest.raises(Conflict):
        pair.copy(stat, Expect.ANYTHING)
    assert pair.target.stat(KEY) is None


def test_a_missing_object_is_not_copied(pair: Pair) -> None:
    stat = pair.lay()
    pair.source.delete(KEY, expect=Expect.ANYTHING)
    with pytest.raises(Missing):
        pair.copy(stat)
    assert pair.target.stat(KEY) is None


def test_a_store_copies_only_from_its_own_kind(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Pair(FolderStore(tmp_path / "other"), pair.target)
    if isinstance(pair.target, FolderStore):
        other.source = MemoryStore()
    stat = other.lay()
    with pytest.raises(CopyRefused):
        other.copy(stat)
    assert pair.target.stat(KEY) is None


def refused(pair: Pair) -> int:
    """A copy is refused, and nothing is written; how many requests the test took."""
    stat = pair.lay()
    before = pair.target.usage.requests.total()
    for _ in range(2):
        with pytest.raises(CopyRefused, match="ignores conditions"):
            pair.copy(stat)
    requests = pair.target.usage.requests.total() - before
    assert pair.target.stat(KEY) is None
    return requests


def test_a_store_that_ignores_conditions_on_copies_is_found_out_once(moto: Bucket) -> None:
    pair = Pair(in_moto(moto), in_moto(moto))
    try:
        assert refused(pair) == 3
        with pytest.raises(CopyRefused):  # moto ignores the condition on the source, too
            pair.copy(pair.lay(), Expect.ANYTHING)
    finally:
        for store in (pair.source, pair.target):
            assert isinstance(store, S3Store)
            store.bucket.client.connections.close()


@pytest.mark.parametrize("copies", ["", "refused"])
def test_without_conditions_on_the_target_only_an_unconditional_copy_is_made(served: Server, copies: str) -> None:
    served.fake = FakeS3(Behavior(copies=copies))
    pair = Pair(served.open("ceph", "from"), served.open("ceph"))
    assert refused(pair) == 3
    if not copies:  # under a lease
        pair.copy(pair.lay(), Expect.ANYTHING)
        assert content(pair.target) == TEN


@pytest.mark.parametrize("theirs", [None, Keys("another-key", "secret", None)], ids=["anonymous", "another key"])
def test_other_credentials_are_another_store(served: Server, theirs: Keys | None) -> None:
    served.fake = FakeS3(Behavior())
    pair = Pair(served.open("minio", "from"), served.open("minio"))
    assert isinstance(pair.source, S3Store)
    client = pair.source.bucket.client
    keys = client.keys
    stat = pair.lay()
    before = pair.target.usage.requests.copy()
    try:
        client.keys = lambda: theirs
        with pytest.raises(CopyRefused, match="other credentials"):
            pair.copy(stat)
    finally:
        client.keys = keys
    assert pair.target.usage.requests == before


@pytest.mark.s3
def test_a_large_object_is_copied_in_parts_with_its_headers(real_bucket: Bucket) -> None:
    pair = real_pair(real_bucket)
    source, target = pair.source, pair.target
    assert isinstance(source, S3Store)
    assert isinstance(target, S3Store)
    body = bytes(range(256)) * (11 * MIB // 256)
    stat = pair.lay(body)
    limits = Limits(one_put=5 * MIB, part=5 * MIB, copied=5 * MIB)
    target.writes.limits = limits
    before = target.usage.requests.copy()
    etag = pair.copy(stat)
    assert target.usage.requests - before == {"PUT": 1, "COPY": 2 + 3, "POST": 2, "HEAD": 2}
    assert target.usage.bytes_written == 0
    with target.open(KEY, etag=etag) as reader:
        assert reader.opened.metadata == {"package-sha256": HEADERS["x-amz-meta-package-sha256"]}
        assert reader.read() == body
    with pytest.raises(Conflict):
        pair.copy(stat)
    pair.lay(b"replaced")
    target.delete(KEY, expect=Expect.ANYTHING)
    with pytest.raises(Conflict):
        pair.copy(stat)
    assert target.stat(KEY) is None
    assert parts_left(target) == 0


def test_the_folder_of_a_copy_is_made_and_nothing_else_is_left(tmp_path: Path) -> None:
    for name in ("from", "to"):
        (tmp_path / name).mkdir()
    pair = Pair(FolderStore(tmp_path / "from"), FolderStore(tmp_path / "to"))
    stat = pair.lay(b"x" * 3 * MIB)
    pair.copy(stat)
    with pytest.raises(Conflict):
        pair.copy(stat)
    assert [path.name for path in (tmp_path / "to" / "linux-64").iterdir()] == [KEY.partition("/")[2]]


def test_a_file_that_changes_while_it_is_copied_is_not_copied(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    pair = Pair(store, store)
    stat = pair.lay()
    with store.open(KEY, etag=stat.etag) as reader, (tmp_path / "copy").open("wb") as file:
        (tmp_path / KEY).write_bytes(TEN[::-1])
        with pytest.raises(Conflict):
            reader.copy_to(file)


def test_a_copy_is_whole_or_an_error(tmp_path: Path) -> None:
    """A pipe takes a part of a write, as a disk does that becomes full."""
    file = tmp_path / "file"
    file.write_bytes(bytes(MIB))
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        with file.open("rb") as source, pytest.raises(OSError, match=os.strerror(errno.EAGAIN)):
            copy_bytes(source.fileno(), writer, MIB)
    finally:
        os.close(reader)
        os.close(writer)
