"""The files of a subdir after an update."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core import names
from indexer.core.formats.shards import ShardIndex
from indexer.core.pages.catalog import Catalog, of_other_names
from indexer.core.publication import RenderContext, publication
from indexer.core.value import Value

if TYPE_CHECKING:
    from indexer.core.artifact import Publication
    from indexer.core.existing import Existing
    from indexer.core.job import SubdirJob
    from indexer.core.snapshot import Snapshot
    from indexer.core.update import Update


class PublishedShards(Value, frozen=True):
    """The published shard index, and those of its shards (by SHA-256) that are known to exist."""

    index: ShardIndex
    existing: frozenset[bytes] = frozenset()


NO_SHARDS = PublishedShards(ShardIndex())


def has_something_to_publish(job: SubdirJob, snapshot: Snapshot, existing: Existing, update: Update) -> bool:
    """Whether files can differ from the published ones, or can be missing.

    A subdir without packages and without an index gets no index if the run is for a few packages only.
    """
    wants_empty_index = job.scope is None or job.options.create or job.subdir == names.NOARCH
    if not snapshot.listing.packages and not existing.source and not wants_empty_index:
        return False
    return update.has_news or not job.same_config_and_files(snapshot) or not snapshot.shards_trusted


def _catalog_of_others(existing: Existing) -> Catalog:
    """The published catalog without the package names whose records were loaded."""
    loaded = existing.names_loaded
    return Catalog() if loaded is None else of_other_names(existing.catalog, loaded)


def render(
    job: SubdirJob, snapshot: Snapshot, existing: Existing, update: Update, shards: PublishedShards
) -> Publication:
    """The files that the subdir shall have."""
    overlay = update.overlay
    context = RenderContext(
        job.subdir,
        job.options.outputs,
        shards.index,
        shards.existing,
        snapshot.taken_ms,
        source=next((name for name in (names.REPODATA, names.SHARD_INDEX) if name in snapshot.etags), ""),
        instructions=overlay.new_patch,
        keeps_unpatched=names.FROM_PACKAGES in snapshot.etags,
        changed_names=update.changed_names if shards.index.info else None,
        metadata=update.metadata,
        yanked={name: yank.reason for name, yank in overlay.yanks.items()},
        published=existing.chunks,
        catalog=_catalog_of_others(existing),
    )
    keeps_unpatched = overlay or context.keeps_unpatched
    return publication(update.published, context, update.index if keeps_unpatched else None)
