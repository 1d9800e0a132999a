"""What a run over a changed subdir reads in any case, so that it can be requested at once.

The state and the listing show it.  A wrong guess costs one request, and changes nothing that is published.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core import names
from indexer.core.some_names import can_load_some_names, chunked_files
from indexer.core.state import SMALL

if TYPE_CHECKING:
    from indexer.core.job import SubdirJob
    from indexer.core.model import ETag, Stat
    from indexer.core.snapshot import Snapshot

# How many packages are read before the index shows that they are new.
_FEW = 32


def files_to_read(job: SubdirJob, snapshot: Snapshot) -> dict[str, ETag]:
    """The files of the index and of the overlay that a run reads; none in a large subdir.

    There they are read one after the other, because each takes most memory while it is decoded.
    """
    state, outputs = snapshot.state, job.options.outputs
    if state is None or state.packages > SMALL:
        return {}
    source = snapshot.source(monolithic=outputs.monolithic)
    wanted = {source, *names.OVERLAY_FILES}
    if source != names.SHARD_INDEX and can_load_some_names(job, snapshot):
        wanted = {*chunked_files(job, snapshot), *names.OVERLAY_FILES}
    elif source != names.SHARD_INDEX:
        wanted.add(names.RUN_EXPORTS if names.RUN_EXPORTS in snapshot.etags else names.RUN_EXPORTS_ZST)
    if outputs.shards:
        wanted.add(names.SHARD_INDEX)
    if outputs.needs_metadata:
        wanted.add(names.CATALOG)
    return {name: snapshot.etags[name] for name in sorted(wanted & snapshot.etags.keys())}


def likely_new(job: SubdirJob, snapshot: Snapshot) -> tuple[Stat, ...]:
    """A few packages that no index has, by the times of the store and by their number.

    They came after the state was written, and are as many as the listing has packages more than the state.  So known
    packages that are uploaded again are not read.
    """
    state = snapshot.state
    if state is None or job.options.force or not job.same_config_and_files(snapshot):
        return ()
    out = {name for name, bad in state.rejected.items() if not bad.kept} | state.yanked.keys() | state.ignored.keys()
    out |= {*state.pruned}
    more = snapshot.listing.packages - state.packages - len(out) if job.scope is None else len(job.scope)
    if not 0 < more <= _FEW:
        return ()
    return tuple(sorted(snapshot.listing.later, key=lambda stat: (-stat.modified_ms, stat.key))[:more])
