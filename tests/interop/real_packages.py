"""How real packages are indexed: at a fixed time, with every published file."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from indexer.commands.context import Context
from indexer.commands.index import index_channel
from indexer.core.model import Outputs
from indexer.core.options import Options
from indexer.extractor import workers
from indexer.store.clock import Clock
from indexer.store.open import open_store

if TYPE_CHECKING:
    from indexer import Target
    from indexer.core.report import Report

NOW_MS = 1_790_000_000_000  # in the past, or a check would fault the dates
WITH_BZ2 = Options(outputs=Outputs(bz2=True), verify_digests=True)


def run(target: Target, options: Options = WITH_BZ2) -> Report:
    """Index as the command does, at one certain moment."""
    parallel = workers.parallel_for(target)
    with workers.local(target, parallel) as local, ThreadPoolExecutor(16) as threads:
        return index_channel(open_store(target), options, Context(local, threads, Clock(now_ms=lambda: NOW_MS)))


@dataclass(frozen=True)
class Indexed:
    """A channel of real packages after a run."""

    target: Target
    report: Report
