"""Plans a run: compares a listing with an index, and merges the packages that were read into the index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from indexer.core.errors import Refused
from indexer.core.model import Extracted, Index, Plan, Rejected
from indexer.core.names import parse_filename
from indexer.core.records.dates import FIELD, in_future, is_other_package
from indexer.core.records.identity import altered, identity_of
from indexer.core.records.v3 import may_need_v3
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from indexer.core.model import ETag, Raw, Stat
    from indexer.core.records.identity import RecordIdentity
    from indexer.core.state import State

# A run that would remove more than this many records, and more than half of them, needs --allow-mass-removal.
MASS_REMOVAL = 10
# S3 cuts times to seconds, and clocks differ.  A larger difference matters only if the state does not know the package
# and if the package was replaced by one of the same size within the difference.
_CLOCKS_DIFFER_MS = 2000


class DiffContext(Value, frozen=True):
    """What a run knows besides the index and the listing.

    `state` is None if there is none.  `index_matches_state` is true if one run wrote the state and the index.
    `index_written_ms` is the time of the index.  `scope` has the file names of the only packages to look at, None for
    all.  `replaced_in_run` has the packages that this run has seen with another ETag before.  `needs_metadata` has the
    packages whose metadata is wanted and unknown.
    """

    state: State | None = None
    index_matches_state: bool = False
    index_written_ms: int = 0
    force: bool = False
    scope: frozenset[str] | None = None
    replaced_in_run: frozenset[str] = frozenset()
    needs_metadata: frozenset[str] = frozenset()


def diff(index: Index, packages: Mapping[str, Stat], known: DiffContext) -> Plan:
    """What to read, to drop and to keep, so that the index matches the listing `packages`.

    A record is current if its object is the one that the record was made from: the state has the ETag of the object; or
    size and MD5 are those of the record; or, if the state does not know the package, the size is the same and the
    object is older than the record.  Any other package is read, so a replaced package is noticed.  A package that was
    rejected before is read again only if its ETag changed.  A package that is listed as removed and still exists was
    yanked by another indexer: the package stays out.
    """
    yanked = packages.keys() & set(index.removed)
    listed = {filename: stat for filename, stat in packages.items() if filename not in yanked}
    current, etags = _current_packages(index, listed, known)
    outdated = {filename: stat for filename, stat in listed.items() if filename not in current}
    plan = Plan(
        drop=_gone(index, packages, known.scope) | (yanked & index.records.keys()),
        yanked=frozenset(yanked),
        etags_to_remember=etags,
        carried=_carried(index, known.scope),
    )
    if known.force:
        return replace(plan, to_read=tuple(listed.values()), keep_existing=frozenset(current))
    return _with_rejected(plan, index, (current, outdated), known)


def _with_rejected(
    plan: Plan, index: Index, packages: tuple[Mapping[str, Stat], Mapping[str, Stat]], known: DiffContext
) -> Plan:
    """A plan that reads the outdated packages, without those that were rejected before and have not changed."""
    current, outdated = packages
    kept = [bad for bad in _rejected_before(current, known) if bad.kept]
    rejected = _rejected_before(outdated, known)
    with_record, without = {bad.filename for bad in kept}, {bad.filename for bad in rejected}
    to_describe = (current.keys() & known.needs_metadata) - with_record
    # A record that exists was kept by the run that rejected the package, unless readers cannot parse the record.
    if known.index_matches_state:
        with_record |= without - index.unreadable.keys()
    return replace(
        plan,
        to_read=tuple(stat for filename, stat in outdated.items() if filename not in without),
        keep_existing=frozenset(with_record),
        rejected=tuple(replace(bad, kept=False) for bad in (*kept, *rejected)),
        to_describe=tuple(current[filename] for filename in sorted(to_describe)),
    )


def _current_packages(
    index: Index, packages: Mapping[str, Stat], known: DiffContext
) -> tuple[dict[str, Stat], dict[str, ETag]]:
    """The packages whose record is current, and the ETags of those whose record does not have the ETag as its MD5."""
    current: dict[str, Stat] = {}
    etags: dict[str, ETag] = {}
    for filename, stat in packages.items():
        identity = _current_identity(filename, stat, index, known)
        if identity is None:
            continue
        current[filename] = stat
        if stat.md5 is None or stat.md5 != identity.md5:
            etags[filename] = stat.etag
    return current, etags


def _current_identity(filename: str, stat: Stat, index: Index, known: DiffContext) -> RecordIdentity | None:
    """The identity of a package's record if the record is current and readers can parse it."""
    record = index.records.get(filename)
    if record is None or filename in index.unreadable:
        return None
    # Another indexer left the record in a legacy map, and old clients misread the record.
    if not known.index_matches_state and filename not in index.v3 and may_need_v3(record):
        return None
    identity = identity_of(record)
    return identity if is_current(filename, stat, identity, known) else None


def _rejected_before(packages: Mapping[str, Stat], known: DiffContext) -> list[Rejected]:
    """The packages that the last run rejected and that have the same ETag now."""
    before = known.state.rejected if known.state else {}
    return [
        Rejected(filename, stat.etag, bad.reason, kept=bad.kept)
        for filename, stat in packages.items()
        if (bad := before.get(filename)) is not None and bad.etag == stat.etag
    ]


def _gone(index: Index, packages: Mapping[str, Stat], scope: frozenset[str] | None) -> frozenset[str]:
    """The records whose package does not exist any more.

    A record whose file name no package can have goes in any scope: readers fail on the name.
    """
    in_scope = index.records.keys() if scope is None else scope & index.records.keys()
    invalid = {name for name in index.records if name not in packages and parse_filename(name) is None}
    return frozenset(name for name in in_scope if name not in packages) | invalid


def _carried(index: Index, scope: frozenset[str] | None) -> frozenset[str]:
    """The packages out of scope that have run exports and no record.

    Another run has written their run exports and will write their records.  A run over a few packages does not list
    these packages: only the other run knows them, and that run does not write their run exports again.
    """
    return frozenset() if scope is None else frozenset(index.run_exports.keys() - index.records.keys() - scope)


def is_current(filename: str, stat: Stat, identity: RecordIdentity, known: DiffContext) -> bool:
    """Whether a record was made from the object that a listing shows."""
    if not identity.name or identity.size != stat.size or filename in known.replaced_in_run:
        return False
    if stat.md5 is not None and stat.md5 == identity.md5:
        return True
    if known.state is not None and known.index_matches_state:
        # A state that does not match the index may know another object than the one of the record.
        etag = known.state.package_etags.get(filename)
        if etag is not None or known.state.etags_complete:
            # No entry: the ETag was the MD5 of the record at that time, and is not now.
            return etag == stat.etag
    indexed_ms = known.index_written_ms if identity.indexed_timestamp is None else identity.indexed_timestamp
    return stat.modified_ms + _CLOCKS_DIFFER_MS <= indexed_ms


def etags_to_remember(results: Iterable[Extracted | Rejected]) -> dict[str, ETag]:
    """The ETags of packages that were read and whose record does not have the ETag as its MD5."""
    read = (result for result in results if isinstance(result, Extracted))
    return {result.filename: result.etag for result in read if not result.md5_matches_etag}


def dropped(index: Index, plan: Plan, results: Sequence[Extracted | Rejected]) -> frozenset[str]:
    """The file names whose records leave the index: the package is gone, or was replaced by a file that is no package.

    If the content of a rejected package is the one of its record, the record stays if readers can parse the record:
    readers have used it until now.  The record of a package that cannot be unpacked goes: no client can install it.
    """
    rejected = [result for result in (*plan.rejected, *results) if isinstance(result, Rejected)]
    with_record = [bad for bad in rejected if bad.filename in index.records]
    damaged = {bad.filename for bad in with_record if bad.damaged}
    replaced = {bad.filename for bad in with_record if not _has_readable_record(index, bad)}
    return plan.drop | (replaced - plan.keep_existing) | damaged


def _has_readable_record(index: Index, bad: Rejected) -> bool:
    """Whether a rejected package has the content that its record was made from, and readers can parse the record."""
    if bad.filename in index.unreadable or bad.sha256 is None:
        return False
    return identity_of(index.records[bad.filename]).sha256 == bad.sha256


def check_mass_removal(index: Index, removed: frozenset[str], subdir: str) -> None:
    """Raise Refused if more than half of a subdir's records would leave the index at once."""
    if len(removed) > MASS_REMOVAL and 2 * len(removed) > index.count:
        raise Refused(
            subdir,
            f"{len(removed)} of {index.count} indexed packages are gone from the channel",
            "nothing was changed: check that the channel is complete, then repeat with --allow-mass-removal",
        )


def merge(index: Index, plan: Plan, results: Iterable[Extracted | Rejected], now_ms: int) -> Index:
    """The index with the packages that were read, and without the records that leave.

    A record without a date gets the date of the plan.  Records without a name leave, too.  The order of `results` does
    not matter.
    """
    results = tuple(results)
    leaving = dropped(index, plan, results)
    records = {name: record for name, record in index.records.items() if name not in leaving}
    for name in plan.dates.keys() & records.keys():
        records[name] = altered(records[name], {FIELD: plan.dates[name]})
    read = [result for result in results if isinstance(result, Extracted)]
    records.update((result.filename, dated(index, result, now_ms, plan.dates)) for result in read)
    v3 = (index.v3 - leaving - {result.filename for result in read}) | {result.filename for result in read if result.v3}
    return Index(
        records=records,
        v3=frozenset(v3),
        run_exports=_merged_run_exports(index, plan, records.keys(), read),
        removed=index.removed,
        info=index.info,
        rest=index.rest,
        v3_rest=_with_names(index),
        records_not_loaded=index.records_not_loaded,
    )


def _merged_run_exports(
    index: Index, plan: Plan, records: Collection[str], read: Iterable[Extracted]
) -> dict[str, Raw]:
    """The known run exports of the records, and those that belong to a run that has not ended."""
    run_exports = {name: value for name, value in index.run_exports.items() if name in records or name in plan.carried}
    for result in read:
        run_exports.pop(result.filename, None)
        if result.run_exports is not None:
            run_exports[result.filename] = result.run_exports
    return run_exports


def _with_names(index: Index) -> Mapping[str, Mapping[str, Raw]]:
    """The buckets of `v3` for other things than packages, without the records that have no name."""
    without = nameless(index)
    if not without:
        return index.v3_rest
    return {
        bucket: {key: record for key, record in records.items() if f"{key}.{bucket}" not in without}
        for bucket, records in index.v3_rest.items()
    }


def nameless(index: Index) -> frozenset[str]:
    """The records of other things than packages under `v3` that have no name: no reader and no shard has them."""
    return frozenset(
        f"{key}.{bucket}"
        for bucket, records in index.v3_rest.items()
        for key, record in records.items()
        if not identity_of(record).name
    )


def dated(index: Index, result: Extracted, now_ms: int, dates: Mapping[str, int] | None = None) -> Raw:
    """The record of a package that was read, with the `indexed_timestamp` that the package got first (CEP 47).

    Another artifact under the same name gets the date `now_ms`, and so does a package whose date is in the future.
    `dates` has the dates of packages whose records in the index have none.  A record that has its date already is
    returned as it is.
    """
    before = _known_record(index, result.filename)
    identity = identity_of(result.record)
    if before is None:
        date = identity.indexed_timestamp
    elif is_other_package(known := identity_of(before), identity):
        date = now_ms
    else:
        date = (dates or {}).get(result.filename, known.indexed_timestamp)
    return altered(result.record, {FIELD: now_ms if date is None or in_future(date, now_ms) else date})


def was_replaced(index: Index, result: Extracted) -> bool:
    """Whether a package that was read is another artifact than the one that the index has under the same file name."""
    before = _known_record(index, result.filename)
    return before is not None and is_other_package(identity_of(before), identity_of(result.record))


def _known_record(index: Index, filename: str) -> Raw | None:
    return index.records.get(filename, index.earlier.get(filename))
