"""Archives that no library would write, made byte by byte: hostile, odd, or large."""

from __future__ import annotations

import bz2
import json
import struct
import tarfile
import zlib
from dataclasses import dataclass

import zstandard

from fixtures.tree import plain_index

MIB = 2**20
_SATURATED = 0xFFFFFFFF
_ZIP64_VERSION = 45
END = bytes(1024)
"""What ends a tar."""


def index_json(key: str, **fields: object) -> bytes:
    """Write the `index.json` of a plain package."""
    return json.dumps(plain_index(key) | fields).encode()


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    """Write a tar header, without what it announces."""
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname = size, kind, link
    return member.tobuf(tarfile.GNU_FORMAT)


def member(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    """Write one member of a tar."""
    return header(name, len(data), kind, link) + data + bytes(-len(data) % tarfile.BLOCKSIZE)


def pax(fields: dict[str, str], kind: bytes = tarfile.XHDTYPE) -> bytes:
    """Write a pax header, whose records begin with their own length."""
    records = b""
    for key, value in fields.items():
        rest = f" {key}={value}\n".encode()
        length = len(rest)
        while length != len(str(length)) + len(rest):
            length = len(str(length)) + len(rest)
        records += str(length).encode() + rest
    return member("pax", records, kind)


def zst(content: bytes) -> bytes:
    """Compress as builders do."""
    return zstandard.ZstdCompressor(level=3).compress(content)


def bz2_of(*streams: tuple[bytes, int]) -> bytes:
    """Compress contents, each so many times over, without compressing anything twice."""
    return b"".join(bz2.compress(content) * count for content, count in streams)


@dataclass(frozen=True)
class Entry:
    """One member of a zip; `size` is what it says to have without compression, where that is not its length."""

    name: str
    data: bytes
    flags: int = 0
    method: int = 0
    size: int | None = None
    comment: bytes = b""


def zipped(*entries: Entry, zip64: bool = False) -> bytes:
    """Write a zip whose members are stored as they are given."""
    body, directory = b"", b""
    for entry in entries:
        name, offset, length = entry.name.encode(), len(body), len(entry.data)
        size = length if entry.size is None else entry.size
        crc = zlib.crc32(entry.data)
        extra = struct.pack("<HHQQ", 1, 16, size, length) if zip64 else b""
        sizes = (_SATURATED, _SATURATED) if zip64 else (length, size)
        shape = (_ZIP64_VERSION if zip64 else 20, entry.flags, entry.method, 0, 0x21, crc, *sizes)
        body += struct.pack("<4s5H3I2H", b"PK\3\4", *shape, len(name), len(extra)) + name + extra + entry.data
        if zip64:
            extra = struct.pack("<HHQQQ", 1, 24, size, length, offset)
            offset = _SATURATED
        lengths = (len(name), len(extra), len(entry.comment), 0, 0, 0, offset)
        directory += struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, *shape, *lengths) + name + extra + entry.comment
    end = b""
    at = (len(directory), len(body))
    count = len(entries)
    if zip64:
        versions = (_ZIP64_VERSION, _ZIP64_VERSION)
        end = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, *versions, 0, 0, count, count, *at)
        end += struct.pack("<4sIQI", b"PK\6\7", 0, sum(at), 1)
        at = (_SATURATED, _SATURATED)
    return body + directory + end + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, *at, 0)


def conda(stem: str, info: bytes, pkg: bytes = b"", *, info_first: bool = False, zip64: bool = False) -> bytes:
    """Write a `.conda` around the compressed tar of its info files."""
    parts = [Entry(f"pkg-{stem}.tar.zst", pkg), Entry(f"info-{stem}.tar.zst", info)]
    if info_first:
        parts.reverse()
    return zipped(Entry("metadata.json", b'{"conda_pkg_format_version": 2}'), *parts, zip64=zip64)
