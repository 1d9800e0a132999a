"""Reads the attestation sidecars of a subdir: only those that are new or changed since the last run."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from indexer.core.attestations import MAX_SIZE, SUFFIX, bundles_digest, sidecars_by_package, sidecars_digest
from indexer.core.errors import Conflict, Denied, Missing
from indexer.core.state import Attested
from indexer.store.concurrent import Limits, bounded
from indexer.store.read import read_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Executor

    from indexer.core.model import Stat
    from indexer.core.state import State
    from indexer.store import Store

# How many packages' attestations are read at once, and what they may take of memory together.
_PARALLEL = 64
_MEMORY = 64 * 2**20


def look(
    store: Store, subdir: str, sidecars: Mapping[str, Stat], state: State | None, executor: Executor
) -> dict[str, Attested]:
    """What is known of the attestations of each package that has some.  Raises Conflict where they change meanwhile.

    `sidecars` are by file name, the `state` is the last run's.
    """
    found = sidecars_by_package({filename: stat.within(subdir) for filename, stat in sidecars.items()})
    before = state.attestations if state else {}
    kept = {
        package: known
        for package, known in before.items()
        if package in found and known.sidecars_digest == sidecars_digest(found[package]) and not known.transient
    }
    asked = sorted(found.keys() - kept.keys())
    bounds: Limits[str] = Limits(_PARALLEL, _MEMORY, lambda package: _weight_of(found[package]))
    read = bounded(executor, lambda package: (package, _judged(store, package, found[package])), asked, bounds)
    return {**kept, **dict(read)}


def _weight_of(sidecars: Mapping[str, Stat]) -> int:
    """How many bytes of memory it takes to read the attestations of a package: one file, and its parts as they come."""
    return 2 * max((stat.size for stat in sidecars.values() if stat.size <= MAX_SIZE), default=0)


def _judged(store: Store, package: str, sidecars: Mapping[str, Stat]) -> Attested:
    state = sidecars_digest(sidecars)
    try:
        return Attested(state, _read(store, package, sidecars))
    except ValueError as error:
        return Attested(state, reason=str(error))
    except Denied as error:
        return Attested(state, reason=error.reason, transient=True)


def _read(store: Store, package: str, sidecars: Mapping[str, Stat]) -> str:
    """The sha256 of a package's attestations.  Raises ValueError for such as readers could not trust."""
    alias = sidecars[package + SUFFIX]
    sha256 = bundles_digest(content_of(store, alias))
    copy = sidecars.get(f"{package}{SUFFIX}.{sha256}")
    if copy is None:
        raise ValueError(f"has no copy {SUFFIX}.{sha256} beside it")
    same = alias.md5 is not None and alias.md5 == copy.md5
    if not same and (copy.size != alias.size or hashlib.sha256(content_of(store, copy)).hexdigest() != sha256):
        raise ValueError(f"differs from its copy {SUFFIX}.{sha256}")
    return sha256


def content_of(store: Store, stat: Stat) -> bytes:
    """A sidecar.  Raises ValueError for one that is too large, Conflict where it changed since it was listed."""
    if stat.size > MAX_SIZE:
        raise ValueError(f"has {stat.size} bytes, more than {MAX_SIZE}")
    try:
        return read_whole(store, stat.key, stat.etag)[0]
    except Missing as error:
        raise Conflict(stat.key, "went away while it was read") from error
