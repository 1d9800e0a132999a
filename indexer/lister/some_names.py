"""Reads what the published files have of some package names, from the chunks of these files."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from msgspec.structs import replace

from indexer.core import names
from indexer.core.errors import BadIndex, Conflict, NewerIndex
from indexer.core.existing import Existing
from indexer.core.formats import repodata
from indexer.core.formats.repodata import PublishedRecords
from indexer.core.model import Index
from indexer.core.name_digests import name_of
from indexer.core.some_names import chunked_files
from indexer.lister.chunks import load_chunks, load_some_chunks
from indexer.lister.shards import load_shard_index

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeVar

    from indexer.core.job import SubdirJob
    from indexer.core.overlay import Overlay
    from indexer.core.saved_chunks import SavedChunks
    from indexer.core.snapshot import Snapshot
    from indexer.core.state import State
    from indexer.store.channel_folder import ChannelFolder

    V = TypeVar("V")

_log = logging.getLogger(__name__)


def load_names(
    folder: ChannelFolder, job: SubdirJob, snapshot: Snapshot, overlay: Overlay, package_names: frozenset[str]
) -> Existing | None:
    """The index of some names from the chunks of the published files; None if these are not as the state has them.

    Raises Conflict if the source, which is not read, is not the one of the snapshot.
    """
    state = snapshot.state
    if state is None:
        return None
    if not snapshot.all_listed:
        _check_source(folder, snapshot, snapshot.source(monolithic=job.options.outputs.monolithic))
    try:
        shard_index = load_shard_index(folder, snapshot) if job.options.outputs.shards else None
        chunks = _load_chunks(folder, job, snapshot, package_names)
        existing = _existing(chunks, package_names, folder.prefix)
    except NewerIndex:
        raise
    except BadIndex as error:
        _log.warning("%s: %s; it is written again", error.thing, error.reason)
        return None
    if not job.options.outputs.monolithic:
        existing = replace(existing, published=overlay.applied_before(existing.index, state.yanked))
    return replace(_counted(existing, package_names, state), shard_index=shard_index, names_loaded=package_names)


def _check_source(folder: ChannelFolder, snapshot: Snapshot, source: str) -> None:
    """Raise Conflict if the source, which is not read, is not the one of the snapshot, which no listing showed."""
    found = folder.stats([source]).get(source)
    if found is None or found.etag != snapshot.etags[source]:
        raise Conflict(folder.prefix + source, "changed since the last run")


def _load_chunks(
    folder: ChannelFolder, job: SubdirJob, snapshot: Snapshot, package_names: frozenset[str]
) -> dict[str, SavedChunks]:
    """The chunks of the compressed files, by file name.  Raises BadIndex if they are not those that the last run left.

    A store that is known to put files together need not send all of them, unless a .bz2 is made of them.
    """
    state, found = snapshot.state, {}
    composes = state is not None and state.proof is not None and state.proof.composes and not job.options.outputs.bz2
    for name, table in state.chunks.items() if state else ():
        if name in chunked_files(job, snapshot):
            file = folder, name, snapshot.etags[name], table
            found[name] = load_some_chunks(*file, package_names) if composes else load_chunks(*file)
    return found


def _existing(chunks: Mapping[str, SavedChunks], package_names: frozenset[str], prefix: str) -> Existing:
    """The records and the run exports of some names, and all that the files have besides records.  Raises BadIndex."""
    texts = {name: saved.excerpt(package_names) for name, saved in chunks.items()}
    published = Index()
    if names.REPODATA_ZST in texts:
        published = repodata.decode_repodata(texts[names.REPODATA_ZST], prefix + names.REPODATA_ZST)
    if names.RUN_EXPORTS_ZST in texts:
        run_exports = repodata.decode_run_exports(texts[names.RUN_EXPORTS_ZST], prefix + names.RUN_EXPORTS_ZST)
        published = replace(published, run_exports=run_exports)
    published = _of_names(published, package_names)
    files = {name.removesuffix(".zst"): PublishedRecords(saved, published) for name, saved in chunks.items()}
    if names.FROM_PACKAGES_ZST not in texts:
        return Existing(published, published=published, chunks=files)
    index, own = repodata.decode_unpatched(texts[names.FROM_PACKAGES_ZST], prefix + names.FROM_PACKAGES_ZST)
    own = _values_of_names(own, package_names)
    index = replace(index, run_exports=repodata.unpatched_run_exports(published.run_exports, own))
    index = _of_names(index, package_names)
    files[names.FROM_PACKAGES] = PublishedRecords(chunks[names.FROM_PACKAGES_ZST], index, own)
    return Existing(index, published=published, chunks=files)


def _of_names(index: Index, package_names: frozenset[str]) -> Index:
    records = _values_of_names(index.records, package_names)
    run_exports = _values_of_names(index.run_exports, package_names)
    return replace(index, records=records, v3=index.v3 & records.keys(), run_exports=run_exports)


def _values_of_names(values: Mapping[str, V], package_names: frozenset[str]) -> dict[str, V]:
    return {filename: value for filename, value in values.items() if name_of(filename) in package_names}


def _counted(existing: Existing, package_names: frozenset[str], state: State) -> Existing:
    """The index with the number of records that were not loaded: readers do not see those of withdrawn packages."""
    index = existing.index
    published = index if existing.published is None else existing.published
    others = max(state.packages - len(published.records), 0)
    withdrawn = {name for name in published.removed if name_of(name) not in package_names} - set(index.removed)
    return replace(
        existing,
        index=replace(index, records_not_loaded=others + len(withdrawn)),
        published=replace(published, records_not_loaded=others),
    )
