"""A small file is compressed while the shards before it are written."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import zstandard

from indexer.core.artifact import Artifact, Codec, NewShards, Publication, Rank, with_digest
from indexer.core.snapshot import Snapshot
from indexer.core.stream import Stream, stream_of
from indexer.store.channel_folder import ChannelFolder
from indexer.writer.publish import publish
from tests.support.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.memory import Call

CONTENT = b'{"packages":{}}' * 1000


def test_a_small_file_is_compressed_while_a_shard_is_written() -> None:
    compressing = threading.Event()

    def make() -> Iterator[bytes]:
        compressing.set()
        yield CONTENT

    def wait_before_shards(call: Call) -> None:
        if "shards/" in call.key:
            assert compressing.wait(60)

    shard = stream_of(lambda: iter([b"shard"]))
    content = Stream(make, len(CONTENT), b"")
    artifact = with_digest(Artifact("repodata.json.zst", Rank.DERIVED, content, Codec.ZSTD, 3))
    store = MemoryStore()
    store.hook = wait_before_shards
    with ThreadPoolExecutor(4) as threads:
        folder = ChannelFolder(store, "noarch", threads)
        files = publish(folder, Publication((artifact,), NewShards((shard,))), Snapshot())
    assert files.keys() == {"repodata.json.zst"}
    written = [call.key for call in store.calls if call.verb == "PUT"]
    assert written[-1] == "noarch/repodata.json.zst"
    assert len(written) == 2
    assert zstandard.decompress(store.objects["noarch/repodata.json.zst"].body) == CONTENT
