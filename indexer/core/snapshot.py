"""A subdir as it was seen at one moment: which versions our files have, and which packages are there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from indexer.core import name_digests as byname
from indexer.core import names
from indexer.core import state as ledgers
from indexer.core.attestations import package_of
from indexer.core.model import Rejected

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from indexer.core.model import ETag, Stat
    from indexer.core.state import State


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A subdir as it was seen.

    `versions` has our files that are there, state among them, `ledger_version` is None where there is no ledger.
    `modified_ms` is when each was written, empty where the ledger vouches for all.  `noted` says that a gc is at
    work or has died, `doubted` that shards have to be looked for, `whole` that all packages were looked at.
    `packages` has what can be a package by its name, `misnamed` what claims to be one, `sidecars`
    the attestations that lie beside packages.  `listing` stands for all that the records are made from, `names`
    for what is there of each package name, where that is asked for; `cuts` are where the next listing may be cut.
    `folders` are those in the subdir that are not ours, as far as a listing in one piece shows them.
    `excluded` are the ignored packages, which `packages` and `misnamed` do not have.
    """

    versions: Mapping[str, ETag] = field(default_factory=dict)
    ledger: State | None = None
    ledger_version: ETag | None = None
    modified_ms: Mapping[str, int] = field(default_factory=dict)
    noted: bool = False
    doubted: bool = False
    whole: bool = True
    packages: dict[str, Stat] = field(default_factory=dict)
    misnamed: tuple[Rejected, ...] = ()
    ignored: tuple[str, ...] = ()
    sidecars: Mapping[str, Stat] = field(default_factory=dict)
    listing: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    cuts: tuple[str, ...] = ()
    excluded: frozenset[str] = frozenset()
    folders: tuple[str, ...] = ()

    def stands(self, name: str) -> bool:
        """Whether one of our files is the one that the writer of the ledger left."""
        wrote = self.ledger.wrote.get(name) if self.ledger else None
        return wrote is not None and wrote.version == self.versions.get(name)

    @property
    def in_step(self) -> bool:
        """Whether our files are those that the writer of the ledger left, all of them, whatever is in force."""
        return self.ledger is not None and files_of(self.versions) == files_of(etags_of(self.ledger))

    @property
    def settled(self) -> bool:
        """Whether the state too is that of which the writer of the ledger made our files."""
        return self.ledger is not None and self.versions == etags_of(self.ledger)

    def named(self) -> Snapshot:
        """The same, with what stands for each package name."""
        return replace(self, names=byname.digests_of({**self.packages, **self.sidecars}))

    def near(self, few: frozenset[str]) -> Snapshot:
        """The same with only what is there of a few package names."""
        packages = {key: stat for key, stat in self.packages.items() if byname.name_of(key) in few}
        sidecars = {key: stat for key, stat in self.sidecars.items() if byname.name_of(key) in few}
        return replace(self, packages=packages, sidecars=sidecars)

    def excluding(self, ignored: Collection[str]) -> Snapshot:
        """The snapshot without some ignored packages."""
        if not ignored:
            return self
        packages = {name: stat for name, stat in self.packages.items() if name not in ignored}
        misnamed = tuple(it for it in self.misnamed if it.filename not in ignored)
        return replace(self, packages=packages, misnamed=misnamed, excluded=frozenset(ignored))

    def let_go(self) -> None:
        """Forget the packages, where nobody asks for them any more: they take half as much memory as their records."""
        self.packages.clear()

    @property
    def vouched(self) -> bool:
        """Whether every shard that the shard index names is known to be there: no run has died, and no gc."""
        return self.in_step and not self.noted and not self.doubted


def _shards_gone(listed: Mapping[str, Stat], seen: Snapshot) -> bool:
    """Whether a listing in one piece, which shows folders, has none of shards although the last run left some."""
    ledger = seen.ledger
    if ledger is None or ledger.cuts or not seen.whole:
        return False
    return ledger.packages > 0 and names.SHARD_INDEX in ledger.wrote and names.SHARDS_FOLDER not in listed


def files_of(versions: Mapping[str, ETag]) -> dict[str, ETag]:
    """Those of our files that are made from packages, without the state."""
    return {name: version for name, version in versions.items() if name not in names.STATE}


def etags_of(ledger: State) -> dict[str, ETag]:
    """The versions of our files that the writer of a ledger left."""
    return {key: wrote.version for key, wrote in ledger.wrote.items()}


def etags_in(listed: Mapping[str, Stat], wanted: Iterable[str]) -> dict[str, ETag]:
    """The versions of those of some files that a listing shows."""
    return {name: listed[name].version for name in wanted if name in listed}


def snapshot_of_listing(listed: Mapping[str, Stat], seen: Snapshot) -> Snapshot:
    """What was seen, with what a listing of the subdir by file name shows."""
    packages: dict[str, Stat] = {}
    misnamed: list[Rejected] = []
    ignored: list[str] = []
    sidecars: dict[str, Stat] = {}
    folders: list[str] = []
    for filename, stat in listed.items():
        if filename.endswith("/"):
            folders += [filename] * (filename != names.SHARDS_FOLDER and not filename.startswith("."))
            continue
        if names.parse_filename(filename) is not None:
            packages[filename] = stat
        elif names.extension_of(filename) is not None:
            misnamed.append(Rejected(filename, stat.version, "the file name is not of the form name-version-build"))
        elif package_of(filename) is not None:
            sidecars[filename] = stat
        elif filename.endswith(".whl"):
            ignored.append(filename)
    versions = {**seen.versions, **etags_in(listed, names.STATE)}
    # A new file with a bad name is news too, although no record is made from it.
    others = {**sidecars, **{it.filename: listed[it.filename] for it in misnamed}}
    listing = ledgers.digest_of({**packages, **others} if others else packages)
    doubted = seen.doubted or _shards_gone(listed, seen)
    seen = replace(seen, versions=versions, noted=names.GC_NOTE in listed, listing=listing, doubted=doubted)
    seen = replace(seen, packages=packages, misnamed=tuple(misnamed), ignored=tuple(ignored), sidecars=sidecars)
    return replace(seen, cuts=ledgers.split_points_of(packages), folders=tuple(folders))
