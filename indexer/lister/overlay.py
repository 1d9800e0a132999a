"""Reads the overlay of a subdir: the patch, the yanks and the ignored packages that its owner published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core import names
from indexer.core.overlay import Overlay, WithdrawnPackages, decode_withdrawn, make_overlay

if TYPE_CHECKING:
    from indexer.core.snapshot import Snapshot
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
