"""A subdir as a run saw it at one moment: the ETags of the files of the index, and the packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import field
from msgspec.structs import replace

from indexer.core import names
from indexer.core.model import Rejected
from indexer.core.packed_listing import Listing
from indexer.core.state import with_known_packages
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from indexer.core.model import ETag, Stat
    from indexer.core.state import State


class Snapshot(Value, frozen=True):
    """A subdir as a run saw it.

    `etags` has the files of the index that exist, the files of the overlay among them, by file name.
    `state` is the state of the last run, None if there is none or if it cannot be read; `state_etag` is None if there
    is no state file, `state_saved_ms` is the time of the file.
    `modified_ms` has the times of the files of the index; it is empty if the state and the listing agree.
    `gc_in_progress` is true if a gc runs or has been killed.  `shards_in_doubt` is true if a run must look which shards
    exist.  `all_listed` is false if the run looked at a few packages only.
    `listing` has all packages and sidecars.  `packages` has the packages that the run looks at by file name, `sidecars`
    the attestations beside them; they are empty until `unpacked`.  `invalid_filenames` are the files that only have the
    extension of a package, `wheels` the wheels, `folders` the folders that are not ours (a listing in parts shows no
    folders).  `left_out` has ignored and pruned packages, which `packages` and `invalid_filenames` do not have.
    `taken_ms` is a time before the first request: a package that was uploaded later is younger than its record.
    """

    etags: Mapping[str, ETag] = field(default_factory=dict)
    state: State | None = None
    state_etag: ETag | None = None
    modified_ms: Mapping[str, int] = field(default_factory=dict)
    gc_in_progress: bool = False
    shards_in_doubt: bool = False
    all_listed: bool = True
    listing: Listing = Listing()
    packages: Mapping[str, Stat] = field(default_factory=dict)
    invalid_filenames: tuple[Rejected, ...] = ()
    wheels: tuple[str, ...] = ()
    sidecars: Mapping[str, Stat] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    left_out: frozenset[str] = frozenset()
    taken_ms: int = 0
    state_saved_ms: int = 0

    def is_unchanged(self, filename: str) -> bool:
        """Whether a file of the index is the one that the last run left."""
        published = self.state.files.get(filename) if self.state else None
        return published is not None and published.etag == self.etags.get(filename)

    @property
    def files_match_state(self) -> bool:
        """Whether the files of the index, without those of the overlay, are all those that the last run left."""
        return self.state is not None and index_files(self.etags) == index_files(etags_of(self.state))

    @property
    def matches_state(self) -> bool:
        """Whether the files of the index and of the overlay are those that the last run left."""
        return self.state is not None and self.etags == etags_of(self.state)

    @property
    def shards_trusted(self) -> bool:
        """Whether every shard of the shard index is known to exist: no run and no gc was killed."""
        return self.files_match_state and not self.gc_in_progress and not self.shards_in_doubt

    def source(self, *, monolithic: bool) -> str:
        """The file that the index is read from; the empty text if there is none.

        A channel that shall have shards only can have both repodata.json and a shard index.  Then the newer file is
        the source: another indexer that stops to write shards leaves an outdated shard index, a run of ours that is
        killed leaves an outdated repodata.json.
        """
        if names.FROM_PACKAGES in self.etags:
            return names.FROM_PACKAGES
        indexes = [name for name in (names.REPODATA, names.SHARD_INDEX) if name in self.etags]
        if monolithic or len(indexes) < 2:  # noqa: PLR2004  one of two
            return indexes[0] if indexes else ""
        return max(reversed(indexes), key=lambda name: self.modified_ms.get(name, 0))

    def unpacked(self, package_names: frozenset[str] | None = None) -> Snapshot:
        """The snapshot with the packages and the sidecars of some package names, and what the state has of them.

        The names are in lower case; None is for all names.
        """
        files = self.listing.files_of(package_names)
        packages = {name: stat for name, stat in files.items() if names.extension_of(name) is not None}
        sidecars = {name: stat for name, stat in files.items() if name not in packages}
        state = self.state and with_known_packages(self.state, package_names)
        return replace(self, state=state, packages=packages, sidecars=sidecars)

    def excluding(self, left_out: Collection[str]) -> Snapshot:
        """The snapshot without some packages, which the run treats as absent."""
        if not left_out:
            return self
        packages = {name: stat for name, stat in self.packages.items() if name not in left_out}
        invalid = tuple(rejected for rejected in self.invalid_filenames if rejected.filename not in left_out)
        return replace(self, packages=packages, invalid_filenames=invalid, left_out=frozenset(left_out))


def index_files(etags: Mapping[str, ETag]) -> dict[str, ETag]:
    """The files that are made from packages, without the files of the overlay."""
    return {name: etag for name, etag in etags.items() if name not in names.OVERLAY_FILES}


def etags_of(state: State) -> dict[str, ETag]:
    """The ETags of the files that the last run left."""
    return {filename: published.etag for filename, published in state.files.items()}


def etags_in(listing: Listing, filenames: Iterable[str]) -> dict[str, ETag]:
    """The ETags of those of some files, none of them a package, that a listing shows."""
    return {name: listing.others[name].etag for name in filenames if name in listing.others}


def _shards_gone(listing: Listing, snapshot: Snapshot) -> bool:
    """Whether a listing with folders has no folder of shards although the last run left shards."""
    state = snapshot.state
    if state is None or state.split_points or not snapshot.all_listed:
        return False
    return state.packages > 0 and names.SHARD_INDEX in state.files and names.SHARDS_FOLDER not in listing.others


def snapshot_of_listing(listing: Listing, before: Snapshot) -> Snapshot:
    """The snapshot `before` with the files that a listing of the subdir shows."""
    invalid: list[Rejected] = []
    wheels: list[str] = []
    folders: list[str] = []
    for filename, stat in listing.others.items():
        if filename.endswith("/"):
            folders += [filename] * (filename != names.SHARDS_FOLDER and not filename.startswith("."))
        elif names.extension_of(filename) is not None:
            invalid.append(Rejected(filename, stat.etag, "the file name is not of the form name-version-build"))
        elif filename.endswith(".whl"):
            wheels.append(filename)
    return replace(
        before,
        etags={**before.etags, **etags_in(listing, names.OVERLAY_FILES)},
        gc_in_progress=names.GC_MARKER in listing.others,
        shards_in_doubt=before.shards_in_doubt or _shards_gone(listing, before),
        listing=listing,
        invalid_filenames=tuple(invalid),
        wheels=tuple(wheels),
        folders=tuple(folders),
    )
