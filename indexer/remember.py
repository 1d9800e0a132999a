"""What a lap leaves in the ledger for the next run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core import byname, names
from indexer.core.ledger import Bad, Ledger, Wrote
from indexer.core.patch import left_by_conda_index
from indexer.core.render import instructions_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.change import Change
    from indexer.observation import Observation
    from indexer.wanted import Wanted


# As much of a reason as a report shows.
_SHOWN = 400


def state_of(wanted: Wanted, seen: Observation, change: Change) -> dict[str, Wrote]:
    """The state that the run was made from."""
    overlay = change.overlay
    digests = {names.YANKED: ""}
    if overlay.lying is not None and overlay.named is None:
        said = not left_by_conda_index(overlay.lying)
        digests[names.INSTRUCTIONS] = instructions_of(overlay.lying, wanted.options.outputs).digest if said else ""
    return {name: Wrote(seen.versions[name], it) for name, it in digests.items() if name in seen.versions}


def ledger_of(wanted: Wanted, seen: Observation, change: Change, wrote: Mapping[str, Wrote], source: str) -> Ledger:
    """What the next run shall know; outside of a scope what the last one knew still holds.

    `wrote` has the files that stand now, `source` is the one that the index was read from.
    """
    bad = {it.filename: Bad(it.version, it.reason, it.kept) for it in change.rejected if not it.passing}
    versions = change.plan.seen
    last = seen.ledger or Ledger()
    # A record that was read again names no attestations until the next whole run looks at them.
    kept = {filename: it for filename, it in last.attested.items() if filename not in (wanted.scope or ())}
    attested = kept if change.attested is None else change.attested
    passing = {it.filename for it in change.rejected if it.passing}
    passing |= {filename for filename, it in attested.items() if it.passing}
    whole = validated = True
    incomplete = wanted.incomplete(change)
    shown = byname.unsure(seen.names, byname.names_of(passing))
    if wanted.scope is not None:
        # What it says of versions is of the records in the source, whatever became of other files.
        before = wanted.of_these_rules(seen.ledger if source and seen.stands(source) else None)
        whole = before is not None and before.whole
        validated = not source or (before is not None and before.validated)
        shown = byname.unsure(before.names if before else {}, byname.names_of(wanted.scope))
        incomplete = _incomplete(wanted, change, before)
        if before is not None:
            versions = {**{k: v for k, v in before.seen.items() if k not in wanted.scope}, **versions}
            bad = {k: v for k, v in before.rejected.items() if k not in wanted.scope} | bad
    reported = {it.filename: it.version for it in (*seen.misnamed, *change.rejected) if it.filename not in bad}
    if wanted.scope is not None:
        reported = {k: v for k, v in last.reported.items() if k not in wanted.scope} | reported
    return Ledger(
        stamp=wanted.stamp,
        listing="" if passing or wanted.scope is not None else seen.listing,
        packages=change.count,
        whole=whole,
        validated=validated,
        wrote=dict(wrote),
        seen=versions,
        rejected=bad,
        yanked={name: yank.reason[:_SHOWN] for name, yank in change.overlay.yanks.items()},
        ignored={name: it.reason[:_SHOWN] for name, it in change.overlay.ignored.items()},
        reported=reported,
        attested=dict(attested),
        latest=wanted.latest or (wanted.scope is not None and last.latest),
        outputs=wanted.options.outputs,
        rules=wanted.options.rules,
        cuts=seen.cuts if wanted.scope is None else last.cuts,
        names=shown,
        incomplete=incomplete,
        place=wanted.subdir,
        astray=wanted.apart and byname.astray(change.merged.records),
        recent=None if change.recent is None else tuple(change.recent.items()),
    )


def _incomplete(wanted: Wanted, change: Change, before: Ledger | None) -> int:
    """How many run exports are unknown after a run over a few packages.

    If all were known and some of other packages are lost, this still says 0: the next run over everything reads these
    packages again.
    """
    scope = wanted.scope or frozenset()
    lacking = change.merged.records.keys() - change.merged.run_exports.keys()
    lost = before is not None and before.incomplete == 0 and not lacking & scope
    return 0 if lost else wanted.incomplete(change)
