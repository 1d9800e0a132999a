"""Promotes packages: selects them in one channel, copies those that another channel lacks, and indexes just these."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import asdict, replace

from indexer.commands.arrivals import check_channel, index_arrived, no_run, send_all
from indexer.commands.find_settings import find_settings
from indexer.commands.promote.source import read_subdir
from indexer.commands.promote.transfer import transfer
from indexer.commands.publish.send import existing_package
from indexer.commands.retry import until_no_conflict
from indexer.commands.with_settings import settle
from indexer.core.errors import BadConfig
from indexer.core.options import SentAttestations
from indexer.core.promotion import Packages, named, selected, union_of, wanted_of, with_dependencies
from indexer.core.publishing import PromoteReport, PublishRequest, Sending, planned, result_of
from indexer.core.usage import Usage
from indexer.core.value import Value
from indexer.extractor.promoted import with_promoted_records
from indexer.lister.subdirs import check_channel as check_root
from indexer.lister.subdirs import root_of
from indexer.store.channel_folder import ChannelFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from indexer.commands.context import Context
    from indexer.commands.promote.source import SourcePackage, SourceSubdir
    from indexer.commands.promote.transfer import Transferred
    from indexer.core.options import Options
    from indexer.core.promotion import Selection, Wanted
    from indexer.core.publishing import PackageResult
    from indexer.core.report import Report
    from indexer.store import Store

# How many packages are copied at the same time: a copy within a store takes no memory and no bandwidth here.
_AT_ONCE = 16


class Source(Value, frozen=True):
    """The channel that packages are copied from, and its name in messages."""

    store: Store
    channel: str = ""


class PromoteRequest(Value, frozen=True):
    """The packages to promote, by `SUBDIR/FILENAME` or by pattern; with the packages that these need if wanted."""

    packages: tuple[str, ...]
    with_dependencies: bool = False


def promote(source: Source, store: Store, request: PromoteRequest, options: Options, context: Context) -> PromoteReport:
    """Copy packages of one channel to the channel in `store`, index these packages there, and report.

    Raises BadConfig and Refused before anything is written, and the errors that concern a whole channel.
    """
    began = context.clock.monotonic()
    selection, found = _find(source, store, request, context)
    results, run = _promote(source, store, found, options, context)
    usage = Usage()
    for used in (source.store.usage, store.usage):
        usage.add(used)
    run = replace(run, seconds=context.clock.monotonic() - began, usage=usage)
    results = sorted(results, key=lambda result: result.key)
    return PromoteReport(**asdict(run), packages=tuple(results), source=source.channel, notes=selection.notes)


def _find(
    source: Source, store: Store, request: PromoteRequest, context: Context
) -> tuple[Selection, list[SourcePackage]]:
    """The selected packages, as they are in the channel that they are copied from."""
    wanted = wanted_of(request.packages)
    if request.with_dependencies:
        return _find_with_dependencies(source, store, wanted, context)
    parts = []
    found: dict[str, SourcePackage] = {}
    for subdir in _read_each(source.store, _subdirs_of(source, wanted.subdirs), context):
        parts.append(subdir.packages(wanted))
        found |= {key: subdir.package(key.partition("/")[2]) for key in named(wanted, parts[-1])}
    return selected(wanted, union_of(parts), source.channel), list(found.values())


def _find_with_dependencies(
    source: Source, store: Store, wanted: Wanted, context: Context
) -> tuple[Selection, list[SourcePackage]]:
    """The same with all that these packages need.  The indexes of FROM are in memory, of TO what packages need."""
    subdirs = _subdirs_of(source, None)
    read = {subdir.name: subdir for subdir in _read_each(source.store, subdirs, context)}
    every = union_of(subdir.packages() for subdir in read.values())
    there = union_of(subdir.packages() for subdir in _read_each(store, subdirs, context))
    selection = with_dependencies(selected(wanted, every, source.channel), every, Packages(there.visible), subdirs)
    parts = [key.partition("/") for key in sorted(selection.keys)]
    return selection, [read[subdir].package(filename) for subdir, _, filename in parts]


def _subdirs_of(source: Source, only: Collection[str] | None) -> Sequence[str]:
    """The subdirs to read: the named ones, or all of the channel.  Raises BadConfig if there is no such channel."""
    if only is not None:
        return sorted(only)
    root = root_of(source.store)
    check_root(root, source.channel)
    if not root.found:
        reason = "has no subdir such as noarch or linux-64"
        raise BadConfig(source.channel, reason, "nothing was changed: name the channel that has the packages")
    return root.subdirs


def _read_each(store: Store, subdirs: Iterable[str], context: Context) -> Iterator[SourceSubdir]:
    """Subdirs of a channel, one after the other, each without a write in between."""
    for subdir in subdirs:
        folder = ChannelFolder(store, subdir, context.executor)
        yield until_no_conflict(subdir, context, partial(read_subdir, folder))


def _promote(
    source: Source, store: Store, found: Sequence[SourcePackage], options: Options, context: Context
) -> tuple[list[PackageResult], Report]:
    """The result for each package, and the report of the run over the packages that the channel has now."""
    by_key = {one.package.key: one for one in found}
    if not by_key:
        return [], no_run(store)
    options = replace(options, packages=frozenset(by_key))
    settings = find_settings(store, options, context)
    check_channel(store, options, context, settings)
    settled = settle(store, options, context, settings)
    if options.dry_run:
        return _planned(store, found, context), settled.finish(store, context, no_run(store))
    transferred = _transfer_all(source, store, found, context)
    there = frozenset(key for key, done in transferred.items() if done.result.is_in_channel)
    records = {key: by_key[key].record_of_copy(transferred[key].etag) for key in there}
    context = replace(context, workers=with_promoted_records(context.workers, records))
    attested = replace(settled.options, sent_attestations=_attestations(by_key, transferred))
    report = index_arrived(store, there, attested, context, settings)
    results = [_result_of(one, transferred[key]) for key, one in by_key.items()]
    return results, settled.finish(store, context, report)


def _attestations(
    packages: Mapping[str, SourcePackage], transferred: Mapping[str, Transferred]
) -> dict[str, SentAttestations]:
    return {
        key: SentAttestations(packages[key].package.sha256, done.attestations)
        for key, done in transferred.items()
        if done.attestations
    }


def _planned(store: Store, found: Sequence[SourcePackage], context: Context) -> list[PackageResult]:
    existing = context.executor.map(partial(existing_package, store), [one.package for one in found])
    plans = [planned(there, PublishRequest(), Sending.WOULD_PROMOTE) for there in existing]
    return [result_of(one.package, plan) for one, plan in zip(found, plans, strict=True)]


def _transfer_all(
    source: Source, store: Store, found: Sequence[SourcePackage], context: Context
) -> dict[str, Transferred]:
    def send(one: SourcePackage, store: Store, check: Callable[[], None]) -> tuple[str, Transferred]:
        return one.package.key, transfer(source.store, one, store, check)

    return dict(send_all(store, {one.package.key: partial(send, one) for one in found}, context, _AT_ONCE))


def _result_of(one: SourcePackage, done: Transferred) -> PackageResult:
    return replace(result_of(one.package, done.result), attestations=bool(done.attestations))
