"""zstd frames: how an index compresses them, and how much of their content a run accepts."""

from __future__ import annotations

import zstandard

# Shards are rewritten often and read one by one, so this is the default level of zstd.
_LEVEL = 3
_STEP = 2**20

# The limits of the state and the catalog, which a run writes for the next run.  Strangers may upload such a file too,
# and a megabyte of zstd can hold tens of gigabytes.
_ALWAYS_ACCEPTED = 64 * 2**20
# Our own files stay below: the entry of a package has a SHA-256 or a version of its own, which takes at least 16 bytes
# after compression, and is no longer than SHORT_ENTRY if the whole content is large.
_MAX_RATIO = 128
SHORT_ENTRY = 2**11


def compress(data: bytes, *, checksum: bool = False) -> bytes:
    """One zstd frame of `data`; with `checksum` a frame whose content was changed is not decoded.

    Its header has the size of the content, which older conda-libmamba-solver needs (conda-libmamba-solver#748).
    """
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_content_size=True, write_checksum=checksum)
    return copied(compressor.compress(data))


def copied(frame: bytes) -> bytes:
    """A frame that is kept, in memory of its own size.

    zstd makes it in memory for the largest possible frame.  The rest of that is freed, but it is a gap that is too
    small for the next frame: the pages of half a million packages took 73 MiB instead of 29.
    """
    return bytes(memoryview(frame))


def decompress(data: bytes, limit: int) -> bytes:
    """The content of a zstd frame.  Raises ValueError if the frame is damaged or holds more than `limit` bytes."""
    parts = []
    size = 0
    try:
        with zstandard.ZstdDecompressor().stream_reader(data) as reader:
            while part := reader.read(_STEP):
                size += len(part)
                if size > limit:
                    raise ValueError(f"holds more than {limit} bytes")
                parts.append(part)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
    return b"".join(parts)


def decompress_saved(data: bytes) -> bytes:
    """The content of a state or a catalog: at most 64 MiB or 128 times its compressed size.  Raises ValueError."""
    return decompress(data, _ALWAYS_ACCEPTED + _MAX_RATIO * len(data))


def needs_short_entries(size: int) -> bool:
    """Whether a content of `size` bytes is so large that only short entries compress to an accepted size."""
    return size > _ALWAYS_ACCEPTED


ZSTD_VERSION = ".".join(map(str, zstandard.ZSTD_VERSION))
# The window of a frame of jobs; a job refers to nothing before it, and no further back than this.
WINDOW_LOG = 21
# An empty block that is the last one.
FRAME_END = b"\x01\x00\x00"
_MAGIC = b"\x28\xb5\x2f\xfd"
# Descriptors of a frame header with eight bytes of content size: the content is the window, or a window is given.
_SINGLE_SEGMENT, _WITH_WINDOW = 0xE0, 0xC0
_SMALLEST_WINDOW_LOG = 10


def frame_header(size: int) -> bytes:
    """The header of a frame of jobs with `size` bytes of content (RFC 8878, section 3.1.1.1)."""
    window = bytes([_SINGLE_SEGMENT])
    if size > 1 << WINDOW_LOG:
        window = bytes([_WITH_WINDOW, (WINDOW_LOG - _SMALLEST_WINDOW_LOG) << 3])
    return _MAGIC + window + size.to_bytes(8, "little")


def unpack_job(packed: bytes | memoryview, size: int) -> bytes:
    """The `size` bytes of a job that refers to nothing before it.  Raises ValueError if there are other bytes."""
    try:
        return zstandard.ZstdDecompressor().decompress(b"".join((frame_header(size), packed, FRAME_END)))
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
