"""Shows the progress of a run: a bar on a terminal, otherwise a log line per minute."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tqdm import tqdm

_log = logging.getLogger(__name__)
_EVERY = 60.0


@contextlib.contextmanager
def bars() -> Iterator[Callable[[str, int, int], None]]:
    """One progress bar per subdir, on standard error."""
    shown: dict[str, tqdm] = {}

    def show(subdir: str, done: int, total: int) -> None:
        if subdir not in shown:
            from tqdm import tqdm  # most runs read no packages and need no bar

            shown[subdir] = tqdm(desc=subdir, total=total, unit="pkg", leave=False, file=sys.stderr)
        bar = shown[subdir]
        bar.total = total
        bar.update(done - bar.n)
        if done == total:
            bar.close()

    try:
        yield show
    finally:
        for bar in shown.values():
            bar.close()


@contextlib.contextmanager
def lines(clock: Callable[[], float] = time.monotonic) -> Iterator[Callable[[str, int, int], None]]:
    """One log line per minute."""
    last = clock()

    def show(subdir: str, done: int, total: int) -> None:
        nonlocal last
        if clock() - last >= _EVERY:
            last = clock()
            _log.warning("%s: %d of %d packages read", subdir, done, total)

    yield show
