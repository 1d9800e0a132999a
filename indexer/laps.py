"""One lap of a subdir: look, decide, read, write."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from indexer.change import Change, incomplete, rejected_before, reported, unattested
from indexer.core import byname, names
from indexer.core import ledger as ledgers
from indexer.core.catalogue import undescribed
from indexer.core.dating import is_undated, missing_dates
from indexer.core.model import Plan
from indexer.core.patch import NONE as NO_PATCH
from indexer.core.plan import Known, diff, guard, untold
from indexer.core.recent import hidden
from indexer.core.render import Rank, Scene, publication, unpatched_of
from indexer.core.shards import ShardIndex, touched
from indexer.errors import BadConfig, BadIndex, NewerIndex, Refused
from indexer.lease import Lease, under
from indexer.lister import Lister
from indexer.patience import until_nobody_is_faster
from indexer.reading import Packages
from indexer.remember import ledger_of, state_of
from indexer.report import Note, Outcome, SubdirReport, Way
from indexer.sidecars import look
from indexer.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from indexer.core.ledger import Ledger
    from indexer.core.overlay import Overlay
    from indexer.core.render import Artefact
    from indexer.observation import Observation
    from indexer.options import Options, Run
    from indexer.store import Store
    from indexer.wanted import Wanted

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Subdir:
    """One subdir in one run: what is wanted of it, and the packages that were read.

    `begun` has the reports of laps that a conflict ended while they wrote.
    `lease` is there where the store knows no conditions.
    `confirm` is called before a subdir without an index gets one: it raises if the target is wrong.
    """

    store: Store
    wanted: Wanted
    run: Run
    packages: Packages = field(default_factory=Packages)
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
        return replace(self, lease=Lease(self.store, f"{self.subdir}/", self.run), begun=[])

    def laps(self, *, dry_run: bool) -> SubdirReport:
        """Index the subdir: after a conflict look again, never merely send again."""
        report = until_nobody_is_faster(
            self.subdir, self.run, lambda lap: self._alone(trusting=lap == 1, dry_run=dry_run)
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
        now_ms = self.run.now_ms()
        lister = Lister(self.store, self.subdir, self.options.outputs, self.run.executor, self.options.force)
        seen = lister.observe(self.wanted.scope, trusting=trusting)
        if seen.ledger is not None and self.wanted.quiet(seen, seen.ledger):
            return self._unchanged(seen, seen.ledger, now_ms, dry_run=dry_run)
        self._check_target(lister, seen)
        overlay = self._overlay(lister, seen)
        seen = seen.excluding(overlay.ignored)
        seen = seen.named() if self.wanted.apart and self.wanted.scope is None else seen
        change = Change(now_ms=now_ms, overlay=overlay, counted=self._counted(seen, overlay))
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
            wrote = {**state_of(self.wanted, seen, change), **writer.publish(artefacts, apart)}
        # A look at a few that shows nothing new tells nothing of the rest.
        if self.wanted.scope is None or scene is not None:
            ledger = ledger_of(self.wanted, seen, change, wrote, lister.source(seen))
            # What was published need not be there any more while the ledger is made.
            del change, scene, artefacts
            writer.keep(ledger, seen)
        self.begun.remove(report)
        if (report.written or report.deleted) and not report.rejected:
            report.outcome = Outcome.PUBLISHED
        return report

    def _check_target(self, lister: Lister, seen: Observation) -> None:
        """Raise BadConfig for a subdir that is a channel itself, or whose channel is not there."""
        if seen.ledger is not None and seen.ledger.place == ledgers.CHANNEL:
            raise BadConfig(lister.key(""), "is a channel, not a subdir", "nothing was changed: index it by its name")
        if not seen.packages and not lister.source(seen):
            self.confirm()

    def _decide(self, lister: Lister, seen: Observation, change: Change, *, dry_run: bool) -> Change:
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

    def _change(self, change: Change, lister: Lister, seen: Observation, *, dry_run: bool) -> Change:
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
        hashed = unpack or not self.run.vouching
        from indexer.extractor import Spec

        spec = Spec(self.subdir, self.options.rules, change.now_ms, hashed, described, undated, unpack)
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
            plan=replace(plan, seen={**plan.seen, **untold(results)}),
            results=results,
            abouts={**abouts, **self.packages.abouts(index, [*fetched, *asked])},
            latest=self.wanted.latest,
            told=self.packages.run_exports(index, asked) if complete else {},
        )

    def _were_complete(self, known: Known) -> bool:
        """Whether the run exports of all records were known once, so that those that are lacking were lost since."""
        if known.scope is not None or not self.options.outputs.run_exports:  # without the file nobody remembers them
            return False
        return known.in_step and known.ledger is not None and known.ledger.incomplete == 0

    def _before(self, lister: Lister, seen: Observation) -> Callable[[Rank], None]:
        """What is done before a rank is written: without conditions, look once more at the packages."""

        def look_again(rank: Rank) -> None:
            if self.lease is not None and rank is not Rank.SHARD:
                lister.look_again(seen, self.wanted.scope)

        return look_again

    @property
    def _is_wanted_empty(self) -> bool:
        """Whether the subdir gets an index though no package is there: not for a named package that is missing."""
        return self.wanted.scope is None or self.options.create or self.subdir == names.NOARCH

    def _scene(self, lister: Lister, seen: Observation, change: Change) -> Scene | None:
        """What there is to publish for, None if all is known to stand, or if there is nothing."""
        if not seen.packages and not lister.source(seen) and not self._is_wanted_empty:
            return None
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
        scene = Scene(self.subdir, self.options.outputs, previous, there, change.now_ms, source, overlay.named)
        if previous.info and self.wanted.built_upon(seen):
            scene = replace(scene, touched=touched(change.index, change.merged))
        why = {name: yank.reason for name, yank in overlay.yanks.items()}
        return replace(scene, abouts=change.abouts, yanked=why)

    def _artefacts(self, scene: Scene, seen: Observation, change: Change) -> list[Artefact]:
        """All that the subdir shall publish."""
        kept_apart = bool(change.overlay) or names.UNPATCHED in seen.versions
        return publication(change.patched.index, scene, change.merged if kept_apart else None)

    def _set_apart(self, writer: Writer, scene: Scene, seen: Observation, change: Change) -> Observation:
        """Put aside what the packages say before anything patched is published: a crash must not leave that alone."""
        if not change.overlay or names.UNPATCHED in seen.versions:
            return seen
        wrote = writer.publish([unpatched_of(change.merged, scene, {})], seen)
        return replace(seen, versions={**seen.versions, names.UNPATCHED: wrote[names.UNPATCHED].version})

    def _lost(self, seen: Observation) -> bool:
        """Whether the unpatched index that a run left is gone."""
        there_once = seen.ledger is not None and names.UNPATCHED in seen.ledger.wrote
        return there_once and names.UNPATCHED not in seen.versions

    def _counted(self, seen: Observation, overlay: Overlay) -> Mapping[int, int] | None:
        """The packages of the last week as the last run counted them, None if readers see others than packages say."""
        if seen.ledger is None or not seen.in_step or overlay or names.UNPATCHED in seen.versions:
            return None
        return None if seen.ledger.recent is None else dict(seen.ledger.recent)

    def _overlay(self, lister: Lister, seen: Observation) -> Overlay:
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

    def _known(self, seen: Observation, source: str) -> Known:
        ledger = self.wanted.of_these_rules(seen.ledger)
        # What once stood under v3 by assignment alone: only the package tells where else it belongs.
        returning = ledger is not None and ledger.latest and not self.wanted.latest
        force = self.options.force or returning
        changing = self.packages.changing(seen.packages)
        return Known(ledger, seen.stands(source), seen.modified_ms.get(source, 0), force, self.wanted.scope, changing)

    def _stopped(self, seen: Observation, change: Change) -> SubdirReport:
        """What a strict run says instead of writing."""
        report = reported(seen, change, self.wanted.scope, self.wanted.expected, dry_run=False)
        report.packages = change.index.count
        error = f"{self.subdir}: {len(report.rejected)} rejected, so nothing was changed; mend or delete them"
        return replace(report, outcome=Outcome.FAILED, exit_code=1, error=error)

    def _unchanged(self, seen: Observation, ledger: Ledger, now_ms: int, *, dry_run: bool) -> SubdirReport:
        """What is said where there was nothing to look at."""
        seen = seen.excluding(ledger.ignored)
        rejected = tuple(rejected_before(name, bad) for name, bad in sorted(ledger.rejected.items()))
        report = reported(seen, Change(plan=Plan(rejected=rejected)), None, frozenset(), dry_run=dry_run)
        report.packages, report.incomplete = ledger.packages, ledger.incomplete or 0
        report.recent = None if ledger.recent is None else hidden(dict(ledger.recent), now_ms)
        report.warnings = tuple(sorted((*report.warnings, *unattested(ledger.attested))))
        report.yanked = tuple(Note(name, reason) for name, reason in sorted(ledger.yanked.items()))
        report.ignored = tuple(Note(name, reason) for name, reason in sorted(ledger.ignored.items()))
        return report

    def _previous(self, lister: Lister, seen: Observation) -> ShardIndex:
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
