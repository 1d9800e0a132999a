"""SIGTERM and SIGHUP interrupt a command like Ctrl-C: work ends in order, and a lease is released."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

# As in a shell: 128 and the number of the signal.
_INTERRUPTED = 128 + signal.SIGINT
_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]  # Windows has no SIGHUP


class Ended(KeyboardInterrupt):
    """The command was interrupted by the signal `number`."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def exit_code(error: KeyboardInterrupt) -> int:
    """The exit code of an interrupted command: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP."""
    return 128 + error.number if isinstance(error, Ended) else _INTERRUPTED


@contextlib.contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Raise Ended in the block when SIGTERM or SIGHUP arrives, once.

    An ignored signal stays ignored, such as SIGHUP under nohup.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread can set handlers
        yield
        return
    handled = [number for number in _SIGNALS if signal.getsignal(number) is signal.SIG_DFL]
    for number in handled:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, signal.SIG_DFL)


def _end(number: int, _frame: FrameType | None) -> None:
    # A second signal must not interrupt the cleanup; SIGKILL always can.
    for other in _SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise Ended(number)
