"""What one lap is about to do to a subdir, and what there is to say of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from indexer.core import names
from indexer.core.attestations import SUFFIX, with_attestations
from indexer.core.model import Extracted, Index, Plan, Rejected
from indexer.core.overlay import Overlay
from indexer.core.plan import dropped, merge, nameless, replaced
from indexer.core.recent import count_recent, hourly_counts, updated_hourly_counts
from indexer.core.records.v3 import latest
from indexer.core.report import Note, Outcome, SubdirReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from indexer.core.metadata import Metadata
    from indexer.core.model import Raw
    from indexer.core.patch import Patched
    from indexer.core.recent import HourlyCounts
    from indexer.core.snapshot import Snapshot
    from indexer.core.state import Attested, Bad, State

_REPLACED = "was replaced: another artifact has its name now, so it is dated anew (CEP 47)"


@dataclass(frozen=True)
class Update:
    """From which index, by which plan, with what was read, dated when, under which patch and yanks.

    `all_in_v3` puts every record in the latest revision.  `attestations` is what is known of attestations, None where
    nobody looked.
    `run_exports_read` has the run exports of packages whose records stand and that were read for these;
    `incomplete_others` counts the packages of unknown run exports of names that were not looked at.
    `metadata` has what packages say of themselves, by file name, as far as that is wanted and known.  `recent_before`
    are the packages of the last week in the index that it comes from, None where that is not known.
    """

    index: Index = field(default_factory=Index)
    plan: Plan = field(default_factory=Plan)
    results: tuple[Extracted | Rejected, ...] = ()
    now_ms: int = 0
    overlay: Overlay = field(default_factory=Overlay)
    metadata: Mapping[str, Metadata] = field(default_factory=dict)
    all_in_v3: bool = False
    attestations: Mapping[str, Attested] | None = None
    run_exports_read: Mapping[str, Raw] = field(default_factory=dict)
    incomplete_others: int = 0
    recent_before: Mapping[int, int] | None = None

    @cached_property
    def merged(self) -> Index:
        """What the packages say."""
        merged = merge(self.index, self.plan, self.results, self.now_ms)
        if self.attestations is not None:
            merged = with_attestations(merged, self.attestations)
        if told := {name: it for name, it in self.run_exports_read.items() if name in merged.records}:
            merged = replace(merged, run_exports={**merged.run_exports, **told})
        return latest(merged) if self.all_in_v3 else merged

    @cached_property
    def patched(self) -> Patched:
        """What readers shall see."""
        return self.overlay.apply(self.merged)

    @cached_property
    def leaving(self) -> frozenset[str]:
        """The file names whose records leave the index."""
        return dropped(self.index, self.plan, self.results)

    @cached_property
    def recent(self) -> HourlyCounts | None:
        """The packages of the last week that readers shall see, None where not all of them are known."""
        if self.recent_before is None:
            index = self.patched.index
            return None if index.records_not_loaded is not None else hourly_counts(index.records.values(), self.now_ms)
        changed = {it.filename for it in self.results} | self.leaving | self.plan.dates.keys()
        gone, come = ([it.records[name] for name in changed & it.records.keys()] for it in (self.index, self.merged))
        return updated_hourly_counts(self.recent_before, gone, come, self.now_ms)

    def settled(self) -> Update:
        """The same without the index that it came from and what was read, that no record is held twice."""
        rejected = tuple(it for it in self.results if isinstance(it, Rejected))
        after = replace(self, index=Index(), results=rejected)
        after.__dict__.update(merged=self.merged, patched=self.patched, leaving=self.leaving, recent=self.recent)
        return after

    def carry_over(self, others: State) -> Update:
        """The same with what the last run knew of packages of other names than were looked at: it still holds."""
        rejected = [rejected_before(filename, bad) for filename, bad in others.rejected.items()]
        snapshot = {**others.package_etags, **self.plan.etags_to_remember}
        plan = replace(self.plan, etags_to_remember=snapshot, rejected=(*self.plan.rejected, *rejected))
        return replace(self, plan=plan, attestations={**others.attestations, **(self.attestations or {})})

    def alters(self, filename: str) -> bool:
        """Whether an indexed package has another record, other run exports or another place afterwards."""
        before, after = self.index, self.merged
        return any(
            (
                before.records.get(filename) != after.records.get(filename),
                before.run_exports.get(filename) != after.run_exports.get(filename),
                (filename in before.v3) is not (filename in after.v3),
            )
        )

    @property
    def count(self) -> int:
        """How many records readers shall see."""
        return self.patched.index.count

    @property
    def incomplete(self) -> int:
        """How many packages there are whose run exports are unknown."""
        return incomplete(self.merged) + self.incomplete_others

    @property
    def has_v3(self) -> bool:
        """Whether some of the records are only for readers of a later revision."""
        return any(it.v3 or it.v3_rest for it in (self.index, self.merged))

    @property
    def rejected(self) -> tuple[Rejected, ...]:
        """What was found bad, now or before; `kept` where the record of it stays."""
        found = (*self.plan.rejected, *(it for it in self.results if isinstance(it, Rejected)))
        return tuple(replace(it, kept=it.kept or it.filename in self.merged.records) for it in found)

    @property
    def extracted(self) -> tuple[Extracted, ...]:
        """What was read."""
        return tuple(it for it in self.results if isinstance(it, Extracted))


def incomplete(index: Index) -> int:
    """How many packages of an index have unknown run exports; what has no record has no run exports either."""
    return len(index.records) - len(index.run_exports.keys() & index.records.keys())


_KEPT = "; its record in the index stays as it is"


def rejected_before(filename: str, bad: Bad) -> Rejected:
    """What the last run left of a package that it rejected."""
    return Rejected(filename, bad.etag, bad.reason, kept=bad.kept)


def _unreadable(update: Update, read: set[str]) -> Iterator[Note]:
    """What there is to say of what another indexer wrote and readers cannot parse, besides of rejected packages."""
    for filename in read & update.index.unreadable.keys():
        yield Note(filename, f"its record {update.index.unreadable[filename]}, so the package was read again")
    for name, reason in update.index.left_out.items():
        yield Note(name, f"{reason}, so it is left out")


def _attested_anew(snapshot: Snapshot, update: Update) -> set[str]:
    """The indexed packages of which other attestations are known than before."""
    if update.attestations is None:
        return set()
    now, before = update.attestations, snapshot.state.attestations if snapshot.state else {}
    return {
        name for name in now.keys() | before.keys() if now.get(name) != before.get(name)
    } & update.index.records.keys()


def unattested(attested: Mapping[str, Attested]) -> list[Note]:
    """What there is to say of attestations that count for nothing."""
    return [
        Note(filename + SUFFIX, f"{it.reason}, so the record does not name it")
        for filename, it in sorted(attested.items())
        if it.reason
    ]


def _new(rejected: Iterable[Rejected], state: State | None) -> frozenset[str]:
    """The rejected files that the last run did not report, or reported at another version."""
    known = {name: bad.etag for name, bad in state.rejected.items()} | state.reported if state else {}
    return frozenset(it.filename for it in rejected if known.get(it.filename) != it.etag)


def reported(
    snapshot: Snapshot, update: Update, scope: frozenset[str] | None, expected: frozenset[str], *, dry_run: bool
) -> SubdirReport:
    """What a lap is about, before anything is written.

    `scope` are the only packages it was told to look at, `expected` those of them that a person named: one that is
    neither in the channel nor in its index is missing.
    """
    read = {it.filename for it in update.extracted}
    added = read - update.index.records.keys()
    updated = {name for name in (read | _attested_anew(snapshot, update)) - added if update.alters(name)}
    rejected = sorted((*snapshot.invalid_filenames, *update.rejected), key=lambda it: it.filename)
    nowhere = (scope or frozenset()) - snapshot.packages.keys() - snapshot.excluded - update.index.records.keys()
    warnings = [
        *(Note(filename, "wheels are not indexed") for filename in snapshot.wheels),
        *(Note(filename, "was yanked by another indexer and stays out") for filename in update.plan.yanked),
        *(Note(filename, "is neither in the channel nor in its index") for filename in nowhere - expected),
        *(Note(folder, "is a folder in a subdir; packages in it are not indexed") for folder in snapshot.folders),
        *(Note(filename, "stands under v3 without a name, so it is left out") for filename in nameless(update.index)),
        *(Note(it.filename, warning) for it in update.extracted for warning in it.warnings),
        *(Note(it.filename, _REPLACED) for it in update.extracted if replaced(update.index, it)),
        *_unreadable(update, read),
        *unattested(update.attestations or {}),
        *(Note(names.INSTRUCTIONS, warning) for warning in update.patched.warnings),
    ]
    missing = tuple(sorted(nowhere & expected))
    outcome = Outcome.PLANNED if dry_run else Outcome.PARTIAL if rejected or missing else Outcome.UNCHANGED
    return SubdirReport(
        outcome,
        packages=update.count,
        exit_code=3 if outcome is Outcome.PARTIAL else 0,
        added=tuple(sorted(added)),
        updated=tuple(sorted(updated)),
        removed=tuple(sorted(update.leaving)),
        asked=len(update.plan.to_describe),
        reread=len(read - added - updated),
        rejected=tuple(Note(it.filename, f"{it.reason}{_KEPT if it.kept else ''}") for it in rejected),
        missing=missing,
        new_rejected=tuple(sorted(_new(rejected, snapshot.state))),
        warnings=tuple(sorted(warnings)),
        yanked=tuple(Note(name, yank.reason) for name, yank in sorted(update.overlay.yanks.items())),
        ignored=tuple(Note(name, it.reason) for name, it in sorted(update.overlay.ignored.items())),
        recent=None if update.recent is None else count_recent(update.recent, update.now_ms),
    )
