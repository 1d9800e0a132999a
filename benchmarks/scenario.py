"""The changes of a channel and the index that must follow: a full run, nothing new, one package added, one replaced.

A turn is one tool's way through these cases; each case begins with the result of the one before. The next turn undoes
the changes of this one. The index is checked after each run: a wrong index, or one without the change, is a result too.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import zstandard

from benchmarks import channel as channels
from benchmarks import measure, peers, results
from benchmarks.results import NOT_NOTICED, OK, TIMED_OUT, Run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.channel import Channel
    from benchmarks.corpus import Corpus
    from benchmarks.measure import Outcome
    from benchmarks.peers import Tool

FULL = "full"
QUIET = "nothing new"
ADDED = "one added"
REPLACED = "one replaced"
CASES = (FULL, QUIET, ADDED, REPLACED)
GROWTH = (1_000, 10_000, 100_000, 500_000)
"""Sizes at which `--package` is measured: its cost shall not grow."""

_REPLACED = 1  # its name differs from that of the added package
_GROWTH_ONLY = frozenset({1_000, 100_000})
_MANY = 500_000
_LONGEST_SECONDS = 3600.0
_RESERVE_SECONDS = 2.0


class OutOfTimeError(Exception):
    """The time for all benchmarks is over."""


class CannotBeginError(Exception):
    """A tool cannot make the index that the turn begins with; the text has its output."""


@dataclass(frozen=True)
class Plan:
    """The measurements on one corpus in one place, if all are requested."""

    corpus: Corpus
    store: str
    latency_ms: float

    def cases(self, tool: Tool) -> tuple[str, ...]:
        """The cases in which a tool is measured here."""
        bucket, many = self.store == channels.BUCKET, self.corpus.count >= _MANY
        if tool.name in peers.BY_NAME:
            plain = bucket and not self.latency_ms and not self.corpus.large
            return (ADDED,) if plain and self.corpus.count in GROWTH else ()
        if (bucket and not tool.buckets) or self.corpus.count in _GROWTH_ONLY:
            return ()
        if self.corpus.others:
            return (FULL, QUIET, ADDED)
        # It takes half an hour in a bucket and shows no more than a smaller channel.
        return CASES[1:] if many and bucket else CASES


@dataclass
class Session:
    """One call of the benchmarks: the file of results, the end time, and the runs that are measured already."""

    file: Path
    ends: float
    """By `time.monotonic`."""
    done: set[tuple[str, str, float, str, str, int]]

    def seconds(self) -> float:
        """The time limit of the next run.  Raises OutOfTimeError if no time is left."""
        left = self.ends - time.monotonic() - _RESERVE_SECONDS
        if left <= 0:
            raise OutOfTimeError
        return min(left, _LONGEST_SECONDS)

    def keep(self, run: Run) -> None:
        """Write a result."""
        results.append(run, self.file)


@dataclass
class Turn:
    """One tool's turn in one round, in the requested cases."""

    session: Session
    plan: Plan
    tool: Tool
    lap: int
    cases: Sequence[str]
    packages: int = field(init=False, default=0)

    def todo(self) -> list[str]:
        """The cases that are not measured yet."""
        asked = [case for case in self.plan.cases(self.tool) if case in self.cases]
        return [case for case in asked if self._result(case, OK).key not in self.session.done]

    def run(self, channel: Channel) -> None:
        """Measure the cases to do; the cases after a failed run are skipped, because they mean nothing."""
        todo, reason = self.todo(), self.tool.missing
        if not reason:
            self._begin(channel, todo)
        while todo and not reason:
            case = todo.pop(0)
            say(f"{self._where()}: {self.tool.name}: {case}")
            run = self._measure(channel, case)
            self.session.keep(run)
            if not run.measured:
                say(f"  {run.state}")
                reason = f"{case} did not end well"
        for case in todo:
            self.session.keep(self._result(case, results.not_run(reason)))

    def _begin(self, channel: Channel, todo: list[str]) -> None:
        """Undo the changes of the turn before, and have an index to begin with: not measured, quick if there is one."""
        corpus = self.plan.corpus
        channel.remove(corpus.count)
        channel.put(_REPLACED)
        self.packages = corpus.count
        if FULL in todo:
            channel.clear()
            return
        say(f"{self._where()}: an index for {self.tool.name} to go on from")
        before = self.tool.before
        command = before(channel) if before else self.tool.command(channel, "")
        outcome = None if before is None else self._call(channel, command)
        if outcome is None or not outcome.ok:
            # The existing index is of no use and a full run takes long, so a message explains the wait.
            say("" if outcome is None else f"  {outcome.state}, so all is read anew: {outcome.output}")
            channel.clear()
            outcome = self._call(channel, command)
            if not outcome.ok:
                raise CannotBeginError(f"{self.tool.name} cannot begin: {outcome.state}\n{outcome.output}")

    def _call(self, channel: Channel, command: list[str]) -> Outcome:
        seconds = self.session.seconds()
        outcome = measure.measure(command, {**channel.environment, **self.tool.environment}, seconds)
        if outcome.state == TIMED_OUT and seconds < _LONGEST_SECONDS:
            raise OutOfTimeError
        return outcome

    def _where(self) -> str:
        return f"{self.plan.corpus.title}, {self.plan.store}, {self.plan.latency_ms:g} ms, lap {self.lap + 1}"

    def _change(self, channel: Channel, case: str) -> tuple[str, str]:
        """Change the channel for the case; returns the file name and the sha256 that the index must then have."""
        corpus = self.plan.corpus
        if case == ADDED:
            self.packages += 1
            return corpus.filename(corpus.count), channel.put(corpus.count)
        return corpus.filename(_REPLACED), channel.put(_REPLACED, 1) if case == REPLACED else ""

    def _measure(self, channel: Channel, case: str) -> Run:
        filename, sha256 = self._change(channel, case)
        load, when = os.getloadavg()[0], dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")
        channel.take(self.plan.latency_ms)
        server = channels.server_seconds(channel)
        outcome = self._call(channel, self.tool.command(channel, filename))
        server = channels.server_seconds(channel) - server
        counted = channel.take(0)
        if not outcome.ok:
            say(outcome.output)
        state = _judge(channel, self.packages, filename, sha256) if outcome.ok else outcome.state
        return dataclasses.replace(
            self._result(case, state),
            seconds=round(outcome.seconds, 3),
            cpu_seconds=round(outcome.cpu_seconds, 3),
            server_cpu_seconds=round(server, 3),
            proxy_cpu_seconds=round(counted.cpu_seconds, 3),
            peak_mib=round(outcome.peak_mib, 1),
            together_mib=round(outcome.together_mib, 1),
            requests=dict(counted.requests),
            package_requests=dict(counted.package_requests),
            connections=counted.connections,
            bytes_read=counted.to_client,
            bytes_written=counted.from_client,
            load=round(load, 2),
            when=when,
        )

    def _result(self, case: str, state: str) -> Run:
        plan = self.plan
        packages = self.packages or plan.corpus.count
        return Run(plan.corpus.title, packages, plan.store, plan.latency_ms, case, self.tool.name, self.lap, state)


class _Repodata(msgspec.Struct):
    """The parts of an index that are checked."""

    packages: dict[str, msgspec.Raw] = {}
    conda: dict[str, msgspec.Raw] = msgspec.field(name="packages.conda", default_factory=dict)

    def sha256(self, filename: str) -> str | None:
        """The digest in a package's record."""
        raw = self.packages.get(filename) or self.conda.get(filename)
        return None if raw is None else str(msgspec.json.decode(raw)["sha256"])


def _judge(channel: Channel, packages: int, filename: str, sha256: str) -> str:
    """Whether an index has the right number of packages, and this package with this digest."""
    data = channel.read("repodata.json")
    if data is None:
        result = _sharded(channel, filename)
    else:
        repodata = msgspec.json.decode(data, type=_Repodata)
        count = len(repodata.packages) + len(repodata.conda)
        if count != packages:
            return f"wrong: an index of {count} packages for {packages}"
        result = repodata.sha256(filename)
    return OK if not sha256 or result == sha256 else NOT_NOTICED


def _sharded(channel: Channel, filename: str) -> str | None:
    """The sha256 of a package as readers of shards see it."""
    index = _msgpack(channel, "repodata_shards.msgpack.zst")
    digest = index["shards"].get(filename.rsplit("-", 2)[0], b"").hex()
    records = _msgpack(channel, f"shards/{digest}.msgpack.zst")
    record = {**records["packages"], **records["packages.conda"]}.get(filename)
    return None if record is None else str(record["sha256"].hex())


def _msgpack(channel: Channel, name: str) -> Any:
    data = channel.read(name)
    if data is None:
        return {"shards": {}, "packages": {}, "packages.conda": {}}
    return msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompressobj().decompress(data))


def say(text: str) -> None:
    """Print a line of progress."""
    sys.stderr.write(f"{text}\n")
