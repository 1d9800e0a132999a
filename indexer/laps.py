"""One lap of a subdir - look, decide, read, write - and laps until nobody else was faster."""

from __future__ import annotations

import itertools
import logging
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from indexer.core import ledger as ledgers
from indexer.core import names
from indexer.core.ledger import Bad, Ledger
from indexer.core.model import Extracted, Index, Plan, Rejected
from indexer.core.plan import Known, diff, dropped, guard, merge
from indexer.core.render import Scene, publication
from indexer.core.shards import ShardIndex
from indexer.errors import BadIndex, Conflict, Denied, GaveUp
from indexer.extractor import Gone, Spec
from indexer.lister import Lister, Observation
from indexer.release import __version__
from indexer.report import Note, Outcome, SubdirReport, Way
from indexer.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from indexer.core.ledger import Wrote
    from indexer.core.model import Stat, Version
    from indexer.core.render import Artefact
    from indexer.options import Options, Run
    from indexer.store import Store

_log = logging.getLogger(__name__)

# Ten minutes in all, as rattler-index means it, but with a short first pause.
_GIVE_UP_AFTER = 600.0
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 60.0


@dataclass(frozen=True)
class _Change:
    """What one lap is about to do: from which index, by which plan, with what was read, dated when."""

    index: Index
    plan: Plan
    results: tuple[Extracted | Rejected, ...] = ()
    now_ms: int = 0

    @cached_property
    def merged(self) -> Index:
        return merge(self.index, self.plan, self.results, self.now_ms)

    @cached_property
    def leaving(self) -> frozenset[str]:
        return dropped(self.index, self.plan, self.results)

    @property
    def rejected(self) -> tuple[Rejected, ...]:
        return (*self.plan.rejected, *(it for it in self.results if isinstance(it, Rejected)))

    @property
    def extracted(self) -> tuple[Extracted, ...]:
        return tuple(it for it in self.results if isinstance(it, Extracted))


@dataclass(frozen=True, slots=True)
class Subdir:
    """One subdir in one run.

    `memo` has what was read, by key and version, so that a lap after a conflict reads nothing twice;
    `ways` counts it.  `begun` has the reports of laps that a conflict ended while they wrote.
    """

    store: Store
    subdir: str
    options: Options
    run: Run
    memo: dict[tuple[str, Version], Extracted | Rejected] = field(default_factory=dict)
    ways: dict[str, Way] = field(default_factory=dict)
    begun: list[SubdirReport] = field(default_factory=list)

    def laps(self, *, dry_run: bool) -> SubdirReport:
        """Index the subdir: after a conflict look again, never merely send again."""
        pause = _FIRST_PAUSE
        deadline: float | None = None
        for lap in itertools.count(1):
            try:
                report = self._lap(trusting=lap == 1, dry_run=dry_run)
            except Conflict as conflict:
                wait = self.run.jitter(pause)
                # From the first conflict on: to read a large channel may take longer than that.
                deadline = deadline or self.run.monotonic() + _GIVE_UP_AFTER
                if self.run.monotonic() + wait > deadline:
                    raise GaveUp(
                        self.subdir,
                        f"other indexers were faster {lap} times, last with {conflict}",
                        "repeat: what is published is whole",
                    ) from conflict
                _log.info("%s; looking again in %.1f s", conflict, wait)
                self.run.sleep(wait)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                report.laps = lap
                kept = report.packages + len(report.rejected) - len({key for key, _ in self.memo})
                report.ways = {**({"kept": Way(kept)} if kept > 0 else {}), **self.ways}
                return report.after(self.begun)
        raise AssertionError  # count() has no end

    def _lap(self, *, trusting: bool, dry_run: bool) -> SubdirReport:
        """Look, decide, read, write, in the order that docs/design.md argues for.  Raises Conflict."""
        # Before anything is looked at: a package put after this moment is younger than its record.
        now_ms = self.run.now_ms()
        lister = Lister(self.store, self.subdir, self.options.outputs, self.run.executor)
        seen = lister.observe(self._scope, trusting=trusting)
        if seen.ledger is not None and self._quiet(seen, seen.ledger):
            known = Plan(rejected=_rejected_before(seen.ledger))
            return self._report(seen, _Change(Index(), known), seen.ledger.packages, dry_run=dry_run)
        index = lister.read_index(seen)
        plan = diff(index, seen.packages, self._known(seen, lister.source(seen)))
        self._read(plan.fetch, now_ms)
        results = tuple(self.memo[it.key, it.version] for it in plan.fetch)
        change = _Change(index, plan, results, now_ms)
        if not self.options.allow_mass_removal:
            guard(index, change.leaving, self.subdir)
        if self.options.rules.strict and (seen.misnamed or change.rejected):
            return self._stopped(seen, change)
        artefacts = self._artefacts(lister, seen, change)
        writer = Writer(self.store, self.subdir, self.run.executor)
        pending = writer.pending(artefacts, seen)
        report = self._report(seen, change, len(change.merged.records), dry_run=dry_run)
        report.written = tuple(sorted(lister.key(it.key) for it in pending if it.content is not None))
        report.deleted = tuple(sorted(lister.key(it.key) for it in pending if it.content is None))
        if dry_run:
            return report
        self.begun.append(report)
        wrote = writer.publish(artefacts, seen) if artefacts else _wrote(seen)
        if self._scope is None or artefacts:  # a look at a few that shows nothing new tells nothing of the rest
            writer.keep(self._ledger(seen, change, wrote), seen)
        self.begun.remove(report)
        if pending and not report.rejected:
            report.outcome = Outcome.PUBLISHED
        return report

    def _artefacts(self, lister: Lister, seen: Observation, change: _Change) -> list[Artefact]:
        """All that the subdir shall publish; nothing where that is known to stand."""
        if not change.results and not change.leaving and self._shaped_alike(seen) and seen.vouched:
            return []
        previous = self._previous(lister, seen)
        there = previous.named
        if there and (self.options.force or not seen.vouched):
            there &= lister.shards_there()
        outputs = self.options.outputs
        source = names.REPODATA if names.REPODATA in seen.versions else lister.source(seen)
        scene = Scene(self.subdir, outputs, previous, there, change.now_ms, source)
        return publication(change.merged, scene)

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
        return ledger.listing == ledgers.digest_of(seen.packages)

    def _shaped_alike(self, seen: Observation) -> bool:
        """Whether our files are what a run with the same options left."""
        return seen.ledger is not None and seen.in_step and seen.ledger.stamp == self._stamp

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
        return Known(ledger, seen.stands(source), source_ms, self.options.force, self._scope, changing)

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
        spec = Spec(self.subdir, self.options.rules, now_ms, self.options.verify_digests)
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

    def _stopped(self, seen: Observation, change: _Change) -> SubdirReport:
        """What a strict run says instead of writing."""
        report = self._report(seen, change, len(change.index.records), dry_run=False)
        error = f"{self.subdir}: {len(report.rejected)} rejected, so nothing was changed; mend or delete them"
        return replace(report, outcome=Outcome.FAILED, exit_code=1, error=error)

    def _previous(self, lister: Lister, seen: Observation) -> ShardIndex:
        if not self.options.outputs.shards:
            return ShardIndex()
        try:
            return lister.read_shard_index(seen)
        except BadIndex as error:
            # The source is sound, so the shards are made anew from it.
            _log.warning("%s: %s; it is written anew", error.thing, error.reason)
            return ShardIndex()

    def _ledger(self, seen: Observation, change: _Change, wrote: Mapping[str, Wrote]) -> Ledger:
        """What the next run shall know; outside of a scope what the last one knew still holds."""
        fresh: dict[str, Version] = {
            it.filename: it.version for it in change.extracted if seen.packages[it.filename].md5 != it.record["md5"]
        }
        bad = {it.filename: Bad(it.version, it.reason) for it in change.rejected if not it.passing}
        versions: dict[str, Version] = {**change.plan.seen, **fresh}
        passing = any(it.passing for it in change.rejected)
        listing = "" if passing or self._scope is not None else ledgers.digest_of(seen.packages)
        whole = True
        if self._scope is not None:
            before = self._of_these_rules(seen.ledger if seen.in_step else None)
            whole = before is not None and before.whole
            if before is not None:
                versions = {k: v for k, v in before.seen.items() if k not in self._scope} | versions
                bad = {k: v for k, v in before.rejected.items() if k not in self._scope} | bad
        count = len(change.merged.records)
        return Ledger(self._stamp, listing, count, whole, dict(wrote), versions, bad)

    def _report(self, seen: Observation, change: _Change, count: int, *, dry_run: bool) -> SubdirReport:
        """What the lap is about, before anything is written."""
        added, updated = [], []
        for result in change.extracted:
            before = change.index.records.get(result.filename)
            if before is None:
                added.append(result.filename)
            elif result.filename not in change.plan.held:
                updated.append(result.filename)
        rejected = sorted((*seen.misnamed, *change.rejected), key=lambda it: it.filename)
        warnings = [
            *(Note(filename, "wheels are not indexed") for filename in seen.ignored),
            *(Note(filename, "was yanked by another indexer and stays out") for filename in change.plan.yanked),
            *(Note(filename, "is neither in the channel nor in its index") for filename in self._nowhere(seen, change)),
            *(Note(it.filename, warning) for it in change.extracted for warning in it.warnings),
        ]
        outcome = Outcome.PLANNED if dry_run else Outcome.PARTIAL if rejected else Outcome.UNCHANGED
        return SubdirReport(
            outcome,
            packages=count,
            exit_code=3 if outcome is Outcome.PARTIAL else 0,
            added=tuple(sorted(added)),
            updated=tuple(sorted(updated)),
            removed=tuple(sorted(change.leaving)),
            rejected=tuple(Note(it.filename, it.reason) for it in rejected),
            warnings=tuple(sorted(warnings)),
        )

    def _nowhere(self, seen: Observation, change: _Change) -> frozenset[str]:
        return (self._scope or frozenset()) - seen.packages.keys() - change.index.records.keys()


def _wrote(seen: Observation) -> Mapping[str, Wrote]:
    return seen.ledger.wrote if seen.ledger else {}


def _rejected_before(ledger: Ledger) -> tuple[Rejected, ...]:
    return tuple(Rejected(name, bad.version, bad.reason) for name, bad in sorted(ledger.rejected.items()))
