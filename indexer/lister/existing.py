"""Looks at a subdir in the safe order: first which versions our files have, then which packages are there.

The reverse could drop a package that another indexer has published between the two (docs/design.md).
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import msgspec

from indexer.core import names, patch
from indexer.core.errors import BadIndex, Conflict, Missing, NewerIndex, Refused
from indexer.core.formats import repodata, shards
from indexer.core.formats.shards import ShardIndex
from indexer.core.json_stream import dump
from indexer.core.model import ETag, Index, Raw
from indexer.core.overlay import Overlay, WithdrawnPackages, decode_withdrawn
from indexer.core.pages import catalog
from indexer.core.snapshot import Snapshot, etags_in, etags_of, files_of, snapshot_of_listing
from indexer.core.state import State, decode_state
from indexer.lister.listing import listed as listed_in_parts
from indexer.lister.recovered_dates import redated, undated
from indexer.store.read import read_whole

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Executor

    from indexer.core.metadata import Metadata
    from indexer.core.model import Outputs, Stat
    from indexer.store import Store


_log = logging.getLogger(__name__)

_GONE = "nothing was changed: restore it, or run `indexer gc --yes` and repeat, which reads its packages again"
_RUN_EXPORTS_STEP = "nothing was changed: restore it, or repeat with --force, which reads all packages again"
_MAX_RUN_EXPORTS = 2**30
_ALL = "nothing was changed: index the whole subdir once, which reads its packages again"
_REBUILD = "nothing was changed: restore it, or delete it and repeat with --force"

# What a shard index says where the packages lie beside it; a repodata.json says nothing then.
_BESIDE = (None, "", ".", "./")


class _Lost(BadIndex):
    """A shard is named and is not there: a gc that died may have deleted it (docs/design.md)."""


@dataclass(frozen=True, slots=True)
class Lister:
    """How to look: the store, the subdir, what it shall publish, and an executor for independent requests.

    `force` is set in a run that reads all packages again: it trusts no shard that it has not seen.
    """

    store: Store
    subdir: str
    outputs: Outputs
    executor: Executor
    force: bool = False
    _shard_indexes: dict[ETag, ShardIndex] = field(default_factory=dict)

    def key(self, name: str) -> str:
        """The key of one of the subdir's files."""
        return f"{self.subdir}/{name}"

    def take_snapshot(self, scope: frozenset[str] | None, *, trusting: bool) -> Snapshot:
        """The versions of our files, then the packages: all of them, or only those in `scope`.

        What the ledger says of versions stands where the listing that follows shows the same: the
        files were like that before the listing began.  If it does not, or when not `trusting` the
        ledger because a conflict has just shown otherwise, each file is asked for, and listed again.
        State is as the listing shows it: never older than the files that were made from it.
        """
        state, state_etag = left_at(self.store, self.key(names.LEDGER))
        snapshot = Snapshot(state=state, state_etag=state_etag, all_listed=scope is None, shards_in_doubt=self.force)
        if state is not None and trusting:
            etags = files_of(etags_of(state))
            listed = self._listing(scope, state)
            if scope is not None or self._ours(etags_in(listed, names.TRACKED), state) == etags:
                return snapshot_of_listing(listed, replace(snapshot, etags=etags))
        stats = self._stats(names.TRACKED)
        etags = self._ours({name: stat.etag for name, stat in stats.items()}, state)
        modified = {name: stat.written_ms for name, stat in stats.items()}
        return snapshot_of_listing(self._listing(scope, state), replace(snapshot, etags=etags, modified_ms=modified))

    def take_read_only_snapshot(self) -> Snapshot:
        """What one listing shows, and the ledger: for who only reads, and looks again to see whether it stood still."""
        state, state_etag = left_at(self.store, self.key(names.LEDGER))
        listed = self._listing(None, state)
        etags = self._ours(etags_in(listed, names.TRACKED), state)
        return snapshot_of_listing(listed, Snapshot(etags, state, state_etag))

    def _ours(self, etags: dict[str, ETag], state: State | None) -> dict[str, ETag]:
        """Without a page that is not wanted and that we did not write: it is somebody else's."""
        wrote = state.files.get(names.PAGE) if state else None
        if not self.outputs.html and (wrote is None or etags.get(names.PAGE) != wrote.etag):
            etags.pop(names.PAGE, None)
        return etags

    def _stats(self, filenames: Iterable[str]) -> dict[str, Stat]:
        """Those of some files that are there."""
        asked = list(filenames)
        found = self.executor.map(self.store.stat, [self.key(name) for name in asked])
        return {name: msgspec.structs.replace(stat, key=name) for name, stat in zip(asked, found, strict=True) if stat}

    def _listing(self, scope: frozenset[str] | None, state: State | None) -> dict[str, Stat]:
        if scope is not None:
            return self._stats((*names.STATE, names.GC_NOTE, *scope))
        last = state or State()
        return listed_in_parts(self.store, self.key(""), last.split_points, self.executor, last.package_etags)

    def look_again(self, snapshot: Snapshot, scope: frozenset[str] | None) -> None:
        """Raise Conflict where other packages are there than were seen."""
        now = snapshot_of_listing(self._listing(scope, snapshot.state), snapshot).excluding(snapshot.excluded)
        if now.packages != snapshot.packages:
            raise Conflict(self.key(""), "packages came or went while this run worked")

    def source(self, snapshot: Snapshot) -> str:
        """The file that the index is read from, the empty text where there is none.

        Where a channel shall have shards only and has both, the newer is it: another indexer leaves a stale
        shard index when it stops to write it, a crash of ours a stale repodata.json.
        """
        if names.UNPATCHED in snapshot.etags:
            return names.UNPATCHED
        there = [name for name in (names.REPODATA, names.SHARD_INDEX) if name in snapshot.etags]
        if self.outputs.monolithic or len(there) < 2:  # noqa: PLR2004  one of two
            return there[0] if there else ""
        return max(reversed(there), key=lambda name: snapshot.modified_ms.get(name, 0))

    def overlay(self, snapshot: Snapshot) -> Overlay:
        """What is in force by the state that was seen.  Raises BadPatch, and Conflict where it changed since."""
        instructions = self.read(names.INSTRUCTIONS, snapshot) if names.INSTRUCTIONS in snapshot.etags else None
        withdrawn = WithdrawnPackages()
        if names.YANKED in snapshot.etags:
            withdrawn = decode_withdrawn(self.read(names.YANKED, snapshot), self.key(names.YANKED))
        key = self.key(names.INSTRUCTIONS)
        return Overlay(key, instructions, yanks=withdrawn.yanked, ignored=withdrawn.ignored)

    def read_index(self, snapshot: Snapshot, overlay: Overlay, few: frozenset[str] | None = None) -> Index:
        """What the packages say, by the index that stands and the state in which it was written.

        Unless our last run has made all of it, what readers cannot parse is named in it or left out.
        Where it is read from shards, a `few` package names (in lower case) can be all that is read.
        It is read from the unpatched index where there is one, from repodata.json, or from all shards where a
        channel has nothing else.  Raises BadIndex, Refused for what another indexer has patched by
        instructions that nobody can see, and Conflict where something changed since it was seen.
        """
        known = (
            snapshot.files_match_state and snapshot.state is not None and snapshot.state.validated and not self.force
        )
        index = self._read_index(snapshot, overlay, few)
        if known:
            return index
        from indexer.core.records.validation import validated  # only for an index of another indexer

        return validated(index)

    def _read_index(self, snapshot: Snapshot, overlay: Overlay, few: frozenset[str] | None) -> Index:
        source = self.source(snapshot)
        if not source:
            return Index()
        if source == names.SHARD_INDEX:
            return self._read_shards(snapshot, few)
        # First what takes more memory while it is decoded than afterwards.
        run_exports = self._read_run_exports(snapshot)
        index, own = repodata.decode_unpatched(self.read(source, snapshot), self.key(source))
        if source == names.UNPATCHED and not snapshot.is_unchanged(names.REPODATA):
            index = self._beside_published(index, snapshot, overlay)
        if not snapshot.is_unchanged(source):  # written by another indexer, so its records know best
            for filename in overlay.run_exports_patched:
                run_exports.pop(filename, None)  # as they were patched: what the package has is unknown
            run_exports |= repodata.inline_run_exports(index.records)
            if undated(index):
                index = redated(index, self.store, self.key(names.SHARDS_FOLDER), self.executor)
        return replace(index, run_exports=repodata.unpatched_run_exports(run_exports, own))

    def _read_run_exports(self, snapshot: Snapshot) -> dict[str, Raw]:
        """What run_exports.json says, or its compressed copy where the plain file is lost or damaged.

        Raises BadIndex, but not in a run that reads all packages again.
        """
        if names.RUN_EXPORTS in snapshot.etags:
            try:
                return repodata.decode_run_exports(self.read(names.RUN_EXPORTS, snapshot), self.key(names.RUN_EXPORTS))
            except BadIndex as error:
                packed = self.packed_run_exports(snapshot)
                if packed is None and not self.force:
                    raise BadIndex(error.thing, error.reason, _RUN_EXPORTS_STEP) from error
                _log.warning("%s: %s; it is written again", error.thing, error.reason)
                return packed or {}
        return self.packed_run_exports(snapshot) or {}

    def packed_run_exports(self, snapshot: Snapshot) -> dict[str, Raw] | None:
        """What run_exports.json.zst says, None where it is not there or cannot be read."""
        with contextlib.suppress(BadIndex, KeyError):
            from indexer.core.verify import decompress_file

            data = decompress_file(self.read(names.RUN_EXPORTS_ZST, snapshot), names.RUN_EXPORTS_ZST, _MAX_RUN_EXPORTS)
            return repodata.decode_run_exports(data, self.key(names.RUN_EXPORTS_ZST))
        return None

    def _beside_published(self, index: Index, snapshot: Snapshot, overlay: Overlay) -> Index:
        """The unpatched index with what only the index has that another indexer published: dates, and the rest.

        Raises NewerIndex, and Refused where that is patched and nothing tells by which instructions.
        """
        published = self._published(snapshot)
        if published is None:
            return index
        if overlay.patch is None and not snapshot.is_unchanged(names.UNPATCHED):
            self._refuse_unknown_patch(index, published, overlay)
        unknown = published.records.keys() - index.records.keys()
        index = repodata.with_published_parts(index, published)
        return replace(index, earlier={name: published.records[name] for name in unknown})

    def _published(self, snapshot: Snapshot) -> Index | None:
        """What another indexer has published, None where that cannot be read.  Raises NewerIndex."""
        try:
            if names.REPODATA in snapshot.etags:
                return repodata.decode_repodata(self.read(names.REPODATA, snapshot), self.key(names.REPODATA))
            if names.SHARD_INDEX in snapshot.etags and not snapshot.is_unchanged(names.SHARD_INDEX):
                return self._read_shards(snapshot, None)
        except NewerIndex:
            raise
        except BadIndex as error:
            _log.warning("%s: %s; it is written anew", error.thing, error.reason)
        return None

    def _refuse_unknown_patch(self, index: Index, published: Index, overlay: Overlay) -> None:
        withdrawn = index.records.keys() & set(published.removed) - overlay.yanks.keys()
        both = index.records.keys() & published.records.keys()
        if withdrawn or any(patch.is_patched(index.records[name], published.records[name]) for name in both):
            raise Refused(
                self.key(names.REPODATA),
                f"is patched, for it differs from {names.UNPATCHED}, and no {names.INSTRUCTIONS} says by what",
                "nothing was changed: name the patch with --repodata-patch, or end it with --no-repodata-patch",
            )

    def read(self, name: str, snapshot: Snapshot) -> bytes:
        """One of our files as it was seen.  Raises Conflict."""
        return read_whole(self.store, self.key(name), snapshot.etags[name])[0]

    def read_metadata(self, snapshot: Snapshot) -> dict[str, Metadata]:
        """What is known of what packages say of themselves; nothing where no file is wanted that tells it."""
        if not self.outputs.needs_metadata or names.CATALOG not in snapshot.etags:
            return {}
        known = catalog.decode_catalog(self.read(names.CATALOG, snapshot))
        return catalog.metadata_by_name(known) if known else {}

    def read_shard_index(self, snapshot: Snapshot) -> ShardIndex:
        """The shard index that stands, an empty one where there is none.  Raises BadIndex."""
        etag = snapshot.etags.get(names.SHARD_INDEX)
        if etag is None:
            return ShardIndex()
        if etag not in self._shard_indexes:  # it is the source of a channel of shards only, and asked for twice
            data = self.read(names.SHARD_INDEX, snapshot)
            self._shard_indexes[etag] = shards.decode_index(data, self.key(names.SHARD_INDEX))
        return self._shard_indexes[etag]

    def existing_shards(self) -> frozenset[bytes]:
        """The shards that are there, by their sha256, whatever any index says."""
        folder = self.key(names.SHARDS_FOLDER)
        found = (shards.digest_of_filename(stat.key[len(folder) :]) for stat in self.store.list(folder))
        return frozenset(digest for digest in found if digest)

    def _read_shards(self, snapshot: Snapshot, few: frozenset[str] | None) -> Index:
        """What the shards say, all or those of a few names.

        One that is lost is as good as empty unless it was vouched for, or not all packages were looked at: then they
        are read again.
        """
        index = self.read_shard_index(snapshot)
        wanted = [digest for name, digest in index.shards.items() if few is None or name in few]
        folder = index.folder
        if folder is None:
            where = index.info["shards_base_url"]
            raise BadIndex(
                self.key(names.SHARD_INDEX), f"has its shards elsewhere ({where})", "index the channel there"
            )

        def read(digest: bytes) -> Index:
            key = self.key(folder + shards.filename_of(digest))
            try:
                return shards.decode_shard(self._read_shard(key, digest), key)
            except _Lost as error:
                if snapshot.shards_trusted:
                    raise
                if not snapshot.all_listed:
                    raise BadIndex(key, error.reason, _ALL) from error
                _log.warning("%s: %s; its packages are read again, and dated anew", key, error.reason)
                return Index()

        found = shards.merge_shards(self.executor.map(read, wanted))
        info = {key: dump(index.info[key]) for key in shards.SHARED_INFO if key in index.info}
        if index.info.get("base_url") not in _BESIDE:
            info["base_url"] = dump(index.info["base_url"])
        others = None if few is None or snapshot.state is None else max(snapshot.state.packages - len(found.records), 0)
        return replace(found, info=info, records_not_loaded=others)

    def _read_shard(self, key: str, digest: bytes) -> bytes:
        """A shard that the index names.  Raises BadIndex: without it the records it has are not known."""
        try:
            data, _ = read_whole(self.store, key)
        except Missing as error:
            raise _Lost(key, "is named by the shard index and is not there", _GONE) from error
        if shards.shard_digest(data) != digest:
            raise BadIndex(key, "has another content than its name says", _REBUILD)
        return data


def left_at(store: Store, key: str) -> tuple[State | None, ETag | None]:
    """A ledger and its version; no ledger where there is none, or none that can be read."""
    try:
        data, stat = read_whole(store, key)
    except Missing:
        return None, None
    return decode_state(data), stat.etag
