"""What a run needs from outside: workers, threads, a clock, a place for progress."""

from __future__ import annotations

import random
import shlex
from typing import TYPE_CHECKING

from msgspec import field

from indexer.core.first_run import STAGE
from indexer.core.progress import silent
from indexer.core.value import Value
from indexer.store.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from indexer.core.progress import Step
    from indexer.extractor.workers import Workers
    from indexer.store import StoreTests


class WorkerOptions(Value, frozen=True):
    """Where packages are read, and how many at once.

    `max_parallel` is a number of packages; the default depends on the store.  With a `scheduler`, such as
    `tcp://HOST:8786`, the workers of that dask.distributed cluster read the packages, `max_parallel` on each of their
    threads.  With `processes`, further processes of this machine help to read many packages (1,000 of a folder,
    4,000 of a bucket), one process a core.  Each process imports the main module of the program again, so the code of
    that module must be below `if __name__ == "__main__":`.
    """

    max_parallel: int | None = None
    scheduler: str | None = None
    processes: bool = False


class Context(Value, frozen=True):
    """What a run needs from outside.

    `workers` read packages, `executor` runs independent requests; no job on it waits for another job.
    `subdir_executor` runs the work on subdirs side by side; without it one subdir is indexed after the other.
    `progress` is called with each step of a phase, never by two threads at once.
    `stored_checksums` is false for a folder: a folder has no object metadata with the digests of packages, so each byte
    is hashed.  `channel` is the target's name for messages, `title` its name for people, for pages and feeds.
    `store_tests` are those that the store makes, None if it needs none.  `stage` is the number of packages in a
    stage of the first run over a subdir.
    """

    workers: Workers
    executor: Executor
    clock: Clock = field(default_factory=Clock)
    # Full jitter: two indexers that had a conflict do not retry at the same time again.
    jitter: Callable[[float], float] = lambda pause: random.uniform(0, pause)  # noqa: S311  no secret
    progress: Callable[[Step], None] = silent
    stored_checksums: bool = True
    channel: str = ""
    title: str = ""
    subdir_executor: Executor | None = None
    store_tests: StoreTests | None = None
    stage: int = STAGE

    @property
    def channel_in_shell(self) -> str:
        """The channel as a person types it in a shell, for commands in messages."""
        return shlex.quote(self.channel)
