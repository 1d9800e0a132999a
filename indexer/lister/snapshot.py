"""Takes a snapshot of a subdir in the safe order: first the ETags of the index files, then the packages.

In the other order a run could remove a package that another indexer has published between the two
(docs/design/runs.md).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from indexer.core import names
from indexer.core.errors import Conflict, Missing
from indexer.core.packed_listing import pack
from indexer.core.progress import Phase, Step, silent
from indexer.core.snapshot import Snapshot, etags_in, etags_of, index_files, snapshot_of_listing
from indexer.core.state import State, decode_state
from indexer.lister.listing import counted, listed
from indexer.store.read import read_small

if TYPE_CHECKING:
    from collections.abc import Iterable

    from indexer.core.job import SubdirJob
    from indexer.core.model import ETag, Outputs, Stat
    from indexer.core.packed_listing import Listing
    from indexer.store import Store
    from indexer.store.channel_folder import ChannelFolder


SMALL_STATE = 2**18
"""A state file of more bytes is that of a large subdir in a folder; it is not read beside others."""


class SavedState(NamedTuple):
    """A state file: the state in it, None if it cannot be read, and the ETag and the time of the file.

    The ETag is None if there is no state file.
    """

    state: State | None = None
    etag: ETag | None = None
    saved_ms: int = 0


def load_state(store: Store, key: str, *, at_most: int = sys.maxsize) -> SavedState:
    """The content of a state file; without the state if the file has more than `at_most` bytes."""
    try:
        data, stat = read_small(store, key, at_most)
    except Missing:
        return SavedState()
    return SavedState(None if data is None else decode_state(data), stat.etag, stat.modified_ms)


def take_snapshot(
    folder: ChannelFolder, job: SubdirJob, saved: SavedState, now_ms: int, *, trust_state: bool
) -> Snapshot:
    """The ETags of the index files, then the packages: all of them, or only those in the scope of the job.

    The ETags in the state hold if the listing after the state shows the same ETags: the files were like that before the
    listing began.  If the listing shows others, or if a conflict has just shown that the state is wrong (`trust_state`
    is false), each file is requested, and the subdir is listed again.  The files of the overlay are as the listing
    shows them: never older than the files that were made from them.  `saved` is the state as it was read before.
    """
    state = saved.state
    scope, outputs = job.scope, job.options.outputs
    empty = _without_files(job, saved, now_ms)
    if state is not None and trust_state:
        etags = index_files(etags_of(state))
        listing = _list(folder, scope, saved)
        if scope is not None or _without_foreign_page(etags_in(listing, names.TRACKED), state, outputs) == etags:
            return snapshot_of_listing(listing, replace(empty, etags=etags))
    stats = folder.stats(names.TRACKED)
    etags = _without_foreign_page({name: stat.etag for name, stat in stats.items()}, state, outputs)
    modified_ms = {name: stat.written_ms for name, stat in stats.items()}
    return snapshot_of_listing(_list(folder, scope, saved), replace(empty, etags=etags, modified_ms=modified_ms))


def snapshot_of_next_stage(job: SubdirJob, saved: SavedState, listing: Listing, now_ms: int) -> Snapshot:
    """The snapshot for the next stage of a first run, with the `listing` of the stage before, whose state is `saved`.

    Nothing is requested: another indexer that has written since the listing makes a conflict, because the ETags are
    those of files that the stage before wrote on the condition that nothing else was written.
    """
    etags = index_files(etags_of(saved.state or State()))
    snapshot = snapshot_of_listing(listing, replace(_without_files(job, saved, now_ms), etags=etags))
    # The listing is older than the shards of the stage before.
    return replace(snapshot, shards_in_doubt=False)


def _without_files(job: SubdirJob, saved: SavedState, now_ms: int) -> Snapshot:
    return Snapshot(
        state=saved.state,
        state_etag=saved.etag,
        all_listed=job.scope is None,
        shards_in_doubt=job.options.force,
        taken_ms=now_ms,
        state_saved_ms=saved.saved_ms,
    )


def take_index_snapshot(folder: ChannelFolder, outputs: Outputs) -> Snapshot:
    """A snapshot of the files of the index only, without packages."""
    state, state_etag, _ = load_state(folder.store, folder.prefix + names.STATE_FILE)
    stats = folder.stats((*names.TRACKED, *names.OVERLAY_FILES))
    etags = _without_foreign_page({name: stat.etag for name, stat in stats.items()}, state, outputs)
    modified_ms = {name: stat.written_ms for name, stat in stats.items()}
    return Snapshot(etags, state, state_etag, modified_ms, all_listed=False)


def take_read_only_snapshot(folder: ChannelFolder, outputs: Outputs) -> Snapshot:
    """A snapshot from one listing, for a command that only reads and takes a second snapshot to compare."""
    saved = load_state(folder.store, folder.prefix + names.STATE_FILE)
    listing = _list(folder, None, saved)
    etags = _without_foreign_page(etags_in(listing, names.TRACKED), saved.state, outputs)
    return snapshot_of_listing(listing, Snapshot(etags, saved.state, saved.etag))


def check_packages_unchanged(folder: ChannelFolder, job: SubdirJob, snapshot: Snapshot) -> None:
    """List the packages again.  Raises Conflict if they are not those of the snapshot."""
    now = _list(folder, job.scope, SavedState(snapshot.state))
    if now.digest != snapshot.listing.digest:
        raise Conflict(folder.prefix, "packages were added or removed during this run")


def _without_foreign_page(etags: dict[str, ETag], state: State | None, outputs: Outputs) -> dict[str, ETag]:
    """The index files without a page that is not wanted and that we did not write."""
    written = state.files.get(names.INDEX_HTML) if state else None
    is_foreign = written is None or etags.get(names.INDEX_HTML) != written.etag
    if outputs.html or not is_foreign:
        return etags
    return {name: etag for name, etag in etags.items() if name != names.INDEX_HTML}


def _list(folder: ChannelFolder, scope: frozenset[str] | None, saved: SavedState) -> Listing:
    """The files of a subdir; with a scope only these packages and the files of the overlay."""
    last_run_ms = None if saved.state is None else saved.saved_ms
    if scope is not None:
        return pack(folder.stats((*names.OVERLAY_FILES, names.GC_MARKER, *scope)).values(), last_run_ms)
    last = saved.state or State()

    def show(count: int) -> None:
        # The packages of the last run are an estimate of the objects.
        folder.progress(Step(Phase.LISTING, folder.name, count, last.packages if last.packages > count else 0))

    def collect(stats: Iterable[Stat]) -> Listing:
        return pack(stats if folder.progress is silent else counted(stats, show), last_run_ms)

    listing = listed(folder.store, folder.prefix, last.split_points, folder.executor, collect)
    count = listing.packages + len(listing.others)
    folder.progress(Step(Phase.LISTING, folder.name, count, count))
    return listing
