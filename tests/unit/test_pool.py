"""Work is bounded by number and by weight, and what fails leaves nothing running."""

from __future__ import annotations

import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from indexer.store.concurrent import Limits, bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Observed(Executor):
    """Threads behind a count: how many jobs, and how much weight, was under way at most."""

    def __init__(self, threads: Executor) -> None:
        self.now: list[int] = []
        self.most_jobs = self.most_weight = self.begun = 0
        self._threads = threads
        self._lock = threading.Lock()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        with self._lock:
            self.begun += 1
            self.now.append(args[0])
            self.most_jobs = max(self.most_jobs, len(self.now))
            self.most_weight = max(self.most_weight, sum(self.now))
        future = self._threads.submit(fn, *args, **kwargs)
        future.add_done_callback(lambda _: self._end(args[0]))
        return future

    def _end(self, weight: int) -> None:
        with self._lock:
            self.now.remove(weight)


@pytest.fixture
def executor() -> Iterator[Observed]:
    with ThreadPoolExecutor(8) as threads:
        yield Observed(threads)


class Scripted(Executor):
    """Runs nothing: once the second job is there, the first has failed and the second has ended."""

    def __init__(self) -> None:
        self.futures: list[Future[Any]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.futures.append(future)
        if len(self.futures) == 2:
            self.futures[0].set_exception(KeyError("first"))
            self.futures[1].set_result(1)
        return future


def by_itself(job: int) -> int:
    return job


def test_every_job_has_its_result(executor: Observed) -> None:
    result = bounded(executor, lambda job: job * 2, range(100), Limits(4, 10_000, by_itself))
    assert sorted(result) == [job * 2 for job in range(100)]


def test_no_jobs_have_no_results(executor: Observed) -> None:
    assert list(bounded(executor, by_itself, [], Limits(4, 4, by_itself))) == []


def test_no_more_jobs_are_under_way_than_allowed(executor: Observed) -> None:
    assert len(list(bounded(executor, by_itself, [1] * 200, Limits(3, 10_000, by_itself)))) == 200
    assert executor.most_jobs <= 3


def test_no_more_weight_is_under_way_than_allowed(executor: Observed) -> None:
    jobs = [4, 1, 3, 2, 5, 1, 1] * 20
    assert sorted(bounded(executor, by_itself, jobs, Limits(100, 6, by_itself))) == sorted(jobs)
    assert executor.most_weight <= 6


def test_the_bounds_are_made_use_of() -> None:
    both = threading.Barrier(3)  # broken, and so an error, unless three jobs are under way together
    with ThreadPoolExecutor(3) as threads:
        result = bounded(threads, lambda _: both.wait(60), range(6), Limits(3, 3, lambda _: 1))
        assert sorted(result) == [0, 0, 1, 1, 2, 2]


def test_a_job_heavier_than_the_budget_runs_alone(executor: Observed) -> None:
    alone: list[list[int]] = []

    def run(job: int) -> int:
        if job > 10:
            alone.append(list(executor.now))
        return job

    assert sorted(bounded(executor, run, [1, 2, 99, 3, 98, 1], Limits(8, 10, by_itself))) == [1, 1, 2, 3, 98, 99]
    assert sorted(alone) == [[98], [99]]


def test_jobs_are_taken_only_when_there_is_room() -> None:
    taken: list[int] = []

    def jobs() -> Iterator[int]:
        for job in range(100):
            taken.append(job)
            yield job

    with ThreadPoolExecutor(2) as threads:
        result = bounded(threads, by_itself, jobs(), Limits(2, 100_000, by_itself))
        assert taken == []
        next(result)
        assert len(taken) <= 4
        result.close()  # type: ignore[attr-defined]  # a generator
    assert len(taken) <= 4


def test_where_a_job_fails_the_error_comes_out_and_no_other_job_is_begun() -> None:
    executor = Scripted()
    with pytest.raises(KeyError, match="first"):
        list(bounded(executor, by_itself, range(100), Limits(2, 100_000, by_itself)))
    assert len(executor.futures) == 2


def test_where_a_job_fails_those_under_way_are_waited_for() -> None:
    begun, failed, ended = threading.Event(), threading.Event(), threading.Event()

    def run(job: int) -> int:
        if job == 0:
            assert begun.wait(60)
            failed.set()
            raise KeyError("first")
        begun.set()
        assert failed.wait(60)
        ended.set()
        return job

    with ThreadPoolExecutor(2) as threads:
        with pytest.raises(KeyError, match="first"):
            list(bounded(threads, run, [0, 1], Limits(2, 100_000, by_itself)))
        assert ended.is_set()
