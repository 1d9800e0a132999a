"""Reads, writes and deletes files in a folder that is held open: renaming it has no effect."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import stat as st
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.core.model import ETag
from indexer.store import Expect, holds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import BinaryIO

    from indexer.store.shared_sync import SharedSync, Syncs

try:
    import fcntl
except ImportError:  # Windows: renames are atomic there too, but two indexers at the same time are not guarded
    fcntl = None  # type: ignore[assignment]  # the module or nothing

FOLLOWS_NO_LINK = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
"""Whether a link on a path is an error here.  Windows cannot open folders: names are followed at each call."""
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)

# Bytes of one read.
_STEP = 2**20
# The errors of looking up a file that does not exist; links in a circle lead to none.
ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


class Changed(Exception):
    """A file is not the expected version, and was not written or deleted."""


def etag_of(status: os.stat_result) -> ETag:
    """The times of the last change of the content and of the file, the size, and the inode.

    A copy that keeps the times (`cp -p`, `rsync -t`) still gets a new change time (ctime): no program can set it.
    """
    return ETag(f"{status.st_mtime_ns}-{status.st_ctime_ns}-{status.st_size}-{status.st_ino}")


def open_file(root: Path, parts: Sequence[str]) -> int:
    """The descriptor of a file, opened for reading.  Raises OSError.

    `parts` are the names on the path from `root`, none of them a link, `.` or `..`.  If a part has become a link, or is
    one, OSError has ELOOP, ENOTDIR or EMLINK.
    """
    # Not blocking, so that a FIFO in the place of a file cannot hold us up.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _NO_FOLLOW
    if not FOLLOWS_NO_LINK:
        return os.open(root.joinpath(*parts), flags)
    # Without `_opened`, because a first run opens each package in this way.
    descriptor = os.open(root, _FOLDER)
    try:
        for part in parts[:-1]:
            below = os.open(part, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        return os.open(parts[-1], flags, dir_fd=descriptor)
    finally:
        os.close(descriptor)


def write_file(root: Path, inside: Path, fill: Callable[[BinaryIO], None], expect: Expect | ETag, syncs: Syncs) -> ETag:
    """Write a file and return its ETag: under another name, to the disk, then renamed.  Raises OSError and Changed.

    `fill` writes the content to the open file.

    Here and below, `inside` is the path from `root`, in which no part is a link.  The ETag of the file that is replaced
    is compared under the lock of the folder, right before the rename.
    """
    with _opened(root, inside.parent, create=True) as folder:
        name = inside.name
        scratch = f".{name}.{uuid.uuid4().hex}.tmp"
        if expect is Expect.NEW and folder.etag(name) is not None:  # before gigabytes are copied
            raise Changed
        renamed = False
        try:
            with os.fdopen(folder.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
            with folder.locked():
                etag = folder.etag(name)
                if not holds(expect, etag):
                    raise Changed
                if etag is not None:
                    folder.set_later(scratch, than=name)
                folder.replace(name, scratch)
                renamed = True
                written = etag_of(folder.stat(name))  # the rename has set the time of the last change of the file
            folder.sync(syncs.of(inside.parent))
            return written
        finally:
            if not renamed:
                folder.remove(scratch)


def copy_bytes(descriptor: int, target: int, size: int) -> None:
    """Copy `size` bytes from one open file to another, within the kernel if the file systems can do that.

    Both are used from the position where they are.  Raises OSError.  Fewer bytes are copied only if the file that is
    read has become shorter.
    """
    while size and (count := _copy_some(descriptor, target, size)):
        size -= count


def _copy_some(descriptor: int, target: int, size: int) -> int:
    if hasattr(os, "copy_file_range"):
        with contextlib.suppress(OSError):  # another file system, or one without this feature
            if copied := os.copy_file_range(descriptor, target, size):
                return copied
        # Some file systems copy nothing, and report no error.
    data = os.read(descriptor, min(size, _STEP))
    left = memoryview(data)
    while left:  # a disk that becomes full takes a part first
        left = left[os.write(target, left) :]
    return len(data)


def delete_file(root: Path, inside: Path, expect: Expect | ETag, syncs: Syncs) -> None:
    """Delete a file if it exists; its ETag is compared under the lock of the folder.  Raises OSError and Changed."""
    with _opened(root, inside.parent) as folder:
        with folder.locked():
            etag = folder.etag(inside.name)
            if etag is None:
                return
            if expect not in {Expect.ANYTHING, etag}:
                raise Changed
            folder.remove(inside.name)
        folder.sync(syncs.of(inside.parent))


@contextlib.contextmanager
def scanned(root: Path, inside: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
    """The entries of a folder, for as long as a block.  Raises OSError."""
    with _opened(root, inside) as folder, os.scandir(folder.to_scan) as entries:
        yield entries


class _Folder:
    """A folder by its descriptor, which is None on Windows.  Raises OSError."""

    def __init__(self, root: Path, inside: Path, descriptor: int | None) -> None:
        self._root, self._path, self._descriptor = root, root / inside, descriptor
        self.to_scan = self._path if descriptor is None else descriptor

    def _at(self, name: str) -> str:
        return name if self._descriptor is not None else str(self._path / name)

    def open(self, name: str, flags: int) -> int:
        """Open a file, never through a link.  The umask decides who else may read a new file."""
        return os.open(self._at(name), flags | _NO_FOLLOW, 0o666, dir_fd=self._descriptor)

    def stat(self, name: str) -> os.stat_result:
        """The status of a file."""
        return os.stat(self._at(name), dir_fd=self._descriptor)

    def etag(self, name: str) -> ETag | None:
        """The ETag of a file; None if there is none, or a link that leaves the channel."""
        try:
            status = self.stat(name)
        except OSError as error:
            if error.errno in ABSENT:
                return None
            raise
        is_inside = Path(os.path.realpath(self._path / name)).is_relative_to(self._root)
        return etag_of(status) if is_inside and st.S_ISREG(status.st_mode) else None

    def set_later(self, name: str, *, than: str) -> None:
        """Make the time of a file's last change later than that of another file.

        Inodes are used again and clocks are coarse.  So that a later ETag never equals an earlier one, the time goes up
        with each of our writes.
        """
        status = self.stat(name)
        newest = max(status.st_mtime_ns, self.stat(than).st_mtime_ns + 1)
        os.utime(self._at(name), ns=(status.st_atime_ns, newest), dir_fd=self._descriptor)

    def replace(self, name: str, by: str) -> None:
        """Rename the file `by` to `name`."""
        os.replace(self._at(by), self._at(name), src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def remove(self, name: str) -> None:
        """Delete a file if it exists."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._at(name), dir_fd=self._descriptor)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold a lock on the folder itself: no lock file is left behind, and the end of a process releases it."""
        if self._descriptor is None:
            yield
            return
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def sync(self, shared: SharedSync) -> None:
        """Return when all changes of names in the folder so far are on the disk."""
        if self._descriptor is None:
            return
        with contextlib.suppress(OSError):  # some file systems cannot sync a folder
            shared.wait_for(shared.next(), functools.partial(os.fsync, self._descriptor))


@contextlib.contextmanager
def _opened(root: Path, inside: Path, *, create: bool = False) -> Iterator[_Folder]:
    """A folder below `root` for as long as a block.

    Each part of the path is opened in the folder before it, so that a link that has replaced a part is an error.  With
    `create`, missing folders are made.
    """
    if not FOLLOWS_NO_LINK:
        if create:
            (root / inside).mkdir(parents=True, exist_ok=True)
        yield _Folder(root, inside, None)
        return
    descriptor = os.open(root, _FOLDER)
    try:
        for part in inside.parts:
            below = _below(descriptor, part, create=create)
            os.close(descriptor)
            descriptor = below
        yield _Folder(root, inside, descriptor)
    finally:
        os.close(descriptor)


def _below(descriptor: int, name: str, *, create: bool) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=descriptor)
    except FileNotFoundError:
        if not create:
            raise
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, dir_fd=descriptor)
    return os.open(name, _FOLDER, dir_fd=descriptor)
