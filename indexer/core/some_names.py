"""Which runs read only the records of some package names, and which names these are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core import names
from indexer.core.name_digests import changed_names, names_of

if TYPE_CHECKING:
    from indexer.core.job import SubdirJob
    from indexer.core.snapshot import Snapshot


def independent_names(job: SubdirJob) -> bool:
    """Whether what is published of one package name is made from the packages of this name alone.

    It is in a shard, and in chunks of repodata.json.zst.  With lenient rules a package can be in the shard of another
    name than the name in its file name.
    """
    outputs = job.options.outputs
    needs_all = outputs.current_repodata or outputs.needs_metadata or job.all_in_v3
    has_parts = outputs.zst if outputs.monolithic else outputs.shards
    return has_parts and not needs_all and not job.options.rules.lenient


def chunked_files(job: SubdirJob) -> frozenset[str]:
    """The files that a run reads if the index is read in chunks."""
    return frozenset({names.REPODATA_ZST, *([names.RUN_EXPORTS_ZST] * job.options.outputs.run_exports)})


def can_load_some_names(job: SubdirJob, snapshot: Snapshot) -> bool:
    """Whether the published files allow to read and to replace only what belongs to some package names."""
    state = snapshot.state
    if state is None or names.FROM_PACKAGES in snapshot.etags:
        return False
    if not independent_names(job) or state.has_misfiled_records or not job.can_reuse_shards(snapshot):
        return False
    tables = {name for name, table in state.chunks.items() if table.is_of_this_zstd}
    return not job.options.outputs.monolithic or chunked_files(job) <= tables


def names_to_load(job: SubdirJob, snapshot: Snapshot) -> frozenset[str] | None:
    """The names of the only packages that the run must look at; None if the run must read all records."""
    state = snapshot.state
    if state is None or not can_load_some_names(job, snapshot):
        return None
    if job.scope is not None:
        return names_of(job.scope)
    if not state.validated or (job.options.complete and state.incomplete != 0):
        return None
    return changed_names(snapshot.listing.name_digests, state)
