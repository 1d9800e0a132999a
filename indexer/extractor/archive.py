"""Reads the few files of a package archive that an index needs, with limits against hostile input."""

from __future__ import annotations

import bz2
import io
import re
import tarfile
import zipfile
from typing import IO, TYPE_CHECKING, Any, cast

import zstandard
from conda_package_streaming.package_streaming import tar_generator
from msgspec import Struct, field

from indexer.core.errors import BadPackage
from indexer.core.records.about import traits
from indexer.extractor.archive_errors import OwnSource, library_call
from indexer.extractor.integrity import check_directory, check_members, unpack_rest
from indexer.extractor.tar_names import INDEX_JSON, RECORD_FILES, RUN_EXPORTS_JSON, is_last, start_of_record
from indexer.extractor.zip_warnings import zip_warnings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from indexer.extractor.archive_errors import Source
    from indexer.extractor.integrity import FullCheck
    from indexer.extractor.range_file import RangeFile, SeekableFile

RUN_EXPORTS_UNKNOWN = "run exports are unknown"
"""A key of the result: the run exports may be in the part of the archive that cannot be read."""
ZIP_WARNINGS = "deviations"
"""A key of the result: the warnings about the zip (CEP 35), one per line."""
ABOUT_JSON = "info/about.json"
PATHS_JSON = "info/paths.json"
# Every package has one of these (CEP 34).  conda-build writes all files directly in info/ before any other file, and
# other builders write all of info/ first: after one of these files and a file outside info/, no run_exports.json comes.
_FILE_LISTS = (PATHS_JSON, "info/files")
# The recipe of rattler-build and of conda-build, both with all templates rendered.
RECIPES = ("info/recipe/rendered_recipe.yaml", "info/recipe/meta.yaml")
_MIB = 2**20
# The largest real index.json has some hundred kilobytes.  Parsed, JSON takes up to thirty times its size.
_MAX_FILE = _MIB
# The largest real about.json has 15 kilobytes, the largest rendered recipe some hundred.
_MAX_ABOUT = _MIB
_CHUNK = 64 * 2**10
# The bytes decompressed and the members read before the info/ files end: a fixed amount for every archive, and more
# for a larger archive.  Real content does not compress 32-fold, and a member takes more than 64 bytes.
_FREE_CONTENT = 64 * _MIB
_FREE_MEMBERS = 20_000
_MAX_RATIO = 32
# The size of all extended tar headers: each of their records takes a microsecond and at least six bytes.
_FREE_HEADERS = 2 * _MIB
_MAX_HEADER_RATIO = 8
_MIN_MEMBER = 64
# `zstd --ultra -22` writes this window size into the header of every stream.  A window takes as much memory as its
# content, so less content is allowed with a window above the usual size.
_MAX_WINDOW = 128 * _MIB
_FRAME_HEADER = 18
# An info part up to this size is read to its end; a larger one would need more requests.
_MAX_CHECKED_INFO = 8 * _MIB
_USUAL_WINDOW = 8 * _MIB
_CONTENT_IN_LARGE_WINDOW = 40 * _MIB
# Content up to this size is read into memory whole.  A larger read makes zstandard ask the system for memory each time.
_HELD = 2**17 - 2**10
_EXTENDED_HEADERS = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}


# The instructions for the largest channel take some hundred MiB, and the user of the indexer chooses the package.
_FREE_PATCHES = 2**30
_PATCHES = re.compile(r"(?P<subdir>[^/]+)/patch_instructions\.json")


class _LimitedStream:
    """A decompressed stream that raises BadPackage above a limit.

    `size` is the compressed size in bytes, `window` the window size of the decompressor.  After `hold`, `held` has the
    whole content if it is small; reading it begins at `start`.
    """

    def __init__(self, source: Source, size: int, window: int = 0, free: int = _FREE_CONTENT) -> None:
        self._source = source
        self._limit = free + _MAX_RATIO * size
        if window > _USUAL_WINDOW:
            self._limit = min(self._limit, _CONTENT_IN_LARGE_WINDOW)
        self._left = self._limit
        self._headers = _FREE_HEADERS + _MAX_HEADER_RATIO * size
        self._start = b""
        self.members = _FREE_MEMBERS + size // _MIN_MEMBER
        self.held: bytes | None = None
        self.start = 0

    def hold(self) -> None:
        """Read the start of the content into memory; `read` returns it later."""
        with library_call():
            self._start = self.read(_HELD)
        if len(self._start) < _HELD:
            self.held = self._start

    def take_header(self, size: int) -> None:
        """Count the bytes of an extended tar header.  Raises BadPackage above the limit."""
        self._headers -= size
        if self._headers < 0:
            raise BadPackage("the archive", "has more extended tar headers than a package of its size")

    def read(self, size: int, /) -> bytes:
        if self._start:
            data, self._start = self._start[:size], self._start[size:]
            return data
        data = self._source.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise BadPackage("the archive", f"holds more than {self._limit} bytes before its info/ files end")
        return data


class _BoundedTarInfo(tarfile.TarInfo):
    """A tar header with a limit for its extensions, which tarfile reads into memory whole."""

    # The hook that CPython's tarfile.py names for subclasses; typeshed does not know it.
    def _proc_member(self, tar: _BoundedTar) -> tarfile.TarInfo:
        if self.type in _EXTENDED_HEADERS:
            kept = sum(len(k) + len(v) for k, v in tar.pax_headers.items()) if self.type == tarfile.XGLTYPE else 0
            if self.size + kept > _MIB:
                raise BadPackage("the archive", f"has a tar header of {self.size + kept} bytes")
            tar.content.take_header(self.size)
        elif self.type == tarfile.GNUTYPE_SPARSE:
            self._refuse_sparse()
        return cast("tarfile.TarInfo", super()._proc_member(tar))  # type: ignore[misc]  # see above

    def _refuse_sparse(self, *_: object) -> None:
        raise BadPackage("the archive", "has a sparse file before its info/ files end")

    # tarfile reads the map of a sparse file whole; no builder writes one.
    _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _refuse_sparse


class _BoundedTar(tarfile.TarFile):
    """A tar whose headers know the limits of its content."""

    tarinfo = _BoundedTarInfo

    def __init__(self, *args: Any, content: _LimitedStream, **options: Any) -> None:
        self.content = content
        super().__init__(*args, **options)  # reads the first header


def _open_tar(fileobj: _LimitedStream, mode: str, encoding: str) -> tarfile.TarFile:
    if fileobj.held is not None:  # tarfile takes less time for a file than for a stream
        held = io.BytesIO(fileobj.held)
        held.seek(fileobj.start)
        return _BoundedTar(fileobj=held, encoding=encoding, content=fileobj)
    # typeshed does not know that `open` passes other arguments on.
    opened: Callable[..., tarfile.TarFile] = _BoundedTar.open
    return opened(fileobj=fileobj, mode=mode, encoding=encoding, content=fileobj)


def read_conda(file: SeekableFile, *, about: bool = False, whole: FullCheck | None = None) -> dict[str, bytes]:
    """`info/index.json` and, if present, `info/run_exports.json` of a `.conda`.  Raises BadPackage.

    With `about` also the metadata: `info/about.json`, a recipe, and the traits from `info/paths.json`, separated by
    blanks.  Unreadable metadata is left out, because it is no reason to reject a package.  The directory of the zip
    must cover the whole file.  If the file was read `whole`, every member is checked.
    """
    with _open_zip(file) as archive:
        check_directory(archive)
        files = _read_info(file, archive, whole, about=about)
        if warnings := zip_warnings(file, archive, whole):
            files[ZIP_WARNINGS] = "\n".join(warnings).encode()
        if whole is not None:
            check_members(archive, whole.scanned, reread=whole.data is not None, unpack=whole.unpack)
        return files


def read_tar_bz2(file: Source, size: int, *, about: bool = False, whole: bool = False) -> dict[str, bytes]:
    """The same files of a `.tar.bz2` of `size` bytes, read only to the end of its first block of `info/` files.

    With `whole` the file is decompressed and so checked to its end.
    """
    content = bz2.BZ2File(cast("IO[bytes]", OwnSource(file)))
    limited = _LimitedStream(content, size)
    if whole:
        limited.hold()
    files = _read_tar(limited, about=about)
    if whole:
        unpack_rest(content, size)
    return files


def read_patches(package: RangeFile) -> dict[str, bytes]:
    """Every `<subdir>/patch_instructions.json` of a patch package, by subdir.  Raises BadPackage."""
    if package.filename.endswith(".tar.bz2"):
        content = bz2.BZ2File(cast("IO[bytes]", package))
        return _read_patches(_LimitedStream(content, package.size, free=_FREE_PATCHES))
    with _open_zip(package) as archive:
        member = _part(archive, "pkg")
        with library_call():
            compressed = archive.open(member)
            reader = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW).stream_reader(compressed)
        return _read_patches(_LimitedStream(reader, member.compress_size, free=_FREE_PATCHES))


def _open_zip(file: SeekableFile) -> zipfile.ZipFile:
    with library_call():
        return zipfile.ZipFile(cast("IO[bytes]", file))


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


def _read_info(
    file: SeekableFile, archive: zipfile.ZipFile, whole: FullCheck | None, *, about: bool
) -> dict[str, bytes]:
    """The info files of a `.conda`; the info part is read to its end, so that zipfile compares the CRC-32."""
    member = _part(archive, "info")
    compressed = whole.content_of(member) if whole is not None else None
    if compressed is not None:
        return _read_tar_zst(io.BytesIO(compressed), compressed[:_FRAME_HEADER], member, about=about)
    # The local header has the name again, and its own extra field.
    header = 30 + len(member.filename.encode()) + 64
    with library_call():
        file.prefetch(member.header_offset, member.header_offset + header + member.compress_size)
        content = cast("zipfile.ZipExtFile", archive.open(member))
        start = content.peek(_FRAME_HEADER)
        # Metadata is read beyond the record, and an error there is ignored: then the check begins at the start again.
        rest = archive.open(member) if about else content
    files = _read_tar_zst(cast("IO[bytes]", content), start, member, about=about)
    if member.compress_size <= _MAX_CHECKED_INFO:
        unpack_rest(rest, member.compress_size)
    return files


def _read_tar_zst(compressed: IO[bytes], start: bytes, member: zipfile.ZipInfo, *, about: bool) -> dict[str, bytes]:
    """The info files of a compressed info part, whose first bytes are `start`."""
    with library_call():
        window = zstandard.get_frame_parameters(start).window_size
        # The window size of the first frame is the limit for all frames that follow.
        decompressor = zstandard.ZstdDecompressor(max_window_size=min(max(window, _USUAL_WINDOW), _MAX_WINDOW))
        reader = decompressor.stream_reader(compressed, read_across_frames=True)
    content = _LimitedStream(reader, member.compress_size, window)
    content.hold()
    return _read_tar(content, about=about)


def _read_patches(content: _LimitedStream) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for tar, member in _members(content):
        match = _PATCHES.fullmatch(member.name)
        if match is not None:
            if match["subdir"] in files:
                raise BadPackage("the archive", f"has {member.name} more than once")
            files[match["subdir"]] = _content(tar, member, _FREE_PATCHES)
    return files


def _read_tar(content: _LimitedStream, *, about: bool) -> dict[str, bytes]:
    files = _InfoFiles(metadata_files={} if about else None)
    if content.held is not None and not about:
        content.start = start_of_record(content.held)
    try:
        _collect(content, files)
    except BadPackage:
        if not files.makes_a_record:
            raise
        # Unreadable metadata is no reason to reject the package.
        if not files.whole:
            files.record_files[RUN_EXPORTS_UNKNOWN] = b""
    if INDEX_JSON not in files.record_files:
        raise BadPackage("the archive", f"has no {INDEX_JSON}")
    return {**(files.metadata_files or {}), **files.record_files}


class _InfoFiles(Struct):
    """The info files read so far: `record_files` for the record, and `metadata_files` if metadata is wanted.

    `has_file_list` is true after the list of the package's files, `has_left_info` after a file outside info/.
    """

    record_files: dict[str, bytes] = field(default_factory=dict)
    metadata_files: dict[str, bytes] | None = None
    has_file_list: bool = False
    has_left_info: bool = False

    @property
    def has_record_files(self) -> bool:
        """Whether both files of a record were read."""
        return len(self.record_files) == len(RECORD_FILES)

    @property
    def whole(self) -> bool:
        """Whether the run exports were read, or the package has none."""
        return RUN_EXPORTS_JSON in self.record_files or (self.has_file_list and self.has_left_info)

    @property
    def makes_a_record(self) -> bool:
        """Whether no further file can change the record."""
        return INDEX_JSON in self.record_files and (self.has_left_info or self.has_record_files)

    @property
    def complete(self) -> bool:
        """Whether all wanted files were read; conda-build writes the recipe among the files outside info/."""
        return self.whole and (self.metadata_files is None or any(recipe in self.metadata_files for recipe in RECIPES))


def _collect(content: _LimitedStream, files: _InfoFiles) -> None:
    for tar, member in _members(content):
        files.has_file_list |= member.name in _FILE_LISTS
        if member.name in RECORD_FILES:
            if member.name in files.record_files:
                files.record_files.clear()  # it is undefined which of the two a client uses
                raise BadPackage("the archive", f"has {member.name} more than once")
            files.record_files[member.name] = _content(tar, member)
            if files.metadata_files is None and (files.has_record_files or _is_last(content, tar, member)):
                break
        elif INDEX_JSON in files.record_files and not member.name.startswith("info/"):
            files.has_left_info = True
            if files.complete:
                break
        elif files.metadata_files is not None and member.isreg():
            files.metadata_files |= _metadata_file(tar, member)


def _is_last(content: _LimitedStream, tar: tarfile.TarFile, member: tarfile.TarInfo) -> bool:
    """Whether no file of a record follows in a small tar.  A global header can name the files after it."""
    return content.held is not None and not tar.pax_headers and is_last(content.held, member)


def _metadata_file(tar: tarfile.TarFile, member: tarfile.TarInfo) -> dict[str, bytes]:
    """The content of one metadata file by name; empty for any other file, and for a file above the limit."""
    if member.name == PATHS_JSON:
        # This file has a line for each packaged file, sometimes tens of megabytes, so it is searched and not kept.
        return {PATHS_JSON: " ".join(traits(_chunks(tar, member))).encode()}
    if member.name in {ABOUT_JSON, *RECIPES} and member.size <= _MAX_ABOUT:
        return {member.name: b"".join(_chunks(tar, member))}
    return {}


def _chunks(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    """The content of a regular file of a tar, in chunks."""
    with library_call():
        file = tar.extractfile(member)
        while file is not None and (data := file.read(_CHUNK)):
            yield data


def _members(content: _LimitedStream) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    with library_call():
        for count, (tar, member) in enumerate(tar_generator(content, _open_tar)):
            if count >= content.members:
                raise BadPackage("the archive", f"has more than {content.members} files before its info/ files end")
            tar.members.clear()  # tarfile would keep every header in memory
            member.name = member.name.removeprefix("./")
            yield tar, member


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo, limit: int = _MAX_FILE) -> bytes:
    if not member.isreg():
        raise BadPackage("the archive", f"has {member.name} as something other than a file")
    if member.size > limit:
        raise BadPackage("the archive", f"has {member.name} with {member.size} bytes, more than {limit}")
    data = b"".join(_chunks(tar, member))
    if len(data) != member.size:
        raise BadPackage("the archive", f"ends inside {member.name}")
    return data
