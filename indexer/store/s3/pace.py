"""How soon after a write the same object may be written again."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Pace:
    """Holds a write back until `pause` seconds after the one before it of the same key."""

    def __init__(
        self,
        pause: float,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._pause = pause
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()
        self._latest: dict[str, float] = {}

    def wait(self, key: str) -> None:
        """Come back when the key may be written."""
        if not self._pause:
            return
        with self._lock:
            now = self._monotonic()
            due = max(now, self._latest.get(key, now - self._pause) + self._pause)
            # What is older holds nobody back, and a channel has many keys.
            self._latest = {other: at for other, at in self._latest.items() if at + self._pause > now}
            self._latest[key] = due
        if due > now:
            self._sleep(due - now)
