"""`prune` is killed at any moment and repeated: the index never has a package that is gone, and the end is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.s3.killed import done, killed_everywhere, new_channel, readable
from tests.support.channel_reader import indexed, listed
from tests.support.killable_processes import Job, Location, Runner, content
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


def killed(runner: Runner, new: Callable[[], Location]) -> list[str]:
    def prepare() -> Job:
        return Job(new_channel(runner, new, FIRST), prune=True)

    def check(job: Job, left: dict[str, bytes]) -> None:
        assert listed(readable(left)) <= left.keys()
        for _ in range(2):  # a run that was killed after its deletions may leave entries
            done(runner, job)
        found = content(job.where)
        assert indexed(found) == found.keys() & FIRST.keys() == LEFT

    return killed_everywhere(runner, prepare, check)


def test_a_prune_in_a_folder_is_killed_anywhere(runner: Runner, in_folder: Callable[[], Location]) -> None:
    assert {"os.rename .indexer-yanked.json", "os.remove package"} < {*killed(runner, in_folder)}


def test_a_prune_in_a_bucket_is_killed_anywhere(runner: Runner, in_bucket: Callable[[], Location]) -> None:
    assert {"before put .indexer-yanked.json", "after delete package"} < {*killed(runner, in_bucket)}
