"""Runs jobs on any executor, with limits of their number and weight at the same time."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import Executor, Future, wait
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar

from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import ParamSpec

    from indexer.core.model import Stat

    P = ParamSpec("P")

J = TypeVar("J")
R = TypeVar("R")


class Limits(Value, Generic[J], frozen=True):
    """The limits of running jobs: their number and, with `weigh`, the sum of the weights that it returns."""

    jobs: int
    weight: int = sys.maxsize
    weigh: Callable[[J], int] | None = None


def bounded(
    executor: Executor,
    run: Callable[[J], R],
    jobs: Iterable[J],
    limits: Limits[J],
    abandon: Callable[[], None] = lambda: None,
) -> Iterator[R]:
    """The results of jobs in the order in which they end, within the limits.

    A job heavier than the limit runs alone.  If a job fails, or the caller stops early, no more jobs are started, and
    the running ones are waited for.  `abandon` is called before that wait: it can make them end early.
    """
    running: dict[Future[R], int] = {}
    ended: SimpleQueue[Future[R]] = SimpleQueue()  # `concurrent.futures.wait` looks at all running jobs for each result
    running_weight = 0
    try:
        for job in jobs:
            weight = limits.weigh(job) if limits.weigh else 0
            while running and (len(running) >= limits.jobs or running_weight + weight > limits.weight):
                future = ended.get()
                running_weight -= running.pop(future)
                yield future.result()
            future = executor.submit(run, job)
            running[future] = weight
            running_weight += weight
            future.add_done_callback(ended.put)
        while running:
            future = ended.get()
            del running[future]
            yield future.result()
    except BaseException:
        abandon()
        raise
    finally:
        for future in running:
            future.cancel()
        wait(running)


class DaemonThreads(Executor):
    """Runs each job in a thread of its own; the program can end while a job waits for a server that is silent."""

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Start a job."""
        future: Future[R] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001  raised where the result is asked for, as by any executor
                future.set_exception(error)
            else:
                future.set_result(result)

        threading.Thread(target=work, daemon=True).start()
        return future


def in_lists(stats: Iterable[Stat], count: int, size: int) -> Iterator[list[Stat]]:
    """The objects in lists of at most `count`, and of at most `size` bytes together; a larger object is alone."""
    batch: list[Stat] = []
    total = 0
    for stat in stats:
        if batch and (len(batch) == count or total + stat.size > size):
            yield batch
            batch, total = [], 0
        batch.append(stat)
        total += stat.size
    if batch:
        yield batch
