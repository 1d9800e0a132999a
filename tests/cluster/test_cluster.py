"""A scheduler and two worker processes on loopback read a channel, and one of them is killed in the middle."""

from __future__ import annotations

import contextlib
import gzip
import importlib.util
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.support.command import ROOT, Ran, run, spawn
from tests.support.fake_s3 import BUCKET, PREFIX, Behavior, FakeS3, serving
from tests.support.memory_channel import keys, package

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.fake_s3 import Request, Server

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="dask.distributed is not installed (extra [dask])"
)

ACCESS, SECRET, TOKEN = "some-key", "some-secret", "some-token-of-a-session"
KEYS = keys(300)
DUMP = """
import sys
from distributed import Client
with Client(sys.argv[1], set_as_default=False) as client:
    client.dump_cluster_state(sys.argv[2], format="msgpack")
"""


@dataclass
class Process:
    """A process of the cluster, and all that it says."""

    arguments: tuple[str, ...]
    environ: dict[str, str]
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start it, and listen."""
        self._lines: queue.Queue[str] = queue.Queue()
        self.child = subprocess.Popen(
            [sys.executable, "-m", *self.arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            cwd=ROOT,
            env=self.environ,
        )
        self._ear = threading.Thread(target=self._listen)
        self._ear.start()

    def _listen(self) -> None:
        assert self.child.stdout is not None
        with self.child.stdout as lines:
            for line in lines:
                self.said.append(line)
                self._lines.put(line)

    def wait_for(self, pattern: str) -> str:
        """The group of the first line that has a pattern."""
        while True:
            result = re.search(pattern, self._lines.get(timeout=60))
            if result:
                return result[1]

    def kill(self) -> None:
        """Leave it no time for anything."""
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()
        self._ear.join()


@dataclass(frozen=True)
class Cluster:
    """Where the scheduler listens, and its processes, itself the first."""

    address: str
    processes: list[Process]

    @property
    def said(self) -> str:
        return "".join(line for process in self.processes for line in process.said)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "S3_"))}
    environ = {
        **clean,
        "PYTHONPATH": str(ROOT),
        "DASK_LOGGING__DISTRIBUTED": "debug",
        "DASK_TEMPORARY_DIRECTORY": str(tmp_path),
        "DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE": "False",
    }
    with contextlib.ExitStack() as stack:

        def start(*arguments: str) -> Process:
            process = Process(arguments, environ)
            stack.callback(process.kill)
            return process

        listens = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        scheduler = start("distributed.cli.dask_scheduler", *listens)
        address = scheduler.wait_for(r"Scheduler at: +(tcp://\S+)")
        alone = ("--no-nanny", "--no-dashboard", "--nthreads", "1", "--host", "127.0.0.1")
        workers = [start("distributed.cli.dask_worker", address, *alone) for _ in range(2)]
        for worker in workers:
            worker.wait_for("(Registered to)")
        yield Cluster(address, [scheduler, *workers])


@pytest.fixture
def served() -> Iterator[Server]:
    with serving() as server:
        server.fake = FakeS3(Behavior())
        for key in KEYS:
            server.fake.upload(key, package(key))
        yield server


def index(served: Server, cluster: Cluster) -> Ran:
    reach = ("--endpoint-url", served.url, "--provider", "minio", "--access-key-id", ACCESS)
    secrets = {"S3_SECRET_ACCESS_KEY": SECRET, "S3_SESSION_TOKEN": TOKEN}
    return spawn("s3", f"s3://{BUCKET}/{PREFIX}", *reach, "--scheduler", cluster.address, "--json", env=secrets)


def test_a_killed_worker_loses_nothing_and_the_cluster_keeps_no_secret(
    served: Server, cluster: Cluster, tmp_path: Path
) -> None:
    read: list[str] = []
    one_by_one = threading.Lock()

    def in_the_middle(asked: Request) -> None:
        if asked.method == "GET" and asked.key.endswith(".conda"):
            with one_by_one:
                read.append(asked.key)
                if len(read) == 70:
                    dumped = run([sys.executable, "-c", DUMP, cluster.address, str(tmp_path / "dump")])
                    assert dumped.code == 0, dumped.err
                    cluster.processes[1].kill()

    served.fake.hook = in_the_middle
    done = index(served, cluster)
    assert (done.code, done.err) == (0, "")
    assert done.json["outcome"] == "published"
    assert done.json["subdirs"]["linux-64"]["packages"] == len(KEYS)
    assert sorted(set(read)) == sorted(f"{PREFIX}/{key}" for key in KEYS)
    assert len(read) > len(KEYS)  # what the dead one had read is read again
    index_now = json.loads(served.fake.bodies()["linux-64/repodata.json"])
    assert len(index_now["packages.conda"]) == len(KEYS)
    dump = gzip.decompress((tmp_path / "dump.msgpack.gz").read_bytes())
    assert b"indexer-" in dump  # jobs were under way
    for left in (dump.decode("latin-1"), cluster.said, done.err):
        assert SECRET not in left
        assert TOKEN not in left
    assert "read_on_worker" not in cluster.processes[0].said
    cluster.processes[2].wait_for("(Run out-of-band function 'forget')")
