"""The workers that read packages: threads of this process, processes with threads, or batches on any executor."""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import os
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

from msgspec.structs import replace

from indexer.core.usage import Usage
from indexer.core.value import Value
from indexer.store.concurrent import Limits, bounded, in_lists
from indexer.store.open import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from indexer.core.model import Stat
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
# A small package in a folder is read in a few times the time that a thread needs to take a job.
_IN_ROW_IN_FOLDER = 32
_MAX_ROW = 2**20
# A process takes the CPU time of some 250 packages to start.  With these numbers of packages processes save time, also
# if the server of the bucket is on the same cores (ADR 5).
_MIN_FOR_PROCESSES = 1000
_MIN_FOR_PROCESSES_IN_BUCKET = 4000
_BATCH_SIZE = 64
# In a container the share of the machine's cores is not always known, and each process takes memory.
_MAX_PROCESSES = 8


class Workers(Protocol):
    """Reads packages and returns their readings in the order in which they end."""

    def __call__(self, store: Store, spec: ExtractSpec, packages: Sequence[Stat]) -> Iterator[Reading]:
        """Read packages of one subdir.  The keys of `packages` are file names, without the subdir."""


def in_threads(executor: Executor, parallel: int, in_row: int = 1) -> Workers:
    """Workers that read in threads of this process, `parallel` packages at once.

    Each thread reads up to `in_row` small packages in a row before it gets the next ones.
    """

    def workers(store: Store, spec: ExtractSpec, packages: Sequence[Stat]) -> Iterator[Reading]:
        # Imported late: a run that reads no package starts faster without this import.
        from indexer.extractor.extract import read, weight_of

        def read_row(row: Sequence[Stat]) -> list[Reading]:
            return [read(store, stat.within(spec.subdir), spec) for stat in row]

        limits: Limits[Sequence[Stat]] = Limits(
            parallel, MEMORY, lambda row: max(weight_of(stat, spec) for stat in row)
        )
        for readings in bounded(executor, read_row, in_lists(packages, in_row, _MAX_ROW), limits):
            yield from readings

    return workers


class BatchJob(Value, frozen=True):
    """The part that all batches of a run have in common, as it is sent to another process of this machine."""

    target: Target
    spec: ExtractSpec
    parallel: int
    in_row: int = 1


class BatchResult(Value, frozen=True):
    """The readings of one batch, and the requests and bytes that they took."""

    readings: list[Reading]
    usage: Usage


# One store for each process: making a client takes as long as reading some ten packages.
_store_here = functools.lru_cache(maxsize=1)(open_store)


def run_job(job: BatchJob, batch: Sequence[Stat]) -> BatchResult:
    """Read a batch of packages with the store of this process."""
    return read_batch(_store_here(job.target), job.spec, job.parallel, batch, job.in_row)


def read_batch(store: Store, spec: ExtractSpec, parallel: int, batch: Sequence[Stat], in_row: int = 1) -> BatchResult:
    """Read a batch of packages, `parallel` at once.  Nothing else may use the store at the same time: it counts."""
    before = replace(store.usage, requests=store.usage.requests.copy())
    with ThreadPoolExecutor(parallel) as threads:
        readings = list(in_threads(threads, parallel, in_row)(store, spec, batch))
    return BatchResult(readings, store.usage.since(before))


class _WithThisProcess(Executor):
    """Gives a job to this process if it has none, else to other processes; `here` has one thread."""

    def __init__(self, others: Executor, here: Executor, run_here: Callable[..., Any]) -> None:
        self._others, self._here, self._run_here = others, here, run_here
        self._running: Future[Any] | None = None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Future[Any]:
        if self._running is not None and not self._running.done():
            return self._others.submit(fn, *args)
        self._running = self._here.submit(self._run_here, *args)
        return self._running


def in_processes(pool: Pool, job: BatchJob, here: Workers, processes: int) -> Workers:
    """Workers that read in this process and in other processes.

    If one of the processes dies, this process, whose workers are `here`, reads the packages that have no reading yet.
    """

    def workers(store: Store, spec: ExtractSpec, packages: Sequence[Stat]) -> Iterator[Reading]:
        def read_here(batch: Sequence[Stat]) -> BatchResult:
            return BatchResult(list(here(store, spec, batch)), Usage())  # the store has counted

        rest = iter(packages)
        under_way: dict[str, Stat] = {}
        limits: Limits[Sequence[Stat]] = Limits(1 + 2 * processes)
        run = functools.partial(run_job, job)
        try:
            with ThreadPoolExecutor(1) as thread:
                executor = _WithThisProcess(pool.executor, thread, read_here)
                for done in bounded(executor, run, _recorded(_batches(rest), under_way), limits, pool.end):
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
    """Threads of this process; with `processes` also processes, one for each further core, if there are many packages.

    A process imports the main module of the program again.  Pass `processes` only if that import does nothing else.
    """
    cores = min(_cores(), parallel, _MAX_PROCESSES)
    in_row = 1 if target.in_bucket else _IN_ROW_IN_FOLDER
    enough = _MIN_FOR_PROCESSES_IN_BUCKET if target.in_bucket else _MIN_FOR_PROCESSES
    with ThreadPoolExecutor(parallel) as threads:
        in_this_process = in_threads(threads, parallel, in_row)

        def workers(store: Store, spec: ExtractSpec, packages: Sequence[Stat]) -> Iterator[Reading]:
            if not processes or cores < 2 or len(packages) < enough:  # noqa: PLR2004  one process saves nothing
                yield from in_this_process(store, spec, packages)
                return
            # Imported late: the module imports multiprocessing, which most runs do not need.
            from indexer.extractor.processes import pool

            with pool(
                cores - 1
            ) as opened:  # the processes end with the reading: the rest of the run needs their memory
                if opened is None:
                    yield from in_this_process(store, spec, packages)
                    return
                each = max(1, parallel // cores)
                here = in_threads(threads, each, in_row)
                read = in_processes(opened, BatchJob(target, spec, each, in_row), here, cores - 1)
                yield from read(store, spec, packages)

        yield workers
