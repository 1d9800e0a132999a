"""Makes the index of a channel say what a named snapshot says: withdraws packages as yanks do, and brings others back.

Packages, snapshots and metadata do not change.  Only `.indexer-yanked.json` of each subdir is written, by
compare-and-swap, then the run publishes the index.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import field

from indexer.commands.retry import until_no_conflict
from indexer.commands.with_settings import index_with_settings
from indexer.commands.yank import change_withdrawn
from indexer.core import names
from indexer.core.errors import BadConfig
from indexer.core.formats import repodata
from indexer.core.model import Outputs
from indexer.core.named_snapshot import FrozenSubdir, check_name
from indexer.core.options import Options
from indexer.core.report import Report
from indexer.core.rollback import (
    RollbackReport,
    SubdirRollback,
    Today,
    missing_packages,
    plan_rollback,
    rolled_back,
)
from indexer.core.value import Value
from indexer.lister.named_snapshots import load_contents, load_marker
from indexer.lister.overlay import load_overlay
from indexer.lister.published_index import load_published_index
from indexer.lister.snapshot import take_index_snapshot
from indexer.lister.snapshot_differences import load_differences
from indexer.lister.subdirs import check_channel, check_exists, root_of
from indexer.store.channel_folder import ChannelFolder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.commands.context import Context
    from indexer.core.model import Raw
    from indexer.core.named_snapshot import Contents
    from indexer.core.overlay import Overlay
    from indexer.core.snapshot import Snapshot
    from indexer.store import Store


class RollbackRequest(Value, frozen=True):
    """The name of a snapshot, and a reason for people.  Without `apply` the rollback is only planned."""

    name: str
    reason: str = ""
    apply: bool = False

    @property
    def yank_reason(self) -> str:
        """The reason of each yank."""
        return f"rolled back to {self.name}" + (f": {self.reason}" if self.reason else "")


class _SubdirPlan(Value, frozen=True):
    """The plan of a subdir; the run also looks at `unfinished` packages, so that it ends the work of a killed run."""

    rollback: SubdirRollback
    unfinished: frozenset[str] = field(default_factory=frozenset)

    @property
    def scope(self) -> frozenset[str]:
        """The packages that the run looks at."""
        return self.rollback.changed | self.unfinished


def roll_back(store: Store, request: RollbackRequest, context: Context) -> RollbackReport:
    """Roll a channel back to a snapshot, or only plan it.

    Raises BadConfig if there is no such complete snapshot, or if a subdir was never indexed, before any change.
    """
    began = context.clock.monotonic()
    contents = _contents(store, request.name, context)
    root = root_of(store)
    check_channel(root, context.channel)
    check_exists(root, context.channel)
    plans = {
        subdir: until_no_conflict(subdir, context, partial(_plan, store, subdir, request.name, contents, context))
        for subdir in sorted({*root.subdirs, *contents.subdirs})
    }
    report = _apply(store, plans, request, context) if request.apply else Report({})
    return RollbackReport(
        report.subdirs,
        channel_files=report.channel_files,
        settings=report.settings,
        seconds=context.clock.monotonic() - began,
        usage=store.usage,
        snapshot=request.name,
        plans={subdir: plan.rollback for subdir, plan in plans.items()},
        applied=request.apply,
    )


def _contents(store: Store, name: str, context: Context) -> Contents:
    """The contents of a complete snapshot.  Raises BadConfig if there is none."""
    check_name(name)
    contents = load_contents(store, name)
    if contents is None:
        raise BadConfig(
            name, "is not a snapshot of this channel", f"`indexer snapshot {context.channel_in_shell} --list` lists all"
        )
    if load_marker(store, name) is None:
        raise BadConfig(name, "is a snapshot that is not complete", "nothing was changed: use another snapshot")
    return contents


def _plan(store: Store, subdir: str, name: str, contents: Contents, context: Context) -> _SubdirPlan:
    """The plan of a subdir.  Raises Conflict if a run writes meanwhile, and BadConfig for a subdir without a state."""
    folder = ChannelFolder(store, subdir, context.executor)
    entry = contents.subdirs.get(subdir, FrozenSubdir())
    snapshot = take_index_snapshot(folder, Outputs())
    is_indexed = snapshot.state is not None
    if not is_indexed and next(iter(store.list(folder.prefix)), None) is None:  # no run would index the subdir
        return _SubdirPlan(SubdirRollback(gone=tuple(sorted(entry.packages))))
    if not is_indexed and (entry.files or snapshot.source(monolithic=True)):
        raise BadConfig(
            subdir, "was not indexed by this tool yet", "nothing was changed: index the channel, then repeat"
        )
    found = load_differences(folder, snapshot, name, entry)
    overlay = load_overlay(folder, snapshot)
    missing = missing_packages(found.frozen, found.published)
    today = _today(folder, snapshot, overlay, missing) if missing else Today()
    unfinished: set[str] = set()
    if not snapshot.matches_state:  # what readers see can be newer than the source that the run reads
        unfinished = {
            *overlay.yanks,
            *overlay.withdrawn.ignored,
            *overlay.withdrawn.pruned,
            *(found.frozen.keys() - _source_records(folder, snapshot).keys()),
        }
    return _SubdirPlan(plan_rollback(found.frozen, found.published, today), frozenset(unfinished))


def _today(folder: ChannelFolder, snapshot: Snapshot, overlay: Overlay, missing: list[str]) -> Today:
    """What is known of the packages that the published index does not have; a request for each."""
    own = _source_records(folder, snapshot) if names.FROM_PACKAGES in snapshot.etags else {}
    sizes = {filename: stat.size for filename, stat in folder.stats(missing).items()}
    return Today(sizes, own, overlay.instructions().remove)


def _source_records(folder: ChannelFolder, snapshot: Snapshot) -> Mapping[str, Raw]:
    """The records that the next run reads, with those of withdrawn packages."""
    if names.FROM_PACKAGES not in snapshot.etags:
        return load_published_index(folder, snapshot).records
    data = folder.read(names.FROM_PACKAGES, snapshot.etags[names.FROM_PACKAGES])
    return repodata.decode_unpatched(data, folder.prefix + names.FROM_PACKAGES)[0].records


def _apply(store: Store, plans: Mapping[str, _SubdirPlan], request: RollbackRequest, context: Context) -> Report:
    """Change the files of withdrawn packages, a compare-and-swap a subdir, then index the packages that changed."""
    for subdir, plan in plans.items():
        if plan.rollback.changed:
            edit = partial(rolled_back, plan=plan.rollback, reason=request.yank_reason, now_ms=context.clock.now_ms())
            change_withdrawn(store, subdir, context, edit)
    scope = frozenset(f"{subdir}/{name}" for subdir, plan in plans.items() for name in plan.scope)
    if not scope:
        return Report({})
    restored = frozenset(f"{subdir}/{name}" for subdir, plan in plans.items() for name in plan.rollback.restored)
    options = Options(packages=scope, may_be_gone=scope, unyanked=restored)
    return index_with_settings(store, options, context)
