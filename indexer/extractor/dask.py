"""The workers of a dask.distributed cluster read packages; this process reads the batches that the cluster loses.

A batch has no credentials, because batches are in the memory of the scheduler and in logs.  Each worker gets the
target with its credentials separately, encrypted for this worker, and keeps it in memory until the run ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import logging
import pkgutil
import re
import secrets
import threading
import uuid
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.core.errors import BadConfig, IndexerError
from indexer.core.printable import one_line
from indexer.core.release import __version__
from indexer.extractor.workers import BatchJob, BatchResult, in_batches, read_batch, run_job
from indexer.store.open import open_store
from indexer.store.redact import masked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from indexer.core.model import Stat
    from indexer.extractor.extract import ExtractSpec
    from indexer.extractor.sealed import Recipient
    from indexer.extractor.workers import Workers
    from indexer.store import Store
    from indexer.store.target import Target

_log = logging.getLogger(__name__)

_ADDRESS = re.compile(r"(tcp|tls)://(\[[0-9a-fA-F:]+\]|[^/\s:@]+):\d+")
_CONNECT_S = 10
# Seconds to wait for a worker, at the beginning and after the last one has died.
_NO_WORKER_S = 60
_NO_WORKER = f"no worker for {_NO_WORKER_S} s"
# A new worker without the target fails a batch, and the target is sent again, at most this often for one batch.
_MAX_SENDS = 5
# A thread of this process waits for each batch under way.
_MAX_WINDOW = 512
_TLS = "set DASK_DISTRIBUTED__COMM__TLS__CA_FILE, ...__CLIENT__CERT and ...__CLIENT__KEY"
# On Python 3.10 these are two classes.
_TIMEOUTS = (TimeoutError, asyncio.TimeoutError)


# The part that runs on workers.


@dataclass(slots=True)
class _RunAccess:
    """The access of one run to its channel on a worker: private key, target, and a store for each thread."""

    recipient: Recipient
    target: Target | None = None
    stores: dict[int, Store] = field(default_factory=dict)


_access_by_token: dict[str, _RunAccess] = {}


def public_key_of(token: str) -> bytes:
    """On a worker: the public key with which the target of a run is to be encrypted."""
    from indexer.extractor.sealed import Recipient

    return _access_by_token.setdefault(token, _RunAccess(Recipient())).recipient.public


def receive_target(token: str, sealed_targets: Mapping[bytes, bytes], inode: int) -> str:
    """On a worker: keep the target of a run.  Returns the reason if this worker cannot use the target, else ''."""
    access = _access_by_token.get(token)
    if access is None or access.recipient.public not in sealed_targets:
        return ""  # a new worker: its first batch makes this process send the target again
    target: Target = access.recipient.open(sealed_targets[access.recipient.public])
    if not target.in_bucket and _inode(target) != inode:
        return "does not see the same channel folder as this machine"
    access.target = target
    return ""


def forget(token: str) -> None:
    """On a worker: delete the target of a run that has ended."""
    _access_by_token.pop(token, None)


@dataclass(frozen=True, slots=True)
class BatchOrder:
    """The part that all batches of a run have in common; `token` identifies the run on a worker."""

    token: str
    spec: ExtractSpec
    parallel: int


def read_on_worker(order: BatchOrder, batch: Sequence[Stat]) -> BatchResult | IndexerError | None:
    """On a worker: the result of a batch, or the error of the store; None if this worker has no target yet.

    An error is returned, not raised: the worker would log a raised error with the arguments of the call.
    """
    access = _access_by_token.get(order.token)
    if access is None or access.target is None:
        return None
    try:
        thread = threading.get_ident()  # a store counts its requests, so each thread needs its own
        if thread not in access.stores:
            access.stores[thread] = open_store(access.target)
        return read_batch(access.stores[thread], order.spec, order.parallel, batch)
    except IndexerError as error:
        return error


# The part that runs in this process.


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that reads packages of one channel, with the client of dask, the target and a thread of this process.

    `without_workers` is set if there was no worker for a minute: if each further batch waited a minute too, the run
    would take hours.
    """

    client: Any
    target: Target
    parallel: int
    local: Executor
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    without_workers: threading.Event = field(default_factory=threading.Event)
    has_warned: threading.Event = field(default_factory=threading.Event)

    def send_target(self) -> None:
        """Send the target to every worker.  Raises BadConfig if a worker cannot use it or has another release."""
        # This is a function of the standard library: a worker with another release may be unable to load a function
        # of this one.
        releases = self._run_on_workers(pkgutil.resolve_name, "indexer.core.release:__version__")
        for worker, release in releases.items():
            if release != __version__:
                has = f"indexer {release}" if isinstance(release, str) else f"no indexer that can be used ({release})"
                raise BadConfig(worker, f"has {has}, this is {__version__}", "install the same release on all workers")
        from indexer.extractor.sealed import seal

        publics = self._run_on_workers(public_key_of, self.token).values()
        sealed_targets = {public: seal(self.target, public) for public in publics if isinstance(public, bytes)}
        for worker, reason in self._run_on_workers(
            receive_target, self.token, sealed_targets, _inode(self.target)
        ).items():
            if reason:
                raise BadConfig(worker, str(reason), "give all workers the same file system, or omit --scheduler")

    def _run_on_workers(self, function: object, *args: object) -> Mapping[str, object]:
        """The result of a function on each worker, by the address of the worker, without workers that have died."""
        results = self.client.run(function, *args, on_error="return")
        return {f"worker {address}": result for address, result in results.items() if not isinstance(result, OSError)}

    def read(self, spec: ExtractSpec, batch: Sequence[Stat]) -> BatchResult:
        """Read a batch on the cluster, or in this process if the cluster loses the batch.

        Raises the error of the store that a worker returns.
        """
        answer, reason = None, "its workers change too fast"
        try:
            answer = self._read_on_cluster(BatchOrder(self.token, spec, self.parallel), batch)
        except IndexerError:
            raise
        except Exception as error:  # noqa: BLE001  a batch that kills its workers, a scheduler that is gone
            reason = one_line(" ".join(masked(error).split()))
        if isinstance(answer, BatchResult):
            return answer
        if isinstance(answer, IndexerError):
            raise type(answer)(answer.thing, f"{answer.reason} (reported by a worker)", answer.next_step)
        # One warning is enough: there may be thousands of batches.
        level = logging.INFO if self.has_warned.is_set() else logging.WARNING
        self.has_warned.set()
        _log.log(
            level,
            "%s/: the cluster lost %d packages (%s); this process reads them instead",
            spec.subdir,
            len(batch),
            reason,
        )
        return self.local.submit(run_job, BatchJob(self.target, spec, self.parallel), batch).result()

    def _read_on_cluster(self, order: BatchOrder, batch: Sequence[Stat]) -> BatchResult | IndexerError | None:
        for _ in range(_MAX_SENDS):
            if self.without_workers.is_set() and not self.client.nthreads():
                raise TimeoutError(_NO_WORKER)
            answer = self._answer(order, batch)
            self.without_workers.clear()
            if answer is not None:
                return answer
            self.send_target()
        return None

    def _answer(self, order: BatchOrder, batch: Sequence[Stat]) -> BatchResult | IndexerError | None:
        # The key is random, without package names: it appears in logs and on the dashboard.
        future = self.client.submit(read_on_worker, order, batch, key=f"indexer-{uuid.uuid4().hex}", pure=False)
        while True:
            try:
                answer: BatchResult | IndexerError | None = future.result(timeout=_NO_WORKER_S)
            except _TIMEOUTS:
                if not self.client.nthreads():
                    self.without_workers.set()
                    future.cancel()
                    raise TimeoutError(_NO_WORKER) from None
            else:
                return answer


@contextlib.contextmanager
def connected(scheduler: str, target: Target, parallel: int) -> Iterator[Workers]:
    """The workers of a cluster; each thread of a worker reads `parallel` packages at once.

    Raises BadConfig if the cluster does not answer or cannot be used.
    """
    option = f"--scheduler {masked(scheduler)}"
    if not _ADDRESS.fullmatch(scheduler):
        raise BadConfig(option, "is not the address of a scheduler", "use an address such as tcp://HOST:8786")
    if not target.in_bucket:
        target = replace(target, location=str(Path(target.location).resolve()))
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(contextlib.closing(_client(option, scheduler)))
        cluster = Cluster(client, target, parallel, stack.enter_context(ThreadPoolExecutor(1)))
        stack.callback(_end, cluster)
        cluster.send_target()
        window = min(2 * sum(client.nthreads().values()), _MAX_WINDOW)
        threads = stack.enter_context(ThreadPoolExecutor(window))
        yield in_batches(threads, lambda spec: functools.partial(cluster.read, spec), window)


def _client(option: str, scheduler: str) -> Any:
    try:
        distributed: Any = importlib.import_module("distributed")  # its types are incomplete
        importlib.import_module("nacl")
    except ImportError as error:
        step = "pip install 'conda-channel-indexer[dask]'"
        raise BadConfig(option, f"needs {error.name}, which is not installed", step) from error
    # distributed logs tracebacks of workers that die; this module logs the consequence instead.
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        security = distributed.Security()
        if scheduler.startswith("tls://") and security.get_connection_args("client").get("ssl_context") is None:
            raise BadConfig(option, "needs a certificate, and no TLS certificate is configured", _TLS)
        client = distributed.Client(
            scheduler, timeout=_CONNECT_S, security=security, set_as_default=False, name="indexer"
        )
    except (OSError, *_TIMEOUTS) as error:
        raise BadConfig(
            option, f"does not answer ({masked(error)})", "check the address, or start the scheduler"
        ) from error
    try:
        client.wait_for_workers(1, timeout=_NO_WORKER_S)
    except _TIMEOUTS as error:
        client.close()
        step = f"start a worker: dask worker {scheduler}"
        raise BadConfig(option, f"had no worker for {_NO_WORKER_S} s", step) from error
    return client


def _end(cluster: Cluster) -> None:
    with contextlib.suppress(Exception):  # the target of a dead worker is gone anyway
        cluster.client.run(forget, cluster.token, on_error="ignore")


def _inode(target: Target) -> int:
    """The inode of a channel folder: it shows whether two machines see the same folder, and ETags contain inodes."""
    try:
        return 0 if target.in_bucket else Path(target.location).stat().st_ino
    except OSError:
        return -1
