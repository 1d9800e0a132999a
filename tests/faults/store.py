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
from tests.support.judge import faults
from tests.support.meddled import FAULTS, Fault, Meddled
from tests.support.readers import indexed, unreadable, views
from tests.support.scene import index, is_package, published

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


def run(store: Meddled | MemoryStore, scene: Scene) -> Ended:
    """One run, as the command line sees it."""
    try:
        report = index(store, scene.options, now_ms=LATER_MS)
    except IndexerError as error:
        return Ended(error.exit_code, (str(error),))
    return Ended(report.exit_code, tuple(sub.error for sub in report.subdirs.values() if sub.error))


def calls_of(name: str) -> list[Call]:
    """What a run asks of the store that nobody disturbs."""
    meddled = Meddled(SCENES[name].prepare())
    run(meddled, SCENES[name])
    return meddled.calls


def once(name: str, fault: Fault, at: int, tally: Tally) -> None:
    """A run in a scene whose call number `at` goes wrong, and one more: each judged."""
    store = SCENES[name].prepare()
    _judge(name, store, [Meddled(store, lambda number, _call: fault if number == at else None)], tally)


def storm(name: str, seed: int, tally: Tally) -> None:
    """Four runs in a storm in which a part of all calls go wrong, and one more in calm weather: each judged."""
    draw = random.Random(seed)
    share = draw.choice([0.02, 0.1, 0.3, 0.6])
    faults = [fault for fault in FAULTS if fault.honest]

    def choose(_number: int, call: Call) -> Fault | None:
        able = [fault for fault in faults if call.verb in fault.verbs]
        return draw.choice(able) if draw.random() < share else None

    store = SCENES[name].prepare()
    _judge(name, store, [Meddled(store, choose) for _ in range(4)], tally)


def _judge(name: str, store: MemoryStore, runs: Sequence[Meddled], tally: Tally) -> None:
    scene = SCENES[name]
    expected = published(_undisturbed(name))
    packages = _packages(store)
    kept = indexed(store.bodies())
    for meddled in runs:
        ended = run(meddled, scene)
        tally.runs += 1
        tally.faults.update(fault.name for fault, _ in meddled.befell)
        told = f"{meddled.told}: {ended}"
        assert _packages(store) == packages, f"a package was touched: {told}"
        assert unreadable(store.bodies()) == [], told
        honest = all(fault.honest for fault, _ in meddled.befell)
        if honest:
            missing = kept - indexed(store.bodies())
            tally.lost += len(missing)
            assert not missing, told
        if len(runs) == len(meddled.befell) == 1:
            _judge_one(meddled, ended)
        if ended.code in {0, 3} and not ended.errors and honest and not _denied_package(meddled):
            assert published(store) == expected, told
        assert (ended.code in {0, 3}) == (not ended.errors), told
        assert all(len(line.splitlines()) == 1 for line in ended.errors), told
        assert not ended.errors or any("; " in line for line in ended.errors), told
    ended = run(store, scene)
    tally.runs += 1
    assert ended.code in {0, 3}, ended
    dated_anew = any(
        _denied_package(meddled) for meddled in runs
    )  # that was indexed, replaced, and left out for a while
    if all(fault.honest for meddled in runs for fault, _ in meddled.befell) and not dated_anew:
        assert published(store) == expected, [meddled.told for meddled in runs]
    assert _timeless(store) == _timeless(_undisturbed(name)), [meddled.told for meddled in runs]
    assert faults(store) == []
    calls = len(store.calls)
    assert run(store, scene).code in {0, 3}
    assert not [call for call in store.calls[calls:] if call.verb in {"PUT", "DELETE"}], "the next run is not quiet"


def _judge_one(meddled: Meddled, ended: Ended) -> None:
    """Whether a run with one fault ended as that allows; 3 is as good as 0, for the scenes have a bad package."""
    ((fault, _),) = meddled.befell
    assert ended.code in fault.codes | ({3} if 0 in fault.codes else set()), (meddled.told, ended)


def _denied_package(meddled: Meddled) -> bool:
    """Whether a package could not be read: then all but that one is published."""
    return any(fault.name == "denied" and is_package(call.key) for fault, call in meddled.befell)


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
