"""The root of a channel: which subdirs there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from indexer.core import names
from indexer.errors import BadConfig

if TYPE_CHECKING:
    from collections.abc import Iterable

    from indexer.store import Store


class Root(NamedTuple):
    """What lies at the root of a channel: the known subdirs, `noarch` always among them, the folders passed over.

    `written` says that we have written files there.
    """

    subdirs: tuple[str, ...]
    passed_over: tuple[str, ...] = ()
    written: bool = False


def root_of(store: Store) -> Root:
    """Look at the root of a channel."""
    listed = {stat.key for stat in store.list("")}
    folders = {key[:-1] for key in listed if key.endswith("/")}
    known = (folders & names.KNOWN_SUBDIRS) | {names.NOARCH}
    return Root(tuple(sorted(known)), tuple(sorted(folders - known)), names.LEDGER in listed)


def chosen(store: Store, named: Iterable[str]) -> list[str]:
    """The subdirs that are named, or all known ones of a channel where none is.  Raises BadConfig."""
    for subdir in named:
        if not names.is_subdir(subdir):
            raise BadConfig(subdir or "''", "is not a subdir", "name one such as linux-64 or noarch")
    return sorted(set(named) or root_of(store).subdirs)
