"""Publishes package files: checks all of them, sends those that the channel does not have, and indexes just these."""

from __future__ import annotations

import functools
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import asdict, replace

from indexer.commands.arrivals import check_channel, index_arrived, no_run, send_all
from indexer.commands.find_settings import find_settings, read_settings
from indexer.commands.publish.local_files import ValidFile, read_file
from indexer.commands.publish.send import existing_package, send
from indexer.commands.publish.upload_progress import UploadProgress
from indexer.commands.with_settings import given_by, settle
from indexer.core.channel_settings import KnownSettings, rules_of
from indexer.core.options import SentAttestations
from indexer.core.publishing import (
    PackageResult,
    PublishReport,
    Sending,
    check_distinct,
    planned,
    result_of,
    with_snapshot_warning,
)
from indexer.core.value import Value
from indexer.lister.named_snapshots import packages_in_snapshots

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from indexer.commands.context import Context
    from indexer.core.model import Rules
    from indexer.core.options import Options
    from indexer.core.publishing import PublishRequest
    from indexer.core.report import Report
    from indexer.store import Store

# How many packages are sent at the same time: as many as rattler-build sends.
_AT_ONCE = 4
_HELD_BACK = "another file was rejected, and --partial is not given"


def publish(
    store: Store, files: Sequence[Path], request: PublishRequest, options: Options, context: Context
) -> PublishReport:
    """Check package files, send those that the channel does not have, index these packages, and report.

    If a file is rejected, nothing is sent, unless the request is `partial`.  Raises BadConfig for a wrong target and a
    missing file, before anything is sent, and the errors that concern the whole channel.
    """
    began = context.clock.monotonic()
    files = list(dict.fromkeys(files))
    settings = PublishSettings(options, functools.cache(partial(read_settings, store)))
    valid, rejected = _checked(files, settings, context)
    if valid and (request.partial or not rejected):
        results, run = _publish_valid(store, valid, request, settings, context)
    else:
        results, run = [result_of(file.package, Sending.NOT_SENT, _HELD_BACK) for file in valid], no_run(store)
    results = _with_snapshots(store, results, context)
    by_file = {result.file: result for result in (*results, *rejected)}
    run = replace(run, seconds=context.clock.monotonic() - began)
    return PublishReport(**asdict(run), packages=tuple(by_file[str(file)] for file in files), partial=request.partial)


def _with_snapshots(store: Store, results: list[PackageResult], context: Context) -> list[PackageResult]:
    """The results; each replaced package that is in a named snapshot has a warning as its reason."""
    if not any(result.result.replaces for result in results):
        return results
    frozen = packages_in_snapshots(store, context.executor)
    return [with_snapshot_warning(result, frozen) for result in results]


class PublishSettings(Value, frozen=True):
    """The options of the run, and a function that reads the file of settings once."""

    options: Options
    read: Callable[[], KnownSettings | None]

    def rules(self) -> Rules:
        """The rules of the channel, and those of the options."""
        of_channel = (self.read() or KnownSettings()).settings
        return rules_of(of_channel.changed_by(given_by(self.options)))


def _checked(
    files: Sequence[Path], settings: PublishSettings, context: Context
) -> tuple[list[ValidFile], list[PackageResult]]:
    """The valid files, and the results of those that are rejected.  Raises BadConfig."""
    rules = settings.rules()
    read = [read_file(file, rules, context.clock.now_ms()) for file in files]
    valid = [file for file in read if isinstance(file, ValidFile)]
    check_distinct(file.package for file in valid)
    return valid, [result for result in read if isinstance(result, PackageResult)]


def _publish_valid(
    store: Store, files: Sequence[ValidFile], request: PublishRequest, settings: PublishSettings, context: Context
) -> tuple[list[PackageResult], Report]:
    """The result for each file, and the report of the run over the packages that the channel has now."""
    options = replace(settings.options, packages=frozenset(file.package.key for file in files))
    found = find_settings(store, options, context, settings.read)
    check_channel(store, options, context, found)
    settled = settle(store, options, context, found)
    if options.dry_run:
        return _planned(store, files, request, context), settled.finish(store, context, no_run(store))
    upload = Upload(request, context, UploadProgress(sum(file.package.size for file in files), context.progress))
    results = send_all(store, {file.package.key: partial(upload.send, file) for file in files}, context, _AT_ONCE)
    there = frozenset(result.key for result in results if result.result.is_in_channel)
    attested = replace(settled.options, sent_attestations=_sent_attestations(files))
    return results, settled.finish(store, context, index_arrived(store, there, attested, context, found))


def _sent_attestations(files: Sequence[ValidFile]) -> tuple[tuple[str, SentAttestations], ...]:
    return tuple(
        (file.package.key, SentAttestations(file.package.sha256, file.package.attestations.sha256))
        for file in files
        if file.package.attestations is not None
    )


def _planned(
    store: Store, files: Sequence[ValidFile], request: PublishRequest, context: Context
) -> list[PackageResult]:
    existing = context.executor.map(partial(existing_package, store), [file.package for file in files])
    return [result_of(file.package, planned(found, request)) for file, found in zip(files, existing, strict=True)]


class Upload(Value, frozen=True):
    """What the uploads of all packages share."""

    request: PublishRequest
    context: Context
    progress: UploadProgress

    def send(self, file: ValidFile, store: Store, check: Callable[[], None]) -> PackageResult:
        """Send one package; `check` is called before each chunk.  Raises Conflict: then try again."""
        package = file.package
        content = self.progress.counted(package.key, file.content(check))
        result = send(store, package, content, self.request)
        self.progress.set_sent(package.key, package.size)
        return result_of(package, result)
