"""The engine itself goes through schedules drawn by chance, call by call, with everything that can fall in."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from indexer.commands.context import Context
from indexer.commands.gc import GcRequest, collect
from indexer.commands.index import index_channel
from indexer.core import names
from indexer.core.options import Options
from indexer.core.report import Outcome
from indexer.extractor.workers import in_threads
from indexer.store.clock import Clock
from tests.protocol.watch import (
    PREFIX,
    REPODATA,
    SHARD_INDEX,
    SUBDIR,
    Watch,
    is_index,
    lying_there,
    records_in,
    sha256s,
)
from tests.support.interfering_store import Crash, InterferingStore
from tests.support.memory import MemoryStore
from tests.support.memory_channel import (
    DAY_MS,
    FAST,
    NOW_MS,
    FakeClock,
    Inline,
    changes,
    keys,
    missing_shards,
    only,
    package,
)
from tests.support.scheduler import actors, run_schedule

if TYPE_CHECKING:
    from collections.abc import Callable

    from indexer.core.report import Report
    from indexer.store import Store
    from tests.support.memory import Call

GONE, REPLACED, KEPT = keys(3, SUBDIR)
NEW = f"{PREFIX}new-1.0-0.conda"
LEDGER = PREFIX + names.STATE_FILE

OUTPUTS = {
    "usual": FAST,
    "more": replace(FAST, bz2=True),
    "json": replace(FAST, shards=False, zst=False, run_exports=False),
    "shards": replace(FAST, monolithic=False),
}
OFTEN = settings(deadline=None, max_examples=150, derandomize=True, phases=set(Phase) - {Phase.explain})


@functools.cache
def twins(key: str) -> tuple[bytes, bytes]:
    """Two packages of the same name and size."""
    bodies = [package(key, timestamp=number) for number in range(1, 100)]
    return next((a, b) for a in bodies for b in bodies if a != b and len(a) == len(b))


@dataclass(frozen=True)
class Indexer:
    """One run, and before or after which of its calls it dies."""

    outputs: str
    dies_at: int | None = None
    done: bool = False


@dataclass(frozen=True)
class Story:
    """A channel as it was indexed (None: it is new), and what happens to it.

    `hidden` packages show no MD5, as in a folder.  `schedule` says who goes on, and how many calls.
    `gc` has at which call each gc dies; where there is one, all shards are old orphans at first.
    """

    before: str | None
    indexers: tuple[Indexer, ...]
    events: tuple[str, ...]
    schedule: list[tuple[int, int]]
    hidden: bool
    last: str
    gc: tuple[int | None, ...] = ()


def stories(*outputs: str, gc: st.SearchStrategy[tuple[int | None, ...]] | None = None) -> st.SearchStrategy[Story]:
    any_of = st.sampled_from(outputs)
    dies_at = st.none() | st.integers(1, 40)
    return st.builds(
        Story,
        st.none() | any_of,
        st.lists(st.builds(Indexer, any_of, dies_at, st.booleans()), min_size=2, max_size=3).map(tuple),
        st.lists(
            st.sampled_from(["upload", "delete", "replace", "forget", "upload other"]), min_size=1, max_size=5
        ).map(tuple),
        st.lists(st.tuples(st.integers(0, 6), st.sampled_from([1, 2, 3, 5, 8, 13, 60])), min_size=8, max_size=40),
        st.booleans(),
        any_of,
        st.just(()) if gc is None else gc,
    )


class Stage:
    """The channel of a story while it goes on: every call takes a second."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.store = MemoryStore(clock_ms=NOW_MS)
        self.watch = Watch(self.store, beside_gc=bool(story.gc))
        self.laps: list[int] = []
        for key in (GONE, REPLACED, KEPT):
            self.upload(key, twins(key)[0])
        self.store.clock_ms += 10_000
        if story.before is not None:
            self.index(self.store, story.before)
            if story.gc:  # without a shard index, no shard is named
                self.index(self.store, "json")
            self.first_dates = self.dates()
            self.store.clock_ms += 8 * DAY_MS
        else:
            self.first_dates = {}

    def upload(self, key: str, body: bytes) -> None:
        self.store.upload(key, body)
        if self.story.hidden:
            self.store.disguise(key)

    def index(self, store: Store, outputs: str) -> Report:
        return index_channel(store, Options(outputs=OUTPUTS[outputs], subdirs=(SUBDIR,)), self.run())

    def run(self) -> Context:
        clock, inline = FakeClock(), Inline()
        return Context(
            in_threads(inline, 4),
            inline,
            Clock(lambda: self.store.clock_ms, clock.monotonic, clock.sleep),
            jitter=lambda pause: pause,
        )

    def published_by(self, name: str) -> set[str]:
        """The forms of the index that a run with these options publishes."""
        outputs = OUTPUTS[name]
        forms = {
            REPODATA: outputs.monolithic,
            f"{REPODATA}.zst": outputs.monolithic and outputs.zst,
            f"{REPODATA}.bz2": outputs.monolithic and outputs.bz2,
            SHARD_INDEX: outputs.shards,
        }
        return {key for key, wanted in forms.items() if wanted}

    def dates(self) -> dict[tuple[str, str], int]:
        source = REPODATA if REPODATA in self.store.objects else SHARD_INDEX
        return {(name, sha256): date for name, (sha256, date) in records_in(self.store, source).items()}

    def indexer(self, who: int) -> Callable[[Callable[[], None]], None]:
        wanted = self.story.indexers[who]

        def before(number: int, _call: Call) -> None:
            turn_of[0]()
            self.store.clock_ms += 1000
            if not wanted.done and number == wanted.dies_at:
                raise Crash

        def after(number: int, call: Call) -> None:
            self.watch.after(who, call)
            if wanted.done and number == wanted.dies_at:
                raise Crash

        turn_of: list[Callable[[], None]] = []

        def work(turn: Callable[[], None]) -> None:
            turn_of.append(turn)
            turn()
            at_first = dict(self.store.objects)
            report = only(self.index(InterferingStore(self.store, before, after), wanted.outputs), SUBDIR)
            assert report.exit_code == 0, report.error
            self.laps.append(report.attempts)
            now = lying_there(self.store)
            steady = {
                name: now[name] for name in now if at_first.get(PREFIX + name) is self.store.objects[PREFIX + name]
            }
            # What only others publish may lag behind until they have ended.
            for key in self.published_by(wanted.outputs) & self.store.bodies(PREFIX).keys():
                if self.story.gc and missing_shards(self.store):
                    continue
                result = sha256s(records_in(self.store, key))
                assert steady.items() <= result.items(), f"{key} lacks what was there all the time"

        return work

    def collector(self, dies_at: int | None) -> Callable[[Callable[[], None]], None]:
        def work(turn: Callable[[], None]) -> None:
            def before(number: int, _call: Call) -> None:
                turn()
                self.store.clock_ms += 1000
                if number == dies_at:
                    raise Crash

            turn()
            store = InterferingStore(self.store, before)
            collect(store, GcRequest(delete=True, subdirs=(SUBDIR,)), self.run())

        return work

    def falls_in(self, what: str) -> Callable[[Callable[[], None]], None]:
        def work(turn: Callable[[], None]) -> None:
            turn()
            if what == "upload":
                self.upload(NEW, twins(NEW)[0])
            elif what == "upload other":
                self.upload(NEW, twins(NEW)[1])
            elif what == "replace":
                self.upload(REPLACED, twins(REPLACED)[1])
            elif what == "delete" and GONE in self.store.objects:
                self.store.remove(GONE)
            elif what == "forget" and LEDGER in self.store.objects:
                self.store.remove(LEDGER)

        return work

    def play(self) -> None:
        indexers = [self.indexer(who) for who in range(len(self.story.indexers))]
        collectors = [self.collector(dies_at) for dies_at in self.story.gc]
        with actors([*indexers, *collectors, *(self.falls_in(what) for what in self.story.events)]) as everybody:
            run_schedule(everybody, self.story.schedule)
        event(f"{max(self.laps, default=0)} laps")

    def judge(self) -> None:
        """One more run makes all agree, and the one after it has nothing to do."""
        assert self.index(self.store, self.story.last).exit_code == 0
        packages = lying_there(self.store)
        results = {key: records_in(self.store, key) for key in self.store.bodies(PREFIX) if is_index(key)}
        assert results.keys() == self.published_by(self.story.last)
        (one, *rest) = results.values()
        assert sha256s(one) == packages
        assert all(other == one for other in rest)
        assert not missing_shards(self.store)
        dates = self.dates()
        kept = {value: date for value, date in self.first_dates.items() if value in dates}
        assert kept.items() <= dates.items()
        first = len(self.store.calls)
        assert only(self.index(self.store, self.story.last), SUBDIR).outcome is Outcome.UNCHANGED
        assert changes(self.store.calls, first) == []


@OFTEN
@given(stories("usual"))
def test_whatever_the_schedule_readers_see_whole_files_and_nothing_is_lost(story: Story) -> None:
    stage = Stage(story)
    stage.play()
    stage.judge()


@OFTEN
@given(st.sampled_from(["json", "shards"]).flatmap(lambda other: stories("usual", "more", other)))
def test_whatever_the_schedule_of_indexers_with_other_options(story: Story) -> None:
    stage = Stage(story)
    stage.play()
    stage.judge()


@OFTEN
@given(stories("shards"))
def test_whatever_the_schedule_of_a_channel_of_shards_alone(story: Story) -> None:
    stage = Stage(story)
    stage.play()
    stage.judge()


@OFTEN
@given(stories("usual", gc=st.lists(st.none() | st.integers(1, 25), min_size=1, max_size=2).map(tuple)))
def test_whatever_the_schedule_beside_gc_no_shard_that_is_named_stays_missing(story: Story) -> None:
    stage = Stage(story)
    stage.play()
    if PREFIX + names.GC_MARKER not in stage.store.objects and not any(indexer.dies_at for indexer in story.indexers):
        assert not missing_shards(stage.store)
    stage.judge()
