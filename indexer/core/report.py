"""The reports on a channel and on each of its subdirs, and their form as JSON."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003  the JSON Schema is made from the annotations
from enum import Enum
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import field
from msgspec.structs import asdict, replace

from indexer.core.exit_codes import ExitCode, worst_code
from indexer.core.usage import Usage
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from indexer.core.channel_settings import SettingChange, SettingRow
    from indexer.core.verify import Fault

SCHEMA_VERSION = 1
"""The version of the JSON form: a new version renames or removes keys, additional keys make no new version."""
_VERBS = ("GET", "HEAD", "LIST", "PUT", "DELETE")


class Outcome(Enum):
    """How a command ended: those of a run first, the worst first."""

    FAILED = "failed"
    REFUSED = "refused"
    CONFLICT = "conflict"
    PARTIAL = "partial"
    PLANNED = "planned"
    PRUNED = "pruned"
    PUBLISHED = "published"
    UNCHANGED = "unchanged"
    # Of a check.
    FAULTY = "faulty"
    SOUND = "sound"
    # Of a gc.
    COLLECTED = "collected"
    # Of a snapshot.
    DELETED = "deleted"


_WORST_FIRST = tuple(Outcome)


def worst_outcome(outcomes: Iterable[Outcome]) -> Outcome:
    """The worst of the outcomes of several subdirs, UNCHANGED without any."""
    return min(outcomes, key=_WORST_FIRST.index, default=Outcome.UNCHANGED)


def json_object(channel: str, **values: object) -> dict[str, object]:
    """The object that `--json` prints: the version of the form, the channel, and the values of the command."""
    return {"schema_version": SCHEMA_VERSION, "channel": channel, **values}


def failure_as_json(channel: str, error: str, exit_code: ExitCode) -> dict[str, object]:
    """The object that `--json` prints if a command fails for the channel as a whole: an empty report with the error."""
    report = Report({}, channel=channel).as_json()
    return {**report, "outcome": Outcome.FAILED.value, "exit_code": exit_code, "error": error}


class Note(Value, frozen=True, order=True):
    """A file name and a remark about the file."""

    filename: str
    reason: str


class ReadCount(Value, frozen=True):
    """How many packages were read with one strategy, in how many requests and bytes."""

    packages: int = 0
    requests: int = 0
    bytes: int = 0

    def __add__(self, other: ReadCount) -> ReadCount:
        return ReadCount(self.packages + other.packages, self.requests + other.requests, self.bytes + other.bytes)


class SubdirReport(Value, frozen=True):
    """The result of a run for one subdir; the fields are the keys of its JSON object.

    `yanked` and `ignored` have all such packages, with the reason; `pruned` has those that were left out because a
    retention rule removed them.  `new_rejected` has the file names among `rejected`
    that the last run did not report.  `missing` has the packages that the caller named and that are neither in the
    channel nor in its index.  `updated` has the packages whose record changed; `reread` counts packages that were read
    again and whose record is the same.  `read` counts the packages by the strategy of reading; `kept` are those that
    were not read.  `metadata_read` counts packages with a known record that were read for their metadata, and
    `run_exports_unknown` those whose run exports another indexer did not publish.  `newer_than_7_days` counts the
    packages that `exclude-newer` of 7 days hides, None if their dates are unknown.  In a plan `written` and `deleted`
    have the files that a run would write and delete.
    """

    outcome: Outcome
    packages: int = 0
    attempts: int = 1
    added: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    rejected: tuple[Note, ...] = ()
    warnings: tuple[Note, ...] = ()
    new_rejected: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    yanked: tuple[Note, ...] = ()
    ignored: tuple[Note, ...] = ()
    pruned: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    read: Mapping[str, ReadCount] = field(default_factory=dict)
    metadata_read: int = 0
    run_exports_unknown: int = 0
    reread: int = 0
    newer_than_7_days: int | None = None
    error: str | None = None
    exit_code: ExitCode = ExitCode.OK

    def after(self, earlier: Sequence[SubdirReport]) -> SubdirReport:
        """This report of the last attempt, with the changes of `earlier` attempts that a write conflict ended."""
        attempts = (*earlier, self)
        is_published = bool(earlier) and self.outcome is Outcome.UNCHANGED
        return replace(
            self,
            outcome=Outcome.PUBLISHED if is_published else self.outcome,
            added=_union(report.added for report in attempts),
            updated=_union(report.updated for report in attempts),
            removed=_union(report.removed for report in attempts),
            written=_union(report.written for report in attempts),
            deleted=_union(report.deleted for report in attempts),
        )

    def after_stages(self, stages: Sequence[SubdirReport]) -> SubdirReport:
        """This report of the last stage of a first run, with what earlier `stages` did and found."""
        parts = (*stages, self)
        return replace(
            self.after(stages),
            warnings=tuple(sorted({note for report in parts for note in report.warnings})),
            new_rejected=_union(report.new_rejected for report in parts),
            metadata_read=sum(report.metadata_read for report in parts),
            reread=sum(report.reread for report in parts),
        )

    def as_json(self) -> dict[str, object]:
        """The object of the subdir in a report."""
        values = asdict(self)
        if self.outcome is Outcome.PLANNED:
            values |= {would: values[done] for would, done in _PLANNED.items()} | dict.fromkeys(_PLANNED.values(), ())
        return without_null_error(SubdirObject(**values))


class SubdirObject(SubdirReport, frozen=True):
    """The JSON form of a SubdirReport: what a plan would do has other keys than what a run has done."""

    would_add: tuple[str, ...] = ()
    would_update: tuple[str, ...] = ()
    would_remove: tuple[str, ...] = ()
    would_write: tuple[str, ...] = ()
    would_delete: tuple[str, ...] = ()


_PLANNED = {
    "would_add": "added",
    "would_update": "updated",
    "would_remove": "removed",
    "would_write": "written",
    "would_delete": "deleted",
}


def _union(names: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted({name for some in names for name in some}))


def without_null_error(value: Value) -> dict[str, Any]:
    """The fields of a value as JSON: the error only if there is one."""
    fields: dict[str, Any] = msgspec.to_builtins(value)
    if fields["error"] is None:
        fields.pop("error")
    return fields


class ChannelReport(Value, frozen=True, kw_only=True):
    """The values of every report on a channel: its name, the time in seconds, the requests and bytes."""

    channel: str = ""
    seconds: float = 0.0
    usage: Usage = field(default_factory=Usage)

    def _as_json(self, outcome: Outcome, exit_code: ExitCode, **details: object) -> dict[str, object]:
        usage = self.usage
        return json_object(
            self.channel,
            outcome=outcome.value,
            exit_code=exit_code,
            seconds=round(self.seconds, 3),
            **details,
            store={
                "requests": {verb: usage.requests[verb] for verb in (*_VERBS, *(usage.requests.keys() - {*_VERBS}))},
                "bytes_read": usage.bytes_read,
                "bytes_written": usage.bytes_written,
            },
        )


class Report(ChannelReport, frozen=True):
    """The result of a run.

    `not_indexed` has the folders and packages beside the subdirs, with the reason why no run indexes them.
    `channel_files` is the result for the files at the root, None if the channel has none and wants none.
    `settings` has the settings that the run changed, or that a plan would change.
    """

    subdirs: Mapping[str, SubdirReport]
    not_indexed: tuple[Note, ...] = ()
    channel_files: SubdirReport | None = None
    settings: tuple[SettingChange, ...] = ()

    @property
    def _parts(self) -> tuple[SubdirReport, ...]:
        return (*self.subdirs.values(), *([self.channel_files] if self.channel_files else ()))

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of a subdir, or of the files at the root."""
        return worst_outcome(part.outcome for part in self._parts)

    @property
    def has_work(self) -> bool:
        """Whether a planned run would write or delete a file."""
        saves = any(change.saved for change in self.settings)
        return saves or any(part.written or part.deleted for part in self._parts)

    @property
    def exit_code(self) -> ExitCode:
        """The code that the command ends with."""
        return worst_code(part.exit_code for part in self._parts)

    def as_json(self) -> dict[str, object]:
        """The object that `--json` prints."""
        return self._as_json(
            self.outcome,
            self.exit_code,
            subdirs={name: sub.as_json() for name, sub in sorted(self.subdirs.items())},
            not_indexed=msgspec.to_builtins(self.not_indexed),
            settings=msgspec.to_builtins(self.settings),
            **({"channel_files": _root_as_json(self.channel_files)} if self.channel_files else {}),
        )


def _root_as_json(root: SubdirReport) -> dict[str, object]:
    values = root.as_json()
    keys = ("outcome", "attempts", "written", "deleted", "would_write", "would_delete", "error", "exit_code")
    return {"package_names": root.packages, **{key: values[key] for key in keys if key in values}}


class SettingsReport(ChannelReport, frozen=True):
    """The settings of a channel in the order of the table; `saved` is true if the `changes` were written."""

    settings: tuple[SettingRow, ...]
    changes: tuple[SettingChange, ...] = ()
    saved: bool = False

    @property
    def outcome(self) -> Outcome:
        """PUBLISHED if the file of settings was written, else UNCHANGED."""
        return Outcome.PUBLISHED if self.saved else Outcome.UNCHANGED

    @property
    def exit_code(self) -> ExitCode:
        """The code that the command ends with."""
        return ExitCode.OK

    def as_json(self) -> dict[str, object]:
        """The object that `--json` prints."""
        settings = {row.key: {"value": row.value, "origin": row.origin} for row in self.settings}
        return self._as_json(self.outcome, self.exit_code, settings=settings, changes=msgspec.to_builtins(self.changes))


class SubdirCheck(Value, frozen=True):
    """The faults and hints that a check found in one subdir, and the number of packages and shards.

    `packages_read` counts the packages whose content was compared with the index.
    """

    faults: tuple[Fault, ...] = ()
    hints: tuple[Fault, ...] = ()
    packages: int = 0
    shards: int = 0
    packages_read: int = 0


class CheckReport(ChannelReport, frozen=True):
    """The result of a check: a channel with `faults` is faulty; `hints` do not make a channel faulty."""

    subdirs: Mapping[str, SubdirCheck]

    @property
    def faults(self) -> tuple[Fault, ...]:
        """All faults, by key."""
        return tuple(sorted(fault for sub in self.subdirs.values() for fault in sub.faults))

    @property
    def hints(self) -> tuple[Fault, ...]:
        """All hints, by key."""
        return tuple(sorted(hint for sub in self.subdirs.values() for hint in sub.hints))

    @property
    def outcome(self) -> Outcome:
        """SOUND or FAULTY."""
        return Outcome.FAULTY if self.faults else Outcome.SOUND

    @property
    def exit_code(self) -> ExitCode:
        """The code that the command ends with."""
        return ExitCode.FAULTS if self.faults else ExitCode.OK

    def as_json(self) -> dict[str, object]:
        """The object that `--json` prints."""
        return self._as_json(
            self.outcome,
            self.exit_code,
            faults=[fault._asdict() for fault in self.faults],
            hints=[hint._asdict() for hint in self.hints],
            subdirs={
                name: {"packages": sub.packages, "shards": sub.shards, "packages_read": sub.packages_read}
                for name, sub in sorted(self.subdirs.items())
            },
        )


class Page(Value, frozen=True):
    """The output of `doctor`: lines for a person, and the object for `--json`."""

    lines: tuple[str, ...]
    value: dict[str, object]
    exit_code: ExitCode = ExitCode.OK

    def as_json(self) -> dict[str, object]:
        """The object that `--json` prints."""
        return self.value
