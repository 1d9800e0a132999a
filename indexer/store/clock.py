"""The time of this machine as a value, so that tests can give another one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock(Value, frozen=True):
    """The functions that return the time and wait.

    `now_ms` returns the milliseconds since 1970-01-01 UTC, `monotonic` returns seconds from an unknown start, and
    `sleep` waits for a number of seconds.
    """

    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
