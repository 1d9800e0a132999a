"""Runs over a store in memory with one answer or many of them wrong, and what they must not do to the channel."""

from __future__ import annotations

import functools
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from indexer.core.errors import IndexerError
from tests.engine.test_crashes import LATER_MS, SCENES, Scene
from tests.support.channel_check import faults
from tests.support.channel_reader import indexed, unreadable, views
from tests.support.fault_store import FAULTS, Fault, FaultStore
from tests.support.memory_channel import index, is_package, published

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.memory import Call, MemoryStore


@dataclass
class Tally:
    """What was tried: faults by name, runs, and packages that lay there and that an index had lost."""

    faults: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    lost: int = 0


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code, and every line that says why."""

    code: int
    errors: tuple[str, ...]


def run(store: FaultStore | MemoryStore, scene: Scene) -> Ended:
    """One run, as the command line sees it."""
    try:
        report = index(store, scene.options, now_ms=LATER_MS)
    except IndexerError as error:
        return Ended(error.exit_code, (str(error),))
    parts = [*report.subdirs.values(), *([report.channel_files] if report.channel_files else [])]
    return Ended(report.exit_code, tuple(part.error for part in parts if part.error))


def calls_of(name: str) -> list[Call]:
    """What a run asks of the store that nobody disturbs."""
    faulty = FaultStore(SCENES[name].prepare())
    run(faulty, SCENES[name])
    return faulty.calls


def once(name: str, fault: Fault, at: int, tally: Tally) -> None:
    """A run in a scene whose call number `at` goes wrong, and one more, each checked."""
    store = SCENES[name].prepare()
    _check(name, store, [FaultStore(store, lambda number, _call: fault if number == at else None)], tally)


def storm(name: str, seed: int, tally: Tally) -> None:
    """Four runs in a storm in which a part of all calls go wrong, and one more in calm weather, each checked."""
    draw = random.Random(seed)
    share = draw.choice([0.02, 0.1, 0.3, 0.6])
    faults = [fault for fault in FAULTS if fault.honest]

    def choose(_number: int, call: Call) -> Fault | None:
        able = [fault for fault in faults if call.verb in fault.verbs]
        return draw.choice(able) if draw.random() < share else None

    store = SCENES[name].prepare()
    _check(name, store, [FaultStore(store, choose) for _ in range(4)], tally)


def _check(name: str, store: MemoryStore, runs: Sequence[FaultStore], tally: Tally) -> None:
    scene = SCENES[name]
    expected = published(_undisturbed(name))
    packages = _packages(store)
    kept = indexed(store.bodies())
    for faulty in runs:
        ended = run(faulty, scene)
        tally.runs += 1
        tally.faults.update(fault.name for fault, _ in faulty.injected)
        told = f"{faulty.summary}: {ended}"
        assert _packages(store) == packages, f"a package was touched: {told}"
        assert unreadable(store.bodies()) == [], told
        honest = all(fault.honest for fault, _ in faulty.injected)
        if honest:
            missing = kept - indexed(store.bodies())
            tally.lost += len(missing)
            assert not missing, told
        if len(runs) == len(faulty.injected) == 1:
            _check_one(faulty, ended)
        if ended.code in {0, 3} and not ended.errors and honest and not _denied_package(faulty):
            assert published(store) == expected, told
        assert (ended.code in {0, 3}) == (not ended.errors), told
        assert all(len(line.splitlines()) == 1 for line in ended.errors), told
        assert not ended.errors or any("; " in line for line in ended.errors), told
    ended = run(store, scene)
    tally.runs += 1
    assert ended.code in {0, 3}, ended
    dated_anew = any(_denied_package(faulty) for faulty in runs)  # that was indexed, replaced, and left out for a while
    if all(fault.honest for faulty in runs for fault, _ in faulty.injected) and not dated_anew:
        assert published(store) == expected, [faulty.summary for faulty in runs]
    assert _timeless(store) == _timeless(_undisturbed(name)), [faulty.summary for faulty in runs]
    assert faults(store) == []
    calls = len(store.calls)
    assert run(store, scene).code in {0, 3}
    assert not [call for call in store.calls[calls:] if call.verb in {"PUT", "DELETE"}], "the next run is not quiet"


def _check_one(faulty: FaultStore, ended: Ended) -> None:
    """Whether a run with one fault ended as that allows; 3 is as good as 0, for the scenes have a bad package."""
    ((fault, _),) = faulty.injected
    assert ended.code in fault.codes | ({3} if 0 in fault.codes else set()), (faulty.summary, ended)


def _denied_package(faulty: FaultStore) -> bool:
    """Whether a package could not be read: then all but that one is published."""
    return any(fault.name == "denied" and is_package(call.key) for fault, call in faulty.injected)


def _packages(store: MemoryStore) -> dict[str, str]:
    return {key: stored.stat.etag for key, stored in store.objects.items() if is_package(key)}


@functools.cache
def _undisturbed(name: str) -> MemoryStore:
    """The channel as a run leaves it that nobody disturbs."""
    store = SCENES[name].prepare()
    run(store, SCENES[name])
    return store


def _timeless(store: MemoryStore) -> Any:
    """All records as readers of each format find them, without the time when they were indexed."""
    bodies = store.bodies()
    found = {subdir: dict(views(subdir, bodies)) for subdir in sorted({key.partition("/")[0] for key in bodies})}
    return json.loads(json.dumps(found), object_hook=_without_time)


def _without_time(record: dict[str, Any]) -> dict[str, Any]:
    record.pop("indexed_timestamp", None)
    return record
