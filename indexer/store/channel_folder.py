"""A folder of a channel in a store: one of its subdirs, or its root."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from indexer.store.read import read_whole

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Executor

    from indexer.core.model import ETag, Stat
    from indexer.store import Store


@dataclass(frozen=True)
class ChannelFolder:
    """A folder of a channel, with an executor for requests that do not wait for each other.

    `name` is the subdir, or the empty text for the root of the channel.
    """

    store: Store
    name: str
    executor: Executor

    @cached_property
    def prefix(self) -> str:
        """The prefix of the keys of all files in the folder."""
        return f"{self.name}/" if self.name else ""

    def read(self, filename: str, etag: ETag) -> bytes:
        """One version of a file.  Raises Conflict if the file has another ETag, Missing if it is gone."""
        return read_whole(self.store, self.prefix + filename, etag)[0]

    def stats(self, filenames: Iterable[str]) -> dict[str, Stat]:
        """The files among `filenames` that exist, by file name; one request each, many at the same time."""
        wanted = list(filenames)
        found = self.executor.map(self.store.stat, [self.prefix + name for name in wanted])
        return {name: msgspec.structs.replace(stat, key=name) for name, stat in zip(wanted, found, strict=True) if stat}
