"""A streamed content equals the content in one piece, for any chunks and any order of reading."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.core.formats.repodata import encode_repodata, encode_run_exports, section_of, v3_buckets
from indexer.core.json_form import dump
from indexer.core.model import Index, Raw
from indexer.core.stream import Stream, chunks_of, sha256_of, stream_of
from indexer.store.s3.body_digests import md5_of, with_digests
from indexer.writer.compress import frame
from tests.support.strategies import JSON, TEXTS, indexes

if TYPE_CHECKING:
    from collections.abc import Iterator

SECTIONS = ("packages", "packages.conda")
PARTS = st.lists(st.binary(max_size=20), max_size=8)


@given(PARTS)
def test_a_stream_has_the_length_and_digest_of_its_bytes(parts: list[bytes]) -> None:
    pieces, whole = stream_of(lambda: iter(parts)), b"".join(parts)
    assert (bytes(pieces), len(pieces), pieces.sha256) == (whole, len(whole), hashlib.sha256(whole).digest())
    assert b"".join(chunks_of(whole)) == b"".join(chunks_of(pieces)) == whole


def _whole(index: Index, info: dict[str, object]) -> bytes:
    """A repodata.json in one piece."""
    legacy: dict[str, dict[str, Raw]] = {section: {} for section in SECTIONS}
    for filename in index.records.keys() - index.v3:
        legacy[section_of(filename)][filename] = index.records[filename]
    version = 2 if "base_url" in info else 1
    top = {**index.rest, **legacy, "removed": index.removed, "repodata_version": version}
    if index.v3 or index.v3_rest:
        top["v3"] = {**index.v3_rest, **v3_buckets(index.v3, index.records)}
    return bytes(dump(top)).removesuffix(b"}") + b',"info":' + bytes(dump(info)) + b"}"


@given(indexes(), st.dictionaries(TEXTS, JSON, max_size=2))
def test_a_streamed_index_equals_the_index_in_one_piece(index: Index, info: dict[str, object]) -> None:
    assert bytes(encode_repodata(index, info)) == _whole(index, info)


@pytest.mark.parametrize("count", [0, 1, 1023, 1024, 1025, 5000])
@pytest.mark.parametrize("v3", [False, True])
def test_a_long_streamed_index_equals_the_index_in_one_piece(count: int, *, v3: bool) -> None:
    records = {f"a-{n * 7919 % 10007}-0.{kind}": Raw(b"%d" % n) for n in range(count) for kind in ("conda", "tar.bz2")}
    index = Index(records, frozenset(records if v3 else ()), dict(records))
    assert bytes(encode_repodata(index, {})) == _whole(index, {})
    entries = {name: Raw(b'{"run_exports":%b}' % it) for name, it in records.items()}
    top = {section: {name: it for name, it in entries.items() if section_of(name) == section} for section in SECTIONS}
    whole = {"info": {"subdir": "noarch", "version": 1}, **top}
    assert bytes(encode_run_exports(index, "noarch")) == msgspec.json.encode(whole, order="deterministic")


@pytest.mark.parametrize("size", [0, 1000, 2**19, 2**20, 3 * 2**20 + 1])
@pytest.mark.parametrize("step", [1000, 2**19, 10**6, 2**24])
def test_the_bytes_of_a_zst_do_not_depend_on_the_chunks(size: int, step: int) -> None:
    content = b"".join(b"%d " % number * 64 for number in range(3 * 2**20 // 300))[:size]
    cut = stream_of(lambda: (content[start : start + step] for start in range(0, len(content), step)))
    assert bytes(frame(cut, 3)) == bytes(frame(content, 3))


@given(PARTS)
def test_a_put_reads_a_stream_once_for_both_digests(parts: list[bytes]) -> None:
    reads = []

    def make() -> Iterator[bytes]:
        reads.append(1)
        return iter(parts)

    whole = b"".join(parts)
    body = with_digests(Stream(make, len(whole)))
    assert (md5_of(body), sha256_of(body)) == (md5_of(whole), sha256_of(whole))
    assert with_digests(body) is body
    assert len(reads) == 1
