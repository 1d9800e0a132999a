"""Warnings about a `.conda` whose zip breaks a rule of CEP 35, although clients can install it."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import msgspec

from indexer.core.model import UNREADABLE
from indexer.core.printable import one_line
from indexer.extractor.archive_errors import library_call

if TYPE_CHECKING:
    from collections.abc import Iterator

    from indexer.extractor.integrity import FullCheck
    from indexer.extractor.range_file import SeekableFile

_METADATA = "metadata.json"
_MAX_METADATA = 2**12
_VERSION = 2
# The local header of a zip member without its name, and the longest extra field that is expected.
_LOCAL_HEADER = 30 + 64


class _Metadata(msgspec.Struct):
    conda_pkg_format_version: int


def zip_warnings(file: SeekableFile, archive: zipfile.ZipFile, whole: FullCheck | None) -> list[str]:
    """The rules of CEP 35 that an open `.conda` breaks; `metadata.json` is checked only if it is in memory."""
    stem = file.filename.removesuffix(".conda")
    members = archive.infolist()
    return [
        one_line(f"the archive {reason} (CEP 35)")
        for reason in (*_parts(members, stem), *_metadata(file, archive, whole))
    ]


def _parts(members: list[zipfile.ZipInfo], stem: str) -> Iterator[str]:
    if compressed := [member.filename for member in members if member.compress_type != zipfile.ZIP_STORED]:
        yield f"has the compressed member {compressed[0]!r}"
    for part in ("info", "pkg"):
        filenames = [member.filename for member in members]
        parts = [name for name in filenames if name.startswith(f"{part}-") and name.endswith(".tar.zst")]
        if wrong := [name for name in parts if name != f"{part}-{stem}.tar.zst"]:
            yield f"has the member {wrong[0]!r} instead of '{part}-{stem}.tar.zst'"


def _metadata(file: SeekableFile, archive: zipfile.ZipFile, whole: FullCheck | None) -> Iterator[str]:
    member = next((member for member in archive.infolist() if member.filename == _METADATA), None)
    if member is None:
        yield f"has no {_METADATA}"
        return
    data = whole.content_of(member) if whole is not None else None
    if data is None:
        data = _read(file, archive, member)
    if data is None or len(data) > _MAX_METADATA:
        return
    try:
        version = msgspec.json.decode(data, type=_Metadata).conda_pkg_format_version
    except UNREADABLE as error:
        yield f"has a {_METADATA} that cannot be read ({error})"
    else:
        if version != _VERSION:
            yield f"has the conda_pkg_format_version {version} instead of {_VERSION}"


def _read(file: SeekableFile, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes | None:
    """The start of a small member; None if it is large, or not in memory."""
    end = member.header_offset + _LOCAL_HEADER + len(member.filename) + member.compress_size
    if member.file_size > _MAX_METADATA or not file.holds(member.header_offset, end):
        return None
    with library_call():
        return archive.open(member).read(_MAX_METADATA)
