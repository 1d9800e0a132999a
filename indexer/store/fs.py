"""A folder as a store: atomic by rename, compare-and-swap under a lock on the folder."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat as st
import uuid
from pathlib import Path
from typing import IO, TYPE_CHECKING

from indexer.core.errors import BadConfig, Conflict, Denied, IndexerError, Missing, OneUnavailable, RangeRefused
from indexer.core.model import ETag, Stat
from indexer.core.names import extension_of
from indexer.core.printable import one_line
from indexer.core.stream import chunks_of
from indexer.core.usage import Usage
from indexer.store import WHOLE, Expect, Opened
from indexer.store.folder import Folder, opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from indexer.core.stream import Content
    from indexer.store import Part, Range


_log = logging.getLogger(__name__)

_MS = 1_000_000
_LARGE = 64 * 2**20
_OUTSIDE = ("lies behind a link that leaves the channel", "make it a folder of the channel")
# What opening a folder that has become a link says: it is not followed.
_BECAME_LINK = {errno.ELOOP, errno.ENOTDIR, errno.EMLINK}
# What a look-up says of a file that is not there; a link in a circle leads to none.
_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


class FolderReader:
    """The body of a file."""

    def __init__(self, file: IO[bytes], opened: Opened, length: int, usage: Usage) -> None:
        self.opened = opened
        self._file = file
        self._left = length
        self._usage = usage

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, none at the end."""
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._file.read(wanted)
        if len(data) < wanted:
            raise Conflict(self.opened.stat.key, "became shorter while it was read")
        self._left -= len(data)
        self._usage.read(len(data))
        return data

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> FolderReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_STEP = "check the name; for a new channel, make the folder and use `indexer fs --create`"


class FolderStore:
    """A channel in a folder.  A version is the times of the last change of content and of the file, size and inode."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise BadConfig(str(root), "is not a folder", _STEP)
        self.usage = Usage()
        self._root = root.resolve()

    def list(self, prefix: str, *, part: Part = WHOLE) -> Iterator[Stat]:
        """The files and folders directly under a prefix."""
        if part != WHOLE:
            raise RangeRefused(prefix, "a folder is always looked through as a whole")
        self.usage.asked("LIST")
        inside = self._inside(self._root / prefix)
        if inside is None:
            return
        try:
            with opened(self._root, inside) as folder, os.scandir(_scanned(folder, self._root / inside)) as entries:
                for entry in entries:
                    if found := self._listed(prefix, entry):
                        yield found
        except FileNotFoundError:
            return
        except OSError as error:
            raise _translated(prefix or str(self._root), error) from error

    def _listed(self, prefix: str, entry: os.DirEntry[str]) -> Stat | None:
        if not _is_text(entry.name):
            _log.warning("%s%r: the name is not UTF-8, left alone", prefix, entry.name)
            return None
        try:
            if entry.is_symlink() and self._inside(self._root / prefix / entry.name) is None:
                if extension_of(entry.name) or entry.is_dir():
                    name = one_line(prefix + entry.name)
                    _log.warning("%s: is a link that leaves the channel, so it is not indexed", name)
                return None
            if entry.is_dir():
                return Stat(f"{prefix}{entry.name}/", 0, ETag(""), 0)
            status = entry.stat()
        except OSError as error:  # gone since the folder was opened, or a link to nothing
            if error.errno in _NOT_THERE:
                return None
            raise
        # Neither FIFOs nor sockets nor devices: reading one could wait for ever.
        return _stat_of(prefix + entry.name, status) if st.S_ISREG(status.st_mode) else None

    def _inside(self, path: Path) -> Path | None:
        """The real path from the channel's folder on, None for what lies outside."""
        # Not Path.resolve, which raises where links go in a circle.
        real = Path(os.path.realpath(path))
        return real.relative_to(self._root) if real.is_relative_to(self._root) else None

    @contextlib.contextmanager
    def _place(self, key: str, *, create: bool = False) -> Iterator[tuple[Folder, str]]:
        """The folder of a file of ours, which must be inside the channel, and its name there.  Raises Denied."""
        path = self._root / key
        inside = self._inside(path.parent)
        if inside is None:
            raise Denied(key, *_OUTSIDE)
        try:
            with opened(self._root, inside, create=create) as folder:
                yield folder, path.name
        except OSError as error:
            if error.errno in _BECAME_LINK:
                raise Denied(key, *_OUTSIDE) from error
            raise

    def stat(self, key: str, *, checksum: bool = False) -> Stat | None:
        """One file, None where it is absent."""
        del checksum  # a folder vouches for nothing
        self.usage.asked("HEAD")
        return self._peek(key)

    def _peek(self, key: str) -> Stat | None:
        try:
            status = (self._root / key).stat()
            if not st.S_ISREG(status.st_mode) or self._inside(self._root / key) is None:
                return None
            return _stat_of(key, status)
        except OSError as error:
            if error.errno in _NOT_THERE:
                return None
            raise _translated(key, error) from error

    def open(self, key: str, *, range: Range | None = None, etag: ETag | None = None) -> FolderReader:
        """Read a file, or a part of it."""
        self.usage.asked("GET")
        inside = self._inside(self._root / key)
        if inside is None:
            raise Missing(key, "is a link that leaves the channel")
        try:
            with opened(self._root, inside.parent) as folder:
                # Not blocking, so that a FIFO put in a file's place cannot hold us up.
                descriptor = folder.open(inside.name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        except OSError as error:
            if error.errno in _NOT_THERE:
                raise Missing(key, "is not there any more") from error
            raise _translated(key, error) from error
        try:
            found = _readable(descriptor, key, etag)
            file = os.fdopen(descriptor, "rb")
        except BaseException:
            os.close(descriptor)
            raise
        start, stop, _ = slice(*(range or (0, None))).indices(found.size)
        file.seek(start)
        return FolderReader(file, Opened(found, start), max(0, stop - start), self.usage)

    def put(self, key: str, body: Content, *, expect: Expect | ETag, headers: Mapping[str, str] | None = None) -> ETag:
        """Write a file whole: beside its place, to the disk, then into place."""
        del headers  # a folder has none
        self.usage.asked("PUT")
        try:
            with self._place(key, create=True) as (folder, name):
                scratch = f".{name}.{uuid.uuid4().hex}.tmp"
                try:
                    with os.fdopen(folder.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
                        for piece in chunks_of(body):
                            file.write(piece)
                        file.flush()
                        os.fsync(file.fileno())
                    with folder.locked():
                        etag = self._put_in_place(folder, scratch, key, expect)
                finally:
                    folder.remove(scratch)
        except OSError as error:
            raise _translated(key, error) from error
        self.usage.wrote(len(body))
        return etag

    def _put_in_place(self, folder: Folder, scratch: str, key: str, expect: Expect | ETag) -> ETag:
        name = key.rpartition("/")[2]
        before = self._expected(key, expect)
        if before is not None:
            # Inodes are used again and clocks are coarse: a later version must never look like an
            # earlier one, so time goes up with each of our writes.
            status = folder.stat(scratch)
            newest = max(status.st_mtime_ns, folder.stat(name).st_mtime_ns + 1)
            folder.set_time(scratch, (status.st_atime_ns, newest))
        folder.replace(name, scratch)
        return _stat_of(key, folder.stat(name)).etag  # a rename sets the time of the last change of the file

    def delete(self, key: str, *, expect: Expect | ETag) -> None:
        """Delete a file."""
        self.usage.asked("DELETE")
        try:
            with self._place(key) as (folder, name), folder.locked():
                if self._peek(key) is not None:
                    self._expected(key, expect)
                    folder.remove(name)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise _translated(key, error) from error

    def _expected(self, key: str, expect: Expect | ETag) -> Stat | None:
        """What is in the place of a file of ours.  Raises Conflict if it is not what is expected."""
        found = self._peek(key)
        if expect is not Expect.ANYTHING and (found.etag if found else Expect.ABSENT) != expect:
            raise Conflict(key, "changed since it was looked at")
        return found


def _scanned(folder: Folder, path: Path) -> int | Path:
    return path if folder.descriptor is None else folder.descriptor


def _readable(descriptor: int, key: str, etag: ETag | None) -> Stat:
    """What an open file is, which must be the one that is wanted.  Raises Missing, Conflict and Denied."""
    status = os.fstat(descriptor)
    found = _stat_of(key, status)
    if etag is None and not st.S_ISREG(status.st_mode):
        raise Missing(key, "is no file")
    if not st.S_ISREG(status.st_mode) or (etag is not None and found.etag != etag):
        raise Conflict(key, "changed since it was looked at")
    if _has_hole(descriptor, found.size):
        raise Denied(key, "is a file with holes, so not written whole", "put it there again")
    return found


def _has_hole(descriptor: int, size: int) -> bool:
    """Whether a large file is sparse: a terabyte of nothing takes no disk, and an hour to hash."""
    if size < _LARGE or not hasattr(os, "SEEK_HOLE"):
        return False
    try:
        hole = os.lseek(descriptor, 0, os.SEEK_HOLE)
    except OSError:  # a file system that does not know
        return False
    os.lseek(descriptor, 0, os.SEEK_SET)
    return hole < size


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes that are no UTF-8, as Python shows them
        return False
    return True


def _stat_of(key: str, status: os.stat_result) -> Stat:
    # A copy that keeps the times (`cp -p`, `rsync -t`) changes the time of the file, which nobody can set.
    etag = ETag(f"{status.st_mtime_ns}-{status.st_ctime_ns}-{status.st_size}-{status.st_ino}")
    arrived = max(status.st_mtime_ns, status.st_ctime_ns)
    return Stat(key, status.st_size, etag, arrived // _MS, mtime_ms=status.st_mtime_ns // _MS)


def _translated(key: str, error: OSError) -> IndexerError:
    if isinstance(error, PermissionError):
        return Denied(key, error.strerror or str(error), "let this user read and write the channel's folder")
    return OneUnavailable(key, error.strerror or str(error), "look after the disk, then repeat")
