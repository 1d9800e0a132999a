"""Decides what a rollback to a named snapshot withdraws from a subdir and what it brings back, and reports it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import field
from msgspec.structs import replace

from indexer.core.overlay import WithdrawnPackages, Yank
from indexer.core.records.identity import identity_of
from indexer.core.report import Outcome, Report
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.core.model import Raw


class SubdirRollback(Value, frozen=True):
    """What a rollback changes in a subdir, by file name.

    `withdrawn` were indexed after the snapshot.  `replaced` have other bytes than in the snapshot: they are withdrawn
    too.  `restored` were withdrawn after the snapshot, and come back.  `gone` are in the snapshot, and do not exist any
    more with these bytes.  `hidden` are in the snapshot, and removed by a patch, which a rollback does not change.
    """

    withdrawn: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()

    @property
    def leaving(self) -> frozenset[str]:
        """All packages that leave the index."""
        return frozenset((*self.withdrawn, *self.replaced))

    @property
    def changed(self) -> frozenset[str]:
        """All packages that leave the index or come back."""
        return self.leaving | frozenset(self.restored)


class Today(Value, frozen=True):
    """A subdir as it is: the sizes of existing packages, their own records if they are withdrawn, and the packages that
    a patch removes.
    """

    sizes: Mapping[str, int] = field(default_factory=dict)
    own: Mapping[str, Raw] = field(default_factory=dict)
    patched_out: frozenset[str] = frozenset()


def missing_packages(frozen: Mapping[str, Raw], published: Mapping[str, Raw]) -> list[str]:
    """The packages of a snapshot that the published index does not have."""
    return sorted(frozen.keys() - published.keys())


def plan_rollback(frozen: Mapping[str, Raw], published: Mapping[str, Raw], today: Today) -> SubdirRollback:
    """What a rollback changes; `frozen` and `published` have the records in the snapshot and in the index.

    Packages that are the same in both can be missing in both.
    """
    both = frozen.keys() & published.keys()
    missing = missing_packages(frozen, published)
    hidden = [name for name in missing if name in today.patched_out]
    restored = [name for name in missing if name not in today.patched_out and _is_same(name, frozen[name], today)]
    return SubdirRollback(
        withdrawn=tuple(sorted(published.keys() - frozen.keys())),
        replaced=tuple(sorted(name for name in both if _sha256(frozen[name]) != _sha256(published[name]))),
        restored=tuple(restored),
        gone=tuple(sorted(set(missing) - {*hidden, *restored})),
        hidden=tuple(hidden),
    )


def _is_same(name: str, record: Raw, today: Today) -> bool:
    """Whether a package exists with the bytes that a record of the snapshot describes, as far as the index knows."""
    if today.sizes.get(name) != identity_of(record).size:
        return False
    own = today.own.get(name)
    return own is None or _sha256(own) == _sha256(record)


def _sha256(record: Raw) -> str | None:
    return identity_of(record).sha256


def rolled_back(before: WithdrawnPackages, plan: SubdirRollback, reason: str, now_ms: int) -> WithdrawnPackages:
    """The withdrawn packages of a subdir after a rollback; what was yanked before keeps its reason and date."""
    leaving = {name: Yank(reason, now_ms) for name in plan.leaving}
    yanked, ignored, pruned = {**leaving, **before.yanked}, dict(before.ignored), dict(before.pruned)
    for name in plan.restored:
        yanked.pop(name, None)
        ignored.pop(name, None)
        pruned.pop(name, None)
    return replace(before, yanked=yanked, ignored=ignored, pruned=pruned)


class RollbackReport(Report, frozen=True):
    """The result of a rollback to `snapshot`: the plan of each subdir, and the run after it if it was `applied`."""

    snapshot: str = ""
    plans: Mapping[str, SubdirRollback] = field(default_factory=dict)
    applied: bool = False

    @property
    def outcome(self) -> Outcome:
        """PLANNED if something would change; the worst outcome of a subdir if it was changed; else UNCHANGED."""
        if not self.applied and any(plan.changed for plan in self.plans.values()):
            return Outcome.PLANNED
        return super().outcome

    def as_json(self) -> dict[str, object]:
        """The object that `--json` prints: that of a run, `snapshot`, `applied` and `rollback`."""
        plans = msgspec.to_builtins(dict(sorted(self.plans.items())))
        return {**super().as_json(), "snapshot": self.snapshot, "applied": self.applied, "rollback": plans}
