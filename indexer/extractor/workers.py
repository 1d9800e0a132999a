"""Who reads the packages: threads of this process or, for many packages, processes with threads (or a cluster)."""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import os
from concurrent.futures import BrokenExecutor, Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from indexer.store.concurrent import Limits, bounded, drain
from indexer.store.open import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from indexer.core.model import Stat
    from indexer.core.usage import Usage
    from indexer.extractor.extract import ExtractSpec, Reading
    from indexer.extractor.processes import Pool
    from indexer.store import Store
    from indexer.store.target import Target

_log = logging.getLogger(__name__)

# What all packages under way in one process may take of memory together.
MEMORY = 64 * 2**20
# Of S3's latency; a folder has none, and more readers than cores only wait for each other.
_PARALLEL_IN_BUCKET = 64
# A process takes as long to start as some hundred packages to read.
_MANY = 400
_BATCH = 64
# A container's share of the machine is not always known, and each process takes memory.
_MAX_PROCESSES = 8


class Workers(Protocol):
    """Gives the readings of packages as they come, in no certain order."""

    def __call__(self, store: Store, spec: ExtractSpec, packages: list[Stat]) -> Iterator[Reading]:
        """Read packages of a subdir, which their keys are without.  The list is emptied as they are handed out."""


def in_threads(executor: Executor, parallel: int) -> Workers:
    """Workers that read in threads of this process, `parallel` packages at once."""

    def workers(store: Store, spec: ExtractSpec, packages: list[Stat]) -> Iterator[Reading]:
        from indexer.extractor.extract import read, weight_of  # a run that reads no package does not wait for it

        bounds: Limits[Stat] = Limits(parallel, MEMORY, lambda stat: weight_of(stat, spec))
        return bounded(executor, lambda stat: read(store, stat.within(spec.subdir), spec), drain(packages), bounds)

    return workers


@dataclass(frozen=True, slots=True)
class Job:
    """What every batch of a run shares, as it travels to another process of this machine."""

    target: Target
    spec: ExtractSpec
    parallel: int


@dataclass(frozen=True, slots=True)
class Done:
    """The readings of one batch, and what that process asked of the store for them."""

    readings: list[Reading]
    usage: Usage


# One store a process: to make a client takes as long as to read some ten packages.
_store_here = functools.lru_cache(maxsize=1)(open_store)


def run_job(job: Job, batch: Sequence[Stat]) -> Done:
    """Read a batch of packages in whatever process this is."""
    return read_batch(_store_here(job.target), job.spec, job.parallel, batch)


def read_batch(store: Store, spec: ExtractSpec, parallel: int, batch: Sequence[Stat]) -> Done:
    """Read a batch of packages of a store that nobody else uses meanwhile, `parallel` at once."""
    before = replace(store.usage, requests=store.usage.requests.copy())
    with ThreadPoolExecutor(parallel) as threads:
        readings = list(in_threads(threads, parallel)(store, spec, list(batch)))
    return Done(readings, store.usage.since(before))


def in_processes(pool: Pool, target: Target, here: Workers, processes: int, parallel: int) -> Workers:
    """Workers that read in other processes, each `parallel` packages at once.

    If one of the processes dies, `here` reads the packages that are left.
    """

    def workers(store: Store, spec: ExtractSpec, packages: list[Stat]) -> Iterator[Reading]:
        job = functools.partial(run_job, Job(target, spec, parallel))
        handed_out: dict[str, Stat] = {}
        bounds: Limits[Sequence[Stat]] = Limits(2 * processes, 2 * processes, lambda _: 1)
        try:
            for done in bounded(pool.executor, job, _noted(_batches(packages), handed_out), bounds, pool.end):
                store.usage.add(done.usage)
                for reading in done.readings:
                    del handed_out[reading.result.filename]
                yield from done.readings
        except BrokenExecutor as error:
            _log.warning(
                "a process that read packages ended before its work was done (%s), as it does if memory is short: "
                "this process reads the other packages; a lower --max-parallel needs less memory",
                error,
            )
            left = [*handed_out.values(), *packages]
            packages.clear()
            yield from here(store, spec, left)

    return workers


def _batches(packages: list[Stat]) -> Iterator[list[Stat]]:
    ahead = drain(packages)
    return iter(lambda: list(itertools.islice(ahead, _BATCH)), [])


def _noted(batches: Iterator[list[Stat]], handed_out: dict[str, Stat]) -> Iterator[list[Stat]]:
    """Batches, each noted in `handed_out` before it is given to a process."""
    for batch in batches:
        handed_out.update((stat.key, stat) for stat in batch)
        yield batch


def in_batches(
    executor: Executor, job_for: Callable[[ExtractSpec], Callable[[Sequence[Stat]], Done]], window: int
) -> Workers:
    """Workers that read in batches, `window` of them under way."""

    def workers(store: Store, spec: ExtractSpec, packages: list[Stat]) -> Iterator[Reading]:
        bounds: Limits[Sequence[Stat]] = Limits(window, window, lambda _: 1)
        for done in bounded(executor, job_for(spec), _batches(packages), bounds):
            store.usage.add(done.usage)
            yield from done.readings

    return workers


def parallel_for(target: Target) -> int:
    """How many packages are read at once where nobody says."""
    return _PARALLEL_IN_BUCKET if target.in_bucket else min(4, _cores())


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@contextlib.contextmanager
def local(target: Target, parallel: int, *, processes: bool = False) -> Iterator[Workers]:
    """Threads of this process; with `processes` also one process a core if there are many packages to read.

    A process imports the main module of the program again, so only who knows that this does no harm asks for them.
    """
    cores = min(_cores(), parallel, _MAX_PROCESSES)
    with ThreadPoolExecutor(parallel) as threads:
        few = in_threads(threads, parallel)

        def workers(store: Store, spec: ExtractSpec, packages: list[Stat]) -> Iterator[Reading]:
            if not processes or cores < 2 or len(packages) < _MANY:  # noqa: PLR2004  one process saves nothing
                yield from few(store, spec, packages)
                return
            from indexer.extractor.processes import pool  # it imports multiprocessing, which is seldom needed

            with pool(cores) as some:  # they end when all is read, because what follows needs the memory
                each = max(1, parallel // cores)
                read_here = few if some is None else in_processes(some, target, few, cores, each)
                yield from read_here(store, spec, packages)

        yield workers
