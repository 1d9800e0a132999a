"""The bytes of a file as it is written: plain, or compressed with zstd or bzip2."""

from __future__ import annotations

import bz2
import io
import os
import threading
from typing import TYPE_CHECKING

import zstandard

from indexer.core.artifact import Artifact, Codec
from indexer.core.stream import chunks_of

if TYPE_CHECKING:
    from indexer.core.stream import Content

# Jobs of one mebibyte that overlap by an eighth of it (a sixteenth of the window): they need less time for 0.2 to 1.7 %
# more bytes, and the other cores have work from the second mebibyte on (docs/adr/0006-zstd.md).
_JOB_SIZE = 2**20
OVERLAP_LOG = 5
# A window that holds such a job, and small tables: 3 MiB for each core instead of 32, and no slower.
_WINDOW_LOG = 21
_CHAIN_LOG = 19
_HASH_LOG = 18
# Shorter matches are mostly inside digests and save no bytes; a match of the long length is used without a search for a
# longer one.
_MIN_MATCH = 6
_LONG_MATCH = 256
MOST_THREADS = 8
# A frame uses all cores: a second one at the same time would use memory and save no time.
_FRAMES = threading.Lock()


def compressed(artifact: Artifact) -> Content:
    """The content of an artifact as it is put."""
    content = b"" if artifact.content is None else artifact.content
    if artifact.codec is Codec.ZSTD:
        return frame(content, artifact.level)
    if artifact.codec is Codec.BZIP2:
        return _packed(content, bz2.BZ2Compressor())
    return bytes(content) if artifact.immutable else content


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
    shape = zstandard.ZstdCompressionParameters.from_level(level, source_size=len(content))
    thorough = {}
    if shape.strategy >= zstandard.STRATEGY_BTOPT:
        # There are fewer matches, so fewer need to be searched (docs/adr/0006-zstd.md).
        thorough = {"search_log": shape.search_log - 2, "target_length": _LONG_MATCH}
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level,
        source_size=len(content),
        window_log=min(shape.window_log, _WINDOW_LOG),
        chain_log=min(shape.chain_log, _CHAIN_LOG),
        hash_log=min(shape.hash_log, _HASH_LOG),
        min_match=_MIN_MATCH,
        **thorough,
        threads=threads or min(os.cpu_count() or 1, MOST_THREADS),
        job_size=_JOB_SIZE,
        overlap_log=OVERLAP_LOG,
        write_content_size=True,
        write_checksum=False,
    )
    size = len(content)
    with _FRAMES:
        compressor = zstandard.ZstdCompressor(compression_params=parameters)
        return _packed(content, compressor.compressobj(size=size))
