"""SIGTERM and SIGHUP end a command as Ctrl-C does: what is under way is ended in order, a lease is given back."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

# A shell says 128 and the number of the signal.
_INTERRUPTED = 128 + signal.SIGINT
_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]  # Windows has no SIGHUP


class Ended(KeyboardInterrupt):
    """Somebody ended the command by a signal; `number` is that of the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def exit_code(error: KeyboardInterrupt) -> int:
    """What a command ends with: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP."""
    return 128 + error.number if isinstance(error, Ended) else _INTERRUPTED


@contextlib.contextmanager
def heeded() -> Iterator[None]:
    """Raise Ended in a block when SIGTERM or SIGHUP arrives, once.

    A signal that is ignored, as SIGHUP under nohup, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():  # only that one can set handlers
        yield
        return
    heard = [number for number in _SIGNALS if signal.getsignal(number) is signal.SIG_DFL]
    for number in heard:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, signal.SIG_DFL)


def _end(number: int, _frame: FrameType | None) -> None:
    # Another one must not break off the work of ending.  SIGKILL always can.
    for other in _SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise Ended(number)
