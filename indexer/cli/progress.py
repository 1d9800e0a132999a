"""Shows the progress of a command, phase by phase: bars on a terminal, otherwise a line every 30 seconds."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING

from indexer.cli.output import err
from indexer.core.amounts import size_in_words
from indexer.core.progress import Phase, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tqdm import tqdm

_EVERY = 30.0
_UNITS = {Phase.LISTING: "obj", Phase.READING: "pkg", Phase.WRITING: "file", Phase.UPLOADING: "B"}
_WORDS = {
    Phase.LISTING: "objects listed",
    Phase.READING: "packages read",
    Phase.WRITING: "files written",
    Phase.UPLOADING: "sent",
}
_MINUTE, _HOUR = 60, 3600


@contextlib.contextmanager
def bars() -> Iterator[Callable[[Step], None]]:
    """One bar for each phase of each subdir, on standard error."""
    shown: dict[tuple[Phase, str], tqdm] = {}

    def show(step: Step) -> None:
        key = (step.phase, step.subdir)
        if key not in shown:
            from tqdm import tqdm  # most runs read no packages and need no bar

            unit = {"unit": _UNITS[step.phase], "unit_scale": step.phase is Phase.UPLOADING}
            shown[key] = tqdm(desc=_title(step), total=step.total or None, leave=False, file=sys.stderr, **unit)
        bar = shown[key]
        bar.total = step.total or None
        bar.update(step.done - bar.n)
        if step.done == step.total:
            shown.pop(key).close()

    try:
        yield show
    finally:
        for bar in shown.values():
            bar.close()


@contextlib.contextmanager
def lines(clock: Callable[[], float] = time.monotonic) -> Iterator[Callable[[Step], None]]:
    """A line every 30 seconds on standard error."""
    last = clock()
    begun: dict[tuple[Phase, str], tuple[float, int]] = {}

    def show(step: Step) -> None:
        nonlocal last
        now = clock()
        key = (step.phase, step.subdir)
        since, before = begun.setdefault(key, (now, step.done))
        if step.total and step.done == step.total:
            del begun[key]  # each stage of a first run writes files
        if now - last >= _EVERY and (step.done < step.total or not step.total):
            last = now
            rate = (step.done - before) / (now - since) if now > since else 0.0
            err(f"{_title(step)}: {_counts(step)}{_speed(step, rate)}")

    yield show


def _title(step: Step) -> str:
    return "upload" if step.phase is Phase.UPLOADING else f"{step.subdir or 'channel'}: {step.phase.value}"


def _counts(step: Step) -> str:
    in_words = size_in_words if step.phase is Phase.UPLOADING else "{:,}".format
    of = f" of {in_words(step.total)}" if step.total else ""
    return f"{in_words(step.done)}{of} {_WORDS[step.phase]}"


def _speed(step: Step, rate: float) -> str:
    """The rate, and about how long the phase goes on."""
    if rate <= 0:
        return ""
    per_second = size_in_words(round(rate)) if step.phase is Phase.UPLOADING else f"{rate:,.0f}"
    left = f", about {_duration((step.total - step.done) / rate)} left" if step.total else ""
    return f", {per_second}/s{left}"


def _duration(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    return f"{seconds / _MINUTE:.0f} min" if seconds < _HOUR else f"{seconds / _HOUR:.1f} h"
