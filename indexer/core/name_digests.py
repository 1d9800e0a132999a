"""A digest of the listing for each package name: a name with the same digest need not be looked at again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core.attestations import SUFFIX, package_of_sidecar
from indexer.core.names import name_in
from indexer.core.records.identity import identity_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from indexer.core.model import Raw
    from indexer.core.state import State


def name_of(filename: str) -> str:
    """The package name, in lower case, of a package or a sidecar by its file name; empty for any other file."""
    name = name_in(filename)
    if not name and SUFFIX in filename:
        name = name_in(package_of_sidecar(filename) or "")
    return name.lower()


def names_of(filenames: Iterable[str]) -> frozenset[str]:
    """The package names of some files."""
    return frozenset(map(name_of, filenames)) - {""}


def mark_unsure(digests: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """The digests with a mark at some names that the next run must look at, whether they exist or not."""
    return {**digests, **dict.fromkeys(names, "")} if digests else {}


def has_misfiled_records(records: Mapping[str, Raw]) -> bool:
    """Whether a record is not where its package name is looked for.

    It has another name than its file, so it is in another shard; or its file name has upper case, so it is in another
    place of repodata.json.
    """
    return any(
        (name := identity_of(record).name.lower()) != name_of(filename) or not filename.startswith(name)
        for filename, record in records.items()
    )


def changed_names(digests: Mapping[str, str], state: State) -> frozenset[str] | None:
    """The package names whose digest differs from the one of the last run; None if the last run left no digests."""
    before = state.name_digests
    if not before:
        return None
    return frozenset(name for name in {*digests, *before} if digests.get(name) != before.get(name))
