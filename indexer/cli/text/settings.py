"""The text of `settings`: each setting with its value and its origin, and the settings that a run changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.cli.text.lines import nothing
from indexer.core.channel_settings import in_words
from indexer.core.printable import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from indexer.core.channel_settings import SettingChange
    from indexer.core.report import SettingsReport

# The longest value that the column of values is made for.
_WIDE = 40


errors = warnings = nothing


def lines(report: SettingsReport) -> Iterator[str]:
    """What was changed, then a line for each setting."""
    yield f"{report.channel}: {'settings are saved; the next run applies them' if report.saved else 'settings'}"
    yield from setting_lines(report.changes)
    rows = [(row.key, one_line(in_words(row.value)), row.origin) for row in report.settings]
    keys, values = (max(len(row[place]) for row in rows) for place in (0, 1))
    yield from (f"  {key:<{keys}}  {value:<{min(values, _WIDE)}}  {origin}" for key, value, origin in rows)


def setting_lines(changes: Iterable[SettingChange]) -> Iterator[str]:
    """A line for each setting that changes: its key, both values, and the reason."""
    for change in changes:
        reason = ", ".join(filter(None, [change.reason, "" if change.saved else "this run only"]))
        words = f"{in_words(change.before)} -> {in_words(change.after)}"
        yield f"  {change.key}: {one_line(words)} ({one_line(reason)})"
