"""The overlay: a repodata patch and withdrawn packages, which change the index that the packages alone would make.

They are files in the subdir.  indexer writes them and never deletes them, and each later run applies them
(docs/design/choices.md, section Patches and yanks).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import field
from msgspec.structs import replace

from indexer.core import patch
from indexer.core.errors import BadPatch
from indexer.core.model import UNREADABLE, ETag
from indexer.core.patch import Instructions, Patched
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from indexer.core.model import Index, Stat

# Versions of the file of yanks.  Version 2 has ignored packages too, version 3 pruned ones; an older release refuses a
# version that it does not know, so it loses none.
_PLAIN, _WITH_IGNORED, _WITH_PRUNED = 1, 2, 3
UPDATE = "update the indexer"


class Yank(msgspec.Struct, frozen=True):
    """Why a package was yanked, and when (milliseconds)."""

    reason: str
    yanked_timestamp: int


class Ignore(msgspec.Struct, frozen=True):
    """Why a package is ignored, and since when (milliseconds)."""

    reason: str
    ignored_timestamp: int


class Prune(msgspec.Struct, frozen=True, omit_defaults=True):
    """The version of a package that a retention rule removed: its ETag, its size, and the time of its object.

    `pruned_timestamp` is when it was judged; `unlisted_timestamp` is a time at which the published index did not have
    the package any more, None if no run has found this yet.  All times are in milliseconds.
    """

    etag: ETag
    size: int
    modified_timestamp: int
    pruned_timestamp: int
    unlisted_timestamp: int | None = None

    def is_of(self, stat: Stat | None) -> bool:
        """Whether an object has the ETag of the version that was judged."""
        return stat is not None and stat.etag == self.etag


class WithdrawnPackages(msgspec.Struct, frozen=True):
    """The packages of a subdir that its owner withdrew, by file name.

    `yanked` packages keep their record in the unpatched index; `ignored` packages are not even read.  `pruned` ones are
    ignored as long as their object is the version that was judged, and then deleted.
    """

    yanked: dict[str, Yank] = {}
    ignored: dict[str, Ignore] = {}
    pruned: dict[str, Prune] = {}

    def left_out(self, packages: Mapping[str, Stat]) -> frozenset[str]:
        """The file names that a run treats as absent, by the packages in a listing."""
        pruned = {name for name, prune in self.pruned.items() if prune.is_of(packages.get(name))}
        return frozenset(self.ignored.keys() | pruned)


class _File(WithdrawnPackages, frozen=True):
    version: int = _PLAIN


_file = msgspec.json.Decoder(_File)


class Overlay(Value, frozen=True):
    """The patch and the withdrawn packages of a subdir.

    `published_patch` is the content of its `patch_instructions.json` (`key`), None if there is no such file;
    `new_patch` is the content that this run puts in its place, None if it puts none.  `published_instructions` and
    `new_instructions` are the parsed patches; a BadPatch if they cannot be parsed, which is raised only if the patch is
    applied.
    """

    key: str = ""
    published_patch: bytes | None = None
    new_patch: bytes | None = None
    withdrawn: WithdrawnPackages = field(default_factory=WithdrawnPackages)
    published_instructions: Instructions | BadPatch = field(default_factory=Instructions)
    new_instructions: Instructions | BadPatch | None = None

    @property
    def yanks(self) -> Mapping[str, Yank]:
        """The yanked packages by file name."""
        return self.withdrawn.yanked

    @property
    def hidden(self) -> frozenset[str]:
        """The packages that readers do not see although they have a record.  Raises BadPatch."""
        return self.instructions().remove | self.yanks.keys()

    @property
    def patch(self) -> bytes | None:
        """The content of the patch that is applied, None if there is no patch."""
        return self.published_patch if self.new_patch is None else self.new_patch

    def with_new_patch(self, content: bytes) -> Overlay:
        """The same overlay with a patch that this run publishes; unchanged if this very patch is published already."""
        if content == self.published_patch:
            return self
        return replace(self, new_patch=content, new_instructions=_parsed(content, self.key))

    def instructions(self) -> Instructions:
        """The instructions of the patch that is applied.  Raises BadPatch."""
        instructions = self.published_instructions if self.new_instructions is None else self.new_instructions
        if isinstance(instructions, BadPatch):
            raise instructions
        return instructions

    def __bool__(self) -> bool:
        """Whether readers see another index than the packages alone would make.  Raises BadPatch."""
        return bool(self.yanks or self.instructions())

    def filenames_with_patched_run_exports(self) -> frozenset[str]:
        """The file names whose run exports the published patch changed; none if the patch could not be parsed."""
        if isinstance(self.published_instructions, BadPatch):
            return frozenset()
        return patch.filenames_with_patched_run_exports(self.published_instructions)

    def without_own_removals(self, index: Index) -> Index:
        """An index that readers saw, in which the packages that this overlay hides are not listed as removed."""
        if isinstance(self.published_instructions, BadPatch):
            return index
        own = self.published_instructions.remove | self.yanks.keys()
        return replace(index, removed=tuple(name for name in index.removed if name not in own))

    def apply(self, index: Index) -> Patched:
        """The index that readers see: patched, and without yanked packages.  Raises BadPatch."""
        instructions = self.instructions()
        patched = patch.apply_instructions(index, instructions) if instructions else Patched(index)
        return Patched(patch.withdraw(patched.index, self.yanks), patched.warnings)

    def applied_before(self, index: Index, yanked: Iterable[str]) -> Index:
        """The index that readers saw when other packages were yanked.  Raises BadPatch."""
        before = dict.fromkeys(yanked, Yank("", 0))
        return replace(self, withdrawn=WithdrawnPackages(before)).apply(index).index


def make_overlay(key: str, published_patch: bytes | None, withdrawn: WithdrawnPackages) -> Overlay:
    """The overlay of a subdir from the content of its files; `key` is the place of its patch instructions."""
    instructions = Instructions() if published_patch is None else _parsed(published_patch, key)
    return Overlay(key, published_patch, None, withdrawn, instructions)


def _parsed(content: bytes, key: str) -> Instructions | BadPatch:
    try:
        return patch.parse_instructions(content, key)
    except BadPatch as error:
        return error


def decode_withdrawn(data: bytes, key: str) -> WithdrawnPackages:
    """The withdrawn packages in a published file.  Raises BadPatch if the file is not readable: no guess is safe."""
    try:
        file = _file.decode(data) if data.strip() else _File()
    except UNREADABLE as error:
        raise BadPatch(key, f"is not a readable list of yanks ({error})", _RESTORE) from error
    if file.version > _WITH_PRUNED:
        raise BadPatch(key, f"is of version {file.version}, which this release does not know", UPDATE)
    return WithdrawnPackages(file.yanked, file.ignored, file.pruned)


_RESTORE = "nothing was changed: restore it, or delete it to bring back all packages that were withdrawn"


def encode_withdrawn(withdrawn: WithdrawnPackages) -> bytes:
    """The file of withdrawn packages."""
    values: dict[str, object] = {"version": _PLAIN, "yanked": withdrawn.yanked}
    if withdrawn.ignored:
        values |= {"version": _WITH_IGNORED, "ignored": withdrawn.ignored}
    if withdrawn.pruned:
        values |= {"version": _WITH_PRUNED, "pruned": withdrawn.pruned}
    return msgspec.json.encode(values, order="deterministic")
