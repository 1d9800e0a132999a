"""An indexer is killed at one moment after the other: what readers find then, and after one more run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.channel_check import faults
from tests.support.channel_reader import indexed, unreadable
from tests.support.killable_processes import KILLED, Job, Location, Runner, content, store_at
from tests.support.memory_channel import keys, package

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = keys(4)
FIRST = {key: package(key) for key in (*KEYS, *keys(1, "noarch"))}
CHANGED = {KEYS[1]: package(KEYS[1], license="replaced"), **{key: package(key) for key in keys(2, start=7)}}
GONE = [KEYS[0]]


def until_not_killed(killed_at: Callable[[int], bool], step: int = 1) -> int:
    """Call a function for each moment, or each so many, until it is not killed any more; how many there are."""
    at = 1
    while killed_at(at):
        at += step
    return at - step


def killed_everywhere(runner: Runner, new: Callable[[], Location], moment: str, step: int = 1) -> int:
    """Kill an indexer at every moment of one kind, or each so many, in a channel of its own; how many there are."""
    return until_not_killed(lambda at: _killed_at(runner, new(), moment, at), step)


def _killed_at(runner: Runner, where: Location, moment: str, at: int) -> bool:
    """Whether the run came so far, and was killed."""
    assert runner.one(Job(where, put=FIRST)).code == 0
    before = content(where)
    kept = indexed({**before, **CHANGED}) - set(GONE)
    ended = runner.one(Job(where, put=CHANGED, delete=GONE, at=at, moment=moment))
    if ended.code != KILLED:
        assert ended.code == 0, ended.said
        return False
    left = content(where)
    assert unreadable(left) == [], f"after a kill {moment} {at}"
    assert kept <= indexed(left), f"after a kill {moment} {at}"
    ended = runner.one(Job(where))
    assert ended.code == 0, ended.said
    assert faults(store_at(where)) == [], f"after a kill {moment} {at}"
    healed = content(where)
    assert {key for key in healed if key.endswith(".conda")} == indexed(healed)
    return True
