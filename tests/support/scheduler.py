"""Runs threads by a schedule: each thread waits for its turn before every call.

So the same schedule makes the same interleaving every time, and nobody waits for a clock.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.interfering_store import Crash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass
class Actor:
    """One who works in a thread of its own and calls `turn` before everything that others can see."""

    work: Callable[[Callable[[], None]], None]
    ended: bool = False
    _error: BaseException | None = None
    _stopped: bool = False
    _go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _here: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def start(self) -> None:
        """Come to the first turn."""
        threading.Thread(target=self._run, daemon=True).start()
        self._come()

    def step(self) -> None:
        """Go on to the next turn, or to the end.  Raises what the work raised, but for a crash."""
        self._go.release()
        self._come()

    def stop(self) -> None:
        """Let it die where it stands."""
        self._stopped = True
        while not self.ended:
            self._go.release()
            self._here.acquire()

    def _come(self) -> None:
        self._here.acquire()
        if self._error is not None:
            raise self._error

    def _turn(self) -> None:
        self._here.release()
        self._go.acquire()
        if self._stopped:
            raise Crash

    def _run(self) -> None:
        try:
            self.work(self._turn)
        except Crash:
            pass
        except BaseException as error:  # noqa: BLE001  raised again by who waits for it
            self._error = error
        finally:
            self.ended = True
            self._here.release()


@contextlib.contextmanager
def actors(works: list[Callable[[Callable[[], None]], None]]) -> Iterator[list[Actor]]:
    """Everybody at the first turn; who has not ended when the block does is turned away."""
    everybody = [Actor(work) for work in works]
    try:
        for walker in everybody:
            walker.start()
        yield everybody
    finally:
        for walker in everybody:
            walker.stop()


def run_schedule(everybody: list[Actor], schedule: list[tuple[int, int]]) -> None:
    """Let them through as the schedule says: each entry is one of those left and a number of steps; then the rest."""
    for who, steps in schedule:
        for _ in range(steps):
            left = [walker for walker in everybody if not walker.ended]
            if not left:
                return
            left[who % len(left)].step()
    for walker in everybody:
        while not walker.ended:
            walker.step()
