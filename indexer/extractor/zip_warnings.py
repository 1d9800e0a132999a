"""What in a `.conda` as a zip is not as CEP 35 says, though readers install it: each is a warning."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import msgspec

from indexer.core.model import UNREADABLE
from indexer.core.printable import one_line
from indexer.extractor.damage import foreign

if TYPE_CHECKING:
    from collections.abc import Iterator

    from indexer.extractor.range_file import RangeFile

_METADATA = "metadata.json"
_MAX_METADATA = 2**12
_VERSION = 2
# A local header of a zip member without its name, and an extra field that the directory does not know.
_LOCAL_HEADER = 30 + 64


class _Metadata(msgspec.Struct):
    conda_pkg_format_version: int


def deviations(file: RangeFile, archive: zipfile.ZipFile) -> list[str]:
    """What CEP 35 forbids in an open `.conda`; `metadata.json` is read only if it is in memory already."""
    stem = file.filename.removesuffix(".conda")
    members = archive.infolist()
    return [one_line(f"the archive {it} (CEP 35)") for it in (*_parts(members, stem), *_metadata(file, archive))]


def _parts(members: list[zipfile.ZipInfo], stem: str) -> Iterator[str]:
    if deflated := [it.filename for it in members if it.compress_type != zipfile.ZIP_STORED]:
        yield f"has the compressed member {deflated[0]!r}"
    for part in ("info", "pkg"):
        named = [
            it.filename for it in members if it.filename.startswith(f"{part}-") and it.filename.endswith(".tar.zst")
        ]
        wrong = [name for name in named if name != f"{part}-{stem}.tar.zst"]
        if wrong:
            yield f"has the member {wrong[0]!r} instead of '{part}-{stem}.tar.zst'"


def _metadata(file: RangeFile, archive: zipfile.ZipFile) -> Iterator[str]:
    member = next((it for it in archive.infolist() if it.filename == _METADATA), None)
    if member is None:
        yield f"has no {_METADATA}"
        return
    end = member.header_offset + _LOCAL_HEADER + len(_METADATA) + member.compress_size
    if member.file_size > _MAX_METADATA or not file.holds(member.header_offset, end):
        return
    with foreign():
        content = archive.open(member)
        data = content.read(_MAX_METADATA)
    try:
        version = msgspec.json.decode(data, type=_Metadata).conda_pkg_format_version
    except UNREADABLE as error:
        yield f"has a {_METADATA} that cannot be read ({error})"
    else:
        if version != _VERSION:
            yield f"has the conda_pkg_format_version {version}, and {_VERSION} is the only one"
