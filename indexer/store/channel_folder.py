"""A folder of a channel in a store: one of its subdirs, or its root."""

from __future__ import annotations

import contextlib
from concurrent.futures import wait
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import field
from msgspec.structs import replace

from indexer.core.progress import silent
from indexer.core.value import Value
from indexer.store import RandomReader
from indexer.store.read import ResumingReader, read_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from concurrent.futures import Executor, Future

    from indexer.core.model import ETag, Stat
    from indexer.core.progress import Step
    from indexer.store import Store


class ChannelFolder(Value, frozen=True, dict=True):
    """A folder of a channel, with an executor for requests that do not wait for each other.

    `name` is the subdir, or the empty text for the root of the channel.  `progress` is called with each step of a
    phase of the work in the folder.
    """

    store: Store
    name: str
    executor: Executor
    progress: Callable[[Step], None] = silent
    _requested: dict[tuple[str, ETag], Future[bytes]] = field(default_factory=dict)
    _kept_open: contextlib.ExitStack | None = None

    @cached_property
    def prefix(self) -> str:
        """The prefix of the keys of all files in the folder."""
        return f"{self.name}/" if self.name else ""

    def read(self, filename: str, etag: ETag) -> bytes:
        """One version of a file.  Raises Conflict if the file has another ETag, Missing if it is gone."""
        requested = self._requested.pop((filename, etag), None)
        if requested is not None:
            return requested.result()
        return read_whole(self.store, self.prefix + filename, etag)[0]

    def ranges(self, filename: str, etag: ETag) -> tuple[Callable[[int, int], bytes], int]:
        """A function that returns the bytes of a file from one position to before another, and the size of the file.

        It returns those of this version even if the file was replaced in the meantime.  Inside of `requesting` a file
        of a folder stays open until that ends; any other file is in memory.  Raises the errors of `read`.
        """
        requested = self._requested.pop((filename, etag), None)
        if requested is not None:
            data = requested.result()
        else:
            reader = self.store.open(self.prefix + filename, etag=etag)
            if isinstance(reader, RandomReader) and self._kept_open is not None:
                self._kept_open.enter_context(reader)
                return reader.range, reader.opened.stat.size
            with ResumingReader(self.store, reader.opened.stat, reader) as resuming:
                data = resuming.rest()
        return lambda start, stop: data[start:stop], len(data)

    @contextlib.contextmanager
    def requesting(self, files: Mapping[str, ETag]) -> Iterator[ChannelFolder]:
        """The folder; it requests these files now, all at the same time, and `read` returns their content later."""
        requested = {file: self.executor.submit(self.read, *file) for file in files.items()}
        try:
            with contextlib.ExitStack() as kept_open:
                yield replace(self, _requested=requested, _kept_open=kept_open)
        finally:  # what is left was not needed
            for future in requested.values():
                future.cancel()
            wait(requested.values())

    def stats(self, filenames: Iterable[str]) -> dict[str, Stat]:
        """The files among `filenames` that exist, by file name; one request each, many at the same time."""
        wanted = list(filenames)
        found = self.executor.map(self.store.stat, [self.prefix + name for name in wanted])
        return {name: replace(stat, key=name) for name, stat in zip(wanted, found, strict=True) if stat}
