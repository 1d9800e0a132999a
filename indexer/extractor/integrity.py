"""Whether an archive can be unpacked to its end: clients would find a damaged part only when they install it."""

from __future__ import annotations

import bz2
import struct
import zipfile
import zlib
from collections import deque
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, NamedTuple, cast

import zstandard

from indexer.core.errors import Damaged
from indexer.extractor.archive_errors import OwnSource, library_call

if TYPE_CHECKING:
    from indexer.extractor.archive_errors import Source

_MIB = 2**20
# What is read at once.
_STEP = 512 * 2**10
# So little zstd may unpack to 16 MiB.
_FEED = 512
# As much of an archive is unpacked in a check, and 32 times its size more: a package that unpacks to more is
# no bad package, and its digests, CRC-32 and end are looked at all the same.
_FREE = 64 * _MIB
_MAX_RATIO = 32
# What `zstd --ultra -22` needs.  A window takes as much memory as is unpacked, so less is unpacked with a large one.
_MAX_WINDOW = 128 * _MIB
_USUAL_WINDOW = 8 * _MIB
_FREE_IN_LARGE_WINDOW = 40 * _MIB

# The longest header of a zstd frame, in bytes (RFC 8878, 3.1.1).
_FRAME_HEADER = 18
# A bzip2 stream ends with this number of 48 bits and a CRC of 32 bits, at any bit of a byte.
_BZIP2_END = 0x177245385090
_BZIP2_END_BITS = 48
_CRC_BITS = 32
BZIP2_TAIL = (_BZIP2_END_BITS + _CRC_BITS) // 8 + 1
"""So many of its last bytes have the end mark of a bzip2 stream."""

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_LOCAL_SIGNATURE = b"PK\3\4"
# Bits of the flags: encrypted, the size follows the content.
_NO_KNOWN_SIZE = 1 | 8
_SATURATED = 0xFFFFFFFF
_ZIP64 = struct.Struct("<HHQQ")
_ZIP64_ID = 1
# A `.conda` has three members.
_MAX_SCANNED = 64
# Between two members the directory does not know the extra field of the local header, which has up to 36 bytes of
# zip64, times and owners, and what follows a member that was written as a stream, 24 bytes at most.
_MAX_GAP = 128


class Tail:
    """Reads through a source and keeps the last `size` bytes."""

    def __init__(self, source: Source, size: int) -> None:
        self._source = source
        self._size = size
        self._kept: deque[bytes] = deque()
        self._length = 0

    def read(self, size: int = -1, /) -> bytes:
        """What the source gives."""
        data = self._source.read(size)
        self._kept.append(data)
        self._length += len(data)
        while self._length - len(self._kept[0]) >= self._size:
            self._length -= len(self._kept.popleft())
        return data

    def rest(self) -> bytes:
        """Read on to the end; the last bytes of the source."""
        while self.read(_STEP):
            pass
        return b"".join(self._kept)[-self._size :]


def ends_as_bzip2(tail: bytes) -> bool:
    """Whether the last bytes of a file (`BZIP2_TAIL` of them) have the end mark of a bzip2 stream.

    A file without it is cut off, unless something was appended.
    """
    number = int.from_bytes(tail[-BZIP2_TAIL:], "big")
    mask = (1 << _BZIP2_END_BITS) - 1
    unused = (bits for bits in range(8) if not number & ((1 << bits) - 1))
    return any((number >> (_CRC_BITS + bits)) & mask == _BZIP2_END for bits in unused)


def unpack_bzip2(source: Source, size: int) -> None:
    """Decompress a `.tar.bz2` of `size` bytes to its end.  Raises Damaged."""
    with library_call():
        content = bz2.BZ2File(cast("IO[bytes]", OwnSource(source)))
    unpack_rest(content, size)


def unpack_rest(content: Source, size: int) -> None:
    """Read what a decompressor of `size` bytes has left.  Raises Damaged."""
    left = _FREE + _MAX_RATIO * size
    while left > 0:
        with library_call():
            data = content.read(_STEP)
        if not data:
            return
        left -= len(data)


class _ZstdCheck:
    """Decompresses zstd frames that come piece by piece, and forgets what is in them; `bad` says what is wrong."""

    def __init__(self, name: str, size: int) -> None:
        self._name = name
        self._left = _FREE + _MAX_RATIO * size
        self._decompressor = zstandard.ZstdDecompressor()
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._head = b""
        self._needed = min(size, _FRAME_HEADER)
        self.bad: Damaged | None = None

    def feed(self, data: bytes) -> None:
        """Take the next piece into account; the first pieces are held until the frame's header is whole."""
        if self._frame is None:
            data = self._head + data
            self._head = data if len(data) < self._needed else b""
            if self._head:
                return
        for start in range(0, len(data), _FEED):
            part = data[start : start + _FEED]
            try:
                while part and self._left > 0 and self.bad is None:
                    part = self._decompress(part)
            except Damaged as error:
                self.bad = Damaged("the archive", f"is damaged in {self._name}: {error.reason}")

    def _decompress(self, part: bytes) -> bytes:
        """Decompress up to the end of a frame; what follows it."""
        with library_call():
            if self._frame is None:
                window = zstandard.get_frame_parameters(part).window_size
                if window > _USUAL_WINDOW:
                    self._left = min(self._left, _FREE_IN_LARGE_WINDOW)
                # What the first frame asks for, all that follow may have too, and no more.
                self._decompressor = zstandard.ZstdDecompressor(
                    max_window_size=min(max(window, _USUAL_WINDOW), _MAX_WINDOW)
                )
            if self._frame is None or self._frame.eof:
                self._frame = self._decompressor.decompressobj()
            self._left -= len(self._frame.decompress(part))
        return self._frame.unused_data if self._frame.eof else b""

    def end(self) -> None:
        """No piece is left."""
        if self.bad is None and self._left > 0 and self._frame is not None and not self._frame.eof:
            self.bad = Damaged("the archive", f"is damaged: {self._name} ends inside of a zstd frame")


def _zstd_check(name: str, size: int, *, unpack: bool) -> _ZstdCheck | None:
    return _ZstdCheck(name, size) if unpack and name.endswith(".tar.zst") else None


@dataclass(slots=True)
class ScannedMembers:
    """What was seen of a zip that was read from its start to its end.

    `members` has the CRC-32 and the size of each stored member by its offset; `bad` says why their content cannot
    be unpacked.
    """

    members: dict[int, tuple[int, int]] = field(default_factory=dict)
    bad: Damaged | None = None


class _Local(NamedTuple):
    """The header before a member of a zip: its length, and the name and the size of the member."""

    length: int
    name: str
    size: int


def scan_members(source: Source, *, unpack: bool) -> ScannedMembers:
    """Read a zip in one pass and in constant memory, before its directory is known; with `unpack` decompress zstd too.

    A member that the zip itself compresses, or whose size follows it, is not in the result, nor is what comes then.
    """
    found = ScannedMembers()
    offset = 0
    for _ in range(_MAX_SCANNED):
        local = _local(source)
        if local is None:
            break
        frames = _zstd_check(local.name, local.size, unpack=unpack)
        crc, left = 0, local.size
        while left and (data := source.read(min(left, _STEP))):
            crc = zlib.crc32(data, crc)
            left -= len(data)
            if frames is not None:
                frames.feed(data)
        if left:
            break
        if frames is not None:
            frames.end()
            found.bad = found.bad or frames.bad
        found.members[offset] = (crc, local.size)
        offset += local.length + local.size
    return found


def _local(source: Source) -> _Local | None:
    """The next local header; None for anything else, and for one of a member whose content cannot be told from it."""
    header = _exactly(source, _LOCAL_HEADER.size)
    if not header.startswith(_LOCAL_SIGNATURE) or len(header) < _LOCAL_HEADER.size:
        return None
    _, _, flags, method, _, _, _, stored, size, name_length, extra_length = _LOCAL_HEADER.unpack(header)
    name, extra = _exactly(source, name_length), _exactly(source, extra_length)
    if stored == _SATURATED and len(extra) >= _ZIP64.size:
        kind, _, size, stored = _ZIP64.unpack_from(extra)
        stored = stored if kind == _ZIP64_ID else _SATURATED
    if flags & _NO_KNOWN_SIZE or method != zipfile.ZIP_STORED or stored != size:
        return None
    return _Local(_LOCAL_HEADER.size + name_length + extra_length, name.decode("utf-8", "replace"), size)


def _exactly(source: Source, size: int) -> bytes:
    """So many bytes, fewer at the end."""
    data = b""
    while len(data) < size and (more := source.read(size - len(data))):
        data += more
    return data


def check_members(archive: zipfile.ZipFile, walked: ScannedMembers, *, reread: bool, unpack: bool) -> None:
    """Raise Damaged where a member has another CRC-32 than the directory says, or cannot be unpacked.

    With `reread` the archive is in memory, and what was not seen on the walk is read from there.
    """
    if walked.bad is not None:
        raise walked.bad
    for member in archive.infolist():
        seen = walked.members.get(member.header_offset)
        if seen is None and reread:
            _check_member(archive, member, unpack=unpack)
        elif seen not in {None, (member.CRC, member.file_size)}:
            raise Damaged("the archive", f"is damaged: {member.filename} has another CRC-32 than the directory says")


def _check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, *, unpack: bool) -> None:
    if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        return  # zipfile decompresses the other methods without a limit
    left = _FREE + _MAX_RATIO * member.compress_size
    frames = _zstd_check(member.filename, member.compress_size, unpack=unpack)
    with library_call():
        content = archive.open(member)
    while left > 0:
        with library_call():
            data = content.read(_STEP)
        if frames is not None:
            frames.feed(data)
        if not data:
            break
        left -= len(data)
    else:
        return
    if frames is not None:
        frames.end()
        if frames.bad is not None:
            raise frames.bad


def check_directory(archive: zipfile.ZipFile) -> None:
    """Raise Damaged where the members of a zip do not cover it from its first byte to its directory."""
    end = 0
    name = "the first member"
    starts = [(it.header_offset, it.filename, it.compress_size) for it in archive.infolist()]
    for start, following, size in [*sorted(starts), (archive.start_dir, "the directory", 0)]:
        if start < end:
            raise Damaged("the archive", f"is damaged: {name} and {following} overlap")
        if start > end + (_MAX_GAP if end else 0):
            raise Damaged("the archive", f"is damaged: {start - end} bytes before {following} belong to no member")
        end = start + _LOCAL_HEADER.size + len(following.encode()) + size
        name = following
