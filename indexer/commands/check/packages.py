"""Compares the records of an index with the packages in the channel and with the state; reads no package."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING

from indexer.core.attestations import SUFFIX, attestations_digest_in
from indexer.core.name_digests import name_of
from indexer.core.plan import DiffContext, diff
from indexer.core.records.dates import in_future
from indexer.core.records.identity import identity_of
from indexer.core.value import Value
from indexer.core.verify import FORCE, RUN, Fault
from indexer.lister.sidecars import content_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from indexer.core.model import Index, Stat
    from indexer.core.snapshot import Snapshot
    from indexer.store.channel_folder import ChannelFolder

_RESTORE = f"restore it, or {RUN}"


class PackagesCheck(Value, frozen=True):
    """A comparison of `index` with the packages and the state in `snapshot`.

    `deep` compares the content of attestations, too.  `unread` has package names whose shard cannot be read.
    """

    folder: ChannelFolder
    snapshot: Snapshot
    index: Index
    now_ms: int
    deep: bool
    unread: Collection[str]

    def faults(self) -> Iterator[Fault]:
        """All faults of records, packages and attestations."""
        yield from self._records()
        yield from self._not_indexed()
        yield from self._replaced()
        yield from self._attestations()
        yield from self._unnamed_attestations()

    def _records(self) -> Iterator[Fault]:
        """Faults of records without a package, or with a wrong size or date."""
        for filename, record in self.index.records.items():
            key, stat = self.folder.prefix + filename, self.snapshot.packages.get(filename)
            identity = identity_of(record)
            if stat is None:
                yield Fault(key, "is in the index, but not in the channel")
            elif identity.size != stat.size:
                yield Fault(key, f"has {identity.size} bytes in the index and {stat.size} in the channel")
            if reason := self._date_error(identity.indexed_timestamp):
                yield Fault(key, reason, FORCE if self.snapshot.files_match_state else RUN)
        for filename in self.index.records.keys() & set(self.index.removed):
            yield Fault(self.folder.prefix + filename, "is listed as removed, but has a record")

    def _date_error(self, indexed_timestamp: int | None) -> str | None:
        """The error in the date of a record in a channel that we index, None if there is none (CEP 47)."""
        if self.snapshot.state is None:
            return None
        if indexed_timestamp is None:
            return "has no indexed_timestamp, so exclude-newer uses its build date"
        return "has an indexed_timestamp in the future" if in_future(indexed_timestamp, self.now_ms) else None

    def _not_indexed(self) -> Iterator[Fault]:
        """Faults of packages without a record, except rejected packages and those whose shard has a fault."""
        rejected = self.snapshot.state.rejected if self.snapshot.state else {}
        for filename in self.snapshot.packages.keys() - self.index.records.keys() - set(self.index.removed):
            known = rejected.get(filename)
            is_rejected = known is not None and known.etag == self.snapshot.packages[filename].etag
            if not is_rejected and name_of(filename) not in self.unread:
                yield Fault(self.folder.prefix + filename, "is in the channel, but not in the index")

    def _replaced(self) -> Iterator[Fault]:
        """Faults for packages that were replaced after they were indexed, if the state is up to date."""
        state = self.snapshot.state if self.snapshot.files_match_state else None
        if state is None:
            return
        update = diff(self.index, self.snapshot.packages, DiffContext(state, index_matches_state=True))
        for stat in update.to_read:
            record = self.index.records.get(stat.key)
            is_known = state.etags_complete or stat.key in state.package_etags
            if record is not None and is_known and identity_of(record).size == stat.size:
                yield Fault(self.folder.prefix + stat.key, "was replaced since it was indexed")

    def _attestations(self) -> Iterator[Fault]:
        """Faults if copies of attestations that clients download by the digest in a record are missing or different."""
        for filename, record in self.index.records.items():
            sha256 = attestations_digest_in(record)
            if sha256 is None:
                continue
            name = f"{filename}{SUFFIX}.{sha256}"
            copy = self.snapshot.sidecars.get(name)
            if copy is None:
                yield Fault(self.folder.prefix + name, "is in the index, but missing", _RESTORE)
            elif self.deep and not self._has_digest(copy, sha256):
                yield Fault(self.folder.prefix + name, "content does not match its SHA-256 name", _RESTORE)

    def _has_digest(self, copy: Stat, sha256: str) -> bool:
        with contextlib.suppress(ValueError):  # too large for an attestation
            return hashlib.sha256(content_of(self.folder, copy)).hexdigest() == sha256
        return False

    def _unnamed_attestations(self) -> Iterator[Fault]:
        """Faults for attestations of the state that are not in the record of their package."""
        state = self.snapshot.state if self.snapshot.files_match_state else None
        for filename, known in state.attestations.items() if state else ():
            record = self.index.records.get(filename)
            if known.sha256 and record is not None and attestations_digest_in(record) != known.sha256:
                yield Fault(self.folder.prefix + filename, "has attestations that its record does not name", FORCE)
