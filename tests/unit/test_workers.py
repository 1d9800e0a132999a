"""Who reads packages: if a process dies, the packages that it had are read in this process."""

from __future__ import annotations

from concurrent.futures import BrokenExecutor, Executor, Future
from typing import TYPE_CHECKING, Any

import pytest

from indexer.core.model import ETag, Rules, Stat
from indexer.extractor.extract import ExtractSpec, Reading, ReadStrategy, Vanished
from indexer.extractor.processes import Pool
from indexer.extractor.workers import in_processes
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

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.left -= 1
        if self.left < 0:
            future.set_exception(BrokenExecutor("a process was killed"))
        else:
            future.set_result(fn(*args, **kwargs))
        return future


def here(store: Store, spec: ExtractSpec, packages: Sequence[Stat]) -> Iterator[Reading]:
    del store, spec
    return (Reading(Vanished(f"here/{stat.key}"), ReadStrategy.WHOLE) for stat in packages)


@pytest.mark.parametrize("jobs", [0, 1, 3, 7, 8])
def test_each_package_is_read_once_whenever_a_process_dies(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, jobs: int
) -> None:
    ended: list[str] = []
    pool = Pool(Breaking(jobs), lambda: ended.append("ended"))
    workers = in_processes(pool, Target(str(tmp_path)), here, 2, 1)
    packages = [Stat(f"p-1-{number}.conda", 1, ETag("v"), 0) for number in range(COUNT)]
    wanted = {stat.key for stat in packages}
    readings = list(workers(FolderStore(tmp_path), SPEC, packages))
    names = [reading.result.filename for reading in readings]
    assert sorted(name.removeprefix("here/") for name in names) == sorted(wanted)
    assert len(packages) == COUNT
    broken = jobs < 8
    assert (len(ended), "this process reads the remaining packages" in caplog.text) == (broken, broken)
