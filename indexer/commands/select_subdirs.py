"""Selects the subdirs that a run indexes, and refuses a target that is no channel."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from indexer.core import names
from indexer.core.errors import BadConfig
from indexer.core.publication import source_of
from indexer.lister.subdirs import Root, check_channel, check_exists, check_subdir, root_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from indexer.core.options import Options
    from indexer.store import Store

_log = logging.getLogger(__name__)


def select_subdirs(store: Store, options: Options, channel: str) -> Root:
    """The subdirs to index, and the other content of the root if it was listed.  Raises BadConfig for a wrong target.

    The root is listed only if no subdir and no package is named, or if noarch must be created.
    """
    if options.packages is None and not options.subdirs:
        return look_at_root(store, options, channel)
    selected = _existing(store, options)
    # Clients need noarch/repodata.json: without it they do not take a folder for a channel (CEP 26).
    if names.NOARCH not in selected and store.stat(f"{names.NOARCH}/{source_of(options.outputs)}") is None:
        look_at_root(store, options, channel)
        selected.add(names.NOARCH)
    return Root(tuple(sorted(selected)))


def look_at_root(store: Store, options: Options, channel: str) -> Root:
    """The content of the channel's root.  Raises BadConfig if the target is no channel, or does not exist."""
    root = root_of(store)
    check_channel(root, channel)
    named = {*options.subdirs, *_subdirs_of(options.packages or ())}
    if not options.create and not named & set(root.unknown_subdirs):
        check_exists(root, channel)
    return root


def _existing(store: Store, options: Options) -> set[str]:
    """The named subdirs that can be indexed.

    Raises BadConfig for another one if a person named it; a subdir that only an event names is skipped.
    """
    packages = options.packages or frozenset()
    of_person = {*options.subdirs, *_subdirs_of(packages - options.may_be_gone)}
    of_event = _subdirs_of(options.may_be_gone) - of_person
    selected = set()
    for subdir in sorted({*options.subdirs, *_subdirs_of(packages)}):
        try:
            check_subdir(store, subdir, create=options.create)
        except BadConfig as error:
            if subdir not in of_event:
                raise
            _log.warning("%s: %s, so its packages are skipped", error.thing, error.reason)
        else:
            selected.add(subdir)
    return selected


def _subdirs_of(packages: Iterable[str]) -> set[str]:
    return {package.rpartition("/")[0] for package in packages}
