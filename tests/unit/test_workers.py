"""Who reads packages: if a process dies, the packages that it had are read in this process."""

from __future__ import annotations

import threading
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import TYPE_CHECKING, Any

import pytest

from indexer.core.model import ETag, Rules, Stat
from indexer.extractor.extract import ExtractSpec, Reading, ReadStrategy, Vanished
from indexer.extractor.processes import Pool
from indexer.extractor.workers import BatchJob, in_processes, in_threads
from indexer.store.fs import FolderStore
from indexer.store.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from indexer.store import Store

COUNT = 500
SPEC = ExtractSpec("noarch", Rules(), 0)


class Breaking(Executor):
    """Does some jobs, then breaks: those that it was given after that and those that it is given now are lost."""

    def __init__(self, jobs: int) -> None:
        self.left = jobs
        self.has_job = threading.Event()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.left -= 1
        self.has_job.set()
        if self.left < 0:
            future.set_exception(BrokenExecutor("a process was killed"))
        else:
            future.set_result(fn(*args, **kwargs))
        return future


@pytest.mark.parametrize("jobs", [0, 1, 3, 100])
def test_each_package_is_read_once_whenever_a_process_dies(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, jobs: int
) -> None:
    ended: list[str] = []
    executor = Breaking(jobs)

    def here(store: Store, spec: ExtractSpec, packages: Sequence[Stat]) -> Iterator[Reading]:
        del store, spec
        assert executor.has_job.wait(60)  # this process has a job, so the other one gets the next
        return (Reading(Vanished(stat.key), ReadStrategy.WHOLE) for stat in packages)

    workers = in_processes(
        Pool(executor, lambda: ended.append("ended")), BatchJob(Target(str(tmp_path)), SPEC, 1), here, 2
    )
    packages = [Stat(f"p-1-{number}.conda", 1, ETag("v"), 0) for number in range(COUNT)]
    readings = list(workers(FolderStore(tmp_path), SPEC, packages))
    assert sorted(reading.result.filename for reading in readings) == sorted(stat.key for stat in packages)
    assert len(packages) == COUNT
    broken = executor.left < 0
    assert broken or jobs  # how many jobs each process gets depends on time
    assert (len(ended), "this process reads the remaining packages" in caplog.text) == (broken, broken)


def test_packages_in_a_row_are_small_and_each_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "noarch").mkdir()
    sizes = [*[1000] * 100, *[9 * 2**20] * 3, *[1000] * 5]
    packages = [Stat(f"p-1-{number}.conda", size, ETag("v"), 0) for number, size in enumerate(sizes)]
    rows: list[int] = []

    class Counting(Executor):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Future[Any]:
            future: Future[Any] = Future()
            rows.append(len(args[0]))
            future.set_result(fn(*args))
            return future

    readings = in_threads(Counting(), 4, 32)(FolderStore(tmp_path), SPEC, packages)
    assert sorted(reading.result.filename for reading in readings) == sorted(stat.key for stat in packages)
    assert rows == [32, 32, 32, 4, 1, 1, 1, 5]
