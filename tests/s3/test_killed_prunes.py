"""`prune` is killed at any moment and repeated: the index never has a package that is gone, and the end is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.s3.killed import until_not_killed
from tests.support.channel_check import faults
from tests.support.channel_reader import indexed, unreadable
from tests.support.killable_processes import KILLED, Job, Location, Runner, content, store_at
from tests.support.memory_channel import package

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.s3

FIRST = {
    key: package(key)
    for key in (
        *(f"linux-64/app-{version}-0.conda" for version in range(1, 4)),
        *(f"noarch/lib-{version}-0.conda" for version in range(1, 3)),
    )
}
LEFT = {"linux-64/app-3-0.conda", "noarch/lib-2-0.conda"}


def killed_at(runner: Runner, where: Location, moment: str, at: int) -> bool:
    """Whether the command came so far, and was killed."""
    assert runner.one(Job(where, put=FIRST)).code == 0
    ended = runner.one(Job(where, prune=True, at=at, moment=moment))
    if ended.code != KILLED:
        assert ended.code == 0, ended.said
        return False
    left = content(where)
    assert unreadable(left) == [], f"after a kill {moment} {at}"
    assert indexed(left) <= left.keys(), f"after a kill {moment} {at}"
    for _ in range(2):  # a run that was killed after its deletions may leave entries
        repeated = runner.one(Job(where, prune=True))
        assert repeated.code == 0, repeated.said
    done = content(where)
    assert indexed(done) == done.keys() & FIRST.keys() == LEFT
    assert faults(store_at(where)) == []
    return True


@pytest.mark.parametrize(("moment", "step"), [("before", 3), ("after", 3), ("deed", 4)])
def test_a_prune_in_a_folder_is_killed_anywhere(
    runner: Runner, in_folder: Callable[[], Location], moment: str, step: int
) -> None:
    assert until_not_killed(lambda at: killed_at(runner, in_folder(), moment, at), step) > 30


def test_a_prune_in_a_bucket_is_killed_anywhere(runner: Runner, in_bucket: Callable[[], Location]) -> None:
    assert until_not_killed(lambda at: killed_at(runner, in_bucket(), "before", at), 3) > 30
