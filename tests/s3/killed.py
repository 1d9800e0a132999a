"""A program is killed once at each kind of moment that its run has, each time in a new channel.

A kind is a call that writes one sort of file, or one system call: before the first shard, after the index.
Reads change nothing, so all reads are one kind.  tests/engine/test_crashes.py stops a run at every single call of a
store in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.channel_check import faults
from tests.support.channel_reader import unreadable
from tests.support.killable_processes import KILLED, Job, Location, Runner, content, store_at

if TYPE_CHECKING:
    from collections.abc import Callable


def done(runner: Runner, job: Job) -> list[str]:
    """Do a job to its end; the names of its moments."""
    ended = runner.one(job)
    assert ended.code == 0, ended.said
    return ended.moments


def killed_everywhere(
    runner: Runner, prepare: Callable[[], Job], check: Callable[[Job, dict[str, bytes]], None]
) -> list[str]:
    """Kill a job at each kind of moment, and repeat it; the names of the moments.

    `prepare` makes a new channel and the job.  `check` gets the content of the channel after the kill, and repeats the
    job.  Then the channel is without a fault.
    """
    moments = done(runner, prepare())
    for moment in moments:
        job = prepare()
        job.moment = moment
        ended = runner.one(job)
        assert ended.code == KILLED, f"not killed at {moment}: {ended.said}"
        try:
            left = content(job.where)
            assert unreadable(readable(left)) == []
            job.moment = ""
            check(job, left)
            assert faults(store_at(job.where)) == []
        except AssertionError as error:
            raise AssertionError(f"after a kill at {moment}") from error
    return moments


def readable(bodies: dict[str, bytes]) -> dict[str, bytes]:
    """The channel without its snapshots."""
    return {key: body for key, body in bodies.items() if not key.startswith("snapshots/")}


def new_channel(runner: Runner, new: Callable[[], Location], packages: dict[str, bytes]) -> Location:
    """A new channel that has packages and is indexed."""
    where = new()
    done(runner, Job(where, put=packages))
    return where
