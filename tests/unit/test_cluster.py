"""What a cluster does not read is read here, and a cluster that cannot be used is refused in one line."""

from __future__ import annotations

import shutil
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from nacl.exceptions import CryptoError

from indexer.core.errors import BadConfig
from indexer.core.model import Rules
from indexer.core.release import __version__
from indexer.extractor.dask import BatchOrder, Cluster, connected, forget, read_on_worker, receive_target
from indexer.extractor.extract import ExtractSpec
from indexer.extractor.sealed import Recipient, seal
from indexer.extractor.workers import BatchResult
from indexer.store.fs import FolderStore
from indexer.store.target import S3Options, Target
from tests.support.memory_channel import NOW_MS, keys, package

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from indexer.core.model import Stat

SPEC = ExtractSpec("linux-64", Rules(), NOW_MS, verify_digests=True)
WORKER = "tcp://10.0.0.7:4711"


@dataclass
class Future:
    """What came of a job: an answer, or it was lost."""

    answer: Any = None
    lost: Exception | None = None

    def result(self, timeout: float) -> Any:
        assert timeout > 0
        if self.lost is not None:
            raise self.lost
        return self.answer

    def cancel(self) -> None:
        pass


@dataclass
class Client:
    """dask's client of one worker in this process; first something else comes of its `jobs`."""

    release: object = __version__
    jobs: deque[Future] = field(default_factory=deque)
    workers: int = 1
    inodes: int = 0
    submitted: int = 0
    ran: list[str] = field(default_factory=list)

    def run(self, function: Callable[..., Any], *given: Any, on_error: str) -> dict[str, Any]:
        assert on_error in {"return", "ignore"}
        self.ran.append(function.__name__)
        if function.__name__ == "resolve_name":
            return {WORKER: self.release, "tcp://10.0.0.8:1": OSError("died")}
        if function is receive_target:
            given = (*given[:-1], given[-1] + self.inodes)
        return {WORKER: function(*given)}

    def submit(self, function: Callable[..., Any], *given: Any, key: str, pure: bool) -> Future:
        assert not pure
        assert key.startswith("indexer-")
        assert function is read_on_worker
        self.submitted += 1
        return self.jobs.popleft() if self.jobs else Future(function(*given))

    def nthreads(self) -> dict[str, int]:
        return dict.fromkeys(map(str, range(self.workers)), 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    channel = tmp_path / "channel"
    (channel / "linux-64").mkdir(parents=True)
    for key in keys(3):
        (channel / key).write_bytes(package(key))
    return channel


@pytest.fixture
def batch(folder: Path) -> list[Stat]:
    return sorted(FolderStore(folder).list("linux-64/"), key=lambda stat: stat.key)


@pytest.fixture
def cluster(folder: Path) -> Iterator[Cluster]:
    with ThreadPoolExecutor(1) as here:
        cluster = Cluster(Client(), Target(str(folder)), 2, here)
        yield cluster
        forget(cluster.token)


def read(cluster: Cluster, batch: list[Stat]) -> list[str]:
    done = cluster.read(SPEC, batch)
    assert done.usage.requests["GET"] == len(batch)
    return sorted(reading.result.filename for reading in done.readings)


NAMES = [key.partition("/")[2] for key in keys(3)]


def test_a_batch_is_read_by_a_worker(cluster: Cluster, batch: list[Stat]) -> None:
    cluster.send_target()
    assert read(cluster, batch) == NAMES
    assert cluster.client.ran == ["resolve_name", "public_key_of", "receive_target"]


def test_a_worker_that_has_come_since_is_told_when_it_asks(cluster: Cluster, batch: list[Stat]) -> None:
    cluster.send_target()
    forget(cluster.token)
    assert read(cluster, batch) == NAMES
    assert cluster.client.ran.count("receive_target") == 2


@pytest.mark.parametrize("lost", [RuntimeError("KilledWorker"), OSError("gone"), TimeoutError()])
def test_what_is_lost_is_read_here_and_that_is_said(
    cluster: Cluster, batch: list[Stat], lost: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.send_target()
    cluster.client.workers = 0
    cluster.client.jobs.append(Future(lost=lost))
    assert read(cluster, batch) == NAMES
    assert "lost 3 packages" in caplog.text


def test_a_cluster_without_workers_is_awaited_once_and_used_later(
    cluster: Cluster, batch: list[Stat], caplog: pytest.LogCaptureFixture
) -> None:
    cluster.send_target()
    client = cluster.client
    client.workers = 0
    client.jobs.append(Future(lost=TimeoutError()))
    assert [read(cluster, batch) for _ in range(3)] == [NAMES] * 3
    assert client.submitted == 1
    assert len(caplog.records) == 1
    client.workers = 1
    assert read(cluster, batch) == NAMES
    assert client.submitted == 2


def test_a_cluster_whose_workers_never_know_is_given_up(
    cluster: Cluster, batch: list[Stat], caplog: pytest.LogCaptureFixture
) -> None:
    cluster.client.jobs.extend([Future()] * 5)
    assert read(cluster, batch) == NAMES
    assert "its workers change too fast" in caplog.text


def test_what_the_store_says_to_a_worker_is_an_error_of_the_run(
    cluster: Cluster, batch: list[Stat], folder: Path
) -> None:
    cluster.send_target()
    shutil.rmtree(folder)
    with pytest.raises(BadConfig, match="reported by a worker"):
        cluster.read(SPEC, batch)


@pytest.mark.parametrize(
    ("release", "said"),
    [("0.0.1", f"has indexer 0.0.1, this is {__version__}"), (ModuleNotFoundError("No module"), "no indexer")],
)
def test_a_worker_of_another_release_is_refused(cluster: Cluster, release: object, said: str) -> None:
    cluster.client.release = release
    with pytest.raises(BadConfig, match=said) as raised:
        cluster.send_target()
    assert raised.value.thing == f"worker {WORKER}"
    assert "public_key_of" not in cluster.client.ran


def test_a_worker_that_sees_another_folder_is_refused(cluster: Cluster) -> None:
    cluster.client.inodes = 1
    with pytest.raises(BadConfig, match="does not see the same channel folder"):
        cluster.send_target()


def test_a_worker_keeps_nothing_when_a_run_has_ended(cluster: Cluster, batch: list[Stat]) -> None:
    cluster.send_target()
    order = BatchOrder(cluster.token, SPEC, 1)
    assert isinstance(read_on_worker(order, batch), BatchResult)
    forget(cluster.token)
    forget(cluster.token)
    assert read_on_worker(order, batch) is None


@pytest.mark.parametrize("address", ["host:8786", "http://host:8786", "tcp://host", "tcp://me:secret-word@host:1", ""])
def test_what_is_no_address_of_a_scheduler_is_refused(address: str) -> None:
    with pytest.raises(BadConfig, match="is not the address") as raised, connected(address, Target("."), 1):
        pass
    assert "secret-word" not in str(raised.value)


def test_what_is_sealed_for_one_is_read_by_nobody_else() -> None:
    value = Target("s3://b", S3Options(secret_access_key="correct-horse"))
    reader, other = Recipient(), Recipient()
    sealed = seal(value, reader.public)
    assert reader.open(sealed) == value
    assert b"correct" not in sealed
    assert seal(value, reader.public) != sealed
    with pytest.raises(CryptoError):
        other.open(sealed)
