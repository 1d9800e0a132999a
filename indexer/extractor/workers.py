"""The workers that read packages: threads of this process, processes with threads, or batches on any executor."""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import os
from concurrent.futures import BrokenExecutor, Executor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from indexer.core.value import Value
from indexer.store.concurrent import Limits, bounded
from indexer.store.open import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from indexer.core.model import Stat
    from indexer.core.usage import Usage
    from indexer.extractor.extract import ExtractSpec, Reading
    from indexer.extractor.processes import Pool
    from indexer.store import Store
    from indexer.store.target import Target

_log = logging.getLogger(__name__)

# The memory in bytes that all packages under way in one process may take together.
MEMORY = 64 * 2**20
# A bucket has latency, so many packages are read at once.  A folder has none, and more threads than cores wait for
# each other.
_PARALLEL_IN_BUCKET = 64
# Starting a process takes as long as reading some hundred packages.
_MIN_FOR_PROCESSES = 400
_BATCH_SIZE = 64
# In a container the share of the machine's cores is not always known, and each process takes memory.
_MAX_PROCESSES = 8


class Workers(Protocol):
    """Reads packages and returns their readings in the order in which they end."""

    def __call__(self, store: Store, spec: ExtractSpec, packages: Sequence[Stat]) -> Iterator[Reading]:
        """Read packages of one subdir.  The keys of `packages` are file names, without the subdir."""


def in_threads(executor: Executor, parallel: int) -> Workers:
    """Workers that read in threads of this process, `parallel` packages at once."""

    def workers(store: Store, spec: ExtractSpec, packages: Sequence[Stat]) -> Iterator[Reading]:
        # Imported late: a run that reads no package starts faster without this import.
        from indexer.extractor.extract import read, weight_of

        limits: Limits[Stat] = Limits(parallel, MEMORY, lambda stat: weight_of(stat, spec))
        return bounded(executor, lambda stat: read(store, stat.within(spec.subdir), spec), packages, limits)

    return workers


class BatchJob(Value, frozen=True):
    """The part that all batches of a run have in common, as it is sent to another process of this machine."""

    target: Target
    spec: ExtractSpec
    parallel: int


class BatchResult(Value, frozen=True):
    """The readings of one batch, and the requests and bytes that they took."""

    readings: list[Reading]
    usage: Usage


# One store for each process: making a client takes as long as reading some ten packages.
_store_here = functools.lru_cache(maxsize=1)(open_store)


def run_job(job: BatchJob, batch: Sequence[Stat]) -> BatchResult:
    """Read a batch of packages with the store of this process."""
    return read_batch(_store_here(job.target), job.spec, job.parallel, batch)


def read_batch(store: Store, spec: ExtractSpec, parallel: int, batch: Sequence[Stat]) -> BatchResult:
    """Read a batch of packages, `parallel` at once.  Nothing else may use the store at the same time: it counts."""
    before = replace(store.usage, requests=store.usage.requests.copy())
    with ThreadPoolExecutor(parallel) as threads:
        readings = list(in_threads(threads, parallel)(store, spec, batch))
    return BatchResult(readings, store.usage.since(before))


def in_processes(pool: Pool, target: Target, here: Workers, processes: int, parallel: int) -> Workers:
    """Workers that read in other processes, each `parallel` packages at once.

    If one of the processes dies, `here` reads the packages that have no reading yet.
    """

    def workers(store: Store, spec: ExtractSpec, packages: Sequence[Stat]) -> Iterator[Reading]:
        job = functools.partial(run_job, BatchJob(target, spec, parallel))
        rest = iter(packages)
        under_way: dict[str, Stat] = {}
        limits: Limits[Sequence[Stat]] = Limits(2 * processes)
        try:
            for done in bounded(pool.executor, job, _recorded(_batches(rest), under_way), limits, pool.end):
                store.usage.add(done.usage)
                for reading in done.readings:
                    under_way.pop(reading.result.filename)
                yield from done.readings
        except BrokenExecutor as error:
            _log.warning(
                "a process that reads packages ended early (%s), as it does if memory is short: this process reads "
                "the remaining packages; a lower --max-parallel needs less memory",
                error,
            )
            yield from here(store, spec, [*under_way.values(), *rest])

    return workers


def _batches(packages: Iterable[Stat]) -> Iterator[list[Stat]]:
    rest = iter(packages)
    return iter(lambda: list(itertools.islice(rest, _BATCH_SIZE)), [])


def _recorded(batches: Iterator[list[Stat]], under_way: dict[str, Stat]) -> Iterator[list[Stat]]:
    """The batches; the packages of each are recorded in `under_way` before a process gets the batch."""
    for batch in batches:
        under_way.update((stat.key, stat) for stat in batch)
        yield batch


def in_batches(
    executor: Executor, reader_for: Callable[[ExtractSpec], Callable[[Sequence[Stat]], BatchResult]], window: int
) -> Workers:
    """Workers that read in batches, at most `window` of them at once."""

    def workers(store: Store, spec: ExtractSpec, packages: Sequence[Stat]) -> Iterator[Reading]:
        limits: Limits[Sequence[Stat]] = Limits(window)
        for done in bounded(executor, reader_for(spec), _batches(packages), limits):
            store.usage.add(done.usage)
            yield from done.readings

    return workers


def parallel_for(target: Target) -> int:
    """How many packages are read at once without --max-parallel."""
    return _PARALLEL_IN_BUCKET if target.in_bucket else min(4, _cores())


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@contextlib.contextmanager
def local(target: Target, parallel: int, *, processes: bool = False) -> Iterator[Workers]:
    """Threads of this process; with `processes` also one process a core if there are many packages to read.

    A process imports the main module of the program again.  Pass `processes` only if that import does nothing else.
    """
    cores = min(_cores(), parallel, _MAX_PROCESSES)
    with ThreadPoolExecutor(parallel) as threads:
        in_this_process = in_threads(threads, parallel)

        def workers(store: Store, spec: ExtractSpec, packages: Sequence[Stat]) -> Iterator[Reading]:
            if not processes or cores < 2 or len(packages) < _MIN_FOR_PROCESSES:  # noqa: PLR2004  one process saves nothing
                yield from in_this_process(store, spec, packages)
                return
            # Imported late: the module imports multiprocessing, which most runs do not need.
            from indexer.extractor.processes import pool

            with pool(cores) as opened:  # the processes end with the reading: the rest of the run needs their memory
                each = max(1, parallel // cores)
                read = in_processes(opened, target, in_this_process, cores, each) if opened else in_this_process
                yield from read(store, spec, packages)

        yield workers
