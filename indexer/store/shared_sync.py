"""One sync of a folder for all threads that wait for one: a sync writes all earlier changes of names to the disk."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class SharedSync:
    """The syncs of one folder, one after the other, each with a number."""

    def __init__(self) -> None:
        self._syncing = threading.Lock()
        self._begun = self._ended = 0

    def next(self) -> int:
        """The number of the first sync that begins after this call."""
        return self._begun + 1

    def wait_for(self, number: int, sync: Callable[[], None]) -> None:
        """Return when the sync with this number, or a later one, has ended: a sync of another thread, or `sync`."""
        with self._syncing:
            if self._ended < number:
                self._begun += 1
                sync()
                self._ended = self._begun


class Syncs:
    """The `SharedSync` of each folder of a channel."""

    def __init__(self) -> None:
        self._by_folder: dict[Path, SharedSync] = {}

    def of(self, folder: Path) -> SharedSync:
        """The `SharedSync` of a folder."""
        return self._by_folder.setdefault(folder, SharedSync())
