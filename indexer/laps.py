"""One lap of a subdir: look, decide, read, write."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import msgspec

from indexer.change import Change, reported, unattested
from indexer.core import ledger as ledgers
from indexer.core import names
from indexer.core.about import About
from indexer.core.catalogue import undescribed
from indexer.core.ledger import Bad, Ledger, Wrote
from indexer.core.model import Extracted, Index, Plan, Rejected
from indexer.core.patch import NONE as NO_PATCH
from indexer.core.plan import Known, diff, guard
from indexer.core.render import Rank, Scene, instructions_of, publication, unpatched_of
from indexer.core.repodata import facts_of
from indexer.core.shards import ShardIndex
from indexer.errors import BadIndex, Conflict, Denied
from indexer.extractor import Gone, Spec
from indexer.lease import Lease, under
from indexer.lister import Lister, Observation
from indexer.patience import until_nobody_is_faster
from indexer.release import __version__
from indexer.report import Note, Outcome, SubdirReport, Way
from indexer.sidecars import look
from indexer.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from indexer.core.model import Stat, Version
    from indexer.core.overlay import Overlay
    from indexer.core.render import Artefact
    from indexer.options import Options, Run
    from indexer.store import Store

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Subdir:
    """One subdir in one run.

    `patch` has the instructions that were named for it, None where those that lie there stay in force.
    `memo` has what was read, by key and version, so that a lap after a conflict reads nothing twice;
    `ways` counts it.  `begun` has the reports of laps that a conflict ended while they wrote.
    `lease` is there where the store knows no conditions.
    """

    store: Store
    subdir: str
    options: Options
    run: Run
    patch: bytes | None = None
    memo: dict[tuple[str, Version], Extracted | Rejected] = field(default_factory=dict)
    ways: dict[str, Way] = field(default_factory=dict)
    begun: list[SubdirReport] = field(default_factory=list)
    lease: Lease | None = None

    def leased(self) -> Subdir:
        """The same, to be written under a lease, for a store that knows no conditions."""
        return replace(self, lease=Lease(self.store, f"{self.subdir}/", self.run), begun=[])

    def laps(self, *, dry_run: bool) -> SubdirReport:
        """Index the subdir: after a conflict look again, never merely send again."""
        report = until_nobody_is_faster(
            self.subdir, self.run, lambda lap: self._alone(trusting=lap == 1, dry_run=dry_run)
        )
        kept = report.packages + len(report.rejected) - len({key for key, _ in self.memo})
        report.ways = {**({"kept": Way(kept)} if kept > 0 else {}), **self.ways}
        return report.after(self.begun)

    def _alone(self, *, trusting: bool, dry_run: bool) -> SubdirReport:
        """One lap, under the lease where there is one.  Raises Conflict."""
        with under(None if dry_run else self.lease, self.store) as store:
            return replace(self, store=store)._lap(trusting=trusting, dry_run=dry_run)  # noqa: SLF001  our own

    def _lap(self, *, trusting: bool, dry_run: bool) -> SubdirReport:
        """Look, decide, read, write, in the order that docs/design.md argues for.  Raises Conflict."""
        # Before anything is looked at: a package put after this moment is younger than its record.
        now_ms = self.run.now_ms()
        lister = Lister(self.store, self.subdir, self.options.outputs, self.run.executor)
        seen = lister.observe(self._scope, trusting=trusting)
        if seen.ledger is not None and self._quiet(seen, seen.ledger):
            return self._unchanged(seen, seen.ledger, dry_run=dry_run)
        overlay = self._overlay(lister, seen)
        index = self._lifted(lister.read_index(seen, overlay))
        abouts = lister.read_abouts(seen)
        unknown = undescribed(index, abouts) - overlay.yanks.keys() if self.options.outputs.described else frozenset()
        plan = diff(index, seen.packages, replace(self._known(seen, lister.source(seen)), undescribed=unknown))
        self._read(plan.fetch if dry_run else (*plan.fetch, *plan.ask), now_ms)
        results = tuple(self.memo[it.key, it.version] for it in plan.fetch)
        change = Change(index, plan, results, now_ms, overlay, {**abouts, **self._said(index, plan)}, self._latest)
        if self._scope is None:  # a look at a few packages leaves attestations to the next whole run
            change = replace(change, attested=look(self.store, seen.sidecars, seen.ledger, self.run.executor))
        if not self.options.allow_mass_removal:
            guard(index, change.leaving, self.subdir)
        if self.options.rules.strict and (seen.misnamed or change.rejected):
            return self._stopped(seen, change)
        scene = self._scene(lister, seen, change)
        artefacts = [] if scene is None else self._artefacts(scene, seen, change)
        writer = Writer(self.store, lister.key(""), self.run.executor, self._before(lister, seen))
        pending = writer.pending(artefacts, seen)
        report = reported(seen, change, self._scope, dry_run=dry_run)
        report.written = tuple(sorted(lister.key(it.key) for it in pending if it.content is not None))
        report.deleted = tuple(sorted(lister.key(it.key) for it in pending if it.content is None))
        if dry_run:
            return report
        self.begun.append(report)
        wrote = _wrote(seen)
        if scene is not None:
            apart = self._set_apart(writer, scene, seen, change)
            wrote = {**self._state(seen, overlay), **writer.publish(artefacts, apart)}
        if self._scope is None or artefacts:  # a look at a few that shows nothing new tells nothing of the rest
            writer.keep(self._ledger(lister, seen, change, wrote), seen)
        self.begun.remove(report)
        if pending and not report.rejected:
            report.outcome = Outcome.PUBLISHED
        return report

    def _before(self, lister: Lister, seen: Observation) -> Callable[[Rank], None]:
        """What is done before a rank is written: without conditions, look once more at the packages."""

        def look_again(rank: Rank) -> None:
            if self.lease is not None and rank is not Rank.SHARD:
                lister.look_again(seen, self._scope)

        return look_again

    def _scene(self, lister: Lister, seen: Observation, change: Change) -> Scene | None:
        """What there is to publish for, None where all is known to stand."""
        attested = change.attested is not None and seen.ledger is not None and change.attested != seen.ledger.attested
        anew = change.results or change.leaving or change.plan.ask or attested
        if not anew and self._shaped_alike(seen) and seen.vouched:
            return None
        previous = self._previous(lister, seen)
        there = previous.named
        if there and (self.options.force or not seen.vouched):
            there &= lister.shards_there()
        source = next((name for name in (names.REPODATA, names.SHARD_INDEX) if name in seen.versions), "")
        overlay = change.overlay
        scene = Scene(self.subdir, self.options.outputs, previous, there, change.now_ms, source, overlay.named)
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

    def _lifted(self, index: Index) -> Index:
        """The index without the word of another indexer that a package was removed, where it is unyanked."""
        lifted = {key.rpartition("/")[2] for key in self.options.unyanked if key.rpartition("/")[0] == self.subdir}
        return replace(index, removed=tuple(name for name in index.removed if name not in lifted))

    def _overlay(self, lister: Lister, seen: Observation) -> Overlay:
        """What shall be in force.  Raises BadIndex where the unpatched index that a run left is gone."""
        found = lister.overlay(seen)
        if self._lost(seen) and found and not self.options.force:
            raise BadIndex(
                lister.key(names.UNPATCHED),
                f"is gone, and {names.REPODATA} is patched",
                "nothing was changed: restore it, or read all packages again with --force",
            )
        if self.patch is None:
            return found
        nothing_to_end = found.lying is None and names.UNPATCHED not in seen.versions
        if self.patch == NO_PATCH and nothing_to_end:
            return found
        return replace(found, named=None if self.patch == found.lying else self.patch)

    def _state(self, seen: Observation, overlay: Overlay) -> dict[str, Wrote]:
        """The state that the run was made from, as the ledger remembers it."""
        digests = {names.YANKED: ""}
        if overlay.lying is not None and overlay.named is None:
            digests[names.INSTRUCTIONS] = instructions_of(overlay.lying, self.options.outputs).digest
        return {name: Wrote(seen.versions[name], it) for name, it in digests.items() if name in seen.versions}

    @property
    def _scope(self) -> frozenset[str] | None:
        if self.options.packages is None:
            return None
        inside = (key.rpartition("/") for key in self.options.packages)
        # noarch is made sure of although nothing in it is named: then it is looked at whole.
        return frozenset(filename for subdir, _, filename in inside if subdir == self.subdir) or None

    def _quiet(self, seen: Observation, ledger: Ledger) -> bool:
        """Whether nothing changed since the run that left the ledger, by the listing alone."""
        if self.options.force or self._scope is not None or not self._shaped_alike(seen) or seen.noted:
            return False
        if self.options.rules.strict and seen.misnamed:
            return False
        return ledger.listing == seen.listing

    def _shaped_alike(self, seen: Observation) -> bool:
        """Whether our files are what a run with the same options left."""
        if seen.ledger is None or not seen.settled or seen.ledger.stamp != self._stamp:
            return False
        if self.patch is None:
            return True
        named = seen.ledger.wrote.get(names.INSTRUCTIONS)
        if named is None:
            return self.patch == NO_PATCH and names.UNPATCHED not in seen.versions
        return named.digest == instructions_of(self.patch, self.options.outputs).digest

    @property
    def _latest(self) -> bool:
        return self.options.outputs.info.latest

    @property
    def _stamp(self) -> str:
        return ledgers.stamp(self.options.outputs, self.options.rules, __version__)

    def _known(self, seen: Observation, source: str) -> Known:
        ledger = self._of_these_rules(seen.ledger)
        source_ms = seen.modified_ms.get(source, 0)
        # Met in this run at another version: no date proves that such a record stands.
        met = ((key.rpartition("/")[2], version) for key, version in self.memo)
        changing = frozenset(
            name for name, version in met if (now := seen.packages.get(name)) and now.version != version
        )
        # What once stood under v3 by assignment alone: only the package tells where else it belongs.
        returning = ledger is not None and ledger.latest and not self._latest
        force = self.options.force or returning
        return Known(ledger, seen.stands(source), source_ms, force, self._scope, changing)

    def _of_these_rules(self, ledger: Ledger | None) -> Ledger | None:
        """What the ledger knows; under other rules a package may have been rejected that is good now."""
        if ledger is None or ledger.stamp == self._stamp:
            return ledger
        return msgspec.structs.replace(ledger, rejected={})

    def _read(self, packages: Sequence[Stat], now_ms: int) -> None:
        """Read into the memo what is not there yet, and count the ways it was read."""
        missing = [stat for stat in packages if (stat.key, stat.version) not in self.memo]
        if not missing:
            return
        about = self.options.outputs.described
        spec = Spec(self.subdir, self.options.rules, now_ms, self.options.verify_digests, about)
        version_of = {stat.key.rpartition("/")[2]: (stat.key, stat.version) for stat in missing}
        gone: list[str] = []
        refused: list[Rejected] = []
        self.run.progress(self.subdir, 0, len(missing))
        for done, reading in enumerate(self.run.workers(self.store, spec, missing), 1):
            way = self.ways.setdefault(reading.way.value, Way())
            way.packages += 1
            way.requests += sum(reading.usage.requests.values())
            way.bytes += reading.usage.bytes_read
            if isinstance(reading.result, Gone):
                gone.append(reading.result.filename)
            else:
                self.memo[version_of[reading.result.filename]] = reading.result
                if isinstance(reading.result, Rejected) and reading.result.passing:
                    refused.append(reading.result)
            self.run.progress(self.subdir, done, len(missing))
        if gone:
            raise Conflict(f"{self.subdir}/{min(gone)}", "changed while it was read")
        if len(refused) == len(missing) > 1:
            raise Denied(
                f"{self.subdir}/{refused[0].filename}", refused[0].reason, "look at the rights to read objects"
            )

    def _said(self, index: Index, plan: Plan) -> dict[str, About]:
        """What the packages that were read say of themselves.

        One that stands in the index and is no package by our rules says nothing, which is known then.
        """
        found = {}
        for stat in (*plan.fetch, *plan.ask):
            result = self.memo.get((stat.key, stat.version))
            if result is None:  # a run that only plans does not ask
                continue
            if isinstance(result, Extracted):
                about = result.about
            elif result.filename in index.records and not result.passing:
                about = About(sha256=facts_of(index.records[result.filename]).sha256 or "")
            else:
                about = None
            if about is not None:
                found[result.filename] = about
        return found

    def _stopped(self, seen: Observation, change: Change) -> SubdirReport:
        """What a strict run says instead of writing."""
        report = reported(seen, change, self._scope, dry_run=False)
        report.packages = len(change.index.records)
        error = f"{self.subdir}: {len(report.rejected)} rejected, so nothing was changed; mend or delete them"
        return replace(report, outcome=Outcome.FAILED, exit_code=1, error=error)

    def _unchanged(self, seen: Observation, ledger: Ledger, *, dry_run: bool) -> SubdirReport:
        """What is said where there was nothing to look at."""
        report = reported(seen, Change(plan=Plan(rejected=_rejected_before(ledger))), None, dry_run=dry_run)
        report.packages = ledger.packages
        report.warnings = tuple(sorted((*report.warnings, *unattested(ledger.attested))))
        report.yanked = tuple(Note(name, reason) for name, reason in sorted(ledger.yanked.items()))
        return report

    def _previous(self, lister: Lister, seen: Observation) -> ShardIndex:
        if not self.options.outputs.shards:
            return ShardIndex()
        try:
            return lister.read_shard_index(seen)
        except BadIndex as error:
            # The source is sound, so the shards are made anew from it.
            _log.warning("%s: %s; it is written anew", error.thing, error.reason)
            return ShardIndex()

    def _ledger(self, lister: Lister, seen: Observation, change: Change, wrote: Mapping[str, Wrote]) -> Ledger:
        """What the next run shall know; outside of a scope what the last one knew still holds."""
        fresh: dict[str, Version] = {
            it.filename: it.version for it in change.extracted if seen.packages[it.filename].md5 != it.record["md5"]
        }
        bad = {it.filename: Bad(it.version, it.reason) for it in change.rejected if not it.passing}
        versions: dict[str, Version] = {**change.plan.seen, **fresh}
        attested = (seen.ledger.attested if seen.ledger else {}) if change.attested is None else change.attested
        passing = any(it.passing for it in change.rejected) or any(it.passing for it in attested.values())
        listing = "" if passing or self._scope is not None else seen.listing
        whole = True
        if self._scope is not None:
            # What it says of versions is of the records in the source, whatever became of other files.
            stands = lister.source(seen) and seen.stands(lister.source(seen))
            before = self._of_these_rules(seen.ledger if stands else None)
            whole = before is not None and before.whole
            if before is not None:
                versions = {k: v for k, v in before.seen.items() if k not in self._scope} | versions
                bad = {k: v for k, v in before.rejected.items() if k not in self._scope} | bad
        count = len(change.patched.index.records)
        yanked = {name: yank.reason for name, yank in change.overlay.yanks.items()}
        ledger = Ledger(self._stamp, listing, count, whole, dict(wrote), versions, bad, yanked)
        latest = self._latest or (self._scope is not None and seen.ledger is not None and seen.ledger.latest)
        with_ours = {"outputs": self.options.outputs, "rules": self.options.rules, "latest": latest}
        return msgspec.structs.replace(ledger, **with_ours, attested=dict(attested))


def _wrote(seen: Observation) -> Mapping[str, Wrote]:
    return seen.ledger.wrote if seen.ledger else {}


def _rejected_before(ledger: Ledger) -> tuple[Rejected, ...]:
    return tuple(Rejected(name, bad.version, bad.reason) for name, bad in sorted(ledger.rejected.items()))
