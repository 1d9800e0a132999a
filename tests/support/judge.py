"""Whether a channel is sound, as `indexer check` says it, for tests that have no folder or bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.commands.check.check import check_channel
from indexer.commands.context import Run
from indexer.extractor.workers import in_threads
from tests.support.scene import DAY_MS, NOW_MS, Clock, Inline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from indexer.core.report import Verdict
    from indexer.store import Store

# Later than any run of a test, so that no date is in the future.
LATER_MS = NOW_MS + 1000 * DAY_MS


def check(
    store: Store,
    *,
    deep: bool = False,
    subdirs: Sequence[str] = (),
    clock: Clock | None = None,
    command: str = "indexer fs DIR",
) -> Verdict:
    """One check of a channel, with a clock that nobody waits for."""
    inline, clock = Inline(), clock or Clock()
    run = Run(in_threads(inline, 4), inline, now_ms=lambda: LATER_MS, monotonic=clock.monotonic, sleep=clock.sleep)
    return check_channel(store, run, subdirs=subdirs, deep=deep, command=command)


def faults(store: Store, *, deep: bool = False) -> list[str]:
    """What is wrong with a channel, a line a fault; none of a sound one."""
    return [str(fault) for fault in check(store, deep=deep).faults]
