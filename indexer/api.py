"""What the commands call: index, check, gc, yank and ignore, with everything that a run of this machine needs.

Each imports what it alone needs when it is called.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from indexer import workers
from indexer.engine import index_channel
from indexer.options import Options, Run
from indexer.store.target import Target, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from contextlib import AbstractContextManager

    from indexer.gc import Sweep
    from indexer.report import Collected, Report, Verdict
    from indexer.store import Store

    Progress = Callable[[str, int, int], None]

_REQUESTS = 32


def index(
    target: Target | str,
    options: Options | None = None,
    *,
    max_parallel: int | None = None,
    progress: Progress | None = None,
    scheduler: str | None = None,
) -> Report:
    """Index the channel at `target`, an `s3://BUCKET[/PREFIX]` URL or a folder, and report.

    `max_parallel` is how many packages are read at once; the default suits where the channel lies.  With a
    `scheduler`, such as `tcp://HOST:8786`, packages are read by the workers of that dask.distributed cluster,
    so many at once on each of their threads.
    `progress` is called with subdir, packages read and packages to read.  Raises IndexerError for what
    concerns the whole channel; what concerns one subdir stands in its report.
    """
    where = _target(target)
    with _opened(where, max_parallel, progress, scheduler) as (store, run):
        return replace(index_channel(store, _fitting(where, options), run), channel=where.name)


def _fitting(where: Target, options: Options | None) -> Options:
    chosen = options or Options()
    if chosen.outputs.described and not chosen.outputs.channel:
        chosen = replace(chosen, outputs=replace(chosen.outputs, channel=where.title))
    return chosen


def yank(target: Target | str, packages: Collection[str], reason: str) -> Report:
    """Withdraw packages (`SUBDIR/FILENAME`) from the channel's index for a `reason`, and report.

    The files stay.  Every later run of indexer keeps the packages out until they are unyanked; a run of another
    indexer brings them back until indexer runs again.  What is published otherwise is as the last run left it.
    Raises IndexerError, where a package is not there before anything is changed.
    """
    return _carry_out(target, packages, reason)


def unyank(target: Target | str, packages: Collection[str]) -> Report:
    """Bring yanked packages (`SUBDIR/FILENAME`) back into the index, with the date they had, and report.

    Raises IndexerError.
    """
    return _carry_out(target, packages)


def ignore(target: Target | str, packages: Collection[str], reason: str) -> Report:
    """Ignore packages (`SUBDIR/FILENAME`) for a `reason`, and report.

    The files stay.  No later run of indexer reads or rejects the packages, and they leave the index, until `unignore`.
    Raises IndexerError; if a package is not in the channel, before anything is changed.
    """
    return _carry_out(target, packages, reason, ignore=True)


def unignore(target: Target | str, packages: Collection[str]) -> Report:
    """Read ignored packages (`SUBDIR/FILENAME`) again, index those that are good, and report.  Raises IndexerError."""
    return _carry_out(target, packages, ignore=True)


def _carry_out(
    target: Target | str, packages: Collection[str], reason: str | None = None, *, ignore: bool = False
) -> Report:
    from indexer.yanking import Order, carry_out

    order = Order(frozenset(packages), reason, ignore)
    where = _target(target)
    with _opened(where, None, None) as (store, run):
        return replace(carry_out(store, order, _fitting(where, None), run), channel=where.name)


def check(
    target: Target | str,
    *,
    subdirs: Sequence[str] = (),
    deep: bool = False,
    max_parallel: int | None = None,
    progress: Progress | None = None,
) -> Verdict:
    """Look whether the channel at `target` is sound, and change nothing.

    All subdirs are looked at unless some are named; with `deep` every indexed package is read.  Raises
    IndexerError where that cannot be told.
    """
    from indexer.audit import check_channel

    where = _target(target)
    with _opened(where, max_parallel, progress) as (store, run):
        verdict = check_channel(store, run, subdirs=subdirs, deep=deep, command=where.command)
        return replace(verdict, channel=where.name)


def gc(target: Target | str, sweep: Sweep | None = None) -> Collected:
    """Find, and delete where the `sweep` says so, the shards of a channel that no index names any more."""
    from indexer.gc import Sweep, collect

    where = _target(target)
    asked = replace(sweep or Sweep(), scratch=not where.in_bucket)
    with _opened(where, None, None) as (store, run):
        return replace(collect(store, asked, run), channel=where.name)


def _target(target: Target | str) -> Target:
    return Target(target) if isinstance(target, str) else target


@contextlib.contextmanager
def _opened(
    where: Target, max_parallel: int | None, progress: Progress | None, scheduler: str | None = None
) -> Iterator[tuple[Store, Run]]:
    parallel = max_parallel or workers.parallel_for(where)
    where = replace(where, connections=parallel + _REQUESTS)
    with _readers(where, parallel, scheduler) as read, ThreadPoolExecutor(_REQUESTS) as threads:
        run = Run(read, threads, vouching=where.in_bucket)
        yield open_store(where), run if progress is None else replace(run, progress=progress)


def _readers(where: Target, parallel: int, scheduler: str | None) -> AbstractContextManager[workers.Workers]:
    """Who reads the packages: this machine, or the workers of a cluster."""
    if scheduler is None:
        return workers.local(where, parallel)
    from indexer.cluster import connected  # it brings asyncio, which no other run should wait for

    return connected(scheduler, where, parallel)
