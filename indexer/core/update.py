"""What a run changes in a subdir: the new index, made from the existing one and from the packages that were read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import field
from msgspec.structs import replace

from indexer.core import names
from indexer.core.attestations import with_attestations, with_sent_attestations
from indexer.core.formats.shards import changed_shard_names
from indexer.core.model import Extracted, Index, Rejected
from indexer.core.name_digests import name_of
from indexer.core.overlay import Overlay
from indexer.core.pages.catalog import metadata_by_name
from indexer.core.plan import dropped, etags_to_remember, merge
from indexer.core.recent import hourly_counts, updated_hourly_counts
from indexer.core.records.v3 import latest
from indexer.core.remarks import not_found, rejected_before, remarks, remarks_on_attestations, remarks_on_patch
from indexer.core.state import State
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.core.existing import Existing
    from indexer.core.extraction import Extraction
    from indexer.core.job import SubdirJob
    from indexer.core.known_packages import Attested
    from indexer.core.metadata import Metadata
    from indexer.core.model import ETag, Plan
    from indexer.core.recent import HourlyCounts
    from indexer.core.report import Note
    from indexer.core.snapshot import Snapshot


class Changes(Value, frozen=True):
    """The file names of packages that this run adds, updates and removes; `reread` were read, and nothing changed."""

    added: frozenset[str] = frozenset()
    updated: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    reread: frozenset[str] = frozenset()


class Update(Value, frozen=True):
    """The new content of a subdir's index, before files are made of it.

    `index` has the records before any patch, `published` those that readers shall see.  `changed_names` are the package
    names (lower case) whose shards can differ from the published ones; None if any shard can differ.  `has_news` is
    false if nothing was read, removed or found out.  `missing` has the packages that a person named and that do not
    exist. `etags` has the ETags that the records do not have, and `attestations` those of the packages that were looked
    at, None if the run did not look at attestations; `unattested` has the reasons of all attestations that do not
    count.  `metadata` is by file name.  `incomplete` counts the packages whose run exports are unknown, `recent`
    the packages of the last week by hour (None if they cannot be counted), `metadata_read` the packages that were read
    for their metadata only.  `carried` has the packages of another run whose run exports are published before their
    records.
    """

    index: Index
    published: Index
    overlay: Overlay = field(default_factory=Overlay)
    changes: Changes = field(default_factory=Changes)
    changed_names: frozenset[str] | None = None
    has_news: bool = True
    rejected: tuple[Rejected, ...] = ()
    remarks: tuple[Note, ...] = ()
    missing: frozenset[str] = frozenset()
    etags: Mapping[str, ETag] = field(default_factory=dict)
    attestations: Mapping[str, Attested] | None = None
    unattested: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Metadata] = field(default_factory=dict)
    incomplete: int = 0
    recent: HourlyCounts | None = None
    metadata_read: int = 0
    carried: frozenset[str] = frozenset()


def apply(job: SubdirJob, snapshot: Snapshot, existing: Existing, todo: Plan, extracted: Extraction) -> Update:
    """The update that a plan and the packages that were read make of the existing index.  Raises BadPatch."""
    others = _not_looked_at(job, snapshot, existing)
    attestations = extracted.attestations
    unattested = others.unattested | _reasons(attestations or {})
    removed = dropped(existing.index, todo, extracted.results)
    index = _merged(job, snapshot, existing, todo, extracted)
    patched = existing.overlay.apply(index)
    published = _with_other_names(patched.index, existing)
    attested = _newly_attested(snapshot, attestations) | job.sent_attestations.keys()
    changes = _changes(existing.index, index, extracted, attested)
    return Update(
        index,
        published,
        existing.overlay,
        replace(changes, removed=removed),
        changed_names=_changed_names(job, snapshot, existing, index, published),
        has_news=(
            bool(removed or changes.updated)
            or _has_news(existing.index, todo, extracted)
            or _is_news(snapshot, attestations)
        ),
        rejected=_rejected(index, todo, extracted, others),
        remarks=(
            *remarks(job, snapshot, existing, todo, extracted),
            *remarks_on_attestations(unattested),
            *remarks_on_patch(patched),
        ),
        missing=not_found(job, snapshot, existing) & job.named_packages,
        etags={**todo.etags_to_remember, **etags_to_remember(extracted.results)},
        attestations=attestations,
        unattested=unattested,
        metadata={**metadata_by_name(existing.catalog), **extracted.metadata},
        incomplete=_incomplete(job, snapshot, existing, index),
        recent=_recent(snapshot, existing, published),
        metadata_read=len(todo.to_describe),
        carried=todo.carried,
    )


def needs_all_records(existing: Existing, update: Update) -> bool:
    """Whether some records were not loaded although `info` counts all records of a later revision (CEP 48)."""
    if existing.index.records_not_loaded is None:
        return False
    has_v3 = any(index.v3 or index.v3_rest for index in (existing.index, update.index))
    # The unpatched index counts withdrawn records too, so only repodata.json has the numbers for readers.
    is_counted = names.REPODATA in existing.chunks or existing.source == names.SHARD_INDEX
    return has_v3 or (not is_counted and "repodata_revisions" in existing.index.info)


def _with_other_names(index: Index, existing: Existing) -> Index:
    """The index that readers shall see, with what is published besides records of the names that were not loaded."""
    before, loaded = existing.published, existing.names_loaded
    if before is None or loaded is None:
        return index
    removed = {*index.removed, *(filename for filename in before.removed if name_of(filename) not in loaded)}
    if removed != set(index.removed):
        index = replace(index, removed=tuple(sorted(removed)))
    return replace(index, info=before.info, records_not_loaded=before.records_not_loaded)


def _changed_names(
    job: SubdirJob, snapshot: Snapshot, existing: Existing, index: Index, published: Index
) -> frozenset[str] | None:
    """The package names whose shards can differ from the published ones; None if any shard can differ."""
    if existing.published is not None:
        return changed_shard_names(existing.published, published)  # no other name can have changed
    return changed_shard_names(existing.index, index) if job.can_reuse_shards(snapshot) else None


def incomplete_in(index: Index) -> int:
    """How many packages of an index have unknown run exports; run exports without a record do not count."""
    return len(index.records) - len(index.run_exports.keys() & index.records.keys())


def _merged(job: SubdirJob, snapshot: Snapshot, existing: Existing, todo: Plan, extracted: Extraction) -> Index:
    """The new records, before any patch."""
    index = merge(existing.index, todo, extracted.results, snapshot.taken_ms)
    if extracted.attestations is not None:
        index = with_attestations(index, extracted.attestations)
    index = with_sent_attestations(index, job.sent_attestations)
    run_exports = {name: value for name, value in extracted.run_exports.items() if name in index.records}
    if run_exports:
        index = replace(index, run_exports={**index.run_exports, **run_exports})
    return latest(index) if job.all_in_v3 else index


def _not_looked_at(job: SubdirJob, snapshot: Snapshot, existing: Existing) -> State:
    """What the report and the next state have of packages of names that a whole run did not look at."""
    looked_at, last = existing.names_loaded, snapshot.state
    if looked_at is None or job.scope is not None or last is None:
        return State()
    return State(
        rejected={filename: bad for filename, bad in last.rejected.items() if name_of(filename) not in looked_at},
        unattested={
            filename: reason for filename, reason in last.unattested.items() if name_of(filename) not in looked_at
        },
    )


def _rejected(index: Index, todo: Plan, extracted: Extraction, others: State) -> tuple[Rejected, ...]:
    """The packages that were rejected now or before; `kept` if the index keeps a record of the package."""
    bad = (
        *todo.rejected,
        *(rejected_before(filename, bad) for filename, bad in others.rejected.items()),
        *(result for result in extracted.results if isinstance(result, Rejected)),
    )
    return tuple(replace(one, kept=one.kept or one.filename in index.records) for one in bad)


def _changes(before: Index, after: Index, extracted: Extraction, attested: set[str]) -> Changes:
    read = {result.filename for result in extracted.results if isinstance(result, Extracted)}
    added = read - before.records.keys()
    candidates = (read | (attested & before.records.keys())) - added
    updated = {filename for filename in candidates if _is_altered(filename, before, after)}
    return Changes(frozenset(added), frozenset(updated), reread=frozenset(read - added - updated))


def _newly_attested(snapshot: Snapshot, attestations: Mapping[str, Attested] | None) -> set[str]:
    """The packages of which this run knows other attestations than the last run."""
    if attestations is None:
        return set()
    now, before = attestations, snapshot.state.attestations if snapshot.state else {}
    return {filename for filename in now.keys() | before.keys() if now.get(filename) != before.get(filename)}


def _reasons(attestations: Mapping[str, Attested]) -> dict[str, str]:
    """Why attestations do not count, by file name of the package."""
    return {filename: known.reason for filename, known in attestations.items() if known.reason}


def _is_news(snapshot: Snapshot, attestations: Mapping[str, Attested] | None) -> bool:
    return snapshot.state is not None and bool(_newly_attested(snapshot, attestations))


def _is_altered(filename: str, before: Index, after: Index) -> bool:
    """Whether an indexed package gets another record, other run exports or another revision."""
    if (filename in before.v3) is not (filename in after.v3):
        return True
    if before.run_exports.get(filename) != after.run_exports.get(filename):
        return True
    return before.records.get(filename) != after.records.get(filename)


def _has_news(index: Index, todo: Plan, extracted: Extraction) -> bool:
    """Whether packages were read, or the index has dates or run exports that must change."""
    without_record = index.run_exports.keys() - index.records.keys() - todo.carried
    return bool(without_record or extracted.results or todo.to_describe or todo.dates)


def _incomplete(job: SubdirJob, snapshot: Snapshot, existing: Existing, index: Index) -> int:
    """How many packages have unknown run exports; none if run exports are not published."""
    if not job.options.outputs.run_exports:
        return 0
    others = 0
    if existing.names_loaded is not None and snapshot.state is not None:
        others = max((snapshot.state.incomplete or 0) - incomplete_in(existing.index), 0)
    return incomplete_in(index) + others


def _recent(snapshot: Snapshot, existing: Existing, published: Index) -> HourlyCounts | None:
    """The packages of the last week that readers shall see, by hour; None if not all of them are known."""
    before = _counted_before(snapshot, existing)
    if before is None:
        if published.records_not_loaded is not None:
            return None
        return hourly_counts(published.records.values(), snapshot.taken_ms)
    old, new = _published_before(existing).records, published.records
    filenames = {filename for filename in old.keys() | new.keys() if old.get(filename) != new.get(filename)}
    gone, come = ([records[name] for name in filenames & records.keys()] for records in (old, new))
    return updated_hourly_counts(before, gone, come, snapshot.taken_ms)


def _counted_before(snapshot: Snapshot, existing: Existing) -> Mapping[int, int] | None:
    """The count of the last run; None if the records that it counted are not known."""
    if snapshot.state is None or not snapshot.files_match_state or snapshot.state.recent is None:
        return None
    patched = existing.overlay or names.FROM_PACKAGES in snapshot.etags
    return None if patched and existing.published is None else dict(snapshot.state.recent)


def _published_before(existing: Existing) -> Index:
    """The records that were loaded, as readers see them; all of them are as they were read if there is no overlay."""
    return existing.index if existing.published is None else existing.published
