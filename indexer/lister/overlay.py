"""Reads the overlay of a subdir: the patch and the withdrawn packages that its owner published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core import names
from indexer.core.errors import Missing
from indexer.core.overlay import Overlay, WithdrawnPackages, decode_withdrawn, make_overlay
from indexer.store.read import read_whole

if TYPE_CHECKING:
    from indexer.core.model import ETag
    from indexer.core.snapshot import Snapshot
    from indexer.store import Store
    from indexer.store.channel_folder import ChannelFolder


def load_overlay(folder: ChannelFolder, snapshot: Snapshot) -> Overlay:
    """The published overlay.  Raises BadPatch, and Conflict if a file changed since the snapshot."""
    etags = snapshot.etags
    instructions = (
        folder.read(names.PATCH_INSTRUCTIONS, etags[names.PATCH_INSTRUCTIONS])
        if names.PATCH_INSTRUCTIONS in etags
        else None
    )
    withdrawn = WithdrawnPackages()
    if names.YANKS in etags:
        withdrawn = decode_withdrawn(folder.read(names.YANKS, etags[names.YANKS]), folder.prefix + names.YANKS)
    key = folder.prefix + names.PATCH_INSTRUCTIONS
    return make_overlay(key, instructions, withdrawn)


def read_withdrawn(store: Store, subdir: str) -> tuple[WithdrawnPackages, ETag | None]:
    """The withdrawn packages of a subdir as they are now, and the ETag of their file, None if there is no file.

    Raises BadPatch.
    """
    key = f"{subdir}/{names.YANKS}"
    try:
        data, opened = read_whole(store, key)
    except Missing:
        return WithdrawnPackages(), None
    return decode_withdrawn(data, key), opened.etag
