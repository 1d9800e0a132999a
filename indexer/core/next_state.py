"""What a lap leaves in the ledger for the next run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core import names
from indexer.core.name_digests import has_misfiled_records, mark_unsure, names_of
from indexer.core.patch import is_empty_form_of_conda_index
from indexer.core.publication import instructions_of
from indexer.core.state import Bad, PublishedFile, State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.core.job import SubdirJob
    from indexer.core.snapshot import Snapshot
    from indexer.core.update import Update


# As much of a reason as a report shows.
_SHOWN = 400


def overlay_files(job: SubdirJob, snapshot: Snapshot, update: Update) -> dict[str, PublishedFile]:
    """The state that the run was made from."""
    overlay = update.overlay
    digests = {names.YANKED: ""}
    if overlay.published_patch is not None and overlay.new_patch is None:
        said = not is_empty_form_of_conda_index(overlay.published_patch)
        digests[names.INSTRUCTIONS] = (
            instructions_of(overlay.published_patch, job.options.outputs).digest if said else ""
        )
    return {name: PublishedFile(snapshot.etags[name], it) for name, it in digests.items() if name in snapshot.etags}


def next_state(
    job: SubdirJob, snapshot: Snapshot, update: Update, wrote: Mapping[str, PublishedFile], source: str
) -> State:
    """What the next run shall know; outside of a scope what the last one knew still holds.

    `wrote` has the files that stand now, `source` is the one that the index was read from.
    """
    bad = {it.filename: Bad(it.etag, it.reason, it.kept) for it in update.rejected if not it.transient}
    etags = update.plan.etags_to_remember
    last = snapshot.state or State()
    # A record that was read again names no attestations until the next whole run looks at them.
    kept = {filename: it for filename, it in last.attestations.items() if filename not in (job.scope or ())}
    attested = kept if update.attestations is None else update.attestations
    passing = {it.filename for it in update.rejected if it.transient}
    passing |= {filename for filename, it in attested.items() if it.transient}
    whole = validated = True
    shown = mark_unsure(snapshot.name_digests, names_of(passing))
    if job.scope is not None:
        # What it says of versions is of the records in the source, whatever became of other files.
        before = job.state_for_these_rules(snapshot.state if source and snapshot.is_unchanged(source) else None)
        whole = before is not None and before.etags_complete
        validated = not source or (before is not None and before.validated)
        shown = mark_unsure(before.name_digests if before else {}, names_of(job.scope))
        if before is not None:
            etags = {**{k: v for k, v in before.package_etags.items() if k not in job.scope}, **etags}
            bad = {k: v for k, v in before.rejected.items() if k not in job.scope} | bad
    reported = {
        it.filename: it.etag for it in (*snapshot.invalid_filenames, *update.rejected) if it.filename not in bad
    }
    if job.scope is not None:
        reported = {k: v for k, v in last.reported.items() if k not in job.scope} | reported
    return State(
        config_fingerprint=job.config_fingerprint,
        listing_digest="" if passing or job.scope is not None else snapshot.listing_digest,
        packages=update.count,
        etags_complete=whole,
        validated=validated,
        files=dict(wrote),
        package_etags=etags,
        rejected=bad,
        yanked={name: yank.reason[:_SHOWN] for name, yank in update.overlay.yanks.items()},
        ignored={name: it.reason[:_SHOWN] for name, it in update.overlay.ignored.items()},
        reported=reported,
        attestations=dict(attested),
        all_in_v3=job.all_in_v3 or (job.scope is not None and last.all_in_v3),
        outputs=job.options.outputs,
        rules=job.options.rules,
        split_points=snapshot.split_points if job.scope is None else last.split_points,
        name_digests=shown,
        incomplete=job.incomplete(update),
        place=job.subdir,
        has_misfiled_records=job.independent_shards and has_misfiled_records(update.merged.records),
        recent=None if update.recent is None else tuple(update.recent.items()),
    )
