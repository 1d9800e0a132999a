"""Reads the packages of a subdir, each version of one at most once a run, and counts the ways it was read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from indexer.core.errors import Conflict, Denied
from indexer.core.metadata import Metadata
from indexer.core.model import Extracted, Rejected
from indexer.core.plan import dated
from indexer.core.records.dates import is_other
from indexer.core.records.identity import identity_of
from indexer.core.report import Way

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from indexer.core.model import Index, Raw, Stat
    from indexer.extractor.extract import ExtractSpec
    from indexer.extractor.workers import Workers
    from indexer.store import Store

    Progress = Callable[[str, int, int], None]


# How many records are held in one buffer.
_TOGETHER = 1024

_records = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True, slots=True)
class ExtractionCache:
    """The packages of a subdir as far as a run has read them.

    `known` has what came of each, by file name, so that a lap after a conflict reads nothing twice; `replaced`
    those that were met at another version before.  `ways` counts how they were read.
    """

    known: dict[str, Extracted | Rejected] = field(default_factory=dict)
    replaced: set[str] = field(default_factory=set)
    ways: dict[str, Way] = field(default_factory=dict)

    def read(self, store: Store, asked: list[Stat], spec: ExtractSpec, workers: Workers, progress: Progress) -> None:
        """Read what is not known yet; the list of what is asked for is emptied.

        Raises Conflict for a package that changed meanwhile, and Denied where not one could be read.
        """
        missing = [stat for stat in asked if self._of(stat) is None]
        asked.clear()
        count = len(missing)
        if not missing:
            return
        from indexer.extractor.extract import Vanished

        stats = {stat.key: stat for stat in missing}
        self.replaced.update(stats.keys() & self.known.keys())
        gone: list[str] = []
        refused: list[Rejected] = []
        fresh: list[str] = []
        alike: dict[bytes, Raw] = {}
        progress(spec.subdir, 0, count)
        for done, reading in enumerate(workers(store, spec, missing), 1):
            way = self.ways.setdefault(reading.way.value, Way())
            way.packages += 1
            way.requests += sum(reading.usage.requests.values())
            way.bytes += reading.usage.bytes_read
            if isinstance(reading.result, Vanished):
                gone.append(reading.result.filename)
            else:
                stat = stats.pop(reading.result.filename)
                self.known[stat.key] = _sparing(reading.result, stat, alike)
                fresh.append(stat.key)
                if isinstance(reading.result, Rejected) and reading.result.transient:
                    refused.append(reading.result)
            if len(fresh) == _TOGETHER:
                self._pack(fresh)
                fresh.clear()
            progress(spec.subdir, done, count)
        self._pack(fresh)
        if gone:
            raise Conflict(f"{spec.subdir}/{min(gone)}", "changed while it was read")
        if len(refused) == count > 1:
            raise Denied(
                f"{spec.subdir}/{refused[0].filename}", refused[0].reason, "look at the rights to read objects"
            )

    def _pack(self, filenames: Sequence[str]) -> None:
        """Put the records of some packages into one buffer: each by itself takes some forty bytes more."""
        found = [it for it in map(self.known.__getitem__, filenames) if isinstance(it, Extracted)]
        records = _records.decode(msgspec.json.encode([it.record for it in found]))
        for it, record in zip(found, records, strict=True):
            self.known[it.filename] = msgspec.structs.replace(it, record=record)

    def _of(self, stat: Stat) -> Extracted | Rejected | None:
        """What came of this version."""
        found = self.known.get(stat.key)
        return None if found is None or found.etag != stat.etag else found

    def results(
        self, filenames: Sequence[str], index: Index, now_ms: int, dates: Mapping[str, int]
    ) -> tuple[Extracted | Rejected, ...]:
        """What came of packages that were read, dated by the index that they are for and by the `dates` of a plan.

        What is known is dated too, or each record would be held twice; another lap dates it anew.
        """
        for filename in filenames:
            result = self.known[filename]
            if isinstance(result, Extracted):
                record = dated(index, result, now_ms, dates)
                if record is not result.record:
                    self.known[filename] = msgspec.structs.replace(result, record=record)
        return tuple(self.known[filename] for filename in filenames)

    def changing(self, packages: Mapping[str, Stat]) -> frozenset[str]:
        """Those that this run has met at another version: no date proves that a record of them stands."""
        now = ((packages.get(name), found.etag) for name, found in self.known.items())
        return frozenset(stat.key for stat, version in now if stat and stat.etag != version) | self.replaced

    def run_exports(self, index: Index, filenames: Iterable[str]) -> dict[str, Raw]:
        """The run exports of packages that were read, where the index has records of the same content and has none."""
        found = {}
        for filename in filenames:
            result = self.known.get(filename)
            record = index.records.get(filename)
            if not isinstance(result, Extracted) or record is None or filename in index.run_exports:
                continue
            if result.run_exports is not None and not is_other(identity_of(record), identity_of(result.record)):
                found[filename] = result.run_exports
        return found

    def abouts(self, index: Index, filenames: Iterable[str]) -> dict[str, Metadata]:
        """What the packages that were read say of themselves.

        One that stands in the index and is no package by our rules says nothing, which is known then.
        """
        found = {}
        for filename in filenames:
            result = self.known.get(filename)
            if result is None:  # a run that only plans does not ask
                continue
            if isinstance(result, Extracted):
                about = result.metadata
            elif result.filename in index.records and not result.transient:
                about = Metadata(sha256=identity_of(index.records[result.filename]).sha256 or "")
            else:
                about = None
            if about is not None:
                found[result.filename] = about
        return found


def _sparing(result: Extracted | Rejected, stat: Stat, alike: dict[bytes, Raw]) -> Extracted | Rejected:
    """The same in less memory: strings that are here already, and run exports that are `alike` once for all."""
    if isinstance(result, Rejected):
        return result
    if result.run_exports is None:
        return msgspec.structs.replace(result, filename=stat.key, etag=stat.etag)
    said = bytes(result.run_exports)
    # A slice of the very bytes that it is known by.
    run_exports = alike.get(said) or alike.setdefault(said, msgspec.Raw(said))
    return msgspec.structs.replace(result, filename=stat.key, etag=stat.etag, run_exports=run_exports)
