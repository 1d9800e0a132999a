"""How long, and how often, a run tries again after conflicts with other indexers."""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING

from indexer.core.errors import Conflict, GaveUp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from indexer.commands.context import Context
    from indexer.core.report import SubdirReport

_log = logging.getLogger(__name__)

# Ten minutes in all, as rattler-index means it, but with a short first pause.
_GIVE_UP_AFTER = 600.0
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 60.0


def backoff(context: Context) -> Iterator[float]:
    """How long to wait (seconds) after the first conflict, the second, and so on; it ends where to give up.

    The time counts from the first conflict on: to read a large channel may take longer than that.
    """
    pause = _FIRST_PAUSE
    deadline = context.clock.monotonic() + _GIVE_UP_AFTER
    while context.clock.monotonic() + (wait := context.jitter(pause)) <= deadline:
        yield wait
        pause = min(2 * pause, _LONGEST_PAUSE)


def retry_on_conflict(thing: str, context: Context, lap: Callable[[int], SubdirReport]) -> SubdirReport:
    """The report of the first lap that no conflict ended; `lap` is called with its number, from 1.

    Raises GaveUp where conflicts go on.
    """
    pauses = backoff(context)
    for number in itertools.count(1):
        try:
            report = lap(number)
        except Conflict as conflict:
            wait = next(pauses, None)
            if wait is None:
                raise GaveUp(
                    thing,
                    f"other indexers were faster {number} times, last with {conflict}",
                    "repeat: what is published is whole",
                ) from conflict
            _log.info("%s; looking again in %.1f s", conflict, wait)
            context.clock.sleep(wait)
        else:
            report.laps = number
            return report
    raise AssertionError  # count() has no end
