"""A subdir as it was seen at one moment: which versions our files have, and which packages are there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from indexer.core import names
from indexer.core.attestations import package_of_sidecar
from indexer.core.model import Rejected
from indexer.core.name_digests import digests_of, name_of
from indexer.core.state import listing_digest_of, split_points_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from indexer.core.model import ETag, Stat
    from indexer.core.state import State


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A subdir as it was seen.

    `etags` has our files that are there, state among them, `state_etag` is None where there is no ledger.
    `modified_ms` is when each was written, empty where the ledger vouches for all.  `gc_in_progress` says that a gc is
    at work or has died, `shards_in_doubt` that shards have to be looked for, `all_listed` that all packages were looked
    at. `packages` has what can be a package by its name, `invalid_filenames` what claims to be one, `sidecars`
    the attestations that lie beside packages.  `listing_digest` stands for all that the records are made from,
    `name_digests` for what is there of each package name, where that is asked for; `split_points` are where the next
    listing may be cut. `folders` are those in the subdir that are not ours, as far as a listing in one piece shows
    them. `excluded` are the ignored packages, which `packages` and `invalid_filenames` do not have.
    """

    etags: Mapping[str, ETag] = field(default_factory=dict)
    state: State | None = None
    state_etag: ETag | None = None
    modified_ms: Mapping[str, int] = field(default_factory=dict)
    gc_in_progress: bool = False
    shards_in_doubt: bool = False
    all_listed: bool = True
    packages: dict[str, Stat] = field(default_factory=dict)
    invalid_filenames: tuple[Rejected, ...] = ()
    wheels: tuple[str, ...] = ()
    sidecars: Mapping[str, Stat] = field(default_factory=dict)
    listing_digest: str = ""
    name_digests: Mapping[str, str] = field(default_factory=dict)
    split_points: tuple[str, ...] = ()
    excluded: frozenset[str] = frozenset()
    folders: tuple[str, ...] = ()

    def is_unchanged(self, name: str) -> bool:
        """Whether one of our files is the one that the writer of the ledger left."""
        wrote = self.state.files.get(name) if self.state else None
        return wrote is not None and wrote.etag == self.etags.get(name)

    @property
    def files_match_state(self) -> bool:
        """Whether our files are those that the writer of the ledger left, all of them, whatever is in force."""
        return self.state is not None and files_of(self.etags) == files_of(etags_of(self.state))

    @property
    def matches_state(self) -> bool:
        """Whether the state too is that of which the writer of the ledger made our files."""
        return self.state is not None and self.etags == etags_of(self.state)

    def with_name_digests(self) -> Snapshot:
        """The same, with what stands for each package name."""
        return replace(self, name_digests=digests_of({**self.packages, **self.sidecars}))

    def restrict_to(self, few: frozenset[str]) -> Snapshot:
        """The same with only what is there of a few package names."""
        packages = {key: stat for key, stat in self.packages.items() if name_of(key) in few}
        sidecars = {key: stat for key, stat in self.sidecars.items() if name_of(key) in few}
        return replace(self, packages=packages, sidecars=sidecars)

    def excluding(self, ignored: Collection[str]) -> Snapshot:
        """The snapshot without some ignored packages."""
        if not ignored:
            return self
        packages = {name: stat for name, stat in self.packages.items() if name not in ignored}
        misnamed = tuple(it for it in self.invalid_filenames if it.filename not in ignored)
        return replace(self, packages=packages, invalid_filenames=misnamed, excluded=frozenset(ignored))

    def let_go(self) -> None:
        """Forget the packages, where nobody asks for them any more: they take half as much memory as their records."""
        self.packages.clear()

    @property
    def shards_trusted(self) -> bool:
        """Whether every shard that the shard index names is known to be there: no run has died, and no gc."""
        return self.files_match_state and not self.gc_in_progress and not self.shards_in_doubt


def _shards_gone(listed: Mapping[str, Stat], snapshot: Snapshot) -> bool:
    """Whether a listing in one piece, which shows folders, has none of shards although the last run left some."""
    state = snapshot.state
    if state is None or state.split_points or not snapshot.all_listed:
        return False
    return state.packages > 0 and names.SHARD_INDEX in state.files and names.SHARDS_FOLDER not in listed


def files_of(etags: Mapping[str, ETag]) -> dict[str, ETag]:
    """Those of our files that are made from packages, without the state."""
    return {name: etag for name, etag in etags.items() if name not in names.STATE}


def etags_of(state: State) -> dict[str, ETag]:
    """The versions of our files that the writer of a ledger left."""
    return {key: wrote.etag for key, wrote in state.files.items()}


def etags_in(listed: Mapping[str, Stat], wanted: Iterable[str]) -> dict[str, ETag]:
    """The versions of those of some files that a listing shows."""
    return {name: listed[name].etag for name in wanted if name in listed}


def snapshot_of_listing(listed: Mapping[str, Stat], snapshot: Snapshot) -> Snapshot:
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
            misnamed.append(Rejected(filename, stat.etag, "the file name is not of the form name-version-build"))
        elif package_of_sidecar(filename) is not None:
            sidecars[filename] = stat
        elif filename.endswith(".whl"):
            ignored.append(filename)
    etags = {**snapshot.etags, **etags_in(listed, names.STATE)}
    # A new file with a bad name is news too, although no record is made from it.
    others = {**sidecars, **{it.filename: listed[it.filename] for it in misnamed}}
    listing = listing_digest_of({**packages, **others} if others else packages)
    doubted = snapshot.shards_in_doubt or _shards_gone(listed, snapshot)
    snapshot = replace(
        snapshot,
        etags=etags,
        gc_in_progress=names.GC_NOTE in listed,
        listing_digest=listing,
        shards_in_doubt=doubted,
    )
    snapshot = replace(
        snapshot, packages=packages, invalid_filenames=tuple(misnamed), wheels=tuple(ignored), sidecars=sidecars
    )
    return replace(snapshot, split_points=split_points_of(packages), folders=tuple(folders))
