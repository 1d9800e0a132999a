"""Checks that an archive can be unpacked to its end, so that damage is found before a client installs it."""

from __future__ import annotations

import bz2
import struct
import zipfile
import zlib
from collections import deque
from typing import IO, TYPE_CHECKING, NamedTuple, cast

import zstandard
from msgspec import Struct, field

from indexer.core.errors import Damaged
from indexer.extractor.archive_errors import OwnSource, library_call

if TYPE_CHECKING:
    from indexer.extractor.archive_errors import Source

_MIB = 2**20
# Bytes of one read.
_STEP = 512 * 2**10
# So few bytes of zstd unpack to at most 16 MiB.
_FEED = 512
# A check unpacks this many bytes of an archive, and 32 times its size more.  A package that unpacks to more bytes is
# valid: its digests, CRC-32 and end are checked all the same.
_FREE = 64 * _MIB
_MAX_RATIO = 32
# The window size of `zstd --ultra -22`.  A window takes as much memory as its content, so less is unpacked with it.
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
"""The number of last bytes that contain the end mark of a bzip2 stream."""

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_LOCAL_SIGNATURE = b"PK\3\4"
# Bits of the flags: encrypted, the size follows the content.
_NO_KNOWN_SIZE = 1 | 8
_UTF8_NAME = 0x800
_SATURATED = 0xFFFFFFFF
_ZIP64 = struct.Struct("<HHQQ")
_ZIP64_ID = 1
# A `.conda` has three members.
_MAX_SCANNED = 64
# Between two members are bytes that the directory does not describe: the extra field of the local header (up to 36
# bytes of zip64, times and owners) and the data descriptor of a member written as a stream (at most 24 bytes).
_MAX_GAP = 128


class Tail:
    """Reads through a source and keeps the last `size` bytes."""

    def __init__(self, source: Source, size: int) -> None:
        self._source = source
        self._size = size
        self._kept: deque[bytes] = deque()
        self._length = 0

    def read(self, size: int = -1, /) -> bytes:
        """Return the bytes of the source."""
        data = self._source.read(size)
        self._kept.append(data)
        self._length += len(data)
        while self._length - len(self._kept[0]) >= self._size:
            self._length -= len(self._kept.popleft())
        return data

    def rest(self) -> bytes:
        """Read to the end and return the last bytes of the source."""
        while self.read(_STEP):
            pass
        return b"".join(self._kept)[-self._size :]


def ends_as_bzip2(tail: bytes) -> bool:
    """Whether the last bytes of a file (`BZIP2_TAIL` of them) have the end mark of a bzip2 stream.

    A file without the mark is cut off, unless bytes were appended.
    """
    number = int.from_bytes(tail[-BZIP2_TAIL:], "big")
    mask = (1 << _BZIP2_END_BITS) - 1
    unused = (bits for bits in range(8) if not number & ((1 << bits) - 1))
    return any((number >> (_CRC_BITS + bits)) & mask == _BZIP2_END for bits in unused)


def unpack_bzip2(source: Source, size: int) -> None:
    """Decompress a `.tar.bz2` of `size` bytes to its end.  Raises Damaged."""
    unpack_rest(bz2.BZ2File(cast("IO[bytes]", OwnSource(source))), size)


def unpack_rest(content: Source, size: int) -> None:
    """Read the rest of a decompressed stream of `size` compressed bytes.  Raises Damaged."""
    left = _FREE + _MAX_RATIO * size
    with library_call():
        while left > 0 and (data := content.read(_STEP)):
            left -= len(data)


class _ZstdCheck:
    """Decompresses zstd frames in pieces and discards their content; `error` is the fault, if any."""

    def __init__(self, name: str, size: int) -> None:
        self._name = name
        self._left = _FREE + _MAX_RATIO * size
        self._decompressor = zstandard.ZstdDecompressor()
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._head = b""
        self._needed = min(size, _FRAME_HEADER)
        self.error: Damaged | None = None

    def feed(self, data: bytes) -> None:
        """Decompress the next piece; the first pieces are held until the header of the frame is complete."""
        if self._frame is None:
            data = self._head + data
            self._head = data if len(data) < self._needed else b""
            if self._head:
                return
        for start in range(0, len(data), _FEED):
            part = data[start : start + _FEED]
            try:
                while part and self._left > 0 and self.error is None:
                    part = self._decompress(part)
            except Damaged as error:
                self.error = Damaged("the archive", f"is damaged in {self._name}: {error.reason}")

    def _decompress(self, part: bytes) -> bytes:
        """Decompress to the end of a frame and return the bytes after it."""
        with library_call():
            if self._frame is None:
                window = zstandard.get_frame_parameters(part).window_size
                if window > _USUAL_WINDOW:
                    self._left = min(self._left, _FREE_IN_LARGE_WINDOW)
                # The window size of the first frame is the limit for all frames that follow.
                self._decompressor = zstandard.ZstdDecompressor(
                    max_window_size=min(max(window, _USUAL_WINDOW), _MAX_WINDOW)
                )
            if self._frame is None or self._frame.eof:
                self._frame = self._decompressor.decompressobj()
            self._left -= len(self._frame.decompress(part))
        return self._frame.unused_data if self._frame.eof else b""

    def end(self) -> None:
        """Check the last frame after the last piece."""
        if self.error is None and self._left > 0 and self._frame is not None and not self._frame.eof:
            self.error = Damaged("the archive", f"is damaged: {self._name} ends inside of a zstd frame")


def _zstd_check(name: str, size: int, *, unpack: bool) -> _ZstdCheck | None:
    return _ZstdCheck(name, size) if unpack and name.endswith(".tar.zst") else None


class ScannedMember(NamedTuple):
    """A stored member of a zip: its CRC-32, its size, its name, and the position of its content."""

    crc: int
    size: int
    name: str
    start: int


class ScannedMembers(Struct):
    """The members of a zip that was read from its start to its end.

    `members` has each stored member by its offset; `error` is the reason why their content cannot be unpacked.
    """

    members: dict[int, ScannedMember] = field(default_factory=dict)
    error: Damaged | None = None


class FullCheck(NamedTuple):
    """A scan of a whole `.conda`: its members, its bytes if in memory, and whether zstd is decompressed too."""

    scanned: ScannedMembers
    data: bytes | None
    unpack: bool

    def content_of(self, member: zipfile.ZipInfo) -> bytes | None:
        """The content of a member in memory, if the scan has read just what the directory describes."""
        seen = self.scanned.members.get(member.header_offset)
        if self.data is None or seen is None or member.compress_type != zipfile.ZIP_STORED:
            return None
        if member.flag_bits & ~_UTF8_NAME or seen[:3] != (member.CRC, member.file_size, member.orig_filename):
            return None  # zipfile reads the member, or refuses it
        return self.data[seen.start : seen.start + seen.size]


class _Local(NamedTuple):
    """The header before a member of a zip: its length, and the name and the size of the member."""

    length: int
    name: str
    size: int


def scan_members(source: Source, *, unpack: bool) -> ScannedMembers:
    """Read a zip in one pass and in constant memory, before its directory is known; with `unpack` decompress zstd too.

    The result ends before the first member that the zip itself compresses, or whose size follows its content.
    """
    scanned = ScannedMembers()
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
            scanned.error = scanned.error or frames.error
        scanned.members[offset] = ScannedMember(crc, local.size, local.name, offset + local.length)
        offset += local.length + local.size
    return scanned


def _local(source: Source) -> _Local | None:
    """The next local header; None for anything else, and if the header does not give the size of the stored content."""
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
    """Read exactly `size` bytes, fewer at the end."""
    data = b""
    while len(data) < size and (more := source.read(size - len(data))):
        data += more
    return data


def check_members(archive: zipfile.ZipFile, scanned: ScannedMembers, *, reread: bool, unpack: bool) -> None:
    """Raise Damaged if the CRC-32 of a member differs from the directory, or if a member cannot be unpacked.

    With `reread` the archive is in memory, and members without a scan are read from there.
    """
    if scanned.error is not None:
        raise scanned.error
    for member in archive.infolist():
        seen = scanned.members.get(member.header_offset)
        if seen is None and reread:
            _check_member(archive, member, unpack=unpack)
        elif seen is not None and seen[:2] != (member.CRC, member.file_size):
            raise Damaged("the archive", f"is damaged: {member.filename} does not match its CRC-32 in the directory")


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
        if frames.error is not None:
            raise frames.error


def check_directory(archive: zipfile.ZipFile) -> None:
    """Raise Damaged if the members of a zip do not cover it from its first byte to its directory."""
    end = 0
    name = "the first member"
    starts = [(member.header_offset, member.filename, member.compress_size) for member in archive.infolist()]
    for start, following, size in [*sorted(starts), (archive.start_dir, "the directory", 0)]:
        if start < end:
            raise Damaged("the archive", f"is damaged: {name} and {following} overlap")
        if start > end + (_MAX_GAP if end else 0):
            raise Damaged("the archive", f"is damaged: {start - end} bytes before {following} belong to no member")
        end = start + _LOCAL_HEADER.size + len(following.encode()) + size
        name = following
