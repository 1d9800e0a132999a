"""A patch package, conda-forge style, is read from `noarch/`: the instructions that it has for each subdir."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core import names, patch
from indexer.core.errors import BadConfig, BadPackage, BadPatch, Missing
from indexer.extractor.archive import read_patches
from indexer.store.read import read_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.store import Store

# Those of the largest channel there is take some tens of MiB.
_MAX_PACKAGE = 256 * 2**20


def load(store: Store, filename: str) -> Mapping[str, bytes]:
    """The `patch_instructions.json` of a patch package by subdir, all of them sound.

    Files beside them are passed over.  Raises BadConfig where there is no such package, BadPatch where it
    is not one or says what cannot be followed.
    """
    if names.parse_filename(filename) is None:
        raise BadConfig(f"--repodata-patch {filename}", "is not the file name of a package", _NAME_ONE)
    key = f"{names.NOARCH}/{filename}"
    try:
        stat = store.stat(key)
        if stat is not None and stat.size > _MAX_PACKAGE:
            raise BadPatch(key, f"has more than {_MAX_PACKAGE} bytes", _MEND)
        found = read_patches(read_whole(store, key)[0], filename)
    except Missing as error:
        raise BadConfig(key, "is not there", _NAME_ONE) from error
    except BadPackage as error:
        raise BadPatch(key, f"{error.thing} {error.reason}", _MEND) from error
    if not found:
        raise BadPatch(key, f"holds no SUBDIR/{names.PATCH_INSTRUCTIONS}", _MEND)
    for subdir, content in found.items():
        patch.check_instructions(patch.parse_instructions(content, f"{key}: {subdir}/{names.PATCH_INSTRUCTIONS}"))
    return found


_NAME_ONE = "nothing was changed: name a patch package in noarch/"
_MEND = "nothing was changed: mend the patch package or name another"
