"""What the commands call: index a channel, with everything that a run of this machine needs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from indexer import workers
from indexer.engine import index_channel
from indexer.options import Options, Run
from indexer.store.target import Target, open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from indexer.report import Report

_REQUESTS = 32


def index(
    target: Target | str,
    options: Options | None = None,
    *,
    max_parallel: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Report:
    """Index the channel at `target`, an `s3://BUCKET[/PREFIX]` URL or a folder, and report.

    `max_parallel` is how many packages are read at once; the default suits where the channel lies.
    `progress` is called with subdir, packages read and packages to read.  Raises IndexerError for what
    concerns the whole channel; what concerns one subdir stands in its report.
    """
    where = Target(target) if isinstance(target, str) else target
    parallel = max_parallel or workers.parallel_for(where)
    where = replace(where, connections=parallel + _REQUESTS)
    chosen = options or Options()
    if not where.in_bucket:
        # Nobody vouches for the digests of files in a folder.
        chosen = replace(chosen, verify_digests=True)
    with workers.local(where, parallel) as local, ThreadPoolExecutor(_REQUESTS) as threads:
        run = Run(local, threads) if progress is None else Run(local, threads, progress=progress)
        return replace(index_channel(open_store(where), chosen, run), channel=where.name)
