"""Deletes shards that no index names any more, so that no indexer beside it ends with one missing (docs/design.md)."""

from __future__ import annotations

import contextlib
import logging
import re
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from indexer.core import names
from indexer.core.errors import Conflict, GaveUp, IndexerError, Missing
from indexer.core.formats import shards
from indexer.core.json_stream import dump
from indexer.core.model import ETag, Outputs, Stat
from indexer.core.report import Collected, SubdirCollected
from indexer.lister.subdirs import chosen
from indexer.store import Expect
from indexer.store.concurrent import Limits, bounded
from indexer.store.read import read_whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from indexer.commands.context import Context
    from indexer.core.formats.shards import ShardIndex
    from indexer.store import Store

_log = logging.getLogger(__name__)

# What is deleted between two looks at the index, and held in memory until the second.
_BATCH = 100
_BATCH_BYTES = 64 * 2**20
_BOUNDS: Limits[Stat] = Limits(32, _BATCH_BYTES, lambda stat: stat.size)
# A gc says with every batch that it is alive: one that was silent for so long has died.
_DEAD_AFTER_MS = 3_600_000
# The second is conda-index's, of the records before they were patched.
_INDEXES = (names.SHARD_INDEX, "repodata_shards_from_packages.msgpack.zst")
# What a folder's store writes before it renames it, left by a process that was killed (store/fs.py).
_SCRATCH = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{32}\.tmp")
_OURS = frozenset({*names.OWNED, names.STATE_FILE, names.GC_MARKER})
_HEADERS = {"Cache-Control": Outputs().shard_cache_control, "Content-Type": "application/zstd"}


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a gc is asked to do: how old must be what goes, and whether it goes or is only named.

    `scratch` says whether to look for files that a killed process was writing, as there are in folders.
    """

    older_than_ms: int = 7 * 86_400_000
    delete: bool = False
    scratch: bool = False
    subdirs: tuple[str, ...] = ()


def collect(store: Store, sweep: Sweep, context: Context) -> Collected:
    """Find, and delete if asked to, what no index names, in every subdir or in those named.

    What concerns one subdir stands in its report; raises what concerns the whole channel.
    """
    began = context.clock.monotonic()
    found: dict[str, SubdirCollected] = {}
    for subdir in chosen(store, sweep.subdirs, context.channel, must_exist=True):
        found[subdir] = SubdirCollected()
        try:
            _Collector(store, subdir, sweep, context, found[subdir]).collect()
        except IndexerError as error:
            _log.debug("%s failed", subdir, exc_info=True)
            found[subdir].error = str(error)
            found[subdir].exit_code = error.exit_code
    return Collected(found, context.clock.monotonic() - began, store.usage, deleted=sweep.delete)


@dataclass
class _Note:
    """The note that a gc is at work, which is a lock too: put again with each batch, under its own version.

    As long as it lies there runs believe in no shard that they have not seen.
    """

    store: Store
    key: str
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    etag: ETag | None = None

    def take_over(self) -> None:
        """Make the note of a gc that has died our own.  Raises GaveUp where it may be alive."""
        found = self.store.stat(self.key)
        if found is not None and self._store_ms() - found.modified_ms < _DEAD_AFTER_MS:
            raise GaveUp(self.key, "another gc is at work, or has just died", "repeat when it has ended, or in an hour")
        self.etag = found.etag if found else None

    def _store_ms(self) -> int:
        """The time by the store's clock, since ours may be wrong: an object of ours is put, looked at and deleted."""
        self.store.put(names.PROBE, b"", expect=Expect.ANYTHING)
        found = self.store.stat(names.PROBE)
        self.store.delete(names.PROBE, expect=Expect.ANYTHING)
        return found.modified_ms if found else 0

    def renew(self) -> int:
        """Say that we are alive, and return the store's time.  Raises GaveUp where the note is another's."""
        body = bytes(dump({"gc": self.token}))
        try:
            self.etag = self.store.put(self.key, body, expect=self.etag or Expect.ABSENT)
            found = self.store.stat(self.key)
        except Conflict as error:
            raise GaveUp(self.key, "another gc has begun", "repeat when it has ended") from error
        return found.modified_ms if found else 0

    def delete(self) -> None:
        """Take the note away, if it is ours."""
        if self.etag is not None:
            with contextlib.suppress(Conflict):
                self.store.delete(self.key, expect=self.etag)


@dataclass(frozen=True, slots=True)
class _Collector:
    """A gc at work on one subdir; `done` is what it reports."""

    store: Store
    subdir: str
    sweep: Sweep
    context: Context
    done: SubdirCollected

    def collect(self) -> None:
        """Batch by batch.  The note goes only where every shard that is named is there, else the next run looks."""
        now_ms = self.context.clock.now_ms()
        indexes = self._indexes()
        named = {digest for index in indexes for digest in index.shards.values()}
        here = {digest for index in indexes for digest in index.own_digests}
        unseen = set(here)
        note = _Note(self.store, self._key(names.GC_MARKER))
        if self.sweep.delete:
            note.take_over()
        for batch in _batches(self._old(now_ms, unseen)):
            orphans = [stat for stat in batch if _digest(stat) not in named]
            if self.sweep.delete and orphans:
                self._delete(orphans, note.renew())
            else:
                self._count(orphans)
        for stat in self._scratch(now_ms):
            if self.sweep.delete:
                self.store.delete(stat.key, expect=stat.etag)
            self._count([stat])
        self._look_for({digest for index in self._indexes() for digest in index.own_digests} - (here - unseen))
        if not self.done.missing:
            note.delete()
        elif self.sweep.delete:
            note.renew()

    def _look_for(self, digests: set[bytes]) -> None:
        """Note which shards are named and not there."""
        keys = sorted(map(self._shard, digests))
        found = self.context.executor.map(self.store.stat, keys)
        self.done.missing += [key for key, stat in zip(keys, found, strict=True) if stat is None]

    def _key(self, name: str) -> str:
        return f"{self.subdir}/{name}"

    def _shard(self, digest: bytes) -> str:
        return self._key(names.SHARDS_FOLDER + shards.filename_of(digest))

    def _count(self, stats: list[Stat]) -> None:
        for stat in stats:
            self.done.orphans.append(stat.key)
            self.done.bytes += stat.size

    def _indexes(self) -> list[ShardIndex]:
        """The indexes that name shards now.  Raises BadIndex."""
        found = []
        for name in _INDEXES:
            with contextlib.suppress(Missing):
                data, _ = read_whole(self.store, self._key(name))
                found.append(shards.decode_index(data, self._key(name)))
        return found

    def _named(self) -> set[bytes]:
        """The shards that an index names now, wherever it says that they lie."""
        return {digest for index in self._indexes() for digest in index.shards.values()}

    def _old(self, now_ms: int, unseen: set[bytes]) -> Iterator[Stat]:
        """The shards that are old enough to go; those that are there leave `unseen`."""
        for stat in self.store.list(self._key(names.SHARDS_FOLDER)):
            digest = _digest(stat)
            if digest is not None:
                unseen.discard(digest)
                if now_ms - stat.written_ms >= self.sweep.older_than_ms and stat.size <= _BATCH_BYTES:
                    yield stat

    def _scratch(self, now_ms: int) -> Iterator[Stat]:
        for folder in ("", names.SHARDS_FOLDER) if self.sweep.scratch else ():
            for stat in self.store.list(self._key(folder)):
                match = _SCRATCH.fullmatch(stat.key.rpartition("/")[2])
                ours = match and (match["name"] in _OURS or shards.digest_of_filename(match["name"]))
                if ours and now_ms - stat.written_ms >= self.sweep.older_than_ms:
                    yield stat

    def _delete(self, batch: list[Stat], now_ms: int) -> None:
        """Delete those of a batch that no index names, and put back what one has come to name meanwhile."""
        named = self._named()
        held: dict[bytes, bytes] = {}

        def take(stat: Stat) -> None:
            digest = _digest(stat)
            with contextlib.suppress(Conflict):  # gone, or put again, so young
                data, found = read_whole(self.store, stat.key)
                if digest is None or now_ms - found.written_ms < self.sweep.older_than_ms:
                    return
                held[digest] = data
                self.store.delete(stat.key, expect=found.etag)
                self._count([stat])

        try:
            orphans = [stat for stat in batch if _digest(stat) not in named]
            for _ in bounded(self.context.executor, take, orphans, _BOUNDS):
                pass
        finally:
            for digest in held.keys() & self._named():
                self.store.put(self._shard(digest), held[digest], expect=Expect.ANYTHING, headers=_HEADERS)
                self.done.restored.append(self._shard(digest))


def _digest(stat: Stat) -> bytes | None:
    return shards.digest_of_filename(stat.key.rpartition("/")[2])


def _batches(stats: Iterator[Stat]) -> Iterator[list[Stat]]:
    """Bounded in number and in bytes."""
    batch: list[Stat] = []
    size = 0
    for stat in stats:
        if batch and (len(batch) == _BATCH or size + stat.size > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(stat)
        size += stat.size
    if batch:
        yield batch
