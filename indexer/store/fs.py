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

from indexer.core.model import Stat, Version
from indexer.core.pieces import pieces_of
from indexer.errors import BadConfig, Conflict, Denied, IndexerError, Missing, RangeRefused, Unavailable
from indexer.store import WHOLE, Expect, Opened, Usage

try:
    import fcntl
except ImportError:  # Windows: renames are atomic there too, two indexers at once are not guarded
    fcntl = None  # type: ignore[assignment]  # the module or nothing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from indexer.core.pieces import Content
    from indexer.store import Part, Range


_log = logging.getLogger(__name__)

_LARGE = 64 * 2**20
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
        self._usage.bytes_read += len(data)
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


class FolderStore:
    """A channel in a folder.  A version is modification time, size and inode of a file."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise BadConfig(str(root), "is not a folder", "name the folder that holds the channel")
        self.usage = Usage()
        self._root = root.resolve()

    def list(self, prefix: str, *, part: Part = WHOLE) -> Iterator[Stat]:
        """The files and folders directly under a prefix."""
        if part != WHOLE:
            raise RangeRefused(prefix, "a folder is always looked through as a whole")
        self.usage.requests["LIST"] += 1
        folder = self._root / prefix
        if not self._inside(folder):
            return
        try:
            with os.scandir(folder) as entries:
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
            if entry.is_symlink() and not self._inside(Path(entry.path)):
                return None
            if entry.is_dir():
                return Stat(f"{prefix}{entry.name}/", 0, Version(""), 0)
            status = entry.stat()
        except OSError as error:  # gone since the folder was opened, or a link to nothing
            if error.errno in _NOT_THERE:
                return None
            raise
        # Neither FIFOs nor sockets nor devices: reading one could wait for ever.
        return _stat_of(prefix + entry.name, status) if st.S_ISREG(status.st_mode) else None

    def _own(self, key: str) -> Path:
        """Where a file of ours lies, which must be inside the channel.  Raises Denied."""
        path = self._root / key
        if not self._inside(path.parent):
            raise Denied(key, "lies behind a link that leaves the channel", "make it a folder of the channel")
        return path

    def _inside(self, path: Path) -> bool:
        # Not Path.resolve, which raises where links go in a circle.
        return Path(os.path.realpath(path)).is_relative_to(self._root)

    def stat(self, key: str, *, checksum: bool = False) -> Stat | None:
        """One file, None where it is absent."""
        del checksum  # a folder vouches for nothing
        self.usage.requests["HEAD"] += 1
        return self._peek(key)

    def _peek(self, key: str) -> Stat | None:
        path = self._root / key
        try:
            status = path.stat()
            if not st.S_ISREG(status.st_mode) or not self._inside(path):
                return None
            return _stat_of(key, status)
        except OSError as error:
            if error.errno in _NOT_THERE:
                return None
            raise _translated(key, error) from error

    def open(self, key: str, *, range: Range | None = None, version: Version | None = None) -> FolderReader:
        """Read a file, or a part of it."""
        self.usage.requests["GET"] += 1
        if not self._inside(self._root / key):
            raise Missing(key, "is a link that leaves the channel")
        try:
            # Not blocking, so that a FIFO put in a file's place cannot hold us up.
            file = os.fdopen(os.open(self._root / key, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb")
        except OSError as error:
            if error.errno in _NOT_THERE:
                raise Missing(key, "is not there any more") from error
            raise _translated(key, error) from error
        status = os.fstat(file.fileno())
        found = _stat_of(key, status)
        if _has_hole(file.fileno(), found.size):
            file.close()
            raise Denied(key, "is a file with holes, so not written whole", "put it there again")
        if version is None and not st.S_ISREG(status.st_mode):
            file.close()
            raise Missing(key, "is no file")
        if not st.S_ISREG(status.st_mode) or (version is not None and found.version != version):
            file.close()
            raise Conflict(key, "changed since it was looked at")
        start, stop, _ = slice(*(range or (0, None))).indices(found.size)
        file.seek(start)
        return FolderReader(file, Opened(found, start), max(0, stop - start), self.usage)

    def put(
        self, key: str, body: Content, *, expect: Expect | Version, headers: Mapping[str, str] | None = None
    ) -> Version:
        """Write a file whole: beside its place, to the disk, then into place."""
        del headers  # a folder has none
        self.usage.requests["PUT"] += 1
        path = self._own(key)
        scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with scratch.open("xb") as file:  # with the mode that the umask gives, for other readers
                    for piece in pieces_of(body):
                        file.write(piece)
                    file.flush()
                    os.fsync(file.fileno())
                with _locked(path.parent):
                    version = self._put_in_place(scratch, key, expect)
            finally:
                scratch.unlink(missing_ok=True)
        except OSError as error:
            raise _translated(key, error) from error
        self.usage.bytes_written += len(body)
        return version

    def _put_in_place(self, scratch: Path, key: str, expect: Expect | Version) -> Version:
        path = self._root / key
        before = self._expected(key, expect)
        if before is not None:
            # Inodes are used again and clocks are coarse: a later version must never look like an
            # earlier one, so time goes up with each of our writes.
            status = scratch.stat()
            newest = max(status.st_mtime_ns, path.stat().st_mtime_ns + 1)
            os.utime(scratch, ns=(status.st_atime_ns, newest))
        version = _stat_of(key, scratch.stat()).version
        scratch.replace(path)
        return version

    def delete(self, key: str, *, expect: Expect | Version) -> None:
        """Delete a file."""
        self.usage.requests["DELETE"] += 1
        path = self._own(key)
        try:
            with _locked(path.parent):
                if self._peek(key) is not None:
                    self._expected(key, expect)
                    path.unlink(missing_ok=True)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise _translated(key, error) from error

    def _expected(self, key: str, expect: Expect | Version) -> Stat | None:
        found = self._peek(key)
        version = found.version if found else Expect.ABSENT
        if expect is not Expect.ANYTHING and version != expect:
            raise Conflict(key, "changed since it was looked at")
        return found


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's own lock: it leaves no file behind, and a process that dies lets go of it."""
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        with contextlib.suppress(OSError):  # some file systems cannot sync a folder
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
    version = Version(f"{status.st_mtime_ns}-{status.st_size}-{status.st_ino}")
    mtime_ms = status.st_mtime_ns // 1_000_000
    return Stat(key, status.st_size, version, mtime_ms, mtime_ms=mtime_ms)


def _translated(key: str, error: OSError) -> IndexerError:
    if isinstance(error, PermissionError):
        return Denied(key, error.strerror or str(error), "let this user read and write the channel's folder")
    return Unavailable(key, error.strerror or str(error), "look after the disk, then repeat")
