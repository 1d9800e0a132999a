"""Removes packages that no retention rule keeps: first from the index, and after the grace their objects.

Each step can be repeated: an entry in the file of withdrawn packages says how far a package has come
(docs/design/upkeep.md).
"""

from __future__ import annotations

import logging
import re
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import asdict, replace

from indexer.commands.change_file import JSON
from indexer.commands.find_settings import find_settings
from indexer.commands.prune.contents import read_contents
from indexer.commands.prune.delete import delete_objects
from indexer.commands.retry import until_no_conflict
from indexer.commands.with_settings import index_with_settings
from indexer.core import names
from indexer.core.channel_settings import effective, outputs_of, rules_of
from indexer.core.errors import BadConfig
from indexer.core.options import Options
from indexer.core.overlay import encode_withdrawn
from indexer.core.pruning import PruneReport, SubdirPlan, rules_of_retention, with_changes
from indexer.core.report import Outcome, Report
from indexer.core.retention import judge
from indexer.core.value import Value
from indexer.lister.named_snapshots import packages_in_snapshots
from indexer.lister.overlay import read_withdrawn
from indexer.store import Expect

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from indexer.commands.context import Context
    from indexer.commands.prune.contents import SubdirContents
    from indexer.core.channel_settings import ChannelSettings
    from indexer.core.model import Stat
    from indexer.core.overlay import Prune
    from indexer.core.pruning import EntryChanges, JudgedPackage, PruneRequest
    from indexer.core.retention import Verdict
    from indexer.store import Store

_log = logging.getLogger(__name__)

_MAX_AGE = re.compile(r"max-age=(\d+)")
_INDEXED = {Outcome.PUBLISHED, Outcome.UNCHANGED, Outcome.PARTIAL}


def prune(store: Store, request: PruneRequest, context: Context) -> PruneReport:
    """Judge the packages of all subdirs of a channel together, remove those that go if requested, and report.

    Raises BadConfig if there is no rule, and each error of reading: packages of a subdir that cannot be read would lose
    what they need.
    """
    began = context.clock.monotonic()
    found = find_settings(store, Options(), context)
    settings = request.settings(found.known.settings)
    if not rules_of_retention(settings):
        raise BadConfig(
            context.channel or "the channel",
            "has no rule of retention",
            "nothing was changed: give --keep-newest or --keep-newer-than, or save a rule with "
            f"`indexer settings {context.channel_in_shell} --set keep-newest=3`",
        )
    _warn_of_caches(settings, request)
    options = Options(outputs=outputs_of(settings), rules=rules_of(settings))
    contents = {
        subdir: until_no_conflict(subdir, context, partial(read_contents, store, subdir, options, context))
        for subdir in found.root.subdirs
    }
    plans = _plans(contents, settings, request, context, packages_in_snapshots(store, context.executor))
    if request.delete:
        report = _Work(store, context, {subdir: some.sidecars for subdir, some in contents.items()}).carry_out(plans)
    else:
        judged = (one for plan in plans for one in plan.judged(plan.would_delete()))
        report = PruneReport({}, packages=tuple(one.planned() for one in judged))
    return replace(report, seconds=context.clock.monotonic() - began, usage=store.usage)


def _plans(
    contents: Mapping[str, SubdirContents],
    settings: ChannelSettings,
    request: PruneRequest,
    context: Context,
    held: Mapping[str, frozenset[str]],
) -> list[SubdirPlan]:
    """A plan for each subdir; all packages of the channel are judged together."""
    now_ms = context.clock.now_ms()
    candidates = (candidate for some in contents.values() for candidate in some.candidates)
    verdicts = judge(candidates, rules_of_retention(settings), now_ms, held)
    by_subdir: dict[str, dict[str, Verdict]] = {subdir: {} for subdir in contents}
    for verdict in verdicts:
        by_subdir[verdict.package.subdir][verdict.package.filename] = verdict
    return [
        SubdirPlan(
            subdir,
            now_ms,
            request.grace_ms,
            some.packages,
            some.withdrawn,
            by_subdir[subdir],
            some.indexed,
            held.get(subdir, frozenset()),
            settings.keep or (),
        )
        for subdir, some in contents.items()
    ]


def _warn_of_caches(settings: ChannelSettings, request: PruneRequest) -> None:
    """Warn if caches may keep an index for longer than the grace."""
    header = effective("cache_control", settings)
    match = _MAX_AGE.search(header)
    if match is not None and int(match[1]) * 1000 > request.grace_ms > 0:
        _log.warning("--grace is shorter than max-age in cache-control (%s): caches may serve an older index", header)


class _Work(Value, frozen=True):
    """The store, and the attestations in each subdir."""

    store: Store
    context: Context
    sidecars: Mapping[str, Mapping[str, Stat]]

    def carry_out(self, plans: Sequence[SubdirPlan]) -> PruneReport:
        """Change the entries, write the index without them, delete what is due, and remove the entries of that."""
        entries = {plan.subdir: self._change(plan, plan.first_changes()) for plan in plans}
        run = self._index(plans, entries)
        unlisted_ms = self.context.clock.now_ms()
        indexed = {subdir for subdir, sub in run.subdirs.items() if sub.outcome in _INDEXED}
        packages: list[JudgedPackage] = []
        errors: list[str] = []
        for plan in plans:
            written_ms = unlisted_ms if plan.subdir in indexed else None
            known = entries[plan.subdir]
            due = self._still_due(plan, plan.due(known, written_ms))
            deleted, error = delete_objects(self.store, plan.subdir, due, self.sidecars[plan.subdir], self.context)
            errors += [str(error)] if error else []
            self._change(plan, plan.last_changes(known, written_ms, deleted))
            packages += plan.judged(deleted)
        values = {**asdict(run), "packages": tuple(packages), "errors": tuple(errors)}
        return PruneReport(**values)

    def _change(self, plan: SubdirPlan, changes: EntryChanges) -> Mapping[str, Prune]:
        """Change entries by compare-and-swap, and return all entries.  Raises GaveUp, and NoConditions."""
        if not changes:
            return plan.withdrawn.pruned
        key = f"{plan.subdir}/{names.YANKS}"

        def change() -> Mapping[str, Prune]:
            before, etag = read_withdrawn(self.store, plan.subdir)
            after = with_changes(before, changes)
            if after != before:
                self.store.put(key, encode_withdrawn(after), expect=etag or Expect.ABSENT, headers=JSON)
            return after.pruned

        return until_no_conflict(key, self.context, change)

    def _index(self, plans: Sequence[SubdirPlan], entries: Mapping[str, Mapping[str, Prune]]) -> Report:
        """Index the subdirs with changed entries, and those whose index is not known to be without their entries."""
        subdirs = tuple(
            plan.subdir for plan in plans if plan.first_changes() or plan.is_unlisting(entries[plan.subdir])
        )
        if not subdirs:
            return Report({}, usage=self.store.usage)
        return index_with_settings(self.store, Options(subdirs=subdirs), self.context)

    def _still_due(self, plan: SubdirPlan, due: Mapping[str, Prune]) -> Mapping[str, Prune]:
        """The due entries of packages that still are to be deleted.

        Meanwhile a package may have been published again, which ends its entry, or yanked, ignored, or named by a new
        snapshot.
        """
        if not due:
            return due
        withdrawn, _ = read_withdrawn(self.store, plan.subdir)
        held = packages_in_snapshots(self.store, self.context.executor).get(plan.subdir, frozenset())
        wanted = withdrawn.yanked.keys() | withdrawn.ignored.keys() | held
        return {
            filename: entry
            for filename, entry in due.items()
            if withdrawn.pruned.get(filename) == entry and filename not in wanted
        }
