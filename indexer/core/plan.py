"""What is to be done: compare a listing with an index, guard against mass removal, merge what was read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from indexer.core.errors import Refused
from indexer.core.model import Extracted, Index, Plan, Rejected
from indexer.core.names import parse_filename
from indexer.core.records.dates import FIELD, in_future, is_other
from indexer.core.records.identity import altered, identity_of
from indexer.core.records.v3 import may_need_v3

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from indexer.core.model import ETag, Raw, Stat
    from indexer.core.records.identity import RecordIdentity
    from indexer.core.state import State

# A run that would drop more than this many records, and more than half of them, needs a person's word.
MASS_REMOVAL = 10
# S3 cuts times to seconds, and clocks differ.  By more than this only where no ledger tells, and the
# package was replaced by one of the same size within the difference.
_CLOCKS_DIFFER_MS = 2000


@dataclass(frozen=True, slots=True)
class DiffContext:
    """What a run knows besides index and listing.

    `state` is None where there is none, `index_matches_state` says that it and the index were written by the same
    run.  `index_written_ms` is when the index was last written.  `scope` holds the only file names to look at,
    None for all.  `replaced_in_run` are those that this run has met at another version before, `needs_metadata` those
    of which it is wanted and not known what they say of themselves.
    """

    state: State | None = None
    index_matches_state: bool = False
    index_written_ms: int = 0
    force: bool = False
    scope: frozenset[str] | None = None
    replaced_in_run: frozenset[str] = frozenset()
    needs_metadata: frozenset[str] = frozenset()


def diff(index: Index, packages: Mapping[str, Stat], known: DiffContext) -> Plan:
    """What to read, to drop and to keep, so that the index says what the listing `packages` shows.

    A record stands while its object is the one it was made from: the ledger saw this version; or size
    and MD5 are the record's; or, where no ledger tells, the size is the same and the object is older
    than the record.  Anything else is read again, so a replaced package is noticed.  What is listed as
    removed and still lies there was yanked: it stays out.  A package whose record readers cannot parse is read.
    What no package can be called goes, in scope or not:
    readers fail on it.  What another indexer left in a legacy map although old clients misread it is read again.
    """
    rejected_before = known.state.rejected if known.state else {}
    in_scope = index.records.keys() if known.scope is None else known.scope & index.records.keys()
    # What is listed as a package has the name of one.
    misnamed = frozenset(name for name in index.records if name not in packages and parse_filename(name) is None)
    fetch: list[Stat] = []
    held: set[str] = set()
    yanked = packages.keys() & set(index.removed)
    rejected: list[Rejected] = []
    seen: dict[str, ETag] = {}
    ask: list[Stat] = []
    for filename, stat in packages.items():
        record = index.records.get(filename)
        bad = rejected_before.get(filename)
        if filename in yanked:
            continue
        astray = (
            record is not None and not known.index_matches_state and filename not in index.v3 and may_need_v3(record)
        )
        unfit = astray or filename in index.unreadable
        if record is not None and not unfit and _stands(filename, stat, facts := identity_of(record), known):
            if known.force:
                fetch.append(stat)
                held.add(filename)
            elif bad is not None and bad.kept and bad.etag == stat.etag:
                rejected.append(Rejected(filename, stat.etag, bad.reason))
                held.add(filename)
            elif filename in known.needs_metadata:
                ask.append(stat)
            if stat.md5 is None or stat.md5 != facts.md5:
                seen[filename] = stat.etag
        elif bad is not None and bad.etag == stat.etag and not known.force:
            rejected.append(Rejected(filename, stat.etag, bad.reason))
            if (
                known.index_matches_state and not unfit
            ):  # a record that is there was kept by the run that rejected the package
                held.add(filename)
        else:
            fetch.append(stat)
    return Plan(
        to_read=tuple(fetch),
        keep_existing=frozenset(held),
        drop=frozenset(name for name in in_scope if name not in packages) | (yanked & index.records.keys()) | misnamed,
        rejected=tuple(rejected),
        yanked=frozenset(yanked),
        etags_to_remember=seen,
        to_describe=tuple(sorted(ask, key=lambda stat: stat.key)),
        carried=_carried(index, known.scope),
    )


def _carried(index: Index, scope: frozenset[str] | None) -> frozenset[str]:
    """Packages with run exports, without a record, and not looked at.

    Another run has written their run exports and not yet their records.  A run over a few packages does not list them,
    so only that run knows them, and it does not write their run exports again.
    """
    return frozenset() if scope is None else frozenset(index.run_exports.keys() - index.records.keys() - scope)


def _stands(filename: str, stat: Stat, facts: RecordIdentity, known: DiffContext) -> bool:
    if not facts.name or facts.size != stat.size or filename in known.replaced_in_run:
        return False
    if stat.md5 is not None and stat.md5 == facts.md5:
        return True
    if known.state is not None and known.index_matches_state:
        # Out of step it may have seen another object than the one that the record is of.
        etag = known.state.package_etags.get(filename)
        if etag is not None or known.state.etags_complete:
            # No entry: the version was the record's md5 then, and is not now.
            return etag == stat.etag
    indexed_ms = known.index_written_ms if facts.indexed_timestamp is None else facts.indexed_timestamp
    return stat.modified_ms + _CLOCKS_DIFFER_MS <= indexed_ms


def etags_to_remember(results: Iterable[Extracted | Rejected]) -> dict[str, ETag]:
    """The versions of packages that were read, where the record does not tell; as Plan has `seen`."""
    return {it.filename: it.etag for it in results if isinstance(it, Extracted) and not it.md5_matches_etag}


def dropped(index: Index, plan: Plan, results: Sequence[Extracted | Rejected]) -> frozenset[str]:
    """The file names whose records leave the index: gone, or replaced by something that is no package.

    A record of the very bytes that are rejected stays if readers can parse it: they got by with it until now.  One of a
    package that cannot be unpacked goes: no client can install it.
    """
    damaged = {it.filename for it in results if isinstance(it, Rejected) and it.damaged} & index.records.keys()
    spoilt = {
        result.filename
        for result in (*plan.rejected, *results)
        if isinstance(result, Rejected)
        and result.filename in index.records
        and (
            result.filename in index.unreadable
            or result.sha256 is None
            or identity_of(index.records[result.filename]).sha256 != result.sha256
        )
    }
    return plan.drop | (spoilt - plan.keep_existing) | damaged


def guard(index: Index, leaving: frozenset[str], subdir: str) -> None:
    """Raise Refused where more than half of a subdir's records would leave at once."""
    if len(leaving) > MASS_REMOVAL and 2 * len(leaving) > index.count:
        raise Refused(
            subdir,
            f"{len(leaving)} of {index.count} indexed packages are gone from the channel",
            "nothing was changed: look whether the channel is whole, then repeat with --allow-mass-removal",
        )


def merge(index: Index, plan: Plan, results: Iterable[Extracted | Rejected], now_ms: int) -> Index:
    """The index with what was read and without what is gone, and without `nameless` records.

    A record without a date gets that of the plan.  The order of `results` does not matter.
    """
    results = tuple(results)
    leaving = dropped(index, plan, results)
    records = {name: record for name, record in index.records.items() if name not in leaving}
    run_exports = {name: found for name, found in index.run_exports.items() if name in records or name in plan.carried}
    for name in plan.dates.keys() & records.keys():
        records[name] = altered(records[name], {FIELD: plan.dates[name]})
    v3 = set(index.v3 - leaving)
    for result in results:
        if isinstance(result, Rejected):
            continue
        name = result.filename
        records[name] = dated(index, result, now_ms, plan.dates)
        run_exports.pop(name, None)
        if result.run_exports is not None:
            run_exports[name] = result.run_exports
        (v3.add if result.v3 else v3.discard)(name)
    rest = index.v3_rest
    if nowhere := nameless(index):
        rest = {
            bucket: {key: record for key, record in others.items() if f"{key}.{bucket}" not in nowhere}
            for bucket, others in rest.items()
        }
    merged = replace(index, records=records, run_exports=run_exports, v3=frozenset(v3), v3_rest=rest)
    return replace(merged, earlier={}, unreadable={}, left_out={})


def nameless(index: Index) -> frozenset[str]:
    """The records under v3 of other things than packages that have no name: no reader and no shard has them."""
    return frozenset(
        f"{key}.{bucket}"
        for bucket, others in index.v3_rest.items()
        for key, record in others.items()
        if not identity_of(record).name
    )


def dated(index: Index, result: Extracted, now_ms: int, dates: Mapping[str, int] | None = None) -> Raw:
    """The record of a package that was read, with the `indexed_timestamp` that it was given first (CEP 47).

    Another artifact under the same name is dated `now_ms`, and so is one whose date is in the future.  `dates` has the
    dates of packages whose records in the index have none.  A record that has its date already is the same slice.
    """
    known = _known(index, result.filename)
    found = identity_of(result.record)
    if known is None:
        date = found.indexed_timestamp
    elif is_other(before := identity_of(known), found):
        date = now_ms
    else:
        date = (dates or {}).get(result.filename, before.indexed_timestamp)
    return altered(result.record, {FIELD: now_ms if date is None or in_future(date, now_ms) else date})


def replaced(index: Index, result: Extracted) -> bool:
    """Whether a package that was read is another artifact than the one that the index has under this name."""
    known = _known(index, result.filename)
    return known is not None and is_other(identity_of(known), identity_of(result.record))


def _known(index: Index, filename: str) -> Raw | None:
    return index.records.get(filename, index.earlier.get(filename))
