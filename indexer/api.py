"""What the commands call: index, check or tidy a channel, with everything that a run of this machine needs."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from indexer import workers
from indexer.audit import check_channel
from indexer.engine import index_channel
from indexer.gc import Sweep, collect
from indexer.options import Options, Run
from indexer.store.target import Target, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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
) -> Report:
    """Index the channel at `target`, an `s3://BUCKET[/PREFIX]` URL or a folder, and report.

    `max_parallel` is how many packages are read at once; the default suits where the channel lies.
    `progress` is called with subdir, packages read and packages to read.  Raises IndexerError for what
    concerns the whole channel; what concerns one subdir stands in its report.
    """
    where = _target(target)
    # Nobody vouches for the digests of files in a folder.
    chosen = options or Options()
    chosen = chosen if where.in_bucket else replace(chosen, verify_digests=True)
    with _opened(where, max_parallel, progress) as (store, run):
        return replace(index_channel(store, chosen, run), channel=where.name)


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
    where = _target(target)
    with _opened(where, max_parallel, progress) as (store, run):
        return replace(check_channel(store, run, subdirs=subdirs, deep=deep), channel=where.name)


def gc(target: Target | str, sweep: Sweep | None = None) -> Collected:
    """Find, and delete where the `sweep` says so, the shards of a channel that no index names any more."""
    where = _target(target)
    asked = replace(sweep or Sweep(), scratch=not where.in_bucket)
    with _opened(where, None, None) as (store, run):
        return replace(collect(store, asked, run), channel=where.name)


def _target(target: Target | str) -> Target:
    return Target(target) if isinstance(target, str) else target


@contextlib.contextmanager
def _opened(where: Target, max_parallel: int | None, progress: Progress | None) -> Iterator[tuple[Store, Run]]:
    parallel = max_parallel or workers.parallel_for(where)
    where = replace(where, connections=parallel + _REQUESTS)
    with workers.local(where, parallel) as local, ThreadPoolExecutor(_REQUESTS) as threads:
        run = Run(local, threads) if progress is None else Run(local, threads, progress=progress)
        yield open_store(where), run
