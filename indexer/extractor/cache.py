"""Reads the packages of a subdir, each version of a package at most once in a run, and counts how they were read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import field

from indexer.core.errors import Conflict, Denied
from indexer.core.extraction import Extraction
from indexer.core.metadata import Metadata
from indexer.core.model import Extracted, Rejected
from indexer.core.progress import Phase, Step, silent
from indexer.core.records.dates import is_other_package, is_undated
from indexer.core.records.identity import identity_of
from indexer.core.report import ReadCount
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from indexer.core.job import SubdirJob
    from indexer.core.model import Index, Plan, Raw, Stat
    from indexer.core.snapshot import Snapshot
    from indexer.extractor.extract import ExtractSpec, Reading
    from indexer.extractor.workers import Workers
    from indexer.store import Store


# How many records share a buffer.
_TOGETHER = 1024

_records = msgspec.json.Decoder(list[msgspec.Raw])


def extract_spec(job: SubdirJob, snapshot: Snapshot, index: Index, *, stored_checksums: bool) -> ExtractSpec:
    """How the packages of a subdir with this index are read; if there is a state, the index does not matter.

    Without `stored_checksums` the store has no digests of packages, so each byte is hashed.
    """
    from indexer.extractor.extract import ExtractSpec

    unpack, state = job.options.verify_digests, snapshot.state
    return ExtractSpec(
        job.subdir,
        job.options.rules,
        snapshot.taken_ms,
        unpack or not stored_checksums,
        job.options.outputs.needs_metadata,
        is_undated(index) if state is None else state.has_more_stages,
        unpack,
    )


class ExtractionCache(Value, frozen=True):
    """The packages that a run has read in one subdir, so that an attempt after a conflict reads no package again.

    `results` are by file name.  `replaced` has the packages that this run has seen with another ETag before.
    `read_counts` counts the packages by the strategy of reading.
    """

    workers: Workers
    progress: Callable[[Step], None] = silent
    results: dict[str, Extracted | Rejected] = field(default_factory=dict)
    replaced: set[str] = field(default_factory=set)
    read_counts: dict[str, ReadCount] = field(default_factory=dict)

    def forget(self) -> None:
        """Forget the results, which were published."""
        self.results.clear()

    def replaced_among(self, packages: Mapping[str, Stat]) -> frozenset[str]:
        """The packages that this run has read with another ETag: no date proves that their records are current."""
        known = ((packages.get(name), result.etag) for name, result in self.results.items())
        return frozenset(stat.key for stat, etag in known if stat and stat.etag != etag) | self.replaced

    def read(self, store: Store, packages: Sequence[Stat], spec: ExtractSpec) -> None:
        """Read the packages that are not known with this ETag.

        Raises Conflict if a package changes while it is read.
        """
        missing = [stat for stat in packages if not self._is_known(stat)]
        if not missing:
            return
        self.replaced.update({stat.key for stat in missing} & self.results.keys())
        vanished: list[str] = []
        fresh: list[Extracted] = []
        stats = {stat.key: stat for stat in missing}
        self.progress(Step(Phase.READING, spec.subdir, 0, len(missing)))
        for done, reading in enumerate(self.workers(store, spec, missing), 1):
            self._count(reading)
            result = reading.result
            if isinstance(result, Extracted):
                fresh.append(result)
            elif isinstance(result, Rejected):
                self.results[result.filename] = result
            else:
                vanished.append(result.filename)
            if len(fresh) == _TOGETHER:
                self.results.update(_compact(fresh, stats))
                fresh = []
            self.progress(Step(Phase.READING, spec.subdir, done, len(missing)))
        self.results.update(_compact(fresh, stats))
        if vanished:
            raise Conflict(f"{spec.subdir}/{min(vanished)}", "changed while it was read")

    def _is_known(self, stat: Stat) -> bool:
        known = self.results.get(stat.key)
        return known is not None and known.etag == stat.etag

    def _count(self, reading: Reading) -> None:
        usage, strategy = reading.usage, reading.strategy.value
        is_new = isinstance(reading.result, Extracted | Rejected) and reading.result.filename not in self.results
        count = ReadCount(int(is_new), usage.requests.total(), usage.bytes_read)
        self.read_counts[strategy] = self.read_counts.get(strategy, ReadCount()) + count


def _compact(results: Sequence[Extracted], stats: Mapping[str, Stat]) -> dict[str, Extracted]:
    """The results by file name, in less memory: a first run of 400,000 packages needs 667 MiB instead of 868.

    The records are slices of one buffer, file names and ETags are those of the listing, and equal run exports are one
    object.
    """
    run_exports: dict[bytes, Raw] = {}
    records = _records.decode(msgspec.json.encode([result.record for result in results]))
    compact = {}
    for result, record in zip(results, records, strict=True):
        stat, exports = stats[result.filename], result.run_exports
        if exports is not None:
            exports = run_exports.setdefault(bytes(exports), exports)
        compact[stat.key] = msgspec.structs.replace(
            result, filename=stat.key, etag=stat.etag, record=record, run_exports=exports
        )
    return compact


def extract(cache: ExtractionCache, store: Store, spec: ExtractSpec, todo: Plan, index: Index) -> Extraction:
    """Read the packages of a plan, made for this index.

    Raises Conflict, and Denied if the store refuses every package.
    """
    wanted = [*todo.to_read, *todo.to_describe]
    cache.read(store, wanted, spec)
    _check_not_all_denied(spec.subdir, [cache.results[stat.key] for stat in wanted])
    described = [cache.results[stat.key] for stat in todo.to_describe]
    results = tuple(cache.results[stat.key] for stat in todo.to_read)
    run_exports = _run_exports(index, described) if todo.completes_run_exports else {}
    return Extraction(results, run_exports, _metadata(index, [*results, *described]))


def _check_not_all_denied(subdir: str, results: Sequence[Extracted | Rejected]) -> None:
    """Raise Denied if the store refuses to give out any of several packages."""
    denied = [result for result in results if isinstance(result, Rejected) and result.transient]
    if len(denied) == len(results) > 1:
        first = denied[0]
        raise Denied(f"{subdir}/{first.filename}", first.reason, "check the permission to read objects")


def _run_exports(index: Index, results: Iterable[Extracted | Rejected]) -> dict[str, Raw]:
    """The run exports of packages whose records have none, if the record is of the same content."""
    run_exports = {}
    for result in results:
        record = index.records.get(result.filename)
        if not isinstance(result, Extracted) or record is None or result.filename in index.run_exports:
            continue
        if result.run_exports is not None and not is_other_package(identity_of(record), identity_of(result.record)):
            run_exports[result.filename] = result.run_exports
    return run_exports


def _metadata(index: Index, results: Iterable[Extracted | Rejected]) -> dict[str, Metadata]:
    """The metadata of packages that were read.

    The metadata of an indexed package that is rejected now is empty, and known to be empty.
    """
    by_filename = {}
    for result in results:
        if isinstance(result, Extracted):
            metadata = result.metadata
        elif result.filename in index.records and not result.transient:
            metadata = Metadata(sha256=identity_of(index.records[result.filename]).sha256 or "")
        else:
            metadata = None
        if metadata is not None:
            by_filename[result.filename] = metadata
    return by_filename
