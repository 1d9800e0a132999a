"""Snapshots and rollbacks that are killed at any moment and repeated end as if they had never been killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from indexer.core import names
from tests.support.channel_check import faults
from tests.support.channel_reader import indexed, unreadable
from tests.support.killable_processes import KILLED, Job, Location, Runner, content, store_at
from tests.support.memory_channel import keys, package

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

pytestmark = pytest.mark.s3

FIRST = {key: package(key) for key in (*keys(3), *keys(1, "noarch"))}
LATER = {key: package(key) for key in (*keys(2, start=7), *keys(1, "noarch", start=9))}
MARKER = f"snapshots/v1/{names.SNAPSHOT_MARKER}"


def frozen(where: Location) -> dict[str, bytes]:
    """The files of the snapshot, without the marker, which has the time, and what a killed process was writing."""
    files = {key: body for key, body in content(where).items() if key.startswith("snapshots/") and key != MARKER}
    return {key: body for key, body in files.items() if not key.endswith(".tmp")}


def done(runner: Runner, job: Job) -> None:
    ended = runner.one(job)
    assert ended.code == 0, ended.said


def killed_everywhere(runner: Runner, start: Callable[[], Location], job: Callable[[Location], Job], step: int) -> int:
    """Kill a job at every moment of one kind, or each so many, each time in a channel of its own, and repeat it."""
    at = 1
    while True:
        where = start()
        first = job(where)
        first.at = at
        ended = runner.one(first)
        if ended.code != KILLED:
            assert ended.code == 0, ended.said
            return at - step
        assert unreadable(readable(where)) == [], f"after a kill {first.moment} {at}"
        assert faults(store_at(where)) == [] or job(where).rollback
        done(runner, job(where))
        at += step


def readable(where: Location) -> Mapping[str, bytes]:
    """The channel without its snapshots."""
    return {key: body for key, body in content(where).items() if not key.startswith("snapshots/")}


def snapshots_are_killed(runner: Runner, new: Callable[[], Location], moment: str, step: int) -> int:
    last: list[Location] = []

    def start() -> Location:
        if last:
            ended_well(last[-1])
        last.append(new())
        done(runner, Job(last[-1], put=FIRST))
        return last[-1]

    def ended_well(where: Location) -> None:
        assert MARKER in content(where)
        assert {key.split("/")[2] for key in frozen(where)} == {"linux-64", "noarch", names.SNAPSHOT_CONTENTS}
        assert faults(store_at(where)) == []

    times = killed_everywhere(runner, start, lambda where: Job(where, snapshot="v1", moment=moment), step)
    ended_well(last[-1])
    return times


def rollbacks_are_killed(runner: Runner, new: Callable[[], Location], moment: str, step: int) -> int:
    last: list[Location] = []

    def start() -> Location:
        if last:
            ended_well(last[-1])
        last.append(new())
        done(runner, Job(last[-1], put=FIRST))
        done(runner, Job(last[-1], snapshot="v1"))
        done(runner, Job(last[-1], put=LATER))
        return last[-1]

    def ended_well(where: Location) -> None:
        assert indexed(readable(where)) == FIRST.keys()
        assert faults(store_at(where)) == []

    times = killed_everywhere(runner, start, lambda where: Job(where, rollback="v1", moment=moment), step)
    ended_well(last[-1])
    return times


@pytest.mark.parametrize(("moment", "step"), [("before", 1), ("deed", 2)])
def test_a_snapshot_in_a_folder_is_killed_anywhere(
    runner: Runner, in_folder: Callable[[], Location], moment: str, step: int
) -> None:
    assert snapshots_are_killed(runner, in_folder, moment, step) > 5


@pytest.mark.parametrize(("moment", "step"), [("before", 2), ("after", 5)])
def test_a_snapshot_in_a_bucket_is_killed_anywhere(
    runner: Runner, in_bucket: Callable[[], Location], moment: str, step: int
) -> None:
    assert snapshots_are_killed(runner, in_bucket, moment, step) > 5


@pytest.mark.parametrize(("moment", "step"), [("before", 6), ("deed", 3)])
def test_a_rollback_in_a_folder_is_killed_anywhere(
    runner: Runner, in_folder: Callable[[], Location], moment: str, step: int
) -> None:
    assert rollbacks_are_killed(runner, in_folder, moment, step) > 15


@pytest.mark.parametrize(("moment", "step"), [("before", 9), ("after", 11)])
def test_a_rollback_in_a_bucket_is_killed_anywhere(
    runner: Runner, in_bucket: Callable[[], Location], moment: str, step: int
) -> None:
    assert rollbacks_are_killed(runner, in_bucket, moment, step) > 15
