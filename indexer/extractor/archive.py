"""The few files of a package archive that an index needs, read under limits against hostile input."""

from __future__ import annotations

import bz2
import functools
import io
import itertools
import re
import tarfile
import zipfile
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, NamedTuple, cast

import zstandard
from conda_package_streaming.package_streaming import tar_generator

from indexer.core.errors import BadPackage
from indexer.core.records.about import traits
from indexer.extractor.archive_errors import OwnSource, library_call
from indexer.extractor.integrity import ScannedMembers, check_directory, check_members, unpack_rest
from indexer.extractor.zip_warnings import zip_warnings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from indexer.extractor.archive_errors import Source
    from indexer.extractor.range_file import RangeFile

INDEX_JSON = "info/index.json"
RUN_EXPORTS_JSON = "info/run_exports.json"
_RECORD_FILES = (INDEX_JSON, RUN_EXPORTS_JSON)
RUN_EXPORTS_UNKNOWN = "run exports are unknown"
"""A key of what was read: the run exports may lie where the archive could not be read."""
ZIP_WARNINGS = "deviations"
"""A key of what was read: what in the archive CEP 35 forbids, a line each."""
ABOUT_JSON = "info/about.json"
PATHS_JSON = "info/paths.json"
# Of rattler-build and of conda-build, both with all templates filled in.
# What every package has one of (CEP 34).  conda-build writes all files directly in info/ before any other file, and
# other builders all of info/: where this one was seen, run_exports.json does not come later.
_FILE_LISTS = (PATHS_JSON, "info/files")
RECIPES = ("info/recipe/rendered_recipe.yaml", "info/recipe/meta.yaml")
_MIB = 2**20
# The largest real index.json has some hundred kilobytes.  Parsed, JSON takes up to thirty times its size.
_MAX_FILE = _MIB
# The largest real about.json has 15 kilobytes, the largest rendered recipe some hundred.
_MAX_ABOUT = _MIB
_CHUNK = 64 * 2**10
# Of a zip with three members the directory has 300 bytes.
_MAX_DIRECTORY = _MIB
# What may be decompressed, and how many members looked at, before the info/ files end: some for every
# archive, and more for what is large as it is.  No content compresses 32-fold that is worth packing, and
# a member takes more than 64 bytes.
_FREE_CONTENT = 64 * _MIB
_FREE_MEMBERS = 20_000
_MAX_RATIO = 32
# What extended tar headers may have in all: each record of one takes a microsecond, and has six bytes at least.
_FREE_HEADERS = 2 * _MIB
_MAX_HEADER_RATIO = 8
_MIN_MEMBER = 64
# What `zstd --ultra -22` writes into the header of a stream, however short.  A window takes as much memory
# as it is filled, so where it may be larger than the usual one, less content is allowed.
_MAX_WINDOW = 128 * _MIB
_FRAME_HEADER = 18
# An info part of this size is here whole; a larger one would have to be fetched to its end.
_MAX_CHECKED_INFO = 8 * _MIB
_USUAL_WINDOW = 8 * _MIB
_CONTENT_IN_LARGE_WINDOW = 40 * _MIB
_EXTENDED_HEADERS = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}


# Instructions for the largest channel there is take some hundred MiB, and are named by who runs the indexer.
_FREE_PATCHES = 2**30
_PATCHES = re.compile(r"(?P<subdir>[^/]+)/patch_instructions\.json")


class _LimitedStream:
    """A decompressed stream that ends in an error instead of without end.

    `size` is what it has compressed, `window` what decompressing may keep in memory.
    """

    def __init__(self, source: Source, size: int, window: int = 0, free: int = _FREE_CONTENT) -> None:
        self._source = source
        self._limit = free + _MAX_RATIO * size
        if window > _USUAL_WINDOW:
            self._limit = min(self._limit, _CONTENT_IN_LARGE_WINDOW)
        self._left = self._limit
        self._headers = _FREE_HEADERS + _MAX_HEADER_RATIO * size
        self.members = _FREE_MEMBERS + size // _MIN_MEMBER

    def take_header(self, size: int) -> None:
        """Take an extended tar header into account.  Raises BadPackage."""
        self._headers -= size
        if self._headers < 0:
            raise BadPackage("the archive", "has more extended tar headers than a package of its size")

    def read(self, size: int = -1, /) -> bytes:
        data = self._source.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise BadPackage("the archive", f"holds more than {self._limit} bytes before its info/ files end")
        return data


class _BoundedTarInfo(tarfile.TarInfo):
    """A tar header whose extensions, which tarfile reads into memory whole, have a limit."""

    content: _LimitedStream

    # The hook that CPython's tarfile.py names for subclasses; typeshed does not know it.
    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        kept = sum(len(k) + len(v) for k, v in tar.pax_headers.items()) if self.type == tarfile.XGLTYPE else 0
        if self.type in _EXTENDED_HEADERS and self.size + kept > _MIB:
            raise BadPackage("the archive", f"has a tar header of {self.size + kept} bytes")
        if self.type in _EXTENDED_HEADERS:
            self.content.take_header(self.size)
        if self.type == tarfile.GNUTYPE_SPARSE:
            self._refuse_sparse()
        return cast("tarfile.TarInfo", super()._proc_member(tar))  # type: ignore[misc]  # see above

    def _refuse_sparse(self, *_: object) -> None:
        raise BadPackage("the archive", "has a sparse file before its info/ files end")

    # tarfile reads the map of a sparse file whole; no builder writes one.
    _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _refuse_sparse


def _open_tar(content: _LimitedStream) -> Callable[..., tarfile.TarFile]:
    # tarfile makes the headers, so what bounds them can only be reached through their class.
    bounded = type("_BoundedTarInfo", (_BoundedTarInfo,), {"content": content})
    return functools.partial(tarfile.open, tarinfo=bounded)


def read_conda(file: RangeFile, *, about: bool = False, whole: FullCheck | None = None) -> dict[str, bytes]:
    """`info/index.json` and, where it is there, `info/run_exports.json` of a `.conda`.  Raises BadPackage.

    With `about` also what the package says of itself: `info/about.json`, a recipe, and of `info/paths.json`
    the traits, a word each.  Of these what cannot be read is left out: no reason to refuse a package.
    The directory of the zip must cover all of it; where the file was read `whole`, every member is checked.
    """
    with _open_zip(file) as archive:
        check_directory(archive)
        found = _read_info(file, archive, about=about)
        if odd := zip_warnings(file, archive):
            found[ZIP_WARNINGS] = "\n".join(odd).encode()
        if whole is not None:
            check_members(archive, whole.walked, reread=whole.in_memory, unpack=whole.unpack)
        return found


class FullCheck(NamedTuple):
    """How a `.conda` was read whole: what was seen of it then, if it is in memory, if zstd was to be unpacked too."""

    walked: ScannedMembers
    in_memory: bool
    unpack: bool


def read_tar_bz2(file: Source, size: int, *, about: bool = False, whole: bool = False) -> dict[str, bytes]:
    """The same of a `.tar.bz2` of `size` bytes, read no further than its first block of `info/` files.

    With `whole` it is decompressed to its end, and so checked.
    """
    with library_call():
        content = bz2.BZ2File(cast("IO[bytes]", OwnSource(file)))
    found = _read_tar(_LimitedStream(content, size), about=about)
    if whole:
        unpack_rest(content, size)
    return found


def read_patches(package: bytes, filename: str) -> dict[str, bytes]:
    """Every `<subdir>/patch_instructions.json` of a patch package, by subdir.  Raises BadPackage."""
    if filename.endswith(".tar.bz2"):
        with library_call():
            content = bz2.BZ2File(io.BytesIO(package))
        return _read_patches(_LimitedStream(content, len(package), free=_FREE_PATCHES))
    with _open_zip(io.BytesIO(package)) as archive:
        member = _part(archive, "pkg")
        with library_call():
            compressed = archive.open(member)
            reader = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW).stream_reader(compressed)
        return _read_patches(_LimitedStream(reader, member.compress_size, free=_FREE_PATCHES))


def _open_zip(file: RangeFile | io.BytesIO) -> zipfile.ZipFile:
    with library_call():
        return zipfile.ZipFile(cast("IO[bytes]", _Directory(file)))


class _Directory:
    """A file that does not let zipfile read a directory without end into memory."""

    def __init__(self, file: RangeFile | io.BytesIO) -> None:
        self._file = OwnSource(file)
        self.seek = file.seek
        self.tell = file.tell

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if size > _MAX_DIRECTORY:
            raise BadPackage("the archive", f"has a zip directory of {size} bytes")
        return self._file.read(size)


def _part(archive: zipfile.ZipFile, part: str) -> zipfile.ZipInfo:
    members = [
        member
        for member in archive.infolist()
        if member.filename.startswith(f"{part}-") and member.filename.endswith(".tar.zst")
    ]
    if len(members) != 1:
        raise BadPackage("the archive", f"has {len(members) or 'no'} {part}-*.tar.zst")
    if members[0].compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        # zipfile decompresses the other methods without a limit; a .conda is stored (CEP 35).
        raise BadPackage("the archive", f"is compressed by the zip method {members[0].compress_type}")
    return members[0]


def _read_info(file: RangeFile, archive: zipfile.ZipFile, *, about: bool) -> dict[str, bytes]:
    """The info files of a `.conda`; its info part is read to the end, so that zipfile compares the CRC-32."""
    member = _part(archive, "info")
    # The local header repeats the name, with an extra field of its own.
    header = 30 + len(member.filename.encode()) + 64
    file.prefetch(member.header_offset, member.header_offset + header + member.compress_size)
    with library_call():
        compressed = cast("zipfile.ZipExtFile", archive.open(member))
        window = zstandard.get_frame_parameters(compressed.peek(_FRAME_HEADER)).window_size
        # What a frame asks for, all that follow may have too, and no more.
        decompressor = zstandard.ZstdDecompressor(max_window_size=min(max(window, _USUAL_WINDOW), _MAX_WINDOW))
        reader = decompressor.stream_reader(cast("IO[bytes]", compressed), read_across_frames=True)
    found = _read_tar(_LimitedStream(reader, member.compress_size, window), about=about)
    if member.compress_size <= _MAX_CHECKED_INFO:
        with library_call():  # again from its beginning: an error at its end was passed over if it makes a record
            rest = archive.open(member) if about else compressed
        unpack_rest(rest, member.compress_size)
    return found


def _read_patches(content: _LimitedStream) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for tar, member in _members(content):
        match = _PATCHES.fullmatch(member.name)
        if match is not None:
            if match["subdir"] in found:
                raise BadPackage("the archive", f"has {member.name} more than once")
            found[match["subdir"]] = _content(tar, member, _FREE_PATCHES)
    return found


def _read_tar(content: _LimitedStream, *, about: bool) -> dict[str, bytes]:
    files = _InfoFiles(said={} if about else None)
    try:
        _collect(content, files)
    except BadPackage:
        if not files.makes_a_record:
            raise
        # What else the package says is not worth refusing it.
        if not files.whole:
            files.found[RUN_EXPORTS_UNKNOWN] = b""
    if INDEX_JSON not in files.found:
        raise BadPackage("the archive", f"has no {INDEX_JSON}")
    return {**(files.said or {}), **files.found}


@dataclass(slots=True)
class _InfoFiles:
    """What was found of an archive: what makes a record, and what the package `said` of itself if that is asked for.

    `listed` tells that the list of the package's files was seen, `left` that files outside info/ were.
    """

    found: dict[str, bytes] = field(default_factory=dict)
    said: dict[str, bytes] | None = None
    listed: bool = False
    left: bool = False

    @property
    def whole(self) -> bool:
        """Whether run exports are here, or are nowhere."""
        return RUN_EXPORTS_JSON in self.found or (self.listed and self.left)

    @property
    def makes_a_record(self) -> bool:
        """Whether nothing that comes can change the record."""
        return INDEX_JSON in self.found and (self.left or len(self.found) == len(_RECORD_FILES))

    @property
    def complete(self) -> bool:
        """Whether all that is asked for is here; conda-build writes the recipe among the files outside info/."""
        return self.whole and (self.said is None or any(recipe in self.said for recipe in RECIPES))


def _collect(content: _LimitedStream, files: _InfoFiles) -> None:
    for tar, member in _members(content):
        files.listed |= member.name in _FILE_LISTS
        if member.name in _RECORD_FILES:
            if member.name in files.found:
                files.found.clear()  # which of them a client takes is not defined
                raise BadPackage("the archive", f"has {member.name} more than once")
            files.found[member.name] = _content(tar, member)
            if len(files.found) == len(_RECORD_FILES) and files.said is None:
                break
        elif INDEX_JSON in files.found and not member.name.startswith("info/"):
            files.left = True
            if files.complete:
                break
        elif files.said is not None and member.isreg():
            files.said |= _metadata_file(tar, member)


def _metadata_file(tar: tarfile.TarFile, member: tarfile.TarInfo) -> dict[str, bytes]:
    """One of the files in which a package speaks of itself, nothing of any other file and of what is too large."""
    if member.name == PATHS_JSON:
        # It has a line for each file: seldom tens of megabytes, so it is looked through and not kept.
        return {PATHS_JSON: " ".join(traits(_chunks(tar, member))).encode()}
    if member.name in {ABOUT_JSON, *RECIPES} and member.size <= _MAX_ABOUT:
        return {member.name: b"".join(_chunks(tar, member))}
    return {}


def _chunks(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    """What a regular file of a tar holds, piece by piece."""
    with library_call():
        file = tar.extractfile(member)
    while file is not None:
        with library_call():
            data = file.read(_CHUNK)
        if not data:
            return
        yield data


def _members(content: _LimitedStream) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    members = tar_generator(content, _open_tar(content))
    for count in itertools.count():
        with library_call():
            step = next(members, None)
        if step is None:
            return
        tar, member = step
        if count >= content.members:
            raise BadPackage("the archive", f"has more than {content.members} files before its info/ files end")
        tar.members.clear()  # tarfile keeps every header it has seen
        member.name = member.name.removeprefix("./")
        yield tar, member


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo, limit: int = _MAX_FILE) -> bytes:
    if not member.isreg():
        raise BadPackage("the archive", f"has {member.name} as something else than a file")
    if member.size > limit:
        raise BadPackage("the archive", f"has {member.name} with {member.size} bytes, more than {limit}")
    data = b"".join(_chunks(tar, member))
    if len(data) != member.size:
        raise BadPackage("the archive", f"ends inside {member.name}")
    return data
