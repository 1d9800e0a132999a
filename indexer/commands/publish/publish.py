"""Publishes package files: checks all of them, sends those that the channel does not have, and indexes just these."""

from __future__ import annotations

import functools
import logging
import threading
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

from msgspec.structs import asdict, replace

from indexer.commands.find_settings import find_settings, read_settings
from indexer.commands.index import Start, index_channel
from indexer.commands.publish.local_files import ValidFile, read_file
from indexer.commands.publish.send import existing_package, send
from indexer.commands.publish.upload_progress import UploadProgress
from indexer.commands.retry import until_no_conflict
from indexer.commands.select_subdirs import look_at_root, select_subdirs
from indexer.commands.with_settings import given_by, settle
from indexer.core import names
from indexer.core.channel_settings import KnownSettings, outputs_of, rules_of
from indexer.core.errors import NoConditions, Unavailable
from indexer.core.options import SentAttestations
from indexer.core.publication import source_of
from indexer.core.publishing import PackageResult, PublishReport, Sending, check_distinct, planned, result_of
from indexer.core.report import Report
from indexer.core.value import Value
from indexer.store.concurrent import Limits, bounded
from indexer.writer.lease import Lease

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from indexer.commands.context import Context
    from indexer.commands.find_settings import Found
    from indexer.core.model import Rules
    from indexer.core.options import Options
    from indexer.core.publishing import PublishRequest
    from indexer.store import Store

_log = logging.getLogger(__name__)

# How many packages are sent at the same time: as many as rattler-build sends.
_AT_ONCE = 4
_HELD_BACK = "another file was rejected, and --partial is not given"
_NOT_GUARANTEED = (
    "packages are sent under a lease, which binds only programs that know the lease: another uploader of the same file "
    "name in the same instant may be overwritten (docs/providers.md)"
)


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
        results, run = [result_of(file.package, Sending.NOT_SENT, _HELD_BACK) for file in valid], _no_run(store)
    by_file = {result.file: result for result in (*results, *rejected)}
    run = replace(run, seconds=context.clock.monotonic() - began)
    return PublishReport(**asdict(run), packages=tuple(by_file[str(file)] for file in files), partial=request.partial)


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
    _check_channel(store, options, context, found)
    settled = settle(store, options, context, found)
    if options.dry_run:
        return _planned(store, files, request, context), settled.finish(store, context, _no_run(store))
    results = _send_all(store, files, request, context)
    attested = replace(settled.options, sent_attestations=_sent_attestations(files))
    return results, settled.finish(store, context, _index(store, results, attested, context, found))


def _sent_attestations(files: Sequence[ValidFile]) -> tuple[tuple[str, SentAttestations], ...]:
    return tuple(
        (file.package.key, SentAttestations(file.package.sha256, file.package.attestations.sha256))
        for file in files
        if file.package.attestations is not None
    )


def _no_run(store: Store) -> Report:
    """The report if no package is indexed."""
    return Report({}, usage=store.usage)


def _check_channel(store: Store, options: Options, context: Context, found: Found) -> None:
    """Raise BadConfig for a wrong target.

    A run over packages that exist does not look for a channel if noarch is among their subdirs: here the packages are
    sent first, so a typo would make a new channel.
    """
    is_named = any(key.startswith(f"{names.NOARCH}/") for key in options.packages or ())
    outputs = outputs_of(found.known.settings)
    if is_named and not options.create and store.stat(f"{names.NOARCH}/{source_of(outputs)}") is None:
        look_at_root(store, options, context.channel)


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

    def send(self, store: Store, file: ValidFile, check: Callable[[], None]) -> PackageResult:
        """Send one package; `check` is called before each chunk.  Raises Conflict: then try again."""
        package = file.package
        content = self.progress.counted(package.key, file.content(check))
        result = send(store, package, content, self.request)
        self.progress.set_sent(package.key, package.size)
        return result_of(package, result)


def _send_all(
    store: Store, files: Sequence[ValidFile], request: PublishRequest, context: Context
) -> list[PackageResult]:
    """Send files, some at the same time; if the store has no conditional writes, one after the other under a lease."""
    stop = threading.Event()
    upload = Upload(request, context, UploadProgress(sum(file.package.size for file in files), context.progress))

    def check() -> None:
        if stop.is_set():
            raise Unavailable("the package", "is not sent any further", "repeat")

    def send_one(file: ValidFile) -> PackageResult:
        return until_no_conflict(file.package.key, context, partial(upload.send, store, file, check))

    try:
        return list(bounded(context.executor, send_one, files, Limits(_AT_ONCE), stop.set))
    except NoConditions as error:
        _log.warning("%s; %s", error.reason, _NOT_GUARANTEED)
    by_subdir = groupby(sorted(files, key=_subdir_of), _subdir_of)
    return [result for subdir, some in by_subdir for result in _send_under_lease(store, subdir, list(some), upload)]


def _send_under_lease(store: Store, subdir: str, files: Sequence[ValidFile], upload: Upload) -> list[PackageResult]:
    """Send the files of a subdir while its lease is held: each object is looked at right before it is written.

    The lease is renewed during each upload.
    """
    lease = Lease(store, f"{subdir}/", upload.context.clock)

    def send_some() -> list[PackageResult]:
        with lease.held() as leased:
            return [upload.send(leased, file, lease.keep) for file in files]

    return until_no_conflict(subdir, upload.context, send_some)


def _subdir_of(file: ValidFile) -> str:
    return file.package.key.partition("/")[0]


def _index(store: Store, results: Sequence[PackageResult], options: Options, context: Context, found: Found) -> Report:
    """Index the packages that the channel has now, and no others."""
    there = frozenset(result.key for result in results if result.result.is_in_channel)
    if not there:
        return _no_run(store)
    some = replace(options, packages=there)
    root = found.root if there == options.packages else select_subdirs(store, some, context.channel)
    return index_channel(store, some, context, Start(root, found.saved))
