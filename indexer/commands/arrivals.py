"""Puts packages into a channel, several at a time or one after the other under a lease, and indexes just these."""

from __future__ import annotations

import logging
import threading
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from indexer.commands.index import Start, index_channel
from indexer.commands.retry import until_no_conflict
from indexer.commands.select_subdirs import look_at_root, select_subdirs
from indexer.commands.yank import end_pruning
from indexer.core import names
from indexer.core.channel_settings import outputs_of
from indexer.core.errors import NoConditions, Unavailable
from indexer.core.publication import source_of
from indexer.core.report import Report
from indexer.store.concurrent import Limits, bounded
from indexer.writer.lease import Lease

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from indexer.commands.context import Context
    from indexer.commands.find_settings import Found
    from indexer.core.options import Options
    from indexer.store import Store

    Check = Callable[[], None]

R = TypeVar("R")

_log = logging.getLogger(__name__)

_NOT_GUARANTEED = (
    "packages are sent under a lease, which binds only programs that know the lease: another uploader of the same file "
    "name in the same instant may be overwritten (docs/providers.md)"
)


def no_run(store: Store) -> Report:
    """The report if no package is indexed."""
    return Report({}, usage=store.usage)


def check_channel(store: Store, options: Options, context: Context, found: Found) -> None:
    """Raise BadConfig for a wrong target.

    A run over packages that exist does not look for a channel if noarch is among their subdirs: here the packages are
    sent first, so a typo would make a new channel.
    """
    is_named = any(key.startswith(f"{names.NOARCH}/") for key in options.packages or ())
    outputs = outputs_of(found.known.settings)
    if is_named and not options.create and store.stat(f"{names.NOARCH}/{source_of(outputs)}") is None:
        look_at_root(store, options, context.channel)


def send_all(
    store: Store, senders: Mapping[str, Callable[[Store, Check], R]], context: Context, at_once: int
) -> list[R]:
    """The results of functions that send one package each, by its key, some at the same time.

    A function gets a store, and a function to call before each chunk.  If the store has no conditional writes, they are
    called one after the other under a lease.
    """
    stop = threading.Event()

    def check() -> None:
        if stop.is_set():
            raise Unavailable("the package", "is not sent any further", "repeat")

    def send_one(key: str) -> R:
        return until_no_conflict(key, context, partial(senders[key], store, check))

    try:
        return list(bounded(context.executor, send_one, senders, Limits(at_once), stop.set))
    except NoConditions as error:
        _log.warning("%s; %s", error.reason, _NOT_GUARANTEED)
    by_subdir = groupby(sorted(senders, key=_subdir_of), _subdir_of)
    return [
        result
        for subdir, keys in by_subdir
        for result in _send_under_lease(store, subdir, [senders[key] for key in keys], context)
    ]


def _send_under_lease(
    store: Store, subdir: str, senders: Sequence[Callable[[Store, Check], R]], context: Context
) -> list[R]:
    """Send packages of a subdir while its lease is held: each object is looked at right before it is written.

    The lease is renewed during each upload.
    """
    lease = Lease(store, f"{subdir}/", context.clock)

    def send_some() -> list[R]:
        with lease.held() as leased:
            return [send(leased, lease.keep) for send in senders]

    return until_no_conflict(subdir, context, send_some)


def _subdir_of(key: str) -> str:
    return key.partition("/")[0]


def index_arrived(store: Store, there: frozenset[str], options: Options, context: Context, found: Found) -> Report:
    """Index the packages that the channel has now, and no others."""
    if not there:
        return no_run(store)
    some = replace(options, packages=there)
    root = found.root if there == options.packages else select_subdirs(store, some, context.channel)
    report = index_channel(store, some, context, Start(root, found.saved))
    pruned = there & {f"{subdir}/{name}" for subdir, sub in report.subdirs.items() for name in sub.pruned}
    if not pruned:
        return report
    # A later `prune` would delete these objects, but now a person has published the same packages again.
    end_pruning(store, pruned, context)
    return index_channel(store, some, context, Start(root))
