"""Small subdirs are indexed side by side in threads; what is published and reported does not depend on that."""

from __future__ import annotations

import threading
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import pytest
from msgspec.structs import replace

from indexer.commands.index import index_channel
from indexer.commands.side_by_side import Room, Skipped
from indexer.core.errors import IndexerError, Unavailable
from indexer.core.names import STATE_FILE
from indexer.core.report import Outcome
from indexer.core.state import decode_state, encode_state
from indexer.store.concurrent import DaemonThreads
from tests.support.interfering_store import InterferingStore
from tests.support.memory_channel import DAY_MS, NOW_MS, PLAIN, channel, fake_context, fill, index, keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from indexer.core.report import Report
    from tests.support.memory import Call, MemoryStore

T = TypeVar("T")

FIRST, SECOND, THIRD, LAST = "linux-64", "noarch", "osx-arm64", "win-64"


def indexed() -> MemoryStore:
    """A channel of four subdirs as the last run left it."""
    store = channel(*(key for subdir in (FIRST, SECOND, THIRD, LAST) for key in keys(3, subdir)))
    index(store)
    return store


def run(store: Any, executor: Executor | None) -> Report:
    return index_channel(store, PLAIN, replace(fake_context(NOW_MS + DAY_MS), subdir_executor=executor))


def with_packages(store: MemoryStore, subdir: str, count: int) -> None:
    """Let the state say that the subdir has so many packages."""
    key = f"{subdir}/{STATE_FILE}"
    state = decode_state(store.objects[key].body)
    assert state is not None
    store.upload(key, encode_state(msgspec.structs.replace(state, packages=count)))


def changed() -> MemoryStore:
    """A channel with a quiet subdir, a changed one, one with many new packages, and a new one."""
    store = indexed()
    fill(store, *keys(1, SECOND, start=7), *keys(70, THIRD, start=10), *keys(2, "osx-64"))
    store.remove(keys(1, SECOND)[0])
    return store


def test_threads_publish_and_report_the_same_as_one_subdir_after_the_other() -> None:
    alone, beside = changed(), changed()
    reports = [run(alone, None), run(beside, DaemonThreads())]
    assert alone.bodies() == beside.bodies()
    one, other = ({**report.as_json(), "seconds": 0, "store": {}} for report in reports)
    assert list(reports[0].subdirs) == list(reports[1].subdirs)
    assert one == other
    assert run(beside, DaemonThreads()).outcome is Outcome.UNCHANGED


@pytest.mark.parametrize("count", [50_001, 50_000])
def test_only_small_subdirs_leave_the_thread_of_the_run(count: int) -> None:
    store = indexed()
    with_packages(store, FIRST, count)
    listed_by: dict[str, threading.Thread] = {}

    def look(_number: int, call: Call) -> None:
        if call.verb == "LIST":
            listed_by[call.key] = threading.current_thread()

    assert run(InterferingStore(store, before=look), DaemonThreads()).exit_code == 0
    here = {key for key, thread in listed_by.items() if thread is threading.current_thread()}
    assert here == ({"", f"{FIRST}/"} if count > 50_000 else {""})


def test_after_an_error_of_the_whole_channel_no_other_subdir_begins() -> None:
    store = indexed()
    asked = []

    def refuse(_number: int, call: Call) -> None:
        asked.append(call.key)
        if call.key == f"{FIRST}/{STATE_FILE}":
            raise Unavailable("the store", "does not answer")

    report = index_channel(InterferingStore(store, before=refuse), PLAIN, fake_context())
    assert [sub.error for sub in report.subdirs.values()] == [
        "the store: does not answer",
        *["skipped: the store failed"] * 3,
    ]
    assert asked == ["", f"{FIRST}/{STATE_FILE}"]


def test_a_subdir_that_waits_for_room_does_not_begin_after_an_error_of_the_channel() -> None:
    store = indexed()
    for subdir in (FIRST, LAST):
        with_packages(store, subdir, 30_000)
    states_read = threading.Semaphore(0)
    listed = []

    def after(_number: int, call: Call) -> None:
        if call.key in {f"{FIRST}/{STATE_FILE}", f"{LAST}/{STATE_FILE}"}:
            states_read.release()

    def before(_number: int, call: Call) -> None:
        if call.verb == "LIST" and call.key in {f"{FIRST}/", f"{LAST}/"}:
            listed.append(call.key)
            for _ in range(2):
                assert states_read.acquire(timeout=60)
            raise Unavailable("the store", "does not answer")

    report = run(InterferingStore(store, before=before, after=after), DaemonThreads())
    assert len(listed) == 1
    errors = [report.subdirs[subdir].error for subdir in (FIRST, LAST)]
    assert sorted(map(str, errors)) == ["skipped: the store failed", "the store: does not answer"]


def test_an_error_of_one_subdir_leaves_the_others_alone() -> None:
    store = indexed()
    fill(store, *keys(1, THIRD, start=7))

    def refuse(_number: int, call: Call) -> None:
        if call.key.startswith(f"{FIRST}/"):
            raise IndexerError("linux-64", "is odd")

    report = run(InterferingStore(store, before=refuse), DaemonThreads())
    outcomes = {name: sub.outcome for name, sub in report.subdirs.items()}
    unchanged = Outcome.UNCHANGED
    assert outcomes == {FIRST: Outcome.FAILED, SECOND: unchanged, THIRD: Outcome.PUBLISHED, LAST: unchanged}


class _Cancellable(Future[T]):
    """A job that tells when the run no longer wants it."""

    def __init__(self, unwanted: threading.Event) -> None:
        super().__init__()
        self._unwanted = unwanted

    def cancel(self) -> bool:
        self._unwanted.set()
        return super().cancel()


class _Threads(DaemonThreads):
    """Threads whose jobs tell when they are not wanted any more."""

    def __init__(self) -> None:
        self.unwanted = threading.Event()

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = _Cancellable(self.unwanted)
        future.set_running_or_notify_cancel()

        def work() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except Exception as error:  # noqa: BLE001
                future.set_exception(error)

        threading.Thread(target=work, daemon=True).start()
        return future


def test_an_interrupted_run_sends_no_more_requests_from_its_threads() -> None:
    store, threads = indexed(), _Threads()
    fill(store, *keys(1, LAST, start=7))
    store.remove(f"{FIRST}/{STATE_FILE}")  # so the thread of the run indexes the first subdir
    waiting = threading.Semaphore(0)
    asked: list[Call] = []

    def before(_number: int, call: Call) -> None:
        asked.append(call)
        if call.verb == "LIST" and call.key == f"{FIRST}/":
            for _ in range(3):
                assert waiting.acquire(timeout=60)
            asked.clear()
            raise KeyboardInterrupt
        if call.verb == "LIST" and call.key:
            waiting.release()
            assert threads.unwanted.wait(60)

    with pytest.raises(KeyboardInterrupt):
        run(InterferingStore(store, before=before), threads)
    assert asked == []


def test_the_weights_in_a_room_never_exceed_it() -> None:
    room, inside, most = Room(10), [0], [0]
    counting = threading.Lock()

    def work(weight: int) -> None:
        with room.taken(weight):
            with counting:
                inside[0] += min(weight, 10)
                most[0] = max(most[0], inside[0])
            with counting:
                inside[0] -= min(weight, 10)

    jobs = [DaemonThreads().submit(work, weight) for weight in [3, 4, 6, 25] * 50]
    for job in jobs:
        job.result(60)
    assert most[0] <= 10
    room.close()
    with pytest.raises(Skipped), room.taken(1):
        pass
