"""Which runs read only the records of some package names, and which names these are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core import names
from indexer.core.name_digests import changed_names, names_of
from indexer.core.pages.catalog import incomplete_entries

if TYPE_CHECKING:
    from indexer.core.job import SubdirJob
    from indexer.core.overlay import Overlay
    from indexer.core.pages.catalog import Catalog
    from indexer.core.snapshot import Snapshot


def independent_names(job: SubdirJob) -> bool:
    """Whether the records and the run exports of one package name are made from the packages of this name alone.

    They are in a shard, and in chunks of repodata.json.zst.  With lenient rules a package can be in the shard of
    another name than the name in its file name.
    """
    outputs = job.options.outputs
    needs_all = outputs.current_repodata or job.all_in_v3
    has_parts = outputs.zst if outputs.monolithic else outputs.shards
    return has_parts and not needs_all and not job.options.rules.lenient


def chunked_files(job: SubdirJob, snapshot: Snapshot) -> frozenset[str]:
    """The files that a run reads if the index is read in chunks; none in a channel of shards without an overlay."""
    outputs = job.options.outputs
    found = {names.FROM_PACKAGES_ZST} if names.FROM_PACKAGES in snapshot.etags else set()
    if outputs.monolithic:
        found |= {names.REPODATA_ZST, *([names.RUN_EXPORTS_ZST] * outputs.run_exports)}
    return frozenset(found)


def can_load_some_names(job: SubdirJob, snapshot: Snapshot) -> bool:
    """Whether the published files allow to read and to replace only what belongs to some package names."""
    state = snapshot.state
    if state is None or job.options.force or not independent_names(job) or state.has_misfiled_records:
        return False
    tables = {name for name, table in state.chunks.items() if table.is_known}
    if not chunked_files(job, snapshot) <= tables:
        return False
    return job.same_config_and_patch(snapshot) and snapshot.shards_trusted


def names_to_load(job: SubdirJob, snapshot: Snapshot) -> frozenset[str] | None:
    """The names of the only packages that the run must look at, by the listing; None if it must read all records."""
    state = snapshot.state
    if state is None or not can_load_some_names(job, snapshot):
        return None
    unyanked = names_of(job.unyanked)
    if job.scope is not None:
        return names_of(job.scope) | unyanked
    if not state.validated or (job.options.complete and state.incomplete != 0):
        return None
    changed = changed_names(snapshot.listing.name_digests, state)
    return None if changed is None else changed | unyanked


def with_withdrawn(package_names: frozenset[str] | None, snapshot: Snapshot, overlay: Overlay) -> frozenset[str] | None:
    """These names, and those of packages that the overlay withdraws and the last run did not, or the other way round.

    None if the run must read all records: it writes the unpatched index for the first time.
    """
    if package_names is None or (overlay and names.FROM_PACKAGES not in snapshot.etags):
        return None
    return package_names | names_of(_withdrawn_otherwise(snapshot, overlay))


def with_undescribed(package_names: frozenset[str] | None, catalog: Catalog | None) -> frozenset[str] | None:
    """These names, and those of packages whose entry in the catalog is not complete; None without a catalog."""
    if package_names is None or catalog is None:
        return None
    return package_names | names_of(incomplete_entries(catalog))


def _withdrawn_otherwise(snapshot: Snapshot, overlay: Overlay) -> set[str]:
    """The packages that the last run withdrew and the overlay does not, or the other way round.

    A run over a few packages has listed no others, so it leaves the pruned packages to the next run over all.
    """
    state, now = snapshot.state, overlay.withdrawn
    if state is None:
        return set()
    changed = (state.yanked.keys() ^ now.yanked.keys()) | (state.ignored.keys() ^ now.ignored.keys())
    if not snapshot.all_listed:
        return changed
    before = set(state.pruned)
    pruned = now.pruned.keys() - before
    files = snapshot.listing.files_of(names_of(pruned))
    changed |= before - now.pruned.keys()
    return changed | {filename for filename in pruned if now.pruned[filename].is_of(files.get(filename))}
