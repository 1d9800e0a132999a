"""Shows the progress of a run and of an upload: a bar on a terminal, otherwise a log line per minute."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from typing import TYPE_CHECKING

from indexer.core.amounts import size_in_words
from indexer.core.publishing import UPLOAD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tqdm import tqdm

_log = logging.getLogger(__name__)
_EVERY = 60.0


@contextlib.contextmanager
def bars() -> Iterator[Callable[[str, int, int], None]]:
    """One progress bar per subdir and one for an upload, on standard error."""
    shown: dict[str, tqdm] = {}

    def show(name: str, done: int, total: int) -> None:
        if name not in shown:
            from tqdm import tqdm  # most runs read no packages and need no bar

            unit = {"unit": "B", "unit_scale": True} if name == UPLOAD else {"unit": "pkg"}
            shown[name] = tqdm(desc=name, total=total, leave=False, file=sys.stderr, **unit)
        bar = shown[name]
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

    def show(name: str, done: int, total: int) -> None:
        nonlocal last
        if clock() - last >= _EVERY:
            last = clock()
            if name == UPLOAD:
                _log.warning("%s: %s of %s sent", name, size_in_words(done), size_in_words(total))
            else:
                _log.warning("%s: %d of %d packages read", name, done, total)

    yield show
