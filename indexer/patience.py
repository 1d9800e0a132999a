"""How long, and how often, a run tries again after conflicts with other indexers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from indexer.options import Run

# Ten minutes in all, as rattler-index means it, but with a short first pause.
_GIVE_UP_AFTER = 600.0
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 60.0


def waits(run: Run) -> Iterator[float]:
    """How long to wait (seconds) after the first conflict, the second, and so on; it ends where to give up.

    The time counts from the first conflict on: to read a large channel may take longer than that.
    """
    pause = _FIRST_PAUSE
    deadline = run.monotonic() + _GIVE_UP_AFTER
    while run.monotonic() + (wait := run.jitter(pause)) <= deadline:
        yield wait
        pause = min(2 * pause, _LONGEST_PAUSE)
