"""`indexer check` on a store, with a clock that does not wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.commands.check.check import check_channel
from tests.support.memory_channel import DAY_MS, NOW_MS, FakeClock, fake_context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from indexer.core.report import CheckReport
    from indexer.store import Store

# Later than any run of a test, so that no date is in the future.
LATER_MS = NOW_MS + 1000 * DAY_MS


def check(
    store: Store,
    *,
    deep: bool = False,
    subdirs: Sequence[str] = (),
    clock: FakeClock | None = None,
    command: str = "indexer fs DIR",
) -> CheckReport:
    """One check of a channel, with a clock that nobody waits for."""
    run = fake_context(LATER_MS, clock)
    return check_channel(store, run, subdirs=subdirs, deep=deep, command=command)


def faults(store: Store, *, deep: bool = False) -> list[str]:
    """What is wrong with a channel, a line a fault; none of a sound one."""
    return [str(fault) for fault in check(store, deep=deep).faults]
