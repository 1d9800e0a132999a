"""Bounded work on any executor: a window of jobs is under way, and no more than a budget of weight."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

J = TypeVar("J")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Limits(Generic[J]):
    """How much may be under way: `jobs` in number, `weight` in all by the measure `weigh`."""

    jobs: int
    weight: int
    weigh: Callable[[J], int]


def bounded(
    executor: Executor,
    run: Callable[[J], R],
    jobs: Iterable[J],
    bounds: Limits[J],
    abandon: Callable[[], None] = lambda: None,
) -> Iterator[R]:
    """The results of jobs as they end, with no more under way than the bounds allow.

    A job heavier than the whole budget runs alone.  If a job fails, or the caller stops early, those under way are
    waited for and the others are not begun.  `abandon` is called before that wait: it can make the jobs end early.
    """
    under_way: dict[Future[R], int] = {}
    heavy = 0
    try:
        for job in jobs:
            weight = bounds.weigh(job)
            while under_way and (len(under_way) >= bounds.jobs or heavy + weight > bounds.weight):
                done, _ = wait(under_way, return_when=FIRST_COMPLETED)
                for future in done:
                    heavy -= under_way.pop(future)
                    yield future.result()
            under_way[executor.submit(run, job)] = weight
            heavy += weight
        while under_way:
            done, _ = wait(under_way, return_when=FIRST_COMPLETED)
            for future in done:
                del under_way[future]
                yield future.result()
    except BaseException:
        abandon()
        raise
    finally:
        for future in under_way:
            future.cancel()
        wait(under_way)
