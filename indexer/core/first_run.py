"""The first run over a large subdir goes in stages: each reads the packages of some names and publishes them.

So the memory of a run does not grow with the subdir, and a run that is killed loses the work of one stage only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from indexer.core.progress import Phase, Step, silent
from indexer.core.some_names import independent_names
from indexer.core.state import State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from indexer.core.job import SubdirJob
    from indexer.core.snapshot import Snapshot

STAGE = 50_000
"""About how many packages a stage reads: a run takes some 2 kB of memory for each."""


def names_of_stage(
    job: SubdirJob, snapshot: Snapshot, package_names: frozenset[str] | None, size: int
) -> frozenset[str] | None:
    """Those of the `package_names` that the run looks at in this stage; all of them if the subdir needs no stages.

    `package_names` (lower case) are None if the run must look at all.  `size` is the number of packages of a stage,
    for names with as many packages as the others.  Only names that no run has looked at wait for a later stage.
    """
    if not _is_first_run(job, snapshot, package_names):
        return package_names
    listing, known = snapshot.listing, snapshot.state.name_digests if snapshot.state else {}
    new = sorted(listing.name_digests.keys() - known.keys())
    count = max(1, len(listing.name_digests) * size // listing.packages) if listing.packages else 0
    if len(new) <= count:
        return package_names
    return (package_names or frozenset()).difference(new[count:]).union(new[:count])


def name_digests_after(snapshot: Snapshot, looked_at: frozenset[str] | None) -> Mapping[str, str]:
    """The digests of the package names that this or an earlier run has looked at; `looked_at` is None for all."""
    digests, state = snapshot.listing.name_digests, snapshot.state
    if looked_at is None or not (state is None or state.has_more_stages):
        return digests
    known = state.name_digests if state else {}
    return {name: digest for name, digest in digests.items() if name in looked_at or name in known}


def shown_for_stage(
    progress: Callable[[Step], None], snapshot: Snapshot, looked_at: frozenset[str] | None
) -> Callable[[Step], None]:
    """A function that shows the packages that a stage has read among all packages of the subdir."""
    state, packages = snapshot.state or State(has_more_stages=True), snapshot.listing.packages
    if progress is silent or looked_at is None or not state.has_more_stages:
        return progress
    before = state.packages + len(state.rejected)

    def show(step: Step) -> None:
        progress(replace(step, done=before + step.done, total=packages) if step.phase is Phase.READING else step)

    return show


def _is_first_run(job: SubdirJob, snapshot: Snapshot, package_names: frozenset[str] | None) -> bool:
    """Whether no index has all packages yet, and an index with some of them is a correct one.

    A strict run publishes nothing if a package is rejected, and a plan shows the whole run.
    """
    options = job.options
    if job.scope is not None or job.dry_run or options.force or options.rules.strict or not independent_names(job):
        return False
    if snapshot.state is None:
        return not snapshot.etags
    return snapshot.state.has_more_stages and package_names is not None
