"""Every compressed file has the content of its plain file, in bytes that depend on that content only."""

from __future__ import annotations

import bz2

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from indexer.core.artifact import Artifact, Codec, Rank
from indexer.core.formats.shards import filename_of, shard_digest
from indexer.core.model import Index, Outputs
from indexer.core.names import SHARDS_FOLDER
from indexer.core.publication import publication
from indexer.writer.compress import compressed, frame
from tests.support.render_context import first_context
from tests.support.strategies import indexes

MIB = 2**20
MAX_WINDOW = 8 * MIB


def zst(content: bytes, level: int) -> bytes:
    return bytes(compressed(Artifact("x.zst", Rank.DERIVED, content, Codec.ZSTD, level)).content)


# zstd's threads share it between them, and it differs from job to job.
SEVERAL_JOBS = b"".join(b"%d " % number * 64 for number in range(6 * MIB // 440))


@given(indexes(), st.integers(1, 5))
def test_every_variant_decodes_to_the_json(index: Index, level: int) -> None:
    artifacts = publication(index, first_context(Outputs(bz2=True, zst_level=level)))
    plain = {
        item.key: bytes(item.content) for item in artifacts if item.key.endswith(".json") and item.content is not None
    }
    decoded = {}
    for artifact in artifacts:
        if artifact.codec is Codec.ZSTD:
            decoded[artifact.key] = zstandard.ZstdDecompressor().decompress(bytes(compressed(artifact).content))
        elif artifact.codec is Codec.BZIP2:
            decoded[artifact.key] = bz2.decompress(bytes(compressed(artifact).content))
        elif artifact.content is not None:
            put = bytes(compressed(artifact).content)
            assert put == bytes(artifact.content)
            assert not artifact.immutable or artifact.key == SHARDS_FOLDER + filename_of(shard_digest(put))
    assert decoded == {f"{key}.{codec}": content for key, content in plain.items() for codec in ("zst", "bz2")}
    assert plain.keys() == {"repodata.json", "run_exports.json"}


@given(st.binary(max_size=1000), st.integers(1, 22))
def test_a_zst_has_its_size_in_the_header_and_no_checksum(content: bytes, level: int) -> None:
    frame = zstandard.get_frame_parameters(zst(content, level))
    assert (frame.content_size, frame.has_checksum, frame.dict_id) == (len(content), False, 0)


@pytest.mark.parametrize("level", [1, 3, 16])
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_the_bytes_of_a_zst_do_not_depend_on_the_number_of_threads(level: int, threads: int) -> None:
    assert bytes(frame(SEVERAL_JOBS, level, threads)) == zst(SEVERAL_JOBS, level)


@pytest.mark.parametrize("level", [1, 3, 16, 19, 22])
def test_the_window_of_a_zst_is_no_larger_than_readers_accept(level: int) -> None:
    content = bytes(9 * MIB)
    body = zst(content, level)
    assert zstandard.get_frame_parameters(body).window_size <= MAX_WINDOW
    assert zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).decompress(body) == content
