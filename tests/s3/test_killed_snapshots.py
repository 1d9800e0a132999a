"""Snapshots and rollbacks that are killed at any moment and repeated end as if they had never been killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from indexer.core import names
from tests.s3.killed import done, killed_everywhere, new_channel, readable
from tests.support.channel_check import faults
from tests.support.channel_reader import indexed
from tests.support.killable_processes import Job, Location, Runner, content, store_at
from tests.support.memory_channel import keys, package

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.s3

FIRST = {key: package(key) for key in (*keys(3), *keys(1, "noarch"))}
LATER = {key: package(key) for key in (*keys(2, start=7), *keys(1, "noarch", start=9))}


def snapshots_are_killed(runner: Runner, new: Callable[[], Location]) -> list[str]:
    def prepare() -> Job:
        return Job(new_channel(runner, new, FIRST), snapshot="v1")

    def check(job: Job, _: dict[str, bytes]) -> None:
        assert faults(store_at(job.where)) == []
        done(runner, job)
        found = {key.split("/")[2] for key in content(job.where) if key.startswith("snapshots/v1/")}
        # A killed process leaves the file that it was writing.
        assert {name for name in found if not name.endswith(".tmp")} == {
            "linux-64",
            "noarch",
            names.SNAPSHOT_CONTENTS,
            names.SNAPSHOT_MARKER,
        }

    return killed_everywhere(runner, prepare, check)


def rollbacks_are_killed(runner: Runner, new: Callable[[], Location]) -> list[str]:
    def prepare() -> Job:
        where = new_channel(runner, new, FIRST)
        done(runner, Job(where, snapshot="v1"))
        done(runner, Job(where, put=LATER))
        return Job(where, rollback="v1")

    def check(job: Job, _: dict[str, bytes]) -> None:
        done(runner, job)
        assert indexed(readable(content(job.where))) == FIRST.keys()

    return killed_everywhere(runner, prepare, check)


def test_a_snapshot_in_a_folder_is_killed_anywhere(runner: Runner, in_folder: Callable[[], Location]) -> None:
    assert f"os.rename {names.SNAPSHOT_MARKER}" in snapshots_are_killed(runner, in_folder)


def test_a_snapshot_in_a_bucket_is_killed_anywhere(runner: Runner, in_bucket: Callable[[], Location]) -> None:
    assert f"before put {names.SNAPSHOT_MARKER}" in snapshots_are_killed(runner, in_bucket)


def test_a_rollback_in_a_folder_is_killed_anywhere(runner: Runner, in_folder: Callable[[], Location]) -> None:
    assert {"os.rename .indexer-yanked.json", "os.rename repodata.json"} < {*rollbacks_are_killed(runner, in_folder)}


def test_a_rollback_in_a_bucket_is_killed_anywhere(runner: Runner, in_bucket: Callable[[], Location]) -> None:
    assert {"after put .indexer-yanked.json", "before put repodata.json"} < {*rollbacks_are_killed(runner, in_bucket)}
