"""Reads the patch instructions for each subdir from a patch package in `noarch/`, as conda-forge has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core import names, patch
from indexer.core.errors import BadConfig, BadPackage, BadPatch, Missing
from indexer.extractor.archive import read_patches
from indexer.extractor.range_file import RangeFile
from indexer.store.read import read_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.store import Store

# The patch package of the largest channel has some tens of MiB.
_MAX_PACKAGE = 256 * 2**20


def load(store: Store, filename: str) -> Mapping[str, bytes]:
    """The `patch_instructions.json` of a patch package by subdir, all of them valid.

    Other files are ignored.  Raises BadConfig if there is no such package, and BadPatch if it is not a patch package or
    its instructions cannot be applied.
    """
    if names.parse_filename(filename) is None:
        raise BadConfig(f"--repodata-patch {filename}", "is not the file name of a package", _NAME_ONE)
    key = f"{names.NOARCH}/{filename}"
    try:
        stat = store.stat(key)
        if stat is not None and stat.size > _MAX_PACKAGE:
            raise BadPatch(key, f"has more than {_MAX_PACKAGE} bytes", _CORRECT)
        package, stat = read_whole(store, key)
        instructions = read_patches(RangeFile(store, stat, package, 0))
    except Missing as error:
        raise BadConfig(key, "does not exist", _NAME_ONE) from error
    except BadPackage as error:
        raise BadPatch(key, f"{error.thing} {error.reason}", _CORRECT) from error
    if not instructions:
        raise BadPatch(key, f"holds no SUBDIR/{names.PATCH_INSTRUCTIONS}", _CORRECT)
    for subdir, content in instructions.items():
        patch.check_instructions(patch.parse_instructions(content, f"{key}: {subdir}/{names.PATCH_INSTRUCTIONS}"))
    return instructions


_NAME_ONE = "nothing was changed: name a patch package in noarch/"
_CORRECT = "nothing was changed: correct the patch package or name another one"
