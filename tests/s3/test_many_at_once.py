"""Eight processes upload and index at once, round after round, while others read: all is there when the last ends."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.support.channel_check import faults
from tests.support.channel_reader import indexed
from tests.support.killable_processes import Job, Location, Runner, content, store_at
from tests.support.memory_channel import package

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.s3

ACTORS = 8
ROUNDS = 4
# In a bucket every conflict costs a real pause.
ROUNDS_IN_BUCKET = 2


def key(actor: int, number: int) -> str:
    """A package that only one actor touches."""
    subdir = ("linux-64", "noarch")[number % 2]
    return f"{subdir}/actor{actor}-{number}.0-0.{'tar.bz2' if actor % 3 == 0 else 'conda'}"


def job(where: Location, actor: int, round_: int, draw: random.Random) -> Job:
    """What one actor does in a round: put packages, replace one, delete one; then index."""
    put = {key(actor, 2 * round_ + more): package(key(actor, 2 * round_ + more)) for more in range(2)}
    delete = []
    if round_ and draw.random() < 0.5:
        replaced = key(actor, 2 * round_ - 1)
        put[replaced] = package(replaced, license=f"of round {round_}")
    if round_ and draw.random() < 0.3:
        delete.append(key(actor, 2 * round_ - 2))
    return Job(where, put=put, delete=delete)


def all_is_there_after_every_round(runner: Runner, where: Location, seed: int, rounds: int = ROUNDS) -> None:
    draw = random.Random(seed)
    expected: dict[str, bytes] = {}
    assert runner.one(Job(where)).code == 0
    for round_ in range(rounds):
        jobs = [job(where, actor, round_, draw) for actor in range(ACTORS)]
        ended = runner.all([*jobs, Job(where, reads=True)])
        assert [it.code for it in ended] == [0] * (ACTORS + 1), [it.said for it in ended if it.code]
        for it in jobs:
            expected = {name: body for name, body in {**expected, **it.put}.items() if name not in it.delete}
        found = content(where)
        assert {name: found.get(name) for name in expected} == expected
        assert faults(store_at(where), deep=round_ + 1 == rounds) == [], f"after round {round_} of seed {seed}"
        assert indexed(found) == expected.keys()


@pytest.mark.parametrize("seed", [1, 2])
def test_in_a_folder(runner: Runner, in_folder: Callable[[], Location], seed: int) -> None:
    all_is_there_after_every_round(runner, in_folder(), seed)


def test_in_a_bucket(runner: Runner, in_bucket: Callable[[], Location]) -> None:
    all_is_there_after_every_round(runner, in_bucket(), 3, ROUNDS_IN_BUCKET)
