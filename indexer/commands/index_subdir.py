"""One lap of a subdir: look, decide, read, write."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from indexer.commands.retry import retry_on_conflict
from indexer.core import name_digests as byname
from indexer.core import names
from indexer.core import state as ledgers
from indexer.core.errors import BadConfig, BadIndex, NewerIndex, Refused
from indexer.core.formats.shards import ShardIndex, changed_names
from indexer.core.model import Plan
from indexer.core.next_state import next_state, overlay_files
from indexer.core.pages.catalog import undescribed
from indexer.core.patch import NONE as NO_PATCH
from indexer.core.plan import DiffContext, diff, etags_to_remember, guard
from indexer.core.publication import Rank, RenderContext, publication, unpatched_of
from indexer.core.recent import hidden
from indexer.core.records.dates import is_undated, missing_dates
from indexer.core.report import Note, Outcome, SubdirReport, Way
from indexer.core.update import Update, incomplete, rejected_before, reported, unattested
from indexer.extractor.cache import ExtractionCache
from indexer.lister.existing import Lister
from indexer.lister.sidecars import look
from indexer.writer.lease import Lease, under
from indexer.writer.publish import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from indexer.commands.context import Context
    from indexer.core.job import SubdirJob
    from indexer.core.options import Options
    from indexer.core.overlay import Overlay
    from indexer.core.publication import Artefact
    from indexer.core.snapshot import Snapshot
    from indexer.core.state import State
    from indexer.store import Store

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Subdir:
    """One subdir in one run: what is wanted of it, and the packages that were read.

    `begun` has the reports of laps that a conflict ended while they wrote.
    `lease` is there where the store knows no conditions.
    `confirm` is called before a subdir without an index gets one: it raises if the target is wrong.
    """

    store: Store
    wanted: SubdirJob
    run: Context
    packages: ExtractionCache = field(default_factory=ExtractionCache)
    begun: list[SubdirReport] = field(default_factory=list)
    lease: Lease | None = None
    confirm: Callable[[], object] = lambda: None

    @property
    def subdir(self) -> str:
        """Which one."""
        return self.wanted.subdir

    @property
    def options(self) -> Options:
        """Those of the run."""
        return self.wanted.options

    def leased(self) -> Subdir:
        """The same, to be written under a lease, for a store that knows no conditions."""
        return replace(self, lease=Lease(self.store, f"{self.subdir}/", self.run.clock), begun=[])

    def laps(self, *, dry_run: bool) -> SubdirReport:
        """Index the subdir: after a conflict look again, never merely send again."""
        report = retry_on_conflict(self.subdir, self.run, lambda lap: self._alone(trusting=lap == 1, dry_run=dry_run))
        kept = report.packages + len(report.rejected) - len(self.packages.known)
        report.ways = {**({"kept": Way(kept)} if kept > 0 else {}), **self.packages.ways}
        if self.options.fail_on_new and report.outcome is Outcome.PARTIAL and not report.new_rejected:
            report.exit_code = 3 if report.missing else 0
        return report.after(self.begun)

    def _alone(self, *, trusting: bool, dry_run: bool) -> SubdirReport:
        """One lap, under the lease where there is one.  Raises Conflict."""
        with under(None if dry_run else self.lease, self.store) as store:
            return replace(self, store=store)._lap(trusting=trusting, dry_run=dry_run)  # noqa: SLF001  our own

    def _lap(self, *, trusting: bool, dry_run: bool) -> SubdirReport:
        """Look, decide, read, write, in the order that docs/design.md argues for.  Raises Conflict."""
        # Before anything is looked at: a package put after this moment is younger than its record.
        now_ms = self.run.clock.now_ms()
        lister = Lister(self.store, self.subdir, self.options.outputs, self.run.executor, self.options.force)
        seen = lister.observe(self.wanted.scope, trusting=trusting)
        if seen.ledger is not None and self.wanted.quiet(seen, seen.ledger):
            return self._unchanged(seen, seen.ledger, now_ms, dry_run=dry_run)
        self._check_target(lister, seen)
        overlay = self._overlay(lister, seen)
        seen = seen.excluding(overlay.ignored)
        seen = seen.named() if self.wanted.apart and self.wanted.scope is None else seen
        change = Update(now_ms=now_ms, overlay=overlay, counted=self._counted(seen, overlay))
        change = self._decide(lister, seen, change, dry_run=dry_run)
        if not self.options.allow_mass_removal:
            guard(change.index, change.leaving, self.subdir)
        if self.options.rules.strict and (seen.misnamed or change.rejected):
            return self._stopped(seen, change)
        scene = self._scene(lister, seen, change)
        artefacts = [] if scene is None else self._artefacts(scene, seen, change)
        writer = Writer(self.store, lister.key(""), self.run.executor, self._before(lister, seen))
        pending = writer.pending(artefacts, seen)
        report = reported(seen, change, self.wanted.scope, self.wanted.expected, dry_run=dry_run)
        report.incomplete = self.wanted.incomplete(change)
        report.written = tuple(sorted(lister.key(it.key) for it in pending if it.content is not None))
        report.deleted = tuple(sorted(lister.key(it.key) for it in pending if it.content is None))
        del pending
        change = change.settled()
        if dry_run:
            return report
        self.begun.append(report)
        wrote = seen.ledger.wrote if seen.ledger else {}
        if scene is not None:
            apart = self._set_apart(writer, scene, seen, change)
            wrote = {**overlay_files(self.wanted, seen, change), **writer.publish(artefacts, apart)}
        # A look at a few that shows nothing new tells nothing of the rest.
        if self.wanted.scope is None or scene is not None:
            ledger = next_state(self.wanted, seen, change, wrote, lister.source(seen))
            # What was published need not be there any more while the ledger is made.
            del change, scene, artefacts
            writer.keep(ledger, seen)
        self.begun.remove(report)
        if (report.written or report.deleted) and not report.rejected:
            report.outcome = Outcome.PUBLISHED
        return report

    def _check_target(self, lister: Lister, seen: Snapshot) -> None:
        """Raise BadConfig for a subdir that is a channel itself, or whose channel is not there."""
        if seen.ledger is not None and seen.ledger.place == ledgers.CHANNEL:
            raise BadConfig(lister.key(""), "is a channel, not a subdir", "nothing was changed: index it by its name")
        if not seen.packages and not lister.source(seen):
            self.confirm()

    def _decide(self, lister: Lister, seen: Snapshot, change: Update, *, dry_run: bool) -> Update:
        """What is to change, with what was read of packages for it; `change` has the time and what is in force."""
        few = self.wanted.few(seen)
        near = seen if few is None else seen.near(few)
        decided = self._change(
            replace(change, index=lister.read_index(seen, change.overlay, few)), lister, near, dry_run=dry_run
        )
        if few is not None and decided.revised:  # what a channel says of its revisions is counted over all records
            few, near = None, seen
            whole = replace(change, index=lister.read_index(seen, change.overlay))
            decided = self._change(whole, lister, seen, dry_run=dry_run)
        if few is not None and seen.ledger is not None:
            others = (seen.ledger.incomplete or 0) - incomplete(decided.index)
            decided = replace(decided, incomplete_others=max(others, 0))
        if self.wanted.scope is not None:  # a look at a few packages leaves attestations to the next whole run
            return decided
        if self.lease is None:
            seen.let_go()  # `near` is what is left
        found = look(self.store, self.subdir, near.sidecars, seen.ledger, self.run.executor)
        decided = replace(decided, attested=found)
        return decided if few is None or seen.ledger is None else decided.beside(byname.without(few, seen.ledger))

    def _change(self, change: Update, lister: Lister, seen: Snapshot, *, dry_run: bool) -> Update:
        """A change with its plan, and what was read by that."""
        index = self.wanted.lifted(change.index)
        abouts = lister.read_abouts(seen)
        described = self.options.outputs.described
        unknown = undescribed(index, abouts) - change.overlay.yanks.keys() if described else frozenset()
        known = self._known(seen, lister.source(seen))
        complete = self.options.complete or self._were_complete(known)
        if complete:
            unknown |= index.records.keys() - index.run_exports.keys()
        known = replace(known, undescribed=unknown)
        plan = diff(index, seen.packages, known)
        foreign = self.options.force or not known.in_step
        first = seen.ledger is None
        dates = missing_dates(index, seen.packages, change.now_ms, foreign=foreign, first=first)
        plan = replace(plan, dates=dates)
        unpack = self.options.verify_digests
        undated = first and is_undated(index)
        hashed = unpack or not self.run.stored_checksums
        from indexer.extractor.extract import ExtractSpec

        spec = ExtractSpec(self.subdir, self.options.rules, change.now_ms, hashed, described, undated, unpack)
        fetched, asked = [stat.key for stat in plan.fetch], [stat.key for stat in plan.ask]
        stats = [*plan.fetch, *(() if dry_run else plan.ask)]
        # What is read takes the memory of what was listed.
        plan = replace(plan, fetch=())
        if self.lease is None and self.wanted.scope is None:
            seen.let_go()
        self.packages.read(self.store, stats, spec, self.run)
        results = self.packages.results(fetched, index, change.now_ms, plan.dates)
        return replace(
            change,
            index=index,
            plan=replace(plan, seen={**plan.seen, **etags_to_remember(results)}),
            results=results,
            abouts={**abouts, **self.packages.abouts(index, [*fetched, *asked])},
            latest=self.wanted.latest,
            told=self.packages.run_exports(index, asked) if complete else {},
        )

    def _were_complete(self, known: DiffContext) -> bool:
        """Whether the run exports of all records were known once, so that those that are lacking were lost since."""
        if known.scope is not None or not self.options.outputs.run_exports:  # without the file nobody remembers them
            return False
        return known.in_step and known.ledger is not None and known.ledger.incomplete == 0

    def _before(self, lister: Lister, seen: Snapshot) -> Callable[[Rank], None]:
        """What is done before a rank is written: without conditions, look once more at the packages."""

        def look_again(rank: Rank) -> None:
            if self.lease is not None and rank is not Rank.SHARD:
                lister.look_again(seen, self.wanted.scope)

        return look_again

    def _scene(self, lister: Lister, seen: Snapshot, change: Update) -> RenderContext | None:
        """What there is to publish for, None where all is known to stand."""
        attested = change.attested is not None and seen.ledger is not None and change.attested != seen.ledger.attested
        stray = change.index.run_exports.keys() - change.index.records.keys() - change.plan.carried
        anew = stray or change.results or change.leaving or change.plan.ask or change.plan.dates or attested
        if not anew and self.wanted.alike(seen) and seen.vouched:
            return None
        previous = self._previous(lister, seen)
        there = previous.named
        if there and not seen.vouched:
            there &= lister.shards_there()
        source = next((name for name in (names.REPODATA, names.SHARD_INDEX) if name in seen.versions), "")
        overlay = change.overlay
        scene = RenderContext(self.subdir, self.options.outputs, previous, there, change.now_ms, source, overlay.named)
        if previous.info and self.wanted.built_upon(seen):
            scene = replace(scene, touched=changed_names(change.index, change.merged))
        why = {name: yank.reason for name, yank in overlay.yanks.items()}
        return replace(scene, abouts=change.abouts, yanked=why)

    def _artefacts(self, scene: RenderContext, seen: Snapshot, change: Update) -> list[Artefact]:
        """All that the subdir shall publish."""
        kept_apart = bool(change.overlay) or names.UNPATCHED in seen.versions
        return publication(change.patched.index, scene, change.merged if kept_apart else None)

    def _set_apart(self, writer: Writer, scene: RenderContext, seen: Snapshot, change: Update) -> Snapshot:
        """Put aside what the packages say before anything patched is published: a crash must not leave that alone."""
        if not change.overlay or names.UNPATCHED in seen.versions:
            return seen
        wrote = writer.publish([unpatched_of(change.merged, scene, {})], seen)
        return replace(seen, versions={**seen.versions, names.UNPATCHED: wrote[names.UNPATCHED].version})

    def _lost(self, seen: Snapshot) -> bool:
        """Whether the unpatched index that a run left is gone."""
        there_once = seen.ledger is not None and names.UNPATCHED in seen.ledger.wrote
        return there_once and names.UNPATCHED not in seen.versions

    def _counted(self, seen: Snapshot, overlay: Overlay) -> Mapping[int, int] | None:
        """The packages of the last week as the last run counted them, None if readers see others than packages say."""
        if seen.ledger is None or not seen.in_step or overlay or names.UNPATCHED in seen.versions:
            return None
        return None if seen.ledger.recent is None else dict(seen.ledger.recent)

    def _overlay(self, lister: Lister, seen: Snapshot) -> Overlay:
        """What shall be in force.  Raises BadIndex or Refused where what a run left of a patch is gone."""
        found = lister.overlay(seen)
        if self._lost(seen) and found and not self.options.force:
            raise BadIndex(
                lister.key(names.UNPATCHED),
                f"is gone, and {names.REPODATA} is patched",
                "nothing was changed: restore it, or read all packages again with --force",
            )
        named = self.wanted.patch
        if named is None:
            if self.wanted.emptied(found, seen.ledger):
                raise Refused(
                    lister.key(names.INSTRUCTIONS),
                    "was emptied by conda-index, and a patch was in force",
                    "nothing was changed: name the patch with --repodata-patch, or end it with --no-repodata-patch",
                )
            return found
        nothing_to_end = found.lying is None and names.UNPATCHED not in seen.versions
        if named == NO_PATCH and nothing_to_end:
            return found
        return replace(found, named=None if named == found.lying else named)

    def _known(self, seen: Snapshot, source: str) -> DiffContext:
        ledger = self.wanted.of_these_rules(seen.ledger)
        # What once stood under v3 by assignment alone: only the package tells where else it belongs.
        returning = ledger is not None and ledger.latest and not self.wanted.latest
        force = self.options.force or returning
        changing = self.packages.changing(seen.packages)
        return DiffContext(
            ledger, seen.stands(source), seen.modified_ms.get(source, 0), force, self.wanted.scope, changing
        )

    def _stopped(self, seen: Snapshot, change: Update) -> SubdirReport:
        """What a strict run says instead of writing."""
        report = reported(seen, change, self.wanted.scope, self.wanted.expected, dry_run=False)
        report.packages = change.index.count
        error = f"{self.subdir}: {len(report.rejected)} rejected, so nothing was changed; mend or delete them"
        return replace(report, outcome=Outcome.FAILED, exit_code=1, error=error)

    def _unchanged(self, seen: Snapshot, ledger: State, now_ms: int, *, dry_run: bool) -> SubdirReport:
        """What is said where there was nothing to look at."""
        seen = seen.excluding(ledger.ignored)
        rejected = tuple(rejected_before(name, bad) for name, bad in sorted(ledger.rejected.items()))
        report = reported(seen, Update(plan=Plan(rejected=rejected)), None, frozenset(), dry_run=dry_run)
        report.packages, report.incomplete = ledger.packages, ledger.incomplete or 0
        report.recent = None if ledger.recent is None else hidden(dict(ledger.recent), now_ms)
        report.warnings = tuple(sorted((*report.warnings, *unattested(ledger.attested))))
        report.yanked = tuple(Note(name, reason) for name, reason in sorted(ledger.yanked.items()))
        report.ignored = tuple(Note(name, reason) for name, reason in sorted(ledger.ignored.items()))
        return report

    def _previous(self, lister: Lister, seen: Snapshot) -> ShardIndex:
        if not self.options.outputs.shards:
            return ShardIndex()
        try:
            return lister.read_shard_index(seen)
        except NewerIndex:
            raise
        except BadIndex as error:
            # The source is sound, so the shards are made anew from it.
            _log.warning("%s: %s; it is written anew", error.thing, error.reason)
            return ShardIndex()
