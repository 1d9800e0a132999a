"""Deletes unused shard files, safely beside indexers that run at the same time (docs/design/upkeep.md)."""

from __future__ import annotations

import contextlib
import logging
import re
import uuid
from typing import TYPE_CHECKING

from msgspec import field

from indexer.core import names
from indexer.core.attestations import package_of_sidecar
from indexer.core.errors import Conflict, GaveUp, IndexerError, Missing
from indexer.core.exit_codes import ExitCode
from indexer.core.formats import shards
from indexer.core.gc_report import GcReport, SubdirGc
from indexer.core.json_form import dump
from indexer.core.model import ETag, Outputs, Stat
from indexer.core.named_snapshot import prefix_of
from indexer.core.value import Mutable, Value
from indexer.lister.named_snapshots import ShardsInSnapshots, snapshot_names
from indexer.lister.subdirs import chosen
from indexer.store import Expect
from indexer.store.concurrent import Limits, bounded, in_lists
from indexer.store.read import read_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from indexer.commands.context import Context
    from indexer.core.formats.shards import ShardIndex
    from indexer.store import Store

_log = logging.getLogger(__name__)

# The shards that are deleted between two reads of the index, and held in memory until the second.
_BATCH = 100
_BATCH_BYTES = 64 * 2**20
_BOUNDS: Limits[Stat] = Limits(32, _BATCH_BYTES, lambda stat: stat.size)
# A gc renews its note with every batch: a gc whose note is older than this has died.
_DEAD_AFTER_MS = 3_600_000
# conda-index writes the second one, of the records before they are patched.
_INDEXES = (names.SHARD_INDEX, "repodata_shards_from_packages.msgpack.zst")
# A temporary file of the folder store, left by a process that was killed (store/fs.py).
_TEMPORARY = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{32}\.tmp")
_OURS = frozenset({*names.OWNED, names.STATE_FILE, names.GC_MARKER, names.SNAPSHOT_CONTENTS, names.SNAPSHOT_MARKER})
_HEADERS = {"Cache-Control": Outputs().shard_cache_control, "Content-Type": "application/zstd"}


class GcRequest(Value, frozen=True):
    """The options of a gc.

    Unused shards that are older than `older_than_ms` are listed, and with `delete` they are deleted.  With
    `temporary_files` the gc also looks for files that a killed process was writing, as there are in folders.
    """

    older_than_ms: int = 7 * 86_400_000
    delete: bool = False
    temporary_files: bool = False
    subdirs: tuple[str, ...] = ()


def collect(store: Store, request: GcRequest, context: Context) -> GcReport:
    """List, and delete if requested, the unused shards of all subdirs, or of the subdirs in the request.

    An error of one subdir is in its report; raises an error that concerns the whole channel.
    """
    began = context.clock.monotonic()
    subdirs = chosen(store, request.subdirs, context.channel, must_exist=True)
    reports = {subdir: _collect_subdir(store, subdir, request, context) for subdir in subdirs}
    return GcReport(reports, request.delete, seconds=context.clock.monotonic() - began, usage=store.usage)


def _collect_subdir(store: Store, subdir: str, request: GcRequest, context: Context) -> SubdirGc:
    """The report on one subdir; after an error it has the files that were collected before the error."""
    tally = _Tally()
    try:
        _Collector(store, subdir, request, context, tally, ShardsInSnapshots(store, subdir, context.executor)).collect()
    except IndexerError as error:
        _log.debug("%s failed", subdir, exc_info=True)
        return tally.report(str(error), error.exit_code)
    return tally.report()


class _Tally(Mutable):
    """The result of a gc so far; `seen` has the digests of shards that the listing has shown."""

    unused: list[str] = field(default_factory=list)
    size: int = 0
    restored: list[str] = field(default_factory=list)
    missing_shards: list[str] = field(default_factory=list)
    seen: set[bytes] = field(default_factory=set)

    def count(self, stats: Iterable[Stat]) -> None:
        """Count unused files."""
        for stat in stats:
            self.unused.append(stat.key)
            self.size += stat.size

    def report(self, error: str | None = None, exit_code: ExitCode = ExitCode.OK) -> SubdirGc:
        """The result as a value."""
        unused, restored, missing = map(tuple, (sorted(self.unused), self.restored, self.missing_shards))
        return SubdirGc(unused, self.size, restored, missing, error, exit_code)


class _GcNote(Mutable):
    """The note that a gc is in progress.  It is a lock too: each batch writes it again, with its own ETag as condition.

    While the note exists, runs trust no shard that they have not seen.
    """

    store: Store
    key: str
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    etag: ETag | None = None

    def take_over(self) -> None:
        """Take over the note of a gc that has died.  Raises GaveUp if that gc may still be running."""
        stat = self.store.stat(self.key)
        if stat is not None and self._store_ms() - stat.modified_ms < _DEAD_AFTER_MS:
            raise GaveUp(
                self.key, "another gc is in progress, or has just died", "repeat when it has ended, or in an hour"
            )
        self.etag = stat.etag if stat else None

    def _store_ms(self) -> int:
        """The time by the store's clock, since ours may be wrong: a new object has this time; it is deleted again."""
        self.store.put(names.PROBE, b"", expect=Expect.ANYTHING)
        stat = self.store.stat(names.PROBE)
        self.store.delete(names.PROBE, expect=Expect.ANYTHING)
        return stat.modified_ms if stat else 0

    def renew(self) -> int:
        """Write the note, and return the store's time.  Raises GaveUp if another gc has written it."""
        body = bytes(dump({"gc": self.token}))
        try:
            self.etag = self.store.put(self.key, body, expect=self.etag or Expect.ABSENT)
            stat = self.store.stat(self.key)
        except Conflict as error:
            raise GaveUp(self.key, "another gc has started", "repeat when it has ended") from error
        return stat.modified_ms if stat else 0

    def delete(self) -> None:
        """Delete the note, if it is ours."""
        if self.etag is not None:
            with contextlib.suppress(Conflict):
                self.store.delete(self.key, expect=self.etag)


class _Collector(Value, frozen=True):
    """A gc of one subdir; it counts in `tally`.

    The shards of named snapshots `in_snapshots` are read after the note exists: a snapshot that is made later sees the
    note, and waits until it is gone (commands/named_snapshots.py).
    """

    store: Store
    subdir: str
    request: GcRequest
    context: Context
    tally: _Tally
    in_snapshots: ShardsInSnapshots

    def collect(self) -> None:
        """Collect batch by batch.  The note stays if a shard of the index is missing: then the next run looks."""
        now_ms = self.context.clock.now_ms()
        indexes = self._indexes()
        note = _GcNote(self.store, self._key(names.GC_MARKER))
        if self.request.delete:
            note.take_over()
        planned = ShardsInSnapshots(self.store, self.subdir, self.context.executor)
        self._collect_shards(now_ms, _referenced(indexes) | planned.digests(), note)
        self._collect_temporary_files(now_ms)
        known = _stored_here(indexes) & self.tally.seen
        self.tally.missing_shards += self._missing(_stored_here(self._indexes()) - known)
        if not self.tally.missing_shards:
            note.delete()
        elif self.request.delete:
            note.renew()

    def _collect_shards(self, now_ms: int, referenced: set[bytes], note: _GcNote) -> None:
        for batch in in_lists(self._old_shards(now_ms), _BATCH, _BATCH_BYTES):
            unused = [stat for stat in batch if _digest(stat) not in referenced]
            if self.request.delete and unused:
                self._delete(unused, note.renew())
            else:
                self.tally.count(unused)

    def _collect_temporary_files(self, now_ms: int) -> None:
        for prefix in self._written_folders() if self.request.temporary_files else ():
            for stat in self.store.list(prefix):
                if _is_temporary(stat) and self._is_old(stat, now_ms):
                    if self.request.delete:
                        self.store.delete(stat.key, expect=stat.etag)
                    self.tally.count([stat])

    def _written_folders(self) -> list[str]:
        """The folders of the subdir that a process may have been writing; those of snapshots go with noarch."""
        frozen = [prefix_of(name) for name in snapshot_names(self.store)]
        folders = [self._key(""), self._key(names.SHARDS_FOLDER), *(f"{prefix}{self.subdir}/" for prefix in frozen)]
        return folders + (frozen if self.subdir == names.NOARCH else [])

    def _missing(self, digests: set[bytes]) -> list[str]:
        """The keys of those shards that do not exist."""
        keys = sorted(map(self._shard_key, digests))
        stats = self.context.executor.map(self.store.stat, keys)
        return [key for key, stat in zip(keys, stats, strict=True) if stat is None]

    def _key(self, name: str) -> str:
        return f"{self.subdir}/{name}"

    def _shard_key(self, digest: bytes) -> str:
        return self._key(names.SHARDS_FOLDER + shards.filename_of(digest))

    def _indexes(self) -> list[ShardIndex]:
        """The shard indexes as they are published now.  Raises BadIndex."""
        indexes = []
        for name in _INDEXES:
            with contextlib.suppress(Missing):
                data, _ = read_whole(self.store, self._key(name))
                indexes.append(shards.decode_index(data, self._key(name)))
        return indexes

    def _referenced_now(self) -> set[bytes]:
        """The digests of all shards that the published indexes and the named snapshots name now.  Raises BadIndex."""
        return _referenced(self._indexes()) | self.in_snapshots.digests()

    def _is_old(self, stat: Stat, now_ms: int) -> bool:
        return now_ms - stat.written_ms >= self.request.older_than_ms

    def _old_shards(self, now_ms: int) -> Iterator[Stat]:
        for stat in self.store.list(self._key(names.SHARDS_FOLDER)):
            digest = _digest(stat)
            if digest is not None:
                self.tally.seen.add(digest)
                if self._is_old(stat, now_ms) and stat.size <= _BATCH_BYTES:
                    yield stat

    def _delete(self, batch: list[Stat], now_ms: int) -> None:
        """Delete the unused shards of a batch, and write again those that an index references meanwhile."""
        referenced = self._referenced_now()
        deleted: dict[bytes, bytes] = {}

        def delete(stat: Stat) -> None:
            digest = _digest(stat)
            with contextlib.suppress(Conflict):  # another program deleted it, or written again and so not old
                data, current = read_whole(self.store, stat.key)
                if digest is None or not self._is_old(current, now_ms):
                    return
                deleted[digest] = data
                self.store.delete(stat.key, expect=current.etag)
                self.tally.count([stat])

        try:
            unused = [stat for stat in batch if _digest(stat) not in referenced]
            for _ in bounded(self.context.executor, delete, unused, _BOUNDS):
                pass
        finally:
            for digest in deleted.keys() & self._referenced_now():
                self.store.put(self._shard_key(digest), deleted[digest], expect=Expect.ANYTHING, headers=_HEADERS)
                self.tally.restored.append(self._shard_key(digest))


def _referenced(indexes: list[ShardIndex]) -> set[bytes]:
    """The digests of all shards in the indexes, at any base URL."""
    return {digest for index in indexes for digest in index.shards.values()}


def _stored_here(indexes: list[ShardIndex]) -> set[bytes]:
    """The digests of the shards that the indexes place in the subdir's own folder of shards."""
    return {digest for index in indexes for digest in index.own_digests}


def _digest(stat: Stat) -> bytes | None:
    return shards.digest_of_filename(stat.key.rpartition("/")[2])


def _is_temporary(stat: Stat) -> bool:
    """Whether a file is a temporary one that an indexer or a publisher was writing."""
    match = _TEMPORARY.fullmatch(stat.key.rpartition("/")[2])
    if match is None:
        return False
    name = match["name"]
    is_shard = shards.digest_of_filename(name) is not None
    return name in _OURS or is_shard or bool(names.parse_filename(name) or package_of_sidecar(name))
