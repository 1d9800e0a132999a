"""Makes the first attempts at small subdirs side by side, in threads.

A subdir is small if its state says so.  All other attempts are made one after the other: at large subdirs, at subdirs
without a state, after a conflict, under a lease.  So one large subdir is in memory at a time, and only the thread of
the run waits, starts processes and holds leases (docs/design/runs.md, section Orders).
"""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import wait
from typing import TYPE_CHECKING

from msgspec import field
from msgspec.structs import replace

from indexer.commands.index_subdir import index_subdir
from indexer.commands.retry import Attempt, NeedsTheWholeRun
from indexer.core import names
from indexer.core.errors import IndexerError
from indexer.core.progress import silent
from indexer.core.state import SMALL
from indexer.core.value import Mutable, Value
from indexer.extractor.workers import MEMORY
from indexer.lister.snapshot import SMALL_STATE, SavedState, load_state
from indexer.store.channel_folder import ChannelFolder
from indexer.store.wrappers import Stoppable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from indexer.commands.context import Context
    from indexer.commands.index_subdir import SubdirRun
    from indexer.core.job import SubdirJob
    from indexer.core.model import Stat
    from indexer.core.progress import Step
    from indexer.core.report import SubdirReport
    from indexer.extractor.extract import ExtractSpec, Reading
    from indexer.extractor.workers import Workers
    from indexer.store import Store

# How long an interrupted run waits for requests of its threads (seconds).  Each write is one request on a condition, so
# it does not matter when a thread ends; a request to a silent server lasts a minute.
_GRACE = 2.0


class Skipped(Exception):
    """The work on a subdir did not begin, because of an `error` of the whole channel, or because the run ends."""

    def __init__(self, error: IndexerError | None = None) -> None:
        super().__init__(error)
        self.error = error


class Room:
    """A sum of weights that threads may take together; a thread waits until there is room for its weight."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._free = size
        self._closed = False
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, weight: int) -> Iterator[None]:
        """Take a weight during a block, at most the whole room.  Raises Skipped if the room is closed."""
        weight = min(weight, self.size)
        with self._changed:
            self._changed.wait_for(lambda: self._closed or weight <= self._free)
            if self._closed:
                raise Skipped
            self._free -= weight
        try:
            yield
        finally:
            with self._changed:
                self._free += weight
                self._changed.notify_all()

    def close(self) -> None:
        """Refuse all further work; threads that wait for room stop waiting."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class FirstAttempts(Mutable):
    """The first attempts at small subdirs, which begin when `begin` is called.

    `saved` has states that the run has read already; each is used once.  `failed` is the first error that concerns the
    whole channel: after it no more work on a subdir begins.
    """

    store: Store
    context: Context
    saved: dict[str, SavedState] = field(default_factory=dict)
    failed: IndexerError | None = None
    _futures: dict[str, Future[SubdirReport | NotSmall]] = field(default_factory=dict)
    _room: Room = field(default_factory=lambda: Room(SMALL))
    _reading: Room = field(default_factory=lambda: Room(MEMORY))
    _stopped: bool = False

    def begin(self, runs: Sequence[SubdirRun]) -> None:
        """Begin the first attempts, if there is more than one subdir and an executor for them."""
        executor = self.context.subdir_executor
        if executor is None or len(runs) < 2:  # noqa: PLR2004  one subdir has no other beside it
            return
        for run in runs:
            self._futures[run.job.subdir] = executor.submit(self._first, run)

    def attempt(self, run: SubdirRun, folder: ChannelFolder, attempt: Attempt) -> SubdirReport:
        """The report of an attempt: of the first one when that has ended, any other attempt is made now.

        Raises Skipped, and what `index_subdir` raises.
        """
        saved = None
        future = self._futures.get(run.job.subdir)
        if future is not None:
            wait([future])
            del self._futures[run.job.subdir]  # not earlier: `stop` waits for all that are left
            ended = future.result()
            if not isinstance(ended, NotSmall):
                return ended
            saved = ended.saved
        if self.failed is not None:
            raise Skipped(self.failed)
        saved = saved or self.saved.pop(run.job.subdir, None)
        saved = saved or load_state(folder.store, folder.prefix + names.STATE_FILE)
        return index_subdir(run, folder, attempt, saved)

    def stop(self) -> None:
        """End the first attempts that have not ended: each ends before its next request.

        Waits for running requests, but not for a server that is silent.
        """
        self._stopped = True
        for room in (self._room, self._reading):
            room.close()
        for future in self._futures.values():
            future.cancel()
        wait(self._futures.values(), _GRACE)

    def _first(self, run: SubdirRun) -> SubdirReport | NotSmall:
        store, context = Stoppable(self.store, self._check), self.context
        folder = ChannelFolder(store, run.job.subdir, context.executor, context.progress)
        try:
            return self._attempt(run, folder)
        except NeedsTheWholeRun:
            return NotSmall()  # without the error, whose traceback holds all that was loaded

    def _attempt(self, run: SubdirRun, folder: ChannelFolder) -> SubdirReport | NotSmall:
        with self._unless_failed():
            saved = self.saved.pop(run.job.subdir, None)
            saved = saved or load_state(folder.store, folder.prefix + names.STATE_FILE, at_most=SMALL_STATE)
        if saved.etag is None:
            return NotSmall(saved)
        if saved.state is None or not _is_small(run.job, saved):
            return NotSmall()
        run = replace(run, cache=replace(run.cache, workers=self._in_room(run.cache.workers)))
        with self._room.taken(saved.state.packages), self._unless_failed():
            return index_subdir(run, folder, Attempt(beside_others=True), saved)

    @contextlib.contextmanager
    def _unless_failed(self) -> Iterator[None]:
        """Begin a block only if the channel has not failed; an error of the block can be one of the channel."""
        if self.failed is not None:
            raise Skipped(self.failed)
        try:
            yield
        except IndexerError as error:
            if error.of_channel:
                self.failed = error
            raise

    def _in_room(self, workers: Workers) -> Workers:
        """Workers that share one limit of memory."""

        def limited(store: Store, spec: ExtractSpec, packages: Sequence[Stat]) -> Iterator[Reading]:
            from indexer.extractor.extract import weight_of  # a run that reads no package starts without this import

            with self._reading.taken(sum(weight_of(stat, spec) for stat in packages)):
                yield from workers(store, spec, packages)

        return limited

    def _check(self) -> None:
        if self._stopped:
            raise Skipped


class NotSmall(Value, frozen=True):
    """A subdir that is indexed by itself; `saved` says that it has no state file, if that is known."""

    saved: SavedState | None = None


@contextlib.contextmanager
def first_attempts(
    store: Store, context: Context, runs: Sequence[SubdirRun], saved: dict[str, SavedState]
) -> Iterator[FirstAttempts]:
    """The first attempts at small subdirs, which have ended when the block ends; `saved` has states that were read."""
    first = FirstAttempts(store, context, saved)
    try:
        first.begin(runs)
        yield first
    finally:
        first.stop()


def _is_small(job: SubdirJob, saved: SavedState) -> bool:
    """Whether a run over a subdir reads and holds little, unless very many packages are new."""
    state = saved.state
    if state is None or job.options.force or state.config_fingerprint != job.config_fingerprint:
        return False
    return state.packages <= SMALL


def one_at_a_time(progress: Callable[[Step], None]) -> Callable[[Step], None]:
    """A function that shows progress and that several threads may call."""
    if progress is silent:
        return silent
    showing = threading.Lock()

    def show(step: Step) -> None:
        with showing:
            progress(step)

    return show
