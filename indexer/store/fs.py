"""A channel in a folder as a store: a write is a rename, and compares ETags under a lock on the folder."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat as st
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.core.errors import (
    BadConfig,
    Conflict,
    CopyRefused,
    Denied,
    IndexerError,
    Missing,
    OneUnavailable,
    RangeRefused,
)
from indexer.core.model import ETag, Stat
from indexer.core.names import extension_of
from indexer.core.printable import one_line
from indexer.core.stream import chunks_of
from indexer.core.usage import COUNTING, Usage
from indexer.store import CHANGED, WHOLE, Opened
from indexer.store.folder import (
    ABSENT,
    FOLLOWS_NO_LINK,
    Changed,
    copy_bytes,
    delete_file,
    etag_of,
    open_file,
    scanned,
    write_file,
)
from indexer.store.shared_sync import Syncs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from io import FileIO
    from types import TracebackType
    from typing import BinaryIO

    from indexer.core.stream import Content
    from indexer.store import Expect, Part, Range


_log = logging.getLogger(__name__)

_MS = 1_000_000
_LARGE = 64 * 2**20
_OUTSIDE = ("is behind a link that leaves the channel", "replace the link by a folder of the channel")
_NEW_CHANNEL = (
    "check the name; for a new channel, make the folder, then use --create of `indexer fs`, `publish` or `promote`"
)
# The errors of opening a folder that has become a link: the link is not followed.
_BECAME_LINK = {errno.ELOOP, errno.ENOTDIR, errno.EMLINK}
# Parts of a path that name no file.
_NOT_A_NAME = {"", ".", ".."}


class FolderReader:
    """The body of a file."""

    def __init__(self, file: FileIO, opened: Opened, length: int, usage: Usage) -> None:
        self.opened = opened
        self._file = file
        self._left = length
        self._usage = usage
        self._uncounted = 0

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, none at the end."""
        length = self._left if size < 0 else min(size, self._left)
        data = self._file.read(length)
        while len(data) < length and (more := self._file.read(length - len(data))):
            data += more
        if len(data) < length:
            raise Conflict(self.opened.stat.key, "became shorter while it was read")
        self._left -= length
        self._uncounted += length
        return data

    def copy_to(self, file: BinaryIO) -> None:
        """Write the body to another file.  Raises Conflict if it changed since it was opened."""
        copy_bytes(self._file.fileno(), file.fileno(), self._left)
        if etag_of(os.fstat(self._file.fileno())) != self.opened.stat.etag:
            raise Conflict(self.opened.stat.key, CHANGED)

    def close(self) -> None:
        """Close the file, and count the bytes that were read."""
        self._file.close()
        with COUNTING:
            self._usage.bytes_read += self._uncounted
        self._uncounted = 0

    def __enter__(self) -> FolderReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class OpenFile(FolderReader):
    """The body of a file that can be replaced while it is open."""

    def range(self, start: int, stop: int) -> bytes:
        """The bytes from one position to before another, read by any thread."""
        parts: list[bytes] = []
        key = self.opened.stat.key
        try:
            while start < stop and (part := os.pread(self._file.fileno(), stop - start, start)):
                parts.append(part)
                start += len(part)
        except OSError as error:
            if error.errno == errno.ESTALE:  # on NFS, after another host has replaced the file
                raise Conflict(key, CHANGED) from error
            raise _translated(key, error) from error
        if start < stop:
            raise Conflict(key, "became shorter while it was read")
        with COUNTING:
            self._usage.bytes_read += sum(map(len, parts))
        return b"".join(parts)


# Windows replaces no open file.
_Reader = OpenFile if hasattr(os, "pread") else FolderReader


class FolderStore:
    """A channel in a folder."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise BadConfig(str(root), "is not a folder", _NEW_CHANNEL)
        self.usage = Usage()
        self._root = root.resolve()
        self._syncs = Syncs()
        self.place: object = self._root

    def _count(self, verb: str, *, written: int = 0) -> None:
        with COUNTING:
            self.usage.requests[verb] += 1
            self.usage.bytes_written += written

    def list(self, prefix: str, *, part: Part = WHOLE) -> Iterator[Stat]:
        """The files and folders directly under a prefix."""
        if part != WHOLE:
            raise RangeRefused(prefix, "a folder cannot be listed in parts")
        self._count("LIST")
        inside = self._inside(self._root / prefix)
        if inside is None:
            return
        try:
            with scanned(self._root, inside) as entries:
                for entry in entries:
                    if stat := self._listed(prefix, entry):
                        yield stat
        except FileNotFoundError:
            return
        except OSError as error:
            raise _translated(prefix or str(self._root), error) from error

    def _listed(self, prefix: str, entry: os.DirEntry[str]) -> Stat | None:
        if not _is_text(entry.name):
            _log.warning("%s%r: the file name is not UTF-8, so it is not indexed", prefix, entry.name)
            return None
        try:
            if entry.is_file(follow_symlinks=False):
                return _stat_of(prefix + entry.name, entry.stat(follow_symlinks=False))
            return self._listed_other(prefix, entry)
        except OSError as error:  # deleted since the folder was opened, or a link to nothing
            if error.errno in ABSENT:
                return None
            raise

    def _listed_other(self, prefix: str, entry: os.DirEntry[str]) -> Stat | None:
        """A folder, or the file that a link leads to.  Raises OSError."""
        if entry.is_symlink() and self._inside(self._root / prefix / entry.name) is None:
            if extension_of(entry.name) or entry.is_dir():
                name = one_line(prefix + entry.name)
                _log.warning("%s: is a link that leaves the channel, so it is not indexed", name)
            return None
        if entry.is_dir():
            return Stat(f"{prefix}{entry.name}/", 0, ETag(""), 0)
        status = entry.stat()
        # Neither FIFOs nor sockets nor devices: reading one could never end.
        return _stat_of(prefix + entry.name, status) if st.S_ISREG(status.st_mode) else None

    def _inside(self, path: Path) -> Path | None:
        """The real path relative to the channel's folder, None for a path outside of it."""
        # Not Path.resolve, which raises if links go in a circle.
        real = Path(os.path.realpath(path))
        return real.relative_to(self._root) if real.is_relative_to(self._root) else None

    def _place_of(self, key: str) -> Path:
        """The relative path of a file that we write, whose folder must be inside the channel.  Raises Denied."""
        path = self._root / key
        folder = self._inside(path.parent)
        if folder is None:
            raise Denied(key, *_OUTSIDE)
        return folder / path.name

    def stat(self, key: str, *, checksum: bool = False) -> Stat | None:
        """One file, None if it is absent."""
        del checksum  # a folder stores no checksums
        self._count("HEAD")
        try:
            status = (self._root / key).stat()
            if not st.S_ISREG(status.st_mode) or self._inside(self._root / key) is None:
                return None
            return _stat_of(key, status)
        except OSError as error:
            if error.errno in ABSENT:
                return None
            raise _translated(key, error) from error

    def open(self, key: str, *, range: Range | None = None, etag: ETag | None = None) -> FolderReader:
        """Read a file, or a part of it."""
        self._count("GET")
        try:
            descriptor = self._descriptor(key)
        except OSError as error:
            if error.errno in ABSENT:
                raise Missing(key, "does not exist any more") from error
            raise _translated(key, error) from error
        try:
            stat = _readable(descriptor, key, etag)
            file = os.fdopen(descriptor, "rb", buffering=0)
        except BaseException:
            os.close(descriptor)
            raise
        start, stop, _ = slice(*(range or (0, None))).indices(stat.size)
        if start:
            file.seek(start)
        return _Reader(file, Opened(stat, start), max(0, stop - start), self.usage)

    def _descriptor(self, key: str) -> int:
        """The descriptor of an open file.  Raises OSError, and Missing for a link that leaves the channel."""
        parts = key.split("/")
        if FOLLOWS_NO_LINK and _NOT_A_NAME.isdisjoint(parts):
            try:
                return open_file(self._root, parts)
            except OSError as error:
                if error.errno not in _BECAME_LINK:
                    raise
        inside = self._inside(self._root / key)
        if inside is None:
            raise Missing(key, "is a link that leaves the channel")
        return open_file(self._root, inside.parts or (".",))

    def put(self, key: str, body: Content, *, expect: Expect | ETag, headers: Mapping[str, str] | None = None) -> ETag:
        """Write a file and return its ETag.  Raises Conflict."""
        del headers  # a folder has none
        self._count("PUT", written=len(body))
        with _write_errors(key):
            place = self._place_of(key)
            return write_file(self._root, place, lambda file: file.writelines(chunks_of(body)), expect, self._syncs)

    def copy(self, place: object, stat: Stat, *, expect: Expect) -> ETag:
        """Copy a file of another folder.  Raises Conflict, and CopyRefused for another kind of store."""
        if not isinstance(place, Path):
            raise CopyRefused(stat.key, "is not in a folder")
        self._count("COPY")
        with FolderStore(place).open(stat.key, etag=stat.etag) as reader, _write_errors(stat.key):
            return write_file(self._root, self._place_of(stat.key), reader.copy_to, expect, self._syncs)

    def delete(self, key: str, *, expect: Expect | ETag) -> None:
        """Delete a file.  Raises Conflict."""
        self._count("DELETE")
        with _write_errors(key), contextlib.suppress(FileNotFoundError):
            delete_file(self._root, self._place_of(key), expect, self._syncs)


def _readable(descriptor: int, key: str, etag: ETag | None) -> Stat:
    """The Stat of an open file.  Raises Missing, Conflict and Denied if the file is not the wanted one."""
    status = os.fstat(descriptor)
    stat = _stat_of(key, status)
    if etag is None and not st.S_ISREG(status.st_mode):
        raise Missing(key, "is not a regular file")
    if not st.S_ISREG(status.st_mode) or (etag is not None and stat.etag != etag):
        raise Conflict(key, CHANGED)
    if _has_hole(descriptor, stat.size):
        raise Denied(key, "is a sparse file (incomplete copy?)", "copy it again")
    return stat


def _has_hole(descriptor: int, size: int) -> bool:
    """Whether a large file is sparse: a terabyte of zeros takes no disk, and an hour to hash."""
    if size < _LARGE or not hasattr(os, "SEEK_HOLE"):
        return False
    try:
        hole = os.lseek(descriptor, 0, os.SEEK_HOLE)
    except OSError:  # a file system without this feature
        return False
    os.lseek(descriptor, 0, os.SEEK_SET)
    return hole < size


def _is_text(name: str) -> bool:
    if name.isascii():
        return True
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes that are not UTF-8 are surrogates in Python
        return False
    return True


def _stat_of(key: str, status: os.stat_result) -> Stat:
    modified_ms, changed_ms = status.st_mtime_ns // _MS, status.st_ctime_ns // _MS
    return Stat(key, status.st_size, etag_of(status), max(modified_ms, changed_ms), mtime_ms=modified_ms)


@contextlib.contextmanager
def _write_errors(key: str) -> Iterator[None]:
    """Translate the errors of a write into ours."""
    try:
        yield
    except Changed as error:
        raise Conflict(key, CHANGED) from error
    except OSError as error:
        raise (Denied(key, *_OUTSIDE) if error.errno in _BECAME_LINK else _translated(key, error)) from error


def _translated(key: str, error: OSError) -> IndexerError:
    if isinstance(error, PermissionError):
        return Denied(key, error.strerror or str(error), "let this user read and write the channel's folder")
    return OneUnavailable(key, error.strerror or str(error), "check the disk, then run again")
