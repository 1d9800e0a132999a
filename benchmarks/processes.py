"""What other processes take while something runs: the memory of a family of them together, the time of one.

`wait4` tells the peak of the largest process only. Here the resident memory of all is added up 20 times a second (pages
that they share count in each), as Linux shows it under /proc; elsewhere nothing is known.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROC = Path("/proc")
_INTERVAL_SECONDS = 0.05


class Watch:
    """The peak of what the grandchildren of this process take together, and their children."""

    def __init__(self, strangers: frozenset[int]) -> None:
        self._strangers = strangers
        self._stop = threading.Event()
        self._pages = 0

    @property
    def peak_mib(self) -> float:
        """The highest sum that was seen."""
        return self._pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def run(self) -> None:
        """Watch until told to stop."""
        while not self._stop.wait(_INTERVAL_SECONDS):
            self._pages = max(self._pages, sum(_pages(pid) for pid in self._family()))

    def stop(self) -> None:
        """Watch no longer."""
        self._stop.set()

    def _family(self) -> list[int]:
        """The grandchildren and below: a child is only what launches the measured one."""
        children: dict[int, list[int]] = {}
        for pid in _pids():
            if pid not in self._strangers and (fields := _fields(pid)):
                children.setdefault(int(fields[1]), []).append(pid)
        generation = [pid for child in children.get(os.getpid(), ()) for pid in children.get(child, ())]
        family: list[int] = []
        while generation:
            family += generation
            generation = [child for pid in generation for child in children.get(pid, ())]
        return family


@contextlib.contextmanager
def watching(strangers: frozenset[int]) -> Iterator[Watch]:
    """Watch what this process starts, but not the children among `strangers`."""
    watch = Watch(strangers)
    thread = threading.Thread(target=watch.run, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.stop()
        thread.join()


def cpu_seconds(pid: int) -> float:
    """What a running process has taken of the cores until now."""
    fields = _fields(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def _pids() -> list[int]:
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal()] if _PROC.is_dir() else []


def _fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the program's name, which may have blanks in it."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _pages(pid: int) -> int:
    try:
        return int((_PROC / str(pid) / "statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
