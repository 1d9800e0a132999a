"""What a channel's owner lays over what the packages say, and which lasts from run to run: a repodata patch, and yanks.

Both lie in the subdir as files of state.  They are only put, never deleted, and each later run of
indexer follows them (docs/design.md, section Patches and yanks).
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from indexer.core import patch
from indexer.core.model import UNREADABLE
from indexer.core.patch import Instructions, Patched
from indexer.errors import BadPatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.core.model import Index

_VERSION = 1
UPDATE = "update the indexer"


class Yank(msgspec.Struct, frozen=True):
    """Why a package was yanked, and when (milliseconds)."""

    reason: str
    yanked_timestamp: int


class _Yanked(msgspec.Struct, frozen=True):
    """The file of yanks: which packages, by file name."""

    yanked: dict[str, Yank] = {}
    version: int = _VERSION


_yanked = msgspec.json.Decoder(_Yanked)


@dataclass(frozen=True)
class Overlay:
    """What is in force in a subdir.

    `lying` is the content of its `patch_instructions.json` (`key`), None where it has none; `named` is that
    of a patch that this run was given in its place.  `yanks` are by file name.
    """

    key: str = ""
    lying: bytes | None = None
    named: bytes | None = None
    yanks: Mapping[str, Yank] = field(default_factory=dict)

    @cached_property
    def instructions(self) -> Instructions:
        """The patch as it is followed.  Raises BadPatch."""
        return Instructions() if self.patch is None else patch.parse(self.patch, self.key)

    @property
    def patch(self) -> bytes | None:
        """The instructions that are followed, None where there are none."""
        return self.lying if self.named is None else self.named

    @property
    def run_exports_patched(self) -> frozenset[str]:
        """The file names whose run exports were patched by what lies there."""
        with contextlib.suppress(BadPatch):  # nobody can have followed it
            return patch.run_exports_named(patch.parse(self.lying or b"", self.key))
        return frozenset()

    def __bool__(self) -> bool:
        return bool(self.yanks or self.instructions)

    def apply(self, index: Index) -> Patched:
        """The index as readers shall see it: patched, and without what was yanked.  Raises BadPatch."""
        patched = patch.apply(index, self.instructions) if self.instructions else Patched(index)
        return Patched(patch.withdraw(patched.index, self.yanks), patched.warnings)


def decode_yanks(data: bytes, key: str) -> dict[str, Yank]:
    """The yanks in a published file.  Raises BadPatch: nobody may guess what was yanked."""
    try:
        found = _yanked.decode(data) if data.strip() else _Yanked()
    except UNREADABLE as error:
        raise BadPatch(key, f"is not a readable list of yanks ({error})", _RESTORE) from error
    if found.version > _VERSION:
        raise BadPatch(key, f"is of version {found.version}, which this release does not know", UPDATE)
    return found.yanked


_RESTORE = "nothing was changed: restore it, or delete it to bring back all that was yanked"


def encode_yanks(yanks: Mapping[str, Yank]) -> bytes:
    """The file of yanks."""
    return msgspec.json.encode(_Yanked(dict(yanks)), order="deterministic")
