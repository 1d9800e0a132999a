"""The time of this machine as a value, so that tests can give another one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Clock:
    """The functions that return the time and wait.

    `now_ms` returns the milliseconds since 1970-01-01 UTC, `monotonic` returns seconds from an unknown start, and
    `sleep` waits for a number of seconds.
    """

    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
