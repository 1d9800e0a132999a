"""Makes the text of a metrics file, in the text format of Prometheus, from the result of a run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from indexer.core.exit_codes import ExitCode
from indexer.core.report import Outcome, Report
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from indexer.core.report import SubdirReport

_LAST_SUCCESS = "indexer_last_success_timestamp_seconds"


class EndedRun(Value, frozen=True):
    """A run that has ended: its channel as the user named it, its exit code, the time of its end in seconds since 1970,
    how many seconds it took, and its report, None if it failed for the channel as a whole.
    """

    channel: str
    exit_code: int
    ended: float
    seconds: float
    report: Report | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the channel is up to date; rejected packages have a metric of their own."""
        planned = self.report is not None and self.report.outcome is Outcome.PLANNED
        return self.exit_code in {ExitCode.OK, ExitCode.PARTIAL} and not planned


class _Metric(NamedTuple):
    name: str
    meaning: str
    of: Callable[[SubdirReport], int]


_OF_SUBDIRS = (
    _Metric("indexer_packages", "Packages in the index.", lambda sub: sub.packages),
    _Metric("indexer_rejected_packages", "Packages that are not in the index.", lambda sub: len(sub.rejected)),
    _Metric("indexer_added_packages", "Packages that the last run added.", lambda sub: len(sub.added)),
    _Metric("indexer_updated_packages", "Packages whose record the last run changed.", lambda sub: len(sub.updated)),
    _Metric("indexer_removed_packages", "Packages that the last run removed.", lambda sub: len(sub.removed)),
    _Metric("indexer_conflicts", "Attempts of the last run that a write conflict ended.", lambda sub: sub.attempts - 1),
)


def metrics(run: EndedRun, before: str = "") -> str:
    """The text of the file after a run; `before` is the text that the last run left, with the time of the last success.

    Subdirs that failed or that are only planned have no values, so that no value is wrong.
    """
    return "".join(f"{line}\n" for line in (*_of_channel(run, before), *_of_subdirs(run)))


def _of_channel(run: EndedRun, before: str) -> Iterator[str]:
    channel = _labels(channel=run.channel)
    ended = round(run.ended, 3)
    success = ended if run.succeeded else _last_success(before, channel)
    yield from _gauge("indexer_last_run_timestamp_seconds", "End of the last run.", {channel: ended})
    if success is not None:
        yield from _gauge(_LAST_SUCCESS, "End of the last run with exit code 0 or 3.", {channel: success})
    yield from _gauge("indexer_exit_code", "Exit code of the last run.", {channel: run.exit_code})
    yield from _gauge("indexer_duration_seconds", "Duration of the last run.", {channel: round(run.seconds, 3)})
    if run.report is not None:
        usage = run.report.usage
        requests = {_labels(channel=run.channel, verb=verb): count for verb, count in sorted(usage.requests.items())}
        yield from _gauge("indexer_requests", "Requests of the last run to the store.", requests)
        yield from _gauge("indexer_read_bytes", "Bytes that the last run read.", {channel: usage.bytes_read})
        yield from _gauge("indexer_written_bytes", "Bytes that the last run wrote.", {channel: usage.bytes_written})


def _of_subdirs(run: EndedRun) -> Iterator[str]:
    subdirs = sorted(run.report.subdirs.items()) if run.report is not None else ()
    shown = {
        _labels(channel=run.channel, subdir=name): sub
        for name, sub in subdirs
        if sub.error is None and sub.outcome is not Outcome.PLANNED
    }
    for name, meaning, of in _OF_SUBDIRS:
        yield from _gauge(name, meaning, {labels: of(sub) for labels, sub in shown.items()})


def _gauge(name: str, meaning: str, values: Mapping[str, float]) -> Iterator[str]:
    """The lines of a metric; none if it has no values."""
    if values:
        yield f"# HELP {name} {meaning}"
        yield f"# TYPE {name} gauge"
    yield from (f"{name}{labels} {value}" for labels, value in values.items())


def _labels(**labels: str) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _last_success(before: str, channel: str) -> float | None:
    match = re.search(rf"^{re.escape(_LAST_SUCCESS + channel)} ([0-9]+(?:\.[0-9]+)?)$", before, re.MULTILINE)
    return float(match[1]) if match else None
