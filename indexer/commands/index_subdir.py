"""One lap of a subdir: look, decide, read, write."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from indexer.commands.retry import retry_on_conflict
from indexer.core import names
from indexer.core.errors import BadConfig, BadIndex, NewerIndex, Refused
from indexer.core.formats.shards import ShardIndex, changed_shard_names
from indexer.core.model import Plan
from indexer.core.name_digests import excluding
from indexer.core.next_state import next_state, overlay_files
from indexer.core.pages.catalog import filenames_without_metadata
from indexer.core.patch import NO_INSTRUCTIONS as NO_PATCH
from indexer.core.plan import DiffContext, diff, etags_to_remember, guard
from indexer.core.publication import Rank, RenderContext, publication, unpatched_of
from indexer.core.recent import count_recent
from indexer.core.records.dates import is_undated, missing_dates
from indexer.core.report import Note, Outcome, SubdirReport, Way
from indexer.core.state import CHANNEL
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
    from indexer.core.publication import Artifact
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
    job: SubdirJob
    context: Context
    packages: ExtractionCache = field(default_factory=ExtractionCache)
    begun: list[SubdirReport] = field(default_factory=list)
    lease: Lease | None = None
    confirm: Callable[[], object] = lambda: None

    @property
    def subdir(self) -> str:
        """Which one."""
        return self.job.subdir

    @property
    def options(self) -> Options:
        """Those of the run."""
        return self.job.options

    def leased(self) -> Subdir:
        """The same, to be written under a lease, for a store that knows no conditions."""
        return replace(self, lease=Lease(self.store, f"{self.subdir}/", self.context.clock), begun=[])

    def laps(self, *, dry_run: bool) -> SubdirReport:
        """Index the subdir: after a conflict look again, never merely send again."""
        report = retry_on_conflict(
            self.subdir, self.context, lambda lap: self._alone(trusting=lap == 1, dry_run=dry_run)
        )
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
        now_ms = self.context.clock.now_ms()
        lister = Lister(self.store, self.subdir, self.options.outputs, self.context.executor, self.options.force)
        snapshot = lister.take_snapshot(self.job.scope, trusting=trusting)
        if snapshot.state is not None and self.job.is_up_to_date(snapshot, snapshot.state):
            return self._unchanged(snapshot, snapshot.state, now_ms, dry_run=dry_run)
        self._check_target(lister, snapshot)
        overlay = self._overlay(lister, snapshot)
        snapshot = snapshot.excluding(overlay.ignored)
        snapshot = snapshot.with_name_digests() if self.job.independent_shards and self.job.scope is None else snapshot
        update = Update(now_ms=now_ms, overlay=overlay, recent_before=self._counted(snapshot, overlay))
        update = self._decide(lister, snapshot, update, dry_run=dry_run)
        if not self.options.allow_mass_removal:
            guard(update.index, update.leaving, self.subdir)
        if self.options.rules.strict and (snapshot.invalid_filenames or update.rejected):
            return self._stopped(snapshot, update)
        scene = self._scene(lister, snapshot, update)
        artifacts = [] if scene is None else self._artefacts(scene, snapshot, update)
        writer = Writer(self.store, lister.key(""), self.context.executor, self._before(lister, snapshot))
        pending = writer.pending(artifacts, snapshot)
        report = reported(snapshot, update, self.job.scope, self.job.expected, dry_run=dry_run)
        report.incomplete = self.job.incomplete(update)
        report.written = tuple(sorted(lister.key(it.key) for it in pending if it.content is not None))
        report.deleted = tuple(sorted(lister.key(it.key) for it in pending if it.content is None))
        del pending
        update = update.settled()
        if dry_run:
            return report
        self.begun.append(report)
        wrote = snapshot.state.files if snapshot.state else {}
        if scene is not None:
            apart = self._set_apart(writer, scene, snapshot, update)
            wrote = {**overlay_files(self.job, snapshot, update), **writer.publish(artifacts, apart)}
        # A look at a few that shows nothing new tells nothing of the rest.
        if self.job.scope is None or scene is not None:
            state = next_state(self.job, snapshot, update, wrote, lister.source(snapshot))
            # What was published need not be there any more while the ledger is made.
            del update, scene, artifacts
            writer.save_state(state, snapshot)
        self.begun.remove(report)
        if (report.written or report.deleted) and not report.rejected:
            report.outcome = Outcome.PUBLISHED
        return report

    def _check_target(self, lister: Lister, snapshot: Snapshot) -> None:
        """Raise BadConfig for a subdir that is a channel itself, or whose channel is not there."""
        if snapshot.state is not None and snapshot.state.place == CHANNEL:
            raise BadConfig(lister.key(""), "is a channel, not a subdir", "nothing was changed: index it by its name")
        if not snapshot.packages and not lister.source(snapshot):
            self.confirm()

    def _decide(self, lister: Lister, snapshot: Snapshot, update: Update, *, dry_run: bool) -> Update:
        """What is to change, with what was read of packages for it; `update` has the time and what is in force."""
        few = self.job.changed_names(snapshot)
        near = snapshot if few is None else snapshot.restrict_to(few)
        decided = self._change(
            replace(update, index=lister.read_index(snapshot, update.overlay, few)), lister, near, dry_run=dry_run
        )
        if few is not None and decided.has_v3:  # what a channel says of its revisions is counted over all records
            few, near = None, snapshot
            whole = replace(update, index=lister.read_index(snapshot, update.overlay))
            decided = self._change(whole, lister, snapshot, dry_run=dry_run)
        if few is not None and snapshot.state is not None:
            others = (snapshot.state.incomplete or 0) - incomplete(decided.index)
            decided = replace(decided, incomplete_others=max(others, 0))
        if self.job.scope is not None:  # a look at a few packages leaves attestations to the next whole run
            return decided
        if self.lease is None:
            snapshot.let_go()  # `near` is what is left
        found = look(self.store, self.subdir, near.sidecars, snapshot.state, self.context.executor)
        decided = replace(decided, attestations=found)
        return decided if few is None or snapshot.state is None else decided.carry_over(excluding(few, snapshot.state))

    def _change(self, update: Update, lister: Lister, snapshot: Snapshot, *, dry_run: bool) -> Update:
        """A change with its plan, and what was read by that."""
        index = self.job.without_unyanked(update.index)
        abouts = lister.read_metadata(snapshot)
        described = self.options.outputs.needs_metadata
        unknown = filenames_without_metadata(index, abouts) - update.overlay.yanks.keys() if described else frozenset()
        known = self._known(snapshot, lister.source(snapshot))
        complete = self.options.complete or self._were_complete(known)
        if complete:
            unknown |= index.records.keys() - index.run_exports.keys()
        known = replace(known, needs_metadata=unknown)
        plan = diff(index, snapshot.packages, known)
        foreign = self.options.force or not known.index_matches_state
        first = snapshot.state is None
        dates = missing_dates(index, snapshot.packages, update.now_ms, foreign=foreign, first=first)
        plan = replace(plan, dates=dates)
        unpack = self.options.verify_digests
        undated = first and is_undated(index)
        hashed = unpack or not self.context.stored_checksums
        from indexer.extractor.extract import ExtractSpec

        spec = ExtractSpec(self.subdir, self.options.rules, update.now_ms, hashed, described, undated, unpack)
        fetched, asked = [stat.key for stat in plan.to_read], [stat.key for stat in plan.to_describe]
        stats = [*plan.to_read, *(() if dry_run else plan.to_describe)]
        # What is read takes the memory of what was listed.
        plan = replace(plan, to_read=())
        if self.lease is None and self.job.scope is None:
            snapshot.let_go()
        self.packages.read(self.store, stats, spec, self.context.workers, self.context.progress)
        results = self.packages.results(fetched, index, update.now_ms, plan.dates)
        return replace(
            update,
            index=index,
            plan=replace(plan, etags_to_remember={**plan.etags_to_remember, **etags_to_remember(results)}),
            results=results,
            metadata={**abouts, **self.packages.abouts(index, [*fetched, *asked])},
            all_in_v3=self.job.all_in_v3,
            run_exports_read=self.packages.run_exports(index, asked) if complete else {},
        )

    def _were_complete(self, known: DiffContext) -> bool:
        """Whether the run exports of all records were known once, so that those that are lacking were lost since."""
        if known.scope is not None or not self.options.outputs.run_exports:  # without the file nobody remembers them
            return False
        return known.index_matches_state and known.state is not None and known.state.incomplete == 0

    def _before(self, lister: Lister, snapshot: Snapshot) -> Callable[[Rank], None]:
        """What is done before a rank is written: without conditions, look once more at the packages."""

        def look_again(rank: Rank) -> None:
            if self.lease is not None and rank is not Rank.SHARD:
                lister.look_again(snapshot, self.job.scope)

        return look_again

    def _scene(self, lister: Lister, snapshot: Snapshot, update: Update) -> RenderContext | None:
        """What there is to publish for, None where all is known to stand."""
        attested = (
            update.attestations is not None
            and snapshot.state is not None
            and update.attestations != snapshot.state.attestations
        )
        stray = update.index.run_exports.keys() - update.index.records.keys() - update.plan.carried
        anew = stray or update.results or update.leaving or update.plan.to_describe or update.plan.dates or attested
        if not anew and self.job.same_config_and_files(snapshot) and snapshot.shards_trusted:
            return None
        previous = self._previous(lister, snapshot)
        there = previous.own_digests
        if there and not snapshot.shards_trusted:
            there &= lister.existing_shards()
        source = next((name for name in (names.REPODATA, names.SHARD_INDEX) if name in snapshot.etags), "")
        overlay = update.overlay
        scene = RenderContext(
            self.subdir, self.options.outputs, previous, there, update.now_ms, source, overlay.new_patch
        )
        if previous.info and self.job.can_reuse_shards(snapshot):
            scene = replace(scene, changed_names=changed_shard_names(update.index, update.merged))
        why = {name: yank.reason for name, yank in overlay.yanks.items()}
        return replace(scene, metadata=update.metadata, yanked=why)

    def _artefacts(self, scene: RenderContext, snapshot: Snapshot, update: Update) -> list[Artifact]:
        """All that the subdir shall publish."""
        kept_apart = bool(update.overlay) or names.UNPATCHED in snapshot.etags
        return publication(update.patched.index, scene, update.merged if kept_apart else None)

    def _set_apart(self, writer: Writer, scene: RenderContext, snapshot: Snapshot, update: Update) -> Snapshot:
        """Put aside what the packages say before anything patched is published: a crash must not leave that alone."""
        if not update.overlay or names.UNPATCHED in snapshot.etags:
            return snapshot
        wrote = writer.publish([unpatched_of(update.merged, scene, {})], snapshot)
        return replace(snapshot, etags={**snapshot.etags, names.UNPATCHED: wrote[names.UNPATCHED].etag})

    def _lost(self, snapshot: Snapshot) -> bool:
        """Whether the unpatched index that a run left is gone."""
        there_once = snapshot.state is not None and names.UNPATCHED in snapshot.state.files
        return there_once and names.UNPATCHED not in snapshot.etags

    def _counted(self, snapshot: Snapshot, overlay: Overlay) -> Mapping[int, int] | None:
        """The packages of the last week as the last run counted them, None if readers see others than packages say."""
        if snapshot.state is None or not snapshot.files_match_state or overlay or names.UNPATCHED in snapshot.etags:
            return None
        return None if snapshot.state.recent is None else dict(snapshot.state.recent)

    def _overlay(self, lister: Lister, snapshot: Snapshot) -> Overlay:
        """What shall be in force.  Raises BadIndex or Refused where what a run left of a patch is gone."""
        found = lister.overlay(snapshot)
        if self._lost(snapshot) and found and not self.options.force:
            raise BadIndex(
                lister.key(names.UNPATCHED),
                f"is gone, and {names.REPODATA} is patched",
                "nothing was changed: restore it, or read all packages again with --force",
            )
        named = self.job.patch
        if named is None:
            if self.job.patch_overwritten(found, snapshot.state):
                raise Refused(
                    lister.key(names.INSTRUCTIONS),
                    "was emptied by conda-index, and a patch was in force",
                    "nothing was changed: name the patch with --repodata-patch, or end it with --no-repodata-patch",
                )
            return found
        nothing_to_end = found.published_patch is None and names.UNPATCHED not in snapshot.etags
        if named == NO_PATCH and nothing_to_end:
            return found
        return replace(found, new_patch=None if named == found.published_patch else named)

    def _known(self, snapshot: Snapshot, source: str) -> DiffContext:
        state = self.job.state_for_these_rules(snapshot.state)
        # What once stood under v3 by assignment alone: only the package tells where else it belongs.
        returning = state is not None and state.all_in_v3 and not self.job.all_in_v3
        force = self.options.force or returning
        changing = self.packages.changing(snapshot.packages)
        return DiffContext(
            state, snapshot.is_unchanged(source), snapshot.modified_ms.get(source, 0), force, self.job.scope, changing
        )

    def _stopped(self, snapshot: Snapshot, update: Update) -> SubdirReport:
        """What a strict run says instead of writing."""
        report = reported(snapshot, update, self.job.scope, self.job.expected, dry_run=False)
        report.packages = update.index.count
        error = f"{self.subdir}: {len(report.rejected)} rejected, so nothing was changed; mend or delete them"
        return replace(report, outcome=Outcome.FAILED, exit_code=1, error=error)

    def _unchanged(self, snapshot: Snapshot, state: State, now_ms: int, *, dry_run: bool) -> SubdirReport:
        """What is said where there was nothing to look at."""
        snapshot = snapshot.excluding(state.ignored)
        rejected = tuple(rejected_before(name, bad) for name, bad in sorted(state.rejected.items()))
        report = reported(snapshot, Update(plan=Plan(rejected=rejected)), None, frozenset(), dry_run=dry_run)
        report.packages, report.incomplete = state.packages, state.incomplete or 0
        report.recent = None if state.recent is None else count_recent(dict(state.recent), now_ms)
        report.warnings = tuple(sorted((*report.warnings, *unattested(state.attestations))))
        report.yanked = tuple(Note(name, reason) for name, reason in sorted(state.yanked.items()))
        report.ignored = tuple(Note(name, reason) for name, reason in sorted(state.ignored.items()))
        return report

    def _previous(self, lister: Lister, snapshot: Snapshot) -> ShardIndex:
        if not self.options.outputs.shards:
            return ShardIndex()
        try:
            return lister.read_shard_index(snapshot)
        except NewerIndex:
            raise
        except BadIndex as error:
            # The source is sound, so the shards are made anew from it.
            _log.warning("%s: %s; it is written anew", error.thing, error.reason)
            return ShardIndex()
