"""Deletes the objects of pruned packages, each on the condition that it is the version that was judged."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from typing import TYPE_CHECKING

from indexer.core.attestations import package_of_sidecar
from indexer.core.errors import Conflict, IndexerError
from indexer.store.concurrent import Limits, bounded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from indexer.commands.context import Context
    from indexer.core.model import Stat
    from indexer.core.overlay import Prune
    from indexer.store import Store

_AT_ONCE = 16


def delete_objects(
    store: Store, subdir: str, due: Mapping[str, Prune], sidecars: Mapping[str, Stat], context: Context
) -> tuple[set[str], IndexerError | None]:
    """The file names whose objects do not exist any more, and the error that ended the work, None without one.

    The attestations of a package go first, so that none is left if the command is killed.  A package that was
    uploaded again meanwhile stays.
    """
    deleted: set[str] = set()
    of_package = _by_package(sidecars.values())

    def delete(filename: str) -> None:
        for sidecar in of_package[filename]:
            with contextlib.suppress(Conflict):  # newer attestations stay
                store.delete(f"{subdir}/{sidecar.key}", expect=sidecar.etag)
        with contextlib.suppress(Conflict):
            store.delete(f"{subdir}/{filename}", expect=due[filename].etag)
            deleted.add(filename)

    try:
        for _ in bounded(context.executor, delete, sorted(due), Limits(_AT_ONCE)):
            pass
    except IndexerError as error:
        return deleted, error
    return deleted, None


def _by_package(sidecars: Iterable[Stat]) -> defaultdict[str, list[Stat]]:
    by_package: defaultdict[str, list[Stat]] = defaultdict(list)
    for sidecar in sidecars:
        by_package[package_of_sidecar(sidecar.key) or ""].append(sidecar)
    return by_package
