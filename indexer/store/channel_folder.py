"""A folder of a channel in a store: one of its subdirs, or its root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from indexer.store.read import read_whole

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Executor

    from indexer.core.model import ETag, Stat
    from indexer.store import Store


@dataclass(frozen=True, slots=True)
class ChannelFolder:
    """A folder of a channel, with an executor for requests that do not wait for each other.

    `name` is the subdir, or the empty text for the root of the channel.
    """

    store: Store
    name: str
    executor: Executor

    def key(self, filename: str) -> str:
        """The key of a file in the folder; the empty file name gives the prefix of the folder."""
        return f"{self.name}/{filename}" if self.name else filename

    def read(self, filename: str, etag: ETag) -> bytes:
        """One version of a file.  Raises Conflict if the file has another ETag, Missing if it is gone."""
        return read_whole(self.store, self.key(filename), etag)[0]

    def stats(self, filenames: Iterable[str]) -> dict[str, Stat]:
        """The files among `filenames` that exist, by file name; one request each, many at the same time."""
        wanted = list(filenames)
        found = self.executor.map(self.store.stat, map(self.key, wanted))
        return {name: msgspec.structs.replace(stat, key=name) for name, stat in zip(wanted, found, strict=True) if stat}
