"""A folder inside of a channel, held open: it stays the same folder whatever somebody puts in the place of its name."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: renames are atomic there too, two indexers at once are not guarded
    fcntl = None  # type: ignore[assignment]  # the module or nothing

# Windows opens no folders; there, names are followed at the time of each call.
_DESCRIPTORS = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)


class Folder:
    """A folder by its descriptor, None where there are none.  Raises OSError; ELOOP or ENOTDIR where a link is met."""

    def __init__(self, path: Path, descriptor: int | None) -> None:
        self.descriptor = descriptor
        self._path = path

    def _at(self, name: str) -> str:
        return name if self.descriptor is not None else str(self._path / name)

    def open(self, name: str, flags: int) -> int:
        """Open a file in it, never through a link.  A new one has the mode that the umask gives, for other readers."""
        return os.open(self._at(name), flags | _NO_FOLLOW, 0o666, dir_fd=self.descriptor)

    def stat(self, name: str) -> os.stat_result:
        """What there is of a file in it."""
        return os.stat(self._at(name), dir_fd=self.descriptor)

    def set_time(self, name: str, ns: tuple[int, int]) -> None:
        """Set the times of a file in it: last access, last change of the content (nanoseconds)."""
        os.utime(self._at(name), ns=ns, dir_fd=self.descriptor)

    def replace(self, name: str, by: str) -> None:
        """Give a file in it the name of another one, which is gone then."""
        os.replace(self._at(by), self._at(name), src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def remove(self, name: str) -> None:
        """Delete a file in it; one that is not there is fine."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._at(name), dir_fd=self.descriptor)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder's own lock: it leaves no file behind, and a process that dies gives it back."""
        if self.descriptor is None:
            yield
            return
        fcntl.flock(self.descriptor, fcntl.LOCK_EX)
        try:
            yield
            with contextlib.suppress(OSError):  # some file systems cannot sync a folder
                os.fsync(self.descriptor)
        finally:
            fcntl.flock(self.descriptor, fcntl.LOCK_UN)


@contextlib.contextmanager
def opened(root: Path, inside: Path, *, create: bool = False) -> Iterator[Folder]:
    """A folder below `root` for as long as a block; `inside` is its real path from there, in which no part is a link.

    Each part is opened in the one before, so a part that has become a link meanwhile is an error, not a way out.
    With `create` what is missing is made.  Raises OSError.
    """
    if not _DESCRIPTORS:
        if create:
            (root / inside).mkdir(parents=True, exist_ok=True)
        yield Folder(root / inside, None)
        return
    descriptor = os.open(root, _FOLDER)
    try:
        for part in inside.parts:
            below = _below(descriptor, part, create=create)
            os.close(descriptor)
            descriptor = below
        yield Folder(root / inside, descriptor)
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
