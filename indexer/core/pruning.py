"""Decides about each package of `prune`, and reports on it: kept, leaving the index, waiting, deleted, or restored.

A package that goes has an entry in the file of withdrawn packages until its object is deleted.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import field
from msgspec.structs import replace

from indexer.core.ages import checked_ms
from indexer.core.channel_settings import KEYS, ChannelSettings
from indexer.core.errors import BadConfig
from indexer.core.exit_codes import ExitCode, worst_code
from indexer.core.names import parse_filename
from indexer.core.overlay import Prune, WithdrawnPackages
from indexer.core.report import Outcome, Report, worst_outcome
from indexer.core.requirements import requirement_of, version_of
from indexer.core.retention import Reason, Rules
from indexer.core.specs.version import matches_glob
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from indexer.core.model import Stat
    from indexer.core.retention import Verdict

DAY_MS = 86_400_000
# S3 cuts times to seconds, so the time of the same object differs between a listing and other answers.
_SAME_TIME_MS = 2000

EntryChanges = dict[str, tuple[Prune | None, Prune | None]]
"""The entry of a file name before and after a change, None if there is none."""


class PruneRequest(Value, frozen=True):
    """What `prune` does: the rules that are given besides those of the channel, and whether anything is deleted.

    A given rule wins over that of the channel; pins are added to those of the channel.  An object is deleted `grace_ms`
    after the index without it was written.
    """

    given: ChannelSettings = field(default_factory=ChannelSettings)
    grace_ms: int = DAY_MS
    delete: bool = False

    def settings(self, of_channel: ChannelSettings) -> ChannelSettings:
        """The settings of the channel with the given rules."""
        pins = (*(of_channel.keep or ()), *(self.given.keep or ()))
        return replace(of_channel.changed_by(self.given), keep=pins or None)


def rules_of_retention(settings: ChannelSettings, origins: Mapping[str, str] = KEYS) -> Rules:
    """The rules in the settings of a channel; `origins` names each field.  Raises BadConfig for a wrong value."""
    age = settings.keep_newer_than
    for pin in settings.keep or ():
        requirement = requirement_of(pin)
        if requirement is None or not requirement.is_exact:
            raise BadConfig(f"{origins['keep']} {pin}", "is not a spec", "give one such as 'python 3.11.*'")
    newer_than_ms = None if age is None else checked_ms(origins["keep_newer_than"], age)
    return Rules(settings.keep_newest, newer_than_ms, settings.keep or ())


class Result(Enum):
    """What happens to a package, or would happen."""

    KEPT = "kept"
    LEFT = "left the index"
    WOULD_LEAVE = "would leave the index"
    WAITS = "waits"
    HELD = "held"
    DELETED = "deleted"
    WOULD_DELETE = "would delete"
    RESTORED = "restored"
    WOULD_RESTORE = "would restore"


_PLANNED = {
    Result.LEFT: Result.WOULD_LEAVE,
    Result.DELETED: Result.WOULD_DELETE,
    Result.RESTORED: Result.WOULD_RESTORE,
}


class JudgedPackage(Value, frozen=True):
    """What happens to a package, with its key, its size in bytes, and the reasons."""

    key: str
    size: int
    result: Result
    reasons: tuple[str, ...] = ()

    def planned(self) -> JudgedPackage:
        """The same in a plan."""
        return replace(self, result=_PLANNED.get(self.result, self.result))


class Step(Enum):
    """What the entry of a package needs next.

    FORGET: its object is gone, or is another one.  RESTORE: its owner wants it.  HOLD: a snapshot names it.  UNLIST:
    the index without it is not known to be published.  WAIT: that was less than the grace ago.  DELETE: its object.
    """

    FORGET = "gone or uploaded again"
    RESTORE = "pinned, yanked or ignored"
    HOLD = "in a snapshot"
    UNLIST = "no rule keeps it"
    WAIT = "left the index less than the grace ago"
    DELETE = "left the index before the grace"


_RESULTS = {
    Step.RESTORE: Result.RESTORED,
    Step.HOLD: Result.HELD,
    Step.UNLIST: Result.LEFT,
    Step.WAIT: Result.WAITS,
    Step.DELETE: Result.WAITS,  # unless it is deleted now
}


class SubdirPlan(Value, frozen=True):
    """What happens in a subdir at `now_ms`, by file name.

    `packages` are the objects in its listing, `indexed` the withdrawn packages that its index has nevertheless, `held`
    the packages that snapshots name, `verdicts` those about packages that readers find.  An object can be deleted
    `grace_ms` after the index without it was written.
    """

    subdir: str
    now_ms: int
    grace_ms: int
    packages: Mapping[str, Stat]
    withdrawn: WithdrawnPackages
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    indexed: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()
    pins: tuple[str, ...] = ()

    def step(self, filename: str) -> Step:
        """The next step for the entry of a package."""
        entry, stat, withdrawn = self.withdrawn.pruned[filename], self.packages.get(filename), self.withdrawn
        if stat is None or not entry.is_of(stat) or stat.modified_ms > entry.modified_timestamp + _SAME_TIME_MS:
            return Step.FORGET
        if filename in withdrawn.yanked or filename in withdrawn.ignored or is_pinned(filename, self.pins):
            return Step.RESTORE
        if filename in self.held:
            return Step.HOLD
        if entry.unlisted_timestamp is None or filename in self.indexed:
            return Step.UNLIST
        return Step.DELETE if entry.unlisted_timestamp + self.grace_ms <= self.now_ms else Step.WAIT

    def first_changes(self) -> EntryChanges:
        """The changes of entries before the index is written: new ones, and those that end or begin again."""
        known, changes = self.withdrawn.pruned, EntryChanges()
        for filename, entry in known.items():
            step = self.step(filename)
            if step in {Step.FORGET, Step.RESTORE}:
                changes[filename] = (entry, None)
            elif step in {Step.HOLD, Step.UNLIST} and entry.unlisted_timestamp is not None:
                changes[filename] = (entry, replace(entry, unlisted_timestamp=None))
        for filename, verdict in self.verdicts.items():
            if verdict.leaves_index:
                stat = self.packages[filename]
                changes[filename] = (known.get(filename), Prune(stat.etag, stat.size, stat.modified_ms, self.now_ms))
        return changes

    def is_unlisting(self, entries: Mapping[str, Prune]) -> bool:
        """Whether the index may still have a package that has an entry."""
        unknown = (filename for filename, entry in entries.items() if entry.unlisted_timestamp is None)
        return bool(self.indexed) or any(filename not in self.held for filename in unknown)

    def due(self, entries: Mapping[str, Prune], unlisted_ms: int | None) -> dict[str, Prune]:
        """The entries whose objects can be deleted; `unlisted_ms` is when this run has written the index, None if it
        has not.
        """
        due = {}
        now_ms = max(self.now_ms, unlisted_ms or 0)
        for filename, entry in entries.items():
            unlisted = unlisted_ms if entry.unlisted_timestamp is None else entry.unlisted_timestamp
            is_old = unlisted is not None and unlisted + self.grace_ms <= now_ms
            if is_old and filename not in self.held and entry.is_of(self.packages.get(filename)):
                due[filename] = entry
        return due

    def last_changes(
        self, entries: Mapping[str, Prune], unlisted_ms: int | None, deleted: Collection[str]
    ) -> EntryChanges:
        """The changes of entries after the index was written and objects were deleted."""
        changes = EntryChanges()
        for filename, entry in entries.items():
            if filename in deleted:
                changes[filename] = (entry, None)
            elif unlisted_ms is not None and entry.unlisted_timestamp is None and filename not in self.held:
                changes[filename] = (entry, replace(entry, unlisted_timestamp=unlisted_ms))
        return changes

    def would_delete(self) -> frozenset[str]:
        """The file names whose objects a prune without an error would delete now."""
        entries = with_changes(self.withdrawn, self.first_changes()).pruned
        return frozenset(self.due(entries, self.now_ms))

    def judged(self, deleted: Collection[str]) -> Iterator[JudgedPackage]:
        """What happens to each package, of which some are `deleted` now."""
        for filename, verdict in self.verdicts.items():
            reasons = tuple(reason.value for reason in Reason if reason in verdict.reasons)
            result = Result.LEFT if verdict.leaves_index else Result.KEPT
            result = Result.DELETED if filename in deleted else result
            yield JudgedPackage(verdict.package.key, verdict.package.size, result, reasons)
        for filename, entry in self.withdrawn.pruned.items():
            step = self.step(filename)
            if step is not Step.FORGET:
                result = Result.DELETED if filename in deleted else _RESULTS[step]
                yield JudgedPackage(f"{self.subdir}/{filename}", entry.size, result, (step.value,))


def is_pinned(filename: str, pins: Collection[str]) -> bool:
    """Whether a pin names a package, by its file name."""
    parsed = parse_filename(filename)
    requirements = filter(None, map(requirement_of, pins))
    return parsed is not None and any(
        matches_glob(pin.name, parsed.name.lower()) and pin.accepts(version_of(parsed.version), parsed.build)
        for pin in requirements
    )


def with_changes(before: WithdrawnPackages, changes: EntryChanges) -> WithdrawnPackages:
    """The withdrawn packages with those changes whose entry is still the one before the change.

    A package that was yanked or ignored meanwhile is not pruned: its owner wants to keep the file.
    """
    pruned = dict(before.pruned)
    for filename, (old, new) in changes.items():
        if before.pruned.get(filename) != old:
            continue
        if new is None:
            pruned.pop(filename, None)
        elif filename not in before.yanked and filename not in before.ignored:
            pruned[filename] = new
    return replace(before, pruned=pruned)


class PruneReport(Report, frozen=True):
    """The result of `prune`: of each package, and of the run that wrote the index, which a plan does not have.

    `errors` are about objects that could not be deleted.
    """

    packages: tuple[JudgedPackage, ...] = ()
    errors: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """FAILED, PLANNED, PRUNED or UNCHANGED, or a worse outcome of the run."""
        results = {package.result for package in self.packages}
        return worst_outcome(
            [
                *(part.outcome for part in self._parts),
                *([Outcome.FAILED] if self.errors else []),
                *([Outcome.PLANNED] if results & {*_PLANNED.values()} else []),
                *([Outcome.PRUNED] if results & _PLANNED.keys() else []),
            ]
        )

    @property
    def exit_code(self) -> ExitCode:
        """The code that the command ends with."""
        return worst_code([super().exit_code, *([ExitCode.FAILED] if self.errors else ())])

    def as_json(self) -> dict[str, object]:
        """The object that `--json` prints: that of a run, and `packages`."""
        packages: list[dict[str, Any]] = msgspec.to_builtins(self.packages)
        return {**super().as_json(), "packages": packages, "errors": list(self.errors)}
