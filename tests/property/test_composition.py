"""The parts of a composition are the new file, whatever happened before, and a store takes them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from indexer.core.composition import parts_of, with_composition
from indexer.core.formats.repodata import PublishedRecords, encode_repodata
from indexer.core.model import ETag, Index
from indexer.core.name_digests import name_of
from indexer.core.saved_chunks import saved_chunks
from indexer.core.stream import Kept, Sent, Stream
from indexer.writer.compress import frame_of_chunks
from tests.property.test_chunks import CHANGES, FIRSTS, INFO, changed, of_names, saved
from tests.support.strategies import first_of_a_chunk

BASE = ETag("base")


def put_together(parts: list[Kept | Sent], published: bytes) -> list[bytes]:
    return [published[part.start : part.stop] if isinstance(part, Kept) else bytes(part) for part in parts]


@given(
    st.lists(CHANGES, min_size=2, max_size=5), st.integers(1, 400), st.sampled_from([INFO, {**INFO, "base_url": "u"}])
)
def test_the_parts_are_the_new_file_and_only_the_last_one_is_small(
    history: list[list[tuple[str, int]]], smallest: int, info: dict[str, object]
) -> None:
    index = changed(Index(), history[0])
    content = encode_repodata(index, INFO)
    for changes in history[1:]:
        packed, published = frame_of_chunks(content, 3, 1), bytes(content)
        names = frozenset(name_of(filename) for filename, _ in changes)
        before, index = of_names(index, names), changed(index, changes)
        content = encode_repodata(of_names(index, names), info, PublishedRecords(saved(packed), before))
        parts = parts_of(content.pieces, smallest)
        texts = put_together(parts, published)
        assert b"".join(texts) == bytes(content) == bytes(encode_repodata(index, info))
        assert all(len(text) >= smallest for text in texts[:-1])
        assert all(texts)
        sent = [text for part, text in zip(parts, texts, strict=True) if isinstance(part, Sent)]
        largest = max(len(chunk.text()) for chunk in content.chunks)
        assert all(len(text) < 2 * (smallest + largest) for text in sent)  # no more than one of these is in memory


@given(CHANGES.filter(bool))
def test_a_file_that_did_not_change_is_one_range(changes: list[tuple[str, int]]) -> None:
    index = changed(Index(), changes)
    content = encode_repodata(index, INFO)
    known = PublishedRecords(saved(frame_of_chunks(content, 3, 1)), Index())
    again = encode_repodata(Index(), INFO, known)
    assert parts_of(again.pieces, 1) == [Kept(0, len(content))]


def test_one_changed_chunk_that_is_large_enough_is_sent_alone() -> None:
    filenames = [first_of_a_chunk(name, ".conda") for name in ("a", "b", "c", "d", "e")]
    index = changed(Index(), [(filename, 1) for filename in filenames])
    published = encode_repodata(index, INFO)
    changes = [(filenames[1], 2)]
    known = PublishedRecords(saved(frame_of_chunks(published, 3, 1)), of_names(index, frozenset("b")))
    content = encode_repodata(of_names(changed(index, changes), frozenset("b")), INFO, known)
    changed_chunk = content.chunks[4].text()
    size = len(changed_chunk)
    first, sent, last = parts_of(content.pieces, size)
    assert isinstance(first, Kept)
    assert isinstance(sent, Sent)
    assert isinstance(last, Kept)
    assert bytes(sent) == b"," + changed_chunk + b","
    assert last.stop == len(published)
    composed = with_composition(content, BASE)
    assert isinstance(composed, Stream)
    assert composed.composition is not None
    assert composed.composition.base == BASE
    assert composed.composition.parts(size) == [first, sent, last]
    assert with_composition(published, BASE) is published  # its chunks are of no published file
    assert with_composition(b"{}", BASE) == b"{}"


@given(st.sets(st.sampled_from(FIRSTS)), CHANGES.filter(bool), st.integers(1, 60))
def test_the_plain_file_is_made_of_chunks_that_the_compressed_file_was_made_of(
    old: set[str], changes: list[tuple[str, int]], small: int
) -> None:
    """The compressed file is replaced first: after that, no chunk can be read that was not read before."""
    index = changed(Index(), [(filename, 1) for filename in old])
    content = encode_repodata(index, INFO)
    packed = frame_of_chunks(content, 3, 1)
    assert packed.chunks is not None
    published, plain = bytes(packed.content), bytes(content)
    names = frozenset(name_of(filename) for filename, _ in changes)
    was_read: set[tuple[int, int]] = set()
    is_replaced = False

    def read(start: int, stop: int) -> bytes:
        assert not is_replaced or (start, stop) in was_read
        was_read.add((start, stop))
        return published[start:stop]

    found = saved_chunks(read, len(published), packed.chunks, "x.zst")
    assert found is not None
    found.excerpt(names)
    after = changed(index, changes)
    content = encode_repodata(of_names(after, names), INFO, PublishedRecords(found, of_names(index, names)))
    packed = frame_of_chunks(content, 3, 1)
    assert isinstance(packed.content, Stream)
    at_once = encode_repodata(after, INFO)
    # These chunks are so small that they become larger; those of a large channel shrink to a tenth.
    new_packed = put_together(parts_of(packed.content.pieces, 10 * small), published)
    assert b"".join(new_packed) == bytes(frame_of_chunks(at_once, 3, 1).content)
    is_replaced = True
    assert b"".join(put_together(parts_of(content.pieces, small), plain)) == bytes(at_once)
