"""Reads the channel that packages are promoted from: its index, its packages, and what is known of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from indexer.core import names
from indexer.core.attestations import SUFFIX
from indexer.core.errors import Refused
from indexer.core.job import SubdirJob
from indexer.core.model import Outputs
from indexer.core.options import Options
from indexer.core.pages.catalog import metadata_by_name
from indexer.core.plan import DiffContext
from indexer.core.promoted_record import promoted_record, source_fault
from indexer.core.promotion import packages_in
from indexer.core.publishing import LocalPackage
from indexer.core.records.identity import identity_of
from indexer.core.value import Value
from indexer.lister.existing import load_existing
from indexer.lister.overlay import load_overlay
from indexer.lister.snapshot import take_read_only_snapshot

if TYPE_CHECKING:
    from indexer.core.existing import Existing
    from indexer.core.model import ETag, Index, Stat
    from indexer.core.promoted_record import PromotedRecord
    from indexer.core.promotion import Packages, Wanted
    from indexer.core.snapshot import Snapshot
    from indexer.store.channel_folder import ChannelFolder


class SourcePackage(Value, frozen=True):
    """A package to copy: what is known of its bytes, its object (whose key is that in the channel), the object of its
    attestations if it has some, and its record if a copy may get it.
    """

    package: LocalPackage
    stat: Stat
    sidecar: Stat | None
    record: PromotedRecord | None

    def record_of_copy(self, etag: ETag) -> PromotedRecord | None:
        """The record for the copy that got an ETag."""
        return self.record and replace(self.record, etag=etag)


class SourceSubdir(Value, frozen=True):
    """A subdir as it was read: its snapshot, its index before patches and yanks, and as readers see it."""

    name: str
    snapshot: Snapshot
    existing: Existing
    published: Index
    known: DiffContext

    def packages(self, wanted: Wanted | None = None) -> Packages:
        """The packages that can be selected; with `wanted`, only those that it can name."""
        return packages_in(self.name, self.published, self.existing.index, wanted)

    def package(self, filename: str) -> SourcePackage:
        """A package of the index.  Raises Refused if its object is not the package that the index describes."""
        index, stat, key = self.existing.index, self.snapshot.packages.get(filename), f"{self.name}/{filename}"
        fault = source_fault(filename, stat, index, self.known)
        if fault or stat is None:
            raise Refused(key, fault, "nothing was changed: index the channel FROM, then repeat")
        identity = identity_of(index.records[filename])
        package = LocalPackage(key, key, stat.size, identity.sha256 or "", identity.md5 or "")
        sidecar = self.snapshot.sidecars.get(filename + SUFFIX)
        state = self.known.state if self.known.index_matches_state else None
        return SourcePackage(
            package,
            stat.within(self.name),
            sidecar and sidecar.within(self.name),
            promoted_record(filename, index, state, metadata_by_name(self.existing.catalog)),
        )


def read_subdir(folder: ChannelFolder) -> SourceSubdir:
    """A subdir of a channel.  Raises Conflict if its index changes while it is read, BadIndex and BadPatch."""
    snapshot = take_read_only_snapshot(folder, Outputs()).unpacked()
    state = snapshot.state
    outputs = state.outputs if state and state.outputs else Outputs()
    overlay = load_overlay(folder, snapshot)
    existing = load_existing(folder, SubdirJob(folder.name, Options(outputs)), snapshot, overlay)
    unchanged = snapshot.is_unchanged(existing.source)
    written_ms = 0 if unchanged else _written_ms(folder, existing.source)
    known = DiffContext(state, index_matches_state=unchanged, index_written_ms=written_ms)
    return SourceSubdir(folder.name, snapshot, existing, overlay.apply(existing.index).index, known)


def _written_ms(folder: ChannelFolder, source: str) -> int:
    """When the index was written, which dates records without a date; 0 if there is no index."""
    stats = folder.stats([source or names.REPODATA])
    return max((stat.written_ms for stat in stats.values()), default=0)
