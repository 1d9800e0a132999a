"""The packages of a channel over all its subdirs, by name, as the pages, the feed and channeldata.json show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core.metadata import Metadata
from indexer.core.names import CONDA, TAR_BZ2, parse_filename, prefer_conda, with_extension
from indexer.core.specs.version import ranks_of
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from indexer.core.pages.catalog import Catalog, Entry

_NO_METADATA = Metadata()


class Release(Value, frozen=True):
    """One build in a subdir, and its file; `twin` is the `.tar.bz2` of the same build if the file is a `.conda`."""

    subdir: str
    filename: str
    entry: Entry
    twin: Entry | None = None

    @property
    def files(self) -> dict[str, Entry]:
        """Its one file or two, by file name."""
        twin = {} if self.twin is None else {with_extension(self.filename, TAR_BZ2): self.twin}
        return {self.filename: self.entry, **twin}

    @property
    def metadata(self) -> Metadata:
        """Its metadata, empty if it is not known."""
        return self.entry.metadata or _NO_METADATA

    @property
    def license(self) -> str:
        """The license in its record, which a patch may have corrected, else the license in its metadata."""
        return self.entry.license or self.metadata.license


class RemovedFile(Value, frozen=True, order=True):
    """A package file that was removed from the index (yanked), and the reason, empty if it is not known."""

    subdir: str
    filename: str
    reason: str


class Package(Value, frozen=True):
    """All releases of one name: the newest version last, of one version the last built one last.

    `removed` has the files of the name that were removed from the index.
    """

    name: str
    releases: tuple[Release, ...]
    removed: tuple[RemovedFile, ...] = ()

    @property
    def latest(self) -> Release:
        """The newest release."""
        return self.releases[-1]

    @property
    def subdirs(self) -> list[str]:
        """The subdirs that have a release."""
        return sorted({release.subdir for release in self.releases})

    @property
    def versions(self) -> list[str]:
        """The versions, the newest first."""
        return list(dict.fromkeys(release.entry.version for release in reversed(self.releases)))

    def newest_value(self, field: str) -> str | tuple[str, ...]:
        """A field of `Metadata`, or the `license`, of the newest release in which it is not empty."""
        for release in reversed(self.releases):
            value: str | tuple[str, ...] = getattr(release if field == "license" else release.metadata, field)
            if value:
                return value
        return ""


def last_built_ms(releases: Iterable[Release]) -> int:
    """The time of the last build of some releases, in milliseconds."""
    return max(release.entry.built_ms for release in releases)


def last_indexed_ms(releases: Iterable[Release]) -> int:
    """The time at which the last of some releases came into the channel, in milliseconds."""
    return max(release.entry.indexed_ms for release in releases)


def file_count(releases: Iterable[Release]) -> int:
    """The number of package files: a build can have two."""
    return sum(len(release.files) for release in releases)


def packages_of(catalogs: Mapping[str, Catalog]) -> list[Package]:
    """Every package of a channel, by name.  Of two files of the same build the `.conda` is the release."""
    return [package for package in known_packages(catalogs) if package.releases]


def known_packages(catalogs: Mapping[str, Catalog]) -> list[Package]:
    """The packages of a channel by name, with those of which all files were removed."""
    releases: dict[str, list[Release]] = {}
    removed: dict[str, list[RemovedFile]] = {}
    for subdir, catalog in sorted(catalogs.items()):
        for release in releases_of(subdir, catalog):
            releases.setdefault(release.entry.name, []).append(release)
        for filename, reason in catalog.removed.items():
            if parsed := parse_filename(filename):
                removed.setdefault(parsed.name, []).append(RemovedFile(subdir, filename, reason))
    return [
        Package(name, _by_age(releases.get(name, ())), tuple(sorted(removed.get(name, ()))))
        for name in sorted(releases.keys() | removed.keys(), key=lambda name: (name.lower(), name))
    ]


def _by_age(releases: Collection[Release]) -> tuple[Release, ...]:
    ranks = ranks_of(release.entry.version for release in releases)

    def age(release: Release) -> tuple[object, ...]:
        entry = release.entry
        return ranks[entry.version], entry.built_ms, entry.build_number, release.subdir, release.filename

    return tuple(sorted(releases, key=age))


def releases_of(subdir: str, catalog: Catalog) -> Iterator[Release]:
    """The releases of one subdir by file name."""
    entries = catalog.packages
    for filename in prefer_conda(entries):
        twin = entries.get(with_extension(filename, TAR_BZ2)) if filename.endswith(CONDA) else None
        yield Release(subdir, filename, entries[filename], twin)
