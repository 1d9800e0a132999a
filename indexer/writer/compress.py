"""The bytes of a file as it is written: plain, or compressed with zstd or bzip2."""

from __future__ import annotations

import bz2
import io
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import zstandard

from indexer.core.artifact import Artifact, Codec
from indexer.core.chunks import Chunk, ChunkedStream, digest_of, starts_in_published
from indexer.core.saved_chunks import ChunkTable, Row, row_of, table_of
from indexer.core.stream import Piece, Stream, chunks_of, made
from indexer.core.zstd import FRAME_END, WINDOW_LOG, frame_header

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from indexer.core.stream import Content

# Jobs of one mebibyte that overlap by an eighth of it (a sixteenth of the window): they need less time for 0.2 to 1.7 %
# more bytes, and the other cores have work from the second mebibyte on (docs/adr/0006-zstd.md).
_JOB_SIZE = 2**20
OVERLAP_LOG = 5
# A chunk is a job that refers to nothing before it.  Zstd splits a larger chunk; each core has buffers of this size.
_LARGEST_JOB = 2**22
_NO_OVERLAP = 1
_FOR_A_THREAD = 2**21
# A window that holds such a job, and small tables: 3 MiB for each core instead of 32, and no slower.
_CHAIN_LOG = 19
_HASH_LOG = 18
# Shorter matches are mostly inside digests and save no bytes; a match of the long length is used without a search for a
# longer one.
_MIN_MATCH = 6
_LONG_MATCH = 256
MOST_THREADS = 8
# A frame uses all cores: a second one at the same time would use memory and save no time.
_FRAMES = threading.Lock()


class Packed(NamedTuple):
    """The content of a file as it is put, and the table of its chunks if it has chunks."""

    content: Content
    chunks: ChunkTable | None = None


def compressed(artifact: Artifact) -> Packed:
    """The content of an artifact as it is put."""
    content = b"" if artifact.content is None else artifact.content
    if artifact.codec is Codec.ZSTD and isinstance(content, ChunkedStream):
        return frame_of_chunks(content, artifact.level)
    if artifact.codec is Codec.ZSTD:
        return Packed(frame(content, artifact.level))
    if artifact.codec is Codec.BZIP2:
        return Packed(_packed(content, bz2.BZ2Compressor()))
    return Packed(bytes(content) if artifact.immutable else content)


def _packed(content: Content, packer: zstandard.ZstdCompressionObj | bz2.BZ2Compressor) -> bytes:
    """Content compressed as it is made.  The result is held: a put wants to know its size and digest first."""
    packed = io.BytesIO()  # one growing buffer: a list of chunks would fragment the memory
    for piece in chunks_of(content):
        packed.write(packer.compress(piece))
    packed.write(packer.flush())
    return packed.getvalue()


def frame(content: Content, level: int, threads: int | None = None) -> bytes:
    """One frame, with its size in the header and no checksum.

    Always in zstd's threaded mode: its bytes are the same for any number of threads, and other than
    those of the mode without threads.
    """
    size = len(content)
    parameters = _parameters(
        level,
        source_size=size,
        threads=threads or _thread_count(),
        job_size=_JOB_SIZE,
        overlap_log=OVERLAP_LOG,
        write_content_size=True,
    )
    with _FRAMES:
        compressor = zstandard.ZstdCompressor(compression_params=parameters)
        return _packed(content, compressor.compressobj(size=size))


def _thread_count() -> int:
    return min(os.cpu_count() or 1, MOST_THREADS)


def _parameters(level: int, *, source_size: int = 0, **jobs: int) -> zstandard.ZstdCompressionParameters:
    """The parameters of a level for a content of `source_size` bytes, 0 for one of any size."""
    shape = zstandard.ZstdCompressionParameters.from_level(level, source_size=source_size)
    thorough = {}
    if shape.strategy >= zstandard.STRATEGY_BTOPT:
        # There are fewer matches, so fewer need to be searched (docs/adr/0006-zstd.md).
        thorough = {"search_log": shape.search_log - 2, "target_length": _LONG_MATCH}
    return zstandard.ZstdCompressionParameters.from_level(
        level,
        source_size=source_size,
        window_log=min(shape.window_log, WINDOW_LOG),
        chain_log=min(shape.chain_log, _CHAIN_LOG),
        hash_log=min(shape.hash_log, _HASH_LOG),
        min_match=_MIN_MATCH,
        **thorough,
        write_checksum=False,
        **jobs,
    )


def frame_of_chunks(content: ChunkedStream, level: int, threads: int | None = None) -> Packed:
    """One frame of chunks, each a job of its own, with the content size in the header (docs/adr/0031-chunks.md).

    Only chunks that were not compressed before are compressed.  The bytes are the same for any number of threads.
    """
    packers = threading.local()

    def packed(chunk: Chunk) -> tuple[Row, Callable[[], bytes]]:
        if (saved := chunk.saved) is not None:
            return row_of(chunk, saved.packed[1] - saved.packed[0], saved.job_digest), saved.job
        if not hasattr(packers, "pack"):
            packers.pack = _packer(level)
        job: bytes = packers.pack(chunk.text())
        return row_of(chunk, len(job), digest_of(job)), lambda: job

    # Each thread needs some 4 MiB: a content of one or two chunks is compressed in this one.
    count = threads or min(_thread_count(), 1 + content.size // _FOR_A_THREAD)
    with _FRAMES:
        if count == 1:
            done = list(map(packed, content.chunks))
        else:
            with ThreadPoolExecutor(count) as pool:
                done = list(pool.map(packed, content.chunks))
    rows, jobs = [row for row, _ in done], [job for _, job in done]
    pieces = _frame_of(content, rows, jobs)
    return Packed(Stream(partial(made, pieces), sum(piece.size for piece in pieces), pieces=pieces), table_of(rows))


def _frame_of(content: ChunkedStream, rows: Sequence[Row], jobs: Sequence[Callable[[], bytes]]) -> tuple[Piece, ...]:
    """The pieces of a frame, and where they are in the published one; the header changes with the size."""
    starts = starts_in_published(content.chunks, lambda saved: saved.packed)
    header = frame_header(content.size)
    # Only the last text closes the whole object: if it was published, it was the last one there too.
    end = None if starts[-1] is None else starts[-1] + rows[-1].packed
    return (
        Piece(lambda: header, len(header)),
        *(Piece(job, row.packed, start) for job, row, start in zip(jobs, rows, starts, strict=True)),
        Piece(lambda: FRAME_END, len(FRAME_END), end),
    )


def _packer(level: int) -> Callable[[bytes], bytes]:
    """A function that compresses a text to a job that can be anywhere in a frame, except at its beginning."""
    parameters = _parameters(level, threads=1, job_size=_LARGEST_JOB, overlap_log=_NO_OVERLAP)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()

    def pack(text: bytes) -> bytes:
        job: bytes = compressor.compress(text) + compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        return job

    pack(b"-")  # with the header of a frame; the first job can use the offsets that a decoder begins with
    return pack
