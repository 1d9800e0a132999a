"""How long, and how often, a run tries again after write conflicts with other indexers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from indexer.core.errors import Conflict, GaveUp
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from indexer.commands.context import Context
    from indexer.core.packed_listing import Listing
    from indexer.core.report import SubdirReport

R = TypeVar("R")

_log = logging.getLogger(__name__)

# Ten minutes in all, as rattler-index intends it, but with a short first pause (seconds).
_GIVE_UP_AFTER = 600.0
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 60.0


class StageEnded(Exception):
    """A stage of a first run has published what `report` names; the next stage has the same `listing`."""

    def __init__(self, report: SubdirReport, listing: Listing) -> None:
        super().__init__()
        self.report, self.listing = report, listing


class Interrupted(Conflict):
    """A write conflict after an attempt has begun to write; `report` has the files that it may have written."""

    def __init__(self, conflict: Conflict, report: SubdirReport) -> None:
        super().__init__(conflict.thing, conflict.reason)
        self.report = report


class NeedsTheWholeRun(Exception):
    """An attempt beside those at other subdirs has found many packages to read: the run makes it again by itself."""


class NeedsAllRecords(Exception):
    """An attempt has loaded the records of some package names, and the update needs all records."""


class Attempt(Value, frozen=True):
    """One attempt to bring a folder up to date.

    `number` counts from 1 on.  With `load_all` it loads the records of all package names.  `leased` is true if the
    folder is written under a lease, because the store knows no conditional writes.  `beside_others` is true if other
    subdirs are indexed at the same time: such an attempt reads a few packages only.  `listing` is that of the stage
    before, None if the packages must be listed.
    """

    number: int = 1
    load_all: bool = False
    leased: bool = False
    beside_others: bool = False
    listing: Listing | None = None


def backoff(context: Context) -> Iterator[float]:
    """How long to wait (seconds) after the first conflict, after the second, and so on, until it is time to give up.

    The time counts from the first conflict on: to read a large channel can take longer than that.
    """
    pause = _FIRST_PAUSE
    deadline = context.clock.monotonic() + _GIVE_UP_AFTER
    while context.clock.monotonic() + (wait := context.jitter(pause)) <= deadline:
        yield wait
        pause = min(2 * pause, _LONGEST_PAUSE)


def until_no_conflict(thing: str, context: Context, work: Callable[[], R]) -> R:
    """The result of some work, which is repeated after each write conflict.  Raises GaveUp after ten minutes."""
    pauses = backoff(context)
    while True:
        try:
            return work()
        except Conflict as conflict:
            wait = next(pauses, None)
            if wait is None:
                raise GaveUp(thing, f"changed during every attempt, last with {conflict}", "repeat") from conflict
            _log.info("%s; next attempt in %.1f s", conflict, wait)
            context.clock.sleep(wait)


def retry_on_conflict(thing: str, context: Context, run: Callable[[Attempt], SubdirReport]) -> SubdirReport:
    """The report of the first attempt that ends without a write conflict, with the changes of earlier attempts and
    stages.

    Raises GaveUp if there are conflicts for ten minutes.
    """
    pauses = backoff(context)
    interrupted: list[SubdirReport] = []
    stages: list[SubdirReport] = []
    attempt = Attempt()
    while True:
        try:
            report = run(attempt)
        except NeedsAllRecords:
            attempt = replace(attempt, load_all=True)
        except StageEnded as stage:
            stages.append(stage.report)
            attempt = replace(attempt, listing=stage.listing)
        except Conflict as conflict:
            if isinstance(conflict, Interrupted):
                interrupted.append(conflict.report)
            wait = next(pauses, None)
            if wait is None:
                raise GaveUp(
                    thing,
                    f"gave up after {attempt.number} write conflicts, last with {conflict}",
                    "repeat: the published files are complete",
                ) from conflict
            _log.info("%s; next attempt in %.1f s", conflict, wait)
            context.clock.sleep(wait)
            attempt = replace(attempt, number=attempt.number + 1, listing=None)
        else:
            return replace(report, attempts=attempt.number).after(interrupted).after_stages(stages)
