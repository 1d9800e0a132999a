"""Reads the published index of a subdir: the records, their run exports, and the metadata of packages."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from msgspec.structs import replace

from indexer.core import names, patch
from indexer.core.errors import BadIndex, NewerIndex, Refused
from indexer.core.existing import Existing
from indexer.core.formats import repodata
from indexer.core.pages.catalog import Catalog, decode_catalog
from indexer.core.records.dates import has_undated_records
from indexer.core.some_names import with_undescribed
from indexer.lister.recovered_dates import with_recovered_dates
from indexer.lister.shards import load_records, load_shard_index
from indexer.lister.some_names import load_names

if TYPE_CHECKING:
    from indexer.core.job import SubdirJob
    from indexer.core.model import Index, Outputs, Raw
    from indexer.core.overlay import Overlay
    from indexer.core.snapshot import Snapshot
    from indexer.store.channel_folder import ChannelFolder

_log = logging.getLogger(__name__)

_RUN_EXPORTS_STEP = "nothing was changed: restore it, or repeat with --force, which reads all packages again"
_NAME_OR_END = "nothing was changed: name the patch with --repodata-patch, or end the patch with --no-repodata-patch"
_MAX_RUN_EXPORTS = 2**30


def load_existing(
    folder: ChannelFolder,
    job: SubdirJob,
    snapshot: Snapshot,
    overlay: Overlay,
    package_names: frozenset[str] | None = None,
) -> Existing:
    """The index before any patch, from the unpatched index, from repodata.json, or from shards if there is no other.

    Only the shards of some `package_names` (lower case) can be read, or the chunks of other files that have their
    records.  What readers cannot parse is marked or left out, unless our last run has checked all of the index.  Raises
    BadIndex, Refused for an index that another indexer has patched by unknown instructions, and Conflict if a file
    changed since the snapshot.
    """
    source = snapshot.source(monolithic=job.options.outputs.monolithic)
    known = load_catalog(folder, snapshot, job.options.outputs)
    if job.options.outputs.needs_metadata:
        package_names = with_undescribed(package_names, known)
    loaded = None
    if package_names is not None and source != names.SHARD_INDEX:
        loaded = load_names(folder, job, snapshot, overlay, package_names)
    if loaded is None:
        loaded = _load_all(folder, job, snapshot, overlay, package_names)
    index = loaded.index
    state = snapshot.state
    is_checked = snapshot.files_match_state and state is not None and state.validated and not job.options.force
    if not is_checked:
        from indexer.core.records.validation import validated  # only an index of another indexer needs it

        index = validated(index)
    index = job.without_unyanked(index)
    if job.options.force and source != names.FROM_PACKAGES:
        index = overlay.without_own_removals(index)  # else a package that the patch removes never comes back
    return replace(loaded, index=index, source=source, overlay=overlay, catalog=known or Catalog())


def _load_all(
    folder: ChannelFolder, job: SubdirJob, snapshot: Snapshot, overlay: Overlay, package_names: frozenset[str] | None
) -> Existing:
    """The whole index, or that of some names if it is read from shards."""
    source = snapshot.source(monolithic=job.options.outputs.monolithic)
    if not source:
        return Existing(names_loaded=package_names)
    if source == names.SHARD_INDEX:
        shard_index = load_shard_index(folder, snapshot)
        index = load_records(folder, snapshot, shard_index, package_names)
        published = None if package_names is None else index
        return Existing(index, shard_index=shard_index, names_loaded=package_names, published=published)
    return Existing(_load_repodata(folder, job, snapshot, overlay, source))


def load_catalog(folder: ChannelFolder, snapshot: Snapshot, outputs: Outputs) -> Catalog | None:
    """The catalog; None if it does not exist, cannot be read, or if no file is wanted that shows metadata."""
    if not outputs.needs_metadata or names.CATALOG not in snapshot.etags:
        return None
    return decode_catalog(folder.read(names.CATALOG, snapshot.etags[names.CATALOG]))


def load_packed_run_exports(folder: ChannelFolder, snapshot: Snapshot) -> dict[str, Raw] | None:
    """The content of run_exports.json.zst; None if there is no such file or the file cannot be read."""
    with contextlib.suppress(BadIndex, KeyError):
        from indexer.core.verify import decompress_file

        packed = folder.read(names.RUN_EXPORTS_ZST, snapshot.etags[names.RUN_EXPORTS_ZST])
        data = decompress_file(packed, names.RUN_EXPORTS_ZST, _MAX_RUN_EXPORTS)
        return repodata.decode_run_exports(data, folder.prefix + names.RUN_EXPORTS_ZST)
    return None


def _load_repodata(folder: ChannelFolder, job: SubdirJob, snapshot: Snapshot, overlay: Overlay, source: str) -> Index:
    # The run exports first: they need more memory while they are decoded than afterwards.
    run_exports = _load_run_exports(folder, snapshot, force=job.options.force)
    data = folder.read(source, snapshot.etags[source])
    index, own_run_exports = repodata.decode_unpatched(data, folder.prefix + source)
    if source == names.FROM_PACKAGES and not snapshot.is_unchanged(names.REPODATA):
        index = _with_published(folder, snapshot, index, overlay)
    if not snapshot.is_unchanged(source):  # another indexer wrote the records, and they are newer than our files
        # The run exports of these packages are those of a patch, so the run exports of the packages are unknown.
        patched = overlay.filenames_with_patched_run_exports()
        run_exports = {filename: value for filename, value in run_exports.items() if filename not in patched}
        run_exports |= repodata.inline_run_exports(index.records)
        if has_undated_records(index):
            index = with_recovered_dates(index, folder)
    return replace(index, run_exports=repodata.unpatched_run_exports(run_exports, own_run_exports))


def _load_run_exports(folder: ChannelFolder, snapshot: Snapshot, *, force: bool) -> dict[str, Raw]:
    """The content of run_exports.json, or of its compressed copy if the plain file is lost or damaged.

    Raises BadIndex if neither can be read; not if `force` is set: then all packages are read again.
    """
    if names.RUN_EXPORTS not in snapshot.etags:
        return load_packed_run_exports(folder, snapshot) or {}
    data, key = folder.read(names.RUN_EXPORTS, snapshot.etags[names.RUN_EXPORTS]), folder.prefix + names.RUN_EXPORTS
    try:
        return repodata.decode_run_exports(data, key)
    except BadIndex as error:
        packed = load_packed_run_exports(folder, snapshot)
        if packed is None and not force:
            raise BadIndex(error.thing, error.reason, _RUN_EXPORTS_STEP) from error
        _log.warning("%s: %s; it is written again", error.thing, error.reason)
        return packed or {}


def _with_published(folder: ChannelFolder, snapshot: Snapshot, index: Index, overlay: Overlay) -> Index:
    """The unpatched index with what only the index of another indexer has: dates, and keys that are not ours.

    Raises NewerIndex, and Refused if that index is patched by unknown instructions.
    """
    published = _load_published(folder, snapshot)
    if published is None:
        return index
    if overlay.patch is None and not snapshot.is_unchanged(names.FROM_PACKAGES):
        _refuse_unknown_patch(folder, index, published, overlay)
    unknown = published.records.keys() - index.records.keys()
    index = repodata.with_published_parts(index, published)
    return replace(index, earlier={name: published.records[name] for name in unknown})


def _load_published(folder: ChannelFolder, snapshot: Snapshot) -> Index | None:
    """The index that another indexer has published; None if it cannot be read.  Raises NewerIndex."""
    try:
        if names.REPODATA in snapshot.etags:
            data = folder.read(names.REPODATA, snapshot.etags[names.REPODATA])
            return repodata.decode_repodata(data, folder.prefix + names.REPODATA)
        if names.SHARD_INDEX in snapshot.etags and not snapshot.is_unchanged(names.SHARD_INDEX):
            return load_records(folder, snapshot, load_shard_index(folder, snapshot), None)
    except NewerIndex:
        raise
    except BadIndex as error:
        _log.warning("%s: %s; it is written again", error.thing, error.reason)
    return None


def _refuse_unknown_patch(folder: ChannelFolder, index: Index, published: Index, overlay: Overlay) -> None:
    withdrawn = index.records.keys() & set(published.removed) - overlay.yanks.keys()
    both = index.records.keys() & published.records.keys()
    if withdrawn or any(patch.is_patched(index.records[name], published.records[name]) for name in both):
        raise Refused(
            folder.prefix + names.REPODATA,
            f"is patched (it differs from {names.FROM_PACKAGES}), and there is no {names.PATCH_INSTRUCTIONS}",
            _NAME_OR_END,
        )
