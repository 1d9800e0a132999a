"""What a run did, a check found or a gc deleted: a value a subdir, one for the channel, and their form as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from indexer.core.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from indexer.core.verify import Fault


class Outcome(Enum):
    """How a run ended, the worst first."""

    FAILED = "failed"
    REFUSED = "refused"
    CONFLICT = "conflict"
    PARTIAL = "partial"
    PLANNED = "planned"
    PUBLISHED = "published"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, order=True)
class Note:
    """A file name and what is to be said of it."""

    filename: str
    reason: str


@dataclass(slots=True)
class Way:
    """How many packages were read in one way, in how many requests and bytes."""

    packages: int = 0
    requests: int = 0
    bytes: int = 0


@dataclass(slots=True)
class SubdirReport:
    """What came of one subdir.

    `yanked` and `ignored` have all packages that are, with the reason.  `new_rejected` are the file names among
    `rejected` that the last run did not report, `missing` those that a person named and that are neither in the channel
    nor in its index.  `ways` counts what was read of packages, by the way they
    were read or `kept`.  `updated` has the packages whose record changed.  In a plan `written` and `deleted` are what
    a run would write and delete.
    """

    outcome: Outcome
    packages: int = 0
    laps: int = 1
    added: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    rejected: tuple[Note, ...] = ()
    warnings: tuple[Note, ...] = ()
    yanked: tuple[Note, ...] = ()
    ignored: tuple[Note, ...] = ()
    new_rejected: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    ways: Mapping[str, Way] = field(default_factory=dict)
    # Those read whose record was known: they were read for what they say of themselves.
    asked: int = 0
    # Those whose run exports are unknown: another indexer did not say them.
    incomplete: int = 0
    # Those read although their record was known, whose record is as it was.
    reread: int = 0
    # Those younger than a week: `exclude-newer` of 7 days hides them.  None where that is not known.
    recent: int | None = None
    error: str | None = None
    exit_code: int = 0

    def after(self, earlier: Sequence[SubdirReport]) -> SubdirReport:
        """This report of the last lap with what laps did before it that a conflict ended while they wrote."""
        laps = (*earlier, self)
        for name in ("added", "updated", "removed", "written", "deleted"):
            setattr(self, name, tuple(sorted({item for lap in laps for item in getattr(lap, name)})))
        if earlier and self.outcome is Outcome.UNCHANGED:
            self.outcome = Outcome.PUBLISHED
        return self


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a channel.  `not_indexed` has what lies beside the subdirs,
    with the reason why no run indexes it.

    `wide` is what came of its files for all subdirs, None where it has and wants none.
    """

    subdirs: Mapping[str, SubdirReport]
    not_indexed: tuple[Note, ...] = ()
    seconds: float = 0.0
    usage: Usage = field(default_factory=Usage)
    channel: str = ""
    wide: SubdirReport | None = None

    @property
    def _parts(self) -> tuple[SubdirReport, ...]:
        return (*self.subdirs.values(), *([self.wide] if self.wide else ()))

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of a subdir, or of the files for all of them."""
        order = list(Outcome)
        return min((part.outcome for part in self._parts), key=order.index, default=Outcome.UNCHANGED)

    @property
    def has_work(self) -> bool:
        """Whether a planned run would write or delete a file."""
        return any(part.written or part.deleted for part in self._parts)

    @property
    def exit_code(self) -> int:
        """What the command ends with (docs/cli.md)."""
        codes = {part.exit_code for part in self._parts}
        return next((code for code in (1, 2, 6, 4, 3) if code in codes), 0)

    def as_json(self) -> dict[str, object]:
        """The object that `--json` prints."""
        return {
            "channel": self.channel,
            "outcome": self.outcome.value,
            "exit_code": self.exit_code,
            "seconds": round(self.seconds, 3),
            "subdirs": {name: _subdir_as_json(sub) for name, sub in sorted(self.subdirs.items())},
            "not_indexed": self.not_indexed,
            **({"channel_wide": _wide_as_json(self.wide)} if self.wide else {}),
            "store": _usage_as_json(self.usage),
        }


def _wide_as_json(wide: SubdirReport) -> dict[str, object]:
    found: dict[str, object] = {
        "outcome": wide.outcome.value,
        "names": wide.packages,
        "laps": wide.laps,
        **_files_as_json(wide),
    }
    return found if wide.error is None else {**found, "error": wide.error}


def _subdir_as_json(sub: SubdirReport) -> dict[str, object]:
    found: dict[str, object] = {
        "outcome": sub.outcome.value,
        "packages": sub.packages,
        "laps": sub.laps,
        "added": sub.added,
        "updated": sub.updated,
        "removed": sub.removed,
        "rejected": sub.rejected,
        "warnings": sub.warnings,
        "new_rejected": sub.new_rejected,
        "missing": sub.missing,
        "yanked": sub.yanked,
        "ignored": sub.ignored,
        **_files_as_json(sub),
        "read": sub.ways,
        "asked": sub.asked,
        "incomplete": sub.incomplete,
        "reread": sub.reread,
        "newer_than_7_days": sub.recent,
    }
    return found if sub.error is None else {**found, "error": sub.error}


def _files_as_json(part: SubdirReport) -> dict[str, object]:
    """The files that were written and deleted; in a plan nothing was, and they stand under `planned`."""
    files, nothing = (part.written, part.deleted), ((), ())
    done, planned = (nothing, files) if part.outcome is Outcome.PLANNED else (files, nothing)
    return {"written": done[0], "deleted": done[1], "planned": {"write": planned[0], "delete": planned[1]}}


def _usage_as_json(usage: Usage) -> dict[str, object]:
    return {
        "requests": {verb: usage.requests[verb] for verb in ("GET", "HEAD", "LIST", "PUT", "DELETE")},
        "bytes_read": usage.bytes_read,
        "bytes_written": usage.bytes_written,
    }


@dataclass(slots=True)
class SubdirVerdict:
    """What a check found in one subdir, and how much it looked at; `read` counts packages that were read.

    `unread` has the package names whose only records stand in shards that cannot be read.
    """

    faults: list[Fault] = field(default_factory=list)
    hints: list[Fault] = field(default_factory=list)
    unread: set[str] = field(default_factory=set)
    packages: int = 0
    shards: int = 0
    read: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found: `faults` make a channel faulty, `hints` are worth knowing."""

    subdirs: Mapping[str, SubdirVerdict]
    seconds: float = 0.0
    usage: Usage = field(default_factory=Usage)
    channel: str = ""

    @property
    def faults(self) -> tuple[Fault, ...]:
        """All faults, by key."""
        return tuple(sorted(fault for sub in self.subdirs.values() for fault in sub.faults))

    @property
    def hints(self) -> tuple[Fault, ...]:
        """All hints, by key."""
        return tuple(sorted(hint for sub in self.subdirs.values() for hint in sub.hints))

    @property
    def outcome(self) -> str:
        """`sound` or `faulty`."""
        return "faulty" if self.faults else "sound"

    @property
    def exit_code(self) -> int:
        """What the command ends with (docs/cli.md)."""
        return 5 if self.faults else 0

    def as_json(self) -> dict[str, object]:
        """The object that `--json` prints."""
        return {
            "channel": self.channel,
            "outcome": self.outcome,
            "exit_code": self.exit_code,
            "seconds": round(self.seconds, 3),
            "faults": [fault._asdict() for fault in self.faults],
            "hints": [hint._asdict() for hint in self.hints],
            "subdirs": {
                name: {"packages": sub.packages, "shards": sub.shards, "read": sub.read}
                for name, sub in sorted(self.subdirs.items())
            },
            "store": _usage_as_json(self.usage),
        }


@dataclass(slots=True)
class SubdirCollected:
    """What a gc found in one subdir, in `bytes` altogether.

    `orphans` are the keys that no index names, deleted or not; `restored` were named again while they were
    deleted, and are back.  `missing` are shards that the index names and that are not there.
    """

    orphans: list[str] = field(default_factory=list)
    bytes: int = 0
    restored: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    error: str | None = None
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Collected:
    """What a gc found, and whether it `deleted` that."""

    subdirs: Mapping[str, SubdirCollected]
    seconds: float = 0.0
    usage: Usage = field(default_factory=Usage)
    deleted: bool = False
    channel: str = ""

    @property
    def outcome(self) -> str:
        """`failed`, `unchanged` where there was nothing to do, else `planned` or `collected`."""
        if any(sub.exit_code for sub in self.subdirs.values()):
            return "failed"
        if not any(sub.orphans for sub in self.subdirs.values()):
            return "unchanged"
        return "collected" if self.deleted else "planned"

    @property
    def exit_code(self) -> int:
        """What the command ends with (docs/cli.md)."""
        codes = {sub.exit_code for sub in self.subdirs.values()}
        return next((code for code in (1, 2, 4) if code in codes), 0)

    def as_json(self) -> dict[str, object]:
        """The object that `--json` prints."""
        return {
            "channel": self.channel,
            "outcome": self.outcome,
            "exit_code": self.exit_code,
            "seconds": round(self.seconds, 3),
            "subdirs": {name: _collected_as_json(sub) for name, sub in sorted(self.subdirs.items())},
            "store": _usage_as_json(self.usage),
        }


def _collected_as_json(sub: SubdirCollected) -> dict[str, object]:
    found: dict[str, object] = {
        "orphans": sorted(sub.orphans),
        "bytes": sub.bytes,
        "restored": sub.restored,
        "missing": sub.missing,
    }
    return found if sub.error is None else {**found, "error": sub.error}


@dataclass(frozen=True, slots=True)
class Page:
    """What a command shows besides the reports of runs: lines for a person, an object for `--json`."""

    lines: tuple[str, ...]
    value: Mapping[str, object]
    exit_code: int = 0

    def as_json(self) -> Mapping[str, object]:
        """The object that `--json` prints."""
        return self.value
