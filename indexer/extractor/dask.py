"""Packages read by the workers of a dask.distributed cluster; what the cluster loses is read here.

No job says how to reach the channel: jobs stand in the scheduler's memory and in logs, and the keys would with them.
Each worker is told beside the jobs, sealed for it alone, and keeps it in its memory until the run ends.
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
    from indexer.extractor.sealed import Reader
    from indexer.extractor.workers import Workers
    from indexer.store import Store
    from indexer.store.target import Target

_log = logging.getLogger(__name__)

_ADDRESS = re.compile(r"(tcp|tls)://(\[[0-9a-fA-F:]+\]|[^/\s:@]+):\d+")
_CONNECT_S = 10
# How long workers may take to come, at the beginning and after the last one has died.
_NOBODY_S = 60
_DESERTED = f"no worker for {_NOBODY_S} s"
# A worker that has not been told yet asks for it; more of them than this do not come between two jobs.
_TELLINGS = 5
# Each batch under way has a thread here that waits for it.
_MAX_WINDOW = 512
_TLS = "set DASK_DISTRIBUTED__COMM__TLS__CA_FILE, ...__CLIENT__CERT and ...__CLIENT__KEY"
# On Python 3.10 these are two classes.
_TIMEOUTS = (TimeoutError, asyncio.TimeoutError)


# What workers do.


@dataclass(slots=True)
class _Told:
    """How jobs of a run reach the channel, a store for each thread, and what opens what is told."""

    reader: Reader
    target: Target | None = None
    stores: dict[int, Store] = field(default_factory=dict)


_told: dict[str, _Told] = {}


def listen(token: str) -> bytes:
    """On a worker: the public key for what it is to be told of a run."""
    from indexer.extractor.sealed import Reader

    return _told.setdefault(token, _Told(Reader())).reader.public


def tell(token: str, letters: Mapping[bytes, bytes], inode: int) -> str:
    """On a worker: how jobs of a run reach the channel.  What is wrong with that here, empty if nothing is."""
    told = _told.get(token)
    if told is None or told.reader.public not in letters:
        return ""  # one that has come since; it will be asked for
    target: Target = told.reader.open(letters[told.reader.public])
    if not target.in_bucket and _inode(target) != inode:
        return "does not see the folder of the channel as this machine does"
    told.target = target
    return ""


def forget(token: str) -> None:
    """On a worker: the run is over."""
    _told.pop(token, None)


@dataclass(frozen=True, slots=True)
class Order:
    """What every job of a run shares; what `token` stands for the worker was told."""

    token: str
    spec: ExtractSpec
    parallel: int


def read_there(order: Order, batch: Sequence[Stat]) -> BatchResult | IndexerError | None:
    """On a worker: what came of a batch, or why the store cannot be asked; None where nobody has told how.

    An error is an answer: the worker would log one that is raised, with what it was called with.
    """
    told = _told.get(order.token)
    if told is None or told.target is None:
        return None
    try:
        thread = threading.get_ident()  # a store counts what it is asked, so jobs at once have one each
        if thread not in told.stores:
            told.stores[thread] = open_store(told.target)
        return read_batch(told.stores[thread], order.spec, order.parallel, batch)
    except IndexerError as error:
        return error


# What this side does.


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that reads packages of one channel: dask's client, how to reach the channel, one thread of ours.

    It is `deserted` when nobody has worked there for a minute; each batch waiting as long again would take hours.
    """

    client: Any
    target: Target
    parallel: int
    here: Executor
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    deserted: threading.Event = field(default_factory=threading.Event)
    complained: threading.Event = field(default_factory=threading.Event)

    def tell(self) -> None:
        """Tell every worker how to reach the channel.  Raises BadConfig for one that cannot work with this release."""
        # By a function of the standard library: a worker of another release may not be able to load ours.
        releases = self._ask(pkgutil.resolve_name, "indexer.core.release:__version__")
        for worker, release in releases.items():
            if release != __version__:
                has = f"indexer {release}" if isinstance(release, str) else f"no indexer that can be used ({release})"
                raise BadConfig(worker, f"has {has}, this is {__version__}", "install the same release on all workers")
        from indexer.extractor.sealed import seal

        publics = self._ask(listen, self.token).values()
        letters = {public: seal(self.target, public) for public in publics if isinstance(public, bytes)}
        for worker, wrong in self._ask(tell, self.token, letters, _inode(self.target)).items():
            if wrong:
                raise BadConfig(worker, str(wrong), "let all have the same file system, or leave --scheduler out")

    def _ask(self, function: object, *given: object) -> Mapping[str, object]:
        """What each worker answers, by its address; one that has just died does not."""
        answers = self.client.run(function, *given, on_error="return")
        return {f"worker {it}": answer for it, answer in answers.items() if not isinstance(answer, OSError)}

    def read(self, spec: ExtractSpec, batch: Sequence[Stat]) -> BatchResult:
        """Let a batch be read there, and where that comes to nothing read it here.

        Raises what a worker says of the store.
        """
        answer, why = None, "its workers come and go too fast"
        try:
            answer = self._there(Order(self.token, spec, self.parallel), batch)
        except IndexerError:
            raise
        except Exception as error:  # noqa: BLE001  a job that kills its workers, a scheduler that is gone: all the same
            why = one_line(" ".join(masked(error).split()))
        if isinstance(answer, BatchResult):
            return answer
        if isinstance(answer, IndexerError):
            raise type(answer)(answer.thing, f"{answer.reason}, says a worker", answer.next_step)
        # Said once: there may be thousands of batches.
        level = logging.INFO if self.complained.is_set() else logging.WARNING
        self.complained.set()
        _log.log(level, "%s/: the cluster has lost %d packages (%s); such are read here", spec.subdir, len(batch), why)
        return self.here.submit(run_job, BatchJob(self.target, spec, self.parallel), batch).result()

    def _there(self, order: Order, batch: Sequence[Stat]) -> BatchResult | IndexerError | None:
        for _ in range(_TELLINGS):
            if self.deserted.is_set() and not self.client.nthreads():
                raise TimeoutError(_DESERTED)
            answer = self._answer(order, batch)
            self.deserted.clear()
            if answer is not None:
                return answer
            self.tell()
        return None

    def _answer(self, order: Order, batch: Sequence[Stat]) -> BatchResult | IndexerError | None:
        # The key says nothing of what is read: it stands in logs and on the dashboard.
        future = self.client.submit(read_there, order, batch, key=f"indexer-{uuid.uuid4().hex}", pure=False)
        while True:
            try:
                answer: BatchResult | IndexerError | None = future.result(timeout=_NOBODY_S)
            except _TIMEOUTS:
                if not self.client.nthreads():
                    self.deserted.set()
                    future.cancel()
                    raise TimeoutError(_DESERTED) from None
            else:
                return answer


@contextlib.contextmanager
def connected(scheduler: str, target: Target, parallel: int) -> Iterator[Workers]:
    """The workers of a cluster, each of whose threads reads `parallel` packages at once.

    Raises BadConfig where there is no such cluster, or one that cannot be used.
    """
    where = f"--scheduler {masked(scheduler)}"
    if not _ADDRESS.fullmatch(scheduler):
        raise BadConfig(where, "is no address of a scheduler", "give one such as tcp://HOST:8786 or tls://HOST:8786")
    if not target.in_bucket:
        target = replace(target, location=str(Path(target.location).resolve()))
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(contextlib.closing(_client(where, scheduler)))
        cluster = Cluster(client, target, parallel, stack.enter_context(ThreadPoolExecutor(1)))
        stack.callback(_end, cluster)
        cluster.tell()
        window = min(2 * sum(client.nthreads().values()), _MAX_WINDOW)
        threads = stack.enter_context(ThreadPoolExecutor(window))
        yield in_batches(threads, lambda spec: functools.partial(cluster.read, spec), window)


def _client(where: str, scheduler: str) -> Any:
    try:
        distributed: Any = importlib.import_module("distributed")  # its types are not whole
        importlib.import_module("nacl")
    except ImportError as error:
        step = "pip install 'conda-channel-indexer[dask]'"
        raise BadConfig(where, f"needs {error.name}, which is not installed", step) from error
    # It tells of workers that die, with tracebacks; what comes of that is told by us.
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        security = distributed.Security()
        if scheduler.startswith("tls://") and security.get_connection_args("client").get("ssl_context") is None:
            raise BadConfig(where, "needs certificates, and dask is told of none", _TLS)
        client = distributed.Client(
            scheduler, timeout=_CONNECT_S, security=security, set_as_default=False, name="indexer"
        )
    except (OSError, *_TIMEOUTS) as error:
        raise BadConfig(where, f"does not answer ({masked(error)})", "look at the address, or start it") from error
    try:
        client.wait_for_workers(1, timeout=_NOBODY_S)
    except _TIMEOUTS as error:
        client.close()
        step = f"start some: dask worker {scheduler}"
        raise BadConfig(where, f"has had no worker for {_NOBODY_S} s", step) from error
    return client


def _end(cluster: Cluster) -> None:
    with contextlib.suppress(Exception):  # what was told is gone with a worker, too
        cluster.client.run(forget, cluster.token, on_error="ignore")


def _inode(target: Target) -> int:
    """What tells a folder from another: versions of files have inodes in them."""
    try:
        return 0 if target.in_bucket else Path(target.location).stat().st_ino
    except OSError:
        return -1
