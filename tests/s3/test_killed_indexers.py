"""`kill -9` of an indexer at each kind of moment: readers see no hole, one more run heals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.s3.killed import done, killed_everywhere, new_channel
from tests.support.channel_reader import indexed
from tests.support.killable_processes import Job, Location, Runner, content
from tests.support.memory_channel import keys, package

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.s3  # real processes take their time

KEYS = keys(4)
FIRST = {key: package(key) for key in (*KEYS, *keys(1, "noarch"))}
CHANGED = {KEYS[1]: package(KEYS[1], license="replaced"), **{key: package(key) for key in keys(2, start=7)}}
GONE = KEYS[0]


def killed(runner: Runner, new: Callable[[], Location]) -> list[str]:
    def prepare() -> Job:
        return Job(new_channel(runner, new, FIRST), put=CHANGED, delete=[GONE])

    def check(job: Job, left: dict[str, bytes]) -> None:
        assert FIRST.keys() - {GONE, *CHANGED} <= indexed(left)
        done(runner, Job(job.where))
        assert indexed(content(job.where)) == {*FIRST, *CHANGED} - {GONE}

    return killed_everywhere(runner, prepare, check)


def test_an_indexer_in_a_folder_is_killed_anywhere(runner: Runner, in_folder: Callable[[], Location]) -> None:
    assert {"os.rename DIGEST.msgpack.zst", "os.rename repodata.json"} < {*killed(runner, in_folder)}


def test_an_indexer_in_a_bucket_is_killed_anywhere(runner: Runner, in_bucket: Callable[[], Location]) -> None:
    assert {"before read", "after put DIGEST.msgpack.zst", "before put repodata.json"} < {*killed(runner, in_bucket)}
