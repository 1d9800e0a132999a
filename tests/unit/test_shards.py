"""Which shards and shard indexes are refused, and which of ours conda would refuse."""

from __future__ import annotations

import msgspec
import pytest
import zstandard

from indexer.core.errors import BadIndex
from indexer.core.formats import shards
from indexer.core.formats.shards import ShardIndex
from indexer.core.model import Index, Raw
from indexer.core.zstd import compress, decompress
from tests.support.render_context import shards_of

MIB = 2**20


def packed(value: object) -> bytes:
    return compress(msgspec.msgpack.encode(value))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not zstd",
        compress(b""),
        compress(b"\xc1"),
        packed([]),
        packed({}),
        packed({"shards": []}),
        packed({"shards": {"a": 1}}),
        packed({"shards": {}, "info": []}),
        packed({"shards": {"a": b"x" * 32}})[:-4],
    ],
)
def test_a_shard_index_that_cannot_be_read_is_a_bad_index(data: bytes) -> None:
    with pytest.raises(BadIndex, match="noarch/repodata_shards"):
        shards.decode_index(data, "noarch/repodata_shards.msgpack.zst")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not zstd",
        packed([]),
        packed({"packages": []}),
        packed({"packages": {"a-1-0.tar.bz2": 1}}),
        packed({"v3": {"conda": []}}),
        packed({"removed": 1}),
    ],
)
def test_a_shard_that_cannot_be_read_is_a_bad_index(data: bytes) -> None:
    with pytest.raises(BadIndex, match="shards/x"):
        shards.decode_shard(data, "shards/x")


def test_a_decompression_bomb_is_not_read_to_its_end() -> None:
    bomb = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(17 * MIB))
    with pytest.raises(BadIndex, match=f"more than {16 * MIB}"):
        shards.decode_shard(bomb, "shards/x")


def test_a_shard_larger_than_conda_reads_is_refused() -> None:
    shards.check_shard_size("a", compress(bytes(16 * MIB)))
    with pytest.raises(BadIndex, match=r"shard of a: .*--no-shards"):
        shards.check_shard_size("a", compress(bytes(16 * MIB + 1)))


def test_a_shard_has_its_content_size_for_old_readers() -> None:
    frame = zstandard.get_frame_parameters(compress(b"abc"))
    assert (frame.content_size, frame.has_checksum) == (3, False)


def test_own_digests_exclude_the_shards_of_conda_index() -> None:
    named = {"a": b"x" * 32}
    assert ShardIndex(named, {"shards_base_url": "./shards/"}).own_digests == {b"x" * 32}
    assert ShardIndex(named, {"shards_base_url": ""}).own_digests == frozenset()
    assert ShardIndex(named).own_digests == frozenset()


@pytest.mark.parametrize("filename", ["0.msgpack.zst", "g" * 64 + ".msgpack.zst", "0" * 64, "A" * 64 + ".msgpack.zst"])
def test_only_a_sha256_is_the_name_of_a_shard(filename: str) -> None:
    assert shards.digest_of_filename(filename) is None
    assert shards.digest_of_filename(shards.filename_of(b"x" * 32)) == b"x" * 32


def test_a_removed_package_alone_has_a_shard_too() -> None:
    index = Index(removed=("Gone-1-0.conda", "no-package"))
    assert shards_of(index).keys() == {"gone"}
    assert shards.decode_shard(shards_of(index)["gone"], "x").removed == ("Gone-1-0.conda",)


def test_digests_are_raw_in_a_shard_and_hexadecimal_in_json() -> None:
    keys = ("md5", "sha256", "legacy_bz2_md5", "attestations_sha256")
    record = {"name": "a", **dict.fromkeys(keys, "ab" * 16)}
    index = Index({"a-1-0.conda": Raw(msgspec.json.encode(record))})
    shard = shards_of(index)["a"]
    raw = msgspec.msgpack.decode(decompress(shard, MIB))["packages.conda"]["a-1-0.conda"]
    assert [raw[key] for key in keys] == [b"\xab" * 16] * 4
    assert msgspec.json.decode(shards.decode_shard(shard, "x").records["a-1-0.conda"]) == record
