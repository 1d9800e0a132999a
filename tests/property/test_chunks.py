"""Files that are changed in chunks have the bytes of files that are made at once, whatever happened before."""

from __future__ import annotations

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from indexer.core.formats.repodata import (
    PublishedRecords,
    decode_repodata,
    decode_run_exports,
    encode_repodata,
    encode_run_exports,
)
from indexer.core.model import Index, Raw
from indexer.core.name_digests import name_of
from indexer.core.saved_chunks import ChunkTable, Row, SavedChunks, are_sound, saved_chunks, table_of
from indexer.core.zstd import FRAME_END, frame_header
from indexer.writer.compress import Packed, frame_of_chunks
from tests.support.strategies import first_of_a_chunk

# Few names, so that records are replaced and removed, and names that begin with other names.
_NAMES = ("a", "a-b", "ab", "a.b", "b", "py", "py-x", "z")
_EXTENSIONS = (".conda", ".tar.bz2")
FIRSTS = [first_of_a_chunk(name, extension) for name in _NAMES for extension in _EXTENSIONS]
"""A chunk begins at each of these."""
FILENAMES = st.one_of(
    st.builds("{}-{}-0{}".format, st.sampled_from(_NAMES), st.integers(0, 99), st.sampled_from(_EXTENSIONS)),
    st.sampled_from(FIRSTS),
)
CHANGES = st.lists(st.tuples(FILENAMES, st.integers(0, 3)), max_size=40)
INFO = {"subdir": "noarch"}


def changed(index: Index, changes: list[tuple[str, int]]) -> Index:
    """The index with other records; 0 removes a record."""
    records, run_exports = dict(index.records), dict(index.run_exports)
    for filename, version in changes:
        records.pop(filename, None)
        run_exports.pop(filename, None)
        if version:
            name = name_of(filename)
            records[filename] = Raw(b'{"md5":"%d","name":"%b"}' % (version * 7919, name.encode()))
            run_exports[filename] = Raw(b'{"weak":["%d"]}' % version)
    return replace(index, records=records, run_exports=run_exports)


def of_names(index: Index, names: frozenset[str]) -> Index:
    """The part of an index that belongs to some package names."""
    records = {name: record for name, record in index.records.items() if name_of(name) in names}
    run_exports = {name: value for name, value in index.run_exports.items() if name_of(name) in names}
    return replace(index, records=records, run_exports=run_exports)


def saved(packed: Packed) -> SavedChunks:
    assert packed.chunks is not None
    found = read_back(bytes(packed.content), packed.chunks)
    assert found is not None
    return found


def read_back(data: bytes, table: ChunkTable) -> SavedChunks | None:
    found = saved_chunks(lambda start, stop: data[start:stop], len(data), table, "x.zst")
    return found if found and are_sound(found.chunks) else None


def files_of(
    index: Index, known: tuple[PublishedRecords, PublishedRecords] | None = None, threads: int = 1
) -> tuple[Packed, Packed]:
    repodata = encode_repodata(index, INFO, known and known[0])
    run_exports = encode_run_exports(index, "noarch", known and known[1])
    return frame_of_chunks(repodata, 3, threads), frame_of_chunks(run_exports, 3, threads)


@given(st.lists(CHANGES, min_size=1, max_size=5))
def test_the_bytes_do_not_depend_on_the_history(history: list[list[tuple[str, int]]]) -> None:
    index = Index()
    files = files_of(index)
    for changes in history:
        names = frozenset(name_of(filename) for filename, _ in changes)
        before, index = of_names(index, names), changed(index, changes)
        known = tuple(PublishedRecords(saved(file), before) for file in files)
        files = files_of(of_names(index, names), (known[0], known[1]), threads=3)
        whole = files_of(index)
        assert [bytes(file.content) for file in files] == [bytes(file.content) for file in whole]
        assert [file.chunks for file in files] == [file.chunks for file in whole]
        plain = zstandard.ZstdDecompressor().decompress(bytes(files[0].content))
        at_once = encode_repodata(index, INFO)
        assert plain == bytes(at_once)
        assert encode_repodata(of_names(index, names), INFO, known[0]).digest == at_once.digest


@given(CHANGES, st.sets(st.sampled_from(_NAMES)))
def test_an_excerpt_has_all_records_of_its_names(changes: list[tuple[str, int]], names: set[str]) -> None:
    index = changed(Index(), changes)
    repodata, run_exports = (saved(file).excerpt(names) for file in files_of(index))
    wanted = of_names(index, frozenset(names))
    found = Index(decode_repodata(repodata, "x").records, run_exports=decode_run_exports(run_exports, "x"))
    assert of_names(found, frozenset(names)) == wanted
    assert found.records.items() <= index.records.items()


def test_a_table_of_other_bytes_is_not_believed() -> None:
    packed, _ = files_of(changed(Index(), [("a-1-0.conda", 1), ("b-1-0.conda", 1)]))
    data, table = bytes(packed.content), packed.chunks
    assert table is not None
    assert read_back(data, table) is not None
    other = [replace(row, size=row.size + 1) for row in table.rows]
    assert read_back(data, ChunkTable(tuple(other), table.digest)) is None
    assert read_back(data, ChunkTable((), "")) is None
    # The header and the end are always made anew.
    for position in range(len(frame_header(0)), len(data) - len(FRAME_END)):
        damaged = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
        assert read_back(damaged, table) is None
    assert read_back(data[:-1], table) is None


def test_a_chunk_that_would_take_all_memory_is_not_read() -> None:
    assert read_back(b"", table_of([Row("packages", "a", 2**40, 4)])) is None


@pytest.mark.parametrize("level", [1, 3, 12, 16, 19])
def test_a_frame_is_the_same_on_any_number_of_threads(level: int) -> None:
    index = changed(Index(), [(f"a-{number}-0.conda", number) for number in range(1, 20_000)])
    stream = encode_repodata(index, INFO)
    frames = {bytes(frame_of_chunks(stream, level, threads).content) for threads in (1, 2, 7)}
    assert len(frames) == 1
    frame = frames.pop()
    assert zstandard.frame_content_size(frame) == len(stream)
    assert zstandard.ZstdDecompressor(max_window_size=2**23).decompress(frame) == bytes(stream)
