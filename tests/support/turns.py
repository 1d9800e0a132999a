"""Counts the turns of a run: the longest chain of requests of which each waits for the answer of the one before.

No threads and no time: a job starts at the turn at which it was handed in, each request takes one turn, and whoever
asks for the result of a job goes on at the later of both turns.
"""

from __future__ import annotations

from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from indexer.commands.index import index_channel
from indexer.extractor.workers import in_threads
from tests.support.interfering_store import InterferingStore
from tests.support.memory_channel import PLAIN, fake_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import ParamSpec

    from indexer.commands.context import Context
    from indexer.core.options import Options
    from indexer.core.report import Report
    from indexer.store import Store
    from tests.support.memory import Call

    P = ParamSpec("P")
T = TypeVar("T")

AT_ONCE = 64


class Job(Future[T]):
    """A job that has ended at the turn `ended`."""

    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self._turns = turns
        self.ended = 0

    def result(self, timeout: float | None = None) -> T:
        """The result; whoever asks has waited for it."""
        self._turns.now = max(self._turns.now, self.ended)
        return super().result(timeout)


@dataclass
class Turns(Executor):
    """Does each job where it is handed in, and counts the turns; `asked` has the requests with their turns."""

    now: int = 0
    asked: list[tuple[int, str, str]] = field(default_factory=list)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Do it now, beside whatever is handed in next."""
        job: Job[T] = Job(self)
        began = self.now
        try:
            job.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  the caller's to raise, as of any executor
            job.set_exception(error)
        job.ended, self.now = self.now, began
        return job

    def request(self, _number: int, call: Call) -> None:
        """Count a request."""
        self.now += 1
        self.asked.append((self.now, call.verb, call.key))

    def __str__(self) -> str:
        """The requests, turn by turn."""
        return "\n".join(f"{turn:3} {verb:6} {key}" for turn, verb, key in sorted(self.asked))


def run_counted(
    store: Store,
    options: Options = PLAIN,
    *,
    now_ms: int | None = None,
    run: Callable[[Store, Options, Context], Report] = index_channel,
) -> tuple[Report, Turns]:
    """A run, and its turns."""
    turns = Turns()
    context = fake_context() if now_ms is None else fake_context(now_ms)
    context = replace(context, workers=in_threads(turns, AT_ONCE), executor=turns, subdir_executor=turns)
    return run(InterferingStore(store, before=turns.request), options, context), turns
