"""Publishers that are killed at any moment and repeated, and sixteen at once: no package is lost."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.s3.killed import until_not_killed
from tests.support.channel_check import faults
from tests.support.channel_reader import indexed, unreadable
from tests.support.killable_processes import KILLED, Job, Location, Runner, content, store_at
from tests.support.memory_channel import keys, package

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

pytestmark = pytest.mark.s3

FIRST = {key: package(key) for key in (*keys(3), *keys(1, "noarch"))}
NEW = {key: package(key) for key in (*keys(2, start=7), *keys(1, "noarch", start=9))}
PUBLISHERS = 16
ROUNDS = 2


def files(packages: Mapping[str, bytes]) -> dict[str, bytes]:
    return {key.partition("/")[2]: body for key, body in packages.items()}


def has_all(where: Location, expected: Mapping[str, bytes]) -> None:
    found = content(where)
    assert {key: found.get(key) for key in expected} == expected
    assert expected.keys() <= indexed(found)
    assert faults(store_at(where)) == []


def killed_everywhere(runner: Runner, new: Callable[[], Location], moment: str, step: int = 1) -> int:
    """Kill a publisher at every moment of one kind, or each so many, in a channel of its own; how many there are."""
    return until_not_killed(lambda at: killed_at(runner, new(), moment, at), step)


def killed_at(runner: Runner, where: Location, moment: str, at: int) -> bool:
    """Whether the publisher came so far, and was killed."""
    assert runner.one(Job(where, put=FIRST)).code == 0
    ended = runner.one(Job(where, publish=files(NEW), at=at, moment=moment))
    if ended.code != KILLED:
        assert ended.code == 0, ended.said
        return False
    left = content(where)
    assert unreadable(left) == [], f"after a kill {moment} {at}"
    assert FIRST.keys() <= indexed(left), f"after a kill {moment} {at}"
    repeated = runner.one(Job(where, publish=files(NEW)))
    assert repeated.code == 0, repeated.said
    has_all(where, {**FIRST, **NEW})
    return True


@pytest.mark.parametrize("moment", ["before", "after", "deed"])
def test_a_publisher_in_a_folder_is_killed_anywhere(
    runner: Runner, in_folder: Callable[[], Location], moment: str
) -> None:
    assert killed_everywhere(runner, in_folder, moment) > 15


@pytest.mark.parametrize(("moment", "step"), [("before", 1), ("after", 3)])
def test_a_publisher_in_a_bucket_is_killed_anywhere(
    runner: Runner, in_bucket: Callable[[], Location], moment: str, step: int
) -> None:
    assert killed_everywhere(runner, in_bucket, moment, step) > 15


def many_at_once(runner: Runner, where: Location, seed: int) -> None:
    """Sixteen publishers at once, half of them killed and repeated, beside one that indexes everything."""
    draw = random.Random(seed)
    assert runner.one(Job(where, put=FIRST)).code == 0
    expected = dict(FIRST)
    for round_ in range(ROUNDS):
        jobs = [Job(where, publish=files(_packages(actor, round_))) for actor in range(PUBLISHERS)]
        for job in jobs[::2]:
            job.at, job.moment = draw.randrange(1, 40), "before"
        ended = runner.all([*jobs, Job(where)])
        assert {it.code for it in ended} <= {0, KILLED}, [it.said for it in ended if it.code not in {0, KILLED}]
        again = [Job(where, publish=job.publish) for job, it in zip(jobs, ended, strict=False) if it.code == KILLED]
        assert again, "none was killed"
        repeated = runner.all(again)
        assert [it.code for it in repeated] == [0] * len(again), [it.said for it in repeated if it.code]
        for actor in range(PUBLISHERS):
            expected |= _packages(actor, round_)
        has_all(where, expected)


def _packages(actor: int, round_: int) -> dict[str, bytes]:
    subdir = ("linux-64", "noarch")[actor % 2]
    names = [f"{subdir}/actor{actor}-{round_}.{more}-0.{'tar.bz2' if actor % 3 == 0 else 'conda'}" for more in range(2)]
    return {name: package(name) for name in names}


def test_sixteen_publishers_in_a_folder_lose_nothing(runner: Runner, in_folder: Callable[[], Location]) -> None:
    many_at_once(runner, in_folder(), 1)


def test_sixteen_publishers_in_a_bucket_lose_nothing(runner: Runner, in_bucket: Callable[[], Location]) -> None:
    many_at_once(runner, in_bucket(), 2)
