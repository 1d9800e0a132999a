"""Finds the pages of packages that exist, and tells ours from those of somebody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core import names
from indexer.core.errors import Conflict
from indexer.core.pages.pages_state import PagesFound, decode_pages
from indexer.store.read import read_start

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from indexer.core.model import ETag, Stat
    from indexer.core.pages.pages_state import PublishedPage
    from indexer.store.channel_folder import ChannelFolder


def list_pages(root: ChannelFolder) -> dict[str, Stat]:
    """The files that have the key of a page, by package name."""
    stats = root.store.list(f"{names.PAGES_FOLDER}/")
    return {name: stat for stat in stats if (name := names.name_of_page(stat.key)) is not None}


def find_pages(root: ChannelFolder, state_etag: ETag | None, listed: Mapping[str, Stat] | None) -> PagesFound:
    """The pages as the state of the pages, and a listing if there is one, shows them.

    Without a listing the state must be the one with which the last run has ended.  Raises Conflict.
    """
    state = _load(root, state_etag)
    if state is None and listed is None:
        raise Conflict(names.PAGES_STATE, "cannot be read")
    pages = state or {}
    if listed is None:
        return PagesFound(pages, {}, frozenset(pages))
    known = {name: page for name, page in pages.items() if name in listed and listed[name].etag == page.etag}
    return PagesFound(known, {name: listed[name] for name in listed.keys() - known.keys()}, frozenset(pages))


def unwanted_pages_of_ours(root: ChannelFolder, found: PagesFound, wanted: Collection[str]) -> dict[str, ETag]:
    """The ETags of those other pages that no package has and that we made, which is read in each of them."""
    unwanted = sorted(found.others.keys() - set(wanted))
    if not unwanted:
        return {}
    from indexer.core.pages.package_page import HEAD, is_our_page  # its style is read as it is imported

    def is_ours(name: str) -> bool:
        return is_our_page(read_start(root.store, found.others[name], HEAD), name)

    ours = root.executor.map(is_ours, unwanted)
    return {name: found.others[name].etag for name, made in zip(unwanted, ours, strict=True) if made}


def _load(root: ChannelFolder, etag: ETag | None) -> dict[str, PublishedPage] | None:
    """The state of the pages; an empty one if there is none, None if it cannot be read."""
    return {} if etag is None else decode_pages(root.read(names.PAGES_STATE, etag))
