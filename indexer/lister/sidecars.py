"""Reads the attestation sidecars of a subdir: only those that are new or changed since the last run."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from indexer.core.attestations import MAX_SIZE, SUFFIX, bundles_digest, sidecars_by_package, sidecars_digest
from indexer.core.errors import Conflict, Denied, Missing
from indexer.core.known_packages import Attested
from indexer.store.concurrent import Limits, bounded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.core.model import ETag, Stat
    from indexer.core.snapshot import Snapshot
    from indexer.store.channel_folder import ChannelFolder

# How many packages' attestations are read at once, and how much memory they may use together.
_PARALLEL = 64
_MEMORY = 64 * 2**20
# First sidecars of fewer bytes in all are read together with the index.
_LITTLE = 2**20


def load_attestations(folder: ChannelFolder, snapshot: Snapshot) -> dict[str, Attested]:
    """The attestations of each package that has some, by file name of the package.

    Only sidecars that are new or changed since the last run are read.  Raises Conflict if one changes while it is read.
    """
    if not snapshot.sidecars:
        return {}
    sidecars = sidecars_by_package(snapshot.sidecars)
    kept = _kept(snapshot, sidecars)
    wanted = sorted(sidecars.keys() - kept.keys())
    limits: Limits[str] = Limits(_PARALLEL, _MEMORY, lambda package: _weight_of(sidecars[package]))

    def load(package: str) -> tuple[str, Attested]:
        return package, _load(folder, package, sidecars[package])

    return {**kept, **dict(bounded(folder.executor, load, wanted, limits))}


def first_sidecars_to_read(snapshot: Snapshot) -> dict[str, ETag]:
    """The first sidecar of each package with new or changed sidecars; none if they are many or large."""
    if not snapshot.sidecars:
        return {}
    sidecars = sidecars_by_package(snapshot.sidecars)
    wanted = sidecars.keys() - _kept(snapshot, sidecars).keys()
    stats = [sidecars[package][package + SUFFIX] for package in sorted(wanted)]
    is_little = sum(stat.size for stat in stats) <= _LITTLE and len(stats) <= _PARALLEL
    return {stat.key: stat.etag for stat in stats} if is_little else {}


def _kept(snapshot: Snapshot, sidecars: Mapping[str, Mapping[str, Stat]]) -> dict[str, Attested]:
    """The attestations of the last run whose sidecars are the same."""
    before = snapshot.state.attestations if snapshot.state else {}
    return {
        package: known
        for package, known in before.items()
        if package in sidecars and not known.transient and known.sidecars_digest == sidecars_digest(sidecars[package])
    }


def _weight_of(sidecars: Mapping[str, Stat]) -> int:
    """How many bytes of memory one read of a package's attestations needs: one file, and its parts as they arrive."""
    return 2 * max((stat.size for stat in sidecars.values() if stat.size <= MAX_SIZE), default=0)


def _load(folder: ChannelFolder, package: str, sidecars: Mapping[str, Stat]) -> Attested:
    digest = sidecars_digest(sidecars)
    try:
        return Attested(digest, _read(folder, package, sidecars))
    except ValueError as error:
        return Attested(digest, reason=str(error))
    except Denied as error:
        return Attested(digest, reason=error.reason, transient=True)


def _read(folder: ChannelFolder, package: str, sidecars: Mapping[str, Stat]) -> str:
    """The sha256 of a package's attestations.  Raises ValueError if readers could not trust them."""
    alias = sidecars[package + SUFFIX]
    sha256 = bundles_digest(content_of(folder, alias))
    copy = sidecars.get(f"{package}{SUFFIX}.{sha256}")
    if copy is None:
        raise ValueError(f"has no copy {SUFFIX}.{sha256} beside it")
    same = alias.md5 is not None and alias.md5 == copy.md5
    if not same and (copy.size != alias.size or hashlib.sha256(content_of(folder, copy)).hexdigest() != sha256):
        raise ValueError(f"differs from its copy {SUFFIX}.{sha256}")
    return sha256


def content_of(folder: ChannelFolder, stat: Stat) -> bytes:
    """The content of a sidecar, whose key is its file name.

    Raises ValueError if it is too large, Conflict if it changed since it was listed.
    """
    if stat.size > MAX_SIZE:
        raise ValueError(f"has {stat.size} bytes, more than {MAX_SIZE}")
    try:
        return folder.read(stat.key, stat.etag)
    except Missing as error:
        raise Conflict(folder.prefix + stat.key, "was deleted while it was read") from error
