"""Indexers, uploaders and readers as processes that are killed in the middle of a run.

A runner imports all that they need once and forks a process for each: `Job` says what it shall do.  A killed one
dies of SIGKILL, as in a container that is taken away: nothing is tidied up, nothing is flushed.

The moments of a process have names: in a bucket `before read`, `before put repodata.json`, `after put repodata.json`;
in a folder each change by a system call, `os.rename repodata.json`.  The names do not depend on the order of threads.
"""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from indexer.commands.context import Context
from indexer.commands.index import index_channel
from indexer.commands.named_snapshots import SnapshotRequest, make_snapshot
from indexer.commands.promote.promote import PromoteRequest, Source, promote
from indexer.commands.prune.prune import prune
from indexer.commands.publish.publish import publish
from indexer.commands.rollback import RollbackRequest, roll_back
from indexer.core.channel_settings import ChannelSettings
from indexer.core.errors import Missing
from indexer.core.model import Outputs
from indexer.core.options import Options
from indexer.core.pruning import PruneRequest
from indexer.core.publishing import PublishRequest
from indexer.extractor import workers
from indexer.store import WHOLE, Expect
from indexer.store.concurrent import DaemonThreads
from indexer.store.open import open_store
from indexer.store.target import S3Options, Target
from tests.support.channel_reader import unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from indexer.core.model import ETag, Stat
    from indexer.core.report import Report
    from indexer.core.stream import Content
    from indexer.core.usage import Usage
    from indexer.store import Part, Range, Reader, Store

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
KILLED = -signal.SIGKILL
_BROKEN = 99
# After ten minutes of conflicts a run gives up by itself; one that has not ended then says where it hangs.
_LIMIT = 900
_READINGS = 30
# What a process does to a folder, as Python's own audit events tell it.
_DEEDS = {"open", "os.rename", "os.remove", "os.utime", "os.mkdir", "fcntl.flock"}
# Of these events the name of the file matters: readers see the change.  A rename has its new name second.
_NAMED_DEEDS = {"os.rename": 1, "os.remove": 0}
_DIGEST = re.compile(r"[0-9a-f]{32,}")


class Location(msgspec.Struct, frozen=True):
    """A channel in a folder, or in a bucket where there is an endpoint."""

    location: str
    endpoint: str = ""
    key: str = ""
    secret: str = ""

    @property
    def target(self) -> Target:
        """The same as the indexer knows it."""
        if not self.endpoint:
            return Target(self.location)
        return Target(self.location, S3Options(self.endpoint, "us-east-1", "path", self.key, self.secret), 16)


class Job(msgspec.Struct):
    """What one process does: put and delete packages, then index the channel, unless it only reads.

    With `publish` it publishes these packages, by file name, instead of all that; with `promote` it promotes all that
    another channel has; with `snapshot` it makes a named snapshot, with `rollback` it rolls back to one.
    It is killed when the first moment named `moment` begins, or when moment number `at` of any name begins.
    """

    where: Location
    put: dict[str, bytes] = {}
    delete: list[str] = []
    publish: dict[str, bytes] = {}
    promote: Location | None = None
    prune: bool = False
    snapshot: str = ""
    rollback: str = ""
    reads: bool = False
    at: int = 0
    moment: str = ""


class ExitReport(msgspec.Struct):
    """How a process ended: its exit code or minus the signal, the names of the moments that began, what it said."""

    code: int
    moments: list[str]
    said: str


@dataclass
class CrashingStore:
    """Passes every call on to a store, and dies at one of them."""

    store: Store
    tick: Callable[[str], None]
    usage: Usage = field(init=False)

    def __post_init__(self) -> None:
        """Count what the store counts."""
        self.usage = self.store.usage

    def _read(self, call: Callable[[], T]) -> T:
        self.tick("before read")
        return call()

    def _write(self, name: str, call: Callable[[], T]) -> T:
        self.tick(f"before {name}")
        answer = call()
        self.tick(f"after {name}")
        return answer

    def list(self, prefix: str, *, part: Part = WHOLE) -> Iterator[Stat]:
        """What lies directly under a prefix."""
        return iter(self._read(lambda: [*self.store.list(prefix, part=part)]))

    def stat(self, key: str, *, checksum: bool = False) -> Stat | None:
        """One object."""
        return self._read(lambda: self.store.stat(key, checksum=checksum))

    def open(self, key: str, *, range: Range | None = None, etag: ETag | None = None) -> Reader:
        """Read an object."""
        return self._read(lambda: self.store.open(key, range=range, etag=etag))

    def put(self, key: str, body: Content, *, expect: Expect | ETag, headers: Mapping[str, str] | None = None) -> ETag:
        """Write an object."""
        return self._write(
            f"put {_kind_of_file(key)}", lambda: self.store.put(key, body, expect=expect, headers=headers)
        )

    @property
    def place(self) -> object:
        """Where the objects lie."""
        return self.store.place

    def copy(self, place: object, stat: Stat, *, expect: Expect) -> ETag:
        """Copy an object from another place."""
        return self._write(f"copy {_kind_of_file(stat.key)}", lambda: self.store.copy(place, stat, expect=expect))

    def delete(self, key: str, *, expect: Expect | ETag) -> None:
        """Delete an object."""
        self._write(f"delete {_kind_of_file(key)}", lambda: self.store.delete(key, expect=expect))


def _kind_of_file(key: str) -> str:
    """The name of a file without its folder; all packages have one name, and all shards."""
    name = key.rpartition("/")[2]
    return "package" if name.endswith((".conda", ".tar.bz2")) else _DIGEST.sub("DIGEST", name)


class _Moments:
    """Reports the moments of this process, and kills it at one of them."""

    def __init__(self, job: Job, report: int) -> None:
        self._job = job
        self._report = report
        self._lock = threading.Lock()
        self._number = 0
        self._names: set[str] = set()

    def tick(self, moment: str) -> None:
        with self._lock:
            self._number += 1
            if moment not in self._names:
                self._names.add(moment)
                os.write(self._report, f"{moment}\n".encode())
            if moment == self._job.moment or self._number == self._job.at:
                os.kill(os.getpid(), signal.SIGKILL)

    def hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if event not in _DEEDS:
            return
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & os.O_CREAT):
            return
        # The store names files by their folder's descriptor, so without a path; nothing else does.
        path = Path(str(arguments[0]))
        if event == "fcntl.flock" or not path.is_absolute() or path.is_relative_to(self._job.where.location):
            named = event in _NAMED_DEEDS
            self.tick(f"{event} {_kind_of_file(str(arguments[_NAMED_DEEDS[event]]))}" if named else event)


def _index(job: Job, moments: _Moments) -> int:
    target = job.where.target
    store: Store = open_store(target)
    _change(job, store)
    if target.in_bucket:
        store = CrashingStore(store, moments.tick)
    else:
        sys.addaudithook(moments.hook)
    options = Options(Outputs(zst_level=1), verify_digests=not target.in_bucket, create=True)
    with (
        workers.local(target, 4) as local,
        ThreadPoolExecutor(8) as threads,
        tempfile.TemporaryDirectory() as folder,
    ):
        context = Context(local, threads, subdir_executor=DaemonThreads())
        if job.snapshot:
            return make_snapshot(store, SnapshotRequest(job.snapshot), context).exit_code
        if job.publish:
            report: Report = publish(store, _files(job, Path(folder)), PublishRequest(), options, context)
        elif job.prune:  # all but the newest version of each name, without a grace
            rules = PruneRequest(ChannelSettings(keep_newest=1), grace_ms=0, delete=True)
            report = prune(store, rules, context)
        elif job.promote:
            source = Source(CrashingStore(open_store(job.promote.target), moments.tick))
            report = promote(source, store, PromoteRequest(("*",)), options, context)
        elif job.rollback:
            report = roll_back(store, RollbackRequest(job.rollback, apply=True), context)
        else:
            report = index_channel(store, options, context)
    for sub in report.subdirs.values():
        if sub.error:
            print(sub.error)  # noqa: T201  its own output is what the test shows
    return report.exit_code


def _files(job: Job, folder: Path) -> list[Path]:
    """The files to publish, as a build leaves them."""
    for name, body in job.publish.items():
        (folder / name).write_bytes(body)
    return [folder / name for name in job.publish]


def _change(job: Job, store: Store) -> None:
    """Put and delete packages as an uploader does."""
    for key, body in job.put.items():
        store.put(key, body, expect=Expect.ANYTHING)
    for key in job.delete:
        store.delete(key, expect=Expect.ANYTHING)


def _read(job: Job) -> int:
    """Read the channel as clients do, again and again: every file whole, every shard there."""
    for _ in range(_READINGS):
        bodies = content(job.where, packages=False)
        wrong = [line for line in unreadable(bodies) if "is not there" not in line]
        # A shard may have been put after we listed: what counts is whether it can be had now.
        store = store_at(job.where)
        missing = [line.partition(":")[0] for line in unreadable(bodies) if "is not there" in line]
        wrong += [f"{key}: is not there" for key in missing if store.stat(key) is None]
        if wrong:
            print(wrong)  # noqa: T201  its own output is what the test shows
            return _BROKEN
    return 0


@functools.lru_cache(maxsize=1)
def store_at(where: Location) -> Store:
    """The store of a channel; to make a client takes longer than to read a small one."""
    return open_store(where.target)


def content(where: Location, *, packages: bool = True) -> dict[str, bytes]:
    """The content of all that lies in a channel, by key; what vanishes meanwhile is left out."""
    store = store_at(where)
    results: dict[str, bytes] = {}

    def keys(prefix: str) -> Iterator[str]:
        for stat in list(store.list(prefix)):
            if stat.key.endswith("/"):
                yield from keys(stat.key)
            elif packages or not stat.key.endswith((".conda", ".tar.bz2")):
                yield stat.key

    for key in list(keys("")):
        with contextlib.suppress(Missing):
            with store.open(key) as reader:
                results[key] = reader.read()
    return results


def _child(job: Job, report: int, output: int) -> None:
    """Do a job in the process that was made for it, and leave it."""
    code = _BROKEN
    try:
        os.dup2(output, 1)
        os.dup2(output, 2)
        faulthandler.dump_traceback_later(_LIMIT, exit=True)
        code = _read(job) if job.reads else _index(job, _Moments(job, report))
    except BaseException:  # noqa: BLE001  whatever it is, the parent is told
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _serve() -> None:
    """For each line, a list of jobs, fork a process a job, wait for all, and answer with a line."""
    jobs = msgspec.json.Decoder(list[Job])
    for line in sys.stdin.buffer:
        started = []
        for job in jobs.decode(line):
            report, output = os.memfd_create("report"), os.memfd_create("output")
            pid = os.fork()
            if pid == 0:
                _child(job, report, output)
            started.append((pid, report, output))
        ended = []
        for pid, report, output in started:
            _, status = os.waitpid(pid, 0)
            moments, text = (os.pread(file, 2**16, 0).decode(errors="replace") for file in (report, output))
            ended.append(ExitReport(os.waitstatus_to_exitcode(status), moments.splitlines(), text))
            os.close(report)
            os.close(output)
        sys.stdout.buffer.write(msgspec.json.encode(ended) + b"\n")
        sys.stdout.buffer.flush()


@dataclass
class Runner:
    """The process that forks the others."""

    process: subprocess.Popen[bytes]

    def all(self, jobs: Sequence[Job]) -> list[ExitReport]:
        """Do jobs at once, each in a process of its own."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(msgspec.json.encode(list(jobs)) + b"\n")
        self.process.stdin.flush()
        return msgspec.json.decode(self.process.stdout.readline(), type=list[ExitReport])

    def one(self, job: Job) -> ExitReport:
        """Do a job in a process of its own."""
        (ended,) = self.all([job])
        return ended


@contextlib.contextmanager
def running() -> Iterator[Runner]:
    """A runner for as long as a `with` block."""
    command = [sys.executable, "-m", "tests.support.killable_processes"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield Runner(process)
        finally:
            process.kill()


if __name__ == "__main__":
    if sys.version_info >= (3, 12):
        import warnings

        warnings.simplefilter("ignore", DeprecationWarning)  # no thread runs in this process when it forks
    import boto3  # noqa: F401  here once, not in every child

    _serve()
