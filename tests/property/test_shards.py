"""The shards of a subdir together have the same records as its repodata.json."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
from hypothesis import given

from indexer.core import names
from indexer.core.formats import shards
from indexer.core.zstd import decompress
from tests.support.render_context import published, shards_of
from tests.support.strategies import indexes, values

if TYPE_CHECKING:
    from indexer.core.model import Index


@given(indexes())
def test_shards_together_equal_repodata(index: Index) -> None:
    whole = shards.merge_shards(shards.decode_shard(shard, name) for name, shard in shards_of(index).items())
    assert values(whole.records) == values(index.records)
    assert values(whole.run_exports) == values(index.run_exports)
    assert (whole.v3, set(whole.removed)) == (index.v3, set(index.removed))


@given(indexes())
def test_every_record_is_in_the_shard_of_its_lower_case_name(index: Index) -> None:
    built = shards_of(index)
    for name, shard in built.items():
        assert name == name.lower()
        result = shards.decode_shard(shard, name)
        assert {record["name"].lower() for record in values(result.records).values()} <= {name}
        assert result.records or result.removed or result.v3_rest


@given(indexes())
def test_a_shard_is_named_by_the_sha256_of_its_bytes(index: Index) -> None:
    files = published(index)
    named = shards.decode_index(files[names.SHARD_INDEX], names.SHARD_INDEX).shards
    existing = {key for key in files if key.startswith(names.SHARDS_FOLDER)}
    assert existing == {f"{names.SHARDS_FOLDER}{digest.hex()}.msgpack.zst" for digest in named.values()}
    for key in existing:
        assert hashlib.sha256(files[key]).hexdigest() in key


@given(indexes())
def test_shards_have_raw_digests_and_both_maps(index: Index) -> None:
    for shard in shards_of(index).values():
        top = msgspec.msgpack.decode(decompress(shard, 2**20))
        assert (
            {"packages", "packages.conda", "removed"} <= top.keys() <= {"packages", "packages.conda", "removed", "v3"}
        )
        for record in [*top["packages"].values(), *top["packages.conda"].values()]:
            assert (type(record["md5"]), len(record["md5"])) == (bytes, 16)
            assert (type(record["sha256"]), len(record["sha256"])) == (bytes, 32)


@given(indexes())
def test_run_exports_are_absent_only_if_they_are_unknown(index: Index) -> None:
    for shard in shards_of(index).values():
        top = msgspec.msgpack.decode(decompress(shard, 2**20))
        for filename, record in {**top["packages"], **top["packages.conda"]}.items():
            assert ("run_exports" in record) == (filename in index.run_exports)


@given(indexes())
def test_a_shard_index_survives_encode_and_decode(index: Index) -> None:
    content = published(index)[names.SHARD_INDEX]
    decoded = shards.decode_index(content, names.SHARD_INDEX)
    assert decoded.shards == {name: shards.shard_digest(shard) for name, shard in shards_of(index).items()}
    assert shards.encode_index(decoded) == content
    assert decoded.info["subdir"] == "noarch"
