"""Publishers that are killed at any moment and repeated, and sixteen at once: no package is lost."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.s3.killed import done, killed_everywhere, new_channel
from tests.support.channel_check import faults
from tests.support.channel_reader import indexed
from tests.support.killable_processes import KILLED, Job, Location, Runner, content, store_at
from tests.support.memory_channel import keys, package

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

pytestmark = pytest.mark.s3

FIRST = {key: package(key) for key in (*keys(3), *keys(1, "noarch"))}
NEW = {key: package(key) for key in (*keys(2, start=7), *keys(1, "noarch", start=9))}
PUBLISHERS = 16
ROUNDS = 2
# Fewer than a run has, which are about 60 in a bucket and 110 in a folder.
MOMENTS = 50


def files(packages: Mapping[str, bytes]) -> dict[str, bytes]:
    return {key.partition("/")[2]: body for key, body in packages.items()}


def has_all(where: Location, expected: Mapping[str, bytes]) -> None:
    found = content(where)
    assert {key: found.get(key) for key in expected} == expected
    assert expected.keys() <= indexed(found)
    assert faults(store_at(where)) == []


def killed(runner: Runner, new: Callable[[], Location]) -> list[str]:
    def prepare() -> Job:
        return Job(new_channel(runner, new, FIRST), publish=files(NEW))

    def check(job: Job, left: dict[str, bytes]) -> None:
        assert FIRST.keys() <= indexed(left)
        done(runner, job)
        has_all(job.where, {**FIRST, **NEW})

    return killed_everywhere(runner, prepare, check)


def test_a_publisher_in_a_folder_is_killed_anywhere(runner: Runner, in_folder: Callable[[], Location]) -> None:
    assert {"os.rename package", "os.rename repodata.json"} < {*killed(runner, in_folder)}


def test_a_publisher_in_a_bucket_is_killed_anywhere(runner: Runner, in_bucket: Callable[[], Location]) -> None:
    assert {"after put package", "before put repodata.json"} < {*killed(runner, in_bucket)}


def many_at_once(runner: Runner, where: Location, seed: int) -> None:
    """Sixteen publishers at once, half of them killed and repeated, beside one that indexes everything."""
    draw = random.Random(seed)
    assert runner.one(Job(where, put=FIRST)).code == 0
    expected = dict(FIRST)
    for round_ in range(ROUNDS):
        jobs = [Job(where, publish=files(_packages(actor, round_))) for actor in range(PUBLISHERS)]
        for job in jobs[::2]:
            job.at = draw.randrange(1, MOMENTS)
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
