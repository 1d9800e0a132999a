"""Which patch, yanks and ignored packages a run follows: the published ones, or the patch that the run was given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core import names
from indexer.core.errors import BadIndex, Refused
from indexer.core.patch import NO_INSTRUCTIONS as NO_PATCH
from indexer.core.patch import is_empty_form_of_conda_index
from indexer.core.publication import instructions_of

if TYPE_CHECKING:
    from indexer.core.job import SubdirJob
    from indexer.core.overlay import Overlay
    from indexer.core.snapshot import Snapshot

_NAME_OR_END = "nothing was changed: name the patch with --repodata-patch, or end the patch with --no-repodata-patch"


def overlay_in_force(job: SubdirJob, snapshot: Snapshot, published: Overlay) -> Overlay:
    """The overlay that a run follows.

    Raises BadIndex if the unpatched index of the last run is gone, Refused if conda-index has emptied a patch.
    """
    if _unpatched_lost(snapshot) and published and not job.options.force:
        raise BadIndex(
            f"{job.subdir}/{names.FROM_PACKAGES}",
            f"is gone, and {names.REPODATA} is patched",
            "nothing was changed: restore it, or read all packages again with --force",
        )
    if job.patch is None:
        if _emptied_by_conda_index(job, snapshot, published):
            key = f"{job.subdir}/{names.PATCH_INSTRUCTIONS}"
            raise Refused(key, "was emptied by conda-index, and a patch was in force", _NAME_OR_END)
        return published
    nothing_to_end = published.published_patch is None and names.FROM_PACKAGES not in snapshot.etags
    if job.patch == NO_PATCH and nothing_to_end:
        return published
    return published.with_new_patch(job.patch)


def _unpatched_lost(snapshot: Snapshot) -> bool:
    left = snapshot.state is not None and names.FROM_PACKAGES in snapshot.state.files
    return left and names.FROM_PACKAGES not in snapshot.etags


def _emptied_by_conda_index(job: SubdirJob, snapshot: Snapshot, published: Overlay) -> bool:
    """Whether conda-index has put its empty instructions in the place of a patch that the last run followed."""
    before = snapshot.state.files.get(names.PATCH_INSTRUCTIONS) if snapshot.state else None
    instructions = published.published_patch
    if before is None or instructions is None or not is_empty_form_of_conda_index(instructions):
        return False
    return before.digest not in {"", instructions_of(NO_PATCH, job.options.outputs).digest}
