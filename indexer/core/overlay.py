"""What a channel's owner lays over what the packages say, from run to run: a repodata patch, yanks, ignored packages.

They lie in the subdir as files of state.  They are only put, never deleted, and each later run of
indexer follows them (docs/design.md, section Patches and yanks).
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from indexer.core import patch
from indexer.core.errors import BadPatch
from indexer.core.model import UNREADABLE
from indexer.core.patch import Instructions, Patched

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.core.model import Index

# Of the file of yanks.  Version 2 has ignored packages too: an older release refuses it and loses nothing.
_PLAIN, _WITH_IGNORED = 1, 2
UPDATE = "update the indexer"


class Yank(msgspec.Struct, frozen=True):
    """Why a package was yanked, and when (milliseconds)."""

    reason: str
    yanked_timestamp: int


class Ignore(msgspec.Struct, frozen=True):
    """Why a package is ignored, and since when (milliseconds)."""

    reason: str
    ignored_timestamp: int


class WithdrawnPackages(msgspec.Struct, frozen=True):
    """The packages of a subdir that its owner withdrew, by file name.

    `yanked` packages keep their record in the index of what packages say; `ignored` ones are not even read.
    """

    yanked: dict[str, Yank] = {}
    ignored: dict[str, Ignore] = {}


class _File(WithdrawnPackages, frozen=True):
    version: int = _PLAIN


_file = msgspec.json.Decoder(_File)


@dataclass(frozen=True)
class Overlay:
    """What is in force in a subdir.

    `published_patch` is the content of its `patch_instructions.json` (`key`), None where it has none; `new_patch` is
    that of a patch that this run was given in its place.  `yanks` and `ignored` are by file name.
    """

    key: str = ""
    published_patch: bytes | None = None
    new_patch: bytes | None = None
    yanks: Mapping[str, Yank] = field(default_factory=dict)
    ignored: Mapping[str, Ignore] = field(default_factory=dict)

    @cached_property
    def instructions(self) -> Instructions:
        """The patch as it is followed.  Raises BadPatch."""
        return Instructions() if self.patch is None else patch.parse_instructions(self.patch, self.key)

    @property
    def patch(self) -> bytes | None:
        """The instructions that are followed, None where there are none."""
        return self.published_patch if self.new_patch is None else self.new_patch

    @property
    def run_exports_patched(self) -> frozenset[str]:
        """The file names whose run exports were patched by what lies there."""
        with contextlib.suppress(BadPatch):  # nobody can have followed it
            return patch.filenames_with_patched_run_exports(
                patch.parse_instructions(self.published_patch or b"", self.key)
            )
        return frozenset()

    def __bool__(self) -> bool:
        return bool(self.yanks or self.instructions)

    def apply(self, index: Index) -> Patched:
        """The index as readers shall see it: patched, and without what was yanked.  Raises BadPatch."""
        patched = patch.apply_instructions(index, self.instructions) if self.instructions else Patched(index)
        return Patched(patch.withdraw(patched.index, self.yanks), patched.warnings)


def decode_withdrawn(data: bytes, key: str) -> WithdrawnPackages:
    """The withdrawn packages in a published file.  Raises BadPatch if the file is not readable: no guess is safe."""
    try:
        found = _file.decode(data) if data.strip() else _File()
    except UNREADABLE as error:
        raise BadPatch(key, f"is not a readable list of yanks ({error})", _RESTORE) from error
    if found.version > _WITH_IGNORED:
        raise BadPatch(key, f"is of version {found.version}, which this release does not know", "update the indexer")
    return WithdrawnPackages(found.yanked, found.ignored)


_RESTORE = "nothing was changed: restore it, or delete it to bring back all packages that were yanked or ignored"


def encode_withdrawn(withdrawn: WithdrawnPackages) -> bytes:
    """The file of withdrawn packages."""
    values: dict[str, object] = {"version": _PLAIN, "yanked": withdrawn.yanked}
    if withdrawn.ignored:
        values |= {"version": _WITH_IGNORED, "ignored": withdrawn.ignored}
    return msgspec.json.encode(values, order="deterministic")
