"""Processes of this machine for a run: they end when the run closes them and when this process ends."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from concurrent.futures import Executor, ProcessPoolExecutor
from typing import TYPE_CHECKING

from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection


class Pool(Value, frozen=True):
    """Some processes; `end` ends them at once, even in the middle of a package."""

    executor: Executor
    end: Callable[[], None]


@contextlib.contextmanager
def pool(count: int) -> Iterator[Pool | None]:
    """Some processes for as long as a block; None if there is no /dev/shm for semaphores, as on AWS Lambda.

    All processes read one pipe that gets no data.  The other end is closed when this process ends, by SIGKILL too.
    """
    # Spawned, not forked: threads are running already.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)[::-1]
    with ours, theirs:
        try:
            executor = ProcessPoolExecutor(count, mp_context=context, initializer=_end_with, initargs=(theirs,))
        except (NotImplementedError, OSError):
            yield None
            return
        with executor:
            yield Pool(executor, ours.close)


def _end_with(parent: Connection) -> None:
    """Let this process end with its parent, which handles Ctrl-C and a closed terminal."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    threading.Thread(target=_wait_for_end, args=(parent,), daemon=True).start()


def _wait_for_end(parent: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        parent.recv_bytes()
    os._exit(1)  # a thread cannot end its process in another way
